"""RFC 8461 section 3.1: what the strings at ``_mta-sts`` amount to."""

from __future__ import annotations

import csv
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from crawler.protocol import sts_record, txt_record
from tests.protocol.effort import calls

steady = settings(derandomize=True, deadline=None, max_examples=500)

VALID = [
    (b"v=STSv1; id=20160831085700Z;", "20160831085700Z", "the RFC's example"),
    (b"v=STSv1;id=1", "1", "no white space, no final semicolon"),
    (b"v=STSv1; id=1 ;", "1", "sts-field-delim = *WSP ; *WSP"),
    (b"v=STSv1;\t \tid=1\t;\t ", "1", "WSP is space and tab, in any number"),
    (b"v=STSv1; id=" + b"a" * 32, "a" * 32, "32 characters"),
    (b"v=STSv1; id=AZaz09", "AZaz09", "letters and digits"),
    (b"v=STSv1; a=b; id=1", "1", "the order of other fields is not significant"),
    (b"v=STSv1; id=1; a=b", "1", "an extension is ignored"),
    (b"v=STSv1; id=1; mode=enforce", "1", "policy text that happens to be an extension"),
    (b"v=STSv1; id=1; a=!:<>~", "1", "every kind of octet of an extension value"),
    (b"v=STSv1; id=1; 0_-.=x", "1", "every kind of octet of an extension name"),
    (b"v=STSv1; id=1; " + b"a" * 32 + b"=x", "1", "a name of 32"),
    (b"v=STSv1; ID=2; id=1", "1", "ID is an extension: the grammar has %s"),
    (b"v=STSv1; id=1; id=2", "1", "section 3.2: the first of a duplicated field counts"),
    (b"v=STSv1; id=1; id=not-an-id", "1", "a later duplicate is not judged"),
    (b"v=STSv1; id=1; id=", "1", "even if it is empty"),
    (b"v=STSv1; id=1; a=b; a=c=d", "1", "nor is that of an extension"),
    (b"v=STSv1; id=1; v=STSv2", "1", "nor is a second version"),
]

SYNTAX = [
    # None survives, but one was meant to be a record.
    (b"v=stsv1; id=1", "version", "lower case"),
    (b"V=STSv1; id=1", "version", "upper case"),
    (b"v=STS1; id=1", "version", "the version of a draft"),
    (b"v=STSv2; id=1", "version", "a version that does not exist"),
    (b"v=STSv10; id=1", "version", "nor does this one"),
    (b"v=STSv1.1; id=1", "version", "nor does this one"),
    (b" v=STSv1; id=1", "version", "a space first"),
    (b"\tv=STSv1; id=1", "version", "a tab first"),
    (b'"v=STSv1; id=1"', "version", "quotation marks inside the string"),
    (b'\\"v=STSv1; id=1\\"', "version", "escaped quotation marks"),
    ("\u201cv=STSv1; id=1\u201d".encode(), "version", "curly quotation marks"),
    (b"\xef\xbb\xbfv=STSv1; id=1", "version", "a byte order mark first"),
    (b"v = STSv1; id=1", "version", "space round the equals sign"),
    (b'v="STSv1"; id=1', "version", "a quoted value"),
    (b"v=STSv1", "no-delimiter", "no semicolon at all"),
    (b"v=STSv1 ; id=1", "no-delimiter", "in the ABNF, but discarded: it does not begin v=STSv1;"),
    (b"v=STSv1 id=1", "no-delimiter", "a space in place of a semicolon"),
    (b"v=STSv1, id=1", "no-delimiter", "a comma in place of a semicolon"),
    (b"v=STSv1: id=1", "no-delimiter", "a colon in place of a semicolon"),
    (b"v=STSv1\\; id=1", "no-delimiter", "the backslash of a zone file"),
    # One survives, but breaks the grammar.
    (b"v=STSv1;", "no-id", "nothing else"),
    (b"v=STSv1; ", "no-id", "white space is no field"),
    (b"v=STSv1; mode=none;", "no-id", "an extension only"),
    (b"v=STSv1; ID=1", "no-id", "case counts: %s"),
    (b"v=STSv1; i=1", "no-id", "another name"),
    (b"v=STSv1; id=", "bad-id", "empty"),
    (b"v=STSv1; id", "bad-id", "no equals sign"),
    (b"v=STSv1; id=2024-01-01", "bad-id", "a hyphen: the commonest mistake"),
    (b"v=STSv1; id=2026....", "bad-id", "dots"),
    (b"v=STSv1; id=1_0", "bad-id", "an underscore"),
    (b"v=STSv1; id=" + b"a" * 33, "bad-id", "33 characters"),
    (b"v=STSv1; id=1 2", "bad-id", "a space inside"),
    (b"v=STSv1; id=1 ", "bad-id", "white space at the end belongs to a semicolon"),
    (b"v=STSv1; id =1", "bad-id", "white space before the equals sign"),
    (b"v=STSv1; id= 1", "bad-id", "white space after the equals sign"),
    (b"v=STSv1; id=1=2", "bad-id", "an equals sign inside"),
    (b'v=STSv1; id="1"', "bad-id", "a quoted value"),
    (b"v=STSv1; id=?; id=1", "bad-id", "the first of a duplicated field counts"),
    (b"v=STSv1; id=1\n", "bad-id", "a line feed is no WSP"),
    (b"v=STSv1; id=1\x00", "bad-id", "a NUL"),
    (b"v=STSv1;; id=1", "bad-extension", "an empty field"),
    (b"v=STSv1; id=1;;", "bad-extension", "one final semicolon only"),
    (b"v=STSv1; id=1; ;", "bad-extension", "an empty field of white space"),
    (b"v=STSv1; id=1; a", "bad-extension", "a name without a value"),
    (b"v=STSv1; id=1; a=", "bad-extension", "an empty value"),
    (b"v=STSv1; id=1; =b", "bad-extension", "an empty name"),
    (b"v=STSv1; id=1; a=b=c", "bad-extension", "an equals sign in the value"),
    (b"v=STSv1; id=1; a=b c", "bad-extension", "a space in the value"),
    (b"v=STSv1; id=1; a = b", "bad-extension", "white space round the equals sign"),
    (b"v=STSv1; id=1; _a=b", "bad-extension", "a name begins with a letter or digit"),
    (b"v=STSv1; id=1; a*=b", "bad-extension", "an octet that no name has"),
    (b"v=STSv1; id=1; " + b"a" * 33 + b"=b", "bad-extension", "a name of 33"),
    (b"v=STSv1; id=1; mx: a.com; mode: testing;", "bad-extension", "policy text, as seen"),
    (b"v=STSv1; id=1; a=\x7f", "bad-extension", "a control character"),
    (b"v=STSv1; id=\xc3\xa9", "non-ascii", "MUST be US-ASCII"),
    (b"v=STSv1; id=1; a=\xc3\xa9", "non-ascii", "in an extension too"),
    (b"v=STSv1; id=1; id=\xff", "non-ascii", "and in what is otherwise not judged"),
]

ABSENT = [
    (b"", "an empty string"),
    (b"v=spf1 -all", "SPF, often from a wildcard"),
    (b"v=DMARC1; p=none", "DMARC"),
    (b"v=TLSRPTv1; rua=mailto:a@b.example", "the neighbour"),
    (b"google-site-verification=v=STSv1;", "not at the beginning"),
    (b"STSv1; id=1", "without v= there is nothing to tell it by"),
    (b"v=ST", "too little to tell"),
]


def outcome(record: bytes) -> str:
    return sts_record.select([[record]]).outcome.value


@pytest.mark.parametrize(("record", "id_", "why"), VALID, ids=[why for *_, why in VALID])
def test_a_record_is_valid(record: bytes, id_: str, why: str) -> None:
    found = sts_record.select([[record]])
    assert (found.outcome, found.id) == ("valid", id_)


@pytest.mark.parametrize(("record", "word", "why"), SYNTAX, ids=[why for *_, why in SYNTAX])
def test_a_record_has_a_fault(record: bytes, word: str, why: str) -> None:
    found = sts_record.select([[record]])
    assert (found.outcome, found.id, found.extensions) == ("syntax", None, ())
    assert word in found.problems


@pytest.mark.parametrize(("record", "why"), ABSENT, ids=[why for _, why in ABSENT])
def test_a_string_is_no_record_and_was_not_meant_to_be(record: bytes, why: str) -> None:
    assert sts_record.select([[record]]) == sts_record.StsRecord(
        outcome=sts_record.select([]).outcome
    )
    assert outcome(record) == "absent"


def test_extensions_are_kept_in_order_without_later_duplicates() -> None:
    found = sts_record.select([[b"v=STSv1; b=1; id=7; a=2; b=3"]])
    assert found.extensions == (("b", "1"), ("a", "2"))
    assert found.problems == ("duplicate-field",)


@pytest.mark.parametrize(
    ("records", "expected", "problems", "why"),
    [
        ([], "absent", (), "NOERROR without strings"),
        ([[]], "absent", (), "a record of no strings"),
        ([[b"v=STSv1; id=1"], [b"v=STSv1; id=1"]], "multiple", ("multiple",), "the same twice"),
        ([[b"v=STSv1; id=1"], [b"v=STSv1;"]], "multiple", ("multiple",), "counted before judged"),
        ([[b"v=spf1"], [b"v=STSv1; id=1"]], "valid", ("unrelated",), "others are discarded"),
        ([[b"v=STSv1 ; id=2"], [b"v=STSv1; id=1"]], "valid", ("unrelated",), "near ones as well"),
        ([[b"v=STSv1", b"; id=1"]], "valid", ("multistring",), "the rule is about joined octets"),
        ([[b"v=STSv1; id=1", b""]], "valid", ("multistring",), "an empty string counts as one"),
        ([[b"v=STSv1; ", b"id=1"], [b"x"]], "valid", ("unrelated", "multistring"), "both"),
        ([[b"v=STSv1;"], [b"x"]], "syntax", ("no-id", "unrelated"), "the survivor is judged"),
        ([[b"v=stsv1;"], [b"v=STSv1"]], "syntax", ("version", "no-delimiter"), "two near misses"),
    ],
)
def test_an_answer_is_read_as_a_whole(
    records: list[list[bytes]], expected: str, problems: tuple[str, ...], why: str
) -> None:
    found = sts_record.select(records)
    assert (found.outcome.value, found.problems) == (expected, problems)


def test_every_problem_has_an_example() -> None:
    told = {
        word for record, *_ in [*VALID, *SYNTAX] for word in sts_record.select([[record]]).problems
    }
    assert told | {"multiple", "unrelated", "multistring"} == set(sts_record.PROBLEMS)


# An oracle: the ABNF of section 3.1 as one expression over a whole record, written from the text
# and apart from the code.  It knows no duplicates.
ORACLE = re.compile(
    rb"""v=STSv1
    (?: [ \t]*;[ \t]*
        (?: id=[A-Za-z0-9]{1,32}
          | (?!id=)[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}=[\x21-\x3A\x3C\x3E-\x7E]+ ) )+
    (?: [ \t]*;[ \t]* )?""",
    re.VERBOSE,
)

# Fields and delimiters to build records from: the right ones several times, each slip once.
FIELDS = [b"id=1", b"id=x9", b"a=b", b"c.d=!"] * 3 + [
    b"id=",
    b"id=-",
    b"e",
    b"=f",
    b"g=h=i",
    b"j=k l",
]
DELIMITERS = [b";", b"; ", b" ;", b"\t;\t"] * 3 + [b";;", b" ", b"; ;", b""]


@st.composite
def near_records(draw: st.DrawFn) -> bytes:
    """Strings that are records or nearly so."""
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=4))
    parts = [field + draw(st.sampled_from(DELIMITERS)) for field in fields]
    return b"v=STSv1;" + draw(st.sampled_from([b"", b" ", b"\t", b";"])) + b"".join(parts)


NEAR_RECORDS = near_records()


@steady
@given(NEAR_RECORDS)
def test_the_verdict_agrees_with_the_grammar_as_one_expression(record: bytes) -> None:
    names = re.findall(rb"(?:^|;)[ \t]*([^;=]*)=", record)
    assume(len(names) == len(set(names)))
    has_id = re.search(rb";[ \t]*id=", record) is not None
    expected = "valid" if ORACLE.fullmatch(record) and has_id else "syntax"
    assert outcome(record) == expected


ANY_RECORDS = st.lists(
    st.lists(st.binary(max_size=12) | NEAR_RECORDS | st.sampled_from(FIELDS), max_size=3),
    max_size=3,
)


@steady
@given(ANY_RECORDS)
@example([[b"v=STSv1;" + b"\xff" * 70]])
def test_any_answer_has_an_outcome(records: list[list[bytes]]) -> None:
    """Never raises; only a valid record has an id; the words are of the list and in its order."""
    found = sts_record.select(records)
    assert found.outcome.value in {"valid", "absent", "multiple", "syntax"}
    assert (found.id is not None) is (found.outcome == "valid")
    assert list(found.problems) == [word for word in sts_record.PROBLEMS if word in found.problems]


@steady
@given(NEAR_RECORDS, st.lists(st.integers(0, 40), max_size=3))
def test_where_a_record_is_split_into_strings_does_not_matter(
    record: bytes, cuts: list[int]
) -> None:
    """RFC 8461 section 3.1: strings are joined without spaces; only ``multistring`` tells."""
    edges = [0, *sorted(cuts), len(record)]
    strings = [record[a:b] for a, b in pairwise(edges)]
    assume(b"".join(strings) == record)
    whole, split = sts_record.select([[record]]), sts_record.select([strings])
    assert (split.outcome, split.id, split.extensions) == (
        whole.outcome,
        whole.id,
        whole.extensions,
    )
    assert set(split.problems) - {"multistring"} == set(whole.problems)


@steady
@given(ANY_RECORDS)
def test_the_order_of_records_does_not_matter(records: list[list[bytes]]) -> None:
    assert sts_record.select(records[::-1]) == sts_record.select(records)


FIELD_NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", fullmatch=True).filter(
    lambda name: name not in {"id", "v"}
)
FIELD_VALUE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=";="), min_size=1
)


@steady
@given(
    st.from_regex(r"[A-Za-z0-9]{1,32}", fullmatch=True),
    st.dictionaries(FIELD_NAME, FIELD_VALUE, max_size=4),
    st.from_regex(r"[ \t]{0,2};[ \t]{0,2}", fullmatch=True),
    st.booleans(),
)
def test_what_is_written_by_the_grammar_is_read_back(
    id_: str, extensions: dict[str, str], delimiter: str, final: bool
) -> None:
    fields = [f"id={id_}", *(f"{name}={value}" for name, value in extensions.items())]
    text = "v=STSv1;" + delimiter.join(fields) + (delimiter if final else "")
    found = sts_record.select([[text.encode("ascii")]])
    assert found == sts_record.StsRecord(
        outcome=found.outcome, id=id_, extensions=tuple(extensions.items())
    )
    assert found.outcome == "valid"


def test_resembling_needs_the_version_word_and_nothing_before_it_but_clutter() -> None:
    assert txt_record.resembles(sts_record.KIND, [b"v=STSv1; id=1"])
    assert txt_record.resembles(sts_record.KIND, [b"v", b"=sts"])
    assert not txt_record.resembles(sts_record.KIND, [b"xv=STSv1; id=1"])


@pytest.mark.parametrize("junk", [b";", b"a=b;", b" ", b"=", b"id=1;", b"\xff;", b'"'])
def test_twice_the_junk_is_at_most_twice_the_work(junk: bytes) -> None:
    once, twice = [calls(sts_record.select, [[b"v=STSv1;" + junk * n]]) for n in (2_000, 4_000)]
    assert twice <= 2 * once + 50


def read_corpus(path: Path) -> list[tuple[str, bytes]]:
    """The record strings of a corpus table, with its two escapes undone."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    texts = [row["record"] for row in rows]
    return [
        (text, re.sub(r"\\(.)", lambda m: "\t" if m[1] == "t" else m[1], text).encode())
        for text in texts
    ]


# The strings of the corpus that are not valid, each with why.
CORPUS_ODD = {
    r"v=STSv1\\; id=1": ("no-delimiter", "a backslash stands before the semicolon"),
    "v=STS1; id=202506060T000000Z": ("version", "the version of a draft"),
    "v=STS1; mode=none;": ("version", "the version of a draft"),
    "v=STSv1:": ("no-delimiter", "a colon"),
    "v=STSv1;": ("no-id", "the prefix alone, as in the text of the RFC"),
    "v=STSv1; id=2026....": ("bad-id", "a placeholder"),
    "v=STSv1; mode=none;": ("no-id", "no id"),
}


def test_the_records_of_the_corpus(corpus: Path) -> None:
    records = read_corpus(corpus / "sts_txt.tsv")
    found = {text: sts_record.select([[record]]) for text, record in records}
    odd = {text: each.problems for text, each in found.items() if each.outcome != "valid"}
    assert odd == {text: (word,) for text, (word, _) in CORPUS_ODD.items()}
    assert Counter(each.outcome.value for each in found.values()) == {"valid": 115, "syntax": 7}
    assert {text for text, each in found.items() if each.extensions} == {
        "v=STSv1; id=2026013101; mode=enforce"
    }
