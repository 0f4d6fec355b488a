"""Rows of ``records`` to Arrow and back, column by column.

Text that UTF-8 cannot hold (a lone surrogate from an undecodable byte) is written as a backslash
escape: the row is never lost, and the evidence beside it is bytes anyway.  Reading follows the
schema's promise: columns of a later minor version are ignored, missing ones take their default,
another major version is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from itertools import accumulate, chain, islice
from operator import attrgetter
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import pyarrow as pa

from crawler.records import SCHEMA_VERSION
from crawler.snapshot.schema import schema_of

Row = TypeVar("Row")


class SchemaError(Exception):
    """Rows on disk do not fit the row class; the text says how."""


# --- rows to Arrow


@cache
def _values_of(cls: Any) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*(f.name for f in fields(cls)))


def _columns_of(cls: Any, rows: Iterable[Any]) -> list[list[Any]]:
    """The values of *rows*, instances of a dataclass or plain tuples, column by column."""
    values_of, width = _values_of(cls), len(fields(cls))
    plain = [row if type(row) is tuple else values_of(row) for row in rows]
    flat = list(chain.from_iterable(plain))
    if len(flat) != width * len(plain):
        raise ValueError(f"a plain row of {cls.__name__} has not {width} values")
    # zip(*plain) would make an iterator for each row, and so wake the garbage collector.
    return [flat[n::width] for n in range(width)]


def _arrays(cls: Any, types: Iterable[pa.Field], rows: Iterable[Any]) -> list[pa.Array]:
    columns = zip(_field_hints(cls).values(), types, _columns_of(cls, rows), strict=True)
    return [_array(_without_none(hint), field.type, values) for hint, field, values in columns]


def _encodable(value: Any) -> Any:
    """*value* with every text in it made fit for UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, (list, tuple)):
        return [_encodable(v) for v in value]
    return value


def _array(hint: Any, type_: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """A column of values of the Python type *hint* as an Arrow array of *type_*."""
    if is_dataclass(hint):
        return pa.StructArray.from_arrays(_arrays(hint, type_, values), fields=list(type_))
    if get_origin(hint) is tuple and is_dataclass(inner := get_args(hint)[0]):
        ends = pa.array(accumulate(map(len, values), initial=0), pa.int32())
        flat = _array(inner, type_.value_type, list(chain.from_iterable(values)))
        return pa.ListArray.from_arrays(ends, flat, type=type_)
    try:
        return _plain_array(type_, values)
    except UnicodeEncodeError:
        return pa.array([_encodable(v) for v in values], type_)


def _plain_array(type_: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """The values as an array; what is the same in all or many rows is converted once."""
    if pa.types.is_nested(type_):
        return pa.array(values, type_)
    if values and values[0] == values[-1] and values.count(values[0]) == len(values):
        return pa.repeat(pa.scalar(values[0], type_), len(values))
    if pa.types.is_timestamp(type_):  # the one type that costs more to convert than to look up
        numbers = {value: n for n, value in enumerate(dict.fromkeys(values))}
        if 2 * len(numbers) <= len(values):
            which = pa.array(list(map(numbers.__getitem__, values)), pa.int64())
            return pa.array(list(numbers), type_).take(which)
    return pa.array(values, type_)


def to_table(cls: type[Any], rows: Iterable[Any]) -> pa.Table:
    """The rows, all of class *cls*, as an Arrow table of exactly the class's schema.

    A row is an instance of the class, or plain: the tuple of its values in the order of its
    fields, in which an instance of another dataclass (``MxHost``) may be a plain tuple as well.
    """
    schema = schema_of(cls)
    return pa.Table.from_arrays(_arrays(cls, schema, rows), schema=schema)


def to_instances(cls: type[Row], rows: Sequence[Any] | pa.Table) -> Sequence[Row]:
    """The rows, whatever they are given as, as instances of *cls*."""
    if not isinstance(rows, pa.Table):
        if not any(type(row) is tuple for row in rows):
            return rows
        rows = to_table(cls, rows)
    return from_table(cls, rows)


# --- Arrow to rows


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    hint: Any
    default: Any


def _without_none(hint: Any) -> Any:
    """``X`` of ``X | None``, and any other type as it is."""
    members = [h for h in get_args(hint) if h is not NoneType]
    return members[0] if NoneType in get_args(hint) else hint


@cache
def _field_hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {f.name: hints[f.name] for f in fields(cls)}


@cache
def _columns(cls: Any) -> tuple[_Column, ...]:
    hints = _field_hints(cls)
    return tuple(_Column(f.name, _without_none(hints[f.name]), f.default) for f in fields(cls))


def _read(hint: Any, array: pa.Array) -> list[Any]:
    """The values of an array as the Python type *hint*; null is ``None``."""
    if get_origin(hint) is tuple:
        return _read_lists(get_args(hint)[0], array)
    if is_dataclass(hint):
        return _read_structs(hint, array)
    if pa.types.is_timestamp(array.type):  # costs more to convert than to look up
        return _read_distinct(lambda value: value, array)
    if issubclass(hint, StrEnum):
        return _read_distinct(hint, array)
    return cast("list[Any]", array.to_pylist())


def _read_distinct(convert: Callable[[Any], Any], array: pa.Array) -> list[Any]:
    """What is the same in many rows is converted once."""
    encoded = array.dictionary_encode()
    values = [*map(convert, encoded.dictionary.to_pylist()), None]
    which = encoded.indices.fill_null(len(values) - 1)
    return list(map(values.__getitem__, which.to_pylist()))


def _read_lists(inner: Any, array: pa.ListArray) -> list[Any]:
    lengths = array.value_lengths().to_pylist()
    flat = iter(_read(inner, array.flatten()))
    return [None if n is None else tuple(islice(flat, n)) if n else () for n in lengths]


def _read_structs(cls: Any, array: pa.StructArray) -> list[Any]:
    """Instances of the dataclass *cls*; equal ones are one, for the hosts of many are the same."""
    hints = _field_hints(cls)
    columns = [_read(_without_none(hint), array.field(name)) for name, hint in hints.items()]
    instances = {
        values: cls(**dict(zip(hints, values, strict=True)))
        for values in set(zip(*columns, strict=True))
    }
    return [instances[values] for values in zip(*columns, strict=True)]


def _values(column: _Column, table: pa.Table, cls: type[Any]) -> list[Any]:
    if column.name not in table.column_names:
        if column.default is MISSING:
            raise SchemaError(f"{cls.table}: column {column.name!r} is missing")
        return [column.default] * table.num_rows
    try:
        return [v for chunk in table[column.name].chunks for v in _read(column.hint, chunk)]
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
