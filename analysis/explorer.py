"""The data of the interactive page: what the catalogue answers, broken down, in little room.

Every number is one that a query returned.  The script in ``templates/explorer`` picks, sorts and draws
rows; like this module it counts nothing and divides nothing.

Breakdowns can be longer than a page that is mailed may be, so each keeps the groups with the most
domains, as many as fit, and says how many there are.  ``sts-report ask QUESTION --by`` has them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from analysis.archive import Archive, Result
from analysis.catalogue import GROUPINGS, find
from analysis.figures import Figure, Row, Words
from analysis.tables import SHARES, json_text, plain, visible

BREAKDOWNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scan": "nothing",
        "tld": "top-level domain",
        "rank": "popularity rank",
        "mx-operator": "mail operator",
        "policy-host": "policy provider",
    }
)
"""What an answer can be broken down by on the page, and how people call it."""

SCRIPT: Final = tuple(
    f"explorer/{part}.js" for part in ("text", "rows", "figure", "look_up", "start")
)
"""The script's parts under ``templates``: each uses those before it."""

SCANS: Final = 12
"""How many scans, the newest ones, are on the page: a year of months."""

ROWS: Final = 900
"""Rows of one breakdown: 180 groups of five classes in one scan, 15 in twelve.  One group is whole."""

LABELS: Final = 60
"""Classes of the whole scan; only operators, providers and issuers have more."""

GROUP_LABELS: Final = 15
"""Classes of one group among others."""

_IN_ORDER: Final = frozenset({"rank"})
"""Breakdowns whose groups are few and in an order of their own, which the query knows."""

LOOK_UP_ROWS: Final = 3000
"""Rows of each breakdown that can be looked up by name: 300 groups in two scans."""

LOOK_UP_SCANS: Final = 2
"""The newest scan, and the one before it for what has changed."""

LOOK_UP: Final = ("adopted", "right", "misconfigured", "protected", "fail-open", "refused")
"""Measures of ``summary`` that are told of a group that somebody looks up, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of one question in one breakdown that go on the page."""

    by: str
    columns: Sequence[str]
    dimensions: Sequence[str]
    """The columns that together tell one row from all others: what a reader can compare or fix."""
    group: str | None
    """The dimension that the breakdown adds; None for the whole scan."""
    rows: Sequence[Row]
    """By scan, then by group, then as the query has ordered them."""
    groups: int
    """How many groups there are, on the page or not."""
    first: int | None
    """How many classes of each group there is room for; None when that is all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much of an answer there is room for."""

    scans: Sequence[str]
    """Ids, the oldest first."""
    rows: int = ROWS
    labels: int = LABELS
    group_labels: int = GROUP_LABELS
    only: Callable[[Row], bool] = field(default=lambda _: True)


def as_json(
    archive: Archive, figures: Iterable[Figure], words: Words, headings: Callable[[str], str]
) -> str:
    """Everything that the script needs, as JSON that may stand in a ``script`` element."""
    series = archive.series[-SCANS:]
    room = Room(scans=[scan.scan_id for scan in series])
    explored = {figure.name: _explored(archive, figure, room) for figure in figures}
    looked_up = Room(
        scans=room.scans[-LOOK_UP_SCANS:],
        rows=LOOK_UP_ROWS,
        only=lambda row: row["measure"] in LOOK_UP,
    )
    summary = Figure(name="look-up", question="summary", label="measure", reading="")
    value = {
        "scans": [[scan.scan_id, scan.day] for scan in series],
        "older": len(archive.series) - len(series),
        "breakdowns": dict(BREAKDOWNS),
        "measures": LOOK_UP,
        "words": {
            column: {word.word: [word.label, word.meaning, word.tone] for word in entries}
            for column, entries in words.columns().items()
        },
        "headings": _headings(explored.values(), headings),
        "figures": explored,
        "look-up": _explored(archive, summary, looked_up),
    }
    return embedded(json_text(value))


def embedded(json: str) -> str:
    r"""*json* for the inside of a ``script`` element, which no text in it can end.

    >>> print(embedded('"</script><!--"'))
    "\u003c/script\u003e\u003c!--"
    """
    return json.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def tables(archive: Archive, figure: Figure, room: Room) -> Sequence[Table]:
    """The answer to the figure's question in each breakdown that it allows, the figure's own first."""
    question = find(figure.question)
    own = question.grouping(figure.by)
    offered = [own, *(by for by in BREAKDOWNS if by in question.groupings and by != own)]
    # A share of each group and no classes: the whole scan would be a single bar.
    by_group_only = figure.label == GROUPINGS[own][1]
    return [
        table(question.ask(archive, by), by, figure, room)
        for by in offered
        if not (by_group_only and by == "scan")
    ]


def table(result: Result, by: str, figure: Figure, room: Room) -> Table:
    """As many of the rows of *result*, an answer to the figure's question by *by*, as there is room for."""
    group = GROUPINGS[by][1]
    rows = [r for r in result.records() if r["scan_id"] in room.scans and room.only(r)]
    label = figure.label if figure.label in result.columns else None
    named = (group, label, *figure.apart, *figure.pick, "scan_id")
    dimensions = tuple(dict.fromkeys(column for column in named if column))
    by_group: dict[Any, list[Row]] = {}
    for row in rows:
        by_group.setdefault(row[group] if group else None, []).append(row)
    newest = room.scans[-1]
    ranked = list(by_group)
    if by not in _IN_ORDER:
        ranked.sort(key=lambda name: _size(by_group[name], newest))
    most = room.group_labels if group else room.labels
    kept: list[Row] = []
    rank: dict[Any, int] = {}
    for name in ranked:
        mine = _of_first_labels(by_group[name], label, newest, most)
        if kept and len(kept) + len(mine) > room.rows:
            break
        kept += mine
        rank[name] = len(rank)
    kept.sort(
        key=lambda row: (room.scans.index(row["scan_id"]), rank[row[group] if group else None])
    )
    return Table(
        by=by,
        columns=result.columns,
        dimensions=dimensions,
        group=group,
        rows=kept,
        groups=len(ranked),
        first=most if any(_has_more(by_group[name], label, most) for name in rank) else None,
    )


def _size(rows: Sequence[Row], newest: str) -> tuple[int, int]:
    """Sorts the group that is largest in the newest scan first; of equals, the one met first."""
    return (
        -max((int(row["of_n"]) for row in rows if row["scan_id"] == newest), default=0),
        -max(int(row["of_n"]) for row in rows),
    )


def _has_more(rows: Sequence[Row], label: str | None, most: int) -> bool:
    return label is not None and len({row[label] for row in rows}) > most


def _of_first_labels(
    rows: Sequence[Row], label: str | None, newest: str, most: int
) -> Sequence[Row]:
    """The rows of the first labels of the newest scan, which are the largest where there are many."""
    if label is None:
        return rows
    first = dict.fromkeys(row[label] for row in rows if row["scan_id"] == newest)
    labels = list(first | dict.fromkeys(row[label] for row in rows))[:most]
    return [row for row in rows if row[label] in labels]


# --- packing -------------------------------------------------------------------------------


def _explored(archive: Archive, figure: Figure, room: Room) -> Mapping[str, Any]:
    """A figure as the script reads it."""
    return {
        "question": figure.question,
        "label": figure.label,
        "words": figure.words or figure.label,
        "apart": list(figure.apart),
        "tone": figure.tone,
        "pick": {column: str(value) for column, value in figure.pick.items()},
        "skip": list(figure.skip),
        "limit": figure.limit,
        "over": figure.over,
        "tables": [packed(one) for one in tables(archive, figure, room)],
    }


def packed(table: Table) -> Mapping[str, Any]:
    """A table in little room: rows are arrays, and a text is its place among the texts of its column."""
    kinds = {column: _kind(column, table) for column in table.columns}
    texts: dict[str, dict[str, int]] = {c: {} for c, kind in kinds.items() if kind == "text"}
    rows = [
        [
            row[column]
            if column not in texts or row[column] is None
            else texts[column].setdefault(_text(row[column]), len(texts[column]))
            for column in table.columns
        ]
        for row in table.rows
    ]
    return {
        "by": table.by,
        "group": table.group,
        "groups": table.groups,
        "first": table.first,
        "dimensions": table.dimensions,
        "columns": table.columns,
        "kinds": kinds,
        "texts": {column: list(places) for column, places in texts.items()},
        "rows": rows,
    }


def _kind(column: str, table: Table) -> str:
    """How a column is shown: as a text, as a share in percent or as a number."""
    values = [row[column] for row in table.rows if row[column] is not None]
    if column in table.dimensions or not values or not all(map(_is_number, values)):
        return "text"
    return "share" if column in SHARES else "number"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    """As a CSV has it: nothing hidden."""
    value = plain(value)
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return visible(str(value))
    return json_text(value)


def _headings(
    explored: Iterable[Mapping[str, Any]], heading: Callable[[str], str]
) -> Mapping[str, str]:
    columns = (c for one in explored for table in one["tables"] for c in table["columns"])
    return {column: heading(column) for column in sorted(set(columns))}
