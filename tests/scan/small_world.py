"""A few domains on loopback, each with servers of its own, and a real scan of them.

A ``Site`` is a literal: what the DNS says of one domain and how its two hosts behave.  Whatever
the servers and the name server saw is in their logs, and is the oracle of what was sent.  Time is
virtual: it passes only while everybody waits, so a tarpit of two minutes takes no time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from ssl import SSLContext
from typing import Any, TypeVar

import trio
import trio.testing

from crawler.config import Config, Dns, Net, Politeness, Seconds
from crawler.politeness.opt_out import OptOut
from crawler.records import (
    TABLES,
    AddressLookup,
    Conversation,
    Domain,
    MxLookup,
    PolicyFetch,
    StarttlsSession,
    TlsaLookup,
    TxtLookup,
)
from crawler.scan.executor import Local
from crawler.scan.judge import judge_scan
from crawler.scan.planning import planning
from crawler.scan.progress import Progress
from crawler.scan.request import Request
from crawler.scan.rounds import run_passes
from crawler.scan.run import Outcome, scan
from crawler.scan.session import open_context
from crawler.snapshot import parts
from crawler.snapshot.memory import MemoryWork
from crawler.vocabulary import BLAME_OF_DNS, BLAME_OF_IO
from tests.net import nameserver
from tests.net.hosts import answering, mail_host, response
from tests.net.nameserver import Asked, Nameserver, Script, Sent
from tests.net.servers import AUTHORITY, Behaviour, Server, serve_while, server_context, unused_port
from tests.probe.lookup_world import fails, records

R = TypeVar("R")

Host = Callable[..., Behaviour]
"""Makes a behaviour when it is given the TLS settings of the host, as ``context``."""

SOA = "a.root-servers.example. nstld.example. 1 1800 900 604800 86400"
RECORD = records('"v=STSv1; id=1;"')
EPOCH = datetime(2026, 11, 24, tzinfo=UTC)


def virtual_time() -> tuple[str, dict[str, object]]:
    """The backend of these tests.  Loopback delivers at once, so little has to be waited for."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0.005)}


def still(behaviour: Behaviour) -> Host:
    """A host that has no use for TLS settings."""
    return lambda context: behaviour


@dataclass(frozen=True, kw_only=True)
class Site:
    """One domain below ``example``, everything about which is right but what the literal says."""

    label: str
    policy: Host | None = None
    """How its policy host behaves; None: it has none."""
    mail: Host | None = None
    """How its MX host behaves; None: it takes no mail."""
    zone: Mapping[tuple[str, str], Script] = field(default_factory=dict)
    """What the DNS says in place of the usual, by owner below the domain ("" is itself) and type."""
    policy_at: str | None = None
    mail_at: str | None = None
    """Addresses, where they matter; hosts of several sites at one address are the first one's."""

    @property
    def domain(self) -> str:
        """The domain."""
        return f"{self.label}.example"

    @property
    def tls(self) -> SSLContext:
        """The TLS settings of both hosts: a certificate for their names."""
        return _tls_of(self.domain)


@cache
def _tls_of(domain: str) -> SSLContext:
    return server_context(f"mta-sts.{domain}", f"mx.{domain}")


def good_policy(domain: str, *, after: float = 0) -> Host:
    """A policy host with a policy for the domain's own MX host, which it takes some time to find."""
    lines = ("version: STSv1", "mode: enforce", f"mx: mx.{domain}", "max_age: 86400", "")
    body = "\r\n".join(lines).encode()
    pieces = (b"", response(body, b"Content-Type: text/plain"))
    return partial(answering, *pieces, every=after)


def good_site(label: str, *, after: float = 0, **rest: Any) -> Site:
    """A domain that does everything right; its hosts take some time to answer."""

    def slow(context: SSLContext) -> Behaviour:
        behaviour = mail_host(context=context)

        async def late(peer: Any) -> None:
            await trio.sleep(after)
            await behaviour(peer)

        return late

    policy = good_policy(f"{label}.example", after=after)
    return Site(label=label, policy=policy, mail=slow, **rest)


@dataclass(kw_only=True)
class World:
    """The running servers, and the configuration of a scan that measures them."""

    config: Config
    sites: tuple[Site, ...]
    nameserver: Nameserver
    policy_hosts: dict[str, Server]
    mail_hosts: dict[str, Server]
    """By address."""
    addresses: dict[str, tuple[str, str]]
    """Of the policy host and of the MX host, by the label of the site."""

    def policy_host(self, label: str) -> Server:
        """The policy host of a site."""
        return self.policy_hosts[self.addresses[label][0]]

    def mail_host(self, label: str) -> Server:
        """The MX host of a site."""
        return self.mail_hosts[self.addresses[label][1]]

    def asked(self) -> set[tuple[str, str]]:
        """The questions that the name server has seen: name in lower case, and type."""
        return {(asked.qname.lower(), asked.rdtype) for asked in self.nameserver.log}

    def asked_of(self, name: str) -> int:
        """How many questions about *name* and the names below it the name server has seen."""
        return sum(f".{asked.qname.lower()}".endswith(f".{name}") for asked in self.nameserver.log)


def _zone(sites: Iterable[Site], addresses: Mapping[str, tuple[str, str]]) -> dict[Any, Script]:
    zone: dict[tuple[str, str], Script] = {}
    for site in sites:
        at_policy, at_mail = addresses[site.label]
        usual = {("_mta-sts", "TXT"): RECORD, ("", "MX"): records("0 .")}
        if site.policy is not None:
            usual["mta-sts", "A"] = records(at_policy)
        if site.mail is not None:
            usual["", "MX"] = records(f"10 mx.{site.domain}.")
            usual["mx", "A"] = records(at_mail)
        for (owner, rdtype), script in {**usual, **site.zone}.items():
            name = owner[:-1] if owner.endswith(".") else f"{owner}.{site.domain}".lstrip(".")
            zone[name, rdtype] = script
    return zone


def _script(zone: Mapping[tuple[str, str], Script]) -> Script:
    """A recursive resolver that knows *zone*, and that no other name exists."""
    names = {name for name, _ in zone}

    def script(asked: Asked) -> Iterable[Sent]:
        if asked.rdtype == "SOA":
            return [asked.reply(SOA, ad=True)]
        known = zone.get((asked.qname.lower(), asked.rdtype))
        if known is not None:
            return known(asked)
        exists = asked.qname.lower() in names
        return [asked.reply()] if exists else fails("NXDOMAIN")(asked)

    return script


@asynccontextmanager
async def open_world(
    folder: Path, sites: Sequence[Site], **politeness: Any
) -> AsyncIterator[World]:
    """The servers of *sites*, while the block runs.  Nobody waits for a turn unless told to."""
    addresses = {
        site.label: (
            site.policy_at or f"127.100.{n // 250}.{n % 250 + 1}",
            site.mail_at or f"127.101.{n // 250}.{n % 250 + 1}",
        )
        for n, site in enumerate(sites)
    }
    roots = folder / "roots.pem"
    roots.write_bytes(AUTHORITY.cert_pem.bytes())
    https = unused_port()
    ports = {"https": https, "smtp": next(p for p in iter(unused_port, None) if p != https)}
    async with (
        nameserver.serve(_script(_zone(sites, addresses))) as resolver,
        trio.open_nursery() as nursery,
    ):

        async def listen(host: Host | None, site: Site, address: str, service: str) -> None:
            servers = policy_hosts if service == "https" else mail_hosts
            if host is not None and address not in servers:
                behaviour = host(context=site.tls)
                start = partial(serve_while, behaviour, address, ports[service])
                servers[address] = await nursery.start(start)

        policy_hosts: dict[str, Server] = {}
        mail_hosts: dict[str, Server] = {}
        for site in sites:
            at_policy, at_mail = addresses[site.label]
            await listen(site.policy, site, at_policy, "https")
            await listen(site.mail, site, at_mail, "smtp")
        limits = Politeness(
            per_address_interval=Seconds(0),
            per_prefix_connections=10_000,
            connections_per_second=1e6,
        )
        yield World(
            config=Config(
                dns=Dns(resolvers=(resolver.label,), queries_per_second=1e6),
                net=Net(
                    https_port=ports["https"],
                    smtp_port=ports["smtp"],
                    trust_roots=roots,
                    allow_addresses=("127.0.0.0/8",),
                ),
                politeness=replace(limits, **politeness),
            ),
            sites=tuple(sites),
            nameserver=resolver,
            policy_hosts=policy_hosts,
            mail_hosts=mail_hosts,
            addresses=addresses,
        )
        nursery.cancel_scope.cancel()


async def run_scan(
    world: World,
    folder: Path,
    config: Config | None = None,
    progress: Progress | None = None,
    *,
    at: datetime = EPOCH,
    **request: Any,
) -> Outcome:
    """Scan the sites of *world* into an archive in *folder*, on the day *at*."""
    names = folder / "list.txt"
    names.write_text("".join(f"{site.domain}\n" for site in world.sites))
    facts = {"sources": (str(names),), "archive": folder / "archive", **request}
    began = trio.current_time()
    return await scan(
        Request(config=config or world.config, **facts),
        progress or Progress(quiet=True),
        now=lambda: at + timedelta(seconds=trio.current_time() - began),
    )


async def observe(
    world: World,
    config: Config | None = None,
    *,
    sites: Iterable[Site] | None = None,
    seed: str = "seed",
    resumed: bool = False,
    progress: Progress | None = None,
) -> MemoryWork:
    """What the passes of a scan find out about *sites*, kept in memory and not yet judged."""
    config = config or world.config
    work = MemoryWork("observed", seed=seed)
    domains = [
        Domain(scan_id=work.scan_id, domain=site.domain, list="sites", tld="example")
        for site in (world.sites if sites is None else sites)
    ]
    work.commit("list", {Domain: domains})
    began = trio.current_time()
    async with open_context(
        config,
        planning(config, seed=seed),
        work,
        OptOut(config.politeness.opt_out, clock=trio.current_time),
        progress or Progress(quiet=True),
        roots=AUTHORITY.cert_pem.bytes(),
        resumed=resumed,
        now=lambda: EPOCH + timedelta(seconds=trio.current_time() - began),
    ) as context:
        await run_passes(context, Local(context))
    return work


def judge(work: MemoryWork, config: Config) -> None:
    """Judge what was observed."""
    plan = planning(config, seed="seed")
    judge_scan(work, plan, AUTHORITY.cert_pem.bytes(), lambda domain: domain)


def observed(rows: Mapping[type[Any], Iterable[Any]]) -> list[Any]:
    """Of all rows by their class those that the passes wrote."""
    return [row for cls in OBSERVED for row in rows.get(cls, ())]


def rows_of_all(outcome: Outcome) -> dict[type[Any], list[Any]]:
    """The rows of every table of a scan, by their class."""
    return {cls: rows_of(outcome, cls) for cls in TABLES}


def rows_of(outcome: Outcome, cls: type[R]) -> list[R]:
    """The rows of one table of a scan."""
    table: str = cls.table  # type: ignore[attr-defined]
    return parts.read_all(sorted((outcome.folder.path / table).glob("part-*.parquet")), cls)


def but_times(row: Any) -> dict[str, Any]:
    """A row without what may differ between two scans of one world."""
    return {
        name: value
        for name, value in asdict(row).items()
        if name not in ("scan_id", "resolver") and not name.endswith(("_at", "_ms"))
    }


def sockets() -> int:
    """How many sockets this process has open."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += str(link.readlink()).startswith("socket:")
        except FileNotFoundError:
            pass
    return found


# What holds of every row, whatever was on the other side.

OBSERVED = (TxtLookup, MxLookup, AddressLookup, TlsaLookup, PolicyFetch, StarttlsSession)


def faults_of(row: Any, config: Config) -> list[str]:
    """What is wrong with a row whoever wrote it: a limit exceeded, or text that is not fit for us."""
    return [word for word, holds in _checks(row, config) if not holds]


def _checks(row: Any, config: Config) -> Iterator[tuple[str, bool]]:
    dns, limits, error = config.dns, config.limits, row.error or ""
    yield "an error that is not one printable line", error.isprintable() and len(error) <= 300
    blame = BLAME_OF_IO if isinstance(row, Conversation) else BLAME_OF_DNS
    yield "somebody else is blamed", row.blame is blame[row.status]
    if isinstance(row, PolicyFetch):
        body = row.body or b""
        yield "it took too long", row.elapsed_ms <= 1000 * (limits.https_total + 1)
        yield "a body over its cap", len(body) <= limits.policy_bytes
        yield (
            "a size that is not the body's",
            not row.body or row.body_truncated == (row.body_size != len(body)),
        )
    elif isinstance(row, StarttlsSession):
        said = [row.banner or b"", *row.ehlo, *row.ehlo_tls, row.plaintext_after_starttls or b""]
        yield "it took too long", row.elapsed_ms <= 1000 * (limits.smtp_total + 1)
        yield "a reply over its cap", sum(map(len, said)) <= 4 * limits.smtp_reply_bytes
        yield "a reply with too many lines", len(row.ehlo) <= limits.smtp_reply_lines
    else:
        tries = 2 if isinstance(row, AddressLookup) else 1
        yield "it took too long", row.elapsed_ms <= 1000 * tries * (dns.attempts * dns.timeout + 3)


def repeated(rows: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Keys that more than one row has for the same attempt."""
    keys = Counter(
        (
            type(row).__name__,
            *(getattr(row, column) for column in row.primary_key),
            getattr(row, "kind", None),
            row.attempt,
        )
        for row in rows
    )
    return [key for key, count in keys.items() if count > 1]
