"""Whatever stands in a zone, every domain is measured and judged: nobody's records end a scan.

Names of any octets, TXT strings of any octets, aliases to anywhere, TLSA records of any shape: all
that a stranger can publish, put through every pass and every rule.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import dns.name
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from crawler.config import Config, Dns, Net, Politeness, Retry, Seconds
from crawler.scan.check import as_json, check, show
from tests.net import nameserver
from tests.net.nameserver import Asked, Script, Sent
from tests.net.servers import AUTHORITY

ODD = [b".", b"\\", b"\\.", b"a.", b"\0", b"*", b"MX", b"xn--", b"127", b"1", b" ", b"\xff" * 63]
LABELS = st.sampled_from(ODD) | st.binary(min_size=1, max_size=8)
NAMES = st.lists(LABELS, max_size=3).map(lambda labels: dns.name.Name([*labels, b""]))
STRINGS = st.lists(st.binary(max_size=20), max_size=3)
RECORDS = st.sampled_from([b"v=STSv1; id=1;", b"v=TLSRPTv1; rua=mailto:a@b", b"v=STSv1"])


@dataclass(frozen=True)
class Zone:
    """What one domain, or any name that its records lead to, has."""

    txt: tuple[bytes, ...]
    mx: tuple[tuple[int, dns.name.Name], ...]
    alias: dns.name.Name | None
    ipv4: tuple[bytes, ...]
    tlsa: tuple[bytes, ...]
    rcode: str

    def answer(self, asked: Asked) -> bytes:
        """Its answer, in the generic form of RFC 3597 section 5, which holds any octets."""
        rdata = {
            "TXT": [bytes([len(text)]) + text for text in self.txt],
            "MX": [p.to_bytes(2, "big") + (host.to_wire() or b"") for p, host in self.mx],
            "A": list(self.ipv4),
            "TLSA": list(self.tlsa),
        }.get(asked.rdtype, [])
        aliased = self.alias is not None and asked.rdtype in ("A", "TXT")
        aliases = [self.alias.to_text(omit_final_dot=True)] if aliased and self.alias else []
        texts = [rf"\# {len(octets)} {octets.hex()}" for octets in rdata]
        return asked.reply(*texts, rcode=self.rcode, aliases=aliases)


ZONES = st.builds(
    Zone,
    st.lists(RECORDS | STRINGS.map(b"".join), max_size=2).map(tuple),
    st.lists(st.tuples(st.integers(0, 65535), NAMES), max_size=4).map(tuple),
    st.none() | NAMES.filter(lambda name: name != dns.name.root),
    st.sampled_from([(), (b"\x7f\x68\0\1",), (b"\x0a\0\0\1", b"\x7f\x68\0\2")]),
    st.lists(st.binary(min_size=3, max_size=40).map(lambda data: b"\3\1\0" + data), max_size=2).map(
        tuple
    ),
    st.sampled_from(["NOERROR"] * 8 + ["NXDOMAIN", "SERVFAIL"]),
)
WORLDS = st.lists(ZONES, min_size=8, max_size=30)


def publishing(zones: list[Zone]) -> Script:
    """A resolver in whose world every name has one of *zones*."""

    def script(asked: Asked) -> Iterable[Sent]:
        octets = asked.query.question[0].name.to_wire() or b""
        return [zones[sum(octets.lower()) % len(zones)].answer(asked)]

    return script


async def examine(zones: list[Zone], folder: Path) -> str:
    """Check some domains, and return what is shown of them."""
    said = io.StringIO()
    async with nameserver.serve(publishing(zones)) as server:
        config = Config(
            dns=Dns(resolvers=(server.label,), queries_per_second=1e6),
            net=Net(trust_roots=folder / "roots.pem", allow_addresses=("127.104.0.0/16",)),
            politeness=Politeness(per_address_interval=Seconds(0), connections_per_second=1e6),
            retry=Retry(rounds=0),
        )
        domains = [f"d{n}.example" for n in range(len(zones))]
        reports = await check(domains, replace(config))
    assert [report.assessment.domain for report in reports] == domains
    for report in reports:
        as_json(report)
        show(report, Console(file=said, width=300))
    return said.getvalue()


def check_zones(zones: list[Zone], folder: Path) -> None:
    (folder / "roots.pem").write_bytes(AUTHORITY.cert_pem.bytes())
    clock = trio.testing.MockClock(autojump_threshold=0.002)
    said = trio.run(examine, zones, folder, clock=clock)
    assert all(line.isprintable() for line in said.splitlines())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zones")


@settings(max_examples=2, derandomize=True)
@given(zones=WORLDS)
def test_whatever_stands_in_a_zone_every_domain_is_judged(zones: list[Zone], folder: Path) -> None:
    check_zones(zones, folder)


@pytest.mark.soak
@settings(max_examples=500)
@given(zones=WORLDS)
def test_soak_whatever_stands_in_a_zone(zones: list[Zone], folder: Path) -> None:
    check_zones(zones, folder)
