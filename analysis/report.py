"""One page that answers how many, how many right, what goes wrong and what senders do.

The page is one file that needs no network and runs no script: its style sheet is the only thing
that its Content-Security-Policy lets in, by hash.  Beside it lie each figure's rows as CSV and its
drawing as SVG and PNG.  Which figures there are is told in ``figures``, what the first screen says
in ``story``, where the numbers come from in ``provenance``.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis import provenance, story, tables
from analysis.archive import PACKAGE, Archive, Result
from analysis.catalogue import SECTIONS, find
from analysis.figures import FIGURES, Answer, Row, Words, answer, trend

SHOWN_ROWS: Final = 30
"""Rows of a figure's table on the page; the CSV has them all."""

SHOWN_FINDINGS: Final = 15

_RFC: Final = re.compile(r"RFC (\d+)(?: (?:§|section )([\d.]*\d))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page."""

    anchor: str
    title: str
    answers: Sequence[Answer]


def build_report(archive: Archive, out: Path) -> Path:
    """Write ``index.html`` and the folder ``figures`` under *out*; returns the page's path."""
    latest = archive.scans[-1]
    words = Words(archive)
    answers = [answer(archive, figure, latest.scan_id, words) for figure in FIGURES]
    over_time = trend(archive)
    findings = find("findings").ask(archive)
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            style=_style(),
            policy=_content_security_policy(_style()),
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
    drawn = [*answers, *([over_time] if over_time else [])]
    files = {**dict(_files(drawn)), "figures/findings.csv": _csv(findings).encode()}
    for name, content in {**files, "index.html": page.encode()}.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return out / "index.html"


def _story(archive: Archive) -> story.Story:
    """The first screen, from the newest scan and the one before it."""
    summary = find("summary").ask(archive).records()
    components = find("components").ask(archive).records()

    def of(rows: Sequence[Row], back: int) -> list[Row]:
        if back > len(archive.scans):
            return []
        return [row for row in rows if row["scan_id"] == archive.scans[-back].scan_id]

    return story.of(of(summary, 1), of(components, 1), of(summary, 2))


def _sections(answers: Sequence[Answer]) -> list[Section]:
    """The answers under the catalogue's headings, in its order."""
    return [
        Section(
            anchor=folder,
            title=title,
            answers=[a for a in answers if _folder(a) == folder],
        )
        for folder, title in SECTIONS.items()
    ]


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


def _style() -> str:
    return (PACKAGE / "templates" / "report.css").read_text("utf-8")


def _content_security_policy(style: str) -> str:
    """Nothing may load, run, be sent or be framed; of styles, this very text (CSP Level 3)."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PACKAGE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=tables.percent,
        whole=tables.whole,
        interval=story.interval,
        shown=_shown,
        heading=_heading,
        rfc=_link_rfc,
        tidy=_tidy,
        drawing=Markup,  # our own SVG: the renderer has escaped the names in it
    )
    environment.globals["shown_rows"] = SHOWN_ROWS
    return environment


def _shown(row: Mapping[str, Any], column: str) -> str:
    """One cell of a table on the page."""
    return tables.shown(column, row[column])


def _heading(column: str) -> str:
    """A column's name for people."""
    return _HEADINGS.get(column, column.replace("_", " "))


_HEADINGS: Final = {
    "scan_id": "scan",
    "of_n": "of",
    "low": "95 % from",
    "high": "to",
    "left_out": "left out",
    "of_what": "of what",
    "tld": "TLD",
}


def _tidy(text: str) -> Markup:
    """*text* whose names and numbers do not break at the end of a line."""
    kept = escape(text.replace(" %", "\N{NO-BREAK SPACE}%"))
    return kept.replace("MTA-STS", Markup('<span class="whole">MTA-STS</span>'))


def _link_rfc(text: str) -> Markup:
    """*text* with every RFC section a link to that section."""
    linked, end = Markup(""), 0
    for match in _RFC.finditer(text):
        number, section = match.groups()
        place = f"#section-{section}" if section else ""
        linked += escape(text[end : match.start()])
        linked += Markup(
            '<a rel="noreferrer" href="https://www.rfc-editor.org/rfc/rfc{}{}">{}</a>'
        ).format(number, place, match.group())
        end = match.end()
    return linked + escape(text[end:])
