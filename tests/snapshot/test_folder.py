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
    TxtLookup,
)
from crawler.snapshot import plan
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.lists import domains_unit
from crawler.snapshot.store import Archive, ScanFolder
from crawler.vocabulary import Question
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
    targets = work.targets("names-r0", 1, NameTarget)
    assert {(t.domain, t.question) for t in targets} == {("b.example", q) for q in Question}


def test_what_was_committed_before_a_crash_is_not_asked_again(work: FolderWork) -> None:
    work.commit("names-r0-00000", {TxtLookup: [rows.txt("a.example", rows.STS)]})
    work.commit("names-r0-00000", {MxLookup: [rows.mx("a.example", (1, "mx.example"))]})
    again = FolderWork(work.folder, seed="s")
    assert not again.finished("names-r0-00000")
    (left,) = again.targets("names-r0", 0, NameTarget)
    assert left.question is Question.TLS_RPT


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
    work.remember("mail-shards", 64)
    targets = [MailTarget(host="mx.example", address=f"192.0.{n}.1") for n in range(40)]

    def make(connection: plan.Connection) -> plan.Relation:
        values = ", ".join(f"('{t.host}', '{t.address}')" for t in targets)
        return connection.sql(
            "SELECT host, address, []::VARCHAR[] AS aliases, 0::BIGINT AS attempts, "
            f"prefix_of(address) AS shard_key FROM (VALUES {values}) AS t(host, address)"
        )

    first = work.plan("mail-r0", MailTarget, make)
    second = work.plan("mail-r1", MailTarget, make)
    assert first == second
    assert len(first) > 1
    assert sum(len(work.targets("mail-r1", s, MailTarget)) for s in second) == 40


def test_discarding_forgets_an_unfinished_unit_and_nothing_else(work: FolderWork) -> None:
    work.commit("mail-r0-00000", {StarttlsSession: [rows.session("mx.example", "192.0.2.1")]})
    work.commit("mail-r0-00001", {StarttlsSession: [rows.session("mx.example", "192.0.3.1")]})
    work.discard("mail-r0-00000")
    assert work.connect().sql("SELECT address FROM starttls_sessions").fetchall() == [
        ("192.0.3.1",)
    ]
