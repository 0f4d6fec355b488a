"""The servers that are asked: NSD with the load world, and unbound in front of it.

Neither may be what is measured, so every limit of theirs that a fast client meets is lifted.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from crawler.lab.load import ZONE
from tests.interop.world import SBIN, Server, wait_until

Endpoint = tuple[str, int]

LOADED_WITHIN = 60.0
"""Seconds for a zone of some hundred thousand records; two are usual."""

_BUFFER = 4 * 1024 * 1024
"""Bytes in a socket: a burst of a thousand questions must not be dropped by the kernel."""

_NSD = """\
server:
    ip-address: {address}@{port}
    username: ""
    zonesdir: "{world}"
    database: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    xfrdir: "{folder}"
    server-count: 1
    # Debian's NSD limits the rate of like answers to one network unless told otherwise, and all
    # our clients are in one network: half of the answers would be dropped in silence.
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
    receive-buffer-size: {buffer}
    send-buffer-size: {buffer}
    tcp-count: 1000
    tcp-query-count: 0
    # As a recursive resolver answers, which is what a scan asks.
    minimal-responses: yes
remote-control:
    control-enable: no
zone:
    name: "{zone}"
    zonefile: "{zone}.zone"
"""

_UNBOUND = """\
server:
    interface: {address}@{port}
    access-control: 127.0.0.0/8 allow
    do-ip6: no
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    num-threads: 2
    do-not-query-localhost: no
    so-rcvbuf: {buffer}
    so-sndbuf: {buffer}
    num-queries-per-thread: 4096
    outgoing-range: 8192
    # With it (RFC 9156) each name is asked for twice, and unbound's own cost hides the clients'.
    qname-minimisation: no
    incoming-num-tcp: 1000
    msg-cache-size: 128m
    rrset-cache-size: 256m
remote-control:
    control-enable: no
stub-zone:
    name: "{zone}"
    stub-addr: {authority}
# Nothing but the zone is asked for; should unbound want anything else, it must not leave loopback.
stub-zone:
    name: "."
    stub-addr: {authority}
"""


class LoadNsd(Server):
    """NSD, one process, authoritative for the zone that ``load.export`` wrote into *world*."""

    def __init__(self, folder: Path, endpoint: Endpoint, world: Path) -> None:
        folder.mkdir()
        address, port = endpoint
        config = folder / "nsd.conf"
        config.write_text(
            _NSD.format(
                address=address, port=port, world=world, folder=folder, buffer=_BUFFER, zone=ZONE
            )
        )
        super().__init__("nsd", ("nsd", "-d", "-c", str(config)), folder=folder, listens=[endpoint])

    def start(self) -> None:
        """Start it; its port opens before the zone is read, so wait for an answer as well."""
        super().start()
        try:
            wait_until(lambda: _answers(self.listens[0]), LOADED_WITHIN)
        except BaseException:
            self.stop()
            raise


class ColdUnbound(Server):
    """unbound, two threads, recursing over *authority*; its cache is empty at each start."""

    def __init__(self, folder: Path, endpoint: Endpoint, authority: Endpoint) -> None:
        folder.mkdir()
        address, port = endpoint
        config = folder / "unbound.conf"
        config.write_text(
            _UNBOUND.format(
                address=address,
                port=port,
                folder=folder,
                buffer=_BUFFER,
                zone=ZONE,
                authority="{}@{}".format(*authority),
            )
        )
        argv = ("unbound", "-d", "-p", "-c", str(config))
        super().__init__("unbound", argv, folder=folder, listens=[endpoint])


def which(command: str) -> str | None:
    """Where *command* is, also when it is a daemon."""
    return shutil.which(command, path=SBIN)


def _answers(endpoint: Endpoint) -> bool:
    address, port = endpoint
    try:
        answer = dns.query.udp(dns.message.make_query(ZONE, "SOA"), address, port=port, timeout=1)
    except (OSError, dns.exception.DNSException):
        return False
    return bool(answer.answer)
