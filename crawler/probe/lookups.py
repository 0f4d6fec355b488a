"""What every lookup row has in common: the columns that an answer fills, and opted-out rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

from crawler.net.lookup import Answer
from crawler.vocabulary import BLAME_OF_DNS, DnsStatus


class OptOuts(Protocol):
    """Who wants to be left alone; ``politeness.opt_out.OptOut`` or a list of it."""

    def entry_for_domain(self, name: str) -> str | None:
        """The entry that covers the domain *name*, or None."""

    def entry_for_host(self, name: str) -> str | None:
        """The entry that covers the host *name*, or None."""


def columns(answer: Answer) -> dict[str, Any]:
    """The columns of ``records.Lookup`` that come straight from *answer*; not ``attempt``."""
    return {
        "status": answer.status,
        "authenticated": answer.authenticated,
        "cname_chain": answer.cname_chain,
        "ttl": answer.ttl,
        "resolver": answer.resolver,
        "started_at": answer.started_at,
        "elapsed_ms": answer.elapsed_ms,
        "blame": answer.blame,
        "error": answer.error,
    }


def opted_out(entry: str) -> dict[str, Any]:
    """The same columns of a lookup that was not made, because *entry* asks us not to."""
    return {
        "status": DnsStatus.OPTED_OUT,
        "started_at": datetime.now(UTC),
        "elapsed_ms": 0.0,
        "blame": BLAME_OF_DNS[DnsStatus.OPTED_OUT],
        "error": f"opt-out list: {entry}",
    }
