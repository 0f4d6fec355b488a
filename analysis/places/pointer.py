"""What a finding is about, and what a place is: the values that the other modules pass around."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Facts = Mapping[str, Any]
"""A row of ``queries/customers/6-rows.sql``, or a part of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One thing to look at and perhaps to change."""

    what: str
    """Its kind, in words: ``TXT record``."""
    where: str
    """Its name: of a record, a URL, a host with its address."""
    seen: tuple[str, ...]
    """What stands there, line by line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """How the facts of a domain are narrowed down to what one finding is about."""

    finding: str
    place: str
    """The kind of place, a key of ``KINDS``."""
    words: frozenset[str]
    """Outcomes, problems, weaknesses or statuses that pick sessions or hosts; all if empty."""
    lines: re.Pattern[str] | None
    """What the lines of the policy file look like; every line if None."""

    @staticmethod
    def of(row: Mapping[str, str | None]) -> Pointer:
        """The pointer that a row of ``finding_places.csv`` describes."""
        return Pointer(
            finding=str(row["finding"]),
            place=str(row["place"]),
            words=frozenset((row["words"] or "").split()),
            lines=re.compile(row["lines"]) if row["lines"] else None,
        )
