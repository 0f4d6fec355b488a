"""What is asked again: the last section of ``JUDGEMENT.md``."""

from __future__ import annotations

import pytest

from crawler.assessment.transient import (
    transient_address,
    transient_fetch,
    transient_lookup,
    transient_session,
)
from crawler.vocabulary import DnsStatus, IoStatus, Stage
from tests import rows
from tests.assessment.domains import dns_failed

DNS = {
    DnsStatus.NOERROR: False,
    DnsStatus.FORMERR: False,
    DnsStatus.SERVFAIL: True,
    DnsStatus.NXDOMAIN: False,
    DnsStatus.NOTIMP: False,
    DnsStatus.REFUSED: True,
    DnsStatus.YXDOMAIN: False,
    DnsStatus.YXRRSET: False,
    DnsStatus.NXRRSET: False,
    DnsStatus.NOTAUTH: False,
    DnsStatus.NOTZONE: False,
    DnsStatus.BADVERS: False,
    DnsStatus.OTHER_RCODE: False,
    DnsStatus.NO_ANSWER: False,
    DnsStatus.TIMEOUT: True,
    DnsStatus.TRUNCATED: True,
    DnsStatus.MALFORMED: True,
    DnsStatus.CNAME_LOOP: False,
    DnsStatus.CNAME_TOO_LONG: False,
    DnsStatus.OPTED_OUT: False,
    DnsStatus.VANTAGE_FAILURE: True,
}


@pytest.mark.parametrize("status", DnsStatus)
def test_lookups(status: DnsStatus) -> None:
    again = DNS[status]
    assert transient_lookup(dns_failed(rows.txt("a.example"), status)) is again
    assert transient_lookup(dns_failed(rows.mx("a.example"), status)) is again
    assert transient_lookup(dns_failed(rows.tlsa("a.example"), status)) is again
    assert transient_address(rows.addresses("a.example", "192.0.2.1", status_ipv6=status)) is again
    assert transient_address(rows.addresses("a.example", "192.0.2.1", status_ipv4=status)) is again


# status, stage: again
CONVERSATIONS = {
    (IoStatus.SUCCESS, None): False,
    (IoStatus.CONNECTION_REFUSED, Stage.CONNECT): True,
    (IoStatus.CONNECTION_TIMEOUT, Stage.CONNECT): True,
    (IoStatus.HOST_UNREACHABLE, Stage.CONNECT): True,
    (IoStatus.CONNECTION_CLOSED, Stage.CONNECT): True,
    (IoStatus.CONNECTION_CLOSED, Stage.TLS): False,  # a failed handshake
    (IoStatus.IO_TIMEOUT, Stage.TLS): True,
    (IoStatus.HANDSHAKE_ERROR, Stage.TLS): False,
    (IoStatus.CHAIN_TOO_LARGE, Stage.TLS): False,
    (IoStatus.OPTED_OUT, None): False,
    (IoStatus.BLOCKLISTED_TARGET, None): False,
    (IoStatus.VANTAGE_FAILURE, Stage.CONNECT): True,
    (IoStatus.UNKNOWN_ERROR, Stage.CONNECT): False,
}

FETCHES = CONVERSATIONS | {
    (IoStatus.CONNECTION_CLOSED, Stage.HTTP_HEADERS): True,
    (IoStatus.CONNECTION_CLOSED, Stage.HTTP_BODY): True,
    (IoStatus.IO_TIMEOUT, Stage.HTTP_BODY): True,
    (IoStatus.PROTOCOL_ERROR, Stage.HTTP_HEADERS): False,
    (IoStatus.RESPONSE_TOO_LARGE, Stage.HTTP_BODY): False,
    (IoStatus.CONTENT_ENCODED, Stage.HTTP_BODY): False,
}

SESSIONS = CONVERSATIONS | {
    (IoStatus.CONNECTION_CLOSED, Stage.BANNER): True,
    (IoStatus.CONNECTION_CLOSED, Stage.EHLO): True,
    (IoStatus.IO_TIMEOUT, Stage.BANNER): True,
    (IoStatus.PROTOCOL_ERROR, Stage.BANNER): False,
    (IoStatus.APPLICATION_ERROR, Stage.EHLO): False,
    (IoStatus.APPLICATION_ERROR, Stage.STARTTLS): False,
    (IoStatus.RESPONSE_TOO_LARGE, Stage.EHLO): False,
    (IoStatus.STARTTLS_INJECTION, Stage.STARTTLS): False,
}


@pytest.mark.parametrize(("ending", "again"), FETCHES.items())
def test_fetches(ending: tuple[IoStatus, Stage | None], again: bool) -> None:
    status, stage = ending
    row = rows.fetch("a.example", "192.0.2.1", status=status, stage=stage, http_status=None)
    assert transient_fetch(row) is again


@pytest.mark.parametrize("code", [200, 301, 404, 429, 503])
def test_no_status_code_is_asked_for_again(code: int) -> None:
    assert not transient_fetch(rows.fetch("a.example", "192.0.2.1", http_status=code))


@pytest.mark.parametrize(("ending", "again"), SESSIONS.items())
def test_sessions(ending: tuple[IoStatus, Stage | None], again: bool) -> None:
    status, stage = ending
    assert transient_session(rows.session("a", "192.0.2.1", status=status, stage=stage)) is again


def test_every_status_has_been_looked_at() -> None:
    assert {status for status, _ in (*FETCHES, *SESSIONS)} == set(IoStatus)


GREETINGS = {
    b"421 too many connections\r\n": True,
    b"450 try again\r\n": True,
    b"451-grey\r\n451 list\r\n": True,
    b"554 no SMTP service here\r\n": True,
    b"550 go away\r\n": False,
    b"521 does not accept mail\r\n": False,
    None: False,
}


@pytest.mark.parametrize(("banner", "again"), GREETINGS.items())
def test_greetings(banner: bytes | None, again: bool) -> None:
    refused = {"status": IoStatus.APPLICATION_ERROR, "stage": Stage.BANNER, "banner": banner}
    assert transient_session(rows.session("a", "192.0.2.1", **refused)) is again


@pytest.mark.parametrize(
    ("stage", "code", "again"),
    [
        pytest.param(Stage.EHLO, 421, True, id="service not available, after EHLO"),
        pytest.param(Stage.EHLO, 550, False, id="a host that does not want us"),
        pytest.param(Stage.EHLO, None, False, id="a row that was written before there was a code"),
        pytest.param(Stage.STARTTLS, 454, False, id="TLS not available: a refused STARTTLS"),
    ],
)
def test_refusals_after_the_greeting(stage: Stage, code: int | None, again: bool) -> None:
    refused = {"status": IoStatus.APPLICATION_ERROR, "stage": stage, "refusal_code": code}
    assert transient_session(rows.session("a", "192.0.2.1", **refused)) is again


def test_no_starttls_is_an_answer() -> None:
    plain = rows.session("a", "192.0.2.1", starttls_offered=False, stage=Stage.QUIT)
    assert not transient_session(plain)
