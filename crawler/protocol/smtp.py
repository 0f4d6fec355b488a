"""What does an MX host say when greeted, and does it start TLS?  (RFC 5321, RFC 3207.)

A state machine that touches no socket: octets in, octets out, facts at the end.  It speaks
exactly this conversation and nothing else, whatever the peer does:

    greeting -> EHLO -> (HELO, when EHLO is rejected) -> STARTTLS, when offered -> TLS
             -> EHLO -> QUIT

Left to others: the connection, every deadline and the TLS handshake (``net.smtp``), what the
facts mean for a delivery (``assessment``).

Three promises the tests keep.  Nothing a peer sends raises.  The facts depend on the octets the
peer sent, not on how they were cut into segments.  Only the four commands in ``COMMANDS`` are
ever sent, each after the final line of the reply before it: no pipelining.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final

from crawler.vocabulary import IoStatus, Stage


class State(StrEnum):
    """What the dialogue waits for."""

    GREETING = "greeting"
    EHLO = "EHLO"
    HELO = "HELO"
    STARTTLS = "STARTTLS"
    TLS = "TLS"
    EHLO_TLS = "EHLO in TLS"
    QUIT = "QUIT"
    DONE = "done"


class Answer(Enum):
    """What a reply amounts to in the state that waited for it."""

    ACCEPTED = "accepted"
    OFFERED = "accepted, and STARTTLS is among the keywords"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True)
class Step:
    """Where the dialogue goes, and the verdict that stands from there on, if one does."""

    to: State
    verdict: IoStatus | None = None


_REFUSED: Final = Step(State.QUIT, IoStatus.APPLICATION_ERROR)
_STRANGE: Final = Step(State.QUIT, IoStatus.PROTOCOL_ERROR)

# RFC 5321 section 3.1: who is refused by the greeting still sends QUIT.  Section 3.2: HELO is for
# hosts that do not know EHLO, so only a permanent rejection leads there, and only once.
# RFC 3207 section 4: 220 is the one reply that starts TLS.  Section 4.2: what was learnt before
# TLS is forgotten, hence the second EHLO.
TRANSITIONS: Final[Mapping[tuple[State, Answer], Step]] = MappingProxyType(
    {
        (State.GREETING, Answer.ACCEPTED): Step(State.EHLO),
        (State.GREETING, Answer.DEFERRED): _REFUSED,
        (State.GREETING, Answer.REJECTED): _REFUSED,
        (State.GREETING, Answer.UNEXPECTED): _STRANGE,
        (State.EHLO, Answer.OFFERED): Step(State.STARTTLS),
        (State.EHLO, Answer.ACCEPTED): Step(State.QUIT),
        (State.EHLO, Answer.DEFERRED): _REFUSED,
        (State.EHLO, Answer.REJECTED): Step(State.HELO),
        (State.EHLO, Answer.UNEXPECTED): _STRANGE,
        (State.HELO, Answer.ACCEPTED): Step(State.QUIT),
        (State.HELO, Answer.DEFERRED): _REFUSED,
        (State.HELO, Answer.REJECTED): _REFUSED,
        (State.HELO, Answer.UNEXPECTED): _STRANGE,
        (State.STARTTLS, Answer.ACCEPTED): Step(State.TLS),
        (State.STARTTLS, Answer.DEFERRED): _REFUSED,
        (State.STARTTLS, Answer.REJECTED): _REFUSED,
        (State.STARTTLS, Answer.UNEXPECTED): _REFUSED,
        # TLS stands: a refusal of what follows does not undo what was seen.
        (State.EHLO_TLS, Answer.ACCEPTED): Step(State.QUIT),
        (State.EHLO_TLS, Answer.OFFERED): Step(State.QUIT),
        (State.EHLO_TLS, Answer.DEFERRED): _REFUSED,
        (State.EHLO_TLS, Answer.REJECTED): _REFUSED,
        (State.EHLO_TLS, Answer.UNEXPECTED): _STRANGE,
        # Whatever the answer to QUIT is, it is the last word.
        **{(State.QUIT, answer): Step(State.DONE) for answer in Answer},
    }
)

COMMANDS: Final[Mapping[State, bytes]] = MappingProxyType(
    {
        State.EHLO: b"EHLO %b\r\n",
        State.HELO: b"HELO %b\r\n",
        State.STARTTLS: b"STARTTLS\r\n",
        State.EHLO_TLS: b"EHLO %b\r\n",
        State.QUIT: b"QUIT\r\n",
    }
)
"""The command sent on entering a state; the other states send nothing."""

STAGES: Final[Mapping[State, Stage]] = MappingProxyType(
    {
        State.GREETING: Stage.BANNER,
        State.EHLO: Stage.EHLO,
        State.HELO: Stage.EHLO,
        State.STARTTLS: Stage.STARTTLS,
        State.TLS: Stage.TLS,
        State.EHLO_TLS: Stage.EHLO_TLS,
        State.QUIT: Stage.QUIT,
    }
)

_BY_FIRST_DIGIT: Final = MappingProxyType(
    {2: Answer.ACCEPTED, 4: Answer.DEFERRED, 5: Answer.REJECTED}
)

# RFC 5321 section 4.2: Reply-code = %x32-35 %x30-35 %x30-39, then SP text, "-" text or nothing.
# Our reading: the second digit may be any, for 571 and 591 are met in the wild.
_REPLY_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_REPLY_PREFIX: Final = re.compile(rb"[2-5]?|[2-5][0-9]|[2-5][0-9][0-9](?:[ -].*|\r*)", re.DOTALL)
# One reply and nothing else; every line but the last has "-" after the same code.
_WHOLE_REPLY: Final = re.compile(rb"([2-5][0-9][0-9])(?:-[^\n]*\n\1)*(?: [^\n]*)?\r*\n")
# The first word of a line that is not the first.
_KEYWORD: Final = re.compile(rb"\n[0-9]{3}[ -][^\S\n]*(\S+)")
# RFC 3463 section 2: class "." subject "." detail, no leading zeros asked of a reader.
_ENHANCED: Final = re.compile(rb"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?=[ \t]|$)")
# RFC 5321 section 4.1.1.1: a domain or an address literal; in either case these octets.
_EHLO_NAME: Final = re.compile(r"[A-Za-z0-9._:\[\]-]+")


def _lines(raw: bytes) -> tuple[bytes, ...]:
    """The lines of *raw* without their ends: CRLF, bare LF, or a run of CR before the LF."""
    pieces = raw.split(b"\n")
    if pieces[-1] == b"":
        pieces.pop()
    return tuple(piece.rstrip(b"\r") for piece in pieces)


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete reply (RFC 5321 section 4.2): its octets as received, and what they say."""

    raw: bytes

    @property
    def lines(self) -> tuple[bytes, ...]:
        """The lines, reply codes included, line ends not."""
        return _lines(self.raw)

    @property
    def code(self) -> int:
        """The reply code, the same in every line."""
        return int(self.raw[:3])

    @property
    def texts(self) -> tuple[bytes, ...]:
        """The lines without reply code and separator."""
        return tuple(line[4:] for line in self.lines)

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 3463), such as ``5.7.1``; none if its class is not the
        reply code's, for then it is only text that looks like one (RFC 2034 section 4).
        """
        match = _ENHANCED.match(self.texts[0])
        if match is None or match[1] != self.raw[:1]:
            return None
        return match[0].decode("ascii")

    @property
    def keywords(self) -> tuple[str, ...]:
        """The EHLO keywords (RFC 5321 section 4.1.1.1): the first word of every line after the
        first, upper case, for "verbs, parameter values and keywords" are case-insensitive.
        """
        return tuple(word.decode("latin-1") for word in _KEYWORD.findall(self.raw.upper()))

    def __str__(self) -> str:
        """Code and enhanced code: what may stand in a log.  The peer's own text may not."""
        return f"{self.code} {self.enhanced}" if self.enhanced else str(self.code)


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """A reply is complete."""

    stage: Stage
    reply: Reply


@dataclass(frozen=True, slots=True)
class StartTls:
    """The peer waits for a TLS ClientHello: hand shake, then call ``start_tls_done``."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The conversation is over; close the connection once ``data_to_send`` is empty."""

    status: IoStatus
    stage: Stage
    error: str | None


Event = ReplyReceived | StartTls | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpFacts:
    """What was learnt.  Names and meanings are those of ``records.StarttlsSession``."""

    status: IoStatus
    stage: Stage
    error: str | None = None
    banner: bytes | None = None
    ehlo: tuple[bytes, ...] = ()
    ehlo_rejection: bytes | None = None
    helo_fallback: bool | None = None
    starttls_offered: bool | None = None
    starttls_reply: bytes | None = None
    plaintext_after_starttls: bytes | None = None
    ehlo_tls: tuple[bytes, ...] = ()
    quit_reply: bytes | None = None
    refusal_code: int | None = None
    refusal_enhanced: str | None = None
    bare_lf: bool = False


@dataclass(slots=True)
class _Heard:
    """The octets of each reply, complete or not, by the state that waited for it."""

    raw: dict[State, bytes] = field(default_factory=dict)
    helo_fallback: bool | None = None
    starttls_offered: bool | None = None
    refusal: Reply | None = None
    injected: bytes = b""


class SmtpDialogue:
    """One conversation with one MX host, without the connection.

    *ehlo_name* is our own host name or address literal; anything that would not be one argument
    of EHLO is a ``ValueError``.  *line_bytes* and *reply_bytes* count line ends.

    The driver's loop: send what ``data_to_send`` gives, read, ``receive``, act on the events;
    report the end of the stream with ``closed``, a deadline or a failed handshake with
    ``failed``.  ``facts`` may be read at any time.
    """

    def __init__(
        self, ehlo_name: str, *, line_bytes: int, reply_lines: int, reply_bytes: int
    ) -> None:
        if not _EHLO_NAME.fullmatch(ehlo_name):
            raise ValueError(f"{ehlo_name!r} is neither a host name nor an address literal")
        self._name = ehlo_name.encode("ascii")
        self._line_bytes = line_bytes
        self._reply_lines = reply_lines
        self._reply_bytes = reply_bytes
        self._state = State.GREETING
        self._buffer = bytearray()  # octets of lines that are not complete
        self._reply = bytearray()  # complete lines of the reply that is not
        self._reply_line_count = 0
        self._out = bytearray()
        self._heard = _Heard()
        self._secured = False
        self._verdict: tuple[IoStatus, Stage] | None = None
        self._remarks: list[str] = []

    @property
    def state(self) -> State:
        """What the dialogue waits for now."""
        return self._state

    @property
    def stage(self) -> Stage:
        """The stage that a failure would be put down to now; after the end it is in ``facts``."""
        return STAGES[self._state]

    def data_to_send(self) -> bytes:
        """Octets to send now; each is given once."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def receive(self, data: bytes) -> list[Event]:
        """Take octets from the peer.  After the end they are ignored."""
        if self._state is State.TLS or self._injecting:
            return self._plaintext_after_starttls(data)
        events: list[Event] = []
        if self._state is State.DONE:
            return events
        self._buffer += data
        while (reply := self._next_reply(events)) is not None:
            events.append(ReplyReceived(self.stage, reply))
            self._advance(reply, events)
        return events

    def start_tls_done(self) -> None:
        """TLS stands: what was learnt in plaintext is not carried over (RFC 3207 section 4.2)."""
        if self._state is not State.TLS:
            raise RuntimeError(f"TLS was not asked for: the dialogue waits for {self._state}")
        self._secured = True
        self._enter(State.EHLO_TLS)

    def closed(self) -> list[Event]:
        """The peer closed or reset the connection."""
        return self.failed(IoStatus.CONNECTION_CLOSED, "the connection was closed")

    def failed(self, status: IoStatus, error: str) -> list[Event]:
        """The conversation broke off for a reason outside SMTP: a close, a deadline, TLS.

        When the octets read so far cannot begin a reply, that is the verdict instead: a host that
        speaks another protocol often says less than a line and then waits for us.
        """
        if self._state is State.DONE:
            return []
        self._keep_partial()
        if not _REPLY_PREFIX.fullmatch(self._buffer):
            return self._end(IoStatus.PROTOCOL_ERROR, "what came is not an SMTP reply")
        return self._end(status, error)

    @property
    def facts(self) -> SmtpFacts:
        """What has been learnt; before the end, as if the connection had just been closed."""
        heard, refusal = self._heard, self._heard.refusal
        status, stage, error = self._ending
        return SmtpFacts(
            status=status,
            stage=stage,
            error=error,
            banner=heard.raw.get(State.GREETING),
            ehlo=_lines(heard.raw.get(State.HELO, heard.raw.get(State.EHLO, b""))),
            ehlo_rejection=heard.raw.get(State.EHLO) if heard.helo_fallback else None,
            helo_fallback=heard.helo_fallback,
            starttls_offered=heard.starttls_offered,
            starttls_reply=heard.raw.get(State.STARTTLS),
            plaintext_after_starttls=heard.injected or None,
            ehlo_tls=_lines(heard.raw.get(State.EHLO_TLS, b"")),
            quit_reply=heard.raw.get(State.QUIT),
            refusal_code=refusal.code if refusal is not None else None,
            refusal_enhanced=refusal.enhanced if refusal is not None else None,
            bare_lf=any(raw.count(b"\n") > raw.count(b"\r\n") for raw in heard.raw.values()),
        )

    @property
    def _ending(self) -> tuple[IoStatus, Stage, str | None]:
        status, stage = self._verdict or (IoStatus.CONNECTION_CLOSED, self.stage)
        return status, stage, "; ".join(self._remarks) or None

    # Reading.

    def _next_reply(self, events: list[Event]) -> Reply | None:
        """The next complete reply; None when octets are missing or the dialogue has ended.

        Every limit is met at a position in the stream, never at the end of a segment.
        """
        if not self._reply and self._is_whole_reply():
            self._reply, self._buffer = self._buffer, bytearray()
            return self._take_reply()
        while self._state in STAGES and self._state is not State.TLS:
            room = min(self._line_bytes, self._reply_bytes - len(self._reply))
            end = self._buffer.find(b"\n", 0, room) + 1
            if end == 0:
                if len(self._buffer) >= room:
                    self._reply += self._buffer[:room]
                    which = "line" if room == self._line_bytes else "reply"
                    events += self._give_up(IoStatus.RESPONSE_TOO_LARGE, f"a {which} is too long")
                return None
            line = _REPLY_LINE.fullmatch(bytes(self._buffer[:end]).rstrip(b"\n").rstrip(b"\r"))
            self._reply += self._buffer[:end]
            del self._buffer[:end]
            self._reply_line_count += 1
            if line is None:
                events += self._give_up(IoStatus.PROTOCOL_ERROR, "what came is not an SMTP reply")
                return None
            if line[1] != self._reply[:3]:
                events += self._give_up(
                    IoStatus.PROTOCOL_ERROR, "the lines of a reply have different codes"
                )
                return None
            if line[2] != b"-":
                return self._take_reply()
            if self._reply_line_count == self._reply_lines:
                events += self._give_up(IoStatus.RESPONSE_TOO_LARGE, "a reply has too many lines")
        return None

    def _is_whole_reply(self) -> bool:
        """Whether the buffer is one reply, within every limit: what nearly all hosts send, and the
        same for the reader as line by line.
        """
        buffer = self._buffer
        return (
            len(buffer) <= min(self._line_bytes, self._reply_bytes)
            and buffer.count(b"\n") <= self._reply_lines
            and _WHOLE_REPLY.fullmatch(buffer) is not None
            and self._state in STAGES
            and self._state is not State.TLS
        )

    def _take_reply(self) -> Reply:
        reply = Reply(bytes(self._reply))
        self._heard.raw[self._state] = reply.raw
        self._reply.clear()
        self._reply_line_count = 0
        return reply

    def _keep_partial(self) -> None:
        """Keep what came of a reply that will not be completed: it is evidence too."""
        if partial := bytes(self._reply + self._buffer):
            self._heard.raw[self._state] = partial

    def _give_up(self, status: IoStatus, error: str) -> list[Event]:
        """The peer does not speak SMTP as we bear it; whatever follows is not looked at."""
        self._buffer.clear()
        self._keep_partial()
        return self._end(status, error)

    @property
    def _injecting(self) -> bool:
        return self._verdict is not None and self._verdict[0] is IoStatus.STARTTLS_INJECTION

    def _plaintext_after_starttls(self, data: bytes) -> list[Event]:
        """RFC 3207 section 6: octets that a man in the middle may have put there.

        A TLS server never speaks first, so any octet between the 220 and our ClientHello is one.
        """
        kept = self._heard.injected + data
        self._heard.injected = kept[: self._reply_bytes]
        if not data or self._injecting:
            return []
        self._state = State.STARTTLS  # the step whose reply was not clean
        return self._end(IoStatus.STARTTLS_INJECTION, "plaintext followed the 220 to STARTTLS")

    # Moving.

    def _answer(self, reply: Reply) -> Answer:
        """RFC 5321 section 4.3.2: the first digit decides, save that only 220 starts TLS."""
        digit = reply.code // 100
        if digit == 2 and self._state is State.STARTTLS and reply.code != 220:
            return Answer.UNEXPECTED
        if digit == 2 and self._state in (State.EHLO, State.EHLO_TLS):
            return Answer.OFFERED if "STARTTLS" in reply.keywords else Answer.ACCEPTED
        return _BY_FIRST_DIGIT.get(digit, Answer.UNEXPECTED)

    def _advance(self, reply: Reply, events: list[Event]) -> None:
        answer = self._answer(reply)
        step = TRANSITIONS[self._state, answer]
        refused = answer in (Answer.DEFERRED, Answer.REJECTED) and self._state is not State.QUIT
        if refused and self._heard.refusal is None:
            self._heard.refusal = reply
        if step.verdict is not None or step.to is State.HELO:
            self._remarks.append(f"{self._state} {answer.value}: {reply}")
        if step.verdict is not None:
            self._conclude(step.verdict)
        if self._state in (State.EHLO, State.HELO):
            self._heard.helo_fallback = step.to is State.HELO or self._state is State.HELO
            if answer in (Answer.ACCEPTED, Answer.OFFERED):
                self._heard.starttls_offered = answer is Answer.OFFERED
        if step.to is State.DONE:
            events += self._end(IoStatus.SUCCESS, None)
            return
        self._enter(step.to)
        if step.to is State.TLS:
            rest, self._buffer = bytes(self._buffer), bytearray()
            events += self._plaintext_after_starttls(rest) or [StartTls()]

    def _enter(self, state: State) -> None:
        self._state = state
        if command := COMMANDS.get(state):
            self._out += command % self._name if b"%b" in command else command

    def _conclude(self, status: IoStatus) -> None:
        """Fix the verdict, once.  After TLS stands, and at QUIT, the session has shown what it
        was opened for, so it is a success that may carry a remark.
        """
        if self._verdict is None:
            safe = self._secured or self._state is State.QUIT
            self._verdict = (IoStatus.SUCCESS if safe else status, self.stage)

    def _end(self, status: IoStatus, error: str | None) -> list[Event]:
        refused = self._verdict is not None and self._verdict[0] is not IoStatus.SUCCESS
        if error is not None and not refused:
            self._remarks.append(f"{self._state}: {error}")
        self._conclude(status)
        self._state = State.DONE
        self._buffer.clear()
        self._reply.clear()
        return [Ended(*self._ending)]
