"""The exported world is what real servers read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dns.rdatatype
import dns.zone
import pytest

from crawler.lab import export
from crawler.lab.catalogue import CATALOGUE


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every scenario once, as files."""
    folder = tmp_path_factory.mktemp("export")
    export(folder, only_scenarios=True, https_port=8443, smtp_port=2525, dns_port=5353)
    return folder


def zone(folder: Path, tld: str) -> dns.zone.Zone:
    return dns.zone.from_file(
        str(folder / "zones" / f"{tld}.zone"), origin=f"{tld}.", relativize=False
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_zones_are_master_files(exported: Path) -> None:
    """A parser reads all that ``nsd.conf`` names."""
    configuration = (exported / "zones" / "nsd.conf").read_text()
    for file in sorted((exported / "zones").glob("*.zone")):
        assert zone(exported, file.stem).get_soa()
        assert f'zonefile: "{file.name}"' in configuration
    assert "ip-address: 127.19.53.1@5353" in configuration


@pytest.mark.parametrize(
    ("owner", "rdtype", "rdata"),
    [
        ("_mta-sts.own-enforce.com.", "TXT", '"v=STSv1; id=20240101000000;"'),
        ("_mta-sts.txt-non-ascii.com.", "TXT", '"v=STSv1; id=20240101000042;'),
        ("own-enforce.com.", "MX", "10 mx1.own-enforce.com."),
        ("no-mail-null-mx.com.", "MX", "0 ."),
    ],
)
def test_records_come_through(exported: Path, owner: str, rdtype: str, rdata: str) -> None:
    """Names absolute, strings quoted."""
    found = zone(exported, "com").get_rdataset(owner, rdtype)
    assert found is not None
    assert rdata.rstrip('"')[:16] in found.to_text()


def test_every_host_has_its_address_certificate_and_persona(exported: Path) -> None:
    """What cannot be played by a real server says why."""
    hosts = lines(exported / "hosts.jsonl")
    assert {host["port"] for host in hosts} == {8443, 2525}
    for host in hosts:
        assert (exported / "certificates" / f"{host['host']}.pem").is_file()
    reasons = {host["needs_lab"] for host in hosts} - {None}
    assert "plaintext follows the 220 to STARTTLS" in reasons
    assert "the body is dripped" in reasons


def test_nginx_serves_what_it_can(exported: Path) -> None:
    """A block per Policy Host that is no trouble."""
    text = (exported / "nginx.conf").read_text()
    assert "server_name mta-sts.own-enforce.com;" in text
    assert "return 404;" in text
    assert "ssl_reject_handshake on;" in text
    assert "mta-sts.http-dripped.com" not in text
    assert text.count("{") == text.count("}")


def test_policies_are_the_octets_served(exported: Path) -> None:
    """Line ends and all."""
    body = (exported / "policies" / "mta-sts.own-enforce.com.txt").read_bytes()
    assert body.startswith(b"version: STSv1\r\nmode: enforce\r\nmx: mx1.own-enforce.com\r\n")


def test_faults_are_listed(exported: Path) -> None:
    """Zone files cannot stall."""
    faults = lines(exported / "faults.jsonl")
    faulty = {name for name, scenario in CATALOGUE.items() if scenario.faults}
    assert {fault["domain"].removesuffix(".com") for fault in faults} == faulty
