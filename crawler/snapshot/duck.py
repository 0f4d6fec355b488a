"""The one door to DuckDB for the crawler: bounded memory, a spill folder, nothing by surprise.

Every connection is in memory, writes nothing but its spill, loads no extension and turns no
Python variable into a table.  Times are UTC.  Results are deterministic wherever a query orders
them; nothing here relies on an order that no query asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from crawler.snapshot.schema import schema_of
from crawler.snapshot.sharding import SQL_MACROS


def connect(
    *, spill: Path, memory_limit: str = "1GB", threads: int = 2
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database that may use *memory_limit* and spills into the folder *spill*.

    The macros ``shard_of(name, shards)`` and ``visit_order(seed, name)`` of ``sharding`` are
    defined.  Read rows through Arrow (``to_arrow_reader``), one cursor per result.
    """
    connection = duckdb.connect(
        config={
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "threads": threads,
            "preserve_insertion_order": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
    )
    return _prepared(connection)


def _prepared(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    for macro in SQL_MACROS:
        connection.execute(macro)
    return connection


class Database:
    """One database for many connections: to begin one costs as much as a small scan's query.

    They share its memory and its spill folder, and see nothing of each other's temporary views and
    tables.  Nothing else is ever made in it.  *spill* names the folder when it is first needed.
    """

    def __init__(self, spill: Callable[[], Path]) -> None:
        self._spill = spill
        self._beginning = threading.Lock()
        self._first: duckdb.DuckDBPyConnection | None = None

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open a connection, as ``connect`` does."""
        with self._beginning:
            if self._first is None:
                self._first = connect(spill=self._spill())
            return _prepared(self._first.cursor())


def trouble(error: BaseException) -> str | None:
    """What a DuckDB error says of this machine's memory and disk, with the remedy; else None."""
    if isinstance(error, (duckdb.OutOfMemoryException, duckdb.IOException)):
        said = str(error).partition("\n")[0]
        return f"{said}; make sure that the archive's disk has room, and repeat the command"
    return None


def literal(text: str) -> str:
    """*text* as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def parquet(paths: Iterable[Path]) -> str:
    """``read_parquet([...])`` over exactly these files, whatever characters their names hold."""
    return f"read_parquet([{', '.join(literal(_unglobbed(p)) for p in paths)}])"


def _unglobbed(path: Path) -> str:
    """A path that DuckDB reads as itself: a bracket makes a wildcard character an ordinary one."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))


def view(
    connection: duckdb.DuckDBPyConnection, cls: type[Any], paths: Sequence[Path], name: str = ""
) -> None:
    """Make a view, named after the table of *cls*, over *paths*; without paths it is empty."""
    name = name or cls.table
    if paths:
        connection.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS FROM {parquet(paths)}')
    else:
        connection.register(name, pa.Table.from_batches([], schema_of(cls)))
