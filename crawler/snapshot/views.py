"""The tables of one scan as DuckDB views, whether they lie in a folder or in memory.

Every query of the crawler reads these views and nothing else: one view per table, one
``latest_<table>`` with the last attempt of each target, and what planning and judging derive
from them (which MX hosts count for a domain, which addresses a host has).  The SQL here joins
and orders; what a record, policy or reply *means* is never decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
            f"CREATE OR REPLACE TEMP VIEW latest_{cls.table} AS SELECT * FROM {cls.table} QUALIFY "
            f"row_number() OVER (PARTITION BY {', '.join(cls.primary_key)} "
            "ORDER BY attempt DESC, started_at DESC) = 1"
        )
    connection.execute("CREATE TEMP TABLE refused_addresses (address VARCHAR)")
    connection.execute("CREATE TEMP TABLE signs (domain VARCHAR)")
    connection.execute(_DERIVED.replace("$seed", duck.literal(seed)))
