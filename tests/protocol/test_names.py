"""One form for every name, one word for everything that is none."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crawler.protocol import names

steady = settings(derandomize=True, deadline=None, max_examples=300)

LONGEST = ".".join(["a" * 63] * 3 + ["a" * 61])  # 63 + 1 + 63 + 1 + 63 + 1 + 61 = 253

NORMAL = [
    ("example.com", "example.com", "already normal"),
    ("Example.COM", "example.com", "case does not count in the DNS"),
    ("example.com.", "example.com", "the final dot is the root, as zone files write it"),
    ("a", "a", "a top-level domain is a name"),
    ("_mta-sts.example.com", "_mta-sts.example.com", "an underscore is no host, but a name"),
    ("-a-.example", "-a-.example", "hyphens at the edge are no host, but a name"),
    ("1.2.3", "1.2.3", "numbers are labels; only four look like an address"),
    ("1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa", "numbers below a word"),
    (LONGEST, LONGEST, "253 octets as text are 255 on the wire"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example", "an A-label stays"),
    ("xn--a.example", "xn--a.example", "and is not decoded: the DNS does not either"),
    ("bücher.example", "xn--bcher-kva.example", "a U-label becomes an A-label"),
    ("BÜCHER.example", "xn--bcher-kva.example", "in lower case"),
    ("bu\u0308cher.example", "xn--bcher-kva.example", "composed"),
    ("faß.example", "xn--fa-hia.example", "non-transitional: it is not fass"),
    ("bücher\u3002example", "xn--bcher-kva.example", "an ideographic full stop is a dot"),
    ("_mta-sts.bücher.example", "_mta-sts.xn--bcher-kva.example", "underscore beside a U-label"),
    ("\u212a.example", "k.example", "the Kelvin sign maps to k, by UTS 46 and not by accident"),
]

BAD = [
    ("", "empty", "nothing"),
    (".", "empty", "the root is no name to ask about"),
    ("..", "empty-label", "two dots"),
    ("a..b", "empty-label", "nothing between dots"),
    (".a", "empty-label", "the pattern of an old draft"),
    ("a..", "empty-label", "one final dot only"),
    ("\u00ad.example", "empty-label", "a soft hyphen maps to nothing"),
    ("a" * 64, "label-too-long", "64 octets in a label"),
    ("ü" * 60 + ".example", "label-too-long", "60 characters, but more octets as an A-label"),
    (LONGEST + "a", "name-too-long", "254 octets as text"),
    ("ü" * 2000, "name-too-long", "not worth a mapping"),
    ("a b.example", "bad-character", "a space"),
    (" example.com", "bad-character", "white space is the reader's to strip"),
    ("example.com\n", "bad-character", "and a line end"),
    ("*.example.com", "bad-character", "a wildcard is a pattern, not a name"),
    ("user@example.com", "bad-character", "a mail address"),
    ("https://example.com/", "bad-character", "a URL"),
    ("example.com:25", "bad-character", "a port"),
    ("abc.de:25", "bad-character", "a port after hexadecimal letters is no address"),
    ("a\x00.example", "bad-character", "a NUL"),
    ("☃.example", "bad-character", "IDNA 2008 has no symbols"),
    ("\u2100.example", "bad-character", "a compatibility character that maps to a slash"),
    ("\ud800.example", "bad-character", "half of a surrogate pair"),
    ("192.0.2.1", "ip-address", "an IPv4 address"),
    ("192.0.2.1.", "ip-address", "with a dot"),
    ("0.0.0.0.", "ip-address", "an MX target in the wild"),
    ("\uff11\uff19\uff12.0.2.1", "ip-address", "in full-width digits"),
    ("2001:db8::1", "ip-address", "an IPv6 address"),
    ("[192.0.2.1]", "ip-address", "an address literal"),
    ("[IPv6:2001:db8::1]", "ip-address", "an IPv6 address literal"),
]


@pytest.mark.parametrize(("text", "name", "why"), NORMAL, ids=[why for *_, why in NORMAL])
def test_a_name_is_written_in_one_form(text: str, name: str, why: str) -> None:
    assert names.normalise(text) == name


@pytest.mark.parametrize(("text", "reason", "why"), BAD, ids=[why for *_, why in BAD])
def test_what_is_no_name_says_why(text: str, reason: str, why: str) -> None:
    with pytest.raises(names.InvalidName) as raised:
        names.normalise(text)
    assert raised.value.reason == reason
    assert names.host_problem(text) == reason


def test_every_reason_has_an_example() -> None:
    assert {reason for _, reason, _ in BAD} == set(names.REASONS)


ANY_TEXT = st.text(st.characters(), max_size=40) | st.text(
    "aZ0-_.*:[]@ ü。\u00adß\ud800", max_size=40
)


@steady
@given(ANY_TEXT)
@example("xn--")
@example("xn--\u00fc.a")
def test_normalising_any_text_is_final_or_says_why(text: str) -> None:
    """The independent form of a name: labels of 1 to 63 letters, digits, hyphens, underscores."""
    problem = names.host_problem(text)
    if problem in names.REASONS:
        with pytest.raises(names.InvalidName):
            names.normalise(text)
        return
    name = names.normalise(text)
    assert names.normalise(name) == name
    assert names.normalise(name + ".") == name
    assert len(name) <= 253
    assert all(re.fullmatch(r"[a-z0-9_-]{1,63}", label) for label in name.split("."))


@steady
@given(ANY_TEXT)
def test_the_problem_with_a_host_is_one_of_the_list(text: str) -> None:
    assert names.host_problem(text) in {None, *names.HOST_PROBLEMS}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mx.example.com", None),
        ("MX1.Example.com.", None),
        ("localhost", None),
        ("3com.example", None),  # RFC 1123 section 2.1: a digit may come first
        ("a--b.example", None),
        ("_mx.example.com", "underscore"),
        ("mx_1.example.com", "underscore"),
        ("-mx.example.com", "hyphen-at-edge"),
        ("mx-.example.com", "hyphen-at-edge"),
        ("mx.example.-com", "hyphen-at-edge"),
        ("mx.example.com-", "hyphen-at-edge"),
        ("10 mx.example.com", "bad-character"),
        ("~", "bad-character"),
        ("", "empty"),
    ],
)
def test_a_host_name_is_letters_digits_and_inner_hyphens(text: str, problem: str | None) -> None:
    assert names.host_problem(text) == problem


def test_the_parent_of_a_name_leads_to_the_root() -> None:
    assert names.parent("mx.example.com") == "example.com"
    assert names.parent("com") == ""
    assert names.parent("") == ""


@pytest.mark.parametrize(
    ("name", "ancestor", "answer"),
    [
        ("example.com", "example.com", True),
        ("a.b.example.com", "example.com", True),
        ("notexample.com", "example.com", False),  # labels count, not letters
        ("com", "example.com", False),
        ("example.com", "", True),
        ("", "", True),
    ],
)
def test_below_means_by_whole_labels(name: str, ancestor: str, answer: bool) -> None:
    assert names.is_at_or_below(name, ancestor) is answer


def test_the_names_that_are_asked_about_a_domain() -> None:
    assert names.policy_host("example.com") == "mta-sts.example.com"
    assert names.sts_qname("example.com") == "_mta-sts.example.com"
    assert names.tlsrpt_qname("example.com") == "_smtp._tls.example.com"
    assert names.tlsa_qname("mx.example.com") == "_25._tcp.mx.example.com"
    assert names.tlsa_qname("mx.example.com", port=2525) == "_2525._tcp.mx.example.com"
