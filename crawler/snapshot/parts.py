"""One Parquet part: rows in, a whole file on the disk out, and back.

A part is written beside its final place, flushed, read back to its footer and only then named:
a Parquet file without a footer is unreadable as a whole, so none may ever stand under a final
name.  What a part says about itself (rows, size, SHA-256) is taken from the file
as it reads back.  Which parts belong together is ``store``'s business.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.snapshot import files
from crawler.snapshot.rows import SchemaError, from_table, to_table
from crawler.snapshot.schema import schema_of

Row = TypeVar("Row")
Rows: TypeAlias = Sequence[Any] | pa.Table
"""Rows of one class, as instances or plain tuples (see ``rows``) or already as an Arrow table."""

COMPRESSION_LEVEL: Final = 1  # zstd: higher levels cost a third more and save less than 1 %

_SELDOM_REPEATED: Final = frozenset(
    {"domain", "registrable_domain", "rank", "host", "qname", "elapsed_ms", "der", "body"}
)
"""Columns of values that are nearly all different, in an order that says nothing: a dictionary of
them only costs time and room, and their minimum and maximum let no reader skip anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A finished part, as the manifest lists it."""

    rows: int
    size: int
    """Octets."""
    sha256: str
    """Of the whole file, lower-case hexadecimal."""


class PartError(Exception):
    """A part does not read back as it was written; the text names the file."""


def _conformed(cls: type[Any], rows: Rows) -> pa.Table:
    """The rows as a table of exactly the schema of *cls*, column order included."""
    if not isinstance(rows, pa.Table):
        return to_table(cls, rows)
    schema = schema_of(cls)
    missing = [name for name in schema.names if name not in rows.column_names]
    if missing:
        raise SchemaError(f"{cls.table}: column {missing[0]!r} is missing")
    plain = rows.select(schema.names).replace_schema_metadata(None)
    return plain.cast(schema)


def stage(path: Path, cls: type[Any], rows: Rows) -> Part:
    """Write a part to *path*, a temporary name, flush it and read it back.

    Raises ``OSError`` when the disk is full or fails (and removes what was written), and
    ``PartError`` when the file does not read back.
    """
    return stage_as_is(path, _conformed(cls, rows))


def stage_as_is(path: Path, table: pa.Table) -> Part:
    """``stage`` for a table that keeps its own schema: what was read from a part of an older scan."""
    try:
        with files.disk_errors(path):
            return _written(path, table)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _written(path: Path, table: pa.Table) -> Part:
    leaves = _leaves(table.schema)
    repeated = [leaf for leaf in leaves if leaf not in _SELDOM_REPEATED]
    sys.audit(files.WRITE, str(path))
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
        version="2.6",
        use_dictionary=repeated,
        write_statistics=repeated,
    )
    files.sync(path)
    footer = pq.read_metadata(path)
    if footer.num_rows != table.num_rows or footer.num_columns != len(leaves):
        raise PartError(f"{path} does not read back as it was written; check the disk")
    return Part(rows=table.num_rows, size=path.stat().st_size, sha256=files.sha256(path))


@cache
def _leaves(schema: pa.Schema) -> tuple[str, ...]:
    """The Parquet columns of a schema by their paths: one for every leaf of a nested type."""

    def below(path: str, type_: pa.DataType) -> Iterator[str]:
        if pa.types.is_list(type_):
            yield from below(f"{path}.list.element", type_.value_type)
        elif pa.types.is_struct(type_):
            for field in type_:
                yield from below(f"{path}.{field.name}", field.type)
        else:
            yield path

    return tuple(leaf for field in schema for leaf in below(field.name, field.type))


def write(path: Path, cls: type[Any], rows: Rows) -> Part:
    """Write the rows as the part *path*, whole or not at all.  Errors as ``stage``."""
    temporary = path.with_name(f".{path.name}.tmp")
    part = stage(temporary, cls, rows)
    files.place(temporary, path)
    return part


def read_rows(path: Path, cls: type[Row]) -> list[Row]:
    """The rows of a part as instances of *cls*.  Raises ``SchemaError``, see ``rows``."""
    return from_table(cls, pq.ParquetFile(path).read())


def read_column(path: Path, name: str) -> list[Any]:
    """One column of a part, in the order of its rows."""
    column: list[Any] = pq.ParquetFile(path).read([name])[name].to_pylist()
    return column


def read_all(paths: Iterable[Path], cls: type[Row]) -> list[Row]:
    """The rows of several parts, in the order of the parts."""
    return [row for path in paths for row in read_rows(path, cls)]
