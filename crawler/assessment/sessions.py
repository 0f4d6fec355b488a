"""What one conversation amounts to: a policy fetch (RFC 8461 section 3.3) or a STARTTLS session
(RFC 8461 section 4.2, RFC 7672 section 3), judged from its row and the chain it presented.

The chain is judged at the row's own ``started_at``, so the verdict is the same whenever it is
asked for.  What a chain, a policy file or a TLSA record means is the business of ``protocol``;
here it is decided how far the conversation got.  What the sessions of all hosts mean for a
domain is left to ``coverage`` and ``dane``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from crawler.assessment import senders
from crawler.assessment.handshake import handshake_of, weaknesses
from crawler.assessment.lookups import ABSENCE
from crawler.protocol import sts_policy, tlsa
from crawler.protocol.certificate import dns_id_matches, dns_ids
from crawler.protocol.chain import ChainJudge, Verdict
from crawler.records import (
    Conversation,
    MailVerdict,
    PolicyFetch,
    PolicyVerdict,
    StarttlsSession,
    TlsaLookup,
)
from crawler.vocabulary import (
    DaneOutcome,
    DnsStatus,
    IoStatus,
    MailOutcome,
    PolicyOutcome,
    Stage,
    TlsWeakness,
)

OLD_TLS: Final = frozenset({"SSLv2", "SSLv3", "TLSv1", "TLSv1.1"})
"""RFC 8461 section 7.2 asks for TLS 1.2 or later of policy hosts and MX hosts alike."""

_NOT_THEIRS: Final = frozenset(
    {
        IoStatus.OPTED_OUT,
        IoStatus.BLOCKLISTED_TARGET,
        IoStatus.VANTAGE_FAILURE,
        IoStatus.UNKNOWN_ERROR,
    }
)
"""Endings that say nothing about the host: our policy, our machine, our mistake."""

_CANNOT_CONNECT: Final = frozenset(
    {IoStatus.CONNECTION_REFUSED, IoStatus.CONNECTION_TIMEOUT, IoStatus.HOST_UNREACHABLE}
)

_NO_HANDSHAKE: Final = frozenset(
    {
        IoStatus.HANDSHAKE_ERROR,
        IoStatus.CHAIN_TOO_LARGE,
        IoStatus.STARTTLS_INJECTION,  # RFC 3207 section 6: such a session cannot be used
    }
)

_WITHOUT_TLS: Final = frozenset(
    {MailOutcome.NO_STARTTLS, MailOutcome.STARTTLS_REFUSED, MailOutcome.HANDSHAKE_FAILED}
)

_BEFORE_EHLO_ENDED: Final = frozenset({Stage.CONNECT, Stage.BANNER, Stage.EHLO})

_INSIDE_TLS: Final = frozenset({Stage.EHLO_TLS, Stage.QUIT, Stage.HTTP_HEADERS, Stage.HTTP_BODY})
"""Stages that are reached only when TLS stands (QUIT is also sent where it was not offered)."""

_FETCH_FAILED_AT: Final = MappingProxyType(
    {
        None: PolicyOutcome.TCP,
        Stage.CONNECT: PolicyOutcome.TCP,
        Stage.TLS: PolicyOutcome.TLS,
        Stage.HTTP_HEADERS: PolicyOutcome.HTTP,
        Stage.HTTP_BODY: PolicyOutcome.HTTP,
    }
)


# --- policy fetches ------------------------------------------------------------------------


def judge_fetch(fetch: PolicyFetch, chain: Sequence[bytes], judge: ChainJudge) -> PolicyVerdict:
    """Judge one policy fetch; *chain* is what it presented, DER, leaf first.

    The outcome is the first stage that failed: TLS before HTTP, so the body behind a certificate
    that does not pass is kept, but not judged - no sender would read it.
    """
    # RFC 8461 section 3.3: the certificate must be valid for the Policy Host.
    seen = _judge_chain(fetch, chain, judge)
    agreed = _agreed(fetch, chain, senders.POLICY_FETCHERS)
    outcome = _fetch_ended(fetch)
    if _tls_stands(fetch) and outcome is not PolicyOutcome.UNMEASURED:
        outcome = PolicyOutcome.TLS if _tls_fails(fetch, seen) else outcome
    policy = None
    if outcome is PolicyOutcome.VALID:
        policy = _read_policy(fetch)
        outcome = PolicyOutcome(policy.outcome)
    read = policy if policy is not None and outcome is not PolicyOutcome.HTTP else None
    valid = read if outcome is PolicyOutcome.VALID else None
    return PolicyVerdict(
        scan_id=fetch.scan_id,
        domain=fetch.domain,
        host=fetch.host,
        address=fetch.address,
        attempt=fetch.attempt,
        outcome=outcome,
        lenient=read.lenient if read else None,
        mode=valid.mode if valid else None,
        max_age=valid.max_age if valid else None,
        mx=tuple(valid.mx) if valid else (),
        problems=tuple(read.problems) if read else (),
        certificate_problems=seen.problems if seen else (),
        openssl_code=seen.openssl_code if seen else None,
        openssl_depth=seen.openssl_depth if seen else None,
        webpki_error=seen.webpki_error if seen else None,
        tls_weaknesses=agreed.weaknesses,
        refusing_senders=agreed.refusing,
        unoffered_by=agreed.unoffered,
    )


def _fetch_ended(fetch: PolicyFetch) -> PolicyOutcome:
    """The stage at which the exchange itself ended; ``valid`` when it ran to its end."""
    if fetch.status in _NOT_THEIRS:
        return PolicyOutcome.UNMEASURED
    if fetch.status is IoStatus.SUCCESS:
        return PolicyOutcome.VALID
    if fetch.status in _CANNOT_CONNECT:
        return PolicyOutcome.TCP
    if fetch.status in (IoStatus.HANDSHAKE_ERROR, IoStatus.CHAIN_TOO_LARGE):
        return PolicyOutcome.TLS
    return _FETCH_FAILED_AT.get(fetch.stage, PolicyOutcome.HTTP)


def _read_policy(fetch: PolicyFetch) -> sts_policy.StsPolicy:
    headers = [(header.name.encode(), header.value) for header in fetch.headers]
    if fetch.content_type is not None:
        headers.append((b"content-type", fetch.content_type.encode()))
    return sts_policy.from_response(fetch.http_status or 0, headers, fetch.body or b"")


# --- STARTTLS sessions ---------------------------------------------------------------------


def judge_session(
    session: StarttlsSession,
    chain: Sequence[bytes],
    tlsa_lookup: TlsaLookup | None,
    judge: ChainJudge,
) -> MailVerdict:
    """Judge one STARTTLS session for the MX host's own name.

    *chain* is what it presented, DER, leaf first; *tlsa_lookup* the last answer about the host's
    TLSA records, ``None`` when it was not asked.  The DANE column knows nothing of the MX and
    address answers: ``dane`` adds them for each domain.
    """
    seen = _judge_chain(session, chain, judge)
    agreed = _agreed(session, chain, senders.MAIL_SENDERS)
    outcome = _mail_outcome(session, seen)
    dane, names = _dane_of_session(session, outcome, chain, tlsa_lookup)
    return MailVerdict(
        scan_id=session.scan_id,
        host=session.host,
        address=session.address,
        attempt=session.attempt,
        outcome=outcome,
        dane=dane,
        dane_names=names,
        certificate_problems=seen.problems if seen else (),
        openssl_code=seen.openssl_code if seen else None,
        openssl_depth=seen.openssl_depth if seen else None,
        webpki_error=seen.webpki_error if seen else None,
        tls_weaknesses=agreed.weaknesses,
        refusing_senders=agreed.refusing,
        unoffered_by=agreed.unoffered,
    )


def _mail_outcome(session: StarttlsSession, seen: Verdict | None) -> MailOutcome:
    """How far the session got; RFC 8461 section 4.2 asks for STARTTLS and a valid certificate."""
    if session.status in _NOT_THEIRS:
        return MailOutcome.UNMEASURED
    if _tls_stands(session):
        if session.tls_version in OLD_TLS:
            return MailOutcome.TLS_OLD
        return MailOutcome.CERTIFICATE if _tls_fails(session, seen) else MailOutcome.PASS
    if session.status in _NO_HANDSHAKE or session.stage is Stage.TLS:
        return MailOutcome.HANDSHAKE_FAILED
    if session.status is IoStatus.APPLICATION_ERROR and session.stage is Stage.STARTTLS:
        return MailOutcome.STARTTLS_REFUSED
    if session.starttls_offered is False and session.stage not in _BEFORE_EHLO_ENDED:
        return MailOutcome.NO_STARTTLS
    return MailOutcome.UNMEASURED


def _dane_of_session(
    session: StarttlsSession,
    outcome: MailOutcome,
    chain: Sequence[bytes],
    lookup: TlsaLookup | None,
) -> tuple[DaneOutcome, tuple[str, ...]]:
    """The TLSA records against this session, and the names a usage 2 match still has to meet."""
    published = published_dane(lookup)
    if lookup is None or published is not None:
        return published or DaneOutcome.UNMEASURED, ()
    # RFC 7672 section 2.2: usable TLSA records make TLS mandatory, so a host that does not offer it,
    # or fails in the handshake, fails them, whatever it has shown; one that could not be asked is
    # another matter.  Where only our own cap on chains ended it, what was kept is compared.
    if outcome in _WITHOUT_TLS and session.status is not IoStatus.CHAIN_TOO_LARGE:
        return DaneOutcome.MISMATCH, ()
    if not chain:
        return DaneOutcome.UNMEASURED, ()
    match tlsa.match(lookup.records, chain, at=session.started_at).outcome:
        case "match":
            return DaneOutcome.MATCH, ()
        case "named":
            names = dns_ids(chain[0])
            bases = _bases(lookup, session.host)
            if any(dns_id_matches(name, base) for name in names for base in bases):
                return DaneOutcome.MATCH, ()
            return DaneOutcome.MISMATCH, names
        case _:  # "mismatch": that some record is usable is settled above
            return DaneOutcome.MISMATCH, ()


def published_dane(lookup: TlsaLookup | None) -> DaneOutcome | None:
    """What a TLSA answer settles before any session; ``None`` when its records must be tried.

    Nobody asked, and an answer that did not come (a bogus one included, RFC 7672 section 2.1.1),
    is ``unmeasured``; records without an authenticated answer are ``insecure``.
    """
    if lookup is None:
        return DaneOutcome.UNMEASURED
    if lookup.status in ABSENCE or (lookup.status is DnsStatus.NOERROR and not lookup.records):
        return DaneOutcome.NONE
    if lookup.status is not DnsStatus.NOERROR:
        return DaneOutcome.UNMEASURED
    if not lookup.authenticated:
        return DaneOutcome.INSECURE
    if not any(tlsa.usable(record) for record in lookup.records):
        return DaneOutcome.UNUSABLE
    return None


def _bases(lookup: TlsaLookup, host: str) -> tuple[str, str]:
    # RFC 7672 section 3.2.2: the TLSA base domain is the primary reference identifier.  Our
    # reading: where that is the CNAME-expanded name, the MX host that led to it over the same
    # authenticated answers is as good.
    return host, lookup.qname.removeprefix("_25._tcp.")


# --- common --------------------------------------------------------------------------------


def _tls_stands(row: Conversation) -> bool:
    """Whether the handshake was completed, whatever happened afterwards."""
    return row.tls_version is not None and (
        row.status is IoStatus.SUCCESS or row.stage in _INSIDE_TLS
    )


def _judge_chain(row: Conversation, chain: Sequence[bytes], judge: ChainJudge) -> Verdict | None:
    """The verdict over the chain, also when the handshake failed after it was shown."""
    if not chain or row.status is IoStatus.CHAIN_TOO_LARGE:
        return None
    return judge.judge(chain, row.host, row.started_at)


def _tls_fails(row: Conversation, seen: Verdict | None) -> bool:
    """Whether TLS that stands is not good enough for a sender that validates."""
    return row.tls_version in OLD_TLS or seen is None or bool(seen.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agreed:
    """What a handshake is worth to others; nothing where none stands."""

    weaknesses: tuple[TlsWeakness, ...] = ()
    refusing: tuple[str, ...] = ()
    unoffered: tuple[str, ...] = ()


def _agreed(
    row: Conversation, chain: Sequence[bytes], table: tuple[senders.Sender, ...]
) -> _Agreed:
    if not _tls_stands(row):
        return _Agreed()
    seen = handshake_of(row, chain)
    return _Agreed(
        weaknesses=weaknesses(seen),
        refusing=senders.refusing(seen, table),
        unoffered=senders.unoffered_by(seen, table),
    )
