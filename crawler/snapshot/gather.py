"""What judging needs, gathered from the tables: sessions with their chains, domains with all.

The counterpart of ``plan.py``: that module asks what to probe next, this one what was seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import pyarrow as pa

from crawler.assessment.evidence import DomainEvidence, HostEvidence
from crawler.records import (
    AddressLookup,
    MailVerdict,
    MxLookup,
    PolicyFetch,
    PolicyVerdict,
    StarttlsSession,
    TlsaLookup,
    TxtLookup,
)
from crawler.snapshot.plan import Connection, Planning, mark_scope
from crawler.snapshot.rows import from_table
from crawler.vocabulary import IoStatus, TxtKind

R = TypeVar("R")

BATCH = 5_000
"""Sessions judged at once: their chains are in memory together."""

SLICE = 10_000
"""Domains gathered at once: their lookups are in memory together."""

INTERMEDIATES = 20_000
"""More CA certificates than the Web has; a bound on what hostile hosts can make us keep."""


def _read(connection: Connection, cls: type[R], query: str) -> Iterator[R]:
    for batch in connection.sql(query).to_arrow_reader(BATCH):
        yield from from_table(cls, pa.Table.from_batches([batch]))


def intermediates(connection: Connection) -> tuple[bytes, ...]:
    """The CA certificates that hosts of this scan presented below an anchor, each once.

    With them a leaf that came without its issuer can be told from one that nobody vouches for.
    """
    found = connection.sql(
        "SELECT any_value(der) FROM certificates WHERE is_ca AND NOT self_issued "
        f"GROUP BY sha256 ORDER BY sha256 LIMIT {INTERMEDIATES}"
    ).fetchall()
    return tuple(der for (der,) in found)


def sessions(connection: Connection, cls: type[R]) -> Iterator[tuple[list[R], dict[str, bytes]]]:
    """Last attempts of a conversation table in batches, with the DER of their certificates."""
    ordered = f"SELECT * FROM latest_{cls.table} ORDER BY host, address"  # type: ignore[attr-defined]
    connection.execute(f"CREATE OR REPLACE TEMP TABLE to_judge AS {ordered}")
    count = connection.sql("SELECT count(*) FROM to_judge").fetchall()[0][0]
    for offset in range(0, count, BATCH):
        page = f"SELECT * FROM to_judge LIMIT {BATCH} OFFSET {offset}"
        rows = list(_read(connection, cls, page))
        ders = connection.sql(
            "SELECT sha256, any_value(der) FROM certificates WHERE sha256 IN "
            f"(SELECT DISTINCT unnest(chain) FROM ({page})) GROUP BY sha256"
        ).fetchall()
        yield rows, dict(ders)


def tlsa_of(connection: Connection, rows: Iterable[StarttlsSession]) -> dict[str, TlsaLookup]:
    """The TLSA lookups of the hosts of some sessions."""
    _needed(connection, {row.host for row in rows})
    return {r.host: r for r in _read(connection, TlsaLookup, _of_needed(TlsaLookup))}


def _needed(connection: Connection, hosts: set[str]) -> None:
    connection.register("needed", pa.table({"host": pa.array(sorted(hosts), pa.string())}))


def _of_needed(cls: type[Any], prefix: str = "latest_") -> str:
    return f"SELECT * FROM {prefix}{cls.table} SEMI JOIN needed USING (host)"


def _by(key: Callable[[R], str], rows: Iterable[R]) -> dict[str, list[R]]:
    grouped: dict[str, list[R]] = defaultdict(list)
    for row in rows:
        grouped[key(row)].append(row)
    return grouped


def _as_chosen(judged: tuple[PolicyFetch, PolicyVerdict]) -> tuple[bool, bool, str]:
    """The order in which ``plan.policies`` chooses: what may be dialled, then IPv4, then by text."""
    fetch, _ = judged
    return fetch.status is IoStatus.BLOCKLISTED_TARGET, ":" in fetch.address, fetch.address


def domains(
    connection: Connection, planning: Planning, *, at_once: int = SLICE
) -> Iterator[DomainEvidence]:
    """Evidence for every domain that the connection's ``domains`` view shows, by name.

    A domain that is out of scope keeps its lookups by name and has hosts without evidence, even
    where another domain's scope had the same host probed: what is judged of a domain must not
    depend on its neighbours in the list.
    """
    mark_scope(connection, planning)
    connection.execute("CREATE OR REPLACE TEMP TABLE gathered AS FROM domains ORDER BY domain")
    connection.execute("CREATE OR REPLACE TEMP TABLE gathered_mx AS FROM mx_hosts")
    (count,) = connection.sql("SELECT count(*) FROM gathered").fetchall()[0]
    looked_at: dict[str, HostEvidence] = {}
    for offset in range(0, count, at_once):
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE slice AS "
            f"SELECT domain FROM gathered LIMIT {at_once} OFFSET {offset}"
        )
        yield from _slice(connection, looked_at)


def _of_slice(table: str) -> str:
    return f"SELECT * FROM {table} SEMI JOIN slice USING (domain)"


def _slice(connection: Connection, looked_at: dict[str, HostEvidence]) -> Iterator[DomainEvidence]:
    """Evidence for the domains of ``slice``; *looked_at* holds the MX hosts of those before."""
    listed = [d for (d,) in connection.sql("FROM slice ORDER BY domain").fetchall()]
    policy_hosts = dict(connection.sql(_of_slice("policy_hosts")).fetchall())
    in_scope = {d for (d,) in connection.sql(_of_slice("mail_scope")).fetchall()}
    mx_hosts: dict[str, list[str]] = defaultdict(list)
    ordered = f"SELECT domain, host FROM ({_of_slice('gathered_mx')}) ORDER BY domain, position"
    for domain, host in connection.sql(ordered).fetchall():
        mx_hosts[domain].append(host)
    in_use = {h for d, hosts in mx_hosts.items() if d in in_scope for h in hosts}
    looked_at.update(_hosts(connection, in_use - looked_at.keys()))

    txt = {
        (r.domain, r.kind): r for r in _read(connection, TxtLookup, _of_slice("latest_txt_lookups"))
    }
    mx = {r.domain: r for r in _read(connection, MxLookup, _of_slice("latest_mx_lookups"))}
    _needed(connection, set(policy_hosts.values()))
    addresses = {r.host: r for r in _read(connection, AddressLookup, _of_needed(AddressLookup))}
    fetches = {
        (r.domain, r.address): r for r in _read(connection, PolicyFetch, _of_needed(PolicyFetch))
    }
    verdicts = _by(
        lambda r: r.domain, _read(connection, PolicyVerdict, _of_needed(PolicyVerdict, ""))
    )

    for domain in listed:
        judged = [(fetches[domain, v.address], v) for v in verdicts.get(domain, ())]
        yield DomainEvidence(
            domain=domain,
            mail_in_scope=domain in in_scope,
            sts=txt.get((domain, TxtKind.MTA_STS)),
            tlsrpt=txt.get((domain, TxtKind.TLS_RPT)),
            mx=mx.get(domain),
            policy_addresses=addresses.get(policy_hosts.get(domain, "")),
            fetches=tuple(sorted(judged, key=_as_chosen)),
            hosts=tuple(
                looked_at[host] if domain in in_scope else HostEvidence(host=host)
                for host in mx_hosts.get(domain, ())
            ),
        )


def _hosts(connection: Connection, hosts: set[str]) -> dict[str, HostEvidence]:
    """What is known of some MX hosts."""
    _needed(connection, hosts)
    addresses = {r.host: r for r in _read(connection, AddressLookup, _of_needed(AddressLookup))}
    tlsa = {r.host: r for r in _read(connection, TlsaLookup, _of_needed(TlsaLookup))}
    mail = _by(lambda r: r.host, _read(connection, MailVerdict, _of_needed(MailVerdict, "")))
    return {
        host: HostEvidence(
            host=host,
            addresses=addresses.get(host),
            tlsa=tlsa.get(host),
            verdicts=tuple(sorted(mail.get(host, ()), key=lambda v: v.address)),
        )
        for host in hosts
    }
