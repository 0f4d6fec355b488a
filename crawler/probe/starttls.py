"""Does this MX host start TLS at this address, and what does it present?  One conversation, one row.

RFC 3207, RFC 8461 section 4.2.  Facts only: whether the chain passes for the MX host's name is
for the rules to say.  A target that is not contacted gets its row too, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

import trio

from crawler.net.smtp import MailClient, SmtpExchange
from crawler.politeness.gate import Gate, Permit, Refused
from crawler.probe.handshake import handshake_columns
from crawler.probe.patience import patiently
from crawler.records import MailTarget, StarttlsSession
from crawler.vocabulary import BLAME_OF_IO, IoStatus

_utc_now: Final = partial(datetime.now, UTC)

_TIMEOUTS: Final = (IoStatus.CONNECTION_TIMEOUT, IoStatus.IO_TIMEOUT)


async def probe(
    target: MailTarget,
    *,
    scan_id: str,
    gate: Gate,
    client: MailClient,
    now: Callable[[], datetime] = _utc_now,
) -> tuple[StarttlsSession, tuple[bytes, ...]]:
    """Greet the MX host of *target* once the gate lets us.

    Returns the row and the certificates presented (DER, leaf first), whose hashes are its
    ``chain``.  *now* gives the wall clock as an aware UTC time.  Never raises for what a peer
    does; for what this machine lacks see ``patience``.
    """
    row = partial(
        StarttlsSession,
        scan_id=scan_id,
        host=target.host,
        address=target.address,
        attempt=target.attempts + 1,
        due=target.due,
    )
    names = (target.host, *target.aliases)

    async def converse() -> tuple[datetime, float, SmtpExchange]:
        async with gate.admit(target.address, "smtp", names=names) as permit:
            started_at, start = now(), trio.current_time()
            exchange = await client.converse(permit, target.host)
            elapsed_ms = (trio.current_time() - start) * 1000
            _report(permit, exchange)
            return started_at, elapsed_ms, exchange

    try:
        started_at, elapsed_ms, exchange = await patiently(converse)
    except Refused as refused:
        return row(
            started_at=now(),
            elapsed_ms=0.0,
            status=refused.status,
            blame=refused.blame,
            error=refused.reason,
        ), ()
    facts, chain = handshake_columns(exchange.tls)
    ended = partial(
        row,
        started_at=started_at,
        elapsed_ms=elapsed_ms,
        status=exchange.status,
        stage=exchange.stage,
        blame=BLAME_OF_IO[exchange.status],
        error=exchange.error,
        connect_ms=exchange.connect_ms,
        greeting_ms=exchange.greeting_ms,
        ehlo_ms=exchange.ehlo_ms,
        starttls_ms=exchange.starttls_ms,
        **facts,
    )
    said = exchange.smtp
    if said is None:
        return ended(), ()
    return ended(
        banner=said.banner,
        ehlo=said.ehlo,
        ehlo_rejection=said.ehlo_rejection,
        helo_fallback=said.helo_fallback,
        starttls_offered=said.starttls_offered,
        starttls_reply=said.starttls_reply,
        plaintext_after_starttls=said.plaintext_after_starttls,
        ehlo_tls=said.ehlo_tls,
        quit_reply=said.quit_reply,
        refusal_code=said.refusal_code,
        refusal_enhanced=said.refusal_enhanced,
        bare_lf=said.bare_lf,
    ), chain


def _report(permit: Permit, exchange: SmtpExchange) -> None:
    """Tell the gate how the address bore it."""
    if exchange.deferred or exchange.status in _TIMEOUTS:
        permit.back_off()
    elif exchange.status is IoStatus.SUCCESS:
        permit.ease()
