"""What does it mean that a conversation broke off?  The only map from exceptions to status words.

A conversation ends early in one of four ways: the system reports an error number, OpenSSL
reports an error, our own code finds that the peer has gone too far (``PeerFault``), or a deadline
passes.  Each becomes a ``Failure``, a value; whatever is in none of the tables is our mistake
and becomes ``unknown-error`` with its text.

The first question is always whose failure it is: running out of descriptors or having no route
says nothing about the host that was to be contacted.  Left to others: what a failure means for
the domain (``assessment``), and whether to ask again (the passes).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import trio
from OpenSSL import SSL

from crawler.vocabulary import BLAME_OF_IO, Blame, IoStatus, Stage

ERROR_LENGTH: Final = 200
"""Characters kept of an error's text; it is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How and where a conversation ended before its planned end."""

    status: IoStatus
    stage: Stage
    error: str

    @property
    def blame(self) -> Blame | None:
        """Whose failure it is."""
        return BLAME_OF_IO[self.status]


class PeerFault(Exception):
    """The peer did something that ends the conversation, and our own code noticed."""

    def __init__(self, status: IoStatus, text: str) -> None:
        super().__init__(text)
        self.status: Final = status


class Exhausted(OSError):
    """This machine has nothing left to make a connection with.  Nothing was sent, so it may be
    tried again; it says nothing about any target, and is never a row.
    """


# Linux, connect(2), tcp(7) and the ICMP conversions of its IPv4 and IPv6 stacks.

_REFUSED: Final = frozenset({errno.ECONNREFUSED})
_CLOSED: Final = frozenset(
    {errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ENOTCONN, errno.ESHUTDOWN}
)
# What a router, or the host's own firewall, answers by ICMP.  The kernel gives some of the same
# numbers when it has no route itself, which is then the vantage's failure.
_UNREACHABLE: Final = frozenset(
    {
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.ENONET,
        errno.ENOPROTOOPT,
        errno.EACCES,  # ICMPv6 "administratively prohibited"
    }
)
_VANTAGE: Final = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,  # no ephemeral port is left
        errno.EADDRINUSE,
        errno.EAGAIN,
        errno.EAFNOSUPPORT,  # the kernel has no IPv6
        errno.EPROTONOSUPPORT,
        errno.ENETDOWN,
        errno.ENODEV,
        errno.EPERM,  # a local firewall
    }
)

_BEYOND_OPENSSL: Final = "excessive message size"
"""OpenSSL's reason when a Certificate message is over ``max_cert_list``, 100 KiB."""


_SPENT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def is_exhaustion(error: BaseException, *, routed: bool) -> bool:
    """Whether *error*, met before anything was sent, is for want of something that comes back.

    Descriptors, buffers and ports do, as other connections end.  A port is also what the kernel
    says is missing where it has no address to send from, and that does not come back: *routed*.
    """
    number = error.errno if isinstance(error, OSError) else None
    return number in _SPENT or (number == errno.EADDRNOTAVAIL and routed)


def classify(error: BaseException, stage: Stage, *, routed: bool = True) -> Failure:
    """What *error*, met at *stage*, says about the conversation.

    *routed*: whether the kernel has a route to the peer, see ``has_route``.
    """
    for cause in causes(error):
        status = _status(cause, stage, routed)
        if status is not None:
            return Failure(status=status, stage=stage, error=text_of(cause))
    if any(isinstance(cause, trio.BrokenResourceError) for cause in causes(error)):
        return Failure(status=IoStatus.CONNECTION_CLOSED, stage=stage, error="the connection broke")
    return Failure(status=IoStatus.UNKNOWN_ERROR, stage=stage, error=text_of(error))


def timed_out(stage: Stage) -> Failure:
    """A deadline passed at *stage*."""
    if stage is Stage.CONNECT:
        return Failure(
            status=IoStatus.CONNECTION_TIMEOUT, stage=stage, error="no answer to the connection"
        )
    return Failure(status=IoStatus.IO_TIMEOUT, stage=stage, error="the deadline passed")


def has_route(address: str) -> bool:
    """Whether the kernel would know where to send a packet for *address*.  Sends none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # for UDP, connect(2) only looks up the route
    except OSError:
        return False
    return True


def text_of(error: BaseException) -> str:
    """What *error* says, for people: bounded, printable, the same on every run."""
    if isinstance(error, SSL.Error):
        text = f"TLS: {reason_of(error)}"
    elif isinstance(error, OSError) and error.errno is not None:
        text = f"{errno.errorcode.get(error.errno, error.errno)}: {os.strerror(error.errno)}"
    elif isinstance(error, PeerFault):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return text.encode("unicode_escape").decode("ascii")[:ERROR_LENGTH]


def causes(error: BaseException) -> Iterator[BaseException]:
    """*error* and what it was raised from, outermost first; the members of a group in turn.

    What merely happened to be handled meanwhile explains nothing, so the context counts only
    where a library has hidden the cause behind ``raise ... from None``.
    """
    yield error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from causes(member)
    inner = error.__context__ if error.__suppress_context__ else None
    if (cause := error.__cause__ or inner) is not None:
        yield from causes(cause)


def _status(error: BaseException, stage: Stage, routed: bool) -> IoStatus | None:
    """The word for one exception, or None when it does not tell."""
    if isinstance(error, PeerFault):
        return error.status
    if isinstance(error, SSL.Error):
        return _status_of_tls(error, stage)
    if isinstance(error, OSError) and error.errno is not None:
        return _status_of_errno(error.errno, stage, routed)
    return None


def _status_of_tls(error: SSL.Error, stage: Stage) -> IoStatus:
    if reason_of(error) == _BEYOND_OPENSSL:
        return IoStatus.CHAIN_TOO_LARGE
    return IoStatus.HANDSHAKE_ERROR if stage is Stage.TLS else IoStatus.PROTOCOL_ERROR


def reason_of(error: SSL.Error) -> str:
    """OpenSSL's words for what went wrong: of the errors it queued, the last sums them up."""
    queued = error.args[0] if error.args else ()
    last = queued[-1] if isinstance(queued, list) and queued else ()
    return str(last[-1]) if last else type(error).__name__


def _status_of_errno(number: int, stage: Stage, routed: bool) -> IoStatus | None:
    if number in _REFUSED:
        return IoStatus.CONNECTION_REFUSED
    if number in _CLOSED:
        return IoStatus.CONNECTION_CLOSED
    if number == errno.ETIMEDOUT:
        return timed_out(stage).status
    if number in _UNREACHABLE:
        return IoStatus.HOST_UNREACHABLE if routed else IoStatus.VANTAGE_FAILURE
    if number in _VANTAGE:
        return IoStatus.VANTAGE_FAILURE
    return None
