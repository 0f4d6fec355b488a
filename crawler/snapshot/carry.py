"""What a scan need not ask again because an earlier one has: ``scan --since``.

Questions to DNS are cheap and asked for every domain; a conversation is asked again only where
something has changed that leads to it, where it was not right, where it is too old to stand, or
where the sample falls on it.  ``vocabulary.Due`` has the reasons.  Everything else is carried
over: the row of the last attempt, as it was observed, with the certificates that it refers to.
It is judged by today's rules at the time at which it was observed, as every row is.

``rows`` is what is carried over, and ``left`` what remains to be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import duckdb
import pyarrow as pa

from crawler.records import (
    Certificate,
    MailVerdict,
    PolicyFetch,
    PolicyVerdict,
    StarttlsSession,
)
from crawler.snapshot.rows import from_table
from crawler.snapshot.store import ScanFolder, StoreError
from crawler.snapshot.views import EARLIER, open_earlier
from crawler.vocabulary import Due, IoStatus, MailOutcome, PolicyOutcome

Connection = duckdb.DuckDBPyConnection
Relation = duckdb.DuckDBPyRelation

BATCH: Final = 10_000
"""Rows carried over at a time, each of some 3 kB with its evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """An earlier scan, and how far its facts reach."""

    earlier: ScanFolder
    """Sealed."""
    scan_id: str
    """The scan that is under way; it decides the sample, so that each scan draws another."""
    at: datetime
    """When that scan began: the time by which ages and certificates are measured, so that a
    resumed scan decides as it did before."""
    vantage: str
    """What another vantage has observed is not ours."""
    max_age: float
    """Seconds."""
    sample: float
    """Share of what could be carried over that is asked again."""
    left_alone: Callable[[Sequence[str], str], bool]
    """Whether one of these names, or this address, is opted out by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """How the conversations of one pass are carried over."""

    name: str
    """Of the pass."""
    row: type[Any]
    verdict: type[Any]
    right: str
    """The outcome of what was right."""
    views: str
    """SQL: what ``unchanged`` reads."""
    unchanged: str
    """SQL: what leads to a target is as it was."""
    names: str
    """SQL: the names of a target that an opt-out may hold."""

    @property
    def unit(self) -> str:
        """The unit that what is carried over is."""
        return f"carried-{self.name}-r0-00000"

    @property
    def keys(self) -> str:
        """The columns of the key."""
        return ", ".join(self.row.primary_key)


# Only of what is asked: a scan looks up many names that lead to no conversation.
_SAME_HOSTS: Final = """
CREATE OR REPLACE TEMP VIEW same_addresses AS
SELECT host FROM latest_address_lookups AS now JOIN earlier_address_lookups AS was USING (host)
WHERE host IN (SELECT host FROM asked)
  AND now.ipv4 = was.ipv4 AND now.ipv6 = was.ipv6 AND now.cname_chain = was.cname_chain;
CREATE OR REPLACE TEMP VIEW same_tlsa AS
SELECT host FROM latest_tlsa_lookups AS now JOIN earlier_tlsa_lookups AS was USING (host)
WHERE host IN (SELECT host FROM asked) AND now.status = was.status AND now.records = was.records;
"""
_SAME_RECORDS: Final = """
CREATE OR REPLACE TEMP VIEW same_records AS
SELECT domain FROM latest_txt_lookups AS now JOIN earlier_txt_lookups AS was USING (domain, kind)
WHERE kind = 'mta-sts' AND domain IN (SELECT domain FROM asked)
  AND now.status = was.status AND now.records = was.records AND now.cname_chain = was.cname_chain;
"""

POLICIES: Final = Conversation(
    name="policies",
    row=PolicyFetch,
    verdict=PolicyVerdict,
    right=PolicyOutcome.VALID,
    views=_SAME_HOSTS + _SAME_RECORDS,
    unchanged="domain IN (FROM same_records) AND host IN (FROM same_addresses)",
    names="list_concat([domain, host], aliases)",
)
MAIL: Final = Conversation(
    name="mail",
    row=StarttlsSession,
    verdict=MailVerdict,
    right=MailOutcome.PASS,
    views=_SAME_HOSTS,
    unchanged="host IN (FROM same_addresses) AND host IN (FROM same_tlsa)",
    names="list_concat([host], aliases)",
)


def left(connection: Connection, what: Conversation, targets: Relation, since: Since) -> Relation:
    """The targets that are to be asked, with the reason: all whose rows are not carried over.

    What an opt-out kept from being carried over is among them: its row will say so.
    """
    _find_reasons(connection, what, targets, since)
    return connection.sql(
        f"SELECT * EXCLUDE (reason) REPLACE (reason AS due) "
        f"FROM reasons ANTI JOIN {what.row.table} USING ({what.keys})"
    )


def rows(
    connection: Connection, what: Conversation, targets: Relation, since: Since
) -> Iterator[Mapping[type[Any], Sequence[Any]]]:
    """What of the targets is carried over, in batches: rows with their certificates.

    Not what has a row: the opt-out list, or what is right, may have been another when it was made.
    """
    _find_reasons(connection, what, targets, since)
    _find_left_alone(connection, what, since.left_alone)
    connection.execute(
        f"""
        CREATE TEMP TABLE carried AS
        FROM earlier_{what.row.table}
        SEMI JOIN (FROM reasons WHERE reason IS NULL) USING ({what.keys})
        ANTI JOIN left_alone USING ({what.keys})
        ANTI JOIN {what.row.table} USING ({what.keys})
        ORDER BY {what.keys}"""
    )
    (count,) = connection.sql("SELECT count(*) FROM carried").fetchall()[0]
    for offset in range(0, count, BATCH):
        page = f"FROM carried LIMIT {BATCH} OFFSET {offset}"
        found = from_table(what.row, connection.sql(page).to_arrow_table())
        presented = connection.sql(
            "FROM earlier_certificates "
            f"WHERE sha256 IN (SELECT unnest(chain) FROM ({page})) ORDER BY sha256"
        )
        yield {
            what.row: [_carried(row, since.scan_id) for row in found],
            Certificate: [
                replace(certificate, scan_id=since.scan_id)
                for certificate in from_table(Certificate, presented.to_arrow_table())
            ],
        }


def _carried(row: Any, scan_id: str) -> Any:
    """The row as one of this scan.  What was carried over before keeps the scan that observed it."""
    return replace(row, scan_id=scan_id, carried_from=row.carried_from or row.scan_id, due=None)


def _find_reasons(
    connection: Connection, what: Conversation, targets: Relation, since: Since
) -> None:
    """Create ``reasons``: every target with the reason to ask it; null if it can be carried over."""
    if not since.earlier.sealed:
        raise StoreError(
            f"scan {since.earlier.scan_id}, which this scan carries over from, is not in the archive "
            "any more; put it back, or begin a new scan"
        )
    open_earlier(connection, {cls: since.earlier.parts(cls) for cls in EARLIER})
    targets.query("targets", "CREATE TEMP TABLE asked AS FROM targets")
    connection.execute(what.views)
    keys, text = what.keys, " || ' ' || ".join(what.row.primary_key)
    # What a purge has emptied keeps the judgement that was made of it.
    connection.execute(
        f"""
        CREATE TEMP TABLE known AS
        SELECT {keys}, started_at, chain,
            outcome = $right AND status <> '{IoStatus.OPTED_OUT}' AS was_right
        FROM (FROM earlier_{what.row.table} SEMI JOIN asked USING ({keys})
              WHERE vantage = $vantage)
        JOIN (SELECT {keys}, outcome FROM earlier_{what.verdict.table}) USING ({keys})""",
        {"right": what.right, "vantage": since.vantage},
    )
    connection.execute(
        f"""
        CREATE TEMP TABLE expired AS
        SELECT DISTINCT {keys}, true AS has_expired
        FROM (SELECT {keys}, unnest(chain) AS sha256 FROM known)
        SEMI JOIN (FROM earlier_certificates WHERE not_after <= $at) USING (sha256)""",
        {"at": since.at},
    )
    connection.execute(
        f"""
        CREATE TEMP TABLE reasons AS
        SELECT asked.*, CASE
            WHEN was_right IS NULL THEN '{Due.NEW}'
            WHEN NOT was_right THEN '{Due.WRONG}'
            WHEN NOT ({what.unchanged}) THEN '{Due.CHANGED}'
            WHEN has_expired THEN '{Due.EXPIRED}'
            WHEN started_at NOT BETWEEN $oldest AND $at THEN '{Due.OLD}'
            WHEN md5_number_lower($scan_id || ' ' || {text})
                < CAST($sample * 18446744073709551616::DOUBLE AS UHUGEINT) THEN '{Due.SAMPLE}'
            END AS reason
        FROM asked LEFT JOIN known USING ({keys}) LEFT JOIN expired USING ({keys})""",
        {
            "at": since.at,  # a later time is of a clock that was wrong, and would never be old
            "oldest": since.at - timedelta(seconds=since.max_age),
            "scan_id": since.scan_id,
            "sample": since.sample,
        },
    )


def _find_left_alone(
    connection: Connection, what: Conversation, left_alone: Callable[[Sequence[str], str], bool]
) -> None:
    """Create ``left_alone``: the keys of what could be carried over and is opted out by now."""
    query = f"SELECT {what.keys}, {what.names} AS names FROM reasons WHERE reason IS NULL"
    found: list[dict[str, str]] = []
    for batch in connection.sql(query).to_arrow_reader(BATCH):
        for target in batch.to_pylist():
            names = target.pop("names")
            if left_alone(names, target["address"]):
                found.append(target)
    columns = {key: pa.array((f[key] for f in found), pa.string()) for key in what.row.primary_key}
    connection.register("left_alone", pa.table(columns))
