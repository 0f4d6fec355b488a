"""What each pass asks next: one query per pass over what earlier passes wrote.

The first round of a pass is planned by SQL over the views of ``views.py``; a later round asks
again what ``assessment.transient`` calls transient.  Two questions that are not SQL's are put
to pure functions on the way: whether a TXT answer shows a sign of MTA-STS or TLSRPT, and
whether an address may be dialled at all.

Every function returns a relation whose columns are those of a target class of ``records``,
plus ``shard_key``: the text whose hash decides the shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from crawler.assessment import transient
from crawler.assessment.assess import shows_sign
from crawler.protocol.names import policy_host
from crawler.records import (
    AddressLookup,
    HostTarget,
    MailTarget,
    MxLookup,
    NameTarget,
    PolicyFetch,
    PolicyTarget,
    StarttlsSession,
    TlsaLookup,
    TxtLookup,
)
from crawler.snapshot import duck
from crawler.snapshot.rows import from_table, to_table
from crawler.vocabulary import DnsStatus, IoStatus, Question, Scope, TxtKind

Connection = duckdb.DuckDBPyConnection
Relation = duckdb.DuckDBPyRelation


LOOKED_UP = 64
"""MX hosts of one domain that are looked up at the most: no real domain has so many, and one
answer must not be able to make us ask thousands of questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """What decides which targets are in scope."""

    scope: Scope = Scope.ADOPTERS
    sample_rate: float = 0.0
    seed: str
    mx_hosts: int
    addresses_per_family: int
    both_families: bool = False
    refusal: Callable[[str], str | None]
    """Why an address may not be dialled, or ``None``."""


# --- in which order ------------------------------------------------------------------------

_VISITED: Final[Mapping[type[Any], str]] = {
    NameTarget: "visit_order($seed, domain), question",
    HostTarget: "visit_order($seed, host)",
    PolicyTarget: "visit_order($seed, domain || ' ' || address)",
    MailTarget: "visit_order($seed, host || ' ' || address)",
}


def visit(target: type[Any], seed: str) -> str:
    """The SQL expressions that put targets into an order that only the seed decides.

    List neighbours are often rack neighbours; in this order they are not.
    """
    return _VISITED[target].replace("$seed", duck.literal(seed))


# --- which domains are in scope ------------------------------------------------------------


def _batches(connection: Connection, query: str) -> Iterator[pa.RecordBatch]:
    """Stream a query; the caller reads it to the end before it asks the connection again."""
    yield from connection.sql(query).to_arrow_reader(50_000)


def mark_signs(connection: Connection) -> None:
    """Fill ``signs``: the domains whose TXT answers show a sign of MTA-STS or TLSRPT."""

    def signed() -> Iterator[str]:
        query = "SELECT * FROM latest_txt_lookups WHERE len(records) > 0 OR len(cname_chain) > 0"
        for batch in _batches(connection, query):
            for row in from_table(TxtLookup, pa.Table.from_batches([batch])):
                sts, tlsrpt = (row, None) if row.kind is TxtKind.MTA_STS else (None, row)
                if shows_sign(sts, tlsrpt):
                    yield row.domain

    _fill(connection, "signs", "domain", signed())
    connection.execute("CREATE OR REPLACE TEMP TABLE signs AS SELECT DISTINCT domain FROM signs")


def mark_refused(connection: Connection, refusal: Callable[[str], str | None]) -> None:
    """Fill ``refused_addresses``: those among the looked-up ones that may not be dialled."""

    def refused() -> Iterator[str]:
        query = (
            "SELECT DISTINCT unnest(list_concat(ipv4, ipv6)) AS address FROM latest_address_lookups"
        )
        for batch in _batches(connection, query):
            yield from (a for a in batch.column("address").to_pylist() if refusal(a) is not None)

    _fill(connection, "refused_addresses", "address", refused())


def _fill(connection: Connection, table: str, column: str, values: Iterable[str]) -> None:
    connection.execute(f"DELETE FROM {table}")
    filling = pa.table({column: pa.array(values, pa.string())})
    connection.register("filling", filling)
    connection.execute(f"INSERT INTO {table} SELECT * FROM filling")
    connection.unregister("filling")


def mark_scope(connection: Connection, planning: Planning) -> None:
    """Create ``policy_scope`` and ``mail_scope``: domains whose policy host or MX hosts count.

    The control sample is drawn by a hash of seed and name, so it is the same in every run.
    """
    mark_signs(connection)
    sampled = (
        "SELECT domain FROM domains WHERE md5_number_lower($seed || domain) < "
        "CAST($rate * 18446744073709551615::DOUBLE AS UHUGEINT)"
    )
    chosen = {
        Scope.ADOPTERS: ("SELECT domain FROM signs", "SELECT domain FROM signs"),
        Scope.ALL: ("SELECT domain FROM signs", "SELECT domain FROM domains"),
        Scope.SAMPLE: (f"SELECT domain FROM signs UNION {sampled}",) * 2,
    }[planning.scope]
    parameters = {"seed": planning.seed, "rate": planning.sample_rate}
    for name, query in zip(("policy_scope", "mail_scope"), chosen, strict=True):
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS {query}",
            parameters if planning.scope is Scope.SAMPLE else None,
        )
    hosts = [
        (domain, policy_host(domain))
        for batch in _batches(connection, "SELECT domain FROM policy_scope")
        for domain in batch.column("domain").to_pylist()
    ]
    table = pa.table(
        {
            "domain": pa.array([d for d, _ in hosts], pa.string()),
            "host": pa.array([h for _, h in hosts], pa.string()),
        }
    )
    connection.register("policy_hosts_found", table)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE policy_hosts AS SELECT * FROM policy_hosts_found"
    )
    connection.unregister("policy_hosts_found")


# --- first rounds --------------------------------------------------------------------------


def names(domains: Iterable[str]) -> list[NameTarget]:
    """Every question about each domain."""
    return [NameTarget(domain=d, question=q) for d in domains for q in Question]


def questions(targets: Iterable[Any]) -> int:
    """How many targets these are, when the text of a domain stands for every question about it."""
    return sum(len(Question) if isinstance(target, str) else 1 for target in targets)


def hosts(connection: Connection, planning: Planning) -> Relation:
    """Every distinct policy host and MX host in scope.

    MX hosts beyond those that are contacted are looked up too, since DANE is known from DNS.
    """
    mark_scope(connection, planning)
    return connection.sql(
        f"""
        SELECT host, bool_or(mail) AS mail, true AS ask_addresses, NULL::VARCHAR AS expanded,
               0::BIGINT AS address_attempts, 0::BIGINT AS tlsa_attempts, host AS shard_key
        FROM (SELECT host, false AS mail FROM policy_hosts
              UNION ALL
              SELECT host, true FROM mx_hosts SEMI JOIN mail_scope USING (domain)
              WHERE position <= {max(planning.mx_hosts, LOOKED_UP)})
        GROUP BY host"""
    )


def policies(connection: Connection, planning: Planning) -> Relation:
    """Every policy host at its first address, IPv4 before IPv6; or at the first of each family.

    An address that may not be dialled never hides one that may: it is listed beside it, and its
    row says why nothing was sent.
    """
    mark_scope(connection, planning)
    mark_refused(connection, planning.refusal)
    chosen = "position = 1" if planning.both_families else "choice = 1"
    return connection.sql(
        f"""
        SELECT domain, host, address, aliases, 0::BIGINT AS attempts, NULL::VARCHAR AS due,
               prefix_of(address) AS shard_key
        FROM (SELECT domain, host, address, aliases, refused, position, row_number() OVER (
                  PARTITION BY domain ORDER BY refused, family, position) AS choice
              FROM policy_hosts JOIN host_addresses USING (host))
        WHERE refused OR {chosen}"""
    )


def mail(connection: Connection, planning: Planning) -> Relation:
    """Every distinct MX host in scope at its first addresses of each family."""
    mark_scope(connection, planning)
    mark_refused(connection, planning.refusal)
    return connection.sql(
        f"""
        SELECT host, address, aliases, 0::BIGINT AS attempts, NULL::VARCHAR AS due,
               prefix_of(address) AS shard_key
        FROM host_addresses
        WHERE host IN (SELECT host FROM mx_hosts SEMI JOIN mail_scope USING (domain)
                       WHERE position <= {planning.mx_hosts})
          AND (refused OR position <= {planning.addresses_per_family})"""
    )


# --- later rounds --------------------------------------------------------------------------

_SETTLED_DNS = (DnsStatus.NOERROR, DnsStatus.NO_ANSWER, DnsStatus.NXDOMAIN)


def _words(settled: tuple[str, ...]) -> str:
    return "(" + ", ".join(f"'{word}'" for word in settled) + ")"


def _unsettled(
    connection: Connection, cls: type[Any], settled: tuple[str, ...], *columns: str
) -> Iterator[Any]:
    """The last rows of a table with a status that leaves the door open to being transient."""
    where = " OR ".join(f"{column} NOT IN {_words(settled)}" for column in columns or ("status",))
    for batch in _batches(connection, f"SELECT * FROM latest_{cls.table} WHERE {where}"):
        yield from from_table(cls, pa.Table.from_batches([batch]))


def names_again(connection: Connection) -> Relation:
    """Questions of the names pass whose last answer was transient."""

    def targets() -> Iterator[NameTarget]:
        for txt in _unsettled(connection, TxtLookup, _SETTLED_DNS):
            if transient.transient_lookup(txt):
                yield NameTarget(
                    domain=txt.domain, question=Question(txt.kind), attempts=txt.attempt
                )
        for mx in _unsettled(connection, MxLookup, _SETTLED_DNS):
            if transient.transient_lookup(mx):
                yield NameTarget(domain=mx.domain, question=Question.MX, attempts=mx.attempt)

    connection.register("again", to_table(NameTarget, list(targets())))
    return connection.sql("SELECT *, domain AS shard_key FROM again")


def hosts_again(connection: Connection) -> Relation:
    """Hosts with a family, or a TLSA question, whose last answer was transient.

    Where the addresses are asked again TLSA is too: its name follows the CNAME chain.
    """
    _fill_hosts(
        connection,
        "addresses_again",
        _unsettled(connection, AddressLookup, _SETTLED_DNS, "status_ipv4", "status_ipv6"),
        transient.transient_address,
    )
    _fill_hosts(
        connection,
        "tlsa_again",
        _unsettled(connection, TlsaLookup, _SETTLED_DNS),
        transient.transient_lookup,
    )
    return connection.sql("""
        SELECT host, tlsa.host IS NOT NULL AS mail, a.host IS NOT NULL AS ask_addresses,
               lookup.cname_chain[-1] AS expanded, lookup.attempt AS address_attempts,
               coalesce(tlsa.attempt, 0) AS tlsa_attempts, host AS shard_key
        FROM (FROM addresses_again UNION FROM tlsa_again)
        JOIN latest_address_lookups AS lookup USING (host)
        LEFT JOIN latest_tlsa_lookups AS tlsa USING (host)
        LEFT JOIN addresses_again AS a USING (host)""")


def _fill_hosts(
    connection: Connection, table: str, rows: Iterator[Any], wanted: Callable[[Any], bool]
) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} (host VARCHAR)")
    _fill(connection, table, "host", (row.host for row in rows if wanted(row)))


def policies_again(connection: Connection) -> Relation:
    """Policy fetches whose last attempt was transient."""
    found = (
        PolicyTarget(
            domain=row.domain,
            host=row.host,
            address=row.address,
            attempts=row.attempt,
            due=row.due,
        )
        for row in _unsettled(connection, PolicyFetch, (IoStatus.SUCCESS,))
        if transient.transient_fetch(row)
    )
    return _conversations_again(connection, PolicyTarget, found)


def mail_again(connection: Connection) -> Relation:
    """STARTTLS sessions whose last attempt was transient."""
    found = (
        MailTarget(host=row.host, address=row.address, attempts=row.attempt, due=row.due)
        for row in _unsettled(connection, StarttlsSession, (IoStatus.SUCCESS,))
        if transient.transient_session(row)
    )
    return _conversations_again(connection, MailTarget, found)


def _conversations_again(
    connection: Connection, cls: type[Any], targets: Iterable[Any]
) -> Relation:
    """Targets with the CNAME chain of their host, so that a new opt-out still finds them."""
    connection.register("again", to_table(cls, list(targets)))
    return connection.sql("""
        SELECT again.* REPLACE (coalesce(lookup.cname_chain, []) AS aliases),
               prefix_of(address) AS shard_key
        FROM again LEFT JOIN latest_address_lookups AS lookup USING (host)""")
