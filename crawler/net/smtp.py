"""Does an MX host start TLS, and with which certificates?  (RFC 3207, RFC 8461 section 4.2.)

Drives the dialogue of ``protocol.smtp`` over one connection: greeting, EHLO, STARTTLS, handshake,
EHLO, QUIT.  Every octet that is sent is the dialogue's, every deadline is this module's, and
every fact about TLS is the TLS stream's.  Left to others: what the facts mean for a delivery.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import trio

from crawler.config import Limits
from crawler.net.conversation import Conversation
from crawler.net.failure import Failure
from crawler.net.tls import NO_TLS, TlsClient, TlsFacts, TlsLimits, TlsStream
from crawler.net.wire import Wire, dial
from crawler.politeness.gate import Permit
from crawler.protocol.smtp import ReplyReceived, SmtpDialogue, SmtpFacts, State
from crawler.vocabulary import IoStatus, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpExchange:
    """One conversation with an MX host: facts only."""

    status: IoStatus
    stage: Stage
    error: str | None = None
    connect_ms: float | None = None
    """From the start until the connection stood."""
    greeting_ms: float | None = None
    """From connected to the end of the greeting."""
    ehlo_ms: float | None = None
    """From sending EHLO to the end of its reply."""
    starttls_ms: float | None = None
    """From sending STARTTLS to the end of its reply."""
    tls: TlsFacts = NO_TLS
    smtp: SmtpFacts | None = None
    """What the host said; None when the connection never stood."""
    deferred: bool = False
    """Some reply was a 4xx, or the greeting a 554: the host wants less of us."""


class MailClient:
    """Greets MX hosts.  One for a whole scan; any number of conversations at once."""

    def __init__(self, ehlo_name: str, limits: Limits) -> None:
        self._ehlo_name = ehlo_name
        self._limits = limits
        self._tls = TlsClient()

    async def converse(self, permit: Permit, host: str) -> SmtpExchange:
        """Greet the MX host *host*, in normal form, at the address of *permit*.

        Whatever the peer does is in the value; nothing it does raises.
        """
        session = _Session(self._ehlo_name, self._limits, self._tls, permit, host)
        failure = await session.call.run(session.talk)
        return session.exchange(failure)


class _Session:
    """One conversation: the dialogue, the connection under it, and the clock over both."""

    def __init__(
        self,
        ehlo_name: str,
        limits: Limits,
        tls: TlsClient,
        permit: Permit,
        host: str,
    ) -> None:
        self.call = Conversation(permit.address, total=limits.smtp_total)
        self._limits = limits
        self._tls = tls
        self._permit = permit
        self._host = host
        self._dialogue = SmtpDialogue(
            ehlo_name,
            line_bytes=limits.smtp_line_bytes,
            reply_lines=limits.smtp_reply_lines,
            reply_bytes=limits.smtp_reply_bytes,
        )
        self._tls_limits = TlsLimits(
            certificates=limits.chain_certificates,
            certificate_bytes=limits.chain_bytes,
            octets=4 * limits.smtp_reply_bytes,  # two replies are read inside TLS
        )
        self._protected: TlsStream | None = None
        self._step_limits = {
            Stage.TLS: limits.tls_handshake,
            Stage.QUIT: limits.smtp_quit,
        }
        self._connect_ms: float | None = None
        self._since = self.call.started
        """When the step that is under way began."""
        self._waited_ms: dict[Stage, float] = {}
        """From the start of a step to the end of the first reply in it."""
        self._deferred = False

    async def talk(self) -> None:
        """The whole conversation."""
        self.call.enter(Stage.CONNECT, self._limits.connect)
        with await dial(self._permit) as wire:
            self._connect_ms = self._lap()
            self.call.enter(Stage.BANNER, self._limits.smtp_banner)
            await self._speak(wire)
            if self._dialogue.state is State.TLS:
                self._check_silence(wire)
            if self._dialogue.state is State.TLS:
                await self._speak_within_tls(wire)

    def _lap(self) -> float:
        """Milliseconds that the step under way has taken; the next one begins."""
        since, self._since = self._since, trio.current_time()
        return (self._since - since) * 1000

    async def _speak_within_tls(self, wire: Wire) -> None:
        self._protected = self._tls.wrap(wire, self._host, self._tls_limits)
        await self._protected.do_handshake()
        self._dialogue.start_tls_done()
        self.call.enter(self._dialogue.stage)
        await self._speak(self._protected)

    def _check_silence(self, wire: Wire) -> None:
        """RFC 3207 section 6: what arrives between the 220 and our ClientHello is no TLS."""
        data = wire.receive_now()
        if data is not None:
            self._take(data)

    async def _speak(self, stream: Wire | TlsStream) -> None:
        """Let the dialogue have its way until it is over or wants TLS."""
        while self._dialogue.state not in (State.TLS, State.DONE):
            if data := self._dialogue.data_to_send():
                await stream.send_all(data)
            self._take(await stream.receive_some())

    def _take(self, data: bytes) -> None:
        """Hand what was read to the dialogue, and note what happens; nothing read is the end."""
        events = self._dialogue.receive(data) if data else self._dialogue.closed()
        for event in events:
            if isinstance(event, ReplyReceived):
                self._note(event)
        if self._dialogue.state is not State.DONE and self._dialogue.stage is not self.call.stage:
            stage = self._dialogue.stage
            self.call.enter(stage, self._step_limits.get(stage, math.inf))

    def _note(self, event: ReplyReceived) -> None:
        self._waited_ms.setdefault(event.stage, self._lap())
        code = event.reply.code
        # RFC 5321 section 4.2.1: 4yz is "try later".  A 554 greeting is how hosts turn away
        # clients that they find too busy or do not like (section 3.1).
        if code // 100 == 4 or (code == 554 and event.stage is Stage.BANNER):
            self._deferred = True

    def exchange(self, failure: Failure | None) -> SmtpExchange:
        """What was learnt, once the conversation is over; *failure* is how it broke off."""
        if failure is not None and self._connect_ms is None:
            return SmtpExchange(status=failure.status, stage=failure.stage, error=failure.error)
        if failure is not None:
            if self._protected is not None:
                failure = self._protected.place(failure, spoke_first=True)
            self._dialogue.failed(failure.status, failure.error)
        facts = self._dialogue.facts
        # An alert may be the answer to the handshake although the dialogue has moved on.
        ending = failure if failure is not None and failure.stage is Stage.TLS else facts
        return SmtpExchange(
            status=ending.status,
            stage=ending.stage,
            error=ending.error,
            connect_ms=self._connect_ms,
            greeting_ms=self._waited_ms.get(Stage.BANNER),
            ehlo_ms=self._waited_ms.get(Stage.EHLO),
            starttls_ms=self._waited_ms.get(Stage.STARTTLS),
            tls=NO_TLS if self._protected is None else self._protected.facts,
            smtp=facts,
            deferred=self._deferred,
        )
