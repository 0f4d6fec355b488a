"""A scan in its folder: planned once, written part by part, resumed behind the last part."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.records import (
    AddressLookup,
    Domain,
    HostTarget,
    MailTarget,
    MxLookup,
    NameTarget,
    StarttlsSession,
    TlsaLookup,
    TxtLookup,
)
from crawler.snapshot import lists, plan
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.lists import domains_unit
from crawler.snapshot.memory import MemoryWork
from crawler.snapshot.sharding import visit_order
from crawler.snapshot.store import Archive, ScanFolder
from crawler.snapshot.suffixes import Suffixes
from crawler.vocabulary import Question, Scope, TxtKind
from tests import rows
from tests.snapshot.test_plan import planning


@pytest.fixture
def folder(tmp_path: Path) -> ScanFolder:
    made = Archive(tmp_path).create_scan(rows.SCAN_ID)
    made.commit(domains_unit(0), {Domain: [rows.domain("a.example")]})
    made.commit(domains_unit(1), {Domain: [rows.domain("b.example")]})
    return made


@pytest.fixture
def work(folder: ScanFolder) -> FolderWork:
    return FolderWork(folder, seed="s")


def test_the_first_round_of_names_asks_three_questions_about_each_domain(work: FolderWork) -> None:
    assert work.domain_shards() == [0, 1]
    assert work.targets("names-r0", 1, NameTarget) == ["b.example"]
    assert plan.questions(["b.example"]) == len(Question)


def test_what_was_committed_before_a_crash_is_not_asked_again(work: FolderWork) -> None:
    work.commit("names-r0-00000", {TxtLookup: [rows.txt("a.example", rows.STS)]})
    work.commit("names-r0-00000", {MxLookup: [rows.mx("a.example", (1, "mx.example"))]})
    again = FolderWork(work.folder, seed="s")
    assert not again.finished("names-r0-00000")
    (left,) = again.targets("names-r0", 0, NameTarget)
    assert left.question is Question.TLS_RPT


def test_a_domain_of_which_everything_was_committed_is_not_visited(work: FolderWork) -> None:
    both = [rows.txt("a.example", kind=kind) for kind in TxtKind]
    work.commit("names-r0-00000", {TxtLookup: both, MxLookup: [rows.mx("a.example")]})
    assert FolderWork(work.folder, seed="s").targets("names-r0", 0, NameTarget) == []


def test_domains_are_visited_in_an_order_that_the_seed_decides(tmp_path: Path) -> None:
    listed = [f"d{n}.example" for n in range(50)]
    (tmp_path / "list").write_text("\n".join(listed))
    folder = Archive(tmp_path).create_scan(rows.SCAN_ID)
    lists.ingest(
        [str(tmp_path / "list")], folder, scan_id=rows.SCAN_ID, seed="s", suffixes=Suffixes(b"")
    )
    memory = MemoryWork(rows.SCAN_ID, seed="s")
    memory.commit("list", {Domain: [rows.domain(name) for name in listed]})
    order = sorted(listed, key=lambda name: visit_order("s", name))
    assert FolderWork(folder, seed="s").targets("names-r0", 0, NameTarget) == order
    assert memory.targets("names-r0", 0, NameTarget) == order


@pytest.mark.parametrize("seed", ["s", "t"])
def test_planned_targets_are_visited_in_an_order_that_the_seed_decides(
    folder: ScanFolder, seed: str
) -> None:
    hosts = [f"mx{n}.example" for n in range(50)]

    def make(connection: plan.Connection) -> plan.Relation:
        values = ", ".join(f"('{host}')" for host in hosts)
        return connection.sql(
            "SELECT host, true AS mail, true AS ask_addresses, NULL::VARCHAR AS expanded, "
            "0::BIGINT AS address_attempts, 0::BIGINT AS tlsa_attempts, host AS shard_key "
            f"FROM (VALUES {values}) AS t(host)"
        )

    for work in (FolderWork(folder, seed=seed), MemoryWork(rows.SCAN_ID, seed=seed)):
        (shard,) = work.plan("hosts-r0", HostTarget, make)
        found = [t.host for t in work.targets("hosts-r0", shard, HostTarget)]
        assert found == sorted(hosts, key=lambda host: visit_order(seed, host))


def test_a_run_that_goes_on_numbers_its_parts_behind_those_that_stand(work: FolderWork) -> None:
    unit = "names-r0-00000"
    work.commit(unit, {TxtLookup: [rows.txt("a.example")]})
    work.commit(unit, {TxtLookup: [rows.txt("b.example")]})
    again = FolderWork(work.folder, seed="s")
    again.commit(unit, {TxtLookup: [rows.txt("c.example")]})
    assert sorted(u for u in work.folder.units() if u.startswith(unit)) == [
        f"{unit}-c000", f"{unit}-c001", f"{unit}-c002",
    ]  # fmt: skip
    again.discard(unit)
    again.commit(unit, {TxtLookup: [rows.txt("d.example")]})
    assert [r.domain for r in work.folder.read(TxtLookup, f"{unit}-c000")] == ["d.example"]


def test_the_last_attempt_of_each_target_is_the_one_of_its_last_round(work: FolderWork) -> None:
    made = [
        {"a.example": 1, "b.example": 2, "c.example": 1},
        {"b.example": 4, "c.example": 3},
        {"c.example": 5},
    ]
    for round_, attempts in enumerate(made):
        for name, attempt in attempts.items():
            work.commit(f"names-r{round_}-00000", {TxtLookup: [rows.txt(name, attempt=attempt)]})
        latest = work.connect().sql("SELECT domain, attempt FROM latest_txt_lookups").fetchall()
        expected: dict[str, int] = {}
        for some in made[: round_ + 1]:
            expected |= some
        assert dict(latest) == expected
        assert len(latest) == len(expected)


def test_parts_that_do_not_tell_their_round_are_sorted_by_attempt(work: FolderWork) -> None:
    work.folder.commit("v0002-00000", {TxtLookup: [rows.txt("a.example", attempt=3)]})
    work.commit("names-r0-00000", {TxtLookup: [rows.txt("a.example", attempt=1)]})
    query = "SELECT attempt FROM latest_txt_lookups"
    assert work.connect().sql(query).fetchall() == [(3,)]


def test_a_host_whose_addresses_stand_is_asked_for_tlsa_only(work: FolderWork) -> None:
    work.commit("names-r0-00000", {MxLookup: [rows.mx("a.example", (1, "mx.example"))]})
    work.plan("hosts-r0", HostTarget, lambda c: plan.hosts(c, planning(scope=Scope.ALL)))
    chain = ("one.example", "two.example")
    found = rows.addresses("mx.example", "192.0.2.1", cname_chain=chain)
    work.commit("hosts-r0-00000", {AddressLookup: [found]})
    (left,) = work.targets("hosts-r0", 0, HostTarget)
    assert (left.host, left.ask_addresses, left.expanded) == ("mx.example", False, chain[-1])
    work.commit("hosts-r0-00000", {TlsaLookup: [rows.tlsa("mx.example")]})
    assert work.targets("hosts-r0", 0, HostTarget) == []


def test_a_unit_is_finished_only_when_it_says_so(work: FolderWork) -> None:
    work.commit("names-r0-00000", {TxtLookup: [rows.txt("a.example", rows.STS)]})
    assert not work.finished("names-r0-00000")
    work.finish("names-r0-00000")
    assert FolderWork(work.folder, seed="s").finished("names-r0-00000")


def test_a_step_is_planned_once_and_read_back_by_a_later_run(work: FolderWork) -> None:
    work.commit(
        "names-r0-00000",
        {
            TxtLookup: [rows.txt("a.example", rows.STS)],
            MxLookup: [rows.mx("a.example", (1, "mx.example"))],
        },
    )
    shards = work.plan("hosts-r0", HostTarget, lambda c: plan.hosts(c, planning()))
    assert shards == [0]

    def unexpected(_: plan.Connection) -> plan.Relation:
        raise AssertionError("planned twice")

    again = FolderWork(work.folder, seed="s")
    assert again.plan("hosts-r0", HostTarget, unexpected) == shards
    found = again.targets("hosts-r0", 0, HostTarget)
    assert {t.host for t in found} == {"mta-sts.a.example", "mx.example"}


def test_nothing_to_ask_is_no_shard(work: FolderWork) -> None:
    assert work.plan("hosts-r0", HostTarget, lambda c: plan.hosts(c, planning())) == []


def test_a_host_counts_as_probed_by_its_addresses(work: FolderWork) -> None:
    work.commit("names-r0-00000", {TxtLookup: [rows.txt("a.example", rows.STS)]})
    work.plan("hosts-r0", HostTarget, lambda c: plan.hosts(c, planning()))
    work.commit("hosts-r0-00000", {AddressLookup: [rows.addresses("mta-sts.a.example")]})
    assert work.targets("hosts-r0", 0, HostTarget) == []


def test_rows_of_one_shard_of_the_domains_are_seen_alone(work: FolderWork) -> None:
    work.commit("names-r0-00000", {TxtLookup: [rows.txt("a.example", rows.STS)]})
    work.commit("names-r0-00001", {TxtLookup: [rows.txt("b.example", rows.STS)]})
    query = "SELECT domain FROM txt_lookups ORDER BY domain"
    assert work.connect(1).sql(query).fetchall() == [("b.example",)]
    assert work.connect().sql(query).fetchall() == [("a.example",), ("b.example",)]


def test_a_later_round_keeps_the_shards_of_the_first(work: FolderWork) -> None:
    work.remember("destinations-shards", 64)
    targets = [MailTarget(host="mx.example", address=f"192.0.{n}.1") for n in range(40)]

    def make(connection: plan.Connection) -> plan.Relation:
        values = ", ".join(f"('{t.host}', '{t.address}')" for t in targets)
        return connection.sql(
            "SELECT host, address, []::VARCHAR[] AS aliases, 0::BIGINT AS attempts, NULL::VARCHAR AS due, "
            f"prefix_of(address) AS shard_key FROM (VALUES {values}) AS t(host, address)"
        )

    first = work.plan("mail-r0", MailTarget, make)
    second = work.plan("mail-r1", MailTarget, make)
    assert first == second
    assert work.plan("policies-r0", MailTarget, make) == first  # the same destinations
    assert len(first) > 1
    assert sum(len(work.targets("mail-r1", s, MailTarget)) for s in second) == 40


def test_discarding_forgets_an_unfinished_unit_and_nothing_else(work: FolderWork) -> None:
    work.commit("mail-r0-00000", {StarttlsSession: [rows.session("mx.example", "192.0.2.1")]})
    work.commit("mail-r0-00001", {StarttlsSession: [rows.session("mx.example", "192.0.3.1")]})
    work.discard("mail-r0-00000")
    assert work.connect().sql("SELECT address FROM starttls_sessions").fetchall() == [
        ("192.0.3.1",)
    ]
