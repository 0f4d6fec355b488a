"""The shape of a rule: one finding, when it holds, and what its reader is told.

A condition looks at a ``Context`` and nothing else.  A rule's id is never renamed and never
reused; a rule that comes to mean something else gets a new id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crawler.assessment.context import Context
from crawler.vocabulary import ResultType, Severity

Condition = Callable[[Context], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that can be said about a domain."""

    id: str
    severity: Severity
    holds: Condition
    sentence: str
    """What is the case, for the domain's owner."""
    fix: str
    """What to change, or what to know."""
    section: str
    """The text it rests on."""
    result_type: ResultType | None = None
    """What a sender would call it in a TLSRPT report (RFC 8460 section 4.3), where a word fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Rules that are only meaningful together, and when they are."""

    applies: Condition
    rules: tuple[Rule, ...]
