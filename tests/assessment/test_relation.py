"""How an uncovered MX host is related to the patterns, and which domains show a sign."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.assessment.assess import shows_sign
from crawler.assessment.lookups import has_address
from crawler.assessment.relation import (
    Relation,
    names_policy_host,
    other_family,
    relation,
    within_edits,
    wrong_depth,
)
from crawler.protocol import sts_record, tlsrpt
from crawler.vocabulary import DnsStatus, RecordOutcome, TlsRptOutcome
from tests import rows
from tests.assessment.domains import registrable

RELATIONS = {
    ("mx.a.example", "mail.a.example"): Relation.SAME_DOMAIN,
    ("mx.a.example", "*.deep.a.example"): Relation.SAME_DOMAIN,
    ("mx.a.example", "a.example"): Relation.SAME_DOMAIN,
    ("mx.name.co.uk", "mx.name.com"): Relation.OTHER_SUFFIX,
    ("mx.name.com", "*.name.org"): Relation.OTHER_SUFFIX,
    ("mx.mailhost.com", "mx.mialhost.com"): Relation.TYPO,
    ("mx.mailhost.com", "mx.mailhost24.net"): Relation.UNRELATED,  # two slips and a suffix
    ("com", "mx.a.example"): Relation.UNRELATED,  # a public suffix has no registrable domain
    ("co.uk", "co.uk"): Relation.SAME_DOMAIN,
}


@pytest.mark.parametrize(("pair", "expected"), RELATIONS.items())
def test_relation(pair: tuple[str, str], expected: Relation) -> None:
    host, pattern = pair
    assert relation(host, [pattern], registrable) is expected


DEPTHS = {
    ("*.a.example", "a.example"): True,
    ("*.a.example", "x.y.a.example"): True,
    ("*.a.example", "x.a.example"): False,  # that is covered
    ("*.a.example", "b.example"): False,
    ("*.a.example", "xa.example"): False,
    ("a.example", "x.a.example"): False,  # no wildcard
}


@pytest.mark.parametrize(("pair", "expected"), DEPTHS.items())
def test_wrong_depth(pair: tuple[str, str], expected: bool) -> None:
    assert wrong_depth(*pair) is expected


FAMILIES = {
    ("aspmx.l.google.com", "aspmx2.googlemail.com"): True,
    ("*.googlemail.com", "alt1.aspmx.l.google.com"): True,
    ("*.mail.protection.outlook.com", "a.b-v1.mx.microsoft"): True,
    ("*.google.com", "aspmx.l.google.com"): False,
    ("*.outlook.com", "a.b-v1.mx.microsoft"): False,
    ("*.notgoogle.com", "aspmx2.googlemail.com"): False,
}


@pytest.mark.parametrize(("pair", "expected"), FAMILIES.items())
def test_other_family(pair: tuple[str, str], expected: bool) -> None:
    assert other_family(*pair) is expected


def test_names_policy_host() -> None:
    assert names_policy_host("mta-sts.a.example")
    assert names_policy_host("*.mta-sts.a.example")
    assert not names_policy_host("my-mta-sts.a.example")


def _distance(one: str, other: str) -> int:
    """Levenshtein's distance by its definition."""
    if not one or not other:
        return len(one or other)
    rest = _distance(one[1:], other[1:])
    if one[0] == other[0]:
        return rest
    return 1 + min(rest, _distance(one[1:], other), _distance(one, other[1:]))


_WORDS = st.text("ab.", max_size=6)


@given(_WORDS, _WORDS, st.integers(0, 4))
def test_within_edits_is_levenshtein(one: str, other: str, limit: int) -> None:
    assert within_edits(one, other, limit) is (_distance(one, other) <= limit)


# --- signs ---------------------------------------------------------------------------------

SIGNS = {
    b"v=STSv1; id=1;": True,
    b"v=stsv1": True,
    b"V=STS1": True,
    b"v=sts": True,
    b'"v=STSv1; id=1;"': True,
    b"  v = STSv1": True,
    b"v=TLSRPTv1; rua=mailto:a@b.example": True,
    b"v=tlsrpt": True,
    b"v=spf1 -all": False,
    b"v=st": False,
    b"id=1; v=STSv1": False,
    b"": False,
}


@pytest.mark.parametrize(("string", "sign"), SIGNS.items())
def test_a_string_is_a_sign_in_either_answer(string: bytes, sign: bool) -> None:
    answer = rows.txt("a.example", (string[:4], string[4:]))
    assert shows_sign(answer, None) is sign
    assert shows_sign(None, answer) is sign
    assert shows_sign(rows.txt("a.example", (b"other",)), answer) is sign


def test_an_alias_is_a_sign() -> None:
    dangling = rows.txt("a.example", cname_chain=("b.example",))
    assert shows_sign(dangling, None)
    assert shows_sign(None, dangling)
    assert not shows_sign(rows.txt("a.example"), rows.txt("a.example"))
    assert not shows_sign(None, None)


@given(st.lists(st.lists(st.binary(max_size=12), min_size=1, max_size=2).map(tuple), max_size=3))
def test_whatever_is_not_absent_shows_a_sign(records: list[tuple[bytes, ...]]) -> None:
    begun = [(b"v=STSv1", *strings) for strings in records[:1]] + records[1:]
    for answer in (records, begun):
        shown = shows_sign(rows.txt("a.example", *answer), None)
        if sts_record.select(answer).outcome is not RecordOutcome.ABSENT:
            assert shown
        if tlsrpt.select(answer).outcome is not TlsRptOutcome.ABSENT:
            assert shown


def test_has_address() -> None:
    assert has_address(None) is None
    assert has_address(rows.addresses("a", "192.0.2.1", status_ipv6=DnsStatus.SERVFAIL)) is True
    assert has_address(rows.addresses("a")) is False
    assert has_address(rows.addresses("a", status_ipv6=DnsStatus.SERVFAIL)) is None
