"""Plays every MX host of the world: greeting, EHLO, STARTTLS (RFC 3207), EHLO, QUIT.

A persona says what is answered at each step.  Any other command is refused and logged: a
crawler must never send one.
"""

from __future__ import annotations

from typing import Final

import trio

from crawler.lab.addresses import IPV6
from crawler.lab.log import Connection
from crawler.lab.scenario import MailHost, Manner, Tls
from crawler.lab.site import Sites
from crawler.lab.tls import Contexts, Presented, accept

_LINE_LIMIT: Final = 2048
_UNNAMED: Final = "unnamed.lab"
"""Whose certificate a client gets that sends no server name: nobody's, so it does not match."""
_INJECTED: Final = b"250 2.0.0 this was never protected\r\n"


class _Conversation:
    """Reads lines and notes them."""

    def __init__(self, stream: trio.abc.Stream, entry: Connection) -> None:
        self._stream, self._entry, self._buffer = stream, entry, b""

    async def command(self) -> str | None:
        """The next command line; None when the client has closed or says too much."""
        while b"\n" not in self._buffer:
            data = await self._stream.receive_some()
            if not data or len(self._buffer) > _LINE_LIMIT:
                return None
            self._entry.heard(data)
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        text = line.rstrip(b"\r").decode("latin-1")
        self._entry.commands.append(text.partition(" ")[0].upper())
        return text

    async def say(self, text: str) -> None:
        await self._stream.send_all(text.encode("latin-1") + b"\r\n")


def _ehlo_reply(persona: MailHost, *, secured: bool) -> str:
    if isinstance(persona.ehlo, str):
        return persona.ehlo
    # RFC 3207 section 4.2: STARTTLS is not offered again once TLS stands.
    words = [w for w in persona.ehlo if not (secured and w == "STARTTLS")]
    lines = ["mail host of the lab at your service", *words]
    return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])


class MailHosts:
    """All MX hosts of a world, for any listener."""

    def __init__(self, sites: Sites, contexts: Contexts) -> None:
        self._sites = sites
        self._contexts = contexts
        self._greylisted: set[str] = set()

    async def serve(self, persona: MailHost, stream: trio.SocketStream, entry: Connection) -> None:
        """Serve one connection as *persona*."""
        talk = _Conversation(stream, entry)
        greeting = self._greeting(persona, entry.address)
        await talk.say(greeting)
        if not greeting.startswith("220"):
            # RFC 5321 section 3.1: after a 554 greeting a server waits for QUIT.
            await talk.command()
            return
        if persona.manner is Manner.HANGS_UP:
            return
        if await self._dialogue(persona, talk, stream):
            await self._secured(persona, stream, entry)

    def _greeting(self, persona: MailHost, address: str) -> str:
        if persona.manner is Manner.GREYLIST and address not in self._greylisted:
            self._greylisted.add(address)
            return "451 4.7.1 greylisted, please come again"
        return persona.greeting

    async def _dialogue(
        self, persona: MailHost, talk: _Conversation, stream: trio.SocketStream | None
    ) -> bool:
        """Answer commands until the end; whether TLS is to begin."""
        while (line := await talk.command()) is not None:
            match line.partition(" ")[0].upper():
                case "EHLO":
                    if persona.manner is Manner.ENDLESS and stream is not None:
                        await _never_end(stream)
                    await talk.say(_ehlo_reply(persona, secured=stream is None))
                case "HELO":
                    await talk.say(persona.helo)
                case "STARTTLS" if stream is not None:
                    injected = persona.manner is Manner.INJECTS
                    await stream.send_all(
                        persona.starttls.encode() + b"\r\n" + (_INJECTED if injected else b"")
                    )
                    if persona.starttls.startswith("220"):
                        return True
                case "QUIT":
                    await talk.say("221 2.0.0 bye")
                    return False
                case _:
                    await talk.say("502 5.5.1 this lab takes no mail")
        return False

    async def _secured(
        self, persona: MailHost, stream: trio.SocketStream, entry: Connection
    ) -> None:
        def choose(name: str | None) -> Presented:
            entry.sni = name
            shown = self._at_ipv6(name) if entry.address == IPV6 else persona
            host = (name or _UNNAMED).lower()
            return Presented(host=host, certificate=shown.certificate, tls=shown.tls)

        secured = await accept(stream, self._contexts, choose)
        if secured is None:
            return
        async with secured:
            await self._dialogue(persona, _Conversation(secured, entry), None)

    def _at_ipv6(self, name: str | None) -> MailHost:
        """Whom the one IPv6 address of the lab plays for that server name."""
        site = self._sites.find(name.lower()) if name else None
        mine = site.scenario.mail.values() if site else ()
        return next((m for m in mine if m.ipv6), MailHost(tls=Tls.ALERT))


async def _never_end(stream: trio.SocketStream) -> None:
    while True:
        await stream.send_all(b"250-AND-SO-ON\r\n" * 64)
        await trio.lowlevel.checkpoint()
