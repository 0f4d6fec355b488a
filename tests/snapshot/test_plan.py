"""What each pass asks next, over rows that stand for what earlier passes wrote."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.politeness.destination import prefix_of
from crawler.records import HostTarget, MailTarget, NameTarget, PolicyTarget
from crawler.snapshot import duck, gather, plan
from crawler.snapshot.memory import MemoryWork
from crawler.snapshot.plan import Planning
from crawler.snapshot.views import open_views
from crawler.vocabulary import DnsStatus, IoStatus, Question, Scope, Stage, TxtKind
from tests import rows


def planning(**changes: Any) -> Planning:
    facts: dict[str, Any] = {
        "seed": "s",
        "mx_hosts": 5,
        "addresses_per_family": 2,
        "refusal": lambda a: "private" if a.startswith("10.") else None,
    }
    return Planning(**{**facts, **changes})


def work_of(*some: Any) -> MemoryWork:
    work = MemoryWork(rows.SCAN_ID, seed="s")
    for row in some:
        work.commit("test", {type(row): [row]})
    return work


def planned(work: MemoryWork, target: type[Any], make: Callable[..., Any], *more: Any) -> list[Any]:
    relation = make(work.connect(), *more)
    step = f"step-{target.table}"
    work.plan(step, target, lambda _: relation)
    return sorted(work.targets(step, 0, target), key=str)


ADOPTER = (
    rows.domain("a.example"),
    rows.txt("a.example", rows.STS),
    rows.mx("a.example", (10, "mx.a.example"), (20, "mx.shared.example")),
)
PLAIN = (
    rows.domain("b.example"),
    rows.txt("b.example"),
    rows.mx("b.example", (10, "mx.b.example"), (20, "mx.shared.example")),
)


class TestHosts:
    def test_adopters_scope_takes_hosts_of_domains_with_a_sign_only(self) -> None:
        found = planned(work_of(*ADOPTER, *PLAIN), HostTarget, plan.hosts, planning())
        assert {(t.host, t.mail) for t in found} == {
            ("mta-sts.a.example", False),
            ("mx.a.example", True),
            ("mx.shared.example", True),
        }

    def test_all_scope_adds_mx_hosts_of_the_rest_but_no_policy_hosts(self) -> None:
        found = planned(
            work_of(*ADOPTER, *PLAIN), HostTarget, plan.hosts, planning(scope=Scope.ALL)
        )
        assert {t.host for t in found} == {
            "mta-sts.a.example",
            "mx.a.example",
            "mx.b.example",
            "mx.shared.example",
        }

    def test_a_sample_of_everything_probes_both_kinds_of_host_of_the_rest(self) -> None:
        scope = planning(scope=Scope.SAMPLE, sample_rate=1.0)
        found = planned(work_of(*ADOPTER, *PLAIN), HostTarget, plan.hosts, scope)
        assert "mta-sts.b.example" in {t.host for t in found}

    def test_the_sample_rate_is_kept_to_and_the_seed_decides_who(self) -> None:
        many = [rows.domain(f"d{n}.example") for n in range(400)]

        def drawn(seed: str) -> set[str]:
            scope = planning(scope=Scope.SAMPLE, sample_rate=0.25, seed=seed)
            return {t.host for t in planned(work_of(*many), HostTarget, plan.hosts, scope)}

        assert 60 < len(drawn("one")) < 140
        assert drawn("one") == drawn("one") != drawn("two")

    @pytest.mark.parametrize(
        "sign",
        [
            rows.txt("c.example", (b"V=STSV1",)),
            rows.txt("c.example", rows.TLSRPT, kind=TxtKind.TLS_RPT),
            rows.txt("c.example", cname_chain=("gone.example",)),
        ],
        ids=["a record in the wrong case", "TLSRPT alone", "a dangling CNAME"],
    )
    def test_what_counts_as_a_sign(self, sign: Any) -> None:
        found = planned(work_of(rows.domain("c.example"), sign), HostTarget, plan.hosts, planning())
        assert [t.host for t in found] == ["mta-sts.c.example"]

    def test_unrelated_strings_are_no_sign(self) -> None:
        work = work_of(rows.domain("c.example"), rows.txt("c.example", (b"v=spf1 -all",)))
        assert planned(work, HostTarget, plan.hosts, planning()) == []

    def test_many_mx_hosts_are_looked_up_to_a_bound_and_an_implicit_mx_is_the_domain(self) -> None:
        many = [(n, f"mx{n:03}.many.example") for n in range(500, 0, -1)]
        work = work_of(
            rows.domain("many.example"),
            rows.txt("many.example", rows.STS),
            rows.mx("many.example", *many),
            rows.domain("bare.example"),
            rows.txt("bare.example", rows.STS),
            rows.mx("bare.example"),
        )
        found = planned(work, HostTarget, plan.hosts, planning())
        mail = {t.host for t in found if t.mail}
        assert mail == {"bare.example", *(f"mx{n:03}.many.example" for n in range(1, 65))}

    def test_the_root_of_a_null_mx_is_never_looked_up(self) -> None:
        work = work_of(
            rows.domain("n.example"),
            rows.txt("n.example", rows.STS),
            rows.mx("n.example", (0, ""), null_mx=True),
        )
        assert [t.host for t in planned(work, HostTarget, plan.hosts, planning())] == [
            "mta-sts.n.example"
        ]


class TestConversations:
    def with_addresses(self, *found: str) -> MemoryWork:
        return work_of(
            *ADOPTER,
            rows.addresses("mta-sts.a.example", *found, cname_chain=("hosted.example",)),
            rows.addresses("mx.a.example", *found),
        )

    def test_a_policy_is_fetched_at_the_first_address_ipv4_before_ipv6(self) -> None:
        work = self.with_addresses("192.0.2.2", "192.0.2.1", "2001:db8::1")
        (target,) = planned(work, PolicyTarget, plan.policies, planning())
        assert (target.domain, target.address) == ("a.example", "192.0.2.1")
        assert target.aliases == ("hosted.example",)

    def test_both_families_on_request(self) -> None:
        work = self.with_addresses("192.0.2.2", "192.0.2.1", "2001:db8::1")
        found = planned(work, PolicyTarget, plan.policies, planning(both_families=True))
        assert {t.address for t in found} == {"192.0.2.1", "2001:db8::1"}

    def test_an_address_that_may_not_be_dialled_is_listed_and_hides_none_that_may(self) -> None:
        work = self.with_addresses("10.0.0.1", "192.0.2.2", "192.0.2.1")
        found = planned(work, PolicyTarget, plan.policies, planning())
        assert {t.address for t in found} == {"10.0.0.1", "192.0.2.1"}

    def test_mail_goes_to_two_addresses_of_each_family(self) -> None:
        work = self.with_addresses(
            "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2", "2001:db8::3"
        )
        found = planned(work, MailTarget, plan.mail, planning())
        assert {t.address for t in found} == {
            "192.0.2.1",
            "192.0.2.2",
            "2001:db8::1",
            "2001:db8::2",
        }

    def test_only_the_first_mx_hosts_by_preference_are_contacted(self) -> None:
        many = [(n, f"mx{n}.many.example") for n in range(9, 0, -1)]
        work = work_of(
            rows.domain("many.example"),
            rows.txt("many.example", rows.STS),
            rows.mx("many.example", *many),
            *(rows.addresses(host, f"192.0.2.{n}") for n, host in many),
        )
        found = planned(work, MailTarget, plan.mail, planning(mx_hosts=2))
        assert {t.host for t in found} == {"mx1.many.example", "mx2.many.example"}

    def test_a_shared_mx_host_is_greeted_once(self) -> None:
        second = (
            rows.domain("b.example"),
            rows.txt("b.example", rows.STS),
            rows.mx("b.example", (1, "mx.shared.example")),
        )
        work = work_of(*ADOPTER, *second, rows.addresses("mx.shared.example", "192.0.2.9"))
        assert len(planned(work, MailTarget, plan.mail, planning())) == 1


class TestAgain:
    def test_only_transient_lookups_are_asked_again_with_their_attempts(self) -> None:
        work = work_of(
            rows.txt("a.example", status=DnsStatus.SERVFAIL, attempt=3),
            rows.txt("b.example"),
            rows.mx("c.example", status=DnsStatus.TIMEOUT, attempt=2, implicit_mx=False),
        )
        assert planned(work, NameTarget, plan.names_again) == [
            NameTarget(domain="a.example", question=Question.MTA_STS, attempts=3),
            NameTarget(domain="c.example", question=Question.MX, attempts=2),
        ]

    def test_a_lookup_that_succeeded_later_is_not_asked_again(self) -> None:
        work = work_of(
            rows.txt("a.example", status=DnsStatus.SERVFAIL, attempt=3),
            rows.txt("a.example", rows.STS, attempt=4),
        )
        assert planned(work, NameTarget, plan.names_again) == []

    def test_one_failed_family_asks_for_the_addresses_again_and_for_tlsa_with_them(self) -> None:
        work = work_of(
            rows.addresses("mx.example", "192.0.2.1", status_ipv6=DnsStatus.SERVFAIL, attempt=2),
            rows.tlsa("mx.example", attempt=1),
        )
        (target,) = planned(work, HostTarget, plan.hosts_again)
        assert (target.ask_addresses, target.mail) == (True, True)
        assert (target.address_attempts, target.tlsa_attempts) == (2, 1)

    def test_a_failed_tlsa_question_alone_is_asked_again_at_the_end_of_the_alias(self) -> None:
        work = work_of(
            rows.addresses("mx.example", "192.0.2.1", cname_chain=("one.example", "two.example")),
            rows.tlsa("mx.example", status=DnsStatus.SERVFAIL, attempt=3),
        )
        (target,) = planned(work, HostTarget, plan.hosts_again)
        assert (target.ask_addresses, target.mail) == (False, True)
        assert (target.expanded, target.tlsa_attempts) == ("two.example", 3)

    def test_conversations_keep_their_aliases_for_a_late_opt_out(self) -> None:
        work = work_of(
            rows.addresses("mta-sts.a.example", "192.0.2.1", cname_chain=("hosted.example",)),
            rows.fetch("a.example", "192.0.2.1", status=IoStatus.CONNECTION_TIMEOUT),
            rows.session(
                "mx.example", "192.0.2.2", status=IoStatus.HANDSHAKE_ERROR, stage=Stage.TLS
            ),
            rows.session("mx.example", "192.0.2.3", status=IoStatus.IO_TIMEOUT, stage=Stage.BANNER),
        )
        assert planned(work, PolicyTarget, plan.policies_again) == [
            PolicyTarget(
                domain="a.example",
                host="mta-sts.a.example",
                address="192.0.2.1",
                aliases=("hosted.example",),
                attempts=1,
            )
        ]
        assert [t.address for t in planned(work, MailTarget, plan.mail_again)] == ["192.0.2.3"]


class TestEvidence:
    def test_a_domain_out_of_scope_sees_nothing_of_what_its_neighbours_had_probed(self) -> None:
        work = work_of(
            *ADOPTER,
            *PLAIN,
            rows.addresses("mx.shared.example", "192.0.2.9"),
            rows.tlsa("mx.shared.example"),
        )
        inside, outside = gather.domains(work.connect(), planning())
        assert [h.host for h in inside.hosts] == ["mx.a.example", "mx.shared.example"]
        assert inside.hosts[1].addresses is not None
        assert [h.addresses for h in outside.hosts] == [None, None]
        assert outside.policy_addresses is None

    def test_it_does_not_matter_how_many_domains_are_gathered_at_once(self) -> None:
        work = work_of(
            *ADOPTER,
            *PLAIN,
            rows.addresses("mx.shared.example", "192.0.2.9"),
            rows.fetch("a.example", "192.0.2.1"),
        )
        everybody = planning(scope=Scope.ALL)
        one_by_one = list(gather.domains(work.connect(), everybody, at_once=1))
        assert repr(one_by_one) == repr(list(gather.domains(work.connect(), everybody)))
        first, second = ({h.host: h for h in e.hosts} for e in one_by_one)
        # Who has the same MX hosts is known by the object, across slices too.
        assert first["mx.shared.example"] is second["mx.shared.example"]

    def test_every_domain_of_the_list_has_evidence_even_without_a_single_answer(self) -> None:
        (only,) = gather.domains(work_of(rows.domain("z.example")).connect(), planning())
        assert (only.domain, only.sts, only.mx, only.hosts) == ("z.example", None, None, ())


@given(st.lists(st.ip_addresses(), min_size=2, max_size=20))
def test_sql_and_python_agree_on_which_addresses_share_a_destination(found: list[Any]) -> None:
    # The shard key of a pass and the prefix that the gate counts by: whoever shares one must
    # share the other, or two shards would talk to one destination.
    texts = [str(ip_address(a)) for a in found]
    connection = duck.connect(spill=Path(tempfile.gettempdir()))
    open_views(connection, {}, seed="s")
    keys = {
        text: connection.execute("SELECT prefix_of(?)", [text]).fetchall()[0][0] for text in texts
    }
    for one in texts:
        for other in texts:
            assert (keys[one] == keys[other]) == (prefix_of(one) == prefix_of(other))
