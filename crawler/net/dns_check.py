"""Can this resolver be trusted with a scan?

Four questions before the first one of the scan.  A resolver that rewrites NXDOMAIN would make
absent records look present, one that does not recurse knows nothing, and both would go unnoticed
in the numbers.  What follows from a ``ResolverCheck`` is decided by who starts the scan.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from crawler.config import Dns, Endpoint, Seconds
from crawler.net.resolver import Answer, open_resolver
from crawler.protocol.dns_wire import RdType
from crawler.vocabulary import DnsStatus

CHECKS_PER_SECOND: Final = 10.0
"""Five queries in all; nobody is hurried by so few."""

_NO_REPLY: Final = frozenset({DnsStatus.TIMEOUT, DnsStatus.VANTAGE_FAILURE})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverCheck:
    """What one resolver did when it was tried."""

    resolver: str
    """address:port"""
    answers: bool
    """Some answer came at all."""
    recursion_available: bool
    """RA is set, and recursion for us is not refused."""
    rewrites_nxdomain: bool
    """A random name below ``invalid`` (RFC 6761 section 6.4) has an address."""
    tcp: bool
    """It answers over TCP, which long answers need (RFC 7766 section 5)."""
    authenticates_root: bool
    """The root's SOA comes with AD: the resolver validates (RFC 4035 section 3.2.3)."""
    error: str | None
    """Why there was no answer, if there was none."""


async def check_resolver(
    endpoint: Endpoint,
    *,
    timeout: float,
    attempts: int = 3,
    random_label: Callable[[], str] = lambda: f"sts-{secrets.token_hex(12)}",
) -> ResolverCheck:
    """Try the resolver at *endpoint*: UDP, recursion, honesty, DNSSEC, TCP.

    *timeout*: seconds per query; *attempts*: queries per question at the most.
    """
    udp = Dns(queries_per_second=CHECKS_PER_SECOND, timeout=Seconds(timeout), attempts=attempts)
    async with open_resolver(udp, endpoints=[endpoint]) as resolver:
        label = resolver.stats()[0].resolver
        root = await resolver.query("", RdType.SOA)
        if root.status in _NO_REPLY:
            return _silent(label, root)
        nowhere = await resolver.query(f"{random_label()}.invalid", RdType.A)
    tcp = Dns(
        queries_per_second=CHECKS_PER_SECOND, timeout=Seconds(timeout), attempts=1, transport="tcp"
    )
    async with open_resolver(tcp, endpoints=[endpoint]) as resolver:
        over_tcp = await resolver.query("", RdType.SOA)
    return ResolverCheck(
        resolver=label,
        answers=True,
        recursion_available=bool(root.recursion_available) and root.status is not DnsStatus.REFUSED,
        rewrites_nxdomain=nowhere.status is DnsStatus.NOERROR,
        tcp=over_tcp.status not in _NO_REPLY,
        authenticates_root=root.status is DnsStatus.NOERROR and bool(root.authenticated),
        error=None,
    )


def _silent(label: str, root: Answer) -> ResolverCheck:
    return ResolverCheck(
        resolver=label,
        answers=False,
        recursion_available=False,
        rewrites_nxdomain=False,
        tcp=False,
        authenticates_root=False,
        error=root.error,
    )
