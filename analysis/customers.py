"""What does a mail provider have to know about its customers' domains, and change for them?

The newest scan is asked about the domains of a list, or about all that publish anything.  The SQL
of ``queries/customers`` picks, weighs and dates what was found and fetches the facts that a finding
speaks of; here they become sentences and places.  Rows come one by one, so that a list may be as
long as a scan.  How they are written is left to ``customer_formats`` and ``customer_page``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from analysis import places
from analysis.archive import PACKAGE, Archive
from analysis.customer_list import Listed
from analysis.places.pointer import Place, Pointer
from analysis.scans import Scan

_LIST: Final = {"place": "bigint", "listed": "varchar", "domain": "varchar"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a verdict, an outcome or a severity means, for customers."""

    word: str
    label: str
    meaning: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found about a domain."""

    id: str
    severity: Word | None
    """None when the catalogue of the scan does not describe it."""
    sentence: str
    fix: str
    section: str
    since: Scan
    """The first scan of the unbroken run that has it."""
    places: tuple[Place, ...]
    """What exactly to change, and what stands there now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """One domain, with what is to be known about it."""

    domain: str
    listed: str
    """As the list writes it."""
    verdict: Word
    sender: Word | None
    """What a sender does with its mail today; None when the scan does not know it."""
    mode: str | None
    max_age: int | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many domains have a verdict."""

    verdict: Word
    n: int


class Customers:
    """The answer for one list: counts first, then the domains, the gravest first."""

    def __init__(self, archive: Archive, listed: Iterable[Listed] | None) -> None:
        """Ask the newest scan of *archive* about *listed*, or about all that publish anything."""
        self.scan: Final = archive.scans[-1]
        self.first_scan: Final = archive.series[0]
        self._archive = archive
        self._scans = {scan.scan_id: scan for scan in archive.scans}
        self._words = {
            (row["column"], row["word"]): _word(row)
            for row in (*_rows(archive, "words"), *_rows(archive, "customer_words"))
        }
        self._pointers = {r["finding"]: Pointer.of(r) for r in _rows(archive, "finding_places")}
        self._catalogue = {
            row["id"]: row
            for row in archive.query(
                "from findings_catalogue where scan_id = $scan", scan=self.scan.scan_id
            ).records()
        }
        _prepare(archive, self.scan.scan_id, listed)
        counted = archive.query(_sql("summary")).records()
        self.counts: Final = tuple(
            Count(verdict=self._words["customer_verdict", row["verdict"]], n=row["n"])
            for row in counted
        )
        self.total: Final[int] = counted[0]["of_n"]
        self.longest_name: Final[int] = max(row["longest"] for row in counted)

    @property
    def finding_ids(self) -> tuple[str, ...]:
        """Every finding that the catalogue of the scan describes."""
        return tuple(self._catalogue)

    @property
    def broken(self) -> bool:
        """Whether senders refuse mail to any of the domains, or find no policy they can use."""
        return any(count.n for count in self.counts if count.verdict.word == "broken")

    def __iter__(self) -> Iterator[Customer]:
        """The domains one by one; ask the archive nothing else meanwhile."""
        for row in self._archive.stream(_sql("6-rows"), scan=self.scan.scan_id):
            yield self._customer(row)

    def _customer(self, row: Mapping[str, Any]) -> Customer:
        outcome = row["sender_outcome"]
        return Customer(
            domain=row["domain"],
            listed=row["listed"],
            verdict=self._words["customer_verdict", row["verdict"]],
            sender=self._word("sender", outcome) if outcome else None,
            mode=row["mode"],
            max_age=row["max_age"],
            findings=tuple(self._finding(told, row) for told in row["findings"] or ()),
        )

    def _word(self, column: str, word: str) -> Word:
        """What *word* means; one of a newer scan only repeats itself."""
        return self._words.get(
            (column, word), Word(word=word, label=word, meaning="", tone="plain")
        )

    def _finding(self, told: Mapping[str, Any], row: Mapping[str, Any]) -> Finding:
        entry = self._catalogue.get(told["id"], {})
        severity = entry.get("severity")
        pointer = self._pointers.get(told["id"])
        return Finding(
            id=told["id"],
            severity=self._word("severity", severity) if severity else None,
            sentence=entry.get("sentence") or "The catalogue of this scan does not describe it.",
            fix=entry.get("fix") or "",
            section=entry.get("section") or "",
            since=self._scans[told["since"]],
            places=places.find(pointer, row) if pointer else (),
        )


def _prepare(archive: Archive, scan_id: str, listed: Iterable[Listed] | None) -> None:
    """Let the tables stand that the rows are made of, from whom to ask about to what was seen."""
    if listed is None:
        archive.keep("customer_targets", _sql("1-targets-publishing"), scan=scan_id)
    else:
        rows = ({"place": x.place, "listed": x.listed, "domain": x.domain} for x in listed)
        archive.load("customer_list", _LIST, rows)
        archive.keep("customer_targets", _sql("1-targets-listed"))
    archive.keep("customer_findings", _sql("2-findings"), scan=scan_id)
    archive.keep("customer_since", _sql("3-since"))
    archive.keep("customer_verdicts", _sql("4-verdicts"), scan=scan_id)
    archive.keep("customer_hosts", _sql("5-hosts"), scan=scan_id)


def _sql(name: str) -> str:
    return (PACKAGE / "queries" / "customers" / f"{name}.sql").read_text("utf-8")


def _rows(archive: Archive, reference: str) -> list[dict[str, Any]]:
    return archive.query(f"from reference_{reference}").records()


def _word(row: Mapping[str, Any]) -> Word:
    return Word(word=row["word"], label=row["label"], meaning=row["meaning"], tone=row["tone"])
