"""Starts the embedded Internet and writes what a scan of it needs.

``open_world`` runs everything in the background of a block; ``serve`` until cancelled.  Into its
folder go ``lab.toml`` (a configuration for ``--config``), ``roots.pem`` (the trust store),
``domains.csv`` (``rank,domain``, the list to scan) and ``truth.parquet`` (what must be found).
"""

from __future__ import annotations

import errno
import random
import resource
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import trio

from crawler.lab import listen, nameserver
from crawler.lab.addresses import ADDRESSES_PER_PROVIDER, IPV6, RESOLVER, Addresses
from crawler.lab.catalogue import CATALOGUE
from crawler.lab.log import Log
from crawler.lab.mail_host import MailHosts
from crawler.lab.operators import OPERATORS, PROVIDERS
from crawler.lab.pki import Authority
from crawler.lab.policy_host import PolicyHosts
from crawler.lab.population import Population
from crawler.lab.scenario import Accept, MailHost
from crawler.lab.site import Listener, Sites
from crawler.lab.tls import Contexts
from crawler.lab.truth import write_truth

_PORTS: Final = range(20000, 32000)
"""Below the ephemeral ports of Linux, so that no client of ours can hold one."""
_RESERVE: Final = 256
"""Descriptors that stay free for accepted connections and for a crawler in the same process."""

_PORT_ATTEMPTS: Final = 20
_NO_IPV6: Final = "::1 cannot be bound here: the scenarios that need IPv6 are left out"

_CONFIGURATION: Final = """\
# Written by the lab: everything in this world is on the loopback interface.
[dns]
resolvers = ["{resolver}:{dns_port}"]
queries_per_second = 20000
timeout = "500ms"
attempts = 2

[net]
https_port = {https_port}
smtp_port = {smtp_port}
trust_roots = "roots.pem"
allow_addresses = ["127.0.0.0/8", "::1/128"]
ipv6 = {ipv6}

[identity]
ehlo_name = "scanner.lab.test"
contact = "scanner@lab.test"
url = "https://scanner.lab.test/"

[politeness]
connections_per_second = 1000
per_address_interval = "5ms"
per_prefix_connections = 256

[retry]
rounds = 1
delay = "1s"

[vantage]
name = "lab"

[limits]
connect = "3s"
https_total = "4s"
smtp_banner = "3s"
smtp_total = "6s"
smtp_quit = "1s"
tls_handshake = "3s"
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """A running lab: where its files are, where it listens, what its hosts saw."""

    directory: Path
    population: Population
    sites: Sites
    resolver: nameserver.Resolver
    dns_port: int
    https_port: int
    smtp_port: int
    log: Log = field(default_factory=Log)
    notes: tuple[str, ...] = ()
    """What this machine keeps the lab from showing."""

    @property
    def config_path(self) -> Path:
        """The configuration for ``--config``."""
        return self.directory / "lab.toml"

    @property
    def list_path(self) -> Path:
        """The domain list: ``rank,domain``."""
        return self.directory / "domains.csv"

    @property
    def truth_path(self) -> Path:
        """What must be found."""
        return self.directory / "truth.parquet"

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain, by rank."""
        return tuple(placement.domain for placement in self.population)


def has_ipv6() -> bool:
    """Whether the IPv6 loopback address can be bound."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((IPV6, 0))
    except OSError:
        return False
    return True


def make_sites(
    *, domains: int, seed: int, epoch: int, only_scenarios: bool, now: datetime, ipv6: bool
) -> Sites:
    """The world as data, with nothing listening yet."""
    population = Population(
        domains=domains, seed=seed, epoch=epoch, only_scenarios=only_scenarios, ipv6=ipv6
    )
    personas = (m for s in CATALOGUE.values() for m in s.mail.values() if not m.ipv6)
    addresses = Addresses(domains=len(population), personas=personas)
    return Sites(population, addresses, Authority(seed=seed, now=now))


def write_files(directory: Path, sites: Sites, ports: tuple[int, int, int], *, ipv6: bool) -> None:
    """Write the configuration, the trust store, the list and the truth into *directory*."""
    directory.mkdir(parents=True, exist_ok=True)
    dns_port, https_port, smtp_port = ports
    (directory / "lab.toml").write_text(
        _CONFIGURATION.format(
            resolver=RESOLVER,
            dns_port=dns_port,
            https_port=https_port,
            smtp_port=smtp_port,
            ipv6="true" if ipv6 else "false",
        )
    )
    (directory / "roots.pem").write_bytes(sites.authority.roots_pem())
    with (directory / "domains.csv").open("w") as file:
        file.writelines(f"{p.rank},{p.domain}\n" for p in sites.population)
    write_truth(sites.population, directory / "truth.parquet")


def listeners(sites: Sites, *, ipv6: bool) -> tuple[Listener, ...]:
    """Every address that the world uses, each once, in a fixed order."""
    plan = sites.addresses
    found = [listener for site in sites for listener in site.listeners()]
    for number, operator in enumerate(OPERATORS):
        found += (
            Listener(address=plan.operator(number, host), mail=operator.persona) for host in (1, 2)
        )
    for number in range(len(PROVIDERS)):
        found += (
            Listener(address=plan.provider(number, index))
            for index in range(ADDRESSES_PER_PROVIDER)
        )
    if ipv6:
        found += (Listener(address=IPV6), Listener(address=IPV6, mail=MailHost()))
    return tuple(dict.fromkeys(found))


def _raise_descriptor_limit(wanted: int) -> None:
    """Make room for *wanted* sockets; ``OSError`` that says so if the system does not allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(f"the lab needs {wanted} file descriptors, the limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


Bound = dict[Listener, list[socket.socket]]


def _bind_all(wanted: Sequence[Listener], https_port: int, smtp_port: int) -> Bound:
    """Open every listener; all are closed again, and ``OSError`` raised, if a port is taken."""
    bound: Bound = {}
    try:
        for listener in wanted:
            if listener.accept is not Accept.REFUSED:
                port = smtp_port if listener.mail else https_port
                bound[listener] = listen.bind(listener.address, port, listener.accept)
    except OSError:
        _close(bound)
        raise
    return bound


def _close(bound: Bound) -> None:
    for sockets in bound.values():
        for sock in sockets:
            sock.close()


def _find_ports(wanted: Sequence[Listener]) -> tuple[int, int, int, Bound]:
    """Three ports that are free at every address of the world, and the open listeners."""
    choice = random.SystemRandom()
    for attempt in range(_PORT_ATTEMPTS):
        dns_port, https_port, smtp_port = choice.sample(_PORTS, 3)
        try:
            nameserver.bind(dns_port).close()
            return dns_port, https_port, smtp_port, _bind_all(wanted, https_port, smtp_port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or attempt == _PORT_ATTEMPTS - 1:
                raise
    raise AssertionError("the loop returns or raises")


async def serve(
    dir: Path,  # noqa: A002
    *,
    domains: int = 2000,
    seed: int = 1,
    epoch: int = 0,
    only_scenarios: bool = False,
    now: datetime | None = None,
    task_status: trio.TaskStatus[World] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a world until cancelled; it is handed over through *task_status* once all listens.

    *epoch* is how many steps the world has aged, *only_scenarios* serves every scenario once
    under ``<scenario>.com``, and *now* is the time that certificates are made for.
    ``OSError`` when the machine has too few descriptors or no free ports.
    """
    ipv6 = has_ipv6()
    sites = make_sites(
        domains=domains,
        seed=seed,
        epoch=epoch,
        only_scenarios=only_scenarios,
        now=now or datetime.now(UTC),
        ipv6=ipv6,
    )
    wanted = listeners(sites, ipv6=ipv6)
    _raise_descriptor_limit(len(wanted) + _RESERVE)
    dns_port, https_port, smtp_port, bound = _find_ports(wanted)
    world = World(
        directory=dir,
        population=sites.population,
        sites=sites,
        resolver=nameserver.Resolver(sites),
        dns_port=dns_port,
        https_port=https_port,
        smtp_port=smtp_port,
        notes=() if ipv6 else (_NO_IPV6,),
    )
    try:
        write_files(dir, sites, (dns_port, https_port, smtp_port), ipv6=ipv6)
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(nameserver.serve, world.resolver, port=dns_port))
            _start_hosts(nursery, world, bound)
            task_status.started(world)
    finally:
        _close(bound)


def _start_hosts(nursery: trio.Nursery, world: World, bound: Bound) -> None:
    """One task per kind of host, however many addresses it has."""
    contexts = Contexts(world.sites.authority)
    policy_hosts = PolicyHosts(world.sites, contexts)
    mail_hosts = MailHosts(world.sites, contexts)
    kinds: dict[tuple[Accept, MailHost | None], list[socket.socket]] = {}
    for listener, sockets in bound.items():
        kinds.setdefault((listener.accept, listener.mail), []).append(sockets[0])
    for (accept, mail), sockets in kinds.items():
        service = "smtp" if mail else "https"
        handler = partial(mail_hosts.serve, mail) if mail else policy_hosts
        nursery.start_soon(listen.serve, service, sockets, accept, handler, world.log)


@asynccontextmanager
async def open_world(
    dir: Path,  # noqa: A002
    *,
    domains: int = 2000,
    seed: int = 1,
    epoch: int = 0,
    only_scenarios: bool = False,
    now: datetime | None = None,
) -> AsyncIterator[World]:
    """Run a world for the length of a block; the arguments are those of ``serve``."""
    async with trio.open_nursery() as nursery:
        start = partial(
            serve,
            dir,
            domains=domains,
            seed=seed,
            epoch=epoch,
            only_scenarios=only_scenarios,
            now=now,
        )
        yield await nursery.start(start)
        nursery.cancel_scope.cancel()
