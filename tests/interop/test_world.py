"""One scan over servers that nobody here wrote, and the rows it must leave, written by hand.

The crawler runs as a user runs it, in a process of its own, and its snapshot is read as an
outsider reads it: Parquet files and DuckDB, none of the crawler's code.  The tables below follow
from RFC 8461, 8460, 7672 and 3207 and from how ``domains`` sets the servers up.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyarrow import parquet

from tests.interop.domains import Internet, open_internet
from tests.interop.world import missing, wait_until

pytestmark = pytest.mark.interop

STS = [[b"v=STSv1; id=20260101T000000;"]]

# domain: how the lookup ended, AD, records, CNAME chain
RECORDS: dict[str, tuple[str, bool, list[list[bytes]], list[str]]] = {
    "good.example": ("NOERROR", False, STS, []),
    "cname.example": ("NOERROR", False, STS, ["_mta-sts.good.example"]),
    "multi.example": ("NOERROR", False, [[b"v=STSv1; id=1;"], [b"v=STSv1; id=2;"]], []),
    "plain.example": ("NXDOMAIN", False, [], []),
    "dane.test": ("NOERROR", True, STS, []),
    # Changed after it was signed: RFC 4035 section 5.5.
    "bogus.test": ("SERVFAIL", False, [], []),
}

# domain: AD, MX records
MX = {
    "good.example": (False, [(10, "mx.good.example")]),
    "degraded.example": (False, [(10, "mx.good.example"), (20, "mx.plain.example")]),
    "dane.test": (True, [(10, "mx.dane.test")]),
}

# host: how the lookup ended, AD, number of records
TLSA = {
    "mx.good.example": ("NXDOMAIN", False, 0),
    "mx.plain.example": ("NXDOMAIN", False, 0),
    "mx.self.example": ("NXDOMAIN", False, 0),
    "mx.old.example": ("NXDOMAIN", False, 0),
    "mx.busy.example": ("NXDOMAIN", False, 0),
    "mx.dead.example": ("NXDOMAIN", False, 0),
    "mx.insecure.example": ("NOERROR", False, 1),
    "mx.dane.test": ("NOERROR", True, 1),
    "mx.danebad.test": ("NOERROR", True, 1),
    "mx.danebogus.test": ("SERVFAIL", False, 0),
}

# domain: how the conversation ended, HTTP status, TLS version, alert, certificates presented
FETCHED = ("success", 200, "TLSv1.3", None, 2)
FETCHES = {
    "good.example": FETCHED,
    "cname.example": FETCHED,
    "expired.example": FETCHED,  # a certificate is judged, never a reason to hang up
    "wrongname.example": FETCHED,
    "selfsigned.example": ("success", 200, "TLSv1.3", None, 1),
    "nochain.example": ("success", 200, "TLSv1.3", None, 1),
    "nosite.example": ("handshake-error", None, None, "unrecognized_name", 0),
    # s_server presents its leaf before and again inside the chain it is given.
    "oldweb.example": ("success", 200, "TLSv1.1", None, 3),
    "missing.example": ("success", 404, "TLSv1.3", None, 2),
    "redirect.example": ("success", 301, "TLSv1.3", None, 2),
    "multi.example": FETCHED,
    "uncovered.example": FETCHED,
    "nostarttls.example": FETCHED,
    "degraded.example": FETCHED,
    "selfmx.example": FETCHED,
    "oldmx.example": FETCHED,
    "busymx.example": FETCHED,
    "deadmx.example": FETCHED,
    "insecure.example": FETCHED,
    "dane.test": FETCHED,
    "danebad.test": FETCHED,
    "danebogus.test": FETCHED,
}

# domain: certificate problems, for those that have any
POLICY_CERTIFICATES = {
    "expired.example": ["expired"],
    "wrongname.example": ["name-mismatch"],
    "selfsigned.example": ["self-signed"],
    "nochain.example": ["missing-intermediate"],
}

# host: how the conversation ended, stage, STARTTLS offered, TLS version, certificates, verdict
SECURED = ("success", "quit", True, "TLSv1.3", 2, "pass")
SESSIONS = {
    "mx.good.example": SECURED,
    "mx.insecure.example": SECURED,
    "mx.dane.test": SECURED,
    "mx.danebad.test": SECURED,
    "mx.danebogus.test": SECURED,
    "mx.plain.example": ("success", "quit", False, None, 0, "no-starttls"),
    "mx.self.example": ("success", "quit", True, "TLSv1.3", 1, "certificate"),
    "mx.old.example": ("success", "quit", True, "TLSv1.1", 2, "tls-old"),
    "mx.busy.example": ("application-error", "banner", None, None, 0, "unmeasured"),
    "mx.dead.example": ("connection-refused", "connect", None, None, 0, "unmeasured"),
}

COLUMNS = """
    record_outcome, policy_outcome, mode, sender_outcome,
    mx_total, mx_covered, mx_passing, mx_failing, mx_unmeasured,
    misconfigured, dane_outcome, tlsrpt_outcome
"""

NOT_KNOWN = (None, None, None, None)
ENFORCE = ("valid", "valid", "enforce")
ASSESSMENTS: dict[str, tuple[object, ...]] = {
    "good.example": (*ENFORCE, "protected", 1, 1, 1, 0, 0, False, "none", "valid"),
    "cname.example": (*ENFORCE, "protected", 1, 1, 1, 0, 0, False, "none", "absent"),
    **{
        domain: ("valid", stage, None, "fail-open", 1, *NOT_KNOWN, True, "none", tlsrpt)
        for domain, stage, tlsrpt in (
            ("expired.example", "tls", "syntax"),  # its rua has no scheme
            ("wrongname.example", "tls", "absent"),
            ("selfsigned.example", "tls", "absent"),
            ("nochain.example", "tls", "absent"),
            ("nosite.example", "tls", "absent"),
            ("oldweb.example", "tls", "absent"),
            ("missing.example", "http", "absent"),
            ("redirect.example", "http", "absent"),
            ("nopolicyhost.example", "dns", "absent"),
        )
    },
    "multi.example": (
        *("multiple", "valid", "enforce", "fail-open", 1, 1, 1, 0, 0, True, "none", "absent"),
    ),
    "plain.example": (
        *("absent", "not-fetched", None, "absent", 1, *NOT_KNOWN, False, None, "absent"),
    ),
    "uncovered.example": (*ENFORCE, "refused", 1, 0, 0, 1, 0, True, "none", "absent"),
    "nostarttls.example": (*ENFORCE, "refused", 1, 1, 0, 1, 0, False, "none", "absent"),
    "degraded.example": (*ENFORCE, "degraded", 2, 2, 1, 1, 0, False, "none", "absent"),
    "selfmx.example": (
        *("valid", "valid", "testing", "testing", 1, 1, 0, 1, 0, True, "none", "absent"),
    ),
    "oldmx.example": (*ENFORCE, "refused", 1, 1, 0, 1, 0, False, "none", "absent"),
    "busymx.example": (*ENFORCE, "unmeasured", 1, 1, 0, 0, 1, False, "none", "absent"),
    "deadmx.example": (*ENFORCE, "unmeasured", 1, 1, 0, 0, 1, False, "none", "absent"),
    "insecure.example": (*ENFORCE, "protected", 1, 1, 1, 0, 0, False, "insecure", "absent"),
    "dane.test": (*ENFORCE, "protected", 1, 1, 1, 0, 0, False, "match", "absent"),
    "danebad.test": (*ENFORCE, "protected", 1, 1, 1, 0, 0, False, "mismatch", "absent"),
    "danebogus.test": (*ENFORCE, "protected", 1, 1, 1, 0, 0, False, "unmeasured", "absent"),
    "bogus.test": (
        *("unmeasured", "not-fetched", None, "unmeasured"),
        *(1, *NOT_KNOWN, None, None, "absent"),
    ),
}

TABLES = (
    *("domains", "txt_lookups", "mx_lookups", "address_lookups", "tlsa_lookups"),
    *("policy_fetches", "starttls_sessions", "certificates"),
    *("policy_verdicts", "mail_verdicts", "assessments", "findings_catalogue"),
)
LOOKUPS = tuple(table for table in TABLES if table.endswith("_lookups"))


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """``sts-crawl`` with *arguments*, in a process of its own."""
    return subprocess.run(command(*arguments), cwd=cwd, env=environment(), **CAPTURED)


CAPTURED: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 120}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "crawler", *map(str, arguments)]


def environment() -> dict[str, str]:
    """Ours, without the variables that the crawler reads as settings."""
    return {key: value for key, value in os.environ.items() if not key.startswith("STS_")}


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    """The running servers; skips with the reason where they cannot run."""
    if reason := missing():
        pytest.skip(reason)
    with open_internet() as running:
        yield running


@pytest.fixture(scope="module")
def snapshot(internet: Internet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one scan of the whole world."""
    archive = tmp_path_factory.mktemp("archive")
    done = run(
        *("scan", internet.list, "--out", archive, "--config", internet.config),
        cwd=internet.folder,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def rows(snapshot: Path, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """*columns* of the last attempt at each target of *table*."""
    key = "domain, kind" if table == "txt_lookups" else "domain"
    if table in ("tlsa_lookups", "starttls_sessions", "mail_verdicts"):
        key = "host"
    where = "" if table == "assessments" else "order by attempt desc"
    with duckdb.connect() as connection:
        return connection.execute(
            f"select {columns} from read_parquet(?) "
            f"qualify row_number() over (partition by {key} {where}) = 1",
            [str(snapshot / table / "*.parquet")],
        ).fetchall()


def keyed(found: Sequence[tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    return {str(first): tuple(rest) for first, *rest in found}


def test_txt_lookups(snapshot: Path) -> None:
    """Records come in octet order, with AD from the signed zone only; bogus ones not at all."""
    found = rows(
        snapshot, "txt_lookups", "domain, kind, status, authenticated, records, cname_chain"
    )
    records = {row[0]: row[2:] for row in found if row[1] == "mta-sts"}
    assert {domain: records[domain] for domain in RECORDS} == RECORDS
    assert len(found) == 2 * len(ASSESSMENTS)


def test_mx_lookups(snapshot: Path) -> None:
    """MX records come by preference."""
    found = keyed(rows(snapshot, "mx_lookups", "domain, authenticated, hosts"))
    assert {
        domain: (ad, [(mx["preference"], mx["host"]) for mx in hosts])
        for domain, (ad, hosts) in found.items()
        if domain in MX
    } == MX


def test_tlsa_lookups(snapshot: Path) -> None:
    """Every MX host is asked for; an altered record is SERVFAIL, never a record."""
    found = rows(snapshot, "tlsa_lookups", "host, status, authenticated, len(records)")
    assert keyed(found) == TLSA


def test_policy_fetches(snapshot: Path) -> None:
    """The body is fetched whatever the certificate says; redirects are not followed."""
    columns = "domain, status, http_status, tls_version, tls_alert, len(chain)"
    assert keyed(rows(snapshot, "policy_fetches", columns)) == FETCHES


def test_redirect_location_is_kept(snapshot: Path) -> None:
    found = keyed(rows(snapshot, "policy_fetches", "domain, location"))
    assert {domain: location for domain, (location,) in found.items() if location} == {
        "redirect.example": "https://mta-sts.good.example/.well-known/mta-sts.txt"
    }


def test_policy_certificates(snapshot: Path) -> None:
    """Each defect of a chain is told by its name, and only those that were planted."""
    found = keyed(rows(snapshot, "policy_verdicts", "domain, certificate_problems"))
    problems = {domain: problems for domain, (problems,) in found.items() if problems}
    assert problems == POLICY_CERTIFICATES


def test_starttls_sessions(snapshot: Path) -> None:
    """Postfix in its states, one host that refuses us and one where nobody listens."""
    sessions = keyed(
        rows(
            snapshot,
            "starttls_sessions",
            "host, status, stage, starttls_offered, tls_version, len(chain)",
        )
    )
    verdicts = keyed(rows(snapshot, "mail_verdicts", "host, outcome"))
    assert {host: (*row, *verdicts[host]) for host, row in sessions.items()} == SESSIONS


def test_postfix_was_read_as_it_spoke(snapshot: Path) -> None:
    """The greeting octet by octet, and the EHLO replies of both sides of STARTTLS."""
    found = keyed(rows(snapshot, "starttls_sessions", "host, banner, ehlo, ehlo_tls"))
    banner, ehlo, ehlo_tls = found["mx.good.example"]
    assert banner == b"220 mail.interop.example ESMTP Postfix\r\n"
    assert any(b"STARTTLS" in line for line in ehlo)
    assert not any(b"STARTTLS" in line for line in ehlo_tls)  # RFC 3207 section 4.2


def test_assessments(snapshot: Path) -> None:
    """What the whole amounts to, for every domain of the list."""
    assert keyed(rows(snapshot, "assessments", f"domain, {COLUMNS}")) == ASSESSMENTS


# --- the other commands --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "code"),
    [
        ("good.example", 0),
        ("dane.test", 0),
        ("expired.example", 1),
        ("nostarttls.example", 1),
        ("bogus.test", 3),
    ],
)
def test_check_exit_code(internet: Internet, domain: str, code: int) -> None:
    """0 fine, 1 something is wrong with the domain, 3 could not be measured."""
    done = run("check", domain, "--config", internet.config, cwd=internet.folder)
    assert done.returncode == code, done.stdout + done.stderr
    assert domain in done.stdout


def test_doctor_approves_of_the_vantage(internet: Internet) -> None:
    """Unbound recurses, validates and leaves NXDOMAIN alone."""
    done = run("doctor", "--config", internet.config, cwd=internet.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert "DNSSEC: validates" in done.stdout


def test_resolver_without_recursion_is_refused(internet: Internet, tmp_path: Path) -> None:
    """An authoritative server in place of a resolver: one sentence, and nothing is written."""
    config = internet.write_config("authoritative.toml", resolver=internet.nsd, pace=200)
    archive = tmp_path / "archive"
    done = run("scan", internet.list, "--out", archive, "--config", config, cwd=internet.folder)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "does not recurse" in done.stderr
    assert not archive.exists()


# --- a scan that is killed -----------------------------------------------------------------


def stable(snapshot: Path, table: str) -> list[str]:
    """The rows of *table* without what two scans of one world may differ in, as sorted text."""
    volatile = {"scan_id", *(("attempt", "ttl", "resolver") if table in LOOKUPS else ())}
    found = parquet.read_table(snapshot / table, partitioning=None)
    kept = [n for n in found.column_names if n not in volatile and not n.endswith(("_at", "_ms"))]
    return sorted(map(repr, found.select(kept).to_pylist()))


def test_killed_scan_goes_on(internet: Internet, snapshot: Path, tmp_path: Path) -> None:
    """After kill -9 the same command ends with the rows of a scan that was left alone."""
    config = internet.write_config("slow.toml", resolver=internet.resolver, pace=15)
    arguments = ("scan", internet.list, "--out", tmp_path, "--config", config)
    before = internet.policy_requests()
    with subprocess.Popen(
        command(*arguments),
        cwd=internet.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until(lambda: internet.policy_requests() >= before + 5, 60)
        finally:
            process.kill()
    (folder,) = tmp_path.glob("scan=*")
    assert not (folder / "manifest.json").exists()

    done = run(*arguments, cwd=internet.folder)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == folder
    for table in TABLES:
        assert stable(folder, table) == stable(snapshot, table), table
