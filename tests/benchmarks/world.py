"""The load world of one invocation: its files and the name server, each made when first wanted.

A ``Setting`` is what a part needs around one run of a client; the functions below make one each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from crawler.lab import load, load_hosts
from crawler.lab.load_pki import KeyKind
from tests.benchmarks import chains
from tests.benchmarks.hosts import Delays, MailHosts, PolicyHosts, Tarpits
from tests.benchmarks.servers import ColdUnbound, Endpoint, LoadNsd
from tests.benchmarks.workload import read_hosts
from tests.interop.world import free_port

TARPITS = 500
"""A tenth of the conversations that are open at once, see ``clients_scan``."""

GREETING_DELAY = 5
"""Seconds: on loopback a conversation would be over before many others are begun."""


@dataclass(frozen=True)
class Setting:
    """What is there for one run."""

    lists: Path
    """The folder with the lists that the workload is taken from."""
    server: Endpoint = ("127.0.0.1", 9)
    """Whom to ask; where there is a list of hosts, the first of them."""
    running: AbstractContextManager[object] = nullcontext()
    """The servers, not yet started, beside the name server that runs all the time."""
    ports: tuple[int, int] | None = None
    """Where Policy Hosts and MX hosts are to be found, when it is not where they always listen."""


class World:
    """A world of *domains* below *folder*; *stack* ends what is started here."""

    def __init__(self, folder: Path, domains: int, stack: ExitStack) -> None:
        self.domains = domains
        self.https_port, self.smtp_port = free_port(), free_port()
        self._folder = folder
        self._stack = stack
        self._runs = 0
        self.hosts = cache(self._hosts)

    @cached_property
    def zone(self) -> Path:
        """The folder with the zone and the list of domains."""
        load.export(self._folder, count=self.domains)
        return self._folder

    @cached_property
    def nsd(self) -> Endpoint:
        """Where NSD serves the zone."""
        endpoint = ("127.0.0.1", free_port())
        self._stack.enter_context(LoadNsd(self._folder / "nsd", endpoint, self.zone))
        return endpoint

    def _hosts(self, keys: KeyKind) -> Path:
        """The folder with the hosts and their lists: for P-256 the one of the zone as well."""
        folder = self._folder if keys == "p256" else self._folder / keys
        load_hosts.export_hosts(
            folder,
            count=self.domains,
            https_port=self.https_port,
            smtp_port=self.smtp_port,
            keys=keys,
        )
        return folder

    @cached_property
    def chains(self) -> Path:
        """The folder with chains to be judged."""
        folder = self._folder / "chains"
        chains.export(folder)
        return folder

    def new_folder(self) -> Path:
        """A folder of one run's own."""
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        folder.mkdir(parents=True)
        return folder

    @property
    def first_policy_host(self) -> Endpoint:
        """Where the Policy Host of the list's first adopter listens, beside many others."""
        first = read_hosts(self.hosts("p256") / "policy_hosts.csv")[0]
        return first[0], self.https_port

    @property
    def first_mail_host(self) -> Endpoint:
        """The same of an MX host."""
        return load.mx_address(0), self.smtp_port


Serve = Callable[[World], Setting]
"""Makes the setting of one run."""


def name_server(world: World) -> Setting:
    """NSD alone."""
    return Setting(world.zone, world.nsd)


def cold_resolver(world: World) -> Setting:
    """An unbound with an empty cache in front of NSD."""
    endpoint = ("127.0.0.1", free_port())
    folder = world.new_folder() / "unbound"
    return Setting(world.zone, endpoint, ColdUnbound(folder, endpoint, world.nsd))


def mail_hosts(world: World, *, delay: int = 0) -> Setting:
    """Every MX host; they greet after *delay* seconds."""
    lists, endpoint = world.hosts("p256"), world.first_mail_host
    folder = world.new_folder() / "nginx"
    return Setting(lists, endpoint, MailHosts(folder, lists, endpoint, delay=delay))


def mail_hosts_and_tarpits(world: World) -> Setting:
    """Every MX host, slow to greet, and more that never get to the end of their greeting."""
    setting = mail_hosts(world, delay=GREETING_DELAY)
    tarpits = Tarpits(world.new_folder() / "tarpits", setting.lists, world.smtp_port, TARPITS)
    return Setting(setting.lists, setting.server, _together((setting.running, tarpits)))


def policy_hosts(world: World) -> Setting:
    """Every Policy Host, with certificates of P-256."""
    return _policy_hosts(world, "p256")


def rsa_policy_hosts(world: World) -> Setting:
    """The same with certificates of RSA-2048."""
    return _policy_hosts(world, "rsa2048")


def _policy_hosts(world: World, keys: KeyKind) -> Setting:
    lists, endpoint = world.hosts(keys), world.first_policy_host
    return Setting(lists, endpoint, PolicyHosts(world.new_folder() / "nginx", lists, endpoint))


def whole_world(world: World) -> Setting:
    """A cold unbound before the name server, every Policy Host and every MX host."""
    parts = [serve(world) for serve in (cold_resolver, policy_hosts, mail_hosts)]
    return Setting(world.zone, parts[0].server, _together(part.running for part in parts))


def slow_world(world: World) -> Setting:
    """The whole world, whose hosts take 50 ms for each answer."""
    setting, ports = whole_world(world), (free_port(), free_port())
    slow = Delays(
        world.new_folder() / "delays",
        world.hosts("p256"),
        https=(ports[0], world.https_port),
        smtp=(ports[1], world.smtp_port),
    )
    running = _together((setting.running, slow))
    return Setting(setting.lists, setting.server, running, ports)


@contextmanager
def _together(servers: Iterable[AbstractContextManager[object]]) -> Iterator[None]:
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        yield


def no_network(world: World) -> Setting:
    """Chains, and nobody to ask."""
    return Setting(world.chains)
