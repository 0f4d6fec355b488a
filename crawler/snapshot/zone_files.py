"""A master zone file -> the names delegated in it (RFC 1035 section 5).

Both kinds that registries hand out: one complete record per line, as CZDS does, and the full
syntax of ``$ORIGIN``, relative and omitted owners, parentheses, quotes and comments.  A
delegation is the owner of an NS record below the zone's apex; the glue, DS and signature records
beside it say nothing about who exists.  NS records of one owner that follow each other count
once.

Not supported, as no registry uses it for a published zone: a quoted string over several lines,
a class or TTL written after an opening parenthesis on a later line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

Numbered = tuple[int, str]
"""Line number from 1, and the line."""

# The commonest line by far: an absolute owner with nothing special in it, then NS.  The rest of
# the record does not matter.
_PLAIN_NS: Final = re.compile(
    r"([^\s;()\"\\$@]+)\.[ \t]+(?:\d+[ \t]+)?(?:in[ \t]+)?ns[ \t][^;()\"]*", re.IGNORECASE
)
_SPECIAL: Final = re.compile(r"[;()\"\\$]")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|;.*|[()]|(?:[^\s;()"\\]|\\.)+|\\')
_TTL: Final = re.compile(r"\d+|(?:\d+[smhdw])+", re.IGNORECASE)
_CLASSES: Final = frozenset({"in", "ch", "hs", "cs"})
_SOA: Final = re.compile(
    r"(?:[^\s;]+)?[ \t]+(?:\d\w*[ \t]+)?(?:in[ \t]+)?(?:\d\w*[ \t]+)?soa[ \t]", re.IGNORECASE
)
_RECORD: Final = re.compile(r"\S+\.[ \t]+\d+[ \t]+in[ \t]+[a-z0-9]+[ \t]", re.IGNORECASE)
_DIRECTIVE: Final = re.compile(r"\$(?:origin|ttl|include|generate)\b", re.IGNORECASE)


def looks_like_zone(sample: Iterable[str]) -> bool:
    """Whether lines from the top of a text are those of a zone file."""
    return any(p.match(line) for line in sample for p in (_DIRECTIVE, _SOA, _RECORD))


class _Zone:
    """What a zone file's lines leave behind for the lines after them."""

    def __init__(self, origin: str | None) -> None:
        self.origin = origin
        self.apex: str | None = None
        self.owner: str | None = None
        self.open: list[str] = []
        """Tokens of a record whose parentheses are not yet closed."""
        self.depth = 0

    def absolute(self, written: str) -> str | None:
        """The owner as a full name without its final dot; None when there is no origin to add."""
        name = written.lower()
        if name.endswith("."):
            return name[:-1]
        if self.origin is None:
            return None
        if name == "@":
            return self.origin
        return f"{name}.{self.origin}" if self.origin else name

    def is_below_apex(self, name: str) -> bool:
        return name != self.apex and (not self.apex or name.endswith(f".{self.apex}"))


def delegations(
    numbered: Iterable[Numbered], origin: str | None
) -> Iterator[tuple[int, str, str | None]]:
    """The delegated names as (line number, name, None), in the order of the file.

    *origin* is where relative names start from until the file says ``$ORIGIN``; None when not
    known.  A line that cannot be used comes as (line number, line, reason), the reason being
    ``no-origin`` or ``directive``.
    """
    zone, last = _Zone(origin), ""
    for number, line in numbered:
        if not zone.depth and (match := _PLAIN_NS.fullmatch(line)):
            zone.owner = name = match[1].lower()
        elif not line or line.isspace():
            continue
        elif line[0] == "$" and not zone.depth:
            if (reason := _obey(zone, line)) is not None:
                yield number, line, reason
            continue
        else:
            kind = _record_type(zone, line)
            if kind == "soa":
                zone.apex = zone.owner if zone.apex is None else zone.apex
            if kind != "ns":
                continue
            if zone.owner is None:
                yield number, line, "no-origin"
                continue
            name = zone.owner
        if name != last and zone.is_below_apex(name):
            last = name
            yield number, name, None


def _obey(zone: _Zone, line: str) -> str | None:
    """Follow a directive; the reason when it cannot be followed."""
    directive, *values = line.partition(";")[0].split()
    if directive.lower() == "$origin" and values:
        zone.origin = zone.absolute(values[0])
        return None if zone.origin is not None else "no-origin"
    return None if directive.lower() == "$ttl" else "directive"


def _record_type(zone: _Zone, line: str) -> str | None:
    """Take a line in; the type of the record that it completes, in lower case, if any.

    Sets the zone's owner, to None when it is relative to an origin that is not known.
    """
    if zone.depth == 0:
        zone.open = []
    tokens = _tokens(zone, line) if _SPECIAL.search(line) or zone.depth else line.split()
    begins = not zone.open
    # Six tokens hold owner, TTL, class and type, whatever the order; RDATA may be long.
    zone.open = (zone.open + tokens)[:6]
    if not zone.open:
        return None
    if begins and line[0] not in " \t":
        zone.owner = zone.absolute(zone.open.pop(0))
    if zone.depth:
        return None
    rest = iter(t.lower() for t in zone.open)
    return next((t for t in rest if t not in _CLASSES and not _TTL.fullmatch(t)), None)


def _tokens(zone: _Zone, line: str) -> list[str]:
    kept = []
    for token in _TOKEN.findall(line):
        if token == "(":
            zone.depth += 1
        elif token == ")":
            zone.depth = max(0, zone.depth - 1)
        elif not token.startswith(";"):
            kept.append(token)
    return kept
