"""One Parquet part: whole under its final name or not there, and readable by others."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.records import SCHEMA_VERSION, TABLES, Certificate, TxtLookup
from crawler.snapshot import parts
from crawler.snapshot.rows import SchemaError, to_table
from crawler.snapshot.schema import schema_of
from tests.snapshot.samples import ONE_OF_EACH, certificate, txt


@pytest.mark.parametrize("row", ONE_OF_EACH, ids=lambda row: type(row).table)
def test_rows_come_back_from_the_file(tmp_path: Path, row: Any) -> None:
    parts.write(tmp_path / "p.parquet", type(row), [row, row])
    assert parts.read_rows(tmp_path / "p.parquet", type(row)) == [row, row]


def test_a_part_states_its_rows_size_and_hash(tmp_path: Path) -> None:
    part = parts.write(tmp_path / "p.parquet", TxtLookup, [txt()])
    content = (tmp_path / "p.parquet").read_bytes()
    assert part == parts.Part(rows=1, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def test_the_same_rows_give_the_same_octets(tmp_path: Path) -> None:
    made = {parts.write(tmp_path / f"{n}.parquet", TxtLookup, [txt()]).sha256 for n in range(3)}
    assert len(made) == 1


@pytest.mark.parametrize("cls", TABLES, ids=lambda c: str(c.table))
def test_an_empty_part_keeps_every_type_and_every_sentence(tmp_path: Path, cls: type[Any]) -> None:
    parts.write(tmp_path / "p.parquet", cls, [])
    schema = pq.read_schema(tmp_path / "p.parquet")
    assert schema.equals(schema_of(cls))
    assert schema.metadata[b"schema_version"].decode() == SCHEMA_VERSION
    assert all(schema.field(n).metadata[b"doc"] for n in schema.names)


def test_parts_are_compressed_with_zstd(tmp_path: Path) -> None:
    parts.write(tmp_path / "p.parquet", TxtLookup, [txt()])
    group = pq.read_metadata(tmp_path / "p.parquet").row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}


def test_duckdb_reads_octets_and_nuls_unharmed(tmp_path: Path) -> None:
    fetch = next(row for row in ONE_OF_EACH if type(row).table == "policy_fetches")
    parts.write(tmp_path / "p.parquet", type(fetch), [fetch])
    (found,) = duckdb.execute(
        "SELECT body, content_type FROM read_parquet($p)", {"p": str(tmp_path / "p.parquet")}
    ).fetchall()
    assert found == (fetch.body, fetch.content_type)


def test_a_table_from_a_query_is_brought_to_the_schema(tmp_path: Path) -> None:
    """Other column order, wider text type, a column too many: what DuckDB hands over."""
    table = to_table(Certificate, [certificate()])
    shuffled = table.select(table.column_names[::-1]).append_column("shard", pa.array([1]))
    large = shuffled.set_column(
        shuffled.column_names.index("sha256"), "sha256", table["sha256"].cast(pa.large_string())
    )
    parts.write(tmp_path / "p.parquet", Certificate, large)
    assert parts.read_rows(tmp_path / "p.parquet", Certificate) == [certificate()]


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    table = to_table(Certificate, [certificate()]).drop_columns(["der"])
    with pytest.raises(SchemaError, match="'der' is missing"):
        parts.write(tmp_path / "p.parquet", Certificate, table)
    assert list(tmp_path.iterdir()) == []


_WRITE_UNDER_A_LIMIT = """
import random, resource, sys
from pathlib import Path
from crawler.records import Certificate
from crawler.snapshot import parts
octets = random.Random(1).randbytes
rows = [Certificate(scan_id="s", sha256=f"{n:064x}", der=octets(1000)) for n in range(300)]
path, limit = Path(sys.argv[1]) / "p.parquet", int(sys.argv[2])
if limit < 0:
    limit += parts.write(path, Certificate, rows).size
    path.unlink()
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    parts.write(path, Certificate, rows)
except OSError as error:
    sys.exit(f"OSError: {error}")
"""


@pytest.mark.parametrize("limit", [0, 4, 1000, 100_000, -500, -1])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, limit: int) -> None:
    """Wherever the write stops: at the first octet, among the pages, in the footer."""
    ran = subprocess.run(
        [sys.executable, "-c", _WRITE_UNDER_A_LIMIT, str(tmp_path), str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "OSError" in ran.stderr
