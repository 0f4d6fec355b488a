"""Which views a query leads to that are worth making once.

A view is a text, and DuckDB runs it anew wherever it is named.  A few of ours pick something small out
of every row of the archive, and a question may name one at five removes.  Before a query is run, those
that it leads to become tables, each after those that it reads itself.  The rows are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

KEPT: Final = frozenset(
    {
        "adopter_mx_lookups",
        "adopters",
        "aliases",
        "histories",
        "mx_party_endings",
        "sender_caches",
        "vantage_judgements",
        "vantage_mx",
        "vantage_publishers",
    }
)
"""Views of ``queries/views`` that cost a pass over a large table and give little; ``sender_caches`` is one
of which DuckDB, as it recurs, cannot foresee how few rows it has, and would join the large table to it."""

_COMMENT: Final = re.compile(r"--[^\n]*")
# What stands behind FROM or JOIN, or is the only argument of a table macro.
_READ: Final = re.compile(r"""\b(?:from|join)\b(?=[\s(]*"?(\w+))|\('(\w+)'\)""", re.IGNORECASE)


def leads_to(sql: str, definitions: Mapping[str, str]) -> tuple[str, ...]:
    """Those of ``KEPT`` that *sql* reads, directly or through *definitions*, in the order to make them.

    *definitions* are the texts of views and macros by name.
    """
    seen: set[str] = set()

    def visit(text: str) -> Iterator[str]:
        for pair in _READ.findall(_COMMENT.sub("", text)):
            name = pair[0] or pair[1]
            if name in definitions and name not in seen:
                seen.add(name)
                yield from visit(definitions[name])
                if name in KEPT:
                    yield name

    return tuple(visit(sql))
