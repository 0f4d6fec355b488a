"""The formats that domain lists come in -> entries: a name, its rank, its tags, where it stood.

Recognised by content, as their publishers write them:

=================  ==============================================================================
plain text         one name a line, ``#`` comments
CSV, no header     ``rank,name`` (Tranco, Umbrella, Alexa) or the name first; ``,`` ``;`` or TAB
CSV with header    columns ``domain`` or ``origin``, ``rank`` or ``GlobalRank``, ``tags``, in any
                   order and case (Majestic, CrUX, Radar, customer lists)
master zone file   the delegated names, see ``zone_files``
Parquet            columns ``domain``, and ``rank`` and ``tags`` if present
=================  ==============================================================================

An ``origin`` is a URL by its format, so its host is the name.  Whether a text is a name is left
to ``protocol.names``; a line in which no name can even be looked for comes with its reason.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.snapshot import list_sources, zone_files
from crawler.snapshot.list_sources import MAX_LINE, ListError

_SAMPLE: Final = 50  # lines looked at to tell the format: dig writes some comments first

_DOMAIN_COLUMNS: Final = ("domain", "origin", "domain name", "domain_name")
_RANK_COLUMNS: Final = ("rank", "globalrank", "global_rank")
_TAG_COLUMNS: Final = ("tags", "tag")
_DELIMITERS: Final = (",", ";", "\t")
_BLANK: Final = " \t\r\ufeff\xa0"

_TAG_SEPARATOR: Final = re.compile(r"[;,|]")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
# RFC 6454 section 6.2: the serialisation of an origin is scheme, host and perhaps a port.
_ORIGIN: Final = re.compile(r"https?://([^/:?#@]+)(?::\d+)?/?", re.IGNORECASE)


class Entry(NamedTuple):
    """One entry of a list, or the reason why a line holds none."""

    line: int
    """Line of the file, or row of the table, from 1."""
    text: str
    """The name as written; for a line without one, the line."""
    rank: int | None = None
    tags: tuple[str, ...] = ()
    reason: str | None = None


REASONS: Final = ("line-too-long", "no-domain", "url", "no-origin", "directive")
"""Every reason that an entry of this module can have."""


def read(stream: IO[bytes], *, name: str) -> Iterator[Entry]:
    """The entries of one list.  *name* is the list's: a zone's origin until the zone says it.

    Raises ``ListError`` when the format is clear but lacks what is needed, and the exceptions of
    ``list_sources.READ_ERRORS`` when the stream is damaged.
    """
    if list_sources.is_parquet(stream):
        return _parquet(stream)
    return _text(stream, name)


# --- text


def _text(stream: IO[bytes], name: str) -> Iterator[Entry]:
    numbered = enumerate(list_sources.lines(stream), 1)
    top = list(islice(numbered, _SAMPLE))
    every = chain(top, numbered)
    sample = [text for _, line in top if (text := _without_comment(line[:MAX_LINE]))]
    if zone_files.looks_like_zone(line for _, line in top):
        return _zone(every, name)
    if sample and (layout := _layout(sample[0])):
        return _table(every, layout)
    return _plain(every)


def _plain(numbered: Iterable[tuple[int, str]]) -> Iterator[Entry]:
    for number, line in numbered:
        if len(line) > MAX_LINE:
            yield _too_long(number, line)
            continue
        if text := _without_comment(line):
            yield Entry(number, text)


def _without_comment(line: str) -> str:
    return (_COMMENT.sub("", line) if "#" in line else line).strip(_BLANK)


def _too_long(number: int, line: str) -> Entry:
    return Entry(number, line[:80], reason="line-too-long")


def _zone(numbered: Iterable[tuple[int, str]], name: str) -> Iterator[Entry]:
    # A zone file is named after its zone; relative names need that when there is no $ORIGIN.
    origin = name.lower().removesuffix(".zone").removeprefix("db.")
    short = ((n, line[:MAX_LINE]) for n, line in numbered)
    for number, text, reason in zone_files.delegations(short, origin):
        yield Entry(number, text, reason=reason)


# --- tables in text


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the columns of a table stand."""

    delimiter: str
    domain: int
    rank: int | None
    tags: int | None
    header: bool
    origins: bool


def _layout(first: str) -> _Layout | None:
    """The layout that a table's first line shows; None when it is no table."""
    delimiter = next((d for d in _DELIMITERS if d in first), ",")
    cells = [cell.strip(_BLANK) for cell in _cells(first, delimiter)]
    names = [cell.lower() for cell in cells]
    domain = _position(names, _DOMAIN_COLUMNS)
    if domain is not None:
        return _Layout(
            delimiter,
            domain,
            rank=_position(names, _RANK_COLUMNS),
            tags=_position(names, _TAG_COLUMNS),
            header=True,
            origins=names[domain] == "origin",
        )
    if len(cells) < 2:
        return None
    ranked = cells[0].isdecimal()
    return _Layout(
        delimiter, int(ranked), 0 if ranked else None, tags=None, header=False, origins=False
    )


def _position(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((names.index(w) for w in wanted if w in names), None)


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of one line.

    Line by line, so that a stray quote spoils one row and not the rest of the file; no list is
    known that has line breaks inside its cells.
    """
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader((line,), delimiter=delimiter))
    except csv.Error:  # a carriage return in the middle
        return line.split(delimiter)


def _table(numbered: Iterable[tuple[int, str]], layout: _Layout) -> Iterator[Entry]:
    header_to_come = layout.header
    for number, line in numbered:
        if len(line) > MAX_LINE:
            yield _too_long(number, line)
            continue
        text = line.strip("\r\ufeff")
        if not text or text.isspace() or text[0] == "#":
            continue
        if header_to_come:
            header_to_come = False
            continue
        yield _row(number, text, _cells(text, layout.delimiter), layout)


def _row(number: int, line: str, cells: list[str], layout: _Layout) -> Entry:
    text = cells[layout.domain].strip(_BLANK) if layout.domain < len(cells) else ""
    if not text:
        return Entry(number, line[:80], reason="no-domain")
    if layout.origins:
        origin = _ORIGIN.fullmatch(text)
        if origin is None:
            return Entry(number, text, reason="url")
        text = origin[1]
    rank, tags = layout.rank, layout.tags
    return Entry(
        number,
        text,
        _rank(cells[rank]) if rank is not None and rank < len(cells) else None,
        _tags(cells[tags]) if tags is not None and tags < len(cells) else (),
    )


def _rank(cell: Any) -> int | None:
    """A rank, if the cell holds one: a whole number from 1."""
    try:
        rank = int(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return rank if 0 < rank < 2**63 else None


def _tags(cell: Any) -> tuple[str, ...]:
    """Tags, in one cell separated by ``;`` ``,`` or ``|``, or already as a list."""
    parts = _TAG_SEPARATOR.split(cell) if isinstance(cell, str) else cell or ()
    return tuple(tag for part in parts if part is not None and (tag := str(part).strip(_BLANK)))


# --- Parquet


def _parquet(stream: IO[bytes]) -> Iterator[Entry]:
    table = pq.ParquetFile(stream)
    columns = {name.lower(): name for name in table.schema_arrow.names}
    domain, rank, tags = (
        columns.get(next((w for w in wanted if w in columns), ""))
        for wanted in (_DOMAIN_COLUMNS, _RANK_COLUMNS, _TAG_COLUMNS)
    )
    if domain is None:
        raise ListError(
            "is Parquet without a column 'domain'; rename the column that has the names"
        )
    if not _is_text(table.schema_arrow.field(domain).type):
        raise ListError(
            f"is Parquet whose column {domain!r} is not text; store the names as strings"
        )
    kept = [name for name in (domain, rank, tags) if name is not None]
    number = 0
    for batch in table.iter_batches(batch_size=1 << 16, columns=kept):
        nothing = [None] * batch.num_rows
        values = (batch[n].to_pylist() if n is not None else nothing for n in (domain, rank, tags))
        for text, rank_, tags_ in zip(*values, strict=True):
            number += 1
            yield _parquet_row(number, text, rank_, tags_)


def _is_text(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        return _is_text(type_.value_type)
    checks: tuple[Callable[[pa.DataType], bool], ...] = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
    )  # fmt: skip
    return any(check(type_) for check in checks)


def _parquet_row(number: int, text: str | None, rank: Any, tags: Any) -> Entry:
    name = (text or "").strip(_BLANK)
    if not name:
        return Entry(number, "", reason="no-domain")
    return Entry(number, name, _rank(rank), _tags(tags))
