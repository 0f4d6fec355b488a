"""The figures of a report: which questions, what to look for in each, and how they are drawn.

``FIGURES`` is a literal list.  An answer's rows are picked, named and drawn here; nothing is
counted, so a bar cannot disagree with the CSV beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from analysis.archive import Archive
from analysis.catalogue import Question, find
from analysis.chart import Bar, Drawing, Point, draw_bars, draw_trend
from analysis.scans import Scan
from analysis.tables import whole

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the page."""

    name: str
    """Stem of its files, and its anchor."""
    question: str
    reading: str
    """What to look for, for a reader who is no engineer."""
    label: str
    """The column that names a bar."""
    heading: str = ""
    """Said above the figure in place of the question's own sentence."""
    by: str | None = None
    words: str | None = None
    """Column of ``reference/words.csv`` that explains the labels; the label column unless given."""
    pick: Mapping[str, Any] = field(default_factory=dict)
    """Only rows with these values are drawn."""
    apart: Sequence[str] = ()
    """Columns that tell rows of one label apart; they are said behind it."""
    skip: Sequence[str] = ()
    """Labels that are not drawn, because they would dwarf the others."""
    limit: int = 12
    tone: str = "plain"
    over: str | None = None
    """The column whose values the interactive page compares first; the label column unless given."""


FIGURES: Final[tuple[Figure, ...]] = (
    Figure(
        name="adoption-by-tld",
        question="adoption-by-tld",
        label="tld",
        reading="Share of measured domains that publish a record, right or wrong. A thin line is the "
        "95 % interval: where two lines overlap much, the difference may be chance.",
    ),
    Figure(
        name="adoption-by-rank",
        question="adoption-by-rank",
        label="rank_band",
        reading="Whether the better known domains lead. Each band is ten times as wide as the one before it.",
    ),
    Figure(
        name="record-outcomes",
        question="record-outcomes",
        label="record_outcome",
        skip=("absent",),
        reading="What stands at _mta-sts. Domains without a record are left out of the drawing; they "
        "are in the table.",
    ),
    Figure(
        name="tlsrpt",
        question="tlsrpt",
        label="tlsrpt_outcome",
        pick={"among": "adopters"},
        reading="TLSRPT is how a domain learns that its mail could not be delivered safely. Without "
        "it, a mistake in MTA-STS stays unseen. Drawn for adopters; the table has the others too.",
    ),
    Figure(
        name="dane",
        question="dane",
        label="dane_outcome",
        pick={"among": "adopters"},
        reading="DANE is the other standard for the same purpose; it rests on DNSSEC and wins where "
        "a sender honours both. Drawn for adopters; the table has the others if they were in scope.",
    ),
    Figure(
        name="health",
        question="health",
        label="health",
        reading="Every adopter is in exactly one of these classes.",
    ),
    Figure(
        name="components",
        question="components",
        label="component",
        pick={"verdict": "faulty"},
        reading="Share of adopters with a fault in each component. A domain may have several, so the "
        "bars overlap; what could not be measured is in the table.",
    ),
    Figure(
        name="policy-outcomes",
        question="policy-outcomes",
        label="policy_outcome",
        reading="Fetching a policy goes through DNS, TCP, TLS and HTTP before its text is read; each "
        "adopter stands at the first stage that failed.",
    ),
    Figure(
        name="mx-coverage",
        question="mx-coverage",
        label="coverage",
        reading="A policy lists the mail servers that senders may use. One that is missing from the "
        "list is refused in mode enforce.",
    ),
    Figure(
        name="mx-certificate-errors",
        question="mx-certificate-errors",
        label="certificate_problem",
        skip=("none",),
        reading="Why certificates of mail servers do not pass. A domain may have several reasons; the "
        "domains without any are in the table.",
    ),
    Figure(
        name="without-clusters",
        question="without-clusters",
        label="larger_than",
        pick={"shared": "policy address"},
        tone="bad",
        reading="The share of misconfigured adopters when the domains are left out whose policy hosts "
        "share an address with many. Where it falls, few hands hold many of the faults; the question "
        "clusters names them. Drawn for addresses; the table has what else domains share.",
    ),
    Figure(
        name="sender-outcomes",
        question="sender-outcomes",
        label="sender_outcome",
        reading="What counts in the end: whether mail is protected, flows unprotected or is refused.",
    ),
    Figure(
        name="mode",
        question="mode",
        label="mode",
        reading="Only mode enforce protects; testing is meant to be a passage.",
    ),
    Figure(
        name="max-age",
        question="max-age",
        label="age_band",
        pick={"mode": "enforce"},
        reading="A policy protects a sender that has seen it for as long as this. RFC 8461 expects "
        "weeks or more. Drawn for mode enforce; the table has the other modes.",
    ),
    Figure(
        name="mx-tls",
        question="mx-tls",
        label="mail_outcome",
        reading="Counted by mail server, not by domain: one server may receive for thousands.",
    ),
    Figure(
        name="mx-operators",
        question="mx-operators",
        label="operator",
        reading="Told from the name of the mail server that a sender tries first. A name that no list "
        "knows stands for itself where ten domains or more share it.",
    ),
    Figure(
        name="policy-hosts",
        question="policy-hosts",
        label="provider",
        reading="Told from the aliases of the policy host and of the record. Without an alias, one "
        "cannot tell a domain's own server from a provider's.",
    ),
    Figure(
        name="misconfigured-by-policy-host",
        question="misconfigured",
        heading="How many of each policy provider's adopters are misconfigured?",
        by="policy-host",
        label="policy_host",
        tone="bad",
        reading="Share of each provider's adopters with any faulty component. Small providers have "
        "wide intervals.",
    ),
    Figure(
        name="managing-entity",
        question="managing-entity",
        label="basis",
        pick={"endpoint": "policy host"},
        reading="Whether the domain's own administrator or somebody else serves the policy, and what "
        "that is told from: a list, or how many domains share a name or an address. Drawn for policy "
        "hosts; the table has the MX hosts too.",
    ),
    Figure(
        name="concentration",
        question="concentration",
        label="largest",
        pick={"endpoint": "MX host"},
        reading="How much of the adopters' mail the largest operators receive together. Drawn for MX "
        "hosts; the table has the policy hosts too, and the Herfindahl-Hirschman index of both.",
    ),
    Figure(
        name="split-responsibility",
        question="split-responsibility",
        label="responsibility",
        tone="bad",
        reading="Share of policies that leave out an MX host. Where two firms are at work, one of them "
        "may move the mail without the other knowing.",
    ),
    Figure(
        name="mta-software",
        question="mta-software",
        label="software",
        apart=("confidence",),
        reading="Told from what MX hosts say when they greet, which some of them hide.",
    ),
    Figure(
        name="issuers",
        question="issuers",
        label="issuer",
        pick={"endpoint": "policy host"},
        reading="Who vouches for the policy hosts. Drawn for policy hosts; the table has the MX hosts "
        "too, and certificates that do not pass are counted as well.",
    ),
    Figure(
        name="phases",
        question="phases",
        label="phase",
        reading="Every domain that published a record in this scan or in an earlier one of the archive is "
        "in exactly one of these phases.",
    ),
    Figure(
        name="caching-sender",
        question="caching-sender",
        label="delivery",
        pick={"sender": "refreshes", "first_time": "not refused"},
        reading="A sender keeps a policy for as long as it says. Here are the domains at which a sender "
        "that has never met them would not refuse: what one does that still holds a policy of this or "
        "an earlier scan. The table has the others, and a sender that waits for the id to change.",
    ),
    Figure(
        name="fix-rates",
        question="fix-rates",
        label="fault",
        pick={"fate": "still there"},
        tone="bad",
        reading="Share of the faults of the scan before that are still there. What was repaired, given "
        "up or could not be seen is in the table.",
    ),
    Figure(
        name="scan-quality",
        question="scan-quality",
        label="probe",
        pick={"measure": "answered"},
        tone="good",
        reading="Share of attempts that brought an answer. What timed out, what was tried again and "
        "what was skipped on purpose is in the table.",
    ),
    Figure(
        name="unmeasured",
        question="unmeasured",
        label="fact",
        tone="unknown",
        reading="What every other figure leaves open. None of this is counted against a domain.",
    ),
)


OF_SEVERAL_VANTAGES: Final[tuple[Figure, ...]] = (
    Figure(
        name="vantage-agreement",
        question="vantage-agreement",
        label="fact",
        tone="good",
        reading="How often everybody who could measure something saw the same. What the others saw "
        "is answered by `sts-report ask vantage-differences`, target by target by the view "
        "vantage_differences.",
    ),
    Figure(
        name="vantage-reach",
        question="vantage-reach",
        label="vantage",
        pick={"probe": "MX host"},
        tone="good",
        reading="Of the mail hosts that answered somebody, the share that answered each vantage; "
        "below, of all that were tried, the share that answered any. The table has policy hosts too.",
    ),
)
"""Drawn only where an archive has scans of several vantages."""

TREND: Final = (
    ("adopted", "Adopted", "of domains measured", "plain"),
    ("misconfigured", "Misconfigured", "of adopters", "bad"),
    ("protected", "Protected", "of adopters", "good"),
)
"""Measures of ``summary`` that are drawn over the scans: measure, name, of what, tone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a word in a result means, for people (``reference/words.csv``)."""

    column: str
    word: str
    label: str
    meaning: str
    tone: str


class Words:
    """The words of results, explained."""

    def __init__(self, archive: Archive) -> None:
        """Read ``reference/words.csv`` through *archive*."""
        rows = archive.query("from reference_words").records()
        self._words: Final = {(r["column"], r["word"]): Word(**r) for r in rows}

    def __call__(self, column: str, word: Any, tone: str = "plain") -> Word:
        """The word's entry, or one that only repeats it, so that a newer scan's word still shows."""
        entry = Word(column=column, word=str(word), label=str(word), meaning="", tone=tone)
        return self._words.get((column, str(word)), entry)

    def columns(self) -> Mapping[str, Sequence[Word]]:
        """Every word by its column, in the order of the file."""
        columns: dict[str, list[Word]] = {}
        for word in self._words.values():
            columns.setdefault(word.column, []).append(word)
        return columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A figure with its answer: everything that the page shows of it."""

    figure: Figure
    question: Question
    columns: Sequence[str]
    rows: Sequence[Row]
    """Of every scan: the CSV."""
    latest: Sequence[Row]
    """Of the newest scan: the table on the page."""
    drawing: Drawing | None
    """None when there is nothing to draw."""
    note: str
    """What the drawing leaves out, in a sentence."""


def answer(archive: Archive, figure: Figure, scan_id: str, words: Words) -> Answer:
    """Ask the figure's question of *archive* and draw the rows of the scan *scan_id*."""
    question = find(figure.question)
    result = question.ask(archive, figure.by)
    rows = result.records()
    latest = [row for row in rows if row["scan_id"] == scan_id]
    picked = [row for row in latest if all(row[c] == v for c, v in figure.pick.items())]
    drawn = [row for row in picked if row[figure.label] not in figure.skip]
    return Answer(
        figure=figure,
        question=question,
        columns=result.columns,
        rows=rows,
        latest=latest,
        drawing=draw_bars([_bar(row, figure, words) for row in drawn[: figure.limit]])
        if drawn
        else None,
        note=_note(len(drawn), figure),
    )


def trend(archive: Archive) -> Answer | None:
    """Adoption and health over the scans of one vantage, when there are several."""
    if len(archive.series) < 2:
        return None
    question = find("summary")
    result = question.ask(archive)
    rows = result.records()
    days = _told_apart(archive.series)
    measured = {(row["scan_id"], row["measure"]): row for row in rows}
    points = [
        Point(
            line=line,
            of=of_what,
            when=day,
            share=row["share"],
            low=row["low"],
            high=row["high"],
            tone=tone,
        )
        for measure, line, of_what, tone in TREND
        for scan_id, day in days.items()
        if (row := measured.get((scan_id, measure))) and row["share"] is not None
    ]
    figure = Figure(
        name="over-time",
        question="summary",
        heading="How adoption and its faults move from scan to scan",
        label="measure",
        skip=("measured",),
        over="scan_id",
        reading="Each point is one scan, with its 95 % interval. Where the "
        "intervals of two scans overlap much, the change may be chance.",
    )
    return Answer(
        figure=figure,
        question=question,
        columns=result.columns,
        rows=rows,
        latest=rows,
        drawing=draw_trend(points) if points else None,
        note="",
    )


def _told_apart(scans: Sequence[Scan]) -> Mapping[str, str]:
    """The day of each scan by its id; the id itself where several began on one day."""
    often = Counter(scan.day for scan in scans)
    return {s.scan_id: s.day if often[s.day] == 1 else s.scan_id for s in scans}


def _bar(row: Row, figure: Figure, words: Words) -> Bar:
    word = words(figure.words or figure.label, row[figure.label], figure.tone)
    apart = [str(row[column]) for column in figure.apart if row[column] is not None]
    return Bar(
        label=", ".join([word.label, *apart]),
        share=row["share"],
        low=row["low"],
        high=row["high"],
        count=f"{whole(row['n'])} of {whole(row['of_n'])}",
        tone=word.tone,
    )


def _note(drawn: int, figure: Figure) -> str:
    if drawn > figure.limit:
        return f"Drawn are the first {figure.limit} of {whole(drawn)}; the CSV has them all."
    return (
        "" if drawn else "There is nothing to draw: no row of this scan falls into these classes."
    )
