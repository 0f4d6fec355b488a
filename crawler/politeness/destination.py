"""Which network prefix does an address belong to?

One operator's hosts stand side by side, so limits that mean to spare the operator are kept per
prefix: /24 is the longest IPv4 prefix that is routed between networks, and /64 is one IPv6 subnet
(RFC 4291 section 2.5.4).  The same text is the key by which the targets of a pass are sharded.
"""

from __future__ import annotations

from typing import Final

from crawler.politeness.addresses import parse

PREFIX_LENGTH: Final = {4: 24, 6: 64}
"""By IP version."""


def prefix_of(address: str) -> str:
    """The prefix of *address*, such as ``192.0.2.0/24`` or ``2001:db8:0:1::/64``.

    Raises ``ValueError`` for text that is no address.
    """
    parsed = parse(address)
    length = PREFIX_LENGTH[parsed.version]
    rest = parsed.max_prefixlen - length
    return f"{type(parsed)(int(parsed) >> rest << rest)}/{length}"
