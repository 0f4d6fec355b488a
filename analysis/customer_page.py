"""The customers of a mail provider as one page that can be mailed, printed and opened offline.

The domains are written as they come from the archive, grouped by their verdict, so that the page of
a long list is never held in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from typing import IO, Final

from analysis import page
from analysis.customer_formats import since
from analysis.customers import Customer, Customers, Finding, Word
from analysis.places.pointer import Place
from analysis.tables import visible, whole

_PIECES: Final = 200
"""Pieces of the page that are written at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Findings that speak of the same places."""

    places: Sequence[Place]
    findings: Sequence[Finding]


def write_html(customers: Customers, out: IO[str]) -> None:
    """Write the page."""
    style = page.style("report.css", "customers.css")
    environment = page.environment()
    environment.filters.update(whole=whole, visible=visible, groups=_groups)
    rendered = environment.get_template("customers.html.j2").stream(
        style=style,
        policy=page.content_security_policy(style),
        version=version("mta-sts-census"),
        customers=customers,
        sections=_sections(customers),
        since=lambda finding: since(finding, customers),
    )
    rendered.enable_buffering(_PIECES)
    out.writelines(rendered)


def _sections(customers: Customers) -> Iterator[tuple[Word, Iterator[Customer]]]:
    """The domains by their verdict, which they are sorted by."""
    return groupby(customers, key=lambda customer: customer.verdict)


def _groups(customer: Customer) -> list[Group]:
    """The findings of a domain, those of the same places together under their places."""
    grouped: dict[Sequence[Place], list[Finding]] = {}
    for finding in customer.findings:
        grouped.setdefault(finding.places, []).append(finding)
    return [Group(places=places, findings=findings) for places, findings in grouped.items()]
