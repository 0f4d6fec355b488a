"""RFC 8461 section 4.1: which MX hosts a pattern covers, and what is no pattern at all."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crawler.protocol import mx_match

steady = settings(derandomize=True, deadline=None, max_examples=300)

LONG = "a" * 63

VECTORS = [
    ("mail.example.com", "mail.example.com", True, "the same name"),
    ("mail.example.com", "mail2.example.com", False, "another name"),
    ("mail.example.com", "a.mail.example.com", False, "a name covers itself only"),
    ("mail.example.com", "example.com", False, "and not what is above it"),
    ("*.example.com", "mail.example.com", True, "the RFC's example"),
    ("*.example.com", "example.com", False, "the RFC's example: one label, not none"),
    ("*.example.com", "foo.bar.example.com", False, "the RFC's example: one label, not two"),
    ("*.example.com", "mailexample.com", False, "a label, not letters"),
    ("*.example.com", "mail.example.net", False, "another parent"),
    ("*.example.com", "*.example.com", False, "a pattern is no host"),
    ("*.example.com", ".example.com", False, "an empty label is no label"),
    ("*.com", "example.com", True, "nothing in 4.1 forbids a wildcard just below the root"),
    ("*.com", "com", False, "one label, not none"),
    ("*.mail.protection.outlook.com", "example-com.mail.protection.outlook.com", True, "common"),
    ("MAIL.Example.com", "mail.eXample.COM", True, "case does not count"),
    ("*.Example.com", "MAIL.example.com", True, "case does not count below a wildcard"),
    ("mail.example.com", "mail.example.com.", True, "a host may be written with its final dot"),
    ("mail.example.com.", "mail.example.com.", False, "a pattern may not: Domain has none"),
    ("*.example.com.", "mail.example.com", False, "nor below a wildcard"),
    ("mail.example.com", "mail.example.com..", False, "two final dots are no name"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example", True, "A-label against A-label"),
    ("xn--bcher-kva.example", "bücher.example", True, "a host's U-label counts as its A-label"),
    ("*.example", "bücher.example", True, "below a wildcard as well"),
    ("bücher.example", "xn--bcher-kva.example", False, "a pattern MUST be in A-labels"),
    ("bücher.example", "bücher.example", False, "even against the very same text"),
    ("\u212a.example", "k.example", False, "no character that only lowers to ASCII"),
    ("*", "mail", False, "a wildcard needs a parent"),
    ("*", "mail.example.com", False, "a wildcard is not everything"),
    ("*.", "mail.", False, "a wildcard needs a parent"),
    ("*.*.example.com", "a.b.example.com", False, "the left-most label only"),
    ("mail.*.com", "mail.example.com", False, "an inner wildcard"),
    ("alt*.google.com", "alt1.google.com", False, "a partial wildcard, seen in the wild"),
    ("*mail.example.com", "mail.example.com", False, "a partial wildcard"),
    (".example.com", "mail.example.com", False, "the pattern of an old draft"),
    ("", "", False, "nothing"),
    (".", ".", False, "the root; the mx of a domain without mail, seen in the wild"),
    ("mail.example.com ", "mail.example.com", False, "white space"),
    ("mail.example.com\n", "mail.example.com", False, "a line end"),
    ("mx_1.example.com", "mx_1.example.com", False, "an underscore is in no Domain"),
    ("*.example.com", "mx_1.example.com", True, "but the label under a wildcard may be any"),
    ("-mx.example.com", "-mx.example.com", False, "a hyphen first"),
    ("mx-.example.com", "mx-.example.com", False, "a hyphen last"),
    ("user@example.com", "example.com", False, "a mail address, seen in the wild"),
    ("https://example.com", "example.com", False, "a URL"),
    ("mail.example.com:25", "mail.example.com", False, "a port"),
    ("192.0.2.1", "192.0.2.1", False, "an address"),
    ("*.0.2.1", "192.0.2.1", False, "an address is no host, whatever the pattern"),
    ("*.192.0.2.1", "a.192.0.2.1", False, "nothing lives below an address"),
    ("[192.0.2.1]", "[192.0.2.1]", False, "an address literal"),
    ("mx1.example.com mx2.example.com", "mx1.example.com", False, "a list, seen in the wild"),
    (f"{LONG}.example", f"{LONG}.example", True, "63 octets in a label"),
    (f"{LONG}a.example", f"{LONG}a.example", False, "64 octets in a label"),
    ("*." + ".".join([LONG] * 3), "a." + ".".join([LONG] * 3), True, "a long name"),
    ("localhost", "localhost", True, "one label is a Domain"),
]


@pytest.mark.parametrize(
    ("pattern", "host", "covered", "why"), VECTORS, ids=[f"{why}: {p}" for p, _, _, why in VECTORS]
)
def test_what_a_pattern_covers(pattern: str, host: str, covered: bool, why: str) -> None:
    assert mx_match.matches(pattern, host) is covered


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).filter(
    lambda labels: not all(map(str.isdigit, labels))
)


@steady
@given(NAME, NAME, st.booleans(), st.booleans())
def test_matching_agrees_with_comparing_labels(
    below: list[str], labels: list[str], wildcard: bool, related: bool
) -> None:
    """An independent reading of 4.1: compare label lists, "*" equal to any one label."""
    host = [*below, *labels] if related else below
    pattern = ["*", *labels] if wildcard else labels
    expected = len(host) == len(pattern) and all(
        want in ("*", got) for want, got in zip(pattern, host, strict=True)
    )
    assert mx_match.matches(".".join(pattern), ".".join(host)) is expected


@steady
@given(NAME)
def test_a_name_covers_itself_in_any_case_and_its_siblings_by_wildcard(labels: list[str]) -> None:
    name = ".".join(labels)
    assert mx_match.is_pattern(name)
    assert mx_match.is_pattern(f"*.{name}")
    assert mx_match.matches(name.upper(), f"{name}.")
    assert mx_match.matches(f"*.{name}", f"mx.{name}")
    assert not mx_match.matches(f"*.{name}", name)


ANY_TEXT = st.text(st.characters(), max_size=20) | st.text("aZ0-_.*:[]@ ü\ud800", max_size=20)


@steady
@given(ANY_TEXT, ANY_TEXT)
@example("a" * 100_000, "a" * 100_000)
@example("*." + "a." * 50_000, "." * 100_000)
def test_any_two_texts_have_an_answer(pattern: str, host: str) -> None:
    """Never raises; and what is no pattern covers nothing."""
    covered = mx_match.matches(pattern, host)
    assert mx_match.is_pattern(pattern) or not covered


def test_a_long_text_is_refused_before_it_is_read() -> None:
    """No name has more than 253 octets, so the grammar never sees a text of 64 KiB."""
    assert not mx_match.is_pattern("a" * 256)
