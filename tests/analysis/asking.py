"""Asking the catalogue about one planted scan, and the numbers of an answer by their class."""

from __future__ import annotations

from typing import Any

from analysis.archive import Archive
from analysis.catalogue import find
from tests.analysis.archive_fixture import SCANS

FIRST, SECOND = SCANS


def ask(
    archive: Archive, name: str, by: str | None = None, scan: str = FIRST
) -> list[dict[str, Any]]:
    """The rows of one scan."""
    return [row for row in find(name).ask(archive, by).records() if row["scan_id"] == scan]


def counts(rows: list[dict[str, Any]], *columns: str) -> dict[Any, tuple[int, int, int]]:
    """n, of_n and left_out by the values of *columns*; no two rows have the same."""
    found = {}
    for row in rows:
        key = row[columns[0]] if len(columns) == 1 else tuple(row[c] for c in columns)
        assert key not in found
        found[key] = (row["n"], row["of_n"], row["left_out"])
    return found
