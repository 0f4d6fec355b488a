"""Who has opted out is in no scan any more, and everybody else is what they were."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from crawler.cli import main
from crawler.politeness.opt_out import OptOutList
from crawler.records import (
    AddressLookup,
    Assessment,
    Certificate,
    Domain,
    MailTarget,
    MailVerdict,
    MxLookup,
    PolicyFetch,
    PolicyVerdict,
    StarttlsSession,
    TlsaLookup,
    TxtLookup,
)
from crawler.snapshot import damage, files, manifest, parts
from crawler.snapshot.damage import DamagedError
from crawler.snapshot.purge import STATE, Purged, covering, purge
from crawler.snapshot.seal import seal
from crawler.snapshot.store import Archive, ScanFolder
from crawler.vocabulary import (
    Blame,
    DaneOutcome,
    DnsStatus,
    IoStatus,
    MailOutcome,
    Mode,
    PolicyOutcome,
)
from tests import rows
from tests.snapshot.samples import assessment, certificate, facts

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LEAF, SHARED, OTHER = (certificate(n) for n in (1, 2, 3))


def _policy(domain: str, mx: str) -> list[Any]:
    verdict = PolicyVerdict(
        scan_id=rows.SCAN_ID,
        domain=domain,
        host=f"mta-sts.{domain}",
        address="192.0.2.1",
        attempt=1,
        outcome=PolicyOutcome.VALID,
        mode=Mode.ENFORCE,
        mx=(mx, "mx.shared.net"),
    )
    body = f"version: STSv1\nmode: enforce\nmx: {mx}\nmx: mx.shared.net\nmax_age: 1\n".encode()
    return [rows.fetch(domain, "192.0.2.1", body=body), verdict]


def _mail(host: str, address: str, *chain: Certificate, **more: Any) -> list[Any]:
    verdict = MailVerdict(
        scan_id=rows.SCAN_ID,
        host=host,
        address=address,
        attempt=1,
        outcome=MailOutcome.PASS,
        dane=DaneOutcome.NONE,
    )
    return [rows.session(host, address, chain=tuple(c.sha256 for c in chain), **more), verdict]


EVERYTHING: list[Any] = [
    *(rows.domain(name) for name in ("gone.com", "www.gone.com", "notgone.com", "stays.org")),
    rows.txt("gone.com", rows.STS),
    rows.txt("stays.org", rows.STS),
    rows.txt("notgone.com", (b"v=TLSRPTv1; rua=mailto:r@Gone.com",), cname_chain=("x.stays.org",)),
    rows.mx("gone.com", (10, "mx.shared.net")),
    rows.mx("stays.org", (10, "mx.stays.org"), (20, "mx.gone.com")),
    rows.mx("notgone.com", (10, "mx.shared.net")),
    rows.addresses("mx.gone.com", "192.0.2.7"),
    rows.addresses("mx.shared.net", "192.0.2.8", "2001:db8::8"),
    rows.addresses("mx.stays.org", "192.0.2.1", cname_chain=("a.gone.com",)),
    rows.tlsa("mx.stays.org", qname="_25._tcp.a.gone.com"),
    rows.tlsa("mx.shared.net"),
    *_policy("gone.com", "mx.gone.com"),
    *_policy("stays.org", "mx.gone.com"),
    *_policy("notgone.com", "mx.notgone.com"),
    *_mail("mx.gone.com", "192.0.2.7", LEAF, SHARED),
    *_mail("mx.shared.net", "192.0.2.8", OTHER, SHARED, banner=b"220 ready"),
    *_mail("mx.stays.org", "192.0.2.1", LEAF, banner=b"220 mail.gone.com ready\r\n"),
    *(assessment(name) for name in ("gone.com", "www.gone.com", "notgone.com", "stays.org")),
    *(LEAF, SHARED, OTHER),
]


def _tables(some: list[Any]) -> dict[type[Any], list[Any]]:
    tables: dict[type[Any], list[Any]] = {}
    for row in some:
        tables.setdefault(type(row), []).append(row)
    return tables


@pytest.fixture(params=["sealed", "unsealed"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> ScanFolder:
    """A scan in two parts of each table, sealed or still open."""
    folder = Archive(tmp_path).create_scan(rows.SCAN_ID)
    some = _tables(EVERYTHING)
    for n in range(2):
        folder.commit(f"mail-r0-00000-c00{n}", {cls: its[n::2] for cls, its in some.items()})
    if request.param == "sealed":
        with folder.lock():
            seal(folder, facts(scan_id=rows.SCAN_ID))
    return folder


def _purge(folder: ScanFolder, entries: str) -> Purged:
    with folder.lock():
        return purge(folder, OptOutList.parse(entries), NOW)


def _read(folder: ScanFolder, cls: type[Any]) -> list[Any]:
    """What a reader's glob finds, and only what counts."""
    found = sorted(folder.path.glob(f"{cls.table}/part-*.parquet"))
    assert found == sorted(folder.parts(cls))
    return parts.read_all(found, cls)


def _everything(folder: ScanFolder) -> dict[str, list[Any]]:
    return {cls.table: sorted(_read(folder, cls), key=repr) for cls in _tables(EVERYTHING)}


def _whole(folder: ScanFolder) -> bool:
    """Whether every hash that is written down is right."""
    if folder.sealed:
        return manifest.verify(folder.path) == []
    return damage.find(folder) == []


def test_a_domain_is_gone_with_all_below_it(folder: ScanFolder) -> None:
    purged = _purge(folder, "gone.com")
    assert [r.domain for r in _read(folder, Domain)] == ["notgone.com", "stays.org"]
    assert {r.domain for r in _read(folder, Assessment)} == {"notgone.com", "stays.org"}
    assert {r.host for r in _read(folder, StarttlsSession)} == {"mx.shared.net", "mx.stays.org"}
    assert {r.host for r in _read(folder, MailVerdict)} == {"mx.shared.net", "mx.stays.org"}
    assert purged.removed["domains"] == purged.removed["assessments"] == 2
    assert _whole(folder)


def test_no_value_of_any_table_but_certificates_holds_the_name(folder: ScanFolder) -> None:
    assert ".gone.com" in str(_everything(folder))
    _purge(folder, "gone.com")
    found = str(_everything(folder)).lower().replace("notgone.com", "")
    assert "gone.com" not in found


def test_what_others_say_of_it_is_emptied_and_says_why(folder: ScanFolder) -> None:
    purged = _purge(folder, "gone.com")
    emptied = [
        next(r for r in _read(folder, MxLookup) if r.domain == "stays.org"),
        next(r for r in _read(folder, TxtLookup) if r.domain == "notgone.com"),
        next(r for r in _read(folder, AddressLookup) if r.host == "mx.stays.org"),
        next(r for r in _read(folder, TlsaLookup) if r.host == "mx.stays.org"),
        next(r for r in _read(folder, PolicyFetch) if r.domain == "stays.org"),
        next(r for r in _read(folder, StarttlsSession) if r.host == "mx.stays.org"),
    ]
    nothing = rows.mx(
        "stays.org", status=DnsStatus.OPTED_OUT, blame=Blame.POLICY, implicit_mx=False
    )
    assert emptied[0] == nothing
    assert {r.status for r in emptied} == {DnsStatus.OPTED_OUT}
    assert {r.status for r in emptied[4:]} == {IoStatus.OPTED_OUT}
    assert emptied[2].status_ipv4 == emptied[2].status_ipv6 == DnsStatus.OPTED_OUT
    assert emptied[3].qname == "_25._tcp.mx.stays.org"
    assert emptied[4].body is None
    assert emptied[5].chain == ()
    assert purged.emptied == {
        **dict.fromkeys(("txt_lookups", "mx_lookups", "address_lookups", "tlsa_lookups"), 1),
        **dict.fromkeys(("policy_fetches", "starttls_sessions", "policy_verdicts"), 1),
    }


def test_a_judgement_of_somebody_else_stays_without_the_name(folder: ScanFolder) -> None:
    _purge(folder, "gone.com")
    verdict = next(r for r in _read(folder, PolicyVerdict) if r.domain == "stays.org")
    assert verdict.outcome == PolicyOutcome.VALID
    assert verdict.mx == ("mx.shared.net",)


def test_certificates_go_that_nothing_shows_any_more(folder: ScanFolder) -> None:
    _purge(folder, "gone.com")
    assert sorted(r.sha256 for r in _read(folder, Certificate)) == [SHARED.sha256, OTHER.sha256]


@pytest.mark.parametrize(
    "entry", ["192.0.2.8", "192.0.2.8/31", "2001:db8::/32", "::ffff:192.0.2.8"]
)
def test_addresses_and_networks(folder: ScanFolder, entry: str) -> None:
    _purge(folder, entry)
    lookup = next(r for r in _read(folder, AddressLookup) if r.host == "mx.shared.net")
    assert (lookup.status, lookup.ipv4, lookup.ipv6) == (DnsStatus.OPTED_OUT, (), ())
    sessions = {r.address for r in _read(folder, StarttlsSession)}
    assert ("192.0.2.8" in sessions) == entry.startswith("2001")
    assert "192.0.2.7" in sessions
    assert len(_read(folder, Domain)) == 4
    assert _whole(folder)


def test_a_host_alone_leaves_its_domain(folder: ScanFolder) -> None:
    _purge(folder, "mx.gone.com")
    assert "gone.com" in {r.domain for r in _read(folder, Domain)}
    assert "mx.gone.com" not in str(_everything(folder))


def test_purging_again_finds_nothing_and_touches_nothing(folder: ScanFolder) -> None:
    assert _purge(folder, "gone.com\n192.0.2.8\n")
    before = {p: p.stat().st_mtime_ns for p in folder.path.rglob("part-*")}
    purged = _purge(folder, "gone.com\n192.0.2.8\n")
    assert not purged
    assert str(purged) == "nothing found"
    assert before == {p: p.stat().st_mtime_ns for p in folder.path.rglob("part-*")}


def test_parts_without_such_a_row_are_not_touched(folder: ScanFolder) -> None:
    before = _everything(folder)
    assert not _purge(folder, "nobody.example\n203.0.113.0/24\n")
    assert _everything(folder) == before


def test_a_part_that_may_hold_anything_stops_it(folder: ScanFolder) -> None:
    path = folder.parts(TxtLookup)[0]
    path.write_bytes(path.read_bytes()[:-9])
    before = [p.read_bytes() for p in folder.parts(Domain)]
    with pytest.raises(DamagedError, match="restore it from a copy, or delete its scan"):
        _purge(folder, "gone.com")
    assert [p.read_bytes() for p in folder.parts(Domain)] == before


# --- what the scan itself says


def _with_lines(folder: ScanFolder) -> dict[str, Any]:
    return {"names": ["l"], "examples": {"wildcard": ["l:1: *.gone.com", "l:2: *.stays.org"]}}


def test_the_manifest_says_when_and_how_much_but_not_who(tmp_path: Path) -> None:
    folder = Archive(tmp_path).create_scan(rows.SCAN_ID)
    folder.commit("list-00000", {Domain: [rows.domain("gone.com"), rows.domain("stays.org")]})
    with folder.lock():
        seal(folder, facts(scan_id=rows.SCAN_ID, list=_with_lines(folder)))
    _purge(folder, "gone.com")
    stated = manifest.read(folder.path)
    assert stated.facts[STATE] == [
        {"at": "2026-11-25T00:00:00+00:00", "removed": {"domains": 1}, "emptied": {}}
    ]
    assert stated.facts["list"]["examples"] == {"wildcard": ["l:2: *.stays.org"]}
    assert stated.tables["domains"].rows == 1
    assert "gone.com" not in (folder.path / manifest.NAME).read_text()


def test_of_a_scan_under_way_nothing_is_asked_any_more(tmp_path: Path) -> None:
    folder = Archive(tmp_path).create_scan(rows.SCAN_ID)
    asked = [
        MailTarget(host="mx.gone.com", address="192.0.2.7"),
        MailTarget(host="mx.stays.org", address="192.0.2.1", aliases=("a.gone.com",)),
        MailTarget(host="mx.shared.net", address="192.0.2.8"),
    ]
    folder.write_targets("mail", 0, MailTarget, {3: asked})
    folder.write_state("list", _with_lines(folder))
    purged = _purge(folder, "gone.com")
    assert (purged.targets, purged.lines) == (2, 1)
    assert folder.read_targets("mail", 0, MailTarget, 3) == asked[2:]
    found = [p for p in folder.path.rglob("*") if p.is_file() and b"gone.com" in p.read_bytes()]
    assert found == []
    assert len(folder.read_state(STATE)) == 1


# --- what is covered


@pytest.mark.parametrize(
    ("text", "is_covered"),
    [
        ("gone.com", True),
        ("GONE.com.", True),
        ("a.b.gone.com", True),
        ("*.gone.com", True),
        ("_25._tcp.mx.gone.com", True),
        ("opt-out list: gone.com", True),
        ("https://gone.com/x", True),
        (b"rua=mailto:r@gone.com", True),
        (b"220-mx.gone.com\xff ESMTP", True),
        ("192.0.2.77", True),
        (b"[192.0.2.77]", True),
        ("::ffff:192.0.2.77", True),
        ("2001:db8::1", True),
        ("notgone.com", False),  # no label boundary
        ("gone.com.example", False),  # another's name
        ("gone-com", False),
        ("com", False),
        ("192.0.3.77", False),
        ("1192.0.2.77", False),  # no address
        ("2026.11.1", False),  # a version
        ("12:30:00", False),  # a time of day
        ("", False),
    ],
)
def test_a_name_or_address_is_found_in_any_text(text: str | bytes, is_covered: bool) -> None:
    covered = covering(OptOutList.parse("gone.com\n192.0.2.0/24\n2001:db8::/32\n"))
    assert covered(text) is is_covered


# --- the command


def _run(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["purge", *arguments])


def test_the_command_says_what_it_removed_from_each_scan(folder: ScanFolder) -> None:
    archive = folder.path.parent
    (archive / "out.txt").write_text("gone.com\n")
    result = _run(str(archive), "--opt-out", str(archive / "out.txt"))
    assert result.exit_code == 0
    assert result.stdout == f"{folder.path}\n"
    assert "scan test: removed 1 address_lookups, 2 assessments, 1 certificates" in result.stderr
    assert "; emptied 1 address_lookups" in result.stderr
    again = _run(str(archive), "--opt-out", str(archive / "out.txt"))
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr == "scan test: nothing found\n"


def test_a_scan_that_is_worked_on_is_left_for_later(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    (tmp_path / "out.txt").write_text("gone.com\n")
    for scan_id in ("busy", "idle"):
        folder = archive.create_scan(scan_id)
        folder.commit("list-00000", {Domain: [rows.domain("gone.com")]})
    with archive.open_scan("busy").lock():
        result = _run(str(tmp_path), "--opt-out", str(tmp_path / "out.txt"))
    assert result.exit_code == 3
    assert "scan busy is being worked on by another process" in result.stderr
    assert "scan idle: removed 1 domains" in result.stderr


def test_a_damaged_scan_keeps_no_other_from_being_purged(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    (tmp_path / "out.txt").write_text("gone.com\n")
    for scan_id in ("a", "b"):
        folder = archive.create_scan(scan_id)
        folder.commit("list-00000", {Domain: [rows.domain("gone.com")]})
    archive.open_scan("a").part_path(Domain, "list-00000").write_bytes(b"PAR1")
    result = _run(str(tmp_path), "--opt-out", str(tmp_path / "out.txt"))
    assert result.exit_code == 1
    assert "is not as it was written" in result.stderr
    assert "scan b: removed 1 domains" in result.stderr


def test_a_manifest_that_cannot_be_read_keeps_no_other_scan_from_being_purged(
    tmp_path: Path,
) -> None:
    archive = Archive(tmp_path)
    (tmp_path / "out.txt").write_text("gone.com\n")
    for scan_id in ("a", "b"):
        folder = archive.create_scan(scan_id)
        folder.commit("list-00000", {Domain: [rows.domain("gone.com")]})
    (archive.open_scan("a").path / manifest.NAME).write_bytes(b"")
    result = _run(str(tmp_path), "--opt-out", str(tmp_path / "out.txt"))
    assert result.exit_code == 1
    assert "scan=a/manifest.json cannot be read" in result.stderr
    assert "scan b: removed 1 domains" in result.stderr


@pytest.mark.parametrize("text", [None, "not a name\n"])
def test_a_list_that_cannot_be_used_stops_it(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "out.txt").write_text(text)
    result = _run(str(tmp_path), "--opt-out", str(tmp_path / "out.txt"))
    assert result.exit_code == 2
    assert "out.txt" in result.stderr
    assert json.dumps(result.stdout) == '""'


def test_a_part_of_an_older_scan_keeps_its_columns(tmp_path: Path) -> None:
    """Within a scan there is one schema, whichever version of the program takes rows out."""
    folder = Archive(tmp_path).create_scan(rows.SCAN_ID)
    folder.commit("mail-r0-00000-c000", _tables(EVERYTHING))
    with folder.lock():
        seal(folder, facts(scan_id=rows.SCAN_ID))
    stated = json.loads((folder.path / manifest.NAME).read_text())
    (part,) = stated["tables"]["mx_lookups"]["parts"]
    path = folder.path / part["path"]
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["null_mx"]), path)
    part |= {"size": path.stat().st_size, "sha256": files.sha256(path)}
    (folder.path / manifest.NAME).write_text(json.dumps(stated))
    _purge(folder, "gone.com")
    (purged,) = folder.parts(MxLookup)
    assert "null_mx" not in pq.read_schema(purged).names
    assert {r["domain"] for r in pq.ParquetFile(purged).read().to_pylist()} == {
        "stays.org",
        "notgone.com",
    }
