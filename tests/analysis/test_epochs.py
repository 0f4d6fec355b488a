"""The lab's world at two ages, scanned: the catalogue counts the changes that were planted.

The expected numbers come from the lab's population, which knows of each domain which scenario it plays at
each age and what a person wrote about it; no rule of the crawler and no query takes part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.archive import Archive, open_archive
from analysis.catalogue import find
from crawler import lab
from crawler.config import Seconds
from crawler.lab.population import Placement, Population
from crawler.lab.world import has_ipv6
from tests.scan.worlds import run_scan, settings_of

pytestmark = pytest.mark.anyio

DOMAINS, SEED, AGES = 299, 2, (0, 14)
"""A world too small for the rare scenarios, whose hosts keep one waiting, in which every kind of change
below occurs."""

SCANS = ("young", "old")


async def scan_both(folder: Path) -> Path:
    """An archive of both ages, with shorter deadlines than a polite scan has."""
    for age, scan_id in zip(AGES, SCANS, strict=True):
        async with lab.open_world(folder / scan_id, domains=DOMAINS, seed=SEED, epoch=age) as world:
            settings = settings_of(world)
            limited = replace(
                settings,
                limits=replace(
                    settings.limits,
                    connect=Seconds(1),
                    https_total=Seconds(2),
                    smtp_banner=Seconds(2),
                    smtp_total=Seconds(3),
                ),
            )
            await run_scan(world, folder / "archive", limited, scan_id=scan_id)
    return folder / "archive"


def rows(archive: Archive, name: str, *columns: str) -> Counter[tuple[str, ...]]:
    """The counts of the old scan by the values of *columns*."""
    found = find(name).ask(archive).records()
    return Counter(
        {tuple(r[c] for c in columns): r["n"] for r in found if r["scan_id"] == SCANS[1]}
    )


def adopts(placed: Placement) -> bool:
    """A record is published, right or wrong."""
    return placed.truth_unprobed.record_outcome in ("valid", "multiple", "syntax")


def serves(placed: Placement) -> bool:
    """A sender finds a policy."""
    truth = placed.truth_unprobed
    return truth.record_outcome == "valid" and truth.policy_outcome == "valid"


async def test_planted_changes_are_counted(tmp_path: Path) -> None:
    """Churn, ids, modes and what caching senders hold, between two ages of one world."""
    archive = await scan_both(tmp_path)
    young, old = (
        list(Population(domains=DOMAINS, seed=SEED, epoch=age, ipv6=has_ipv6())) for age in AGES
    )
    pairs = list(zip(young, old, strict=True))
    with open_archive(archive) as opened:
        severities = {
            row["id"]: row["severity"]
            for row in opened.query("select id, severity from findings_catalogue").records()
        }

        def phase(placed: Placement) -> str:
            truth = placed.truth_unprobed
            if truth.record_outcome == "unmeasured":
                return "unmeasured"
            if not adopts(placed):
                return "none"
            weights = {severities[finding] for finding in truth.findings}
            if weights & {"refused", "no-policy"} or truth.sender_outcome in (
                "refused",
                "fail-open",
            ):
                return "broken"
            return {None: "unmeasured", "none": "off"}.get(truth.mode, str(truth.mode))

        churn = Counter(
            ("stayed" if adopts(a) and adopts(b) else "adopted" if adopts(b) else "removed",)
            for a, b in pairs
            if adopts(a) or adopts(b)
        )
        assert set(churn) == {("stayed",), ("adopted",), ("removed",)}
        assert rows(opened, "churn", "change") == churn

        moves = Counter(
            (phase(a), "removed" if phase(b) == "none" else phase(b))
            for a, b in pairs
            if phase(a) not in ("none", "unmeasured")
        )
        assert moves["testing", "enforce"] > 0
        found = rows(opened, "transitions", "before", "after")
        assert {k: n for k, n in found.items() if k[0] != "unmeasured"} == moves

        ids = Counter(
            ("same" if a.generation == b.generation else "changed",)
            for a, b in pairs
            if serves(a) and serves(b)
        )
        compared = Counter[tuple[str, ...]]()
        served = {a.domain for a, b in pairs if serves(a) and serves(b)}
        for row in opened.query(
            "select domain, count(distinct record_id) as ids from assessments group by all"
        ).records():
            if row["domain"] in served:
                compared["same" if row["ids"] == 1 else "changed",] += 1
        assert compared == ids
        asked = rows(opened, "id-and-body", "id", "body")
        assert asked["changed", "same"] > 0
        assert asked["changed", "changed"] > 0

        # The MX hosts went to an operator, and the policy still names the domain's own.
        gone_stale = sum(
            a.scenario.name == "own-enforce" and b.scenario.name == "mxm-stale-own"
            for a, b in pairs
        )
        assert gone_stale > 0
        assert rows(opened, "stale-policies", "looking_back_to") == {(SCANS[0],): gone_stale}

        held = sum(
            serves(b) or (serves(a) and (a.truth_unprobed.max_age or 0) > 3600) for a, b in pairs
        )
        deliveries = find("caching-sender").ask(opened).records()
        assert {r["of_n"] for r in deliveries if r["scan_id"] == SCANS[1]} == {held}
        # With a policy of the same scan the sender does what was planted.
        refused = Counter(b.truth_unprobed.sender_outcome == "refused" for b in old if serves(b))
        asked_refused = sum(
            r["n"]
            for r in deliveries
            if r["scan_id"] == SCANS[1]
            and r["sender"] == "refreshes"
            and r["first_time"] == "refused"
        )
        assert asked_refused == refused[True]
