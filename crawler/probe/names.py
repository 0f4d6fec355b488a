"""What do the TXT and MX records of a domain say?  The names pass.

Three questions a domain: TXT at ``_mta-sts.<domain>`` (RFC 8461 section 3.1), TXT at
``_smtp._tls.<domain>`` (RFC 8460 section 3) and MX at the domain (RFC 5321 section 5.1).  Every
target becomes one row, whatever happens; what the strings mean is left to ``assessment``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from crawler.net.resolver import Answer, Question, Resolver
from crawler.probe.lookups import OptOuts, columns, opted_out
from crawler.protocol import mx, names
from crawler.protocol.dns_wire import RdType
from crawler.records import MxLookup, NameTarget, TxtLookup
from crawler.vocabulary import DnsStatus, TxtKind
from crawler.vocabulary import Question as Asked

Emit = Callable[[TxtLookup | MxLookup], object]

_ASK: Final[Mapping[Asked, tuple[Callable[[str], str], RdType]]] = MappingProxyType(
    {
        Asked.MTA_STS: (names.sts_qname, RdType.TXT),
        Asked.TLS_RPT: (names.tlsrpt_qname, RdType.TXT),
        Asked.MX: (str, RdType.MX),  # at the domain itself
    }
)

_KIND: Final = MappingProxyType({Asked.MTA_STS: TxtKind.MTA_STS, Asked.TLS_RPT: TxtKind.TLS_RPT})


async def probe(
    targets: Iterable[NameTarget],
    *,
    scan_id: str,
    resolver: Resolver,
    opt_out: OptOuts,
    emit: Emit,
) -> None:
    """Ask every one of *targets*, and hand *emit* one row for each, in the order of the answers.

    Targets are taken as there is room for their questions, so there may be any number of them.
    A domain that has opted out is not asked about; its row says so.
    """
    answered = partial(_answered, scan_id=scan_id, emit=emit)
    await resolver.ask(_questions(targets, scan_id, opt_out, emit), answered)


def _questions(
    targets: Iterable[NameTarget], scan_id: str, opt_out: OptOuts, emit: Emit
) -> Iterator[Question]:
    for target in targets:
        entry = opt_out.entry_for_domain(target.domain)
        if entry is None:
            name_of, rdtype = _ASK[target.question]
            yield name_of(target.domain), rdtype, target
        else:
            emit(_skipped(target, scan_id, entry))


def _answered(target: NameTarget, answer: Answer, *, scan_id: str, emit: Emit) -> None:
    kind = _KIND.get(target.question)
    if kind is None:
        emit(_mx_row(target, answer, scan_id))
    else:
        emit(_txt_row(target, kind, answer, scan_id))


def _txt_row(target: NameTarget, kind: TxtKind, answer: Answer, scan_id: str) -> TxtLookup:
    return TxtLookup(
        scan_id=scan_id,
        attempt=target.attempts + answer.attempts,
        domain=target.domain,
        kind=kind,
        qname=answer.qname,
        records=answer.records,
        **columns(answer),
    )


def _mx_row(target: NameTarget, answer: Answer, scan_id: str) -> MxLookup:
    read = mx.read(answer.records)
    return MxLookup(
        scan_id=scan_id,
        attempt=target.attempts + answer.attempts,
        domain=target.domain,
        hosts=read.hosts,
        null_mx=read.null_mx,
        # RFC 5321 section 5.1: "If an empty list of MXs is returned, the address is treated as
        # if it was associated with an implicit MX RR" - NODATA, that is, and never NXDOMAIN.
        implicit_mx=answer.status is DnsStatus.NO_ANSWER,
        **columns(answer),
    )


def _skipped(target: NameTarget, scan_id: str, entry: str) -> TxtLookup | MxLookup:
    """The row of a target that is left alone; nothing was sent, so no attempt is added."""
    kind = _KIND.get(target.question)
    if kind is None:
        return MxLookup(
            scan_id=scan_id, attempt=target.attempts + 1, domain=target.domain, **opted_out(entry)
        )
    name_of, _ = _ASK[target.question]
    return TxtLookup(
        scan_id=scan_id,
        attempt=target.attempts + 1,
        domain=target.domain,
        kind=kind,
        qname=name_of(target.domain),
        **opted_out(entry),
    )
