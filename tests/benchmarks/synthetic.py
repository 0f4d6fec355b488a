"""An archive of many millions of domains that nobody scanned: every table made by SQL, in minutes.

Its numbers mean nothing; what counts is the work that they make.  One domain in a hundred adopts, ten
times as many as in the real world.  A third of the mail goes to two names, a fifth to a name of its own
at one operator, a quarter to 20,000 hosters, the rest to the domain itself; one in seven of those
without a record of MTA-STS has none of MX either.  Of scope ``sample``, and all from one vantage until
:func:`look_from` says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import file_digest
from pathlib import Path
from typing import Final

import duckdb

PART_ROWS: Final = 2_000_000
RATE: Final = 0.01
_STARTED: Final = datetime(2026, 1, 1, tzinfo=UTC)
_APART: Final = timedelta(days=30)

# x is the number of a domain and s that of the scan; who adopts drops out now and then.
_PRELUDE: Final = """
create macro tld(x) as case
    when x % 10 < 5 then 'com' when x % 10 = 5 then 'net' when x % 10 = 6 then 'de'
    when x % 10 = 7 then 'org' else 't' || (hash(x) % 900) end;
create macro name(x) as 'domain-' || x || '.' || tld(x);
create macro luck(x, what) as (hash(x * 131 + what) % 1000)::int;
create macro adopts(x, s) as x % 100 = 0 and luck(x, 7 + s) > 20;
create macro stage(x, s) as case
    when luck(x, 1) < 700 then 'valid' when luck(x, 20 + s) < 500 then 'valid'
    else ['dns', 'tcp', 'tls', 'http', 'syntax', 'unmeasured'][1 + luck(x, 2) % 6] end;
create macro mode(x, s) as
    if(stage(x, s) <> 'valid', null, ['enforce', 'testing', 'none'][1 + (luck(x, 3) + if(luck(x, 14) < 200, s, 0)) % 3]);
create macro moved(x, s) as luck(x, 4) < 50 and s >= 2;
create macro mx(x, s) as case
    when luck(x, 5) < 350 or moved(x, s) then ['aspmx.l.google.com', 'alt1.aspmx.l.google.com']
    when luck(x, 5) < 550 then ['domain-' || x || '-' || tld(x) || '.mail.protection.outlook.com']
    when luck(x, 5) < 800 then ['mx1.hoster' || (hash(x) % 20000) || '.net']
    else ['mx.' || name(x)] end;
create macro implicit(x) as luck(x, 16) < 150 and x % 100 <> 0;
create macro drawn(x) as md5_number_lower('seed' || name(x))
    < (0.01 * 18446744073709551615::double)::uhugeint;
create macro address(text) as '10.' || (hash(text) % 250) || '.' || (hash(text || 'b') % 250) || '.1';
create macro digest(text) as sha256(text);
"""

_COMMON: Final = "'{scan}' as scan_id, 1::bigint as attempt, started() as started_at"

# For every domain, in parts.
_BIG: Final = {
    "domains": """
        select '{scan}' as scan_id, name(x) as domain, if(x < 1000000, x + 1, null) as rank,
            'synthetic' as list, tld(x) as tld, name(x) as registrable_domain, []::varchar[] as tags
        from xs""",
    "txt_lookups": """
        select {common}, 'NOERROR' as status, null::varchar as blame,
            if(kind = 'mta-sts' and adopts(x, {s}) and luck(x, 6) < 300,
                ['x._mta.mta-sts.tech'], []::varchar[]) as cname_chain,
            name(x) as domain, kind, '_x.' || name(x) as qname, []::blob[][] as records
        from xs cross join (values ('mta-sts'), ('tls-rpt')) k (kind)""",
    "mx_lookups": """
        select {common}, 'NOERROR' as status, null::varchar as blame, name(x) as domain,
            if(implicit(x), [], [{{'preference': 10::bigint, 'host': h}} for h in mx(x, {s})]) as hosts,
            false as null_mx, implicit(x) as implicit_mx
        from xs""",
    "assessments": """
        select
            '{scan}' as scan_id, name(x) as domain,
            case when adopted then if(luck(x, 8) < 20, 'syntax', 'valid')
                when luck(x, 9) < 5 then 'unmeasured' else 'absent' end as record_outcome,
            if(adopted, stage(x, {s}), 'not-fetched') as policy_outcome,
            if(adopted and policy_outcome in ('valid', 'syntax'), true, null) as policy_lenient,
            if(adopted, mode(x, {s}), null) as mode, if(mode is null, null, 604800) as max_age,
            if(mode is null, []::varchar[], mx(x, 0)) as policy_mx,
            if(implicit(x), if(drawn(x), 1, null), len(mx(x, {s})))::bigint as mx_total,
            if(mode is null, null, if(moved(x, {s}), 0, mx_total)) as mx_covered,
            if(mode is null, null, if(luck(x, 10) < 100, 0, mx_covered)) as mx_passing,
            if(mode is null, null, mx_total - mx_passing) as mx_failing,
            if(mode is null, null, 0) as mx_unmeasured,
            if(record_outcome = 'unmeasured', null, adopted and (stage(x, {s}) <> 'valid'
                or moved(x, {s}))) as misconfigured,
            case when record_outcome in ('unmeasured', 'absent') then record_outcome
                when policy_outcome = 'unmeasured' then 'unmeasured'
                when policy_outcome <> 'valid' or record_outcome = 'syntax' then 'fail-open'
                when mode = 'none' then 'off' when mode = 'testing' then 'testing'
                when mx_passing = 0 then 'refused' else 'protected' end as sender_outcome,
            if(luck(x, 11) < 30, 'valid', 'absent') as tlsrpt_outcome,
            if(adopted or drawn(x), if(luck(x, 12) < 50, 'match', 'none'), null) as dane_outcome,
            case when not adopted then []::varchar[] when luck(x, 10) < 100
                then ['rpt-missing', 'mx-cert-any', 'tls-any'] else ['rpt-missing'] end as findings,
            '1' as rules_version,
            if(record_outcome = 'valid', (20260101 + {s} * (luck(x, 15) // 500))::varchar, null) as record_id
        from (select x, adopts(x, {s}) as adopted from xs)""",
}

# For adopters and their hosts; "a" has their numbers and "h" their MX hosts.
_SMALL: Final = {
    "address_lookups": """
        select {common}, 'NOERROR' as status, null::varchar as blame,
            if(starts_with(host, 'mta-sts.') and hash(host) % 3 = 0, ['x._mta.mta-sts.tech'],
                []::varchar[]) as cname_chain,
            host, 'NOERROR' as status_ipv4, 'NO_ANSWER' as status_ipv6,
            [address(if(hash(host) % 3 = 0, 'shared', host))] as ipv4, []::varchar[] as ipv6
        from (select 'mta-sts.' || name(x) as host from a union all select host from h)""",
    "tlsa_lookups": """
        select {common}, 'NXDOMAIN' as status, null::varchar as blame, host,
            '_25._tcp.' || host as qname,
            []::struct(usage bigint, selector bigint, matching_type bigint, data blob)[] as records
        from h""",
    "policy_fetches": """
        select {common}, 'success' as status, null::varchar as blame,
            'mta-sts.' || name(x) as host, address(name(x)) as address, name(x) as domain,
            'TLSv1.3' as tls_version, [digest('p' || name(x))] as chain,
            if(stage(x, {s}) = 'http', 404, 200)::bigint as http_status, 'text/plain' as content_type,
            digest(if(luck(x, 13) < 300, 'template', name(x) || {s} // 2)) as body_sha256
        from a where stage(x, {s}) not in ('dns', 'tcp', 'unmeasured')""",
    "policy_verdicts": """
        select '{scan}' as scan_id, name(x) as domain, 'mta-sts.' || name(x) as host,
            address(name(x)) as address, 1::bigint as attempt, stage(x, {s}) as outcome
        from a where stage(x, {s}) not in ('dns', 'tcp', 'unmeasured')""",
    "starttls_sessions": """
        select {common}, 'success' as status, null::varchar as blame, host, address(host) as address,
            'TLSv1.2' as tls_version, [digest(host)] as chain,
            encode('220 ' || host || ' ESMTP Postfix') as banner, [encode('PIPELINING')] as ehlo,
            true as starttls_offered
        from h""",
    "mail_verdicts": """
        select '{scan}' as scan_id, host, address(host) as address, 1::bigint as attempt,
            if(hash(host) % 20 = 0, 'certificate', 'pass') as outcome, 'none' as dane,
            if(hash(host) % 20 = 0, ['expired'], []::varchar[]) as certificate_problems
        from h""",
    "certificates": """
        select '{scan}' as scan_id, leaf as sha256, 'CN=R' || (hash(leaf) % 20) || ',O=CA' as issuer,
            started() + to_days((hash(leaf) % 90)::int) as not_after, false as self_issued
        from (select digest('p' || name(x)) as leaf from a union all select digest(host) from h)""",
    "findings_catalogue": """
        select '{scan}' as scan_id, id, severity, 'It is so.' as sentence, 'Change it.' as fix,
            'RFC 8461' as section
        from (values ('rpt-missing', 'warning'), ('mx-cert-any', 'refused'), ('tls-any', 'no-policy'))
            f (id, severity)""",
}


def write(folder: Path, *, domains: int, scans: int) -> None:
    """Write an archive of so many *scans* of so many *domains* under *folder*."""
    with duckdb.connect(
        config={"memory_limit": "4GB", "temp_directory": str(folder)}
    ) as connection:
        connection.execute("set enable_progress_bar = false")
        connection.execute(_PRELUDE)
        for number in range(scans):
            _scan(connection, folder, number, domains)


def look_from(folder: Path, vantages: int) -> None:
    """Let so many *vantages* have made the scans under *folder* in turn, each round in one day."""
    for number, path in enumerate(sorted(folder.glob("scan=*/manifest.json"))):
        manifest = json.loads(path.read_text("utf-8"))
        manifest["vantage"] = f"vantage-{number % vantages}"
        manifest["started_at"] = (_STARTED + number // vantages * _APART).isoformat()
        path.write_text(json.dumps(manifest), "utf-8")


def _scan(connection: duckdb.DuckDBPyConnection, folder: Path, number: int, domains: int) -> None:
    started = _STARTED + number * _APART
    scan = folder / f"scan={started:%Y-%m-%d}"
    values = {"scan": f"{started:%Y-%m-%d}", "s": number}
    values["common"] = _COMMON.format(**values)
    connection.execute(f"create or replace macro started() as timestamptz '{started.isoformat()}'")
    connection.execute(
        f"create or replace table a as select x from range({domains}) r (x) where adopts(x, {number})"
    )
    connection.execute(
        f"create or replace table h as select distinct unnest(mx(x, {number})) as host from a"
    )
    for table, sql in {**_BIG, **_SMALL}.items():
        (scan / table).mkdir(parents=True)
        bounds = range(0, domains, PART_ROWS) if table in _BIG else [0]
        for part, first in enumerate(bounds):
            last = min(domains, first + PART_ROWS)
            xs = f"with xs as (from range({first}, {last}) r (x)) "
            text = (xs if table in _BIG else "") + sql.format(**values)
            path = scan / table / f"part-{part:04}.parquet"
            connection.execute(f"copy ({text}) to '{path}' (format parquet, compression zstd)")
    _seal(scan, started)


def _seal(scan: Path, started: datetime) -> None:
    manifest = {
        "scan_id": scan.name.removeprefix("scan="),
        "state": "sealed",
        "started_at": started.isoformat(),
        "vantage": "vantage-0",
        "list": {"combined_sha256": "synthetic"},
        "scope": "sample",
        "sample_rate": RATE,
        "seed": "seed",
        "tables": {
            table.name: {"parts": list(_parts(scan, table))}
            for table in sorted(scan.iterdir())
            if table.is_dir()
        },
    }
    (scan / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def _parts(scan: Path, table: Path) -> Iterator[dict[str, object]]:
    for path in sorted(table.iterdir()):
        with path.open("rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
        inside = path.relative_to(scan).as_posix()
        yield {"path": inside, "size": path.stat().st_size, "sha256": digest}
