"""A scan that is told to stop: an orderly end, and the same request goes on from there."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from crawler import lab
from crawler.scan.run import Interrupted
from tests.scan.worlds import differences, run_scan, settings_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_after_a_checkpoint_and_the_same_request_resumes(
    tmp_path: Path, number: signal.Signals
) -> None:
    asked: Counter[Any] = Counter()

    def stop_halfway(query: Any, transport: str) -> None:
        asked[query.name, query.rdtype] += 1
        if asked.total() == 300:
            signal.raise_signal(number)

    async with lab.open_world(tmp_path / "lab", only_scenarios=True) as world:
        world.resolver.on_query = stop_halfway
        with pytest.raises(Interrupted) as stopped:
            await run_scan(world, tmp_path / "archive", settings_of(world))
        assert stopped.value.number == number
        (folder,) = (tmp_path / "archive").iterdir()
        assert not (folder / "manifest.json").exists()
        kept = sum(p.num_rows for p in _parts(folder, "txt_lookups"))
        assert kept > 0
        outcome = await run_scan(world, tmp_path / "archive", settings_of(world))
    assert outcome.folder.path == folder
    assert differences(world, outcome) == []
    rows = pq.read_table(folder / "txt_lookups", columns=["domain", "kind", "attempt"]).to_pylist()
    assert len({tuple(row.values()) for row in rows}) == len(rows)


def _parts(folder: Path, table: str) -> list[Any]:
    return [pq.read_metadata(path) for path in (folder / table).glob("part-*.parquet")]
