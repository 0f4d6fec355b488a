"""Which outcomes may be different a few minutes later, and are asked again.

Asked again: a resolver that could not answer now, a connection that could not be made or was
dropped early, silence, a greeting or a reply to EHLO that says "not now", and every failure of our own.  Never
asked again: a definite answer, however bad - no STARTTLS, a refused STARTTLS, a failed
handshake, a certificate that does not pass - and what we refused to contact ourselves.  To
repeat those would only be rude.

Each function judges one row, the last attempt of its target.  How often and how late is the
configuration's business (``[retry]``).
"""

from __future__ import annotations

from typing import Final

from crawler.records import AddressLookup, Conversation, Lookup, PolicyFetch, StarttlsSession
from crawler.vocabulary import DnsStatus, IoStatus, Stage

_TRANSIENT_DNS: Final = frozenset(
    {
        DnsStatus.SERVFAIL,  # an upstream that may be back, or a lame delegation: one more try tells
        DnsStatus.TIMEOUT,
        DnsStatus.TRUNCATED,  # TCP gave no answer this time
        DnsStatus.REFUSED,  # resolvers shed load with it
        DnsStatus.MALFORMED,  # one damaged datagram is no fact about a domain
        DnsStatus.VANTAGE_FAILURE,
    }
)

_TRANSIENT_ANYWHERE: Final = frozenset(
    {
        IoStatus.CONNECTION_REFUSED,
        IoStatus.CONNECTION_TIMEOUT,
        IoStatus.HOST_UNREACHABLE,
        IoStatus.IO_TIMEOUT,
        IoStatus.VANTAGE_FAILURE,
    }
)

_NOT_NOW: Final = (b"4", b"554")
"""Greetings of a host that may speak to us later: RFC 5321 section 4.2.1 (4yz is transient) and
section 3.1 (554 instead of 220; blocklists and overloaded hosts use it, and let go of it again).
421 is one of the 4yz.  A 4yz to EHLO says the same a moment later."""


def transient_lookup(row: Lookup) -> bool:
    """Whether a TXT, MX or TLSA question should be asked again."""
    return row.status in _TRANSIENT_DNS


def transient_address(row: AddressLookup) -> bool:
    """Whether a host's addresses should be asked for again: either family is enough."""
    return row.status_ipv4 in _TRANSIENT_DNS or row.status_ipv6 in _TRANSIENT_DNS


def transient_fetch(row: PolicyFetch) -> bool:
    """Whether a policy should be fetched again from the same address."""
    return _interrupted(row)


def transient_session(row: StarttlsSession) -> bool:
    """Whether an MX host should be greeted again at the same address."""
    return _interrupted(row) or _told_not_now(row)


def _interrupted(row: Conversation) -> bool:
    # A connection closed in the middle of a handshake is a failed handshake: an answer, if a
    # rude one.  Closed anywhere else it is an early close.
    if row.status is IoStatus.CONNECTION_CLOSED:
        return row.stage is not Stage.TLS
    return row.status in _TRANSIENT_ANYWHERE


def _told_not_now(row: StarttlsSession) -> bool:
    if row.status is not IoStatus.APPLICATION_ERROR:
        return False
    if row.stage is Stage.BANNER:
        return (row.banner or b"").startswith(_NOT_NOW)
    return row.stage is Stage.EHLO and (row.refusal_code or 0) // 100 == 4
