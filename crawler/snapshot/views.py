"""The tables of one scan as DuckDB views, whether they lie in a folder or in memory.

Every query of the crawler reads these views and nothing else: one view per table, one
``latest_<table>`` with the last attempt of each target, and what planning and judging derive
from them (which MX hosts count for a domain, which addresses a host has).  The SQL here joins
and orders; what a record, policy or reply *means* is never decided here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from crawler.records import (
    AddressLookup,
    Certificate,
    Domain,
    MailVerdict,
    MxLookup,
    PolicyFetch,
    PolicyVerdict,
    StarttlsSession,
    TlsaLookup,
    TxtLookup,
)
from crawler.snapshot import duck

Row = type[Any]

ATTEMPTED: tuple[Row, ...] = (
    TxtLookup,
    MxLookup,
    AddressLookup,
    TlsaLookup,
    PolicyFetch,
    StarttlsSession,
)
VIEWED: tuple[Row, ...] = (Domain, *ATTEMPTED, Certificate, PolicyVerdict, MailVerdict)

EARLIER: tuple[Row, ...] = (
    TxtLookup,
    AddressLookup,
    TlsaLookup,
    PolicyFetch,
    StarttlsSession,
    Certificate,
    PolicyVerdict,
    MailVerdict,
)
"""What of an earlier scan is asked for; see ``carry``."""

_ROUND: Final = re.compile(r"^part-[a-z-]+-r(\d+)-\d{5}")
"""How the parts of a pass are named, see ``folder``."""

_MACROS = """
-- The /24 or /64 of an address in canonical text: the destination that politeness counts by.
-- "::" stands for as many zero groups as are missing to eight.
CREATE OR REPLACE TEMP MACRO prefix_of(address) AS CASE
    WHEN NOT contains(address, ':') THEN regexp_extract(address, '^\\d+\\.\\d+\\.\\d+')
    ELSE array_to_string(list_slice(ipv6_groups(
        list_filter(string_split(split_part(address, '::', 1), ':'), lambda g: g <> ''),
        list_filter(string_split(split_part(address, '::', 2), ':'), lambda g: g <> '')), 1, 4), ':')
    END;
CREATE OR REPLACE TEMP MACRO ipv6_groups(head, tail) AS list_concat(
    head, list_concat(list_transform(range(8 - len(head) - len(tail)), lambda i: '0'), tail));
"""

_DERIVED = """
-- MX hosts of a domain by preference, ties in seeded order; the implicit MX is the domain itself.
CREATE OR REPLACE TEMP VIEW mx_hosts AS
SELECT domain, host, preference,
       row_number() OVER (PARTITION BY domain ORDER BY preference, md5($seed || host), host) AS position
FROM (
    SELECT domain, mx.host AS host, min(mx.preference) AS preference
    FROM (SELECT domain, unnest(hosts) AS mx FROM latest_mx_lookups)
    WHERE mx.host <> ''
    GROUP BY ALL
    UNION ALL
    SELECT domain, domain, 0 FROM latest_mx_lookups WHERE implicit_mx
);
-- Addresses of a host; position counts those of its family that may be dialled.
CREATE OR REPLACE TEMP VIEW host_addresses AS
SELECT *, row_number() OVER (PARTITION BY host, family, refused ORDER BY address) AS position
FROM (SELECT host, aliases, family, address, refusal.address IS NOT NULL AS refused FROM (
    SELECT host, cname_chain AS aliases, 4 AS family, unnest(ipv4) AS address FROM latest_address_lookups
    UNION ALL
    SELECT host, cname_chain, 6, unnest(ipv6) FROM latest_address_lookups
) LEFT JOIN refused_addresses AS refusal USING (address));
"""


def open_views(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[Row, Sequence[Path] | pa.Table],
    *,
    seed: str,
) -> None:
    """Create the views over Parquet parts or Arrow tables; a table without either is empty.

    *seed* breaks ties between MX hosts of equal preference.  ``refused_addresses`` and
    ``signs`` start empty: planning fills them.
    """
    connection.execute(_MACROS)
    for cls in VIEWED:
        source = sources.get(cls, ())
        if isinstance(source, pa.Table):
            connection.register(cls.table, source)
        else:
            duck.view(connection, cls, source)
    for cls in ATTEMPTED:
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW latest_{cls.table} AS "
            f"{_latest(cls, sources.get(cls, ()))}"
        )
    connection.execute("CREATE TEMP TABLE refused_addresses (address VARCHAR)")
    connection.execute("CREATE TEMP TABLE signs (domain VARCHAR)")
    connection.execute(_DERIVED.replace("$seed", duck.literal(seed)))


def open_earlier(
    connection: duckdb.DuckDBPyConnection, sources: Mapping[Row, Sequence[Path]]
) -> None:
    """Create a view ``earlier_<table>`` for each table of a sealed scan, with last attempts only.

    A column that an older version did not write is null.
    """
    for cls, paths in sources.items():
        name = f"earlier_{cls.table}"
        duck.view(connection, cls, (), f"no_{cls.table}")
        duck.view(connection, cls, paths, f"all_{name}")
        last = _latest(cls, paths, f"all_{name}") if cls in ATTEMPTED else f"FROM all_{name}"
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {name} AS FROM no_{cls.table} UNION ALL BY NAME ({last})"
        )


def _latest(cls: Row, source: Sequence[Path] | pa.Table, table: str = "") -> str:
    """The query for the last attempt of each target.

    A round probes a target once, so of parts that tell their round the last attempt is known
    without sorting: what no later round repeats.  That streams, however large the table is.
    """
    table = table or cls.table
    keys = ", ".join(cls.primary_key)
    rounds = None if isinstance(source, pa.Table) else _by_round(source)
    if rounds is None:
        return (
            f"SELECT * FROM {table} QUALIFY row_number() OVER "
            f"(PARTITION BY {keys} ORDER BY attempt DESC, started_at DESC) = 1"
        )
    if len(rounds) < 2:
        return f"SELECT * FROM {table}"
    last = [f"SELECT * FROM {duck.parquet(rounds[-1])}"]
    for n, paths in enumerate(rounds[:-1], start=1):
        later = duck.parquet(path for round_ in rounds[n:] for path in round_)
        repeated = f"(SELECT {keys} FROM {later})"
        last.append(f"SELECT * FROM {duck.parquet(paths)} ANTI JOIN {repeated} USING ({keys})")
    return " UNION ALL ".join(last)


def _by_round(paths: Sequence[Path]) -> list[list[Path]] | None:
    """Parts by the round that wrote them, the first round first; ``None`` if one does not tell."""
    rounds: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        told = _ROUND.search(path.name)
        if told is None:
            return None
        rounds[int(told[1])].append(path)
    return [rounds[number] for number in sorted(rounds)]
