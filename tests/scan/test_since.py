"""A scan since an earlier one: what it asks again, what it carries over, and what it says of it.

The logs of the servers are the oracle of who was visited.
"""

from __future__ import annotations

import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crawler.config import Since, Vantage
from crawler.politeness.opt_out import OptOutList
from crawler.records import (
    Assessment,
    Certificate,
    MailVerdict,
    PolicyFetch,
    PolicyVerdict,
    StarttlsSession,
)
from crawler.scan.progress import Progress
from crawler.scan.request import LATEST, RequestError
from crawler.scan.run import Outcome, WorkRemainsError, seal_scan
from crawler.snapshot.damage import DamagedError
from crawler.snapshot.purge import purge
from crawler.snapshot.share import Share
from crawler.snapshot.store import StoreError
from crawler.vocabulary import Due, IoStatus
from tests.net.hosts import answering, mail_host, response
from tests.net.nameserver import Asked, Script, Sent
from tests.net.servers import AUTHORITY, Server
from tests.probe.lookup_world import records
from tests.scan.small_world import (
    EPOCH,
    RECORD,
    Site,
    World,
    but_times,
    good_policy,
    good_site,
    open_world,
    repeated,
    rows_of,
    run_scan,
    still,
    virtual_time,
)

pytestmark = pytest.mark.anyio

WEEK = timedelta(days=7)
NO_SAMPLE = Since(sample=0.0)

CONVERSATIONS = (PolicyFetch, StarttlsSession)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


REMAINS = pytest.RaisesGroup(WorkRemainsError, flatten_subgroups=True)


def fails(kind: type[Exception], text: str) -> pytest.RaisesGroup[Exception]:
    return pytest.RaisesGroup(pytest.RaisesExc(kind, match=text), flatten_subgroups=True)


class Weeks:
    """A world in which something happens between two weeks."""

    second = False

    def then(self, before: Script, after: Script) -> Script:
        """What the DNS says in the first week, and in the second."""

        def script(asked: Asked) -> Iterable[Sent]:
            return (after if self.second else before)(asked)

        return script

    def sites(self) -> list[Site]:
        """A domain for every reason to ask again, and one without any."""
        new_record = records('"v=STSv1; id=2;"')
        new_alias = records("127.101.0.3", aliases=("elsewhere.example",))
        old_tlsa, new_tlsa = (records(f"3 1 1 {64 * d}", ad=True) for d in "ab")
        return [
            good_site("same"),
            good_site("new-record", zone={("_mta-sts", "TXT"): self.then(RECORD, new_record)}),
            good_site(
                "new-alias", zone={("mx", "A"): self.then(records("127.101.0.3"), new_alias)}
            ),
            good_site("new-tlsa", zone={("_25._tcp.mx", "TLSA"): self.then(old_tlsa, new_tlsa)}),
            replace(
                good_site("no-policy"), policy=still(answering(response(b"", status=b"404 No")))
            ),
            short_lived("expires"),
        ]


DUE = {
    "same": (None, None),
    "new-record": (Due.CHANGED, None),
    "new-alias": (None, Due.CHANGED),
    "new-tlsa": (None, Due.CHANGED),
    "no-policy": (Due.WRONG, None),
    "expires": (Due.EXPIRED, Due.EXPIRED),
}
"""Why the policy host and the MX host of each site are visited again."""


def short_lived(label: str) -> Site:
    """A domain whose certificate expires between the two weeks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = (f"mta-sts.{label}.example", f"mx.{label}.example")
    AUTHORITY.issue_cert(*names, not_after=EPOCH + WEEK / 2).configure_cert(context)
    policy = good_policy(f"{label}.example")(context=context)
    return Site(label=label, policy=still(policy), mail=still(mail_host(context=context)))


def visits(world: World) -> dict[str, tuple[int, int]]:
    """How often the two hosts of each site have been visited."""

    def of(server: Server) -> int:
        return len(server.visits)

    return {
        s.label: (of(world.policy_host(s.label)), of(world.mail_host(s.label))) for s in world.sites
    }


async def visited(world: World, *args: Any, **kwargs: Any) -> tuple[Outcome, Counter[str]]:
    """Scan, and say whose policy hosts ("label/p") and MX hosts ("label/m") have been visited."""
    before = visits(world)
    outcome = await run_scan(world, *args, **kwargs)
    found = Counter[str]()
    for label, (policy, mail) in visits(world).items():
        found[f"{label}/p"] = policy - before[label][0]
        found[f"{label}/m"] = mail - before[label][1]
    return outcome, +found


@asynccontextmanager
async def second_week(folder: Path) -> AsyncIterator[tuple[World, Outcome]]:
    """A world that was scanned, as "first", before the things happened that ``DUE`` tells."""
    weeks = Weeks()
    async with open_world(folder, weeks.sites()) as world:
        world.config = replace(world.config, since=NO_SAMPLE)
        first = await run_scan(world, folder, scan_id="first")
        weeks.second = True
        yield world, first


def carried(outcome: Outcome) -> dict[type[Any], dict[tuple[str, ...], str | None]]:
    """Of every conversation the scan that it was carried over from."""
    return {
        cls: {(row.host, row.address): row.carried_from for row in rows_of(outcome, cls)}
        for cls in CONVERSATIONS
    }


def due(outcome: Outcome) -> dict[str, tuple[Due | None, Due | None]]:
    """The reasons as the rows give them, by the label of the site."""
    policies = {row.domain.partition(".")[0]: row.due for row in rows_of(outcome, PolicyFetch)}
    mail = {row.host.split(".")[1]: row.due for row in rows_of(outcome, StarttlsSession)}
    return {label: (reason, mail[label]) for label, reason in policies.items()}


async def test_who_has_a_reason_is_visited_and_nobody_else(tmp_path: Path) -> None:
    async with second_week(tmp_path) as (world, first):
        second, seen = await visited(
            world, tmp_path, scan_id="second", since="first", at=EPOCH + WEEK
        )
        assert due(second) == DUE
        expected = {f"{s}/p": 1 for s, (policy, _) in DUE.items() if policy}
        expected |= {f"{s}/m": 1 for s, (_, mail) in DUE.items() if mail}
        assert seen == expected
        for cls in CONVERSATIONS:
            known = {(row.host, row.address): row for row in rows_of(first, cls)}
            for row in rows_of(second, cls):
                assert row.scan_id == "second"
                if row.due is None:  # the row of the first scan, times and all
                    was = known[row.host, row.address]
                    assert row == replace(was, scan_id="second", carried_from="first")
                else:
                    assert row.carried_from is None
                    assert row.started_at >= EPOCH + WEEK
        stated = json.loads((second.folder.path / "manifest.json").read_text())
        assert stated["since"] == "first"
        assert stated["schema_version"] == "1.3"


async def test_it_is_judged_as_a_scan_that_asked_everybody(tmp_path: Path) -> None:
    async with second_week(tmp_path) as (world, _):
        since = await run_scan(world, tmp_path, since="first", at=EPOCH + WEEK)
        anew, seen = await visited(world, tmp_path, scan_id="anew", at=EPOCH + WEEK)
        assert sum(seen.values()) == 2 * len(world.sites)
    for cls in (Assessment, PolicyVerdict, MailVerdict, Certificate):
        ours, theirs = ([but_times(row) for row in rows_of(o, cls)] for o in (since, anew))
        assert ours == theirs, cls


async def test_a_fact_keeps_the_scan_that_observed_it(tmp_path: Path) -> None:
    """Through a third scan too, until it is too old."""
    async with second_week(tmp_path) as (world, _):
        await run_scan(world, tmp_path, scan_id="second", since="first", at=EPOCH + WEEK)
        third, seen = await visited(
            world, tmp_path, scan_id="third", since="second", at=EPOCH + 2 * WEEK
        )
        found = carried(third)[StarttlsSession]
        labels = {host.split(".")[1]: scan for (host, _), scan in found.items()}
        # A certificate that had expired when it was seen is wrong, and was so in the second scan.
        assert labels == {
            "same": "first",
            "new-record": "first",
            "new-alias": "second",
            "new-tlsa": "second",
            "no-policy": "first",
            "expires": None,
        }
        assert seen == {"no-policy/p": 1, "expires/p": 1, "expires/m": 1}
        fourth, seen = await visited(
            world, tmp_path, scan_id="fourth", since="third", at=EPOCH + 5 * WEEK
        )
        reasons = due(fourth)
        assert reasons["same"] == (Due.OLD, Due.OLD)
        assert reasons["new-tlsa"] == (Due.OLD, None)
        assert {"same/p", "same/m"} < set(seen)


async def test_the_sample_is_asked_although_nothing_has_changed(tmp_path: Path) -> None:
    async with second_week(tmp_path) as (world, _):
        everything = replace(world.config, since=Since(sample=1.0))
        outcome, seen = await visited(world, tmp_path, everything, since="first", at=EPOCH + WEEK)
        assert sum(seen.values()) == 2 * len(world.sites)
        assert due(outcome) == {
            label: tuple(reason or Due.SAMPLE for reason in reasons)
            for label, reasons in DUE.items()
        }


async def test_each_scan_draws_another_sample(tmp_path: Path) -> None:
    sites = [good_site(f"site{n}") for n in range(12)]
    async with open_world(tmp_path, sites) as world:
        await run_scan(world, tmp_path, scan_id="first")
        half = replace(world.config, since=Since(sample=0.5))
        drawn = []
        for scan_id in ("second", "third"):
            outcome, seen = await visited(
                world, tmp_path, half, scan_id=scan_id, since="first", at=EPOCH + WEEK
            )
            drawn.append(set(seen))
            assert len(seen) == sum(
                row is None for t in carried(outcome).values() for row in t.values()
            )
        assert all(0 < len(some) < 24 for some in drawn)
        assert drawn[0] != drawn[1]


async def test_what_another_vantage_observed_is_not_carried_over(tmp_path: Path) -> None:
    async with second_week(tmp_path) as (world, _):
        elsewhere = replace(world.config, vantage=Vantage(name="elsewhere"))
        outcome, seen = await visited(world, tmp_path, elsewhere, since="first", at=EPOCH + WEEK)
        assert set(due(outcome).values()) == {(Due.NEW, Due.NEW)}
        assert sum(seen.values()) == 2 * len(world.sites)


async def test_a_domain_that_is_new_on_the_list(tmp_path: Path) -> None:
    async with second_week(tmp_path) as (world, _):
        world.sites, everybody = world.sites[1:], world.sites
        await run_scan(world, tmp_path, scan_id="without", at=EPOCH + WEEK)
        world.sites = everybody
        outcome, seen = await visited(world, tmp_path, since="without", at=EPOCH + WEEK)
        assert due(outcome)["same"] == (Due.NEW, Due.NEW)
        assert {"same/p", "same/m"} < set(seen)


@pytest.mark.parametrize("entry", ["same.example", "elsewhere.example"])
async def test_who_has_opted_out_since_is_neither_visited_nor_carried_over(
    tmp_path: Path, entry: str
) -> None:
    async with second_week(tmp_path) as (world, _):
        file = tmp_path / "opt-out.txt"
        file.write_text(f"{entry}\n")
        config = replace(world.config, politeness=replace(world.config.politeness, opt_out=file))
        outcome, seen = await visited(world, tmp_path, config, since="first", at=EPOCH + WEEK)
    rows = [row for cls in CONVERSATIONS for row in rows_of(outcome, cls)]
    out = [row for row in rows if row.status is IoStatus.OPTED_OUT]
    assert all(row.carried_from is None for row in out)
    targets = {(type(row), row.host, row.address) for row in rows}
    assert len(targets) == len(rows)
    if entry == "same.example":
        assert "same/p" not in seen
        assert not any("same.example" in row.host for row in rows if row not in out)
    else:
        assert {row.host for row in out} == {"mx.new-alias.example"}


async def test_what_was_emptied_in_the_earlier_scan_is_asked_again(tmp_path: Path) -> None:
    """A policy that names who has opted out is emptied by a purge, and was judged right before."""
    lines = ("version: STSv1", "mode: testing", "mx: mx.other.example", "max_age: 86400", "")
    policy = response("\r\n".join(lines).encode(), b"Content-Type: text/plain")
    site = replace(good_site("same"), policy=partial(answering, policy))
    async with open_world(tmp_path, [site]) as world:
        world.config = replace(world.config, since=NO_SAMPLE)
        first = await run_scan(world, tmp_path, scan_id="first")
        with first.folder.lock():
            assert purge(first.folder, OptOutList.parse("other.example"), EPOCH)
        second, seen = await visited(world, tmp_path, since="first", at=EPOCH + WEEK)
    assert seen == {"same/p": 1}
    assert due(second) == {"same": (Due.WRONG, None)}
    (fetch,) = rows_of(second, PolicyFetch)
    assert fetch.status is IoStatus.SUCCESS


async def test_what_a_wrong_clock_observed_in_a_time_to_come_does_not_stand(tmp_path: Path) -> None:
    async with open_world(tmp_path, [good_site("same")]) as world:
        world.config = replace(world.config, since=NO_SAMPLE)
        await run_scan(world, tmp_path, scan_id="first", at=EPOCH + 52 * WEEK)
        second, seen = await visited(world, tmp_path, since="first", at=EPOCH + WEEK)
    assert seen == {"same/p": 1, "same/m": 1}
    assert due(second) == {"same": (Due.OLD, Due.OLD)}


async def test_shares_carry_over_once(tmp_path: Path) -> None:
    async with second_week(tmp_path) as (world, _):
        request = {"since": "first", "scan_id": "shared", "at": EPOCH + WEEK}
        whole = await run_scan(world, tmp_path, since="first", scan_id="whole", at=EPOCH + WEEK)
        for _ in range(3):
            for index in range(2):
                with suppress(BaseExceptionGroup):  # work remains
                    await run_scan(world, tmp_path, share=Share(index, 2), **request)
        shared = await seal_scan(tmp_path / "archive", "shared", Progress(quiet=True))
    for cls in (*CONVERSATIONS, Assessment):
        ours, theirs = (sorted(map(repr, map(but_times, rows_of(o, cls)))) for o in (shared, whole))
        assert ours == theirs


async def test_what_the_disk_lost_is_carried_over_again(tmp_path: Path) -> None:
    """A part of what was carried over is damaged in an unsealed scan: the earlier scan has it."""
    async with second_week(tmp_path) as (world, _):
        request = {"since": "first", "scan_id": "lost", "at": EPOCH + WEEK}
        for only in ("names", "hosts", "policies"):
            with REMAINS:
                await run_scan(world, tmp_path, only=only, **request)
        (part,) = (tmp_path / "archive").glob("scan=lost/policy_fetches/part-carried-*")
        part.write_bytes(part.read_bytes()[:-1])
        outcome, seen = await visited(world, tmp_path, **request)
        assert due(outcome) == DUE
        assert not any(target.endswith("/p") for target in seen)


async def test_what_has_a_row_is_not_carried_over_beside_it(tmp_path: Path) -> None:
    """Somebody was left alone when it was carried over, and the disk has lost some of the rest."""
    async with second_week(tmp_path) as (world, _):
        file = tmp_path / "opt-out.txt"
        file.write_text(f"{world.addresses['same'][0]}\n")
        politeness = replace(world.config.politeness, opt_out=file)
        world.config = replace(world.config, politeness=politeness)
        request = {"since": "first", "scan_id": "lost", "at": EPOCH + WEEK}
        for only in ("names", "hosts", "policies"):
            with REMAINS:
                await run_scan(world, tmp_path, only=only, **request)
        file.write_text("")
        (part,) = (tmp_path / "archive").glob("scan=lost/policy_fetches/part-carried-*")
        part.unlink()
        outcome = await run_scan(world, tmp_path, **request)
    fetches = rows_of(outcome, PolicyFetch)
    assert [row.domain for row in fetches if row.status is IoStatus.OPTED_OUT] == ["same.example"]
    assert repeated(fetches) == []


async def test_what_a_scan_is_judged_with_is_what_it_has_begun_with(tmp_path: Path) -> None:
    async with open_world(tmp_path, [good_site("same")]) as world:
        with REMAINS:
            await run_scan(world, tmp_path, only="names")
        (roots,) = (tmp_path / "archive").glob("scan=*/trust-roots.pem")
        roots.write_bytes(b"")
        with fails(DamagedError, r"trust-roots\.pem is not as it was written"):
            await run_scan(world, tmp_path)


async def test_latest_is_the_newest_sealed_scan_of_the_vantage(tmp_path: Path) -> None:
    async with second_week(tmp_path) as (world, _):
        elsewhere = replace(world.config, vantage=Vantage(name="elsewhere"))
        none, _ = await visited(world, tmp_path, elsewhere, since=LATEST, at=EPOCH + WEEK)
        assert manifest_of(none)["since"] is None  # the first scan of a census carries over nothing
        second = await run_scan(world, tmp_path, scan_id="a", since=LATEST, at=EPOCH + WEEK)
        assert manifest_of(second)["since"] == "first"
        with REMAINS:
            await run_scan(
                world, tmp_path, scan_id="b", since=LATEST, only="names", at=EPOCH + WEEK
            )
        await run_scan(world, tmp_path, scan_id="c", since="a", at=EPOCH + 2 * WEEK)
        # Another list is no news of this one.
        (tmp_path / "customers.csv").write_text("same.example\n")
        other = (str(tmp_path / "customers.csv"),)
        customers = await run_scan(world, tmp_path, scan_id="d", since=LATEST, sources=other)
        assert manifest_of(customers)["since"] is None
        # It goes on with what it has begun with.
        third = await run_scan(world, tmp_path, scan_id="b", since=LATEST, at=EPOCH + 2 * WEEK)
        assert manifest_of(third)["since"] == "a"


def manifest_of(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((outcome.folder.path / "manifest.json").read_text())
    return found


async def test_scans_of_another_version_or_none_are_not_the_latest(tmp_path: Path) -> None:
    async with second_week(tmp_path) as (world, first):
        other = tmp_path / "archive" / "scan=other"
        other.mkdir()
        stated = json.loads((first.folder.path / "manifest.json").read_text())
        later = {**stated, "schema_version": "2.0", "list": None, "vantage": None}
        (other / "manifest.json").write_text(json.dumps(later))
        outcome = await run_scan(world, tmp_path, since=LATEST, at=EPOCH + WEEK)
        assert manifest_of(outcome)["since"] == "first"
        (other / "manifest.json").write_bytes(b"")
        with fails(StoreError, r"scan=other/manifest\.json cannot be read"):
            await run_scan(world, tmp_path, since=LATEST, at=EPOCH + 2 * WEEK)


async def test_an_earlier_scan_that_is_not_to_be_had(tmp_path: Path) -> None:
    async with second_week(tmp_path) as (world, first):
        with fails(RequestError, r"--since none: .* it holds: first"):
            await run_scan(world, tmp_path, since="none")
        with REMAINS:
            await run_scan(world, tmp_path, scan_id="begun", only="names")
        with fails(RequestError, "no sealed scan of that name"):
            await run_scan(world, tmp_path, since="begun")
        with fails(RequestError, "begun with another list"):
            await run_scan(world, tmp_path, scan_id="begun", since="first")
        for only in ("names", "hosts"):
            with REMAINS:
                await run_scan(
                    world, tmp_path, scan_id="since", since="first", only=only, at=EPOCH + WEEK
                )
        stated = first.folder.path / "manifest.json"
        text = stated.read_text()
        stated.write_text(text.replace('"schema_version": "1.3"', '"schema_version": "2.0"'))
        with fails(RequestError, r"schema version 2\.0"):
            await run_scan(world, tmp_path, since="first")
        stated.unlink()
        # It is asked for again when the disk has lost what was carried over.
        (part,) = (tmp_path / "archive").glob("scan=since/policy_fetches/part-carried-*")
        part.unlink()
        with fails(StoreError, "scan first, which this scan carries over from"):
            await seal_scan(tmp_path / "archive", "since", Progress(quiet=True))
