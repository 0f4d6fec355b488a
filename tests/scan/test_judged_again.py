"""A sealed scan that names were taken out of is judged again from the rows that are left."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crawler.politeness.opt_out import OptOutList
from crawler.records import Assessment, Domain
from crawler.scan.progress import Progress
from crawler.scan.rejudge import rejudge
from crawler.scan.run import seal_scan
from crawler.snapshot import purge
from crawler.snapshot.share import Share
from crawler.snapshot.store import Archive
from tests.scan.small_world import (
    EPOCH,
    but_times,
    good_site,
    open_world,
    rows_of,
    run_scan,
    virtual_time,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


async def test_what_is_left_after_a_purge_is_judged_as_it_was(tmp_path: Path) -> None:
    """In every shard, and after a second purge as well."""
    archive = tmp_path / "archive"
    async with open_world(tmp_path, [good_site(f"site{n}") for n in range(12)]) as world:
        for _ in range(3):
            for index in range(2):
                with suppress(BaseExceptionGroup):  # work remains
                    await run_scan(world, tmp_path, scan_id="it", share=Share(index, 2))
        outcome = await seal_scan(archive, "it", Progress(quiet=True))
    assert len(list((outcome.folder.path / Domain.table).iterdir())) > 1

    def judged() -> dict[str, dict[str, Any]]:
        return {row.domain: but_times(row) for row in rows_of(outcome, Assessment)}

    expected = judged()
    for number, gone in enumerate(("site3.example", "site7.example")):
        entries = OptOutList.parse(gone)
        list(purge.purge_archive(Archive(archive), entries, EPOCH + timedelta(days=number)))
        rejudge(archive, "it")
        del expected[gone]
        assert judged() == expected
