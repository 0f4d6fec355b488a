"""One page that answers how many, how many right, what goes wrong and what senders do.

The page is one file that needs no network (``page``) and runs no script, unless the interactive variant
is asked for: the same page, and with it the data and the script to explore them (``explorer``).  Beside
it lie each figure's rows as CSV and its drawing as SVG and PNG.  Which figures there are is told in
``figures``, what the first screen says in ``story``, where the numbers come from in ``provenance``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment

from analysis import explorer, page, provenance, story, tables
from analysis.archive import Archive, Result
from analysis.catalogue import SECTIONS, find
from analysis.figures import (
    FIGURES,
    OF_SEVERAL_VANTAGES,
    Answer,
    Figure,
    Row,
    Words,
    answer,
    trend,
)

SHOWN_ROWS: Final = 30
"""Rows of a figure's table on the page; the CSV has them all."""

SHOWN_FINDINGS: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page."""

    anchor: str
    title: str
    answers: Sequence[Answer]


def build_report(
    archive: Archive, out: Path, *, interactive: bool = False, figures: Sequence[Figure] = FIGURES
) -> Path:
    """Write ``index.html`` and the folder ``figures`` under *out*; returns the page's path."""
    latest = archive.scans[-1]
    words = Words(archive)
    asked = (*figures, *(OF_SEVERAL_VANTAGES if len(archive.vantages) > 1 else ()))
    answers = [answer(archive, figure, latest.scan_id, words) for figure in asked]
    over_time = trend(archive)
    findings = find("findings").ask(archive)
    drawn = [*answers, *([over_time] if over_time else [])]
    style = page.style("report.css", *(["explorer/explorer.css"] if interactive else []))
    script = page.script(*explorer.SCRIPT) if interactive else ""
    html = (
        _environment()
        .get_template("report.html.j2")
        .render(
            style=style,
            script=script,
            data=explorer.as_json(archive, [a.figure for a in drawn], words, _heading)
            if interactive
            else "",
            policy=page.content_security_policy(style, script),
            version=version("mta-sts-census"),
            scan=latest,
            scans=archive.scans,
            story=_story(archive),
            over_time=over_time,
            sections=_sections(answers),
            findings=_most_frequent(findings.records(), latest.scan_id),
            words=words,
            definitions=words.columns(),
            provenance=[provenance.of(scan) for scan in reversed(archive.scans)],
        )
    )
    files = {**dict(_files(drawn)), "figures/findings.csv": _csv(findings).encode()}
    for name, content in {**files, "index.html": html.encode()}.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return out / "index.html"


def _story(archive: Archive) -> story.Story:
    """The first screen, from the newest scan and the one before it from the same vantage."""
    summary = find("summary").ask(archive).records()
    components = find("components").ask(archive).records()

    def of(rows: Sequence[Row], back: int) -> list[Row]:
        if back > len(archive.series):
            return []
        return [row for row in rows if row["scan_id"] == archive.series[-back].scan_id]

    return story.of(of(summary, 1), of(components, 1), of(summary, 2))


def _sections(answers: Sequence[Answer]) -> list[Section]:
    """The answers under the catalogue's headings, in its order."""
    found = [
        Section(
            anchor=folder,
            title=title,
            answers=[a for a in answers if _folder(a) == folder],
        )
        for folder, title in SECTIONS.items()
    ]
    return [section for section in found if section.answers]


def _folder(answered: Answer) -> str:
    # A summary by provider says something about the providers.
    return "providers" if answered.figure.by == "policy-host" else answered.question.folder


def _most_frequent(rows: Sequence[Row], scan_id: str) -> list[Row]:
    """The findings that most adopters have, as the query has ordered them."""
    mine = [r for r in rows if r["scan_id"] == scan_id and r["among"] == "adopters"]
    return mine[:SHOWN_FINDINGS]


def _files(answers: Sequence[Answer]) -> Iterator[tuple[str, bytes]]:
    """The files beside the page, by their path relative to it."""
    for a in answers:
        stem = f"figures/{a.figure.name}"
        yield f"{stem}.csv", tables.to_csv(a.columns, a.rows).encode()
        if a.drawing is not None:
            yield f"{stem}.svg", a.drawing.svg.encode()
            yield f"{stem}.png", a.drawing.png


def _csv(result: Result) -> str:
    return tables.to_csv(result.columns, result.records())


def _environment() -> Environment:
    environment = page.environment()
    environment.filters.update(
        percent=tables.percent,
        whole=tables.whole,
        interval=story.interval,
        shown=_shown,
        heading=_heading,
        columns_named=_columns_named,
    )
    environment.globals["shown_rows"] = SHOWN_ROWS
    return environment


def _shown(row: Mapping[str, Any], column: str) -> str:
    """One cell of a table on the page."""
    return tables.shown(column, row[column])


def _heading(column: str) -> str:
    """A column's name for people."""
    return _HEADINGS.get(column, column.replace("_", " "))


def _columns_named(text: str, columns: Sequence[str]) -> str:
    """*text* about some *columns*, which it names as a query does, for people."""
    return re.sub(
        r"\b\w+_\w+\b",
        lambda name: f"“{_heading(name[0])}”" if name[0] in columns else name[0],
        text,
    )


_HEADINGS: Final = {
    "scan_id": "scan",
    "of_n": "of",
    "low": "95 % from",
    "high": "to",
    "left_out": "left out",
    "of_what": "of what",
    "tld": "TLD",
    "mx_operator": "mail operator",
    "tlsrpt_outcome": "TLSRPT outcome",
    "dane_outcome": "DANE outcome",
    "hhi": "HHI",
}
