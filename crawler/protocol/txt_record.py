"""Which of a name's TXT strings is the record, and what are its fields?

MTA-STS (RFC 8461 section 3.1) and TLSRPT (RFC 8460 section 3) share one shape: a version, then
fields between semicolons, one record to a name.  What a field may say is left to
``sts_record`` and ``tlsrpt``; whether the lookup worked at all, to whoever asked.

Everything here takes time proportional to the octets it is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WSP: Final = b" \t"  # RFC 5234 appendix B.1: WSP = SP / HTAB

# sts-ext-name = tlsrpt-ext-name
#              = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
EXT_NAME: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")

# sts-ext-value = tlsrpt-ext-value
#               = 1*(%x21-3A / %x3C / %x3E-7E)   ; excluding "=", ";", SP, and CTLs
EXT_VALUE: Final = re.compile(rb"[\x21-\x3A\x3C\x3E-\x7E]+")

# What people put before a version that begins right: white space, a byte order mark, and the
# quotation marks (straight, curly, or escaped) of the zone file or web page it was copied from.
_CLUTTER: Final = rb"(?:[\s\"'`\\(]|\xC2\xA0|\xEF\xBB\xBF|\xE2\x80[\x8B\x98-\x9F])*+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of record, known by how it begins."""

    version: bytes
    """The whole first field, such as ``v=STSv1``; case-sensitive by ``%s`` (RFC 7405)."""
    exact: re.Pattern[bytes]
    """The version and nothing that makes it another one: ``v=STSv1``, not ``v=STSv10``."""
    near: re.Pattern[bytes]
    """What a string begins with that was meant to be such a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What is left of a TXT answer when the strings that are no such record are discarded."""

    record: bytes | None
    """The one record, its strings joined; None when there is none, or more than one."""
    several: bool
    """More than one record is left."""
    problems: tuple[str, ...]
    """``multiple``, ``unrelated``, ``multistring``, ``version``, ``no-delimiter``."""


def kind(version: bytes, word: bytes) -> Kind:
    """The kind of record that begins with *version*; one that was meant to be it, with *word*.

    Our reading of "resembles": a string, whatever clutter comes before it and in whatever
    case, that begins with ``v=`` and *word* (``sts``, ``tlsrpt``).  So ``v=stsv1``, ``v=STS1``,
    ``v=STSv2``, ``"v=STSv1; ..."`` and `` v = STSv1`` were meant; ``v=spf1`` was not.
    """
    near = _CLUTTER + rb"v[ \t]*+=[ \t\"']*+" + re.escape(word)
    return Kind(
        version=version,
        exact=re.compile(re.escape(version) + rb"(?![A-Za-z0-9_.-])"),
        near=re.compile(near, re.IGNORECASE),
    )


def join(strings: Sequence[bytes]) -> bytes:
    """One TXT record's character-strings, "concatenated without adding spaces" (section 3.1)."""
    return b"".join(strings)


def resembles(sought: Kind, strings: Sequence[bytes]) -> bool:
    """Is or resembles this TXT record one of the *sought* kind?"""
    return sought.near.match(join(strings)) is not None


def select(sought: Kind, records: Sequence[Sequence[bytes]]) -> Selected:
    """Discard what is not of the *sought* kind, and say what is left.

    RFC 8461 section 3.1: "records that do not begin with "v=STSv1;" are discarded" (RFC 8460
    section 3 has the same sentence).  Our reading: the rule also holds for a single record,
    and is about octets.  So ``v=STSv1 ;`` is discarded although sts-field-delim permits white
    space before the semicolon; erratum 6285 (reported) asks to remove that contradiction.
    """
    begins = sought.version + b";"
    survivors = [strings for strings in records if join(strings).startswith(begins)]
    if len(survivors) > 1:
        return Selected(record=None, several=True, problems=("multiple",))
    if not survivors:
        return Selected(record=None, several=False, problems=_near_misses(sought, records))
    [strings] = survivors
    noted = {"unrelated": len(records) > 1, "multistring": len(strings) > 1}
    problems = tuple(word for word, holds in noted.items() if holds)
    return Selected(record=join(strings), several=False, problems=problems)


def _near_misses(sought: Kind, records: Sequence[Sequence[bytes]]) -> tuple[str, ...]:
    """Why the strings that were meant to be a record are none; empty when none was meant to be.

    ``no-delimiter``: the version is right, but no ``;`` follows at once; else ``version``.
    """
    near = [join(strings) for strings in records if resembles(sought, strings)]
    missed = {"no-delimiter" if sought.exact.match(record) else "version" for record in near}
    return tuple(sorted(missed, reverse=True))


def fields(sought: Kind, record: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """The fields after the version, as (name, value); the value is None where there is no ``=``.

    sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
    sts-field-delim = *WSP ";" *WSP

    No field can contain a semicolon, so the delimiters are found by splitting there.  White
    space belongs to a delimiter, hence to a semicolon: at the very end of a record without a
    final semicolon it stays in the field, whose grammar has no room for it.
    """
    *delimited, last = record[len(sought.version) + 1 :].split(b";")
    for field in delimited:
        yield _pair(field.strip(WSP))
    if last.strip(WSP):
        yield _pair(last.lstrip(WSP))


def _pair(field: bytes) -> tuple[bytes, bytes | None]:
    name, equals, value = field.partition(b"=")
    return name, value if equals else None


def first_of_each(sought: Kind, record: bytes) -> tuple[dict[bytes, bytes | None], bool]:
    """The first field of each name, in order and without the version, and whether more followed.

    RFC 8461 section 3.2: of a duplicated field "all entries except for the first SHALL be
    ignored".  An empty field is a fault, not a name that could be there twice.
    """
    first: dict[bytes, bytes | None] = {}
    names = [sought.version.partition(b"=")[0]]
    for name, value in fields(sought, record):
        first.setdefault(name, value)
        names += [name] if name else []
    first.pop(names[0], None)
    return first, len(set(names)) < len(names)


def is_extension(name: bytes, value: bytes | None) -> bool:
    """sts-extension = sts-ext-name "=" sts-ext-value, and tlsrpt-extension alike."""
    return (
        value is not None
        and EXT_NAME.fullmatch(name) is not None
        and EXT_VALUE.fullmatch(value) is not None
    )


def as_text(values: Mapping[bytes, bytes | None]) -> dict[str, str]:
    """Fields that have passed their grammar, which is US-ASCII, as text."""
    return {name.decode("ascii"): (value or b"").decode("ascii") for name, value in values.items()}
