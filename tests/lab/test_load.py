"""The load world: the same for everybody, a zone that a name server reads, and nothing wrong in it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import dns.rdatatype
import dns.zone
import pytest

from crawler.lab import load

COUNT = 5_000


@pytest.fixture(scope="module")
def domains() -> list[load.LoadDomain]:
    return list(load.domains(COUNT))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("load")
    load.export(folder, count=500)
    return folder


@pytest.fixture(scope="module")
def zone(exported: Path) -> dns.zone.Zone:
    return dns.zone.from_file(str(exported / "load.zone"), origin="load.", relativize=False)


def test_the_seed_decides_everything(domains: list[load.LoadDomain]) -> None:
    """One seed makes one world, and a smaller one is the beginning of a larger one."""
    assert list(load.domains(COUNT, seed=1)) == domains
    assert list(load.domains(100)) == domains[:100]
    assert list(load.domains(COUNT, seed=2)) != domains


@pytest.mark.parametrize(
    ("publishes", "share"),
    [
        ("adopts", load.ADOPTS),
        ("reports", load.REPORTS),
        ("spf", load.SPF),
        ("dmarc", load.DMARC),
    ],
)
def test_shares(domains: list[load.LoadDomain], publishes: str, share: float) -> None:
    """As many publish each record as the constants say."""
    found = sum(getattr(domain, publishes) for domain in domains) / COUNT
    assert found == pytest.approx(share, abs=0.02)


def test_every_domain_has_mail_hosts(domains: list[load.LoadDomain]) -> None:
    """One, or two that differ; most of them at few operators."""
    assert all(1 <= len(domain.mx) <= 2 for domain in domains)
    assert all(len(set(domain.mx)) == len(domain.mx) for domain in domains)
    # Somewhat fewer than drawn: the second host drawn is often the first one again.
    assert 0.15 < sum(len(domain.mx) == 2 for domain in domains) / COUNT < load.SECOND_MX
    popular = [load.mx_host(number) for number in range(10)]
    assert sum(domain.mx[0] in popular for domain in domains) > COUNT / 2


def test_addresses_are_loopback() -> None:
    """Whoever dials them reaches this machine, and each host has its own."""
    addresses = [load.mx_address(number) for number in range(load.MX_HOSTS)]
    assert len(set(addresses)) == load.MX_HOSTS
    assert all(ip_address(address) in ip_network("127.1.0.0/16") for address in addresses)


def test_the_zone_holds_what_the_list_names(exported: Path, zone: dns.zone.Zone) -> None:
    """Every domain of the list has MX records whose hosts have an address, all in the zone."""
    listed = [line.split(",") for line in (exported / "domains.csv").read_text().splitlines()]
    assert [int(rank) for rank, _ in listed] == list(range(1, 501))
    for _, domain in listed:
        records = zone.find_rdataset(f"{domain}.", dns.rdatatype.MX)
        assert all(zone.get_rdataset(mx.exchange, dns.rdatatype.A) for mx in records)


def test_the_zone_holds_what_a_domain_publishes(zone: dns.zone.Zone) -> None:
    """A record where the domain has one, and none where it has not."""
    for domain in load.domains(500):
        for name, published in (
            (f"_mta-sts.{domain.name}.", domain.adopts),
            (f"_smtp._tls.{domain.name}.", domain.reports),
            (f"{domain.name}.", domain.spf),
            (f"_dmarc.{domain.name}.", domain.dmarc),
        ):
            assert (zone.get_rdataset(name, dns.rdatatype.TXT) is not None) == published, name
        host = zone.get_rdataset(f"mta-sts.{domain.name}.", dns.rdatatype.A)
        assert (host is not None) == domain.adopts
