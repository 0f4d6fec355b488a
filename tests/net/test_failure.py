"""Each way to fail has one word, and a failure of ours is never the target's."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator

import pytest
import trio
from OpenSSL import SSL

from crawler.net.failure import (
    Exhausted,
    Failure,
    PeerFault,
    classify,
    has_route,
    is_exhaustion,
    text_of,
    timed_out,
)
from crawler.vocabulary import Blame, IoStatus, Stage
from tests.net.servers import Peer, fetch, greet, serving


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "stage", "status"),
    [
        (errno.ECONNREFUSED, Stage.CONNECT, IoStatus.CONNECTION_REFUSED),
        (errno.ETIMEDOUT, Stage.CONNECT, IoStatus.CONNECTION_TIMEOUT),
        (errno.ETIMEDOUT, Stage.HTTP_BODY, IoStatus.IO_TIMEOUT),
        (errno.ECONNRESET, Stage.CONNECT, IoStatus.CONNECTION_CLOSED),
        (errno.ECONNRESET, Stage.BANNER, IoStatus.CONNECTION_CLOSED),
        (errno.EPIPE, Stage.EHLO, IoStatus.CONNECTION_CLOSED),
        (errno.EHOSTUNREACH, Stage.CONNECT, IoStatus.HOST_UNREACHABLE),
        (errno.ENETUNREACH, Stage.CONNECT, IoStatus.HOST_UNREACHABLE),
        (errno.EACCES, Stage.CONNECT, IoStatus.HOST_UNREACHABLE),
    ],
)
def test_a_system_error_is_what_the_network_said(
    number: int, stage: Stage, status: IoStatus
) -> None:
    failure = classify(os_error(number), stage)
    assert (failure.status, failure.stage) == (status, stage)
    assert failure.blame in (Blame.TARGET, Blame.NETWORK)


@pytest.mark.parametrize(
    "number",
    [
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.ENETDOWN,
        errno.EPERM,
    ],
)
def test_k1_what_this_machine_lacks_is_the_vantage_s_failure(number: int) -> None:
    failure = classify(os_error(number), Stage.CONNECT)
    assert (failure.status, failure.blame) == (IoStatus.VANTAGE_FAILURE, Blame.VANTAGE)


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES])
def test_m22_unreachable_for_want_of_a_route_is_the_vantage_s_failure(number: int) -> None:
    failure = classify(os_error(number), Stage.CONNECT, routed=False)
    assert failure.status is IoStatus.VANTAGE_FAILURE


def test_a_route_is_looked_up_without_sending_anything() -> None:
    assert has_route("127.0.0.1")
    assert not has_route("255.255.255.255"), "connect(2) to broadcast is EACCES"


def caused(outer: Exception, inner: BaseException) -> Exception:
    outer.__cause__ = inner
    return outer


def hidden(outer: Exception, inner: BaseException) -> Exception:
    """As ``raise outer from None`` while *inner* is handled leaves them."""
    outer.__context__, outer.__suppress_context__ = inner, True
    return outer


@pytest.mark.parametrize(
    "error",
    [
        caused(trio.BrokenResourceError(), os_error(errno.ECONNREFUSED)),
        hidden(RuntimeError("wrapped"), os_error(errno.ECONNREFUSED)),
        caused(OSError("all attempts failed"), os_error(errno.ECONNREFUSED)),
        ExceptionGroup("nursery", [os_error(errno.ECONNREFUSED)]),
        caused(RuntimeError(), ExceptionGroup("", [ValueError(), os_error(errno.ECONNREFUSED)])),
    ],
    ids=["cause", "hidden cause", "without a number", "group", "group as cause"],
)
def test_the_cause_is_found_under_what_libraries_wrap_around_it(error: Exception) -> None:
    assert classify(error, Stage.CONNECT).status is IoStatus.CONNECTION_REFUSED


def test_what_happened_to_be_handled_explains_nothing() -> None:
    """A mistake made while handling a refusal is a mistake, not a refusal."""
    error = KeyError("bug")
    error.__context__ = os_error(errno.ECONNREFUSED)
    assert classify(error, Stage.CONNECT).status is IoStatus.UNKNOWN_ERROR


def test_a_broken_stream_without_a_reason_was_closed() -> None:
    failure = classify(trio.BrokenResourceError(), Stage.EHLO)
    assert failure.status is IoStatus.CONNECTION_CLOSED


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y"), OSError("no number")])
def test_what_is_in_no_table_is_ours_with_its_text(error: Exception) -> None:
    failure = classify(error, Stage.TLS)
    assert (failure.status, failure.blame) == (IoStatus.UNKNOWN_ERROR, Blame.LOCAL)
    assert type(error).__name__ in failure.error


def tls_error(*reasons: str) -> SSL.Error:
    """An error as OpenSSL queues it: library, function, reason."""
    return SSL.Error([("SSL routines", "", reason) for reason in reasons])


@pytest.mark.parametrize(
    ("error", "stage", "status"),
    [
        (tls_error("wrong version number"), Stage.TLS, IoStatus.HANDSHAKE_ERROR),
        (tls_error("excessive message size"), Stage.TLS, IoStatus.CHAIN_TOO_LARGE),
        # Once TLS stands, garbage is garbage.
        (tls_error("bad record type"), Stage.HTTP_BODY, IoStatus.PROTOCOL_ERROR),
        (SSL.SysCallError(-1, "Unexpected EOF"), Stage.TLS, IoStatus.HANDSHAKE_ERROR),
        (SSL.Error(), Stage.TLS, IoStatus.HANDSHAKE_ERROR),
    ],
)
def test_openssl_s_errors(error: SSL.Error, stage: Stage, status: IoStatus) -> None:
    assert classify(caused(trio.BrokenResourceError(), error), stage).status is status


def test_of_several_errors_the_last_sums_them_up() -> None:
    assert text_of(tls_error("wrong tag", "nested asn1 error", "asn1 lib")) == "TLS: asn1 lib"


def test_our_own_finding_carries_its_word() -> None:
    fault = PeerFault(IoStatus.RESPONSE_TOO_LARGE, "a body of more than 3 octets")
    assert classify(fault, Stage.HTTP_BODY) == Failure(
        status=IoStatus.RESPONSE_TOO_LARGE,
        stage=Stage.HTTP_BODY,
        error="a body of more than 3 octets",
    )


def test_a_deadline_is_named_by_what_was_waited_for() -> None:
    assert timed_out(Stage.CONNECT).status is IoStatus.CONNECTION_TIMEOUT
    assert timed_out(Stage.BANNER).status is IoStatus.IO_TIMEOUT


def test_texts_are_bounded_printable_and_the_same_on_every_build() -> None:
    assert text_of(os_error(errno.ECONNRESET)) == "ECONNRESET: Connection reset by peer"
    assert text_of(tls_error("wrong version number")) == "TLS: wrong version number"
    hostile = text_of(ValueError("\x1b[2J\u202e\n" + "x" * 10**6))
    assert hostile.isprintable()
    assert len(hostile) == 200


@pytest.fixture
def no_descriptors_left() -> Iterator[None]:
    """For a while this process may open no further file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.anyio
async def test_p01_running_out_of_descriptors_blames_nobody_else(
    no_descriptors_left: None,
) -> None:
    """A real EMFILE, met by the sockets of both clients: it is no exchange, so no row either."""
    async with serving(Peer.be_silent) as server:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        next_descriptor = os.dup(0)
        os.close(next_descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_descriptor, hard))
        for converse in (fetch, greet):
            with pytest.raises(Exhausted, match="EMFILE: Too many open files"):
                await converse(server)
        assert server.visits == []


@pytest.mark.parametrize(
    ("number", "routed", "comes_back"),
    [
        (errno.EMFILE, False, True),  # the look at the routes wants a descriptor as well
        (errno.ENFILE, True, True),
        (errno.ENOBUFS, True, True),
        (errno.ENOMEM, True, True),
        (errno.EADDRNOTAVAIL, True, True),  # no port is left
        (errno.EADDRNOTAVAIL, False, False),  # no address to send from, such as without IPv6
        (errno.ENETUNREACH, False, False),  # no route
        (errno.EPERM, True, False),  # a firewall of our own
        (errno.ECONNREFUSED, True, False),  # the target's answer
    ],
)
def test_what_this_machine_lacks_may_come_back(number: int, routed: bool, comes_back: bool) -> None:
    assert is_exhaustion(os_error(number), routed=routed) is comes_back
