"""Where is a policy host or MX host, and what does it say about DANE?  The hosts pass.

A and AAAA of every host (RFC 5321 section 5.1, RFC 8461 section 3.3) become one row; for a mail
host the TLSA question follows (RFC 7672 section 2.2) and becomes another.  Whether an address may
be dialled and whether a TLSA record is of use is left to ``politeness`` and ``assessment``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from crawler.net.resolver import Answer, Question, Resolver
from crawler.probe.lookups import OptOuts, columns, opted_out
from crawler.protocol.dns_wire import RdType
from crawler.protocol.names import tlsa_qname
from crawler.records import AddressLookup, HostTarget, TlsaLookup
from crawler.vocabulary import DnsStatus

Emit = Callable[[AddressLookup | TlsaLookup], object]

_FAMILIES: Final = (RdType.A, RdType.AAAA)

_ABSENT: Final = (DnsStatus.NXDOMAIN, DnsStatus.NO_ANSWER)  # definite: there is nothing


async def probe(
    targets: Iterable[HostTarget],
    *,
    scan_id: str,
    resolver: Resolver,
    opt_out: OptOuts,
    emit: Emit,
) -> None:
    """Ask what each of *targets* wants to know, and hand *emit* a row for each kind of question.

    Two steps, because the name at which TLSA is asked first depends on where the addresses were
    found.  In memory between them is one small record per mail host of *targets*: one shard's.
    """
    hosts = _Hosts(scan_id, opt_out, emit)
    await resolver.ask(hosts.address_questions(targets), hosts.address_answered)
    await resolver.ask(hosts.expanded_tlsa_questions(), hosts.expanded_tlsa_answered)
    await resolver.ask(hosts.tlsa_questions(), hosts.tlsa_answered)


@dataclass(slots=True)
class _Host:
    """What has been heard of one host so far."""

    target: HostTarget
    ipv4: Answer | None = None
    ipv6: Answer | None = None
    expanded: str | None = None
    """The end of its CNAME chain, when it is an alias and has an address."""
    expanded_tlsa: Answer | None = None
    """What the expanded name had to say, when that did not settle the matter."""


class _Hosts:
    """The hosts of one call on their way through the steps."""

    def __init__(self, scan_id: str, opt_out: OptOuts, emit: Emit) -> None:
        self._scan_id = scan_id
        self._opt_out = opt_out
        self._emit = emit
        self._tlsa_of: list[_Host] = []
        """Mail hosts whose addresses are known, as far as they ever will be."""
        self._by_own_name: list[_Host] = []
        """Those of them whose TLSA records are to be looked for at the host's own name."""

    # --- addresses -------------------------------------------------------------------------

    def address_questions(self, targets: Iterable[HostTarget]) -> Iterator[Question]:
        """A and AAAA of every target that wants them."""
        for target in targets:
            host = _Host(target, expanded=target.expanded)
            if not target.ask_addresses:
                self._tlsa_of.append(host)
            elif (entry := self._opt_out.entry_for_host(target.host)) is None:
                for rdtype in _FAMILIES:
                    yield target.host, rdtype, host
            else:
                self._emit(_skipped_addresses(target, self._scan_id, entry))
                self._tlsa_of.append(host)

    def address_answered(self, host: _Host, answer: Answer) -> None:
        """One family is known; the row is made when both are."""
        if answer.rdtype == RdType.A:
            host.ipv4 = answer
        else:
            host.ipv6 = answer
        if host.ipv4 is not None and host.ipv6 is not None:
            row = _address_row(host.target, host.ipv4, host.ipv6, self._scan_id)
            self._emit(row)
            if row.status is DnsStatus.NOERROR and row.cname_chain:
                host.expanded = row.cname_chain[-1]
            self._tlsa_of.append(host)

    # --- TLSA ------------------------------------------------------------------------------

    def expanded_tlsa_questions(self) -> Iterator[Question]:
        """TLSA at the end of the CNAME chain of every mail host that is an alias.

        RFC 7672 section 2.2.3: the expanded name comes first, and the initial name where that
        has no authenticated TLSA records.
        """
        for host in self._tlsa_of:
            if not host.target.mail:
                continue
            if (entry := self._opt_out.entry_for_host(host.target.host)) is not None:
                self._emit(_skipped_tlsa(host.target, self._scan_id, entry))
            elif host.expanded and self._opt_out.entry_for_host(host.expanded) is None:
                yield tlsa_qname(host.expanded), RdType.TLSA, host
            else:
                self._by_own_name.append(host)

    def expanded_tlsa_answered(self, host: _Host, answer: Answer) -> None:
        """Authenticated records settle it, and so does a failure; anything else is asked on."""
        if answer.status in _ABSENT or (answer.records and not answer.authenticated):
            host.expanded_tlsa = answer
            self._by_own_name.append(host)
        else:
            self._emit(_tlsa_row(host.target, [answer], self._scan_id))

    def tlsa_questions(self) -> Iterator[Question]:
        """TLSA at the own name of every mail host for which it is still open."""
        for host in self._by_own_name:
            yield tlsa_qname(host.target.host), RdType.TLSA, host

    def tlsa_answered(self, host: _Host, answer: Answer) -> None:
        """The last word on the host's TLSA records."""
        heard = [answer] if host.expanded_tlsa is None else [host.expanded_tlsa, answer]
        self._emit(_tlsa_row(host.target, heard, self._scan_id))


# --- rows ----------------------------------------------------------------------------------


def _address_row(target: HostTarget, ipv4: Answer, ipv6: Answer, scan_id: str) -> AddressLookup:
    both = (ipv4, ipv6)
    used = [answer for answer in both if answer.records] or both
    telling = _telling(ipv4, ipv6)
    began = min(answer.started_at for answer in both)
    heard = [answer.authenticated for answer in used if answer.authenticated is not None]
    ttls = [answer.ttl for answer in used if answer.ttl is not None]
    common = columns(telling) | {
        "authenticated": all(heard) if heard else None,
        "ttl": min(ttls, default=None),
        "started_at": began,
        "elapsed_ms": max(answer.elapsed_ms for answer in both),  # they begin side by side
    }
    return AddressLookup(
        scan_id=scan_id,
        attempt=target.address_attempts + ipv4.attempts + ipv6.attempts,
        host=target.host,
        status_ipv4=ipv4.status,
        status_ipv6=ipv6.status,
        ipv4=ipv4.records,
        ipv6=ipv6.records,
        **common,
    )


def _telling(ipv4: Answer, ipv6: Answer) -> Answer:
    """The answer whose status is the host's.

    Any address makes it NOERROR.  Without one, a failure hides what might have been there; and
    where one family is NODATA the name exists, whatever the other family's answer says.
    """
    both = (ipv4, ipv6)
    found = [answer for answer in both if answer.records]
    failed = [answer for answer in both if answer.status not in _ABSENT]
    empty = [answer for answer in both if answer.status is DnsStatus.NO_ANSWER]
    return (found or failed or empty or both)[0]


def _tlsa_row(target: HostTarget, heard: list[Answer], scan_id: str) -> TlsaLookup:
    """The row for what was *heard*: at the expanded name, if it was asked, then at the own name."""
    kept = _decisive(heard)
    common = columns(kept) | {
        "started_at": heard[0].started_at,
        "elapsed_ms": sum(answer.elapsed_ms for answer in heard),
    }
    return TlsaLookup(
        scan_id=scan_id,
        attempt=target.tlsa_attempts + sum(answer.attempts for answer in heard),
        host=target.host,
        qname=kept.qname,
        records=kept.records,
        **common,
    )


def _decisive(heard: list[Answer]) -> Answer:
    # RFC 7672 section 2.2.3 knows authenticated records only.  Our reading of the rest: the last
    # answer counts, unless it denies what an earlier one had, if without authentication.
    last = heard[-1]
    if last.status in _ABSENT:
        return next((answer for answer in heard if answer.records), last)
    return last


def _skipped_addresses(target: HostTarget, scan_id: str, entry: str) -> AddressLookup:
    """The row of a host that is left alone; nothing was sent, so no attempt is added."""
    return AddressLookup(
        scan_id=scan_id,
        attempt=target.address_attempts + 1,
        host=target.host,
        status_ipv4=DnsStatus.OPTED_OUT,
        status_ipv6=DnsStatus.OPTED_OUT,
        **opted_out(entry),
    )


def _skipped_tlsa(target: HostTarget, scan_id: str, entry: str) -> TlsaLookup:
    return TlsaLookup(
        scan_id=scan_id,
        attempt=target.tlsa_attempts + 1,
        host=target.host,
        qname=tlsa_qname(target.host),
        **opted_out(entry),
    )
