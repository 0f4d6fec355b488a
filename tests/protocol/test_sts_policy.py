"""RFC 8461 sections 3.2 and 3.3: which bodies and responses are policies."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from crawler.protocol import sts_policy
from crawler.vocabulary import Mode
from tests.protocol.effort import calls

steady = settings(derandomize=True, deadline=None, max_examples=500)

GOOD = b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmax_age: 604800\n"
"""A policy that is right; most of the cases below differ from it in one line."""


def with_line(line: bytes) -> bytes:
    """GOOD and one more line."""
    return GOOD + line + b"\n"


def instead(name: bytes, line: bytes) -> bytes:
    """GOOD with another *line* in place of the field *name*; without it when that is empty."""
    return re.sub(rb"(?m)^" + name + rb":.*\n", lambda _: line + b"\n" if line else b"", GOOD)


VALID: list[tuple[bytes, tuple[str, ...], str]] = [
    (GOOD, (), "LF"),
    (GOOD.replace(b"\n", b"\r\n"), (), "CRLF, as the prose has it"),
    (GOOD.replace(b"\n", b"\r\n", 2), (), "both: sts-policy-term = LF / CRLF"),
    (GOOD[:-1], (), "the last term is optional"),
    (b"".join(sorted(GOOD.splitlines(keepends=True))), (), "the order is free"),
    (GOOD.replace(b": ", b":"), (), "sts-policy-field-delim needs no white space"),
    (GOOD.replace(b": ", b":\t  \t"), (), "and may have any amount"),
    (GOOD.replace(b"\n", b" \t\n"), (), "a field may be followed by white space"),
    (GOOD.replace(b"\n", b" \r\n")[:-2], (), "also the last, without a term"),
    (instead(b"mode", b"mode: testing"), (), "mode testing"),
    (instead(b"mode", b"mode: none"), (), "mode none, with mx"),
    (b"version: STSv1\nmode: none\nmax_age: 86400", (), "mode none needs no mx"),
    (instead(b"max_age", b"max_age: 0"), (), "non-negative"),
    (instead(b"max_age", b"max_age: 31557600"), (), "one year"),
    (instead(b"max_age", b"max_age: 0000604800"), (), "10 digits: erratum 7282 is only reported"),
    (with_line(b"mx: *.example.net"), (), "a wildcard"),
    (with_line(b"mx: MX.Example.NET"), (), "an mx is in any case"),
    (with_line(b"mx: xn--bcher-kva.example"), (), "an A-label"),
    (with_line(b"mx: mail.example.com"), (), "an mx twice"),
    (with_line(b"mx: localhost"), (), "one label is a Domain"),
    (with_line(b"future: field"), ("unknown-key",), "unknown fields SHALL be ignored"),
    (with_line(b"Mode: whatever"), ("unknown-key",), "a known name in another case is unknown"),
    (with_line(b"x: a  b: c=d; e"), ("unknown-key",), "spaces and any punctuation inside"),
    (with_line("x: ü\u20ac\U0001f4e7".encode()), ("unknown-key",), "UTF-8 of 2, 3 and 4 octets"),
    (with_line(rb"x: a\nb"), ("unknown-key",), "a backslash and an n are visible characters"),
    (with_line(b"0_-.: x"), ("unknown-key",), "every kind of octet of a name"),
    (with_line(b"a" * 32 + b": x"), ("unknown-key",), "a name of 32"),
    (with_line(b"mode: bogus"), ("duplicate-key",), "a later duplicate is not judged"),
    (with_line(b"mode:"), ("duplicate-key",), "even if it is empty"),
    (with_line(b"max_age: 604,800"), ("duplicate-key",), "or its value is bad"),
    (with_line(b"version: \xff"), ("duplicate-key",), "or not even text"),
    (with_line(b"x: 1\nx: \x00"), ("duplicate-key", "unknown-key"), "of an unknown field too"),
]

SYNTAX: list[tuple[bytes, tuple[str, ...], str]] = [
    # Not a policy at all: one word and no more.
    (b"", ("empty",), "zero octets"),
    (b"<!DOCTYPE html>\n<title>404</title>", ("html",), "a soft 404"),
    (b"\r\n  <html><body>version: STSv1", ("html",), "with white space first"),
    (b"<?xml version='1.0'?><Error/>", ("html",), "an error of a storage service"),
    (b"\xef\xbb\xbf<html>", ("html",), "with a byte order mark"),
    (b"\xef\xbb\xbf" + GOOD, ("bom",), "UTF-8 with a byte order mark"),
    ("\ufeff".encode("utf-16-le") + GOOD.decode().encode("utf-16-le"), ("bom",), "UTF-16"),
    # Line ends.
    (GOOD.replace(b"\n", b"\r"), ("line-end",), "bare CR throughout"),
    (GOOD[:-1] + b"\r", ("line-end",), "a CR at the very end, without its LF"),
    (GOOD.replace(b"\n", b"\r\r\n"), ("line-end",), "CR CR LF"),
    (GOOD.replace(b"\n", b"\n\r"), ("line-end",), "LF CR"),
    (GOOD.replace(b"\n", rb"\n"), ("line-end",), "the two characters \\ and n"),
    (GOOD.replace(b"\n", rb"\r\n"), ("line-end",), "the four characters \\r\\n"),
    (with_line(b"mode: testing\rx"), ("line-end",), "also where nothing else is judged"),
    # Empty lines, white space, other lines.
    (GOOD + b"\n", ("blank-line",), "a second line end"),
    (b"\n" + GOOD, ("blank-line",), "an empty line first"),
    (GOOD.replace(b"mx", b"\r\nmx"), ("blank-line",), "an empty line in the middle"),
    (GOOD + b" \n", ("whitespace",), "a line of white space"),
    (GOOD + b"\t", ("whitespace",), "white space after the last line"),
    (GOOD.replace(b"mode", b" mode"), ("whitespace",), "one field indented"),
    (GOOD.replace(b":", b" :"), ("whitespace",), "white space before the colon"),
    (GOOD.replace(b"mx", b"\tmx"), ("whitespace",), "a tab before a field"),
    (with_line(b"# a comment"), ("malformed-line",), "there are no comments"),
    (with_line(b"// x: y"), ("malformed-line",), "of any kind"),
    (with_line(b"nonsense"), ("malformed-line",), "no colon"),
    (with_line(b": x"), ("malformed-line",), "no name"),
    (with_line(b"x:"), ("malformed-line",), "an unknown field without a value"),
    (with_line(b"x: \t"), ("malformed-line",), "with white space for a value"),
    (with_line(b"x: a\tb"), ("malformed-line",), "a tab inside a value"),
    (with_line(b"x: a\x00b"), ("malformed-line",), "a NUL inside a value"),
    (with_line(b"x: a\x7f"), ("malformed-line",), "a DEL"),
    (with_line(b"_x: y"), ("malformed-line",), "a name begins with a letter or digit"),
    (with_line(b"a b: y"), ("malformed-line",), "a name has no space"),
    (with_line(b"a" * 33 + b": x"), ("malformed-line",), "a name of 33"),
    (with_line(b"---"), ("malformed-line",), "the end of front matter"),
    (with_line(b"x: \xff"), ("non-ascii",), "no UTF-8"),
    (with_line(b"x: \xc0\x80"), ("non-ascii",), "an overlong form"),
    (with_line(b"x: \xed\xa0\x80"), ("non-ascii",), "half of a surrogate pair"),
    (with_line("ключ: x".encode()), ("non-ascii",), "UTF-8 in a name"),
    (with_line("Über uns".encode()), ("non-ascii",), "prose"),
    # Fields.
    (instead(b"version", b""), ("version",), "no version"),
    (instead(b"version", b"version: STSv2"), ("version",), "another version"),
    (instead(b"version", b"version: stsv1"), ("version",), "case counts: %s"),
    (instead(b"version", b"version: STLS1"), ("version",), "as seen"),
    (instead(b"version", b"version:"), ("version",), "empty"),
    (instead(b"version", b"version: STSv1;"), ("version",), "a semicolon, as in the TXT record"),
    (instead(b"version", b"v: STSv1"), ("version", "unknown-key"), "the name in the TXT record"),
    (instead(b"version", b"Version: STSv1"), ("version", "unknown-key"), "case counts in a name"),
    (instead(b"mode", b""), ("mode",), "no mode"),
    (instead(b"mode", b"mode: enforced"), ("mode",), "as seen"),
    (instead(b"mode", b"mode: Enforce"), ("mode",), "case counts: %s"),
    (instead(b"mode", b"mode: report"), ("mode",), "the word of a draft"),
    (instead(b"mode", b"mode: [testing]"), ("mode",), "as seen"),
    (instead(b"mode", b"mode: testing # for now"), ("mode",), "there are no comments"),
    (
        instead(b"mode", b"mode: bogus\nmode: testing"),
        ("mode", "duplicate-key"),
        "the first counts",
    ),
    (instead(b"mode", "mode: enforce\u00a0".encode()), ("mode",), "a no-break space"),
    (instead(b"max_age", b""), ("max-age",), "no max_age"),
    (instead(b"max_age", b"max_age:"), ("max-age",), "empty"),
    (instead(b"max_age", b"max_age: 31557601"), ("max-age",), "more than a year"),
    (instead(b"max_age", b"max_age: 9999999999"), ("max-age",), "10 digits, but too much"),
    (instead(b"max_age", b"max_age: 00000604800"), ("max-age",), "11 digits"),
    (instead(b"max_age", b"max_age: 604,800"), ("max-age",), "as seen"),
    (instead(b"max_age", b"max_age: -1"), ("max-age",), "a sign"),
    (instead(b"max_age", b"max_age: +1"), ("max-age",), "of either kind"),
    (instead(b"max_age", b"max_age: 1_000"), ("max-age",), "what Python reads as a number"),
    (instead(b"max_age", b"max_age: 1e6"), ("max-age",), "an exponent"),
    (instead(b"max_age", b"max_age: 604800s"), ("max-age",), "a unit"),
    (instead(b"max_age", "max_age: ١٢٣".encode()), ("max-age",), "digits of another script"),
    (instead(b"max_age", b"max-age: 604800"), ("max-age", "unknown-key"), "a hyphen in the name"),
    (instead(b"max_age", b"max_age=604800"), ("malformed-line", "max-age"), "an equals sign"),
    (instead(b"mx", b""), ("mx-missing",), "mode enforce needs an mx"),
    (instead(b"mx", b"nmx: mail.example.com"), ("mx-missing", "unknown-key"), "as seen"),
    (instead(b"mx", b"MX: mail.example.com"), ("mx-missing", "unknown-key"), "case counts"),
    (b"version: STSv1\nmode: testing\nmax_age: 86400\n", ("mx-missing",), "mode testing too"),
    (with_line(b"mx:"), ("mx-bad",), "empty"),
    (with_line(b"mx: ."), ("mx-bad",), "the root, as seen"),
    (with_line(b"mx: *"), ("mx-bad",), "a lone wildcard"),
    (with_line(b"mx: *."), ("mx-bad",), "a wildcard below nothing"),
    (with_line(b"mx: .example.com"), ("mx-bad",), "the pattern of a draft"),
    (with_line(b"mx: mail.example.com."), ("mx-bad",), "a final dot"),
    (with_line(b"mx: alt*.google.com"), ("mx-bad",), "a partial wildcard"),
    (with_line(b"mx: mail.*.example.com"), ("mx-bad",), "an inner wildcard"),
    (with_line(b"mx: postmaster@example.com"), ("mx-bad",), "a mail address"),
    (with_line(b"mx: a.example, b.example"), ("mx-bad",), "a list"),
    (with_line(b"mx: a.example b.example"), ("mx-bad",), "a list without commas"),
    (with_line(b"mx: 10 mail.example.com"), ("mx-bad",), "a preference"),
    (with_line(b"mx: https://example.com"), ("mx-bad",), "a URL"),
    (with_line(b"mx: mail.example.com:25"), ("mx-bad",), "a port"),
    (with_line(b"mx: [192.0.2.1]"), ("mx-bad",), "an address literal"),
    (with_line(b"mx: 192.0.2.1"), ("mx-bad",), "an address: no host name looks like it"),
    (with_line("mx: bücher.example".encode()), ("mx-bad",), "a U-label"),
    (with_line(b"mx: mx_1.example.com"), ("mx-bad",), "an underscore"),
    (with_line(b"mx: <your-domain>"), ("mx-bad",), "a placeholder"),
    (b"version: STSv1\nmode: none\nmax_age: 1\nmx: .\n", ("mx-bad",), "in mode none as well"),
]


@pytest.mark.parametrize(("body", "problems", "why"), VALID, ids=[why for *_, why in VALID])
def test_a_body_is_a_policy(body: bytes, problems: tuple[str, ...], why: str) -> None:
    found = sts_policy.parse(body)
    assert (found.outcome, found.lenient, found.problems) == ("valid", True, problems)


@pytest.mark.parametrize(("body", "problems", "why"), SYNTAX, ids=[why for *_, why in SYNTAX])
def test_a_body_is_no_policy(body: bytes, problems: tuple[str, ...], why: str) -> None:
    found = sts_policy.parse(body)
    assert (found.outcome, found.problems) == ("syntax", problems)
    assert (found.mode, found.max_age, found.mx, found.extensions) == (None, None, (), ())
    # Empty lines are all that the lenient verdict forgives.
    assert found.lenient is (problems == ("blank-line",))


def test_a_policy_is_read_field_by_field() -> None:
    body = (
        b"mx: A.example\nversion: STSv1\nx: 1\nmx: *.B.example\nmode: testing\nmax_age: 007\nx: 2\n"
    )
    assert sts_policy.parse(body) == sts_policy.StsPolicy(
        outcome=sts_policy.parse(GOOD).outcome,
        mode=Mode.TESTING,
        max_age=7,
        mx=("a.example", "*.b.example"),
        extensions=(("x", "1"),),
        lenient=True,
        problems=("duplicate-key", "unknown-key"),
    )


def test_only_empty_lines_are_forgiven() -> None:
    """The lenient verdict is the strict one, except that empty lines are skipped."""
    assert sts_policy.parse(b"\n\r\n" + GOOD.replace(b"\n", b"\n\n")).lenient
    assert not sts_policy.parse(b"\n" + instead(b"mode", b"mode: x")).lenient
    assert not sts_policy.parse(b"\n").lenient
    assert not sts_policy.parse(GOOD + b" \n").lenient


def test_every_problem_has_an_example() -> None:
    told = {word for _, problems, _ in [*VALID, *SYNTAX] for word in problems}
    of_responses = {"http-status", "too-large", "content-coding", "media-type"}
    assert told | of_responses == set(sts_policy.PROBLEMS)


TEXT_PLAIN = [(b"Content-Type", b"text/plain")]


@pytest.mark.parametrize("status", [100, 101, 201, 202, 203, 204, 206, 226, 300, 301, 302, 304])
@pytest.mark.parametrize("body", [GOOD, b""])
def test_only_200_carries_a_policy(status: int, body: bytes) -> None:
    """RFC 8461 section 3.3: "only valid if the HTTP response code is 200 (OK)"."""
    found = sts_policy.from_response(status, TEXT_PLAIN, body)
    assert (found.outcome, found.lenient, found.mode) == ("http", False, None)
    assert found.problems == ("http-status",)


@pytest.mark.parametrize(
    "status", [*range(400, 600, 7), 404, 403, 429, 451, 500, 503, 0, -200, 999]
)
def test_an_error_carries_none(status: int) -> None:
    assert sts_policy.from_response(status, TEXT_PLAIN, GOOD).outcome == "http"


def test_64_kib_is_the_most_a_policy_may_have() -> None:
    filler = b"x: " + b"y" * (64 * 1024 - len(GOOD) - 3)
    assert len(GOOD + filler) == 65536
    assert sts_policy.from_response(200, TEXT_PLAIN, GOOD + filler).outcome == "valid"
    over = sts_policy.from_response(200, TEXT_PLAIN, GOOD + filler + b"y")
    assert (over.outcome, over.problems) == ("http", ("too-large",))


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ([(b"Content-Type", b"text/plain")], False),
        ([(b"content-type", b"Text/Plain")], False),
        ([(b"CONTENT-TYPE", b"text/plain; charset=utf-8")], False),
        ([(b"content-type", b" text/plain ;charset=iso-8859-1;x=y")], False),
        ([(b"content-type", b"text/plain"), (b"content-type", b"text/plain")], False),
        ([], True),
        ([(b"content-type", b"")], True),
        ([(b"content-type", b"text/html")], True),
        ([(b"content-type", b"text/plainer")], True),
        ([(b"content-type", b"text/plain, text/html")], True),
        ([(b"content-type", b"text/plain"), (b"content-type", b"text/html")], True),
        ([(b"content-type", b"application/octet-stream")], True),
        ([(b"x-content-type", b"text/plain")], True),
        ([(b"content-type", b"\xff")], True),
    ],
)
def test_another_media_type_is_told_and_changes_nothing_else(
    headers: list[tuple[bytes, bytes]], told: bool
) -> None:
    found = sts_policy.from_response(200, headers, GOOD)
    assert found.outcome == "valid"
    assert found.mx == ("mail.example.com",)
    assert found.problems == (("media-type",) if told else ())


def test_the_media_type_is_told_of_a_bad_body_too() -> None:
    found = sts_policy.from_response(200, [(b"content-type", b"text/html")], b"<html>")
    assert (found.outcome, found.problems) == ("syntax", ("media-type", "html"))


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate", b"zstd", b"gzip, gzip", b"GZIP"])
def test_a_content_coding_is_not_looked_under(coding: bytes) -> None:
    """We ask for identity; what comes otherwise is a failed response, not a bad policy."""
    headers = [*TEXT_PLAIN, (b"Content-Encoding", coding)]
    found = sts_policy.from_response(200, headers, b"\x1f\x8b\x08")
    assert (found.outcome, found.problems) == ("http", ("content-coding",))


def test_the_identity_coding_is_none() -> None:
    headers = [*TEXT_PLAIN, (b"Content-Encoding", b"Identity")]
    assert sts_policy.from_response(200, headers, GOOD).outcome == "valid"


# An oracle: the ABNF of section 3.2 as one expression over a whole body, written from the text
# and apart from the code; UTF-8 as in section 4 of RFC 3629.  It knows neither the duplicates
# nor the sizes of names.
ORACLE = re.compile(
    rb"""
    (?: FIELD [ \t]* ) (?: \r?\n FIELD [ \t]* )* (?: \r?\n )?
    """.replace(
        b"FIELD",
        rb"""(?: version:[ \t]*STSv1 | mode:[ \t]*(?:testing|enforce|none)
          | max_age:[ \t]*[0-9]{1,10} | mx:[ \t]*(?:\*\.)?SUB(?:\.SUB)*
          | (?!(?:version|mode|max_age|mx):)[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}
            :[ \t]*VCHAR(?:(?:\ |VCHAR)*VCHAR)? )""",
    )
    .replace(b"SUB", rb"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?")
    .replace(
        b"VCHAR",
        rb"(?:[\x21-\x7E]|[\xC2-\xDF]TAIL|\xE0[\xA0-\xBF]TAIL|[\xE1-\xEC]TAIL{2}|\xED[\x80-\x9F]TAIL"
        rb"|[\xEE-\xEF]TAIL{2}|\xF0[\x90-\xBF]TAIL{2}|[\xF1-\xF3]TAIL{3}|\xF4[\x80-\x8F]TAIL{2})",
    )
    .replace(b"TAIL", rb"[\x80-\xBF]"),
    re.VERBOSE,
)

# Lines and line ends to build bodies from: the right ones several times, each slip once.
VERSIONS = [b"version: STSv1"] * 5 + [b"version:\tSTSv1 ", b"version: STSv2", b" version: STSv1"]
MODES = [b"mode: enforce", b"mode:testing", b"mode: none \t"] * 2 + [b"mode: x", b"mode"]
AGES = [b"max_age: 1", b"max_age:0604800", b"max_age: 31557600"] * 2 + [
    b"max_age: 31557601",
    b"max_age:",
]
HOSTS = [b"mx: a.example", b"mx:*.b.example ", b"mx: c"] * 3 + [b"mx: .", b"mx: a-.b", b"mx :a"]
OTHERS = [b"x: y z", b"y: \xc3\xa9\t", b"z.z:!"] * 2 + [
    b"z: \xc3",
    b"q:",
    b" r: s",
    b"t",
    b"u\tv: w",
]
TERMS = [b"\n", b"\r\n"] * 20
SLIPS = [b"\r", b"\n\n", b"\r\n\r\n", b"", b" \n \n", b"\r\r\n", b"\t\n"]


@st.composite
def near_policies(draw: st.DrawFn) -> bytes:
    """Bodies that are policies or nearly so: fields in any order, between mostly right ends."""
    lines = [draw(st.sampled_from(some)) for some in (VERSIONS, MODES, AGES)]
    lines += draw(st.lists(st.sampled_from(HOSTS), max_size=2))
    lines += draw(st.lists(st.sampled_from(OTHERS), max_size=2, unique_by=lambda line: line[:1]))
    ends = [draw(st.sampled_from([*TERMS, *SLIPS])) for _ in lines]
    ends[-1] = draw(st.sampled_from([b"", *TERMS[:2], *SLIPS]))
    return b"".join(a + b for a, b in zip(draw(st.permutations(lines)), ends, strict=True))


def value_of(name: bytes, body: bytes) -> bytes | None:
    found = re.search(rb"(?m)^" + name + rb":[ \t]*([^ \t\r\n]*)", body)
    return found and found[1]


@steady
@given(near_policies())
@example(GOOD)
@example(GOOD + b"\n")
def test_the_verdict_agrees_with_the_grammar_as_one_expression(body: bytes) -> None:
    names = re.findall(rb"(?m)^([a-z_]+):", body)
    assume(all(count == 1 or name == b"mx" for name, count in Counter(names).items()))
    mode, max_age = value_of(b"mode", body), value_of(b"max_age", body)
    expected = (
        ORACLE.fullmatch(body) is not None
        and {b"version", b"mode", b"max_age"} <= set(names)
        and (mode == b"none" or b"mx" in names)
        and int(max_age or b"0") <= 31_557_600
    )
    assert sts_policy.parse(body).outcome == ("valid" if expected else "syntax")


@steady
@given(near_policies())
def test_the_lenient_verdict_is_the_strict_one_without_empty_lines(body: bytes) -> None:
    without = re.sub(rb"(?:(?<=\n)|^)(?:\r?\n)+", b"", body)
    assert sts_policy.parse(body).lenient is (sts_policy.parse(without).outcome == "valid")


@steady
@given(
    st.binary(max_size=60)
    | near_policies().flatmap(lambda body: st.binary(max_size=3).map(body.__add__))
)
@example(b"\x00" * 64)
@example(b"\xff\xfe")
def test_any_body_has_a_verdict(body: bytes) -> None:
    """Never raises; the words are of the list and in its order; valid includes lenient."""
    found = sts_policy.parse(body)
    assert found.outcome.value in {"valid", "syntax"}
    assert (found.outcome == "valid") is (found.mode is not None)
    assert found.lenient or found.outcome == "syntax"
    assert list(found.problems) == [word for word in sts_policy.PROBLEMS if word in found.problems]


@steady
@given(
    st.integers(),
    st.lists(st.tuples(st.binary(max_size=16), st.binary(max_size=16)), max_size=3),
    st.binary(max_size=40),
)
def test_any_response_has_a_verdict(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    found = sts_policy.from_response(status, headers, body)
    assert found.outcome.value in {"valid", "syntax", "http"}
    assert set(found.problems) <= set(sts_policy.PROBLEMS)


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)
PATTERN = st.tuples(
    st.sampled_from(["", "*."]), st.lists(LABEL, min_size=1, max_size=3).map(".".join)
).map("".join)


@steady
@given(
    st.sampled_from(list(Mode)),
    st.integers(0, 31_557_600),
    st.lists(PATTERN, min_size=1, max_size=4),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_what_is_written_by_the_grammar_is_read_back(
    mode: Mode, max_age: int, mx: list[str], term: str, final: bool
) -> None:
    lines = [
        "version: STSv1",
        f"mode: {mode}",
        f"max_age: {max_age}",
        *(f"mx: {each}" for each in mx),
    ]
    found = sts_policy.parse((term.join(lines) + (term if final else "")).encode("ascii"))
    assert (found.outcome, found.mode, found.max_age) == ("valid", mode, max_age)
    assert found.mx == tuple(mx)
    assert found.problems == ()


@pytest.mark.parametrize(
    "junk",
    [
        b"\n",
        b"\r",
        b" ",
        b":",
        b"a:b\n",
        b"mx:a.b\n",
        b"mx:" + b"a" * 300 + b"\n",
        b"\xff\n",
        b"\x00",
    ],
)
def test_twice_the_junk_is_at_most_twice_the_work(junk: bytes) -> None:
    once, twice = [calls(sts_policy.parse, junk * n) for n in (1_000, 2_000)]
    assert twice <= 2 * once + 50
