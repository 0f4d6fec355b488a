"""The SMTP dialogue, played: what the peer says (``<<``), what we send and conclude (``>>``)."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.config import Limits
from crawler.protocol.smtp import (
    COMMANDS,
    TRANSITIONS,
    Answer,
    Ended,
    Event,
    Reply,
    ReplyReceived,
    SmtpDialogue,
    SmtpFacts,
    StartTls,
    State,
)
from crawler.vocabulary import IoStatus, Stage

LIMITS = Limits()
EHLO = b"EHLO probe.example\r\n"
HELO = b"HELO probe.example\r\n"
GREETING = b"220 mx.example ESMTP\r\n"
CAPABLE = b"250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
READY = b"220 2.0.0 ready\r\n"
BYE = b"221 2.0.0 bye\r\n"


def dialogue(*, line_bytes: int = 0, reply_lines: int = 0, reply_bytes: int = 0) -> SmtpDialogue:
    return SmtpDialogue(
        "probe.example",
        line_bytes=line_bytes or LIMITS.smtp_line_bytes,
        reply_lines=reply_lines or LIMITS.smtp_reply_lines,
        reply_bytes=reply_bytes or LIMITS.smtp_reply_bytes,
    )


class Playbook:
    """``<< octets`` come from the peer; ``>> octets`` must have been sent, nothing more;
    ``>> event`` must be next.  Replies received are checked through the facts, not as events.
    """

    def __init__(self, smtp: SmtpDialogue | None = None) -> None:
        self.smtp = smtp or dialogue()
        self.events: list[Event] = []

    def __lshift__(self, octets: bytes) -> Playbook:
        assert self.smtp.data_to_send() == b"", "we spoke out of turn"
        self._note(self.smtp.receive(octets))
        return self

    def __rshift__(self, expected: bytes | Event) -> Playbook:
        if isinstance(expected, bytes):
            assert self.smtp.data_to_send() == expected
        else:
            assert self.events.pop(0) == expected
        return self

    def tls(self) -> Playbook:
        self >> StartTls()
        self.smtp.start_tls_done()
        return self

    def closed(self) -> Playbook:
        self._note(self.smtp.closed())
        return self

    def failed(self, status: IoStatus, error: str) -> Playbook:
        self._note(self.smtp.failed(status, error))
        return self

    @property
    def facts(self) -> SmtpFacts:
        assert self.events == []
        assert self.smtp.data_to_send() == b""
        return self.smtp.facts

    def _note(self, events: list[Event]) -> None:
        self.events += [event for event in events if not isinstance(event, ReplyReceived)]


def test_a_session_from_greeting_to_goodbye() -> None:
    """The planned conversation, and every fact of it."""
    play = Playbook() << GREETING >> EHLO << CAPABLE >> b"STARTTLS\r\n" << READY
    play.tls() >> EHLO << b"250-mx.example\r\n250 AUTH PLAIN\r\n" >> b"QUIT\r\n" << BYE
    play >> Ended(IoStatus.SUCCESS, Stage.QUIT, None)
    assert play.facts == SmtpFacts(
        status=IoStatus.SUCCESS,
        stage=Stage.QUIT,
        banner=GREETING,
        ehlo=(b"250-mx.example", b"250-PIPELINING", b"250 STARTTLS"),
        helo_fallback=False,
        starttls_offered=True,
        starttls_reply=READY,
        ehlo_tls=(b"250-mx.example", b"250 AUTH PLAIN"),
        quit_reply=BYE,
    )


def test_replies_are_reported_as_they_complete() -> None:
    """A driver times the greeting by the event of its final line."""
    smtp = dialogue()
    assert smtp.receive(b"220-wait\r\n") == []
    greeting = ReplyReceived(Stage.BANNER, Reply(b"220-wait\r\n220 go\r\n"))
    assert smtp.receive(b"220 go\r\n") == [greeting]


def test_nothing_is_sent_before_the_final_line_of_the_greeting() -> None:
    """Postscreen's teaser: who talks after ``220-`` is taken for a spam bot."""
    play = Playbook() << b"220-teaser\r\n" >> b"" << b"220 real\r\n" >> EHLO
    assert play.facts.banner == b"220-teaser\r\n220 real\r\n"


def test_a_host_without_starttls_ends_as_a_success() -> None:
    """It was measured: it offers none."""
    play = Playbook() << GREETING >> EHLO << b"250-mx\r\n250 SIZE\r\n" >> b"QUIT\r\n" << BYE
    play >> Ended(IoStatus.SUCCESS, Stage.QUIT, None)
    assert play.facts.starttls_offered is False
    assert play.facts.starttls_reply is None


@pytest.mark.parametrize(
    ("ehlo", "offered"),
    [
        (b"250-mx\r\n250 STARTTLS\r\n", True),
        (b"250-mx\r\n250-starttls\r\n250 HELP\r\n", True),  # RFC 5321 4.1.1.1: any case
        (b"250-mx\r\n250 StartTLS required\r\n", True),  # the keyword is the first word
        (b"250-mx\n250 STARTTLS\n", True),  # bare LF
        (b"250 STARTTLS\r\n", False),  # the first line greets, it lists nothing
        (b"250-STARTTLS.example\r\n250 HELP\r\n", False),
        (b"250-mx\r\n250 XSTARTTLS\r\n", False),
        (b"250-mx\r\n250 STARTTLSX\r\n", False),
        (b"250-mx\r\n250 XXXXXXXA\r\n", False),  # a middlebox wrote over the keyword
        (b"250-mx\r\n250 AUTH=STARTTLS\r\n", False),
        (b"250-mx\r\n250 HELP STARTTLS\r\n", False),
        (b"250-mx\r\n250-\r\n250-\xff\x00\r\n250\r\n", False),  # empty lines, octets, a bare code
    ],
)
def test_starttls_is_a_whole_keyword_after_the_first_line(ehlo: bytes, offered: bool) -> None:
    play = Playbook() << GREETING >> EHLO << ehlo
    play >> (b"STARTTLS\r\n" if offered else b"QUIT\r\n")
    assert play.facts.starttls_offered is offered


def test_a_masked_banner_is_kept_as_it_came() -> None:
    masked = b"220 ****************************************2****0*******\r\n"
    assert (Playbook() << masked >> EHLO).facts.banner == masked


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"421 4.7.0 too many\r\n", "greeting deferred: 421 4.7.0"),
        (b"450 greylisted\r\n", "greeting deferred: 450"),
        (b"554 no SMTP service here\r\n", "greeting rejected: 554"),
        (b"521 mx does not accept mail\r\n", "greeting rejected: 521"),
        (b"554-a\r\n554 b\r\n", "greeting rejected: 554"),
        (b"571 5.7.1 listed\r\n", "greeting rejected: 571 5.7.1"),  # not in the grammar, in use
        (b"554\r\n", "greeting rejected: 554"),
    ],
)
def test_a_refused_greeting_is_answered_by_quit(greeting: bytes, error: str) -> None:
    """RFC 5321 section 3.1: the refused client sends QUIT; that is not an absent STARTTLS."""
    play = Playbook() << greeting >> b"QUIT\r\n" << BYE
    play >> Ended(IoStatus.APPLICATION_ERROR, Stage.BANNER, error)
    assert play.facts.banner == greeting
    assert play.facts.starttls_offered is None


def test_a_host_that_closes_after_refusing_has_still_refused() -> None:
    play = (Playbook() << b"421 busy\r\n" >> b"QUIT\r\n").closed()
    play >> Ended(IoStatus.APPLICATION_ERROR, Stage.BANNER, "greeting deferred: 421")


def test_helo_is_sent_once_when_ehlo_is_rejected() -> None:
    """RFC 5321 section 3.2.  A HELO reply lists no extensions, whatever its text."""
    play = Playbook() << GREETING >> EHLO << b"502 what\r\n" >> HELO
    play << b"250-mx\r\n250 STARTTLS\r\n" >> b"QUIT\r\n" << BYE
    play >> Ended(IoStatus.SUCCESS, Stage.QUIT, "EHLO rejected: 502")
    assert play.facts.helo_fallback is True
    assert play.facts.starttls_offered is False
    assert play.facts.ehlo == (b"250-mx", b"250 STARTTLS")


def test_both_ehlo_and_helo_rejected_is_a_refusal() -> None:
    play = Playbook() << GREETING >> EHLO << b"550 5.7.1 go\r\n" >> HELO
    play << b"550 away\r\n" >> b"QUIT\r\n" << BYE
    play >> Ended(
        IoStatus.APPLICATION_ERROR, Stage.EHLO, "EHLO rejected: 550 5.7.1; HELO rejected: 550"
    )


def test_a_deferred_ehlo_is_not_followed_by_helo() -> None:
    play = Playbook() << GREETING >> EHLO << b"421 closing\r\n" >> b"QUIT\r\n" << BYE
    play >> Ended(IoStatus.APPLICATION_ERROR, Stage.EHLO, "EHLO deferred: 421")
    assert play.facts.helo_fallback is False


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        (b"454 4.7.0 TLS not available\r\n", "deferred: 454 4.7.0"),
        (b"501 5.5.4 no parameters\r\n", "rejected: 501 5.5.4"),
        (b"502 off\r\n", "rejected: 502"),
        (b"530 5.7.1 first this\r\n", "rejected: 530 5.7.1"),
        (b"250 fine\r\n", "unexpected: 250"),  # RFC 3207 section 4: 220, nothing else
        (b"354 go ahead\r\n", "unexpected: 354"),
    ],
)
def test_starttls_refused(reply: bytes, word: str) -> None:
    play = Playbook() << GREETING >> EHLO << CAPABLE >> b"STARTTLS\r\n" << reply
    (
        play
        >> b"QUIT\r\n"
        << BYE
        >> Ended(IoStatus.APPLICATION_ERROR, Stage.STARTTLS, f"STARTTLS {word}")
    )
    assert play.facts.starttls_reply == reply
    assert play.facts.starttls_offered is True


@pytest.mark.parametrize("injected", [b"220 injected\r\n", b"\x16\x03\x03", b"\n"])
def test_plaintext_after_the_220_is_an_injection(injected: bytes) -> None:
    """RFC 3207 section 6; neither read as a reply, nor carried into TLS, nor answered."""
    play = Playbook() << GREETING >> EHLO << CAPABLE >> b"STARTTLS\r\n" << READY + injected
    play >> Ended(
        IoStatus.STARTTLS_INJECTION,
        Stage.STARTTLS,
        "STARTTLS: plaintext followed the 220 to STARTTLS",
    )
    facts = play.facts
    assert facts.starttls_reply == READY
    assert facts.plaintext_after_starttls == injected
    assert facts.ehlo_tls == ()


def test_an_injection_of_any_size_is_kept_up_to_the_cap() -> None:
    smtp = dialogue(reply_bytes=100)
    for data in (GREETING, CAPABLE, READY + b"x" * 90, b"y" * 1000):
        smtp.receive(data)
    assert smtp.facts.plaintext_after_starttls == b"x" * 90 + b"y" * 10


@pytest.mark.parametrize(
    "greeting",
    [
        b"bogus\r\n",
        b"2200 x\r\n",
        b"22\r\n",
        b"\r\n",
        b"199 no such class\r\n",
        b"620 no such class\r\n",
        b" 220 x\r\n",
        b"220\tx\r\n",
        b"2\xb20 x\r\n",
        b"\xb2\xb2\xb0 x\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"+OK POP3 ready\r\n",
        b"220-a\r\n221 b\r\n",  # RFC 5321 section 4.2.1: one code
        b"220-a\r\nb\r\n",
        b"220-a\r\n\r\n220 b\r\n",
    ],
)
def test_what_is_not_smtp(greeting: bytes) -> None:
    """A protocol error, and not one octet is sent to a host that speaks something else."""
    play = Playbook() << greeting
    (ended,) = play.events
    assert isinstance(ended, Ended)
    assert (ended.status, ended.stage) == (IoStatus.PROTOCOL_ERROR, Stage.BANNER)
    assert play.smtp.data_to_send() == b""
    banner = play.smtp.facts.banner
    assert banner is not None
    assert greeting.startswith(banner)


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"", IoStatus.CONNECTION_CLOSED),
        (b"2", IoStatus.CONNECTION_CLOSED),
        (b"220", IoStatus.CONNECTION_CLOSED),
        (b"220 mx", IoStatus.CONNECTION_CLOSED),
        (b"220-mx\r\n", IoStatus.CONNECTION_CLOSED),
        (b"220-mx\r\n22", IoStatus.CONNECTION_CLOSED),
        (b"\x16\x03\x03\x00\x7a\x02", IoStatus.PROTOCOL_ERROR),  # a TLS ServerHello
        (b"login: ", IoStatus.PROTOCOL_ERROR),
        (b"22x", IoStatus.PROTOCOL_ERROR),
        (b"2201", IoStatus.PROTOCOL_ERROR),
    ],
)
def test_closed_before_the_greeting_was_complete(octets: bytes, status: IoStatus) -> None:
    """What came is kept; it decides whether a close was early or the protocol was another."""
    play = (Playbook() << octets).closed()
    ended = play.events.pop()
    assert isinstance(ended, Ended)
    assert (ended.status, ended.stage) == (status, Stage.BANNER)
    assert play.facts.banner == (octets or None)


@pytest.mark.parametrize(
    ("said", "stage"),
    [
        ((GREETING,), Stage.EHLO),
        ((GREETING, b"250-mx\r\n"), Stage.EHLO),
        ((GREETING, CAPABLE), Stage.STARTTLS),
        ((GREETING, CAPABLE, READY), Stage.TLS),
    ],
)
def test_the_stage_of_an_early_close(said: tuple[bytes, ...], stage: Stage) -> None:
    smtp = dialogue()
    for octets in said:
        smtp.receive(octets)
    (ended,) = smtp.closed()
    assert isinstance(ended, Ended)
    assert (ended.status, ended.stage) == (IoStatus.CONNECTION_CLOSED, stage)


def test_a_failed_handshake_is_reported_by_the_driver() -> None:
    play = Playbook() << GREETING >> EHLO << CAPABLE >> b"STARTTLS\r\n" << READY >> StartTls()
    play.failed(IoStatus.HANDSHAKE_ERROR, "unsupported protocol")
    play >> Ended(IoStatus.HANDSHAKE_ERROR, Stage.TLS, "TLS: unsupported protocol")
    assert play.facts.ehlo_tls == ()


def secured() -> Playbook:
    """A dialogue in which TLS stands and the second EHLO has been sent."""
    play = Playbook() << GREETING >> EHLO << CAPABLE >> b"STARTTLS\r\n" << READY
    return play.tls() >> EHLO


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"502 5.5.1 no\r\n", "EHLO in TLS rejected: 502 5.5.1"),
        (b"421 later\r\n", "EHLO in TLS deferred: 421"),
        (b"354 what\r\n", "EHLO in TLS unexpected: 354"),
    ],
)
def test_a_refused_ehlo_inside_tls_does_not_undo_the_session(reply: bytes, error: str) -> None:
    play = secured() << reply >> b"QUIT\r\n" << BYE
    play >> Ended(IoStatus.SUCCESS, Stage.EHLO_TLS, error)


def test_garbage_inside_tls_does_not_undo_the_session() -> None:
    play = secured() << b"nonsense\r\n"
    play >> Ended(IoStatus.SUCCESS, Stage.EHLO_TLS, "EHLO in TLS: what came is not an SMTP reply")
    assert play.facts.ehlo_tls == (b"nonsense",)


def test_an_unanswered_quit_is_no_fault() -> None:
    play = (secured() << b"250 mx\r\n" >> b"QUIT\r\n").failed(IoStatus.IO_TIMEOUT, "5 s passed")
    play >> Ended(IoStatus.SUCCESS, Stage.QUIT, "QUIT: 5 s passed")
    assert play.facts.quit_reply is None


def test_the_capabilities_inside_tls_are_kept_apart() -> None:
    """RFC 3207 section 4.2: only the second list is protected; STARTTLS in it is not followed."""
    play = secured() << b"250-mx\r\n250-STARTTLS\r\n250 AUTH\r\n" >> b"QUIT\r\n"
    assert play.facts.ehlo[-1] == b"250 STARTTLS"
    assert play.facts.ehlo_tls == (b"250-mx", b"250-STARTTLS", b"250 AUTH")


def test_bare_lf_is_tolerated_and_flagged() -> None:
    play = Playbook() << b"220 mx\n" >> EHLO
    assert play.facts.bare_lf is True
    assert play.facts.banner == b"220 mx\n"
    assert (Playbook() << GREETING >> EHLO).facts.bare_lf is False


def test_stray_cr_and_nul_stay_inside_their_line() -> None:
    play = Playbook() << b"220 a\rb\x00c\r\r\n" >> EHLO << CAPABLE.replace(b"\r\n", b"\r\r\n")
    assert (play >> b"STARTTLS\r\n").facts.ehlo[-1] == b"250 STARTTLS"
    assert play.facts.banner == b"220 a\rb\x00c\r\r\n"


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"220 " + b"x" * 10_000, "greeting: a line is too long"),
        (b"220-" + b"x" * 94 + b"\r\n" + b"220 y\r\n", None),  # exactly at the limit
        (b"220-" + b"x" * 95 + b"\r\n" + b"220 y\r\n", "greeting: a line is too long"),
        (b"220-x\r\n" * 1000, "greeting: a reply has too many lines"),
        (b"220-x\r\n" * 9 + b"220 x\r\n", None),
        (b"220-x\r\n" * 10 + b"220 x\r\n", "greeting: a reply has too many lines"),
        ((b"220-" + b"x" * 60 + b"\r\n") * 8 + b"220 x\r\n", "greeting: a reply is too long"),
    ],
)
def test_the_caps_on_a_reply(greeting: bytes, error: str | None) -> None:
    """Line 100 octets with its end, 10 lines, 500 octets; cut exactly at the cap."""
    smtp = dialogue(line_bytes=100, reply_lines=10, reply_bytes=500)
    ended = [e for e in smtp.receive(greeting) if isinstance(e, Ended)]
    expected = [] if error is None else [Ended(IoStatus.RESPONSE_TOO_LARGE, Stage.BANNER, error)]
    assert ended == expected
    banner = smtp.facts.banner
    assert banner is not None
    assert greeting.startswith(banner)
    assert len(banner) <= 500


@pytest.mark.parametrize("name", ["", "a b", "a\r\nMAIL FROM:<>", "bücher.example", "a\n", "x<y"])
def test_an_ehlo_name_that_is_not_one_argument_is_our_mistake(name: str) -> None:
    with pytest.raises(ValueError, match="neither a host name nor an address literal"):
        SmtpDialogue(name, line_bytes=512, reply_lines=10, reply_bytes=5120)


def test_tls_that_was_not_asked_for_is_our_mistake() -> None:
    with pytest.raises(RuntimeError, match="TLS was not asked for"):
        dialogue().start_tls_done()


@pytest.mark.parametrize(
    ("raw", "code", "enhanced"),
    [
        (b"554 5.7.1 listed\r\n", 554, "5.7.1"),
        (b"450-4.7.25 no PTR\r\n450 x\r\n", 450, "4.7.25"),
        (b"550 5.7.1\r\n", 550, "5.7.1"),
        (b"550 4.7.1 other class\r\n", 550, None),
        (b"250 2.0 short\r\n", 250, None),
        (b"250 2.0.0.0 long\r\n", 250, None),
        (b"554 5.7.1: colon\r\n", 554, None),
        (b"220\r\n", 220, None),
    ],
)
def test_reply_codes(raw: bytes, code: int, enhanced: str | None) -> None:
    reply = Reply(raw)
    assert (reply.code, reply.enhanced) == (code, enhanced)


def test_the_table_leads_every_state_to_the_end() -> None:
    """From each state the dialogue can only go down the list of states, so it must end."""
    order = list(State)
    for (state, _), step in TRANSITIONS.items():
        assert order.index(step.to) > order.index(state)
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.TLS, State.DONE}
    assert all((State.QUIT, answer) in TRANSITIONS for answer in Answer)


def test_only_four_commands_exist() -> None:
    assert {c.split()[0] for c in COMMANDS.values()} == {b"EHLO", b"HELO", b"STARTTLS", b"QUIT"}


# Properties: over what peers say, and over how it is cut.

LINES = st.sampled_from(
    [
        GREETING,
        CAPABLE,
        READY,
        BYE,
        b"220-teaser\r\n",
        b"220 mx\n",
        b"250-mx\r\n",
        b"250 STARTTLS\r\n",
        b"250\r\n",
        b"421 4.7.0 no\r\n",
        b"502 what\r\n",
        b"554 no\r\n",
        b"354 go\r\n",
        b"\x16\x03\x01",
        b"\r\n",
        b"2",
        b"250 " + b"x" * 120 + b"\r\n",
        b"250-y\r\n" * 9,
    ]
)
SPEECH = st.lists(LINES | st.binary(max_size=12), max_size=12).map(b"".join) | st.binary()
PLANNED = st.lists(LINES, max_size=8).map(lambda rest: GREETING + CAPABLE + b"".join(rest))


def converse(segments: list[bytes]) -> tuple[SmtpFacts, bytes]:
    """Everything that is learnt from and sent to a peer that says *segments*, then closes."""
    smtp = dialogue(line_bytes=100, reply_lines=10, reply_bytes=300)
    sent = b""
    for segment in segments:
        smtp.receive(segment)
        sent += smtp.data_to_send()
    smtp.closed()
    return smtp.facts, sent + smtp.data_to_send()


@given(speech=SPEECH | PLANNED, data=st.data())
def test_the_facts_do_not_depend_on_segmentation(speech: bytes, data: st.DataObject) -> None:
    """The same verdict for every split, octet by octet included."""
    cuts = data.draw(st.lists(st.integers(0, len(speech)), max_size=6).map(sorted))
    edges = [0, *cuts, len(speech)]
    split = [speech[a:b] for a, b in itertools.pairwise(edges)]
    whole = converse([speech])
    assert converse(split) == whole
    assert converse([speech[i : i + 1] for i in range(len(speech))]) == whole


TRANSCRIPT = re.compile(
    rb"(EHLO probe\.example\r\n(HELO probe\.example\r\n)?(STARTTLS\r\n)?)?(QUIT\r\n)?"
)


@given(speech=st.lists(LINES | st.binary(max_size=12), max_size=20), tls=st.booleans())
def test_no_peer_makes_us_say_anything_else(speech: list[bytes], tls: bool) -> None:
    """Nothing raises, each command is sent at most once per phase, and the facts are whole."""
    smtp = dialogue(line_bytes=100, reply_lines=10, reply_bytes=300)
    plain, secure = b"", b""
    for segment in speech:
        events = smtp.receive(segment)
        if secure or any(isinstance(e, StartTls) for e in events):
            if not secure and tls:
                plain += smtp.data_to_send()
                smtp.start_tls_done()
            secure += smtp.data_to_send()
        else:
            plain += smtp.data_to_send()
    smtp.closed()
    assert TRANSCRIPT.fullmatch(plain)
    assert secure in (b"", EHLO, EHLO + b"QUIT\r\n")
    assert smtp.receive(b"220 more\r\n") == []
    assert smtp.closed() == []
    assert smtp.facts.status in IoStatus
