"""What is said of a scan that carries over: how much, why the rest was asked, and what still holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from analysis.archive import Archive, open_archive
from analysis.catalogue import find
from crawler.config import Since
from crawler.records import PolicyFetch, StarttlsSession
from crawler.scan.run import Outcome
from tests.net.hosts import answering, response
from tests.scan.small_world import (
    EPOCH,
    Host,
    good_policy,
    good_site,
    open_world,
    rows_of,
    run_scan,
    virtual_time,
)

pytestmark = pytest.mark.anyio

SITES = 12
SPOILT = 5
"""Sites whose policy is gone in the second week, which no answer of the DNS tells."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


class Spoiling:
    """A policy host that in the second week has no policy any more."""

    second = False

    def host(self, domain: str) -> Host:
        def make(context: Any) -> Any:
            good = good_policy(domain)(context=context)
            gone = answering(response(b"", status=b"404 Not Found"), context=context)

            async def behaviour(peer: Any) -> None:
                await (gone if self.second else good)(peer)

            return behaviour

        return make


async def two_weeks(folder: Path) -> tuple[Outcome, Outcome]:
    """A scan, and one a week later that carries over about half of it."""
    spoiling = Spoiling()
    sites = [good_site(f"site{n}") for n in range(SITES)]
    sites[:SPOILT] = [replace(s, policy=spoiling.host(s.domain)) for s in sites[:SPOILT]]
    async with open_world(folder, sites) as world:
        first = await run_scan(world, folder, scan_id="first")
        spoiling.second = True
        half = replace(world.config, since=Since(sample=0.5))
        week = EPOCH + timedelta(days=7)
        second = await run_scan(
            world, folder, half, scan_id="second", since="first", at=week, seed="any"
        )
    return first, second


def answer(
    archive: Archive, question: str, *keys: str
) -> dict[tuple[str, ...], tuple[int, int, int]]:
    return {
        tuple(row[key] for key in keys): (row["n"], row["of_n"], row["left_out"])
        for row in find(question).ask(archive).records()
    }


async def test_what_is_carried_over_is_counted(tmp_path: Path) -> None:
    _, second = await two_weeks(tmp_path)
    rows = {
        "policy fetches": rows_of(second, PolicyFetch),
        "SMTP sessions": rows_of(second, StarttlsSession),
    }
    with open_archive(tmp_path / "archive") as archive:
        found = answer(archive, "carried-over", "scan_id", "probe", "origin")
        origins = {
            probe: Counter(row.due or "carried over" for row in some)
            for probe, some in rows.items()
        }
        assert found == {
            ("second", probe, origin): (n, SITES, 0)
            for probe, counted in origins.items()
            for origin, n in counted.items()
        }
        ages = [row["oldest_days"] for row in find("carried-over").ask(archive).records()]
        assert sorted(round(age, 3) for age in ages if age is not None) == [7, 7]

        fetches = rows["policy fetches"]
        asked = [row for row in fetches if row.due]
        assert 0 < len(asked) < SITES
        gone = sum(row.http_status == 404 for row in asked)
        assert 0 < gone < len(asked)
        still = answer(archive, "carried-still-right", "probe", "now")
        left_out = len(fetches) - len(asked)
        assert still["policy fetches", "wrong"] == (gone, len(asked), left_out)
        assert still["policy fetches", "right"] == (len(asked) - gone, len(asked), left_out)
        assert ("SMTP sessions", "wrong") not in still

        # How probes ended is said of those that the scan itself sent.
        ended = answer(archive, "statuses", "scan_id", "probe", "status")
        assert ended["first", "policy fetches", "success"] == (SITES, SITES, 0)
        assert ended["second", "policy fetches", "success"] == (len(asked), len(asked), 0)
        quality = answer(archive, "scan-quality", "scan_id", "probe", "measure")
        assert quality["second", "policy fetches", "answered"] == (len(asked), len(asked), 0)
        # A policy that was not fetched again is not known to be the same.
        assert answer(archive, "id-and-body", "scan_id", "id", "body") == {}


async def test_an_ordinary_archive_says_nothing_of_it(tmp_path: Path) -> None:
    async with open_world(tmp_path, [good_site("one")]) as world:
        for week in range(2):
            at = EPOCH + timedelta(days=7 * week)
            await run_scan(world, tmp_path, scan_id=f"week{week}", at=at)
    with open_archive(tmp_path / "archive") as archive:
        assert answer(archive, "carried-over", "origin") == {}
        assert answer(archive, "carried-still-right", "now") == {}
        assert answer(archive, "id-and-body", "scan_id", "id", "body") == {
            ("week1", "same", "same"): (1, 1, 0)
        }
