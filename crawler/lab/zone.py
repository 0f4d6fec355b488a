"""Reads a scenario's zone text and fills it in for one domain.

The text is RFC 1035 section 5 without classes and TTLs: ``owner TYPE rdata``, one record a line,
owners and names relative to the Policy Domain unless they end in a dot, ``;`` opening a comment
at the start of a line only.  Placeholders in braces are filled in first.  RDATA is encoded by
dnspython.  What a name server makes of the records is ``nameserver``'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from crawler.lab.scenario import Fault


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record; names are lower-case text without the final dot."""

    owner: str
    rdtype: int
    rdata: bytes
    text: str
    """The RDATA in presentation form, absolute names throughout."""

    @property
    def target(self) -> str:
        """Where a CNAME points."""
        return self.text.rstrip(".").lower()


@lru_cache(maxsize=512)
def lines_of(text: str) -> tuple[tuple[str, str, str], ...]:
    """The records of a zone text as (owner, type, rdata), placeholders still in place."""
    rows = (line.strip() for line in text.splitlines())
    split = (row.split(None, 2) for row in rows if row and not row.startswith(";"))
    return tuple((owner, rdtype, rdata) for owner, rdtype, rdata in split)


@lru_cache(maxsize=8192)
def _encoded(rdtype: str, rdata: str, origin: str) -> tuple[int, bytes, str]:
    kind = dns.rdatatype.from_text(rdtype)
    read = dns.rdata.from_text(
        dns.rdataclass.IN,
        kind,
        rdata,
        origin=dns.name.from_text(origin),
        relativize=False,
    )
    return int(kind), read.to_wire() or b"", read.to_text()


_NAMED = frozenset({"MX", "CNAME", "NS", "PTR", "SOA"})
"""Types whose RDATA has names, so that the origin matters."""


def records(text: str, origin: str, values: Mapping[str, str]) -> Iterator[Record]:
    """The records of a zone text for the domain *origin*, placeholders filled in from *values*."""
    for owner, rdtype, rdata in lines_of(text):
        name = owner.format_map(values) if "{" in owner else owner
        filled = rdata.format_map(values) if "{" in rdata else rdata
        relative = rdtype in _NAMED and not filled.endswith(".")
        kind, wire, presentation = _encoded(rdtype, filled, origin if relative else ".")
        yield Record(absolute(name, origin), kind, wire, presentation)


def absolute(owner: str, origin: str) -> str:
    """An owner as written in a zone text, as an absolute name without the final dot."""
    if owner == "@":
        return origin
    return owner[:-1].lower() if owner.endswith(".") else f"{owner}.{origin}".lower()


@dataclass(slots=True)
class Zone:
    """Everything that one party publishes, indexed for answering."""

    apex: str
    signed: bool
    nodes: dict[str, dict[int, list[Record]]] = field(default_factory=dict)
    """Records by owner and type; an empty non-terminal has its entry without records."""
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)
    """Misbehaviour by owner and type; an empty type stands for all."""

    def add(self, record: Record) -> None:
        """Publish *record*; names above it come to exist (RFC 8020)."""
        self.nodes.setdefault(record.owner, {}).setdefault(record.rdtype, []).append(record)
        name = record.owner
        while name != self.apex and "." in name:
            name = name.partition(".")[2]
            self.nodes.setdefault(name, {})

    def node(self, name: str) -> dict[int, list[Record]] | None:
        """The records at *name*, a wildcard's if one covers it, None if the name does not exist."""
        found = self.nodes.get(name)
        if found is not None:
            return found
        # RFC 4592 section 3.3.1: only the wildcard below the closest encloser counts.
        while "." in name:
            name = name.partition(".")[2]
            if name in self.nodes:
                return self.nodes.get(f"*.{name}")
        return None
