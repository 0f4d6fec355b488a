"""The door to DuckDB: paths are paths, and nothing else is a table."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from crawler.records import Certificate
from crawler.snapshot import duck, parts
from tests.snapshot.samples import certificate


@pytest.mark.parametrize("name", ["a'b", "a[1]b", "a*b", "a?b", 'a"b; DROP TABLE x', "ä {x} %s"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Quotes are no SQL and wildcards are no wildcards."""
    for folder in (tmp_path / name, tmp_path / "a1b", tmp_path / "aXb"):
        folder.mkdir()
        parts.write(folder / "p.parquet", Certificate, [certificate()])
    with duck.connect(spill=tmp_path / "spill") as connection:
        duck.view(connection, Certificate, [tmp_path / name / "p.parquet"])
        assert connection.execute("SELECT count(*) FROM certificates").fetchall() == [(1,)]


def test_a_table_without_parts_is_an_empty_one_with_its_columns(tmp_path: Path) -> None:
    with duck.connect(spill=tmp_path) as connection:
        duck.view(connection, Certificate, [])
        query = "SELECT sha256, names, not_after FROM certificates"
        assert connection.execute(query).fetchall() == []


def test_no_room_to_spill_is_said_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "spill").write_text("a file where a folder should be")
    sorting = "CREATE TEMP TABLE t AS SELECT md5(range::VARCHAR) AS m FROM range(600000) ORDER BY m"
    little = duck.connect(spill=tmp_path / "spill", memory_limit="20MB", threads=1)
    with little, pytest.raises(duckdb.IOException) as raised:
        little.execute(sorting)
    said = duck.trouble(raised.value)
    assert said is not None
    assert str(tmp_path / "spill") in said
    assert said.endswith("make sure that the archive's disk has room, and repeat the command")
    assert duck.trouble(ValueError("ours")) is None


def test_a_python_variable_is_no_table(tmp_path: Path) -> None:
    hidden = [1]
    with duck.connect(spill=tmp_path) as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("FROM hidden")
    assert hidden
