"""Rows of ``records`` to Arrow and back, column by column.

Text that UTF-8 cannot hold (a lone surrogate from an undecodable byte) is written as a backslash
escape: the row is never lost, and the evidence beside it is bytes anyway.  Reading follows the
schema's promise: columns of a later minor version are ignored, missing ones take their default,
another major version is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import pyarrow as pa

from crawler.records import SCHEMA_VERSION
from crawler.snapshot.schema import schema_of

Row = TypeVar("Row")
Convert = Callable[[Any], Any]


class SchemaError(Exception):
    """Rows on disk do not fit the row class; the text says how."""


# --- rows to Arrow


@cache
def _plainer(hint: Any) -> Convert | None:
    """How a value of this type becomes what Arrow accepts; None when it already is."""
    if get_origin(hint) is tuple:
        inner = _plainer(get_args(hint)[0])
        return None if inner is None else lambda values: [inner(v) for v in values]
    if is_dataclass(hint):
        names = [f.name for f in fields(hint)]
        get = attrgetter(*names)
        return lambda value: dict(zip(names, get(value), strict=True))
    return None


def _encodable(value: Any) -> Any:
    """*value* with every text in it made fit for UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, (list, tuple)):
        return [_encodable(v) for v in value]
    if isinstance(value, dict):
        return {key: _encodable(v) for key, v in value.items()}
    return value


def _array(values: list[Any], type_: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, type_)
    except UnicodeEncodeError:
        return pa.array([_encodable(v) for v in values], type_)


def to_table(cls: type[Any], rows: Sequence[Any]) -> pa.Table:
    """The rows, all of class *cls*, as an Arrow table of exactly the class's schema."""
    schema, hints = schema_of(cls), get_type_hints(cls)
    arrays = []
    for column in schema:
        plainer = _plainer(_without_none(hints[column.name]))
        values = list(map(attrgetter(column.name), rows))
        if plainer is not None:
            values = [None if v is None else plainer(v) for v in values]
        arrays.append(_array(values, column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


# --- Arrow to rows


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    convert: Convert | None
    default: Any


def _without_none(hint: Any) -> Any:
    """``X`` of ``X | None``, and any other type as it is."""
    members = [h for h in get_args(hint) if h is not NoneType]
    return members[0] if NoneType in get_args(hint) else hint


def _richer(hint: Any) -> Convert | None:
    """How a value read from Arrow becomes this type; None when it already is."""
    if get_origin(hint) is tuple:
        inner = _richer(get_args(hint)[0])
        return tuple if inner is None else lambda values: tuple(map(inner, values))
    if is_dataclass(hint):
        return _struct(hint)
    return cast("Convert", hint) if issubclass(hint, StrEnum) else None


def _converted(value: Any, convert: Convert | None) -> Any:
    return value if value is None or convert is None else convert(value)


def _struct(cls: Any) -> Convert:
    converts = {name: _richer(_without_none(h)) for name, h in _field_hints(cls).items()}

    def convert(value: dict[str, Any]) -> Any:
        return cls(**{name: _converted(value[name], c) for name, c in converts.items()})

    return convert


def _field_hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {f.name: hints[f.name] for f in fields(cls)}


@cache
def _columns(cls: Any) -> tuple[_Column, ...]:
    hints = _field_hints(cls)
    return tuple(
        _Column(f.name, _richer(_without_none(hints[f.name])), f.default) for f in fields(cls)
    )


def _values(column: _Column, table: pa.Table, cls: type[Any]) -> list[Any]:
    if column.name not in table.column_names:
        if column.default is MISSING:
            raise SchemaError(f"{cls.table}: column {column.name!r} is missing")
        return [column.default] * table.num_rows
    values: list[Any] = table[column.name].to_pylist()
    if column.convert is None:
        return values
    try:
        return [_converted(v, column.convert) for v in values]
    except ValueError as error:  # a word that this version's vocabulary does not have
        raise SchemaError(f"{cls.table}: column {column.name!r}: {error}") from None


def from_table(cls: type[Row], table: pa.Table) -> list[Row]:
    """The rows of an Arrow table as instances of *cls*.

    Raises ``SchemaError`` when the table has another major schema version, lacks a column that
    has no default, or holds a word that the vocabulary does not have.
    """
    stated = (table.schema.metadata or {}).get(b"schema_version", SCHEMA_VERSION.encode()).decode()
    if stated.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise SchemaError(
            f"written with schema version {stated}; this program reads {SCHEMA_VERSION}: "
            "use the release of the program that wrote it"
        )
    hashable: Any = cls
    columns = _columns(hashable)
    names = [c.name for c in columns]
    values = [_values(c, table, cls) for c in columns]
    return [cls(**dict(zip(names, row, strict=True))) for row in zip(*values, strict=True)]
