"""Policy hosts and MX hosts, good ones to depart from and bad ones made of what they say.

Each function makes a behaviour for ``servers.serving``.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from tests.net.servers import Behaviour, Peer, server_context

GOOD = server_context()

BANNER = b"220 mx.example.com ESMTP\r\n"
OFFER = b"250-mx.example.com\r\n250-SIZE 1\r\n250 STARTTLS\r\n"
GO_AHEAD = b"220 go ahead\r\n"
PROTECTED = b"250-mx.example.com\r\n250 AUTH PLAIN\r\n"


# What is said over HTTP.


def response(body: bytes, *headers: bytes, status: bytes = b"200 OK", length: bool = True) -> bytes:
    """A response whose body has a Content-Length or, without *length*, ends with the connection."""
    lines = [b"HTTP/1.1 " + status, *headers]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def chunked(body: bytes, size: int = 4096) -> bytes:
    """A response whose body comes in chunks of *size*."""
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces)
    return response(coded + b"0\r\n\r\n", b"Transfer-Encoding: chunked", length=False)


# Policy hosts.


def answering(*pieces: bytes, every: float = 0, context: ssl.SSLContext = GOOD) -> Behaviour:
    """A policy host that sends *pieces* after the request, *every* so many seconds, and closes."""

    async def behaviour(peer: Peer) -> None:
        await peer.start_tls(context)
        await peer.request()
        for piece in pieces:
            await peer.say(piece)
            await trio.sleep(every)
        await peer.stream.aclose()

    return behaviour


def accepting(act: Callable[[Peer], Awaitable[None]]) -> Behaviour:
    """A server that waits for the ClientHello and then does *act*."""

    async def behaviour(peer: Peer) -> None:
        await peer.read()
        await act(peer)

    return behaviour


# MX hosts.


def mail_host(
    banner: bytes = BANNER,
    ehlo: bytes = OFFER,
    starttls: bytes = GO_AHEAD,
    *,
    helo: bytes = b"250 mx.example.com\r\n",
    protected: bytes = PROTECTED,
    quit_reply: bytes = b"221 bye\r\n",
    context: ssl.SSLContext = GOOD,
) -> Behaviour:
    """An MX host that gives these answers, and keeps silent where one is empty."""

    async def behaviour(peer: Peer) -> None:
        replies = {b"EHLO": ehlo, b"HELO": helo, b"STARTTLS": starttls, b"QUIT": quit_reply}
        await peer.say(banner)
        while True:
            command = (await peer.line()).split()[0]
            await peer.say(replies[command])
            if command == b"QUIT" and quit_reply:
                return
            if command == b"STARTTLS" and starttls.startswith(b"220"):
                await peer.start_tls(context)
                replies[b"EHLO"] = protected

    return behaviour


def saying(*pieces: bytes, every: float = 0, then: str = "close") -> Behaviour:
    """A host that speaks first, whatever it says, and then closes, resets or falls silent."""

    async def behaviour(peer: Peer) -> None:
        for piece in pieces:
            await peer.say(piece)
            await trio.sleep(every)
        await end(peer, then)

    return behaviour


async def end(peer: Peer, how: str) -> None:
    """End a conversation: ``close``, ``reset`` or ``silence``."""
    if how == "reset":
        peer.reset()
    elif how == "silence":
        await peer.be_silent()


# Flights of TLS, as octets.


def presenting(chain: tuple[bytes, ...]) -> Behaviour:
    """A server of TLS 1.2 that has no key for the chain it presents, so the handshake fails."""
    context = server_context(only=ssl.TLSVersion.TLSv1_2)

    async def behaviour(peer: Peer) -> None:
        await peer.say(with_certificates(first_flight(context, await peer.read()), chain))
        await peer.read()

    return behaviour


def first_flight(context: ssl.SSLContext, hello: bytes) -> bytes:
    """What a server of *context* answers to a ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(hello)
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
    return outgoing.read()


def with_certificates(flight: bytes, chain: tuple[bytes, ...]) -> bytes:
    """The flight with another Certificate message (RFC 5246 section 7.4.2)."""
    messages = b""
    while flight:
        end = 5 + int.from_bytes(flight[3:5], "big")
        messages, flight = messages + flight[5:end], flight[end:]
    listed = b"".join(len(c).to_bytes(3, "big") + c for c in chain)
    listed = len(listed).to_bytes(3, "big") + listed
    changed = b""
    while messages:
        end = 4 + int.from_bytes(messages[1:4], "big")
        message, messages = messages[:end], messages[end:]
        if message[0] == 11:
            message = b"\x0b" + len(listed).to_bytes(3, "big") + listed
        changed += message
    records = (changed[at : at + 16384] for at in range(0, len(changed), 16384))
    return b"".join(b"\x16\x03\x03" + len(r).to_bytes(2, "big") + r for r in records)
