"""The changes between two scans as tables for a terminal, as CSV and as JSON.

The table and the JSON have the counts; the JSON and the CSV have the domains, which are written as
they come, so that there may be millions.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import IO, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.changes import Changes, Row
from analysis.tables import cell, json_text, print_table, whole

FINDING_COLUMNS: Final = (
    "finding", "severity", "appeared", "fixed", "removed", "stays", "unknown", "listed", "unlisted",
)  # fmt: skip

COLUMNS: Final = ("domain", "old_state", "new_state", "appeared", "fixed", "removed", "unknown")
"""Columns of the CSV: one row for each domain that changed; ids of findings, apart by a blank."""


def write_csv(changes: Changes, out: IO[str]) -> None:
    """One row for each domain whose state or findings changed."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in changes.domains():
        writer.writerow([cell(_joined(row[column])) for column in COLUMNS])


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else " ".join(value)


def write_json(changes: Changes, out: IO[str]) -> None:
    """One object; its last key is the array of the domains that changed, one a line."""
    head = {
        "old": changes.old.scan_id,
        "new": changes.new.scan_id,
        "not_comparable": list(changes.warnings),
        "lists": changes.lists,
        "transitions": [row for row in changes.transitions if "all" not in row.values()],
        "findings": list(changes.findings),
    }
    out.write(json_text(head).removesuffix("}") + ', "domains": [')
    for number, row in enumerate(changes.domains()):
        out.write(",\n " if number else "\n ")
        out.write(json_text(row))
    out.write("\n]}\n")


def print_tables(changes: Changes, console: Console) -> None:
    """The lists, the matrix of states and the findings."""
    old, new = changes.old, changes.new
    lists = changes.lists
    console.print(Text(f"{old.scan_id} ({old.day}) to {new.scan_id} ({new.day})", style="bold"))
    console.print(
        f"{whole(lists['on_both'])} domains on both lists, {whole(lists['appeared'])} appeared, "
        f"{whole(lists['disappeared'])} disappeared\n"
    )
    console.print(Text("From the state in a row to the state in a column", style="bold"))
    console.print(_matrix(changes.transitions))
    moved = [row for row in changes.findings if row["stays"] < row["n"]]
    if moved:
        console.print(Text("\nFindings, by what became of them; counts of domains", style="bold"))
        print_table(console, FINDING_COLUMNS, moved)
    if len(moved) < len(changes.findings):
        console.print(Text("\nThe other findings stayed with the same domains.", style="dim"))


def _matrix(transitions: Sequence[Row]) -> Table:
    """The counts laid out; nothing is added up here."""
    counts = {(row["old_state"], row["new_state"]): row["n"] for row in transitions}
    rows = list(dict.fromkeys(row["old_state"] for row in transitions))
    columns = [row["new_state"] for row in transitions if row["old_state"] == "all"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        cells = (Text(_count(counts.get((row, column)))) for column in columns)
        table.add_row(Text(row, style="bold"), *cells)
    return table


def _count(number: int | None) -> str:
    return whole(number) if number else "·"
