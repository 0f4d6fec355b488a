"""The Arrow schema of a row class, derived; nobody writes a schema by hand.

``X | None`` becomes a nullable column, ``tuple[X, ...]`` a list, a nested dataclass a struct, a
``StrEnum`` text, ``datetime`` microseconds in UTC.  The sentence of each column becomes field
metadata, so that a Parquet file explains itself.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pyarrow as pa

from crawler.records import SCHEMA_VERSION

_SCALARS: dict[type, pa.DataType] = {
    str: pa.string(),
    bytes: pa.binary(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    datetime: pa.timestamp("us", tz="UTC"),
}


def _arrow_type(hint: Any) -> pa.DataType:
    if get_origin(hint) is tuple:
        return pa.list_(_arrow_type(get_args(hint)[0]))
    if is_dataclass(hint):
        return pa.struct(_fields(hint))
    if issubclass(hint, StrEnum):
        return pa.string()
    return _SCALARS[hint]


def _fields(cls: Any) -> list[pa.Field]:
    hints = get_type_hints(cls)
    made = []
    for column in fields(cls):
        hint, nullable = hints[column.name], False
        if isinstance(hint, UnionType):
            nullable = True
            (hint,) = (h for h in get_args(hint) if h is not NoneType)
        made.append(
            pa.field(column.name, _arrow_type(hint), nullable, {"doc": column.metadata["doc"]})
        )
    return made


def schema_of(cls: type[Any]) -> pa.Schema:
    """The Arrow schema of a row class of ``records``, with its ``schema_version``."""
    hashable: Any = cls
    return _schema_of(hashable)


@cache
def _schema_of(cls: Any) -> pa.Schema:
    return pa.schema(_fields(cls), metadata={"schema_version": SCHEMA_VERSION, "table": cls.table})
