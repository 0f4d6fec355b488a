"""A list of customers' domains, read: what stands on each line, and which name it means.

One domain a line, or CSV whose header names a column ``domain`` (a list like that of ``sts-crawl
scan``, which reads more formats).  Names are put into the form that a snapshot has them in:
lower-case A-labels without a final dot (UTS 46 and RFC 5891).  What is no name at all is kept as
it was written, so that it turns up in the answer as a domain that no scan knows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import click
import idna

COLUMNS: Final = ("domain", "domain name", "domain_name", "origin")
"""Headings of the column that has the names."""

LONGEST: Final = 1000
"""Characters of a line or cell that are looked at; RFC 1035 allows a name 253."""

_DELIMITERS: Final = (",", ";", "\t")
_BLANK: Final = " \t\r\n\ufeff\xa0"


class BadList(ValueError):
    """The list cannot be read: one sentence with the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One domain of the list."""

    place: int
    """Line of the file, from 1."""
    listed: str
    """The name as the list writes it."""
    domain: str
    """The name as a snapshot writes it."""


def read(path: Path) -> Iterator[Listed]:
    """The domains of the list at *path*, or on standard input for ``-``, one by one.

    Raises :class:`BadList` when it cannot be opened, is no text or has no domain.
    """
    with _lines(path) as lines:
        place = 0
        try:
            for place, text in _names(lines):
                yield Listed(place=place, listed=text, domain=normalise(text))
        except UnicodeDecodeError as error:
            raise BadList(
                f"{path} is not text in UTF-8; give one domain a line, or CSV with a column 'domain'"
            ) from error
    if not place:
        raise BadList(f"{path} names no domain; give one a line, or CSV with a column 'domain'")


def normalise(text: str) -> str:
    """The name *text* as a snapshot writes it, or *text* in lower case when it is no name.

    >>> normalise("Bücher.Example."), normalise("_x.example"), normalise("no name")
    ('xn--bcher-kva.example', '_x.example', 'no name')
    """
    if text.isascii():
        return text.lower().removesuffix(".")
    try:
        mapped = idna.uts46_remap(text[:LONGEST], std3_rules=False)
        # Label by label: the library would refuse the underscore of a label that it need not see.
        labels = (x if x.isascii() else idna.alabel(x).decode("ascii") for x in mapped.split("."))
        return ".".join(labels).lower().removesuffix(".")
    except idna.IDNAError:
        return text.lower()


@contextmanager
def _lines(path: Path) -> Iterator[Iterable[str]]:
    try:
        # Strictly, for Python's own standard input lets octets pass that are no text.
        file = click.open_file(str(path), encoding="utf-8-sig", errors="strict")
    except OSError as error:
        raise BadList(f"{path} cannot be read: {error.strerror}") from error
    with file:
        yield file


def _names(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Every name of the list with its line."""
    written = ((n, line.strip(_BLANK)) for n, line in enumerate(lines, 1))
    filled = ((n, line) for n, line in written if line and not line.startswith("#"))
    first = next(filled, None)
    if first is None:
        return
    delimiter = next((d for d in _DELIMITERS if d in first[1]), ",")
    cells = [cell.lower() for cell in _cells(first[1], delimiter)]
    column = next((cells.index(name) for name in COLUMNS if name in cells), None)
    rest: Iterable[tuple[int, str]] = filled
    if column is None:
        # Without a header, a number in front is a rank.
        column = int(len(cells) > 1 and cells[0].isdecimal())
        rest = chain([first], filled)
    for number, line in rest:
        cells = _cells(line, delimiter)
        if name := _name(cells[column] if column < len(cells) else ""):
            yield number, name


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of one line; a stray quote spoils this line and not the rest of the list."""
    try:
        cells = next(csv.reader((line,), delimiter=delimiter))
    except csv.Error:  # a carriage return in the middle
        cells = line.split(delimiter)
    return [cell.strip(_BLANK) for cell in cells]


def _name(cell: str) -> str:
    """The name in a cell: without a comment behind it, and of an origin its host."""
    name = cell.partition(" #")[0].strip(_BLANK)[:LONGEST]
    return name.partition("://")[2].partition("/")[0] if "://" in name else name
