"""A scan of a world in which everybody misbehaves ends, and says of each what it did.

One golden table, whatever the number of workers and the order of visits; and whoever behaves
notices nothing of those who do not.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from rich.console import Console

from crawler.config import Retry
from crawler.records import (
    AddressLookup,
    Assessment,
    Conversation,
    MailVerdict,
    MxLookup,
    PolicyFetch,
    PolicyVerdict,
    StarttlsSession,
    TxtLookup,
)
from crawler.scan.progress import Progress
from crawler.vocabulary import TxtKind
from tests.net.servers import black_hole
from tests.probe.lookup_world import records
from tests.scan.hostile_sites import BLACK_HOLE, CASES, Case, in_full
from tests.scan.small_world import (
    Site,
    World,
    but_times,
    faults_of,
    good_site,
    judge,
    observe,
    observed,
    open_world,
    repeated,
    rows_of_all,
    run_scan,
    sockets,
    virtual_time,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


class Found:
    """The rows of a scan, by the domain that they are about."""

    def __init__(self, rows: Mapping[type[Any], Iterable[Any]]) -> None:
        self.observed = observed(rows)
        self._policy = {row.domain: row.outcome for row in rows[PolicyVerdict]}
        self._mail = {row.host: row.outcome for row in rows[MailVerdict]}
        self._domains = {row.domain: row for row in rows[Assessment]}

    def rows(self, case: Case) -> list[Any]:
        """The rows of a case, the last attempt last."""
        rows = [r for r in self.observed if type(r) is case.table and _is_about(r, case.site)]
        return sorted(rows, key=lambda row: row.attempt)

    def amounts_to(self, case: Case) -> object:
        """What the rows of a case were judged to amount to."""
        domain = case.site.domain
        if case.table is PolicyFetch:
            return self._policy.get(domain)
        if case.table is StarttlsSession:
            return self._mail.get(f"mx.{domain}")
        if case.table is TxtLookup:
            return self._domains[domain].record_outcome
        return f"{self._domains[domain].mx_total} MX hosts"

    def says(self, case: Case) -> str:
        """One line of the table."""
        rows = self.rows(case)
        last = rows[-1]
        stage = getattr(last, "stage", None)
        return (
            f"{last.status}{f' at {stage}' if stage else ''}, {last.blame or 'nobody'}, "
            f"{len(rows)} row{'s' if len(rows) > 1 else ''}, {self.amounts_to(case)}"
        )


def _is_about(row: Any, site: Site) -> bool:
    match row:
        case TxtLookup():
            return row.domain == site.domain and row.kind is TxtKind.MTA_STS
        case MxLookup() | PolicyFetch():
            return row.domain == site.domain
        case StarttlsSession() | AddressLookup():
            return row.host == f"mx.{site.domain}"
    return False


@pytest.mark.parametrize(
    ("connections", "seed", "on_disk"),
    [(1, "one order", False), (64, "one order", True), (64, "another order", False)],
    ids=["one at a time", "many, and a whole scan", "many, shuffled"],
)
async def test_everybody_s_misbehaviour_has_its_line_in_the_table(
    tmp_path: Path, connections: int, seed: str, on_disk: bool
) -> None:
    said = io.StringIO()
    async with (
        open_world(tmp_path, [case.site for case in CASES]) as world,
        black_hole(BLACK_HOLE, world.config.net.https_port),
    ):
        config = _limited(world, connections)
        await trio.testing.wait_all_tasks_blocked()
        before = sockets(), trio.lowlevel.current_statistics().tasks_living
        progress = Progress(Console(file=said, width=200))
        rows: Mapping[type[Any], Iterable[Any]]
        if on_disk:
            rows = rows_of_all(await run_scan(world, tmp_path, config, progress, seed=seed))
        else:
            work = await observe(world, config, seed=seed, progress=progress)
            judge(work, config)
            rows = work.rows
        await trio.sleep(1000)  # the servers see the last of their clients go
        assert (sockets(), trio.lowlevel.current_statistics().tasks_living) == before
    found = Found(rows)
    assert {c.site.label: found.says(c) for c in CASES} == {c.site.label: c.says for c in CASES}
    assert {c.site.label: lost for c in CASES if (lost := _lost(found, c))} == {}
    assert [(row, faults) for row in found.observed if (faults := faults_of(row, config))] == []
    assert repeated(found.observed) == []
    assert said.getvalue()
    assert [line for line in said.getvalue().splitlines() if not line.isprintable()] == []
    _check_visits(world)


def _limited(world: World, connections: int) -> Any:
    """The configuration with so many conversations and open questions at once, and without IPv6."""
    config = world.config
    return replace(
        config,
        dns=replace(config.dns, in_flight=connections),
        net=replace(config.net, ipv6=False, allow_addresses=("127.0.0.0/8", "::1/128")),
        politeness=replace(config.politeness, connections=connections),
    )


def _lost(found: Found, case: Case) -> dict[str, Any]:
    """The evidence that a case should have left and has not, with what is there instead."""
    last = found.rows(case)[-1]
    return {
        column: getattr(last, column)
        for column, wanted in case.keeps.items()
        if not (
            wanted(getattr(last, column)) if callable(wanted) else getattr(last, column) == wanted
        )
    }


def _check_visits(world: World) -> None:
    """What the servers saw: nobody was held on to beyond the deadline, and nobody who had no reason
    to be was contacted.
    """
    limits = world.config.limits
    for servers, total in (
        (world.policy_hosts, limits.https_total),
        (world.mail_hosts, limits.smtp_total),
    ):
        for address, server in servers.items():
            if server is not world.mail_host("m12-not-reading"):  # it looks at nothing itself
                for visit in server.visits:
                    assert visit.closed is not None, address
                    # A server that speaks slowly does not see at once that nobody listens.
                    assert visit.closed - visit.opened <= total + 30, address
    # A null MX has no address to look up; and of an MX host that does not exist, the domain's own
    # address is none (RFC 5321 section 5.1).
    asked = {name for name, rdtype in world.asked() if rdtype in ("A", "AAAA")}
    for label in ("d18-null", "d20-null-of-ten", "d22-dangling"):
        assert f"{label}.example" not in asked


async def test_d25_d26_d27_l8_what_answers_can_make_us_do_is_bounded(tmp_path: Path) -> None:
    """Five hundred MX records, a thousand addresses, fifty domains at one host: all of it is
    recorded, and a handful of conversations is had.
    """
    mx = (f"{n} mx{n}.crowd.example." for n in range(500))
    crowd = {("", "MX"): in_full(*mx)}
    crowd |= {(f"mx{n}", "A"): records(f"127.102.1.{n + 1}") for n in range(200)}
    many = in_full(*(f"127.103.{n // 250}.{n % 250 + 1}" for n in range(1000)))
    sites = [
        Site(label="crowd", zone=crowd),
        Site(label="wide", zone={("", "MX"): records("1 mx.wide.example."), ("mx", "A"): many}),
        good_site("shared"),
        *(
            Site(label=f"tenant{n}", zone={("", "MX"): records("1 mx.shared.example.")})
            for n in range(50)
        ),
    ]
    async with open_world(tmp_path, sites) as world:
        rows = (await observe(world, replace(world.config, retry=Retry(rounds=0)))).rows
    named = {row.domain: row for row in rows[MxLookup]}
    looked_up = {row.host: row for row in rows[AddressLookup]}
    greeted = [(row.host, row.address) for row in rows[StarttlsSession]]
    assert len(named["crowd.example"].hosts) == 500
    assert sum(host.endswith(".crowd.example") for host in looked_up) == 64 + 1  # mta-sts as well
    assert sorted(host for host, _ in greeted if host.endswith(".crowd.example")) == [
        f"mx{n}.crowd.example" for n in range(5)
    ]
    assert len(looked_up["mx.wide.example"].ipv4) == 1000
    assert sum(host == "mx.wide.example" for host, _ in greeted) == 2
    assert len(world.mail_host("shared").visits) == 1


# Whoever behaves.

GOOD = 38
TARPITS = ("h05-body", "m12-octets")


async def test_whoever_behaves_notices_nothing_of_those_who_do_not(tmp_path: Path) -> None:
    """Five domains of a hundred are tarpits, and places are as scarce as the defaults make them: the
    rows of the others are the same, and the scan is done with them as soon.
    """
    good = [good_site(f"good{n}", after=1) for n in range(GOOD)]
    bad = [case.site for case in CASES if case.site.label in TARPITS]
    assert len(bad) == len(TARPITS) >= 0.05 * (GOOD + len(TARPITS))
    pace: dict[str, Any] = {"connections": 80, "connections_per_second": 8.0}  # ten to one
    async with open_world(tmp_path, [*good, *bad], **pace) as world:
        alone = observed((await observe(world, sites=good)).rows)
        beside = observed((await observe(world)).rows)
    domains = {site.domain for site in good}
    undisturbed = [row for row in beside if _domain_of(row) in domains]
    assert _sorted(undisturbed) == _sorted(alone)
    assert _took(undisturbed, since=beside) == pytest.approx(_took(alone, since=alone), rel=0.1)


def _sorted(rows: list[Any]) -> list[dict[str, Any]]:
    return sorted(map(but_times, rows), key=repr)


def _took(rows: list[Any], *, since: list[Any]) -> float:
    """Seconds until the last conversation of *rows* ended, since the first of a scan began."""
    began = min(row.started_at for row in since if isinstance(row, Conversation))
    return max(
        (row.started_at - began).total_seconds() + row.elapsed_ms / 1000
        for row in rows
        if isinstance(row, Conversation)
    )


def _domain_of(row: Any) -> str:
    name: str = getattr(row, "domain", None) or row.host
    return ".".join(name.split(".")[-2:])
