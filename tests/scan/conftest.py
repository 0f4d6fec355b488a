"""One lab and one undisturbed scan of it, for the tests that disturb scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from crawler.scan.cluster import connected
from tests.scan.children import LabProcess, rows


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A cluster on loopback, for all scans of this process by ``ray``."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed (the extra cluster)")
    with connected(2):
        yield


@pytest.fixture(scope="session")
def lab_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """The lab, in a process of its own."""
    with LabProcess(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="session")
def undisturbed(lab_process: LabProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of a scan that nothing happened to."""
    archive = tmp_path_factory.mktemp("undisturbed") / "archive"
    lab_process.finish(archive)
    return archive


@pytest.fixture(scope="session")
def expected(undisturbed: Path) -> dict[str, Counter[str]]:
    """Its rows."""
    found = rows(undisturbed)
    assert all(found.values()), [table for table, some in found.items() if not some]
    return found
