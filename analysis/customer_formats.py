"""The customers of a mail provider as a table for a terminal, as CSV and as JSON.

What the columns and keys are is said in ``CUSTOMERS.md``, which others build on: keys are added,
never renamed or taken away.  Everything is written as it comes, one domain after the other.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.customers import Customer, Customers, Finding
from analysis.places.pointer import Place
from analysis.tables import cell, json_text, visible

COLUMNS: Final = (
    "domain", "listed", "verdict", "sender_outcome", "sender", "finding", "severity", "sentence",
    "fix", "section", "since", "since_scan", "where", "seen",
)  # fmt: skip
"""Columns of the CSV: one row for each finding, and one for a domain without any."""

_CHUNK: Final = 200
"""Domains that are laid out as one table."""

_NAME_WIDTH: Final = 40
"""Characters of a name beyond which it is folded on a terminal."""

_STYLES: Final = {
    "bad": "bold red",
    "fair": "yellow",
    "good": "green",
    "unknown": "magenta",
    "plain": "none",
}
_SEVERITIES: Final = {
    "refused": "bold red",
    "no-policy": "red",
    "warning": "yellow",
    "unmeasured": "magenta",
    "note": "cyan",
}


def summary(customers: Customers) -> str:
    """How many fare how, in a sentence."""
    labels = [(c.n, c.verdict.label) for c in customers.counts if c.n]
    counted = ", ".join(f"{n:,} {label[0].lower()}{label[1:]}" for n, label in labels)
    many = f"{customers.total:,} domain{'s'[: customers.total != 1]}"
    scan = customers.scan
    return f"scan {scan.scan_id} of {scan.day}: {many}" + (f"; {counted}" if counted else "")


def since(finding: Finding, customers: Customers) -> str:
    """Since when a finding has stood, in words."""
    if finding.since.scan_id == customers.first_scan.scan_id:
        return f"since the first scan, {finding.since.day}"
    return f"since {finding.since.day}"


# --- CSV and JSON


def write_csv(customers: Customers, out: IO[str]) -> None:
    """One row for each finding; formulas are made harmless by a leading quote."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for customer in customers:
        writer.writerows(
            [cell(row.get(column)) for column in COLUMNS] for row in _csv_rows(customer)
        )


def _csv_rows(customer: Customer) -> Iterator[dict[str, str | None]]:
    of_domain = {
        "domain": customer.domain,
        "listed": customer.listed,
        "verdict": customer.verdict.word,
        "sender_outcome": customer.sender.word if customer.sender else None,
        "sender": customer.sender.meaning if customer.sender else None,
    }
    for finding in customer.findings:
        yield {
            **of_domain,
            "finding": finding.id,
            "severity": finding.severity.word if finding.severity else None,
            "sentence": finding.sentence,
            "fix": finding.fix,
            "section": finding.section,
            "since": finding.since.day,
            "since_scan": finding.since.scan_id,
            "where": "; ".join(f"{place.what} {place.where}" for place in finding.places),
            "seen": "; ".join(" | ".join(place.seen) for place in finding.places),
        }
    if not customer.findings:
        yield of_domain


def write_json(customers: Customers, out: IO[str]) -> None:
    """One object; its last key is the array of domains, one a line."""
    scan = customers.scan
    head = {
        "scan": {
            "scan_id": scan.scan_id,
            "day": scan.day,
            "rules_version": scan.manifest.get("rules_version"),
        },
        "domains": customers.total,
        "counts": {count.verdict.word: count.n for count in customers.counts},
    }
    out.write(json_text(head).removesuffix("}") + ', "customers": [')
    for number, customer in enumerate(customers):
        out.write(",\n " if number else "\n ")
        out.write(json_text(_json(customer, customers)))
    out.write("\n]}\n")


def _json(customer: Customer, customers: Customers) -> dict[str, Any]:
    return {
        "domain": customer.domain,
        "listed": customer.listed,
        "verdict": customer.verdict.word,
        "sender_outcome": customer.sender.word if customer.sender else None,
        "sender": customer.sender.meaning if customer.sender else None,
        "mode": customer.mode,
        "max_age": customer.max_age,
        "findings": [
            {
                "id": finding.id,
                "severity": finding.severity.word if finding.severity else None,
                "sentence": finding.sentence,
                "fix": finding.fix,
                "section": finding.section,
                "since": {
                    "scan_id": finding.since.scan_id,
                    "day": finding.since.day,
                    "first_scan": finding.since.scan_id == customers.first_scan.scan_id,
                },
                "places": [
                    {"what": place.what, "where": place.where, "seen": list(place.seen)}
                    for place in finding.places
                ],
            }
            for finding in customer.findings
        ],
    }


# --- the table


def print_table(customers: Customers, console: Console) -> None:
    """A line for each domain, and below it what was found, where it stands and what to change."""
    widest = max((len(f"  {id_}") for id_ in customers.finding_ids), default=0)
    name = min(max(customers.longest_name, widest, len("domain")), max(widest, _NAME_WIDTH))
    verdict = max(len(count.verdict.label) for count in customers.counts)
    rows = iter(customers)
    header = True
    while chunk := list(islice(rows, _CHUNK)):
        table = Table(box=None, pad_edge=False, show_header=header, header_style="bold")
        table.add_column("domain", width=name, overflow="fold")
        table.add_column("verdict", width=verdict)
        table.add_column("what was found, where, and what to change", overflow="fold")
        for customer in chunk:
            _add(table, customer, customers)
        _print(table, console)
        header = False


def _print(table: Table, console: Console) -> None:
    """Print a table; in a file, without the blanks that fill its last column."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.file.write(f"{line.rstrip()}\n")


def _add(table: Table, customer: Customer, customers: Customers) -> None:
    table.add_row(
        Text(visible(customer.domain), style="bold"),
        Text(customer.verdict.label, style=_STYLES[customer.verdict.tone]),
        Text(_in_short(customer)),
    )
    for number, finding in enumerate(customer.findings):
        known = customer.findings[number - 1].places if number else ()
        table.add_row(
            Text(visible(f"  {finding.id}")),
            _severity(finding),
            _told(finding, known, customers),
        )
    if customer.findings:
        table.add_row()


def _severity(finding: Finding) -> Text:
    word = finding.severity.word if finding.severity else "-"
    return Text(visible(word), style=_SEVERITIES.get(word, "none"))


def _in_short(customer: Customer) -> str:
    said = customer.sender.meaning if customer.sender else customer.verdict.meaning
    return said if customer.listed == customer.domain else f"{said} [{visible(customer.listed)}]"


def _told(finding: Finding, known: Iterable[Place], customers: Customers) -> Text:
    """A finding's cell; places that the finding above has shown are not shown again."""
    text = Text(visible(finding.sentence))
    text.append(f" ({since(finding, customers)})", style="dim")
    if finding.places != known:
        for place in finding.places:
            text.append(f"\n{place.what} {place.where}", style="dim")
            for line in place.seen:
                text.append(f"\n  {line}")
    if finding.fix:
        text.append(f"\n→ {visible(finding.fix)}")
    return text
