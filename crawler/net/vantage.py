"""What this machine can do before anybody else is asked: routes and descriptors.

Nothing here sends a packet.
"""

from __future__ import annotations

import resource
import socket

# Documentation addresses (RFC 5737, RFC 3849): a datagram socket that is connected to one has
# asked the routing table for a source address and sent nothing.
_SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def source_address(family: socket.AddressFamily) -> str | None:
    """The address that packets to the Internet would leave from, or ``None`` without a route."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_SOMEWHERE[family], 53))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return address


def descriptors() -> int:
    """How many files and sockets this process may have open, after raising the soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit
