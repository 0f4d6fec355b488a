"""What every test shares: async tests run on trio, through anyio's plugin."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure: how long an example takes is measured in benchmarks.
settings.register_profile("census", deadline=None)
settings.load_profile("census")


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on trio."""
    return "trio"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real policy files and records that lie beside the project; skips visibly where absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("the corpus of real policies does not lie beside this checkout")
    return folder
