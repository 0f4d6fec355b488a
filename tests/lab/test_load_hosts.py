"""The hosts of the load world: everybody has an address, a name in a certificate and a trusted path."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification

from crawler.lab import load, load_hosts
from crawler.lab.load_pki import KeyKind, LoadAuthority

COUNT = 2_000
NOW = datetime(2026, 11, 24, 4, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hosts")
    load_hosts.export_hosts(folder, count=COUNT, https_port=8443, smtp_port=2525, now=NOW)
    return folder


def listed(path: Path) -> list[tuple[str, ...]]:
    return [tuple(line.split(",")) for line in path.read_text().splitlines()]


def names_of(pem: Path) -> list[str]:
    leaf = x509.load_pem_x509_certificates(pem.read_bytes())[0]
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return san.value.get_values_for_type(x509.DNSName)


def test_the_lists_are_those_of_the_zone(exported: Path) -> None:
    """A Policy Host for every adopter, and every MX host, at the addresses that the zone has."""
    adopters = [domain for domain in load.domains(COUNT) if domain.adopts]
    expected = [(domain.policy_address, f"mta-sts.{domain.name}") for domain in adopters]
    assert listed(exported / "policy_hosts.csv") == expected
    for domain, (address, _) in zip(adopters, expected, strict=True):
        assert any(line.endswith(f" A {address}") for line in domain.records())
    hosts = listed(exported / "mx_hosts.csv")
    assert hosts == [(load.mx_address(n), load.mx_host(n)) for n in range(load.MX_HOSTS)]


def test_every_policy_host_is_served_at_its_address_by_a_certificate_of_its_name(
    exported: Path,
) -> None:
    """Twenty names to a certificate at the most."""
    servers = re.findall(
        r"listen ([\d.]+):8443 ssl;\s+server_name (.*?);\s+ssl_certificate (\S+);",
        (exported / "policies.conf").read_text(),
    )
    served = {(address, name) for address, names, _ in servers for name in names.split()}
    assert served == set(listed(exported / "policy_hosts.csv"))
    for _, names, pem in servers:
        assert names_of(Path(pem)) == names.split()
        assert len(names.split()) <= load_hosts.SHARED


def test_every_mx_host_listens(exported: Path) -> None:
    """All with one certificate, whose wildcard covers them."""
    listens = re.findall(r"listen ([\d.]+):2525;", (exported / "mail.conf").read_text())
    assert listens == [address for address, _ in listed(exported / "mx_hosts.csv")]
    assert names_of(exported / "certificates" / "mail.pem") == ["*.mail.load"]
    assert load.mx_host(7).partition(".")[2] == "mail.load"


@pytest.mark.parametrize(
    ("kind", "key"), [("p256", ec.EllipticCurvePublicKey), ("rsa2048", rsa.RSAPublicKey)]
)
def test_the_chains_are_good(kind: KeyKind, key: type) -> None:
    """A strict verifier finds nothing, and every key is of the kind."""
    authority = LoadAuthority(kind, NOW)
    roots = x509.load_pem_x509_certificates(authority.roots_pem)
    leaf, *others = authority.leaf(["mta-sts.a.load", "mta-sts.b.load"])
    assert all(isinstance(each.public_key(), key) for each in (leaf, *others, *roots))
    builder = verification.PolicyBuilder().store(verification.Store(roots)).time(NOW)
    verifier = builder.build_server_verifier(x509.DNSName("mta-sts.b.load"))
    assert verifier.verify(leaf, others) == [leaf, *others, *roots]
