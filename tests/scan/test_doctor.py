"""The examination of a vantage: each thing that can be wrong with one is found, and nothing else."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trio

from crawler.config import Config, Dns, Identity, Net, Politeness, Vantage
from crawler.net.vantage import source_address
from crawler.politeness.opt_out import OptOut
from crawler.scan import machine
from crawler.scan.doctor import BOGUS, IdentityError, examine, require_identity
from crawler.scan.machine import Check, Health
from tests.net import nameserver
from tests.net.hosts import answering, mail_host, response
from tests.net.nameserver import Asked, Script, Sent
from tests.net.servers import AUTHORITY, Behaviour, serving, unused_port, virtual_time
from tests.net.servers import server_context as tls
from tests.probe.lookup_world import fails, records
from tests.scan.small_world import SOA
from tests.scan.test_address_policy import watching

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC).replace(microsecond=0)  # certificates of the tests are valid today
HERE = "scanner.example"
WELL = tls(HERE)
DATE = b"Date: " + format_datetime(NOW).encode()

Found = Mapping[str, Check]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


def page(*headers: bytes, status: bytes = b"200 OK", **how: Any) -> Behaviour:
    """The contact page."""
    return answering(response(b"who we are", *headers, status=status), **{"context": WELL, **how})


ZONE: Mapping[tuple[str, str], Script] = {
    (HERE, "A"): records("127.0.0.1"),
    (".", "SOA"): lambda asked: [asked.reply(SOA, ad=True)],
}


async def examined(
    folder: Path,
    *,
    contact: Behaviour | None = None,
    mail: Behaviour | None = None,
    zone: Mapping[tuple[str, str], Script] | None = None,
    now: datetime = NOW,
    **tables: Any,
) -> Found:
    """What is found in a closed world where all is well but for what the arguments change."""
    known = {**ZONE, **(zone or {})}

    def script(asked: Asked) -> Iterable[Sent]:
        found = known.get((asked.qname, asked.rdtype)) or known.get(("*", asked.rdtype))
        return (found or fails("NXDOMAIN"))(asked)

    (folder / "roots.pem").write_bytes(AUTHORITY.cert_pem.bytes())
    (folder / "opt-out.txt").touch()
    async with AsyncExitStack() as stack:
        resolver = await stack.enter_async_context(nameserver.serve(script))
        ports = []
        for behaviour in (contact or page(DATE), mail or mail_host(context=WELL)):
            server = await stack.enter_async_context(serving(behaviour))
            ports.append(server.port)
        https, smtp = ports
        config = Config(
            dns=Dns(resolvers=(resolver.label,)),
            net=Net(
                https_port=https,
                smtp_port=smtp,
                trust_roots=folder / "roots.pem",
                allow_addresses=("127.0.0.0/8",),
            ),
            identity=Identity(ehlo_name=HERE, contact="a@b.example", url=f"https://{HERE}/scan"),
            politeness=Politeness(opt_out=folder / "opt-out.txt"),
            vantage=Vantage(canaries=tuple(f"{HERE}:{smtp}" for _ in range(3))),
        )
        for name, keys in tables.items():
            config = replace(config, **{name: replace(getattr(config, name), **keys)})
        checks = await examine(config, OptOut(None), now=lambda: now)
    return {check.name: check for check in checks}


OF_THIS_MACHINE = {"reverse DNS", "IPv6", "descriptors", "disk"}


async def test_where_all_is_well_nothing_is_wrong(tmp_path: Path) -> None:
    found = await examined(tmp_path)
    names = {name for name in found if not name.startswith(("resolver", "canary"))}
    assert names == OF_THIS_MACHINE | {
        "identity",
        "trust roots",
        "clock",
        "opt-out list",
        "contact page",
        "clock of the contact page",
    }
    unwell = {n: c for n, c in found.items() if c.health is not Health.OK}
    assert unwell.keys() <= OF_THIS_MACHINE
    assert not [check for check in unwell.values() if check.health is Health.FAIL]


LATER = b"Date: " + format_datetime(NOW + timedelta(hours=1)).encode()
SHOWS_NONE = "shows no valid certificate for its name"

UNWELL: dict[str, tuple[dict[str, Any], str, Health, str]] = {
    "no page": ({"contact": page(status=b"404 X")}, "contact page", Health.WARN, "answers 404"),
    "a proxy on port 443": (
        {"contact": page(context=tls("proxy.example"))},
        "contact page",
        Health.WARN,
        f"{SHOWS_NONE}: is port 443 redirected here?",
    ),
    "port 443 is closed": (
        {"net": {"https_port": unused_port()}},
        "contact page",
        Health.WARN,
        "connection-refused at connect",
    ),
    "a page that nobody can find": (
        {"identity": {"url": "https://nobody.example/"}},
        "contact page",
        Health.WARN,
        "the address of nobody.example is NXDOMAIN",
    ),
    "a URL that is none": (
        {"identity": {"url": "https://scanner.example:http/"}},
        "contact page",
        Health.WARN,
        "is no URL of a page",
    ),
    "a name that is none": (
        {"identity": {"url": "https://a b/"}},
        "contact page",
        Health.WARN,
        "is no URL of a page",
    ),
    "a page on another port": (
        {"identity": {"url": f"https://{HERE}:8443/"}},
        "contact page",
        Health.WARN,
        "is not looked at",
    ),
    "a page at an address that is not dialled": (
        {"zone": {(HERE, "A"): records("10.0.0.1")}},
        "contact page",
        Health.WARN,
        "not in [net] allow_addresses",
    ),
    "a clock that is slow": (
        {"contact": page(LATER)},
        "clock of the contact page",
        Health.WARN,
        "ours is -3,600 s from it",
    ),
    "no clock beside ours": (
        {"contact": page()},
        "clock of the contact page",
        Health.WARN,
        "sends no date",
    ),
    "a date that is none": (
        {"contact": page(b"Date: \x1b[2J")},
        "clock of the contact page",
        Health.WARN,
        "sends no date",
    ),
    "a clock before the trust roots": (
        {"now": datetime(1999, 12, 31, tzinfo=UTC)},
        "clock",
        Health.FAIL,
        "before a trust root was made",
    ),
    "no trust roots": (
        {"net": {"trust_roots": Path("none.pem")}},
        "trust roots",
        Health.FAIL,
        "none.pem",
    ),
    "no opt-out list": (
        {"politeness": {"opt_out": None}},
        "opt-out list",
        Health.WARN,
        "set [politeness] opt_out",
    ),
    "IPv6 is off": ({"net": {"ipv6": False}}, "IPv6", Health.WARN, "switched off"),
    "few descriptors": (
        {"politeness": {"connections": 10**9}},
        "descriptors",
        Health.WARN,
        "raise ulimit -n",
    ),
    "m24 a canary is somebody else": (
        {"mail": mail_host(context=tls("proxy.example"))},
        "canary",
        Health.WARN,
        "shows no certificate for its name",
    ),
    "m23 port 25 is closed": (
        {"net": {"smtp_port": 1}, "vantage": {"canaries": (f"{HERE}:1",)}},
        "canary",
        Health.WARN,
        "connection-refused at connect: is port 1 blocked here?",
    ),
    "no canaries": ({"vantage": {"canaries": ()}}, "port 25", Health.WARN, "is not known"),
    "d30 a resolver that makes names up": (
        {"zone": {("*", "A"): records("192.0.2.1")}},
        "resolver",
        Health.FAIL,
        "answers for names that do not exist",
    ),
    "a resolver that does not validate": (
        {"zone": {(".", "SOA"): lambda asked: [asked.reply(SOA)]}},
        "resolver",
        Health.WARN,
        "DANE cannot be judged",
    ),
    "a resolver that does not recurse": (
        {"zone": {(".", "SOA"): lambda asked: [asked.reply(SOA, ra=False)]}},
        "resolver",
        Health.FAIL,
        "does not recurse for us",
    ),
}
"""What is changed; the check that tells, its health in a closed world, and words of it."""


@pytest.mark.parametrize("case", UNWELL)
async def test_what_is_wrong_is_said(tmp_path: Path, case: str) -> None:
    changes, name, health, words = UNWELL[case]
    found = await examined(tmp_path, **changes)
    telling = [c for n, c in found.items() if n.startswith(name) and words in c.sentence]
    assert [check.health for check in telling] == [health], found
    assert all(check.sentence.isprintable() for check in found.values())


def test_an_opt_out_list_that_nobody_keeps(tmp_path: Path) -> None:
    path = tmp_path / "opt-out.txt"
    path.touch()
    os.utime(path, (0, 0))
    config = Config(politeness=Politeness(opt_out=path))
    (check,) = (c for c in machine.checks(config, tmp_path, NOW) if c.name == "opt-out list")
    assert check.health is Health.WARN
    assert "last changed" in check.sentence


def test_a_disk_that_is_too_small(tmp_path: Path) -> None:
    assert machine.disk(tmp_path, 999_999).health is Health.WARN
    assert machine.disk(tmp_path, 10**6) == Check(
        "disk", Health.OK, f"{tmp_path} has room for a scan of about 1,000,000 domains"
    )
    assert machine.domains_within(tmp_path) > 0


# --- the public Internet -------------------------------------------------------------------

PUBLIC: dict[str, Any] = {"net": {"allow_addresses": (), "https_port": 443, "smtp_port": 25}}
NOBODY: dict[str, Any] = {**PUBLIC, "vantage": {"canaries": ()}, "identity": {"url": ""}}


async def test_what_only_warns_in_a_closed_world_fails_on_the_internet(tmp_path: Path) -> None:
    found = await examined(tmp_path, **NOBODY, politeness={"opt_out": None})
    for name in ("identity", "contact page", "port 25", "opt-out list"):
        assert found[name].health is Health.FAIL, name
    assert found["DNSSEC"].sentence == f"{BOGUS}, whose signatures are broken, is NXDOMAIN"
    assert found["DNS64"].health is Health.OK


async def test_a_resolver_that_believes_forgeries_or_makes_addresses_up(tmp_path: Path) -> None:
    zone = {
        (BOGUS, "A"): records("192.0.2.1"),
        ("ipv4only.arpa", "AAAA"): records("2001:db8:64::c000:aa"),
    }
    found = await examined(tmp_path, **NOBODY, zone=zone)
    assert (found["DNSSEC"].health, found["DNS64"].health) == (Health.WARN, Health.WARN)
    assert "forged data would be believed" in found["DNSSEC"].sentence
    assert "2001:db8:64::/96" in found["DNS64"].sentence


async def test_the_page_on_this_very_machine_is_not_dialled(tmp_path: Path) -> None:
    with watching() as seen:
        found = await examined(tmp_path, **PUBLIC, vantage={"canaries": (HERE,)})
    assert seen.streams == set()
    assert found["contact page"].health is Health.WARN
    assert "look from elsewhere" in found["contact page"].sentence


async def test_two_canaries_are_few(tmp_path: Path) -> None:
    canaries = ("nobody.example", "nobody2.example")
    found = await examined(tmp_path, **{**NOBODY, "vantage": {"canaries": canaries}})
    assert found["canaries"].sentence.startswith("2 of them: name 3 or more")


async def test_l14_forward_and_reverse_dns_have_to_agree(tmp_path: Path) -> None:
    """With the address that packets leave from, if there is one."""
    source = source_address(socket.AF_INET) or source_address(socket.AF_INET6)
    if source is None:
        found = await examined(tmp_path)
        assert found["reverse DNS"].sentence.startswith("no route to the Internet")
        return
    forward = (HERE, "AAAA" if ":" in source else "A")
    backward = (ip_address(source).reverse_pointer, "PTR")
    agreeing = {forward: records(source), backward: records(f"{HERE}.")}
    for zone, health, words in (
        (agreeing, Health.OK, "agree"),
        ({**agreeing, backward: records("a.b.")}, Health.FAIL, "mail hosts refuse such clients"),
        ({**agreeing, backward: fails("NXDOMAIN")}, Health.FAIL, "is no name"),
        ({**agreeing, forward: records("192.0.2.7")}, Health.FAIL, "packets leave from"),
        ({**agreeing, forward: fails()}, Health.FAIL, f"{HERE} is SERVFAIL"),
    ):
        with watching():
            found = await examined(tmp_path, **NOBODY, zone=zone)
        assert (found["reverse DNS"].health, words in found["reverse DNS"].sentence) == (
            health,
            True,
        ), found["reverse DNS"]


@pytest.mark.parametrize("missing", ["ehlo_name", "contact", "url"])
async def test_l14_a_public_scan_without_identity_does_not_start(missing: str) -> None:
    identity = replace(Identity(ehlo_name="a", contact="b", url="c"), **{missing: ""})
    with pytest.raises(IdentityError, match=rf"\[identity\] {missing} not set"):
        require_identity(Config(identity=identity))
    require_identity(Config(identity=identity, net=Net(allow_addresses=("127.0.0.0/8",))))
    await trio.lowlevel.checkpoint()
