"""RFC 8460 section 3: what the strings at ``_smtp._tls`` amount to."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.protocol import tlsrpt
from tests.protocol.effort import calls

steady = settings(derandomize=True, deadline=None, max_examples=500)

MAIL = "mailto:reports@example.com"

VALID = [
    (b"v=TLSRPTv1;rua=mailto:reports@example.com", (MAIL,), "the RFC's first example"),
    (
        b"v=TLSRPTv1; rua=https://r.example/v1/tlsrpt",
        ("https://r.example/v1/tlsrpt",),
        "the second",
    ),
    (b"v=TLSRPTv1; rua=mailto:reports@example.com ; ", (MAIL,), "field-delim = *WSP ; *WSP"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c,mailto:d@e.f", ("mailto:a@b.c", "mailto:d@e.f"), "a list"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c \t, \thttps://d", ("mailto:a@b.c", "https://d"), "*WSP , *WSP"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c; rua=mailto:d@e.f", ("mailto:a@b.c", "mailto:d@e.f"), "two"),
    (b"v=TLSRPTv1; rua=MAILTO:a@b.c", ("MAILTO:a@b.c",), "schemes are in any case (RFC 3986 3.1)"),
    (b"v=TLSRPTv1; a=b; rua=mailto:a@b.c; c=d", ("mailto:a@b.c",), "extensions are ignored"),
    (b"v=TLSRPTv1; RUA=x; rua=mailto:a@b.c", ("mailto:a@b.c",), "RUA is an extension: %s"),
    (b"v=TLSRPTv1; rua=https://a.b/?c=d&e=f#g", ("https://a.b/?c=d&e=f#g",), "= is in a URI"),
    (b"v=TLSRPTv1; rua=https://u:p@[::1]:443/~x", ("https://u:p@[::1]:443/~x",), "an authority"),
    (b"v=TLSRPTv1; rua=mailto:a%21b%2Cc@d.e", ("mailto:a%21b%2Cc@d.e",), "! and , encoded"),
    (b"v=TLSRPTv1; rua=ftp://a.b/", ("ftp://a.b/",), "a scheme that nobody supports"),
    (b"v=TLSRPTv1; rua=http://a.b/", ("http://a.b/",), "http is not https"),
    (b"v=TLSRPTv1; rua=mailto:", ("mailto:",), "path-empty: what a scheme adds is not judged"),
    (b"v=TLSRPTv1; rua=x:/a//b", ("x:/a//b",), "path-absolute"),
]

SYNTAX = [
    # None survives, but one was meant to be a record.
    (b"v=TLSRPT1; rua=mailto:a@b.c", "version", "the version of a draft"),
    (b"v=tlsrptv1; rua=mailto:a@b.c", "version", "lower case"),
    (b" v=TLSRPTv1; rua=mailto:a@b.c", "version", "a space first"),
    (b'"v=TLSRPTv1; rua=mailto:a@b.c"', "version", "quotation marks inside the string"),
    (b"v=TLSRPTv1 ; rua=mailto:a@b.c", "no-delimiter", "does not begin v=TLSRPTv1;"),
    (b"v=TLSRPTv1 rua=mailto:a@b.c", "no-delimiter", "no semicolon"),
    (b"v=TLSRPTv1", "no-delimiter", "nothing else"),
    # One survives, but breaks the grammar.
    (b"v=TLSRPTv1;", "no-rua", "tlsrpt-rua is required"),
    (b"v=TLSRPTv1; a=b", "no-rua", "an extension only"),
    (b"v=TLSRPTv1; RUA=mailto:a@b.c", "no-rua", "case counts: %s"),
    (b"v=TLSRPTv1; ruf=mailto:a@b.c", "no-rua", "another name"),
    (b"v=TLSRPTv1; rua", "bad-rua", "no equals sign"),
    (b"v=TLSRPTv1; rua=", "bad-rua", "empty"),
    (b"v=TLSRPTv1; rua=reports@example.com", "bad-rua", "no scheme"),
    (b"v=TLSRPTv1; rua=mailto=a@b.c", "bad-rua", "no scheme, as seen"),
    (b"v=TLSRPTv1; rua=//a.b/c", "bad-rua", "a relative reference is no URI"),
    (b"v=TLSRPTv1; rua=1x:y", "bad-rua", "a scheme begins with a letter"),
    (b"v=TLSRPTv1; rua=:a", "bad-rua", "an empty scheme"),
    (b"v=TLSRPTv1; rua= mailto:a@b.c", "bad-rua", "white space after the equals sign"),
    (b"v=TLSRPTv1; rua= https:a,https:b", "bad-rua", "nor before the first of a list"),
    (b"v=TLSRPTv1; rua=https:a,https:b ", "bad-rua", "nor after the last"),
    (b"v=TLSRPTv1; rua =mailto:a@b.c", "bad-rua", "white space before the equals sign"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c ", "bad-rua", "white space at the end belongs to a semicolon"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c,", "bad-rua", "a final comma"),
    (b"v=TLSRPTv1; rua=,mailto:a@b.c", "bad-rua", "a first comma"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c,,mailto:d@e.f", "bad-rua", "two commas"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c mailto:d@e.f", "bad-rua", "no comma"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c!10m", "bad-rua", "! MUST be encoded; sizes are DMARC's"),
    (b"v=TLSRPTv1; rua=mailto:<a@b.c>", "bad-rua", "an octet that no URI has"),
    (b"v=TLSRPTv1; rua=https://a.b/%zz", "bad-rua", "a bad percent-encoding"),
    (b"v=TLSRPTv1; rua=https://a.b/%2", "bad-rua", "half a percent-encoding"),
    (b"v=TLSRPTv1; rua=https://a.b:x/", "bad-rua", "a port is digits"),
    (b"v=TLSRPTv1; rua=https://[::1/", "bad-rua", "an unfinished literal"),
    (b"v=TLSRPTv1; rua=https://a.b/#c#d", "bad-rua", "one fragment only"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c; rua=d@e.f", "bad-rua", "every rua counts, so each is judged"),
    (b"v=TLSRPTv1;; rua=mailto:a@b.c", "bad-extension", "an empty field"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c;;", "bad-extension", "one final semicolon only"),
    (b"v=TLSRPTv1; rua=https://a.b/;c", "bad-extension", "; MUST be encoded: it ends the field"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c; a=b=c", "bad-extension", "an equals sign in the value"),
    (b"v=TLSRPTv1; rua=mailto:a@b.c; a=b c", "bad-extension", "a space in the value"),
    (b"v=TLSRPTv1; rua=mailto:\xc3\xa9@b.c", "non-ascii", "not in the grammar"),
]

ABSENT = [
    (b"", "an empty string"),
    (b"v=STSv1; id=1", "the neighbour"),
    (b"v=spf1 -all", "SPF, often from a wildcard"),
    (b"rua=mailto:a@b.c", "without v= there is nothing to tell it by"),
]


@pytest.mark.parametrize(("record", "rua", "why"), VALID, ids=[why for *_, why in VALID])
def test_a_record_is_valid(record: bytes, rua: tuple[str, ...], why: str) -> None:
    found = tlsrpt.select([[record]])
    assert (found.outcome, found.rua) == ("valid", rua)


@pytest.mark.parametrize(("record", "word", "why"), SYNTAX, ids=[why for *_, why in SYNTAX])
def test_a_record_has_a_fault(record: bytes, word: str, why: str) -> None:
    found = tlsrpt.select([[record]])
    assert (found.outcome, found.rua, found.extensions) == ("syntax", (), ())
    assert word in found.problems


@pytest.mark.parametrize(("record", "why"), ABSENT, ids=[why for _, why in ABSENT])
def test_a_string_is_no_record_and_was_not_meant_to_be(record: bytes, why: str) -> None:
    assert tlsrpt.select([[record]]) == tlsrpt.select([])
    assert tlsrpt.select([[record]]).outcome == "absent"


def test_an_unsupported_scheme_is_told_of_a_valid_record() -> None:
    """RFC 8460 section 3 supports mailto and https; another URI is grammatical still."""
    assert tlsrpt.select([[b"v=TLSRPTv1; rua=mailto:a@b.c, ftp://d"]]).problems == (
        "unsupported-scheme",
    )
    assert tlsrpt.select([[b"v=TLSRPTv1; rua=mailto:a@b.c, HTTPS://d"]]).problems == ()


@pytest.mark.parametrize(
    ("records", "expected", "problems", "why"),
    [
        ([], "absent", (), "NOERROR without strings"),
        ([[b"v=TLSRPTv1;"], [b"v=TLSRPTv1; rua=x:y"]], "multiple", ("multiple",), "counted first"),
        ([[b"v=spf1"], [b"v=TLSRPTv1; rua=https:a"]], "valid", ("unrelated",), "others discarded"),
        ([[b"v=TLSRPT", b"v1;rua=https:a"]], "valid", ("multistring",), "strings are joined"),
    ],
)
def test_an_answer_is_read_as_a_whole(
    records: list[list[bytes]], expected: str, problems: tuple[str, ...], why: str
) -> None:
    found = tlsrpt.select(records)
    assert (found.outcome.value, found.problems) == (expected, problems)


def test_every_problem_has_an_example() -> None:
    told = {word for record, *_ in [*VALID, *SYNTAX] for word in tlsrpt.select([[record]]).problems}
    assert told | {"multiple", "unrelated", "multistring"} == set(tlsrpt.PROBLEMS)


# A URI by its parts, RFC 3986 section 3, from the octets that RFC 8460 leaves in it.
UNRESERVED = "ABCXYZabcxyz0189-._~"
PCHAR = st.sampled_from([*UNRESERVED, *"$&'()*+=:@", "%41", "%2c"])
PATH = st.lists(PCHAR, max_size=4).map("".join)
SCHEME = st.from_regex(r"[A-Za-z][A-Za-z0-9+.-]{0,6}", fullmatch=True)
REG_NAME = st.lists(st.sampled_from([*UNRESERVED, *"$&'()*+=", "%41"]), max_size=4).map("".join)
HOST = REG_NAME | st.sampled_from(["[2001:db8::1]", "[v1.x:y]", "192.0.2.1"])
PORT = st.sampled_from(["", ":", ":443"])
USERINFO = st.sampled_from(["", "u@", "u:p@", "@"])
SEGMENTS = st.lists(PATH.map("/{}".format), max_size=3).map("".join)
ABSOLUTE = st.tuples(PATH.filter(bool), SEGMENTS).map(lambda parts: "/" + "".join(parts))
ROOTLESS = st.tuples(PATH.filter(bool), SEGMENTS).map("".join)
NETWORK = st.tuples(st.just("//"), USERINFO, HOST, PORT, SEGMENTS).map("".join)
TAIL = st.tuples(
    st.sampled_from(["", "?", "?a=b/?", "?%41"]), st.sampled_from(["", "#", "#f/?"])
).map("".join)
URI = st.tuples(
    SCHEME, st.just(":"), NETWORK | ABSOLUTE | ROOTLESS | st.sampled_from(["", "/"]), TAIL
).map("".join)


@steady
@given(st.lists(URI, min_size=1, max_size=3), st.sampled_from([",", ", ", " ,", "\t,\t"]))
def test_uris_written_by_their_grammar_are_read_back(uris: list[str], comma: str) -> None:
    found = tlsrpt.select([[b"v=TLSRPTv1; rua=" + comma.join(uris).encode("ascii")]])
    assert (found.outcome, found.rua) == ("valid", tuple(uris))


@steady
@given(URI, st.data())
def test_one_octet_that_no_uri_has_spoils_it(uri: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(uri) - 1))
    octet = data.draw(st.sampled_from('!"<>\\^`{|}\x00\x7f\n'))
    spoilt = (uri[:at] + octet + uri[at:]).encode("ascii")
    assert tlsrpt.select([[b"v=TLSRPTv1; rua=" + spoilt]]).outcome == "syntax"


# Fields and delimiters to build records from: the right ones several times, each slip once.
RUA = [b"rua=x:y", b"rua=mailto:a@b", b"rua=x:y,z:", b"rua=x:y \t,\tx:z"]
FIELDS = [*RUA * 3, b"a=b", b"c=d", *(b"rua=", b"rua=x", b"rua=x:y,", b"rua=x:!", b"e", b"f=g=h")]
DELIMITERS = [b";", b"; ", b" ;", b"\t;\t"] * 3 + [b";;", b" ", b"; ;", b""]


@st.composite
def near_records(draw: st.DrawFn) -> bytes:
    """Strings that are records or nearly so."""
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=4))
    parts = [field + draw(st.sampled_from(DELIMITERS)) for field in fields]
    return b"v=TLSRPTv1;" + draw(st.sampled_from([b"", b" ", b"\t", b";"])) + b"".join(parts)


NEAR_RECORDS = near_records()

# An oracle: the ABNF of section 3 as one expression over a whole record, for the URIs in FIELDS.
ORACLE = re.compile(
    rb"""v=TLSRPTv1
    (?: [ \t]*;[ \t]*
        (?: rua=URI (?: [ \t]*,[ \t]*URI )*
          | (?!rua=)[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}=[\x21-\x3A\x3C\x3E-\x7E]+ ) )+
    (?: [ \t]*;[ \t]* )?""".replace(b"URI", rb"[A-Za-z][A-Za-z0-9]*:[A-Za-z0-9:@=]*"),
    re.VERBOSE,
)


@steady
@given(NEAR_RECORDS)
def test_the_verdict_agrees_with_the_grammar_as_one_expression(record: bytes) -> None:
    has_rua = re.search(rb";[ \t]*rua=", record) is not None
    expected = "valid" if ORACLE.fullmatch(record) and has_rua else "syntax"
    assert tlsrpt.select([[record]]).outcome.value == expected


@steady
@given(st.lists(st.lists(st.binary(max_size=12) | NEAR_RECORDS, max_size=3), max_size=3))
def test_any_answer_has_an_outcome(records: list[list[bytes]]) -> None:
    """Never raises; only a valid record has URIs, and it has one; the words are of the list."""
    found = tlsrpt.select(records)
    assert found.outcome.value in {"valid", "absent", "multiple", "syntax"}
    assert bool(found.rua) is (found.outcome == "valid")
    assert list(found.problems) == [word for word in tlsrpt.PROBLEMS if word in found.problems]
    assert tlsrpt.select(records[::-1]) == found


@pytest.mark.parametrize("junk", [b";", b"a=b;", b"rua=x:y;", b",", b"x:y,", b"=", b"/", b"%41"])
def test_twice_the_junk_is_at_most_twice_the_work(junk: bytes) -> None:
    once, twice = [
        calls(tlsrpt.select, [[b"v=TLSRPTv1;rua=x:" + junk * n]]) for n in (2_000, 4_000)
    ]
    assert twice <= 2 * once + 50


# The strings of the corpus that are not valid, each with why.
CORPUS_ODD = {
    "v=TLSRPTv1;": ("no-rua", "the prefix alone, as in the text of the RFC"),
    r"v=TLSRPTv1\\; rua=mailto:postmaster@fogbox.uk": ("no-delimiter", "a zone file's backslash"),
    "v=TLSRPT1; rua=mailto:tlsrpt@example.com": ("version", "the version of a draft"),
    "v=TLSRPT1;rua=mailto=reports@example.com": ("version", "the version of a draft"),
}


def test_the_records_of_the_corpus(corpus: Path) -> None:
    with (corpus / "tlsrpt_txt.tsv").open(newline="", encoding="utf-8") as file:
        texts = [
            row["record"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]
    found = {text: tlsrpt.select([[text.replace("\\\\", "\\").encode()]]) for text in texts}
    odd = {text: each.problems for text, each in found.items() if each.outcome != "valid"}
    assert odd == {text: (word,) for text, (word, _) in CORPUS_ODD.items()}
    assert Counter(each.outcome.value for each in found.values()) == {"valid": 80, "syntax": 4}
    assert Counter(uri.partition(":")[0] for each in found.values() for uri in each.rua) == {
        "mailto": 79,
        "https": 5,
    }
