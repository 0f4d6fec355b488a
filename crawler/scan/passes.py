"""The passes of a scan, as a table: what each asks, and how one shard of it is probed.

A pass reads its targets with one query over what earlier passes wrote, probes them and writes
rows.  Nothing flows back.  The verdicts, the fifth pass, touch no network: see ``judge.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crawler.probe import hosts, names, policy, starttls
from crawler.records import (
    AddressLookup,
    HostTarget,
    MailTarget,
    MxLookup,
    NameTarget,
    PolicyTarget,
    TlsaLookup,
    TxtLookup,
)
from crawler.scan.context import Context
from crawler.scan.destinations import visit
from crawler.scan.sink import Sink
from crawler.snapshot import carry, plan
from crawler.snapshot.plan import Connection, Planning, Relation

FirstRound = Callable[[Connection, Planning], Relation]
"""Everything that a pass may ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One row of the table."""

    name: str
    target: type[Any]
    first: FirstRound | None
    """What the first round asks; ``None``: every question about every domain of the list."""
    again: Callable[[Connection], Relation]
    probe: Callable[[Context, Sequence[Any], Sink], Awaitable[None]]
    carried: carry.Conversation | None = None
    """How what an earlier scan observed is carried over; ``None``: everything is asked anew."""
    by_destination: bool = False
    """Whether shards are of destinations: the same number of every such pass has the same ones."""
    shards_at_once: int
    """So that the slow end of one shard overlaps with the next; rows in memory grow with it."""


async def _ask_names(context: Context, targets: Sequence[NameTarget | str], sink: Sink) -> None:
    def emit(cls: type[TxtLookup] | type[MxLookup], rows: list[names.Row]) -> None:
        sink.emit_plain(cls, rows)
        context.progress.advance("names", len(rows))

    await names.probe(
        targets,
        scan_id=context.scan_id,
        resolver=context.resolver,
        opt_out=context.opt_out,
        emit=emit,
    )


async def _ask_hosts(context: Context, targets: Sequence[HostTarget], sink: Sink) -> None:
    def emit(row: AddressLookup | TlsaLookup) -> None:
        sink.emit(row)
        if isinstance(row, AddressLookup):  # a host's TLSA row is a second one of the same target
            context.progress.advance("hosts")

    await hosts.probe(
        targets,
        scan_id=context.scan_id,
        resolver=context.resolver,
        opt_out=context.opt_out,
        emit=emit,
    )


async def _fetch_policies(context: Context, targets: Sequence[PolicyTarget], sink: Sink) -> None:
    async def fetch(target: PolicyTarget) -> None:
        row, ders = await policy.probe(
            target,
            scan_id=context.scan_id,
            gate=context.gate,
            client=context.policy_client,
            now=context.now,
        )
        sink.emit(row, ders=ders)
        context.progress.advance("policies")

    limits = context.config.politeness
    await visit(targets, fetch, lanes=limits.per_address_https, at_once=limits.connections)


async def _greet_mail_hosts(context: Context, targets: Sequence[MailTarget], sink: Sink) -> None:
    async def greet(target: MailTarget) -> None:
        await context.canaries.answering()
        row, ders = await starttls.probe(
            target,
            scan_id=context.scan_id,
            gate=context.gate,
            client=context.mail_client,
            now=context.now,
        )
        sink.emit(await context.canaries.vouched(row), ders=ders)
        context.progress.advance("mail")

    limits = context.config.politeness
    async with context.canaries.watching():
        await visit(targets, greet, lanes=limits.per_address_smtp, at_once=limits.connections)


NAMES: Final = Pass(
    name="names",
    target=NameTarget,
    first=None,
    again=plan.names_again,
    probe=_ask_names,
    shards_at_once=2,
)
HOSTS: Final = Pass(
    name="hosts",
    target=HostTarget,
    first=plan.hosts,
    again=plan.hosts_again,
    probe=_ask_hosts,
    shards_at_once=2,
)
POLICIES: Final = Pass(
    name="policies",
    target=PolicyTarget,
    first=plan.policies,
    again=plan.policies_again,
    probe=_fetch_policies,
    carried=carry.POLICIES,
    by_destination=True,
    shards_at_once=8,
)
MAIL: Final = Pass(
    name="mail",
    target=MailTarget,
    first=plan.mail,
    again=plan.mail_again,
    probe=_greet_mail_hosts,
    carried=carry.MAIL,
    by_destination=True,
    shards_at_once=8,
)

ORDER: Final = ((NAMES,), (HOSTS,), (POLICIES, MAIL))
"""Passes of one group need only what earlier groups wrote, so they run side by side."""
