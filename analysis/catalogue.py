"""The questions that can be asked of an archive: one ``.sql`` file each, found, read and asked.

A question's file opens with a header that is part of its meaning: what it asks, what one row is,
and what the shares are shares of.  A header that lacks one of these is a mistake of ours and
stops the program.  Grouping is never text from outside: ``--by`` picks one of a few views.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from analysis.archive import PACKAGE, Archive, Result

GROUPINGS: Final[Mapping[str, tuple[str, str | None]]] = MappingProxyType(
    {
        # --by          the view that becomes "subjects"   the column's name in the result
        "scan": ("subjects_by_scan", None),
        "tld": ("subjects_by_tld", "tld"),
        "rank": ("subjects_by_rank", "rank_band"),
        "mx-operator": ("subjects_by_mx_operator", "mx_operator"),
        "policy-host": ("subjects_by_policy_host", "policy_host"),
        "policy-entity": ("subjects_by_policy_entity", "policy_entity"),
        "mx-entity": ("subjects_by_mx_entity", "mx_entity"),
    }
)

SECTIONS: Final = MappingProxyType(
    {
        "adoption": "Who has MTA-STS",
        "misconfiguration": "What goes wrong",
        "delivery": "What senders do",
        "providers": "Who runs it",
        "longitudinal": "How it changes",
        "vantages": "How it looks from elsewhere",
        "quality": "How good the measurement is",
    }
)
"""The folders of ``queries/`` that hold questions, in the order of a report."""

_KEYS: Final = ("question", "grain", "denominator", "section", "see", "by")
# A key may stand on a line of its own or, after two spaces, behind another one.
_KEY: Final = re.compile(rf"(?:^|\s{{2,}})({'|'.join(_KEYS)}):\s*")


class UnknownQuestion(LookupError):
    """Nothing in the catalogue has this name; the text says what has."""


class CannotGroup(ValueError):
    """The question cannot be grouped so; the text says why and how it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One ``.sql`` file of the catalogue."""

    name: str
    folder: str
    question: str
    grain: str
    denominator: str
    section: str
    groupings: tuple[str, ...]
    """What ``--by`` may be; the first is the default."""
    sql: str

    def grouping(self, by: str | None) -> str:
        """The grouping to use when ``--by`` is *by*; raises :class:`CannotGroup`."""
        if by is None:
            return self.groupings[0]
        if by not in self.groupings:
            raise CannotGroup(
                f"'{self.name}' cannot be grouped by {by}: its rows are {self.grain}; "
                f"it can be grouped by {', '.join(self.groupings)}"
            )
        return by

    def ask(self, archive: Archive, by: str | None = None) -> Result:
        """The answer, one row per scan, stratum and class; see the header for what they are."""
        view, column = GROUPINGS[self.grouping(by)]
        archive.group_by(view)
        archive.settle(self.sql)
        return archive.query(self.sql).named("stratum", column)


@cache
def questions() -> Mapping[str, Question]:
    """Every question by name, in the order of a report."""
    found = [
        _read(path)
        for folder in SECTIONS
        for path in sorted((PACKAGE / "queries" / folder).glob("*.sql"))
    ]
    return MappingProxyType({question.name: question for question in found})


def find(name: str) -> Question:
    """The question of that name; raises :class:`UnknownQuestion`."""
    if name not in questions():
        raise UnknownQuestion(
            f"there is no question '{name}'; `sts-report list` shows them: {', '.join(questions())}"
        )
    return questions()[name]


def parse_header(sql: str) -> dict[str, str]:
    """The keys of the comment block that opens a query, continuation lines joined."""
    header: dict[str, str] = {}
    key = ""
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        before, *pairs = _KEY.split(line.removeprefix("--").strip())
        if before and key:
            header[key] = f"{header[key]} {before}"
        for key, text in zip(pairs[::2], pairs[1::2], strict=True):
            header[key] = text.strip()
    return header


def _read(path: Path) -> Question:
    sql = path.read_text("utf-8")
    header = parse_header(sql)
    groupings = tuple(part.strip() for part in header.get("by", "scan").split(","))
    section = header.get("section", header.get("see", ""))
    if not (
        header.get("question") and header.get("grain") and header.get("denominator") and section
    ):
        raise ValueError(f"{path.name} lacks question, grain, denominator or section in its header")
    if unknown := set(groupings) - set(GROUPINGS):
        raise ValueError(f"{path.name} groups by {unknown}, which is none of {set(GROUPINGS)}")
    return Question(
        name=path.stem,
        folder=path.parent.name,
        question=header["question"],
        grain=header["grain"],
        denominator=header["denominator"],
        section=section,
        groupings=groupings,
        sql=sql,
    )
