"""The parts, as a table: what each asks, how often, of which servers, and by which clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.benchmarks import clients_dns, clients_scan, clients_tls, world
from tests.benchmarks.clients import Client
from tests.benchmarks.world import Serve

Each = Literal["question", "domain", "host", "chain"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A kind of measurement."""

    name: str
    title: str
    clients: tuple[Client, ...]
    """The first one is what the others are compared with."""
    lists: str = "domains"
    """The list of the world that the work is taken from."""
    most: int
    """Lines of it at the most; the list may have fewer."""
    of_domains: int = 1
    """A line for so many domains of the world at the most, so that a small world is soon done."""
    repeat: int = 1
    """Times through the list, so that a client's start is a small share of its costs."""
    each: Each
    """What an answer is: one of a domain's questions, a whole domain, a host or a chain."""
    serve: Serve
    needs: tuple[str, ...] = ()
    """Commands that the servers are."""
    hosts: bool = False
    """Whether there are hosts to talk to, which is nginx with its mail module."""
    most_rounds: int | None = None

    @property
    def reference(self) -> str:
        """The client that the others are compared with."""
        return self.clients[0].name


PARTS = (
    Part(
        name="dns",
        title="TXT and MX against NSD",
        clients=(*clients_dns.BULK, clients_dns.DNSPYTHON),
        most=200_000,
        repeat=3,
        each="question",
        serve=world.name_server,
        needs=("nsd",),
    ),
    Part(
        name="resolver",
        title="TXT and MX through a cold unbound",
        clients=clients_dns.BULK,
        most=30_000,
        each="question",
        serve=world.cold_resolver,
        needs=("nsd", "unbound"),
    ),
    Part(
        name="names",
        title="the names pass against NSD",
        clients=clients_dns.NAMES,
        most=200_000,
        each="question",
        serve=world.name_server,
        needs=("nsd",),
        most_rounds=3,  # the pass is long and steady
    ),
    Part(
        name="mail",
        title="STARTTLS conversations with MX hosts, P-256",
        clients=clients_tls.MAIL,
        lists="mx_hosts",
        most=2_000,
        of_domains=10,
        repeat=3,
        each="host",
        serve=world.mail_hosts,
        hosts=True,
    ),
    Part(
        name="policies",
        title="policies over HTTPS, P-256",
        clients=clients_tls.POLICIES,
        lists="policy_hosts",
        most=2_000,
        repeat=3,
        each="host",
        serve=world.policy_hosts,
        hosts=True,
    ),
    Part(
        name="policies-rsa",
        title="policies over HTTPS, RSA-2048",
        clients=clients_tls.POLICIES,
        lists="policy_hosts",
        most=2_000,
        each="host",
        serve=world.rsa_policy_hosts,
        hosts=True,
        most_rounds=2,  # how much the other kind of key costs, not who is faster
    ),
    Part(
        name="judge",
        title="certificate chains judged, half P-256 and half RSA-2048",
        clients=clients_scan.JUDGE,
        lists="chains",
        most=2_000,
        of_domains=10,
        each="chain",
        serve=world.no_network,
        most_rounds=3,
    ),
    Part(
        name="tarpits",
        title="thousands of STARTTLS conversations at once, without and with 500 tarpits",
        clients=clients_scan.TARPITS,
        lists="mx_hosts",
        most=2_000,
        of_domains=10,
        repeat=4,
        each="host",
        serve=world.mail_hosts_and_tarpits,
        hosts=True,
        most_rounds=2,  # half a minute each
    ),
    Part(
        name="scan",
        title="a whole scan of the first domains",
        clients=clients_scan.SCAN,
        most=20_000,
        each="domain",
        serve=world.whole_world,
        needs=("nsd", "unbound"),
        hosts=True,
        most_rounds=3,
    ),
    Part(
        name="executors",
        title="the mail pass by one process and by two, every answer 50 ms late",
        clients=clients_scan.EXECUTORS,
        most=20_000,
        each="host",
        serve=world.slow_world,
        needs=("nsd", "unbound"),
        hosts=True,
        most_rounds=3,
    ),
    Part(
        name="scan-all",
        title="a whole scan of all domains",
        clients=clients_scan.SCAN_ALL,
        most=200_000,
        each="domain",
        serve=world.whole_world,
        needs=("nsd", "unbound"),
        hosts=True,
        most_rounds=1,  # a minute and more
    ),
)
