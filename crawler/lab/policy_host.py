"""Plays every Policy Host of the world (RFC 8461 section 3.3): HTTPS, told apart by SNI.

The persona says how the handshake goes and what answers a request for the policy file; any
other path is 404, and a Host field that is not the server name is 421, so that a crawler that
mixes its names up is found out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import trio

from crawler.lab.log import Connection
from crawler.lab.scenario import Certificate, Delivery, PolicyHost, Tls
from crawler.lab.site import Site, Sites
from crawler.lab.tls import Contexts, Presented, accept

WELL_KNOWN: Final = b"/.well-known/mta-sts.txt"
_NOBODY: Final = Presented(host="nobody.lab", certificate=Certificate.TRUSTED, tls=Tls.ALERT)
_REQUEST_LIMIT: Final = 16384
_DRIP: Final = 0.5
"""Seconds between the octets of a dripped body: every octet restarts a careless timeout."""


class PolicyHosts:
    """All Policy Hosts of a world, for any listener."""

    def __init__(self, sites: Sites, contexts: Contexts) -> None:
        self._sites = sites
        self._contexts = contexts

    def _persona(self, name: str | None, *, ipv6: bool) -> tuple[Site, PolicyHost] | None:
        """Whose policy is asked for by that server name, if anybody's."""
        if name is None or not name.startswith("mta-sts."):
            return None
        site = self._sites.find(name)
        if site is None or site.scenario.policy is None:
            return None
        if name != f"mta-sts.{site.placement.domain}":
            return None
        policy = site.scenario.policy
        return site, (policy.ipv6 or policy) if ipv6 else policy

    async def __call__(self, stream: trio.SocketStream, entry: Connection) -> None:
        """Serve one connection."""
        ipv6 = ":" in entry.address

        def choose(name: str | None) -> Presented:
            entry.sni = name
            if (found := self._persona(name, ipv6=ipv6)) is None or name is None:
                return _NOBODY
            return Presented(host=name, certificate=found[1].certificate, tls=found[1].tls)

        secured = await accept(stream, self._contexts, choose)
        found = self._persona(entry.sni, ipv6=ipv6)
        if secured is None or found is None:
            return
        async with secured:
            request = await _read_request(secured)
            entry.heard(request)
            if request:
                await _respond(secured, *found, request)


async def _read_request(stream: trio.abc.ReceiveStream) -> bytes:
    """The head of the request; empty if the client closes before its end."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = await stream.receive_some()
        if not data or len(head) > _REQUEST_LIMIT:
            return b""
        head += data
    return head


def _host_field(request: bytes) -> str | None:
    for line in request.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"host":
            return value.strip().decode("latin-1").lower().partition(":")[0]
    return None


def _answer_for(site: Site, host: PolicyHost, request: bytes) -> tuple[PolicyHost, bytes]:
    """The persona that answers this request, and the body."""
    if _host_field(request) != f"mta-sts.{site.placement.domain}":
        return PolicyHost(status=HTTPStatus.MISDIRECTED_REQUEST), b"wrong host\n"
    if request.split(b" ", 2)[:2] != [b"GET", WELL_KNOWN]:
        return PolicyHost(status=HTTPStatus.NOT_FOUND), b"not found\n"
    headers = tuple((name, site.fill(value)) for name, value in host.headers)
    return replace(host, headers=headers), site.body(host)


def _head(host: PolicyHost, size: int) -> bytes:
    lines = [f"HTTP/1.1 {host.status} {HTTPStatus(host.status).phrase}"]
    if host.content_type is not None:
        lines.append(f"Content-Type: {host.content_type}")
    lines += [f"{name}: {value}" for name, value in host.headers]
    if host.delivery is Delivery.CHUNKED:
        lines.append("Transfer-Encoding: chunked")
    else:
        lines.append(f"Content-Length: {size}")
    return "\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1")


def _chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 40):
        chunk = body[start : start + 40]
        yield b"%x\r\n%s\r\n" % (len(chunk), chunk)
    yield b"0\r\n\r\n"


async def _respond(
    stream: trio.abc.SendStream, site: Site, persona: PolicyHost, request: bytes
) -> None:
    host, body = _answer_for(site, persona, request)
    match host.delivery:
        case Delivery.NO_ANSWER:
            await trio.sleep_forever()
        case Delivery.WHOLE:
            await stream.send_all(_head(host, len(body)) + body)
        case Delivery.CHUNKED:
            await stream.send_all(_head(host, len(body)) + b"".join(_chunks(body)))
        case Delivery.CUT_SHORT:
            await stream.send_all(_head(host, 2 * len(body)) + body)
        case Delivery.DRIPPED:
            await stream.send_all(_head(host, len(body)))
            for octet in body:
                await stream.send_all(bytes((octet,)))
                await trio.sleep(_DRIP)
