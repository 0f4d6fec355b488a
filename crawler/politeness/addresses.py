"""May this address be dialled?  Which special-use range forbids it?

The address of a policy host or MX host is whatever its owner wrote into the DNS, so it may point
into our own network, at ourselves or at nobody.  The ranges are those of the IANA *IPv4* and
*IPv6 Special-Purpose Address Registries* (RFC 6890), without exception: a few of them are
globally reachable, but no host that receives mail lives there.  Multicast and what is left of
IPv6 outside global unicast come from the *Address Space* registries.

``ipaddress.is_global`` is no substitute: it holds for NAT64 and IPv4-compatible forms of
loopback, for multicast, and for ranges registered after the interpreter was built.

Leaves to ``opt_out`` who has asked to be left alone, and to ``gate`` when an address is dialled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@lru_cache(maxsize=4096)  # every admission asks three times about the same few addresses
def parse(address: str) -> Address:
    """Read an address.  Raises ``ValueError`` for text that is none."""
    return ip_address(address)


def _table(*rows: tuple[str, str]) -> tuple[tuple[Network, str], ...]:
    return tuple((ip_network(network), name) for network, name in rows)


# The most specific name of a range comes first where one lies within another.

IPV4_SPECIAL: Final = _table(
    # IANA IPv4 Special-Purpose Address Registry
    ("0.0.0.0/8", '"this network", RFC 791 section 3.2'),
    ("10.0.0.0/8", "private use, RFC 1918"),
    ("100.64.0.0/10", "shared address space, RFC 6598"),
    ("127.0.0.0/8", "loopback, RFC 1122 section 3.2.1.3"),
    ("169.254.0.0/16", "link local, RFC 3927"),
    ("172.16.0.0/12", "private use, RFC 1918"),
    ("192.0.0.0/24", "IETF protocol assignments, RFC 6890 section 2.1"),
    ("192.0.2.0/24", "documentation (TEST-NET-1), RFC 5737"),
    ("192.31.196.0/24", "AS112-v4, RFC 7535"),
    ("192.52.193.0/24", "AMT, RFC 7450"),
    ("192.88.99.0/24", "deprecated 6to4 relay anycast, RFC 7526"),
    ("192.168.0.0/16", "private use, RFC 1918"),
    ("192.175.48.0/24", "direct delegation AS112 service, RFC 7534"),
    ("198.18.0.0/15", "benchmarking, RFC 2544"),
    ("198.51.100.0/24", "documentation (TEST-NET-2), RFC 5737"),
    ("203.0.113.0/24", "documentation (TEST-NET-3), RFC 5737"),
    # IANA IPv4 Multicast Address Space Registry
    ("224.0.0.0/4", "multicast, RFC 5771"),
    ("255.255.255.255/32", "limited broadcast, RFC 919 section 7"),
    ("240.0.0.0/4", "reserved, RFC 1112 section 4"),
)

IPV6_SPECIAL: Final = _table(
    # IANA IPv6 Special-Purpose Address Registry
    ("::1/128", "loopback, RFC 4291 section 2.5.3"),
    ("::/128", "unspecified, RFC 4291 section 2.5.2"),
    ("::ffff:0:0/96", "IPv4-mapped, RFC 4291 section 2.5.5.2"),
    ("64:ff9b::/96", "NAT64, RFC 6052"),
    ("64:ff9b:1::/48", "local-use NAT64, RFC 8215"),
    ("100::/64", "discard-only, RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix, RFC 9780"),
    ("2001::/32", "Teredo, RFC 4380"),
    ("2001:2::/48", "benchmarking, RFC 5180"),
    ("2001:3::/32", "AMT, RFC 7450"),
    ("2001:4:112::/48", "AS112-v6, RFC 7535"),
    ("2001:10::/28", "deprecated ORCHID, RFC 4843"),
    ("2001:20::/28", "ORCHIDv2, RFC 7343"),
    ("2001:30::/28", "drone remote ID, RFC 9374"),
    ("2001::/23", "IETF protocol assignments, RFC 2928"),
    ("2001:db8::/32", "documentation, RFC 3849"),
    ("2002::/16", "6to4, RFC 3056"),
    ("2620:4f:8000::/48", "direct delegation AS112 service, RFC 7534"),
    ("3fff::/20", "documentation, RFC 9637"),
    ("5f00::/16", "segment routing SIDs, RFC 9602"),
    ("fc00::/7", "unique local, RFC 4193"),
    ("fe80::/10", "link local, RFC 4291 section 2.5.6"),
    # IANA IPv6 Address Space
    ("::/96", "deprecated IPv4-compatible, RFC 4291 section 2.5.5.1"),
    ("fec0::/10", "deprecated site local, RFC 3879"),
    ("ff00::/8", "multicast, RFC 4291 section 2.7"),
)

GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""The only part of IPv6 that IANA assigns from (IANA *IPv6 Address Space*, RFC 4291 section 2.4)."""

_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = IPv6Network("::/96")


def embedded_ipv4(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address carries, or None.

    IPv4-mapped and IPv4-compatible (RFC 4291 section 2.5.5), NAT64 (RFC 6052 section 2.2, the
    last 32 bits, also for the local-use prefix), 6to4 (RFC 3056) and Teredo (RFC 4380, the
    client's address).
    """
    if address.version == 4:
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _COMPATIBLE or any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def special_use(address: Address) -> str | None:
    """The special-use range that *address* lies in, as text, or None for a public address."""
    table = IPV4_SPECIAL if address.version == 4 else IPV6_SPECIAL
    for network, name in table:
        if address in network:
            inner = embedded_ipv4(address)
            return f"{network} is {name}" + (f", and carries {inner}" if inner else "")
    if address.version == 6 and address not in GLOBAL_UNICAST:
        return "outside global unicast, RFC 4291 section 2.4"
    return None


_WELL_KNOWN_IPV4: Final = frozenset({IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171")})
"""The addresses of ``ipv4only.arpa``, RFC 7050 section 2.2."""

_NAT64_LENGTHS: Final = (96, 64, 56, 48, 40, 32)  # RFC 6052 section 2.2


def nat64_prefix(synthesised: str) -> IPv6Network | None:
    """The NAT64 prefix that *synthesised*, an AAAA record of ``ipv4only.arpa``, was made with.

    RFC 7050 section 3: where one of the well-known IPv4 addresses stands in it tells the length.
    """
    bits = int(IPv6Address(synthesised))
    for length in _NAT64_LENGTHS:
        if _ipv4_after(bits, length) in _WELL_KNOWN_IPV4:
            return IPv6Network((bits >> 128 - length << 128 - length, length))
    return None


def _ipv4_after(bits: int, length: int) -> IPv4Address:
    """The IPv4 address behind a prefix of *length*: octet 8 is left out (RFC 6052 section 2.2)."""
    octets = bits.to_bytes(16, "big")
    rest = octets[12:] if length == 96 else (octets[:8] + octets[9:])[length // 8 :]
    return IPv4Address(rest[:4])


def refusal(
    address: str, allow: Sequence[Network], own: frozenset[str], nat64: Sequence[Network] = ()
) -> str | None:
    """Why *address* must not be dialled, in words that name the range; None when it may be.

    *allow*, when not empty, is exclusive: it says which addresses exist in a closed world, and
    neither the special-use ranges nor the rule against our own interfaces apply to them.  *own*
    are the addresses of our own interfaces and resolvers, as ``own_addresses`` writes them.  *nat64*
    are the prefixes through which this network reaches IPv4, see ``nat64_prefix``.
    Raises ``ValueError`` for text that is no address.
    """
    parsed = parse(address)
    if parsed.version == 6 and parsed.scope_id is not None:
        return "an address with a zone is not global, RFC 4007"
    if allow:
        if any(parsed in network for network in allow):
            return None
        return "not in [net] allow_addresses"
    if str(parsed) in own:
        return "an address of our own interfaces or resolvers"
    if through := next((network for network in nat64 if parsed in network), None):
        return f"{through} is this network's NAT64, RFC 7050"
    return special_use(parsed)


# Our own addresses, as Linux lists them.

_IPV4_LOCAL: Final = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_FIB_TRIE: Final = Path("/proc/net/fib_trie")
_IF_INET6: Final = Path("/proc/net/if_inet6")


def ipv4_of_fib_trie(text: str) -> Iterable[str]:
    """The local addresses in the text of ``/proc/net/fib_trie``: the /32 routes to this host."""
    return _IPV4_LOCAL.findall(text)


def ipv6_of_if_inet6(text: str) -> Iterable[str]:
    """The addresses in the text of ``/proc/net/if_inet6``: the first column, hexadecimal."""
    return (str(IPv6Address(int(line.split()[0], 16))) for line in text.splitlines() if line)


def own_addresses() -> frozenset[str]:
    """Every address of this machine's interfaces; empty where the system does not list them."""
    found: set[str] = set()
    for path, read in ((_FIB_TRIE, ipv4_of_fib_trie), (_IF_INET6, ipv6_of_if_inet6)):
        if path.is_file():
            found.update(read(path.read_text("ascii")))
    return frozenset(found)
