"""What does this Policy Host answer at this address?  One fetch, one row (RFC 8461 section 3.3).

Facts only: whether the policy is valid and the chain passes is for the rules to say.  A target
that is not contacted gets its row too, with the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final

import trio

from crawler.net.https import PolicyClient, PolicyExchange
from crawler.politeness.gate import Gate, Permit, Refused
from crawler.probe.handshake import handshake_columns
from crawler.probe.patience import patiently
from crawler.records import Header, PolicyFetch, PolicyTarget
from crawler.vocabulary import BLAME_OF_IO, IoStatus

_utc_now: Final = partial(datetime.now, UTC)

_TIMEOUTS: Final = (IoStatus.CONNECTION_TIMEOUT, IoStatus.IO_TIMEOUT)
_WANTS_LESS: Final = (429, 503)  # RFC 6585 section 4, RFC 9110 section 15.6.4

_NO_DATE: Final = (ValueError, OverflowError, TypeError, IndexError)
"""What ``email.utils`` and ``datetime`` raise over a date that is none, one Python or another."""


async def probe(
    target: PolicyTarget,
    *,
    scan_id: str,
    gate: Gate,
    client: PolicyClient,
    now: Callable[[], datetime] = _utc_now,
) -> tuple[PolicyFetch, tuple[bytes, ...]]:
    """Fetch the policy of *target* once the gate lets us.

    Returns the row and the certificates presented (DER, leaf first), whose hashes are its
    ``chain``.  *now* gives the wall clock as an aware UTC time.  Never raises for what a peer
    does; for what this machine lacks see ``patience``.
    """
    row = partial(
        PolicyFetch,
        scan_id=scan_id,
        domain=target.domain,
        host=target.host,
        address=target.address,
        attempt=target.attempts + 1,
        due=target.due,
    )
    names = (target.domain, target.host, *target.aliases)

    async def fetch() -> tuple[datetime, float, PolicyExchange]:
        async with gate.admit(target.address, "https", names=names) as permit:
            started_at, start = now(), trio.current_time()
            exchange = await client.fetch(permit, target.host)
            elapsed_ms = (trio.current_time() - start) * 1000
            _report(permit, exchange, started_at)
            return started_at, elapsed_ms, exchange

    try:
        started_at, elapsed_ms, exchange = await patiently(fetch)
    except Refused as refused:
        return row(
            started_at=now(),
            elapsed_ms=0.0,
            status=refused.status,
            blame=refused.blame,
            error=refused.reason,
        ), ()
    body = exchange.body
    facts, chain = handshake_columns(exchange.tls)
    return row(
        started_at=started_at,
        elapsed_ms=elapsed_ms,
        status=exchange.status,
        stage=exchange.stage,
        blame=BLAME_OF_IO[exchange.status],
        error=exchange.error,
        connect_ms=exchange.connect_ms,
        http_status=exchange.http_status,
        content_type=exchange.header("content-type"),
        location=exchange.header("location"),
        headers=tuple(Header(name=n, value=v) for n, v in exchange.kept_headers),
        body=body,
        body_size=exchange.body_size,
        body_truncated=None if body is None else exchange.body_size != len(body),
        body_sha256=None if body is None else hashlib.sha256(body).hexdigest(),
        **facts,
    ), chain


def _report(permit: Permit, exchange: PolicyExchange, at: datetime) -> None:
    """Tell the gate how the address bore it."""
    if exchange.http_status in _WANTS_LESS:
        permit.back_off(retry_after(exchange.header("retry-after"), at))
    elif exchange.status in _TIMEOUTS:
        permit.back_off()
    elif exchange.status is IoStatus.SUCCESS:
        permit.ease()


def retry_after(value: str | None, at: datetime) -> float | None:
    """The seconds that a Retry-After field asks for at the time *at*; None when it says nothing.

    RFC 9110 section 10.2.3: a number of seconds, or a date.  A date gone by asks for nothing.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:  # "-0000": RFC 5322 section 3.3, UTC of unknown zone
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - at).total_seconds())
    except _NO_DATE:
        return None
