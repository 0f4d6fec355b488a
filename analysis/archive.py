"""An archive of scans, opened for reading: every table a view, several scans one dataset.

The only module of this package that knows DuckDB and Parquet.  It answers: what does a SELECT over
the scans return.  Which there are is left to ``scans``; what is worth asking to ``catalogue``; what a
column means, to the crawler that wrote it.

Three things hold for every archive that opens:

* *Only whole scans count*, and of these the parts that the manifest lists (``scans``).
* *Old scans stay readable.*  ``queries/schema.sql`` states the columns that the queries use; a
  column or table that a scan does not have yet reads as null or as empty.
* *Reading is all that can happen.*  Once the views stand, the connection may open the listed parts
  and nothing else, cannot load an extension, and its configuration is locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.kept import leads_to
from analysis.scans import ArchiveError, Scan, find_scans, made_from
from analysis.tables import visible

PACKAGE: Final = Path(__file__).parent
REFERENCE: Final = (
    "columns",
    "customer_words",
    "finding_places",
    "firms",
    "mail_operators",
    "mta_software",
    "policy_hosts",
    "policy_providers",
    "versions",
    "words",
)
"""The CSV files of ``reference/``; each becomes a table of the same name."""

MEMORY_LIMIT: Final = "4GB"
"""Half of what the largest catalogue may use; beyond it DuckDB spills to a temporary folder."""

SPILL_SHARE: Final = 0.5
"""How much of the free disk the temporary folder may take, so that a question fails before others do."""

STREAMED_ROWS: Final = 1000
"""Rows of a long result that are held at once."""

ROW_GROUP: Final = 100_000
"""Rows of a Parquet file that are written, and can be read, at once."""

LOADED_ROWS: Final = 50_000
"""Rows from outside that are held at once."""

_SCANS: Final = """
create table scans (scan_id varchar, place bigint, day varchar, started_at timestamptz,
    vantage varchar, list varchar, scope varchar, rules_version varchar, sample_rate double,
    seed varchar)
"""
"""One row per scan, the newest in the last place; ``list`` is the SHA-256 of the domain list."""

_DEFINITIONS: Final = """
select view_name, sql from duckdb_views() where not internal
union all
select function_name, macro_definition from duckdb_functions() where not internal
"""
"""Views and macros with their texts."""

_READING: Final = "SELECT"
"""The statement type that cannot change anything; DESCRIBE, SHOW and SUMMARIZE are of it, EXPLAIN is
not, for EXPLAIN ANALYZE does what it explains."""


class BadQuery(ArchiveError):
    """The SQL given cannot be run here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a file, as a data package describes it."""

    name: str
    type: str
    """Of the types of Frictionless Table Schema."""
    meaning: str
    """Empty where nobody said."""


@dataclass(frozen=True, slots=True)
class Result:
    """The rows of one query, in order, with their column names."""

    table: pa.Table

    @staticmethod
    def of(rows: Sequence[Mapping[str, Any]]) -> Result:
        """Rows that did not come from a query, such as the catalogue itself."""
        return Result(pa.Table.from_pylist([dict(row) for row in rows]))

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, left to right."""
        return tuple(self.table.column_names)

    def described(self, meanings: Mapping[str, str]) -> tuple[Column, ...]:
        """The columns with their *meanings* by name."""
        return _described(self.table.schema, meanings)

    def records(self) -> list[dict[str, Any]]:
        """The rows as plain Python values keyed by column."""
        return list(self.table.to_pylist())

    def named(self, column: str, name: str | None) -> Result:
        """The same rows with *column* renamed, or left out when *name* is None."""
        if column not in self.columns:
            return self
        if name is None:
            return Result(self.table.drop_columns([column]))
        return Result(self.table.rename_columns([name if c == column else c for c in self.columns]))

    def parquet(self) -> bytes:
        """The rows as one Parquet file."""
        buffer = BytesIO()
        pq.write_table(self.table, buffer, compression="zstd")
        return buffer.getvalue()


class Archive:
    """The scans of one archive folder behind one read-only connection."""

    def __init__(self, scans: Sequence[Scan], connection: duckdb.DuckDBPyConnection) -> None:
        """Use :func:`open_archive`."""
        self.scans: Final = tuple(scans)
        self._connection = connection
        self._settled: set[str] = set()

    @property
    def series(self) -> tuple[Scan, ...]:
        """The scans that one vantage made, that of the newest scan: what changes are told of."""
        return tuple(scan for scan in self.scans if scan.vantage == self.scans[-1].vantage)

    @property
    def vantages(self) -> tuple[str, ...]:
        """Where the scans looked from, in the order of their first scans."""
        return tuple(dict.fromkeys(scan.vantage for scan in self.scans))

    def query(self, sql: str, **values: Any) -> Result:
        """Run SQL of this package and return its rows; *values* stand in it as ``$name``."""
        with _reading():
            return Result(self._connection.sql(sql, params=values).to_arrow_table())

    def stream(self, sql: str, **values: Any) -> Iterator[dict[str, Any]]:
        """The rows of SQL of this package one by one, however many there are.

        Ask nothing else of the archive before the last row has come.
        """
        with _reading():
            reader = self._connection.sql(sql, params=values).to_arrow_reader(STREAMED_ROWS)
            for batch in reader:
                yield from batch.to_pylist()

    def write_parquet(
        self, path: Path, meanings: Mapping[str, str], sql: str, **values: Any
    ) -> tuple[Column, ...]:
        """Write the rows of SQL of this package to *path*, however many there are.

        Returns the columns, whose *meanings* are in the file as well.  The same rows in the same order
        make the same octets.
        """
        with _reading():
            reader = self._connection.sql(sql, params=values).to_arrow_reader(ROW_GROUP)
            schema = pa.schema(
                field.with_metadata({"doc": meanings.get(field.name, "")})
                for field in reader.schema
            )
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                for table in _row_groups(reader, schema):
                    writer.write_table(table, row_group_size=ROW_GROUP)
        return _described(schema, meanings)

    def keep(self, name: str, sql: str, **values: Any) -> None:
        """Let *name* be a table with the rows of SQL of this package, for later queries."""
        with _reading():
            self._connection.execute(f'create or replace table "{name}" as {sql}', values or None)

    def load(
        self, name: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]
    ) -> None:
        """Let *name* be a table with *rows* from outside, which may be more than memory holds.

        *columns* are names and SQL types, which are ours.
        """
        stated = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
        with _reading():
            self._connection.execute(f'create or replace table "{name}" ({stated})')
            for some in _batches(rows, LOADED_ROWS):
                self._connection.register("incoming", pa.Table.from_pylist(some))
                self._connection.execute(f'insert into "{name}" by name from incoming')
                self._connection.unregister("incoming")

    def query_from_outside(self, sql: str) -> Result:
        """Run one SELECT that somebody typed; raises :class:`BadQuery` for anything else."""
        try:
            statements = self._connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type.name != _READING:
                raise BadQuery("only a single SELECT is run here: this is a read-only view of it")
            return Result(self._connection.sql(sql).to_arrow_table())
        except duckdb.Error as error:
            raise BadQuery(f"the query cannot be run: {_first_line(error)}") from error

    def settle(self, sql: str) -> None:
        """Make tables of the costly views that *sql* leads to (``kept``), once for all queries."""
        with _reading():
            definitions = dict(self._connection.execute(_DEFINITIONS).fetchall())
            for name in leads_to(sql, definitions):
                if name not in self._settled:
                    self._connection.execute(f'create table kept."{name}" as from "{name}"')
                    self._connection.execute(
                        f'create or replace view "{name}" as from kept."{name}"'
                    )
                    self._settled.add(name)

    def group_by(self, view: str) -> None:
        """Let ``subjects`` be the view *view*: every domain, judged, with its stratum."""
        self._connection.execute(f'create or replace view subjects as from "{view}"')


@contextmanager
def open_archive(
    folder: Path | str,
    *,
    unsealed: bool = False,
    vantage: str | None = None,
    memory_limit: str = MEMORY_LIMIT,
) -> Iterator[Archive]:
    """Open the archive in *folder*, or at an ``s3://`` address; with *unsealed*, its unfinished scans
    count as well.

    With *vantage*, only the scans that were made from there count.  Raises :class:`NotAnArchive`
    when the folder is none, or has none of these, and :class:`ArchiveError` when a part is missing
    or cannot be read.
    """
    scans = find_scans(folder, unsealed=unsealed)
    if vantage is not None:
        scans = made_from(vantage, scans, folder)
    with TemporaryDirectory(prefix="sts-report-") as spill:
        connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "memory_limit": memory_limit,
                "temp_directory": spill,
                "max_temp_directory_size": f"{int(disk_usage(spill).free * SPILL_SHARE)}B",
                "preserve_insertion_order": False,
                "python_enable_replacements": False,
            }
        )
        with connection:
            try:
                _define_views(connection, scans)
                _lock(connection, scans)
            except duckdb.Error as error:
                raise ArchiveError(
                    f"{folder} cannot be read ({_first_line(error)}); "
                    "compare its parts with the hashes in manifest.json and copy it again"
                ) from error
            yield Archive(scans, connection)


def _define_views(connection: duckdb.DuckDBPyConnection, scans: Sequence[Scan]) -> None:
    """Macros, then every table of the archive as a view, then the views of ``queries/views``."""
    # It would go to stdout, where the data are.  In a notebook, whose widget it wants, it cannot be set.
    with suppress(duckdb.InvalidInputException):
        connection.execute("set enable_progress_bar = false")
    queries = PACKAGE / "queries"
    connection.execute((queries / "macros.sql").read_text("utf-8"))
    connection.execute("create schema expected; use expected")
    connection.execute((queries / "schema.sql").read_text("utf-8"))
    connection.execute("use main; create schema kept")
    for name in REFERENCE:
        source = connection.read_csv(str(PACKAGE / "reference" / f"{name}.csv"), all_varchar=True)
        source.to_table(f"reference_{name}")
    expected = {
        str(row[0])
        for row in connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'expected'"
        ).fetchall()
    }
    for table in sorted(expected.union(*(scan.listed for scan in scans))):
        connection.execute(_table_view(table, scans, expected=table in expected))
    connection.execute(_SCANS)
    for place, scan in enumerate(scans):
        connection.execute(
            "insert into scans values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                scan.scan_id,
                place,
                scan.day,
                scan.facts.get("started_at"),
                scan.vantage,
                scan.list_hash,
                scan.facts.get("scope"),
                scan.manifest.get("rules_version"),
                scan.facts.get("sample_rate"),
                scan.facts.get("seed"),
            ],
        )
    connection.execute("create table population (stratum varchar, domains bigint)")
    for path in sorted((queries / "views").glob("*.sql")):
        connection.execute(path.read_text("utf-8"))
    connection.execute("create view subjects as from subjects_by_scan")


def _table_view(table: str, scans: Sequence[Scan], *, expected: bool) -> str:
    """The SQL of a view over all parts of *table*, columns matched by name across the scans."""
    sources = [f'from expected."{table}"'] if expected else []
    # Within a scan the schema is one; between scans columns are added.  Reading the scans apart
    # spares opening every part only to learn its columns.
    for scan in scans:
        if parts := scan.parts(table):
            listed = ", ".join(_quoted(part) for part in parts)
            sources.append(f"from read_parquet([{listed}], hive_partitioning = false)")
    return f'create view "{table}" as {" union all by name ".join(sources)}'


def _lock(connection: duckdb.DuckDBPyConnection, scans: Sequence[Scan]) -> None:
    """From here on the listed parts can be read, and nothing else can be reached."""
    parts = [part for scan in scans for table in scan.listed for part in scan.parts(table)]
    connection.execute("set allowed_paths = [" + ", ".join(map(_quoted, parts)) + "]")
    connection.execute("set allowed_directories = []")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def part_columns(part: Path) -> tuple[Column, ...]:
    """The columns of a Parquet file of the crawler, with the meanings that it wrote into it."""
    schema = pq.read_schema(part)
    meanings = {field.name: (field.metadata or {}).get(b"doc", b"").decode() for field in schema}
    return _described(schema, meanings)


_TYPES: Final = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "integer"),
    (pa.types.is_floating, "number"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_list, "array"),
    (pa.types.is_struct, "object"),
)


def _described(schema: pa.Schema, meanings: Mapping[str, str]) -> tuple[Column, ...]:
    return tuple(
        Column(
            name=field.name,
            type=next((name for fits, name in _TYPES if fits(field.type)), "string"),
            meaning=meanings.get(field.name, ""),
        )
        for field in schema
    )


def _row_groups(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in tables of ``ROW_GROUP`` each, however the reader cuts them; the last is shorter."""
    held = schema.empty_table()
    for batch in reader:
        held = pa.concat_tables([held, pa.Table.from_batches([batch]).cast(schema)])
        while held.num_rows >= ROW_GROUP:
            yield held.slice(0, ROW_GROUP).combine_chunks()
            held = held.slice(ROW_GROUP)
    yield held.combine_chunks()


@contextmanager
def _reading() -> Iterator[None]:
    """Turn a failure of a query of ours into one sentence."""
    try:
        yield
    except duckdb.Error as error:
        raise ArchiveError(f"the archive cannot be queried: {_first_line(error)}") from error


def _batches(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    """The rows in lists of at most *size*."""
    iterator = iter(rows)
    while some := list(islice(iterator, size)):
        yield some


def _quoted(text: str) -> str:
    """*text* as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    """What DuckDB says, which may quote a cell."""
    return visible(str(error).strip().partition("\n")[0])
