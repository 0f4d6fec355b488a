"""The planted archives that the tests of the analysis read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.archive import Archive, open_archive
from tests.analysis.archive_fixture import write_archive


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scans of the planted domains."""
    return write_archive(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def archive(planted: Path) -> Iterator[Archive]:
    """The planted archive, open."""
    with open_archive(planted) as opened:
        yield opened


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scans of an empty list: every table is there and has no row."""
    return write_archive(tmp_path_factory.mktemp("empty"), kinds=())


@pytest.fixture(scope="session")
def empty_archive(empty: Path) -> Iterator[Archive]:
    """The archive of empty scans, open."""
    with open_archive(empty) as opened:
        yield opened
