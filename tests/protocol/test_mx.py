"""A domain's MX records: order, the null MX, and targets that are no hosts."""

from __future__ import annotations

import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.protocol import mx
from crawler.protocol.dns_wire import name_to_wire
from crawler.records import MxHost

steady = settings(derandomize=True, deadline=None, max_examples=300)


def hosts(answer: mx.MxAnswer) -> list[tuple[int, str]]:
    return [(each.preference, each.host) for each in answer.hosts]


def test_hosts_come_by_preference_then_by_name_in_normal_form() -> None:
    answer = mx.read([(20, "B.example."), (10, "z.example."), (20, "a.example")])
    assert hosts(answer) == [(10, "z.example"), (20, "a.example"), (20, "b.example")]
    assert answer.candidates == ("z.example", "a.example", "b.example")
    assert not answer.null_mx
    assert answer.problems == ()


def test_no_records_are_no_answer_to_the_question_of_mail() -> None:
    """The implicit MX depends on how the lookup ended, which is not known here."""
    assert mx.read([]) == mx.MxAnswer(hosts=(), null_mx=False, problems=())


def test_records_that_are_equal_once_normalised_are_one() -> None:
    assert hosts(mx.read([(10, "MX.example."), (10, "mx.example")])) == [(10, "mx.example")]


def test_a_host_at_two_preferences_is_two_records_and_one_candidate() -> None:
    answer = mx.read([(20, "mx.example"), (10, "mx.example")])
    assert hosts(answer) == [(10, "mx.example"), (20, "mx.example")]
    assert answer.candidates == ("mx.example",)


@pytest.mark.parametrize("root", ["", "."])
def test_the_root_alone_is_a_null_mx(root: str) -> None:
    """RFC 7505 section 3: one record, preference 0, the root as its target."""
    answer = mx.read([(0, root)])
    assert answer.null_mx
    assert hosts(answer) == [(0, "")]
    assert answer.candidates == ()
    assert answer.problems == ()


def test_a_null_mx_of_another_preference_is_one_still() -> None:
    answer = mx.read([(10, ".")])
    assert answer.null_mx
    assert answer.problems == ("null-mx-preference",)


def test_the_root_beside_a_host_is_no_null_mx() -> None:
    """RFC 7505 section 3 forbids it; a sender tries the host."""
    answer = mx.read([(0, "."), (10, "mx.example")])
    assert not answer.null_mx
    assert answer.candidates == ("mx.example",)
    assert answer.problems == ("root-among-others",)


def test_the_root_twice_is_no_null_mx() -> None:
    """RFC 7505 section 3 has "a single MX RR"; two preferences make two records."""
    answer = mx.read([(0, "."), (10, ".")])
    assert not answer.null_mx
    assert answer.candidates == ()
    assert answer.problems == ("root-among-others",)


@pytest.mark.parametrize(
    ("target", "kept", "why"),
    [
        ("0.0.0.0.", "0.0.0.0", "an address written as a name"),
        ("MX_1.example.com.", "mx_1.example.com", "an underscore"),
        ("*.example.com.", "*.example.com", "a wildcard"),
        ("~.", "~", "a character that no host name has"),
        ("-mx.example.com.", "-mx.example.com", "a hyphen first"),
        ("a..b", "a..b", "an empty label"),
        ("MX 10.example", "mx 10.example", "a space"),
        ("x" * 64, "x" * 64, "a label too long"),
        (r"foo\.", r"foo\.", "a dot that is part of the label"),
        (r"foo\..", r"foo\.", "such a dot, and the root's behind it"),
        (r"\.", r"\.", "nothing but such a dot"),
        (r"foo\\.", r"foo\\", "a backslash, and the root's dot behind it"),
    ],
)
def test_a_target_that_is_no_host_is_kept_and_told(target: str, kept: str, why: str) -> None:
    answer = mx.read([(10, target), (20, "mx.example")])
    assert hosts(answer) == [(10, kept), (20, "mx.example")]
    assert answer.problems == ("not-a-host-name",)


LABELS = st.lists(
    st.binary(min_size=1, max_size=6) | st.sampled_from([b".", b"\\", b"\\.", b"a.", b"mx"]),
    min_size=1,
    max_size=3,
)


@steady
@given(LABELS)
def test_whatever_a_target_is_it_can_be_looked_up(labels: list[bytes]) -> None:
    """Octet for octet what the record said, but for the case of its letters."""
    target = dns.name.Name([*labels, b""])
    (found,) = mx.read([(10, target.to_text(omit_final_dot=True))]).hosts
    assert name_to_wire(found.host) == (target.to_wire() or b"").lower()


RECORDS = st.lists(st.tuples(st.integers(0, 65535), st.text(max_size=12)), max_size=6)


@steady
@given(RECORDS)
def test_the_order_of_records_does_not_matter_and_nothing_raises(
    records: list[tuple[int, str]],
) -> None:
    answer = mx.read(records)
    assert mx.read(records[::-1]) == answer
    assert list(answer.hosts) == sorted(answer.hosts, key=lambda each: (each.preference, each.host))
    assert all(isinstance(each, MxHost) for each in answer.hosts)
    assert set(answer.problems) <= set(mx.PROBLEMS)
    assert not (answer.null_mx and answer.candidates)
