"""The data dictionary: every table and column of a snapshot, from the row classes.

``python -m crawler.snapshot.dictionary`` prints it as Markdown; ``DICTIONARY.md`` beside this file
is that output, and a test holds it to be current.  Nobody edits it by hand.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from enum import EnumType, StrEnum
from typing import Any, get_args, get_type_hints

import pyarrow as pa

from crawler import vocabulary
from crawler.records import JUDGED, OBSERVED, SCHEMA_VERSION, TABLES, Domain
from crawler.snapshot.schema import schema_of

_TITLES = {
    Domain: "The list",
    OBSERVED[0]: "Observed",
    JUDGED[0]: "Judged",
}
"""Headings, by the table that they stand before."""

_PREAMBLE = f"""\
<!-- Written by `python -m crawler.snapshot.dictionary`; do not edit. -->

# Data dictionary

Schema version {SCHEMA_VERSION}.  A scan is a folder `scan=<scan_id>` with one folder of Parquet files
`part-*.parquet` for each table below.  Names are lower-case A-labels without a final dot, times
are UTC with microseconds, hashes are lower-case hexadecimal SHA-256.  Null means *not reached*;
a status says why.  Columns marked with an enumeration hold one of its words, listed at the end.
"""


def _plain(docstring: str | None) -> str:
    """A docstring as a Markdown paragraph: one line, single backticks."""
    return re.sub(r"\s+", " ", inspect.cleandoc(docstring or "")).replace("``", "`")


def _words(hint: Any) -> type[StrEnum] | None:
    """The enumeration inside a column's type, if there is one."""
    if isinstance(hint, EnumType):
        return hint if issubclass(hint, StrEnum) else None
    return next((found for part in get_args(hint) if (found := _words(part))), None)


def _type(type_: pa.DataType) -> str:
    if pa.types.is_list(type_):
        return f"list of {_type(type_.value_type)}"
    if pa.types.is_struct(type_):
        return "struct"
    return "timestamp" if pa.types.is_timestamp(type_) else str(type_)


def _record(hint: Any) -> Any:
    """The record class inside a column's type, if there is one."""
    if is_dataclass(hint):
        return hint
    return next((found for part in get_args(hint) if (found := _record(part))), None)


def _fields_inside(type_: pa.DataType) -> list[pa.Field]:
    """The fields of the struct inside a column's type, if there is one."""
    while pa.types.is_list(type_):
        type_ = type_.value_type
    return list(type_) if pa.types.is_struct(type_) else []


def _columns(cls: Any, columns: Iterable[pa.Field], prefix: str = "") -> Iterator[str]:
    hints = get_type_hints(cls)
    for column in columns:
        hint, words = hints[column.name], _words(hints[column.name])
        kind = _type(column.type)
        if words:
            kind += f", [{words.__name__}](#{words.__name__.lower()})"
        doc = column.metadata[b"doc"].decode().replace("|", "\\|")
        null = "yes" if column.nullable else ""
        yield f"| `{prefix}{column.name}` | {kind} | {null} | {doc} |"
        if inside := _fields_inside(column.type):
            yield from _columns(_record(hint), inside, f"{prefix}{column.name}.")


def _table(cls: Any) -> Iterator[str]:
    yield f"### {cls.table}\n"
    yield _plain(cls.__doc__)
    key = ", ".join(f"`{k}`" for k in getattr(cls, "primary_key", ()))
    yield f"\nKey: {key}\n" if key else ""
    yield "| column | type | null | meaning |"
    yield "| --- | --- | --- | --- |"
    yield from _columns(cls, schema_of(cls))
    yield ""


def _enumerations() -> list[type[StrEnum]]:
    """The enumerations that columns use, in the order of their first use."""
    used = (
        _words(hint)
        for cls in TABLES
        for holder in (cls, *filter(None, map(_record, get_type_hints(cls).values())))
        for hint in get_type_hints(holder).values()
    )
    return list(dict.fromkeys(filter(None, used)))


def _vocabulary(enumeration: type[StrEnum]) -> Iterator[str]:
    assert getattr(vocabulary, enumeration.__name__) is enumeration
    yield f"### {enumeration.__name__}\n"
    yield _plain(enumeration.__doc__)
    yield "\n" + ", ".join(f"`{word.value}`" for word in enumeration) + "\n"


def markdown() -> str:
    """The whole dictionary."""
    lines = [_PREAMBLE]
    for cls in TABLES:
        if cls in _TITLES:
            lines.append(f"## {_TITLES[cls]}\n")
        lines += _table(cls)
    lines.append("## Words\n")
    for enumeration in _enumerations():
        lines += _vocabulary(enumeration)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
