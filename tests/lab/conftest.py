"""A world that serves every scenario once, for the tests that talk to it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crawler.lab import World, open_world
from crawler.lab.world import has_ipv6


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Every scenario once, listening."""
    async with open_world(tmp_path, only_scenarios=True) as running:
        yield running


@pytest.fixture
def strict(world: World) -> ssl.SSLContext:
    """A client that trusts the lab's root and checks the name, as a sender does."""
    return ssl.create_default_context(cafile=str(world.directory / "roots.pem"))


@pytest.fixture(scope="session")
def ipv6() -> None:
    """Skips visibly where ::1 cannot be bound."""
    if not has_ipv6():
        pytest.skip("::1 cannot be bound on this machine")
