"""Rows as text: a table for a terminal, CSV for a spreadsheet, JSON for a program.

The names in a snapshot were chosen by strangers.  A terminal must not obey an escape sequence in
them, and a spreadsheet must not run a formula; numbers pass through as the query made them.  So no
text has a character that does not print: in JSON it is escaped, which loses nothing, elsewhere it is
written out.  Who needs the octets themselves takes Parquet or JSON.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from io import StringIO
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

SHARES: Final = frozenset(
    {
        "share", "low", "high", "at_least", "at_most", "headline", "without", "moves", "surviving",
        "estimate", "estimate_low", "estimate_high",
        "weighted_share", "weighted_low", "weighted_high",
    }
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the start of a formula (OWASP, *CSV Injection*), full-width forms
included; white space before it is written out."""

Row = Mapping[str, Any]


def percent(share: float | None) -> str:
    """A share for people: three figures where they mean something, never a rounded-away trace.

    >>> percent(0.29612), percent(0.00078), percent(0.0000004), percent(-0.188), percent(None)
    ('29.6 %', '0.078 %', '0.00004 %', '-18.8 %', '-')
    """
    if share is None:
        return "-"
    if share < 0:
        return f"-{percent(-share)}"
    points = Decimal(repr(share)) * 100
    if points < 1:
        # Two figures, so that a share of a whole zone does not vanish.
        return f"{Decimal(f'{points:.2g}').normalize():f} %"
    # 99.97 % must not read as 100.0 %.
    return "100 %" if share == 1 else f"{min(points, Decimal('99.9')):.1f} %"


def whole(number: int | None) -> str:
    """A count with its thousands apart.

    >>> whole(86791845)
    '86,791,845'
    """
    return "-" if number is None else f"{number:,}"


def plain(value: Any) -> Any:
    """A value that JSON and CSV can hold: octets as hexadecimal, times in ISO 8601."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def visible(text: str) -> str:
    r"""*text* with every character that would not print written out, as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def json_text(value: Any) -> str:
    r"""*value* as JSON in one line; what would not print is escaped, as ``\u202e``."""
    text = json.dumps(plain(value), ensure_ascii=False)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[n : n + 4]}" for n in range(0, len(units), 4))


def cell(value: Any) -> str:
    """A value as a CSV field that shows nothing hidden and that no spreadsheet takes for a formula."""
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else repr(value)
    text = visible(value) if isinstance(value, str) else json_text(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def to_csv(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """The rows as CSV (RFC 4180, lines end in LF), formulas made harmless by a leading quote."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([cell(column) for column in columns])
    writer.writerows([cell(row[column]) for column in columns] for row in rows)
    return text.getvalue()


def to_json(rows: Iterable[Row]) -> str:
    """The rows as a JSON array of objects, one a line."""
    return "[" + ",\n ".join(map(json_text, rows)) + "]\n"


def print_table(console: Console, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """The rows as a table; shares in percent, counts with their thousands apart."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    rows = list(rows)
    for column in columns:
        numeric = any(isinstance(row[column], (int, float)) for row in rows)
        table.add_column(
            Text(visible(column)), justify="right" if numeric else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(shown(column, row[column])) for column in columns))
    console.print(table)


def shown(column: str, value: Any) -> str:
    """One cell for people; *column* tells a share from a number."""
    if value is None:
        return "-"
    if column in SHARES and isinstance(value, float):
        return percent(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return whole(value)
    value = plain(value)
    return visible(value) if isinstance(value, str) else json_text(value)
