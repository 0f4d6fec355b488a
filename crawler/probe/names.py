"""What do the TXT and MX records of a domain say?  The names pass.

Three questions a domain: TXT at ``_mta-sts.<domain>`` (RFC 8461 section 3.1), TXT at
``_smtp._tls.<domain>`` (RFC 8460 section 3) and MX at the domain (RFC 5321 section 5.1).  Every
question becomes one row, whatever happens; what the strings mean is left to ``assessment``.

Nearly all questions of a scan are asked here, so rows are made as plain tuples in the order of
the columns: an instance of a frozen dataclass costs ten times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from crawler.net.resolver import Lookup, Resolver
from crawler.probe.lookups import OptOuts, opted_out
from crawler.protocol import mx, names
from crawler.protocol.dns_wire import NameTooLong, RdType, name_to_wire, question_below
from crawler.records import MxLookup, NameTarget, TxtLookup
from crawler.vocabulary import BLAME_OF_DNS, DnsStatus, TxtKind
from crawler.vocabulary import Question as Asked

PlainRow = tuple[Any, ...]
"""The values of a row, in the order of its columns."""

Row = PlainRow | TxtLookup | MxLookup
Emit = Callable[[type[TxtLookup] | type[MxLookup], list[Row]], object]


class _Ask(NamedTuple):
    """How one of the three questions is put."""

    name_of: Callable[[str], str]
    labels: bytes
    """What the name asked for has in front of the domain's, as octets."""
    rdtype: RdType
    kind: TxtKind | None
    """None for MX."""


def _ask(name_of: Callable[[str], str], rdtype: RdType, kind: TxtKind | None) -> _Ask:
    labels = name_to_wire(name_of("x")).removesuffix(name_to_wire("x"))
    return _Ask(name_of, labels, rdtype, kind)


_ASK: Final[Mapping[Asked, _Ask]] = MappingProxyType(
    {
        Asked.MTA_STS: _ask(names.sts_qname, RdType.TXT, TxtKind.MTA_STS),
        Asked.TLS_RPT: _ask(names.tlsrpt_qname, RdType.TXT, TxtKind.TLS_RPT),
        Asked.MX: _ask(str, RdType.MX, None),  # at the domain itself
    }
)
_ALL: Final = tuple(_ASK.values())


async def probe(
    targets: Iterable[NameTarget | str],
    *,
    scan_id: str,
    resolver: Resolver,
    opt_out: OptOuts,
    emit: Emit,
) -> None:
    """Ask every one of *targets*; a domain as text is all three questions about it.

    *emit* gets a class and some rows of it, one for each question, in the order of the answers.
    Targets are taken as there is room for their questions, so there may be any number of them.
    A domain that has opted out is not asked about; its rows say so.
    """
    settled = partial(_settled, scan_id=scan_id, emit=emit)
    await resolver.settle(_lookups(targets, scan_id, opt_out, emit), settled)


def _lookups(
    targets: Iterable[NameTarget | str], scan_id: str, opt_out: OptOuts, emit: Emit
) -> Iterator[Lookup]:
    for target in targets:
        if isinstance(target, str):
            domain, asks, attempts = target, _ALL, 0
        else:
            domain, asks, attempts = target.domain, (_ASK[target.question],), target.attempts
        entry = opt_out.entry_for_domain(domain)
        if entry is not None:
            for ask in asks:
                row = _skipped(scan_id, domain, ask, attempts, entry)
                emit(type(row), [row])
            continue
        octets = name_to_wire(domain)
        for name_of, labels, rdtype, kind in asks:
            try:
                question = question_below(labels, octets, rdtype)
            except NameTooLong:
                question = b""
            yield Lookup(name_of(domain), rdtype, question, (domain, kind, attempts))


def _settled(lookups: list[Lookup], *, scan_id: str, emit: Emit) -> None:
    txt: list[Row] = []
    mail: list[Row] = []
    for lookup in lookups:
        domain, kind, attempts = lookup.token
        status, records, chain, ttl, authenticated, _, error = lookup.message
        beginning, resolver = lookup.beginning, lookup.resolver
        common = (
            scan_id,
            None,  # the vantage: whoever collects the rows knows it
            attempts + lookup.attempts,
            beginning.started_at,
            (lookup.ended_at - beginning.at) * 1000.0,
            BLAME_OF_DNS[status],
            error,
            status,
            authenticated if resolver is not None else None,
            chain,
            ttl,
            resolver,
            domain,
        )
        if kind is not None:
            txt.append((*common, kind, lookup.qname, records))
        else:
            # RFC 5321 section 5.1: "If an empty list of MXs is returned, the address is treated
            # as if it was associated with an implicit MX RR" - NODATA, that is, never NXDOMAIN.
            mail.append((*common, *_hosts(records), status is _NO_ANSWER))
    if txt:
        emit(TxtLookup, txt)
    if mail:
        emit(MxLookup, mail)


_NO_ANSWER: Final = DnsStatus.NO_ANSWER  # by name it takes ten times as long on Python 3.11


@lru_cache(maxsize=16_384)  # a large operator has the same MX records for each of its customers
def _hosts(records: tuple[tuple[int, str], ...]) -> tuple[tuple[tuple[int, str], ...], bool]:
    """The columns ``hosts`` and ``null_mx``."""
    read = mx.read(records)
    return tuple((host.preference, host.host) for host in read.hosts), read.null_mx


def _skipped(
    scan_id: str, domain: str, ask: _Ask, attempts: int, entry: str
) -> TxtLookup | MxLookup:
    """The row of a question that is not asked; a skip counts, or two rows would be one target's."""
    common = {"scan_id": scan_id, "attempt": attempts + 1, "domain": domain, **opted_out(entry)}
    if ask.kind is None:
        return MxLookup(**common)
    return TxtLookup(kind=ask.kind, qname=ask.name_of(domain), **common)
