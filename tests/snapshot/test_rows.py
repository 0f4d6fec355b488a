"""Rows to Arrow and back: nothing is lost, nothing dirty stops the writer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest

from crawler.records import TABLES, TARGETS, Certificate, PolicyFetch, TxtLookup
from crawler.snapshot.rows import SchemaError, from_table, to_table
from crawler.snapshot.schema import schema_of
from tests.snapshot.samples import ONE_OF_EACH, certificate, txt


def test_the_samples_cover_every_table() -> None:
    assert {type(row) for row in ONE_OF_EACH} == set(TABLES)


@pytest.mark.parametrize("row", ONE_OF_EACH, ids=lambda row: type(row).table)
def test_a_row_comes_back_as_it_was(row: Any) -> None:
    """Octets, NULs, empty lists and enumerations included, with the very types."""
    (back,) = from_table(type(row), to_table(type(row), [row]))
    assert row == back
    assert repr(row).replace("datetime.timezone.utc", "") == repr(back).replace(
        "zoneinfo.ZoneInfo(key='UTC')", ""
    )


@pytest.mark.parametrize("cls", [*TABLES, *TARGETS], ids=lambda c: str(c.__name__))
def test_no_rows_keep_the_schema(cls: type[Any]) -> None:
    table = to_table(cls, [])
    assert table.schema.equals(schema_of(cls), check_metadata=True)
    assert from_table(cls, table) == []


def test_a_lone_surrogate_becomes_an_escape_in_its_column_only() -> None:
    rows = [replace(txt(), error="caf\udce9 \x00"), replace(txt(), error="é", resolver="\udc80")]
    first, second = from_table(TxtLookup, to_table(TxtLookup, rows))
    assert (first.error, second.error, second.resolver) == ("caf\\udce9 \x00", "é", "\\udc80")


def test_a_lone_surrogate_inside_a_list_becomes_an_escape() -> None:
    (back,) = from_table(
        Certificate, to_table(Certificate, [replace(certificate(), names=("a", "\udcff"))])
    )
    assert back.names == ("a", "\\udcff")


def test_times_are_utc_whatever_they_came_as() -> None:
    elsewhere = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    (back,) = from_table(TxtLookup, to_table(TxtLookup, [replace(txt(), started_at=elsewhere)]))
    assert back.started_at == elsewhere
    assert back.started_at.utcoffset() == timedelta(0)


def test_the_year_9999_of_a_certificate_survives() -> None:
    far = datetime.max.replace(tzinfo=UTC)
    (back,) = from_table(
        Certificate, to_table(Certificate, [replace(certificate(), not_after=far)])
    )
    assert back.not_after == far


def test_p16_a_later_minor_version_is_read_without_its_new_columns() -> None:
    table = to_table(TxtLookup, [txt()])
    later = table.append_column("novelty", pa.array([1])).replace_schema_metadata(
        {"schema_version": "1.99"}
    )
    assert from_table(TxtLookup, later) == [txt()]


def test_p16_an_earlier_minor_version_is_read_with_defaults() -> None:
    earlier = to_table(TxtLookup, [txt()]).drop_columns(["resolver"])
    assert from_table(TxtLookup, earlier) == [txt()]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (to_table(TxtLookup, []).replace_schema_metadata({"schema_version": "2.0"}), "version 2.0"),
        (to_table(TxtLookup, [txt()]).drop_columns(["status"]), "'status' is missing"),
        (
            to_table(TxtLookup, [txt()])
            .drop_columns(["kind"])
            .append_column("kind", pa.array(["dkim"])),
            "'kind': 'dkim'",
        ),
    ],
    ids=["another major version", "a column without a default", "a word nobody knows"],
)
def test_p16_what_cannot_be_read_is_refused_in_words(table: pa.Table, sentence: str) -> None:
    with pytest.raises(SchemaError, match=sentence):
        from_table(TxtLookup, table)


def test_every_row_of_a_struct_column_is_converted() -> None:
    fetch = next(row for row in ONE_OF_EACH if isinstance(row, PolicyFetch))
    back = from_table(PolicyFetch, to_table(PolicyFetch, [fetch, replace(fetch, headers=())]))
    assert [len(row.headers) for row in back] == [1, 0]
