"""Rows as plain tuples: whatever they hold, they are written as the instances would be."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.records import MxHost, MxLookup, TxtLookup
from crawler.snapshot.memory import MemoryWork
from crawler.snapshot.rows import from_table, to_table
from crawler.vocabulary import Blame, DnsStatus, TxtKind
from tests import rows

MOMENTS = [datetime(2026, 11, 24, 4, 5, 6, us, tzinfo=UTC) for us in range(3)]

# Lone surrogates included; rows are drawn from few values too, since what repeats goes other ways.
text = st.text(max_size=4) | st.sampled_from(["a.example", "\udce9", "\x00"])
texts = st.lists(text, max_size=2).map(tuple)
lookup: dict[str, st.SearchStrategy[Any]] = {
    "scan_id": st.sampled_from(["s1", "s2"]),
    "attempt": st.integers(1, 3),
    "started_at": st.sampled_from(MOMENTS) | st.datetimes(timezones=st.just(UTC)),
    "elapsed_ms": st.floats(0, 1e6),
    "blame": st.none() | st.sampled_from(Blame),
    "error": st.none() | text,
    "status": st.sampled_from(DnsStatus),
    "authenticated": st.none() | st.booleans(),
    "cname_chain": texts,
    "ttl": st.none() | st.integers(0, 2**31),
    "resolver": st.none() | text,
    "domain": text,
}
strings = st.lists(st.binary(max_size=3), max_size=2).map(tuple)
txt = st.builds(
    TxtLookup,
    **lookup,
    kind=st.sampled_from(TxtKind),
    qname=text,
    records=st.lists(strings, max_size=2).map(tuple),
)
mx_hosts = st.builds(MxHost, preference=st.integers(0, 65_535), host=text)
mx = st.builds(
    MxLookup,
    **lookup,
    hosts=st.lists(mx_hosts, max_size=3).map(tuple),
    null_mx=st.booleans(),
    implicit_mx=st.booleans(),
)


def plain(row: Any, *, hosts_too: bool = True) -> tuple[Any, ...]:
    """The values of a row in the order of its fields."""
    values = tuple(getattr(row, f.name) for f in fields(row))
    if not hosts_too or not isinstance(row, MxLookup):
        return values
    at = [f.name for f in fields(row)].index("hosts")
    pairs = tuple((host.preference, host.host) for host in row.hosts)
    return (*values[:at], pairs, *values[at + 1 :])


@given(st.lists(txt, max_size=20) | st.lists(mx, max_size=20))
def test_plain_rows_give_what_instances_give(instances: list[Any]) -> None:
    for cls in {type(row) for row in instances}:
        expected = to_table(cls, instances)
        assert to_table(cls, [plain(row) for row in instances]) == expected
        assert to_table(cls, [plain(row, hosts_too=False) for row in instances]) == expected
        mixed = [plain(row) if n % 2 else row for n, row in enumerate(instances)]
        assert to_table(cls, mixed) == expected


@given(st.lists(txt, max_size=20) | st.lists(mx, max_size=20))
def test_rows_come_back_row_for_row_but_for_text_that_utf_8_cannot_hold(
    instances: list[Any],
) -> None:
    for cls in {type(row) for row in instances}:
        back = from_table(cls, to_table(cls, [plain(row) for row in instances]))
        assert list(map(_escaped, back)) == list(map(_escaped, instances))


def _escaped(row: Any) -> str:
    values = plain(row, hosts_too=False)
    return repr([v.timestamp() if isinstance(v, datetime) else v for v in values]).replace(
        "\\\\", "\\"
    )


@pytest.mark.parametrize("change", [lambda v: v[:-1], lambda v: (*v, None)], ids=["short", "long"])
def test_a_row_of_another_width_is_our_mistake(change: Any) -> None:
    with pytest.raises(ValueError, match="TxtLookup has not 16 values"):
        to_table(TxtLookup, [change(plain(rows.txt("a.example")))])


def test_memory_keeps_plain_rows_as_instances() -> None:
    row = rows.mx("a.example", (10, "mx.example"))
    work = MemoryWork(rows.SCAN_ID, seed="s")
    work.commit("unit", {MxLookup: [plain(row)]})
    work.commit("unit", {MxLookup: to_table(MxLookup, [plain(row)])})
    assert work.rows[MxLookup] == [row, row]
