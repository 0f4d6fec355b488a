"""Through which prefixes would this network take IPv6 packets to IPv4?  (RFC 7050.)

Behind a NAT64 every IPv4 address, private ones included, has a second form that looks public.  A
resolver with DNS64 gives the prefix away: ``ipv4only.arpa`` has no AAAA record but made-up ones.
"""

from __future__ import annotations

from ipaddress import IPv6Network
from typing import Final

from crawler.net.resolver import Resolver
from crawler.politeness.addresses import nat64_prefix
from crawler.protocol.dns_wire import RdType

IPV4_ONLY: Final = "ipv4only.arpa"  # RFC 7050 section 8.2


async def local_prefixes(resolver: Resolver) -> tuple[IPv6Network, ...]:
    """The NAT64 prefixes of this network, sorted; usually none."""
    found = await resolver.query(IPV4_ONLY, RdType.AAAA)
    prefixes = {prefix for made_up in found.records if (prefix := nat64_prefix(made_up))}
    return tuple(sorted(prefixes))
