"""The formats that lists are published in, by the first lines of the real ones."""

from __future__ import annotations

import io
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.snapshot import list_formats
from crawler.snapshot.list_formats import REASONS, Entry
from crawler.snapshot.list_sources import MAX_LINE, ListError


class _Pipe(io.BytesIO):
    """A stream that cannot seek, as those of ``list_sources`` are."""

    def seekable(self) -> bool:
        return False


def entries(text: str, name: str = "list") -> list[Entry]:
    stream = cast("IO[bytes]", _Pipe(text.encode("utf-8", "surrogateescape")))
    return list(list_formats.read(stream, name=name))


def brief(text: str) -> list[tuple[str, int | None]]:
    """Name and rank of each entry; of one without a name, its reason."""
    return [(f"{e.reason}!" if e.reason else e.text, e.rank) for e in entries(text)]


_MAJESTIC = """\
GlobalRank,TldRank,Domain,TLD,RefSubNets,RefIPs,IDN_Domain,IDN_TLD,PrevGlobalRank,PrevTldRank,PrevRefSubNets,PrevRefIPs
1,1,google.com,com,496105,2354017,google.com,com,1,1,496103,2353713
"""

FORMATS = {
    "plain": ("# a list\na.example\n\n  b.example  # note, with a comma\n", [("a.example", None), ("b.example", None)]),
    "plain, a comma in the first comment": ("a.example # x, y\nb.example\n", [("a.example", None), ("b.example", None)]),
    "Tranco": ("1,google.com\r\n2,amazonaws.com\r\n", [("google.com", 1), ("amazonaws.com", 2)]),
    "Umbrella": ("1,com\n2,google.com\n", [("com", 1), ("google.com", 2)]),
    "Majestic": (_MAJESTIC,
        [("google.com", 1)],
    ),
    "CrUX": (
        "origin,rank\nhttps://www.example.com,1000\nhttp://b.example:8080,10000\nftp://c.example,1\nd.example,1\n",
        [("www.example.com", 1000), ("b.example", 10000), ("url!", None), ("url!", None)],
    ),
    "Cloudflare Radar": ("domain\nexample.com\n", [("example.com", None)]),
    "DomCop": ('"Rank","Domain","Open Page Rank"\n"1","a.example","10.00"\n', [("a.example", 1)]),
    "name first": ("a.example,whatever,7\n", [("a.example", None)]),
    "semicolons": ("Kunde;Domain;Tags\nX AG;a.example;gold\n", [("a.example", None)]),
    "TABs": ("rank\tdomain\n3\ta.example\n", [("a.example", 3)]),
    "header in capitals, columns swapped": ("DOMAIN,RANK\na.example,5\n", [("a.example", 5)]),
    "byte order mark": ("\ufeffdomain,rank\na.example,5\n", [("a.example", 5)]),
    "comments in a table": ("# Tranco\n1,a.example\n#2,b.example\n", [("a.example", 1)]),
    "ranks that are none": (
        "rank,domain\n0,a.example\n-1,b.example\n1.5,c.example\nx,d.example\n99999999999999999999,e.example\n,f.example\n",
        [(f"{c}.example", None) for c in "abcdef"],
    ),
    "short rows": ("1,a.example\n2\n3,\n4,  \n5,b.example\n", [("a.example", 1), *[("no-domain!", None)] * 3, ("b.example", 5)]),
    "a stray quote": ('1,a.example\n2,"b.example\n3,c.example\n', [("a.example", 1), ("b.example", 2), ("c.example", 3)]),
    "a carriage return in quotes": ('1,a.example\n2,"b\rc"d\n', [("a.example", 1), ("b\rcd", 2)]),
    "empty": ("", []),
    "only comments": ("# nothing\n\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FORMATS.values(), ids=FORMATS)
def test_format(text: str, expected: list[tuple[str, int | None]]) -> None:
    assert expected == brief(text)


def test_tags_are_split() -> None:
    rows = entries('domain,tags\na.example,gold; eu|x\nb.example,"a,b"\nc.example,\nd.example\n')
    assert [e.tags for e in rows] == [("gold", "eu", "x"), ("a", "b"), (), ()]


def test_a_zone_is_named_by_its_file() -> None:
    zone = "@ 3600 IN SOA a. b. 1 2 3 4 5\nalpha NS ns.\n"
    assert [e.text for e in entries(zone, name="se")] == ["alpha.se"]


def test_line_numbers_count_every_line() -> None:
    assert [e.line for e in entries("# c\n\na.example\n\nb.example")] == [3, 5]
    assert [e.line for e in entries("rank,domain\n\n1,a.example\n")] == [3]


@pytest.mark.parametrize("first", ["a.example", "1,a.example"], ids=["plain", "table"])
def test_a_line_too_long_is_reported_in_short(first: str) -> None:
    found = entries(f"{first}\n{'x,' * MAX_LINE}\nb.example,b.example\n")
    assert [e.reason for e in found][1] == "line-too-long"
    assert len(found[1].text) == 80
    assert len(found) == 3


@settings(deadline=None)  # the machine may be busy
@given(st.text(alphabet='ab1.,;"\r\n\t#\ufeff\udcff@ '))
def test_any_text_ends_in_entries(text: str) -> None:
    assert {e.reason for e in entries(text)} <= {None, *REASONS}


def parquet(**columns: Any) -> IO[bytes]:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    out.seek(0)
    return out


def test_parquet() -> None:
    stream = parquet(
        Rank=[1, None, 3.0],
        Domain=pa.array(["a.example", "b.example", None]).dictionary_encode(),
        tags=[["x", None], [], None],
        other=[1, 2, 3],
    )
    assert list(list_formats.read(stream, name="l")) == [
        Entry(1, "a.example", 1, ("x",)),
        Entry(2, "b.example"),
        Entry(3, "", reason="no-domain"),
    ]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [({"name": ["a"]}, "without a column 'domain'"), ({"domain": [1]}, "not text")],
)
def test_parquet_without_names_is_refused(columns: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ListError, match=sentence):
        list(list_formats.read(parquet(**columns), name="l"))
