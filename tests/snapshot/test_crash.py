"""A scan folder that meets trouble at any step ends, when gone on with, as if it never had.

The steps, from a list to a purge after the seal, are in ``crash``; what trouble is, in ``tests.disk``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.disk import Trouble

STEPS = 300
"""Fewer than there are."""


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder where fsync costs nothing, if there is one."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


def _run(folder: Path, *plan: str) -> list[int]:
    """Break as each plan says; the first number beyond the last step of each."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.snapshot.crash", str(folder), *plan],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert ran.returncode == 0, ran.stderr
    return list(map(int, ran.stdout.split()))


def test_k12_p03_p04_p06_trouble_at_some_steps(memory: Path) -> None:
    plan = [f"{trouble}:{10 + 25 * n}:100" for n, trouble in enumerate(Trouble)]
    assert min(_run(memory, *plan)) > STEPS


@pytest.mark.soak
@pytest.mark.parametrize("trouble", list(Trouble))
def test_k12_p03_p04_p06_trouble_at_any_step(memory: Path, trouble: Trouble) -> None:
    assert min(_run(memory, f"{trouble}:1:1")) > STEPS
