"""Has the owner of this name or address asked to be left alone?

The list has one entry a line: a domain, which stands for all names at and below it; an MX host,
which is a name like any other; an address; or a network (CIDR, RFC 4632 section 3.1).  ``#``
begins a comment.

``OptOutList`` is the list as a value.  ``OptOut`` is the file, read again while the scan runs,
so that whoever asks today is left alone today.  A list that cannot be read stops the start; in a
running scan it can only grow: an entry that was once read holds until the scan ends.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from crawler.politeness.addresses import Address, Network, embedded_ipv4, parse
from crawler.protocol import names

CHECK_INTERVAL: Final = 1.0
"""Seconds between two looks at the file; an opt-out has to take effect within five."""


class OptOutError(ValueError):
    """The list cannot be used; the text names the file and the line."""


def _network(entry: str) -> Network | None:
    """The network that *entry* names, or None when it is a name.

    Host bits are ignored: an owner who writes 192.0.2.1/24 means the whole of it.  An IPv4-mapped
    network is the IPv4 network.
    """
    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        return None
    if "%" in entry:  # a zone (RFC 4007) is of no host but ours
        return None
    mapped = network.network_address.ipv4_mapped if network.version == 6 else None
    if mapped is not None and network.prefixlen >= 96:
        return ip_network((mapped, network.prefixlen - 96))
    return network


# No name that exists ends in a label without a letter (RFC 3696 section 2), and an AS number looks
# like a name that never matches: both are mistakes that must not pass for an opt-out.
_NO_NAME: Final = re.compile(r"(?:.*\.)?[0-9-]+|as[0-9]+")


def _name(entry: str) -> str:
    """The name that *entry* stands for.  ``*.example.com`` and ``.example.com`` are other ways
    to write a domain and all below it.  Raises ``InvalidName``.
    """
    name = names.normalise(entry.removeprefix("*").removeprefix("."))
    if _NO_NAME.fullmatch(name):
        raise names.InvalidName(entry, "bad-character")
    return name


@dataclass(frozen=True, slots=True)
class OptOutList:
    """Entries, ready to be looked up.  Each answer is the entry that matched, or None."""

    domains: frozenset[str] = frozenset()
    networks: Mapping[tuple[int, int], Mapping[int, str]] = field(default_factory=dict)
    """By IP version and prefix length: the network's bits and how the entry is written."""

    @classmethod
    def parse(cls, text: str, source: str = "opt-out list") -> OptOutList:
        """Read a list.  Raises ``OptOutError`` for the first line that is no entry."""
        entries, problems = cls.parse_leniently(text, source)
        if problems:
            raise OptOutError(problems[0])
        return entries

    @classmethod
    def parse_leniently(cls, text: str, source: str) -> tuple[OptOutList, tuple[str, ...]]:
        """Read what can be read, and say which lines could not be."""
        domains: set[str] = set()
        networks: list[Network] = []
        problems: list[str] = []
        for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
            entry = line.partition("#")[0].strip()
            if not entry:
                continue
            if (network := _network(entry)) is not None:
                networks.append(network)
                continue
            try:
                domains.add(_name(entry))
            except names.InvalidName as invalid:
                problems.append(
                    f"{source}, line {number}: {invalid.reason}; write a domain, a host name, "
                    "an address or a network, one a line"
                )
        return cls(frozenset(domains), _by_length(networks)), tuple(problems)

    def __or__(self, other: OptOutList) -> OptOutList:
        """Every entry of both."""
        lengths = self.networks.keys() | other.networks.keys()
        return OptOutList(
            self.domains | other.domains,
            {n: {**self.networks.get(n, {}), **other.networks.get(n, {})} for n in lengths},
        )

    def __len__(self) -> int:
        return len(self.domains) + sum(map(len, self.networks.values()))

    def entry_for_domain(self, name: str) -> str | None:
        """The entry that covers *name*, which is in normal form: itself or a name above it."""
        while name:
            if name in self.domains:
                return name
            name = names.parent(name)
        return None

    entry_for_host = entry_for_domain
    """A host is covered as a domain is: by its own name or any name above it."""

    def entry_for_address(self, address: str) -> str | None:
        """The entry that covers *address*, or the IPv4 address that it carries."""
        parsed = parse(address)
        inner = embedded_ipv4(parsed)
        return self._entry(parsed) or (self._entry(inner) if inner else None)

    def _entry(self, address: Address) -> str | None:
        for (version, length), entries in self.networks.items():
            if version == address.version:
                entry = entries.get(int(address) >> (address.max_prefixlen - length))
                if entry is not None:
                    return entry
        return None


def _by_length(networks: Iterable[Network]) -> dict[tuple[int, int], dict[int, str]]:
    """The networks by version and prefix length, so that a look-up costs one probe a length."""
    table: dict[tuple[int, int], dict[int, str]] = {}
    for network in networks:
        bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
        single = network.prefixlen == network.max_prefixlen
        text = str(network.network_address) if single else str(network)
        table.setdefault((network.version, network.prefixlen), {})[bits] = text
    return table


class OptOut:
    """The opt-out file, as it is now.  Without a file nobody has opted out.

    *clock* is a monotonic clock in seconds.  Raises ``OptOutError`` when the file cannot be read
    or has a line that is no entry: a scan must not start in doubt.
    """

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked_at = clock()
        self._seen: tuple[int, ...] | None = None
        self._growing: tuple[int, ...] | None = None
        """What the file was like when its last line had no end, which may have been still to come."""
        self._unfinished = OptOutList()
        """What that line says, which counts until the next look.  Half a line may look like a whole
        top-level domain, which must not hold until the scan ends."""
        self.problem: str | None = None
        """Why the file could not be read again, or which of its lines; None when all is well."""
        self._entries = OptOutList()
        if path is not None:
            try:
                self._seen = _fingerprint(path)
                self._entries = OptOutList.parse(path.read_text("utf-8"), str(path))
            except (OSError, UnicodeDecodeError) as error:
                raise OptOutError(f"{path}: {error}") from error

    @property
    def current(self) -> OptOutList:
        """The entries that hold now; looks at the file once a second at the most."""
        now = self._clock()
        if self._path is not None and now - self._looked_at >= CHECK_INTERVAL:
            self._looked_at = now
            self._read_again(self._path)
        return self._entries | self._unfinished if self._unfinished else self._entries

    def _read_again(self, path: Path) -> None:
        try:
            seen = _fingerprint(path)
            if seen == self._seen:
                return
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            # The entries read before still hold.  ``_seen`` stays, so that it is tried again.
            self.problem = f"{path}: {error}"
            return
        self._unfinished = OptOutList()
        if text.endswith("\n") or seen == self._growing:
            self._seen = seen
        else:
            self._growing = seen
            whole = text.rfind("\n") + 1
            self._unfinished, _ = OptOutList.parse_leniently(text[whole:], str(path))
            text = text[:whole]
        entries, problems = OptOutList.parse_leniently(text, str(path))
        self._entries |= entries
        self.problem = problems[0] if problems else None

    def entry_for_domain(self, name: str) -> str | None:
        """The entry that covers the domain *name* now, or None."""
        return self.current.entry_for_domain(name)

    def entry_for_host(self, name: str) -> str | None:
        """The entry that covers the host *name* now, or None."""
        return self.current.entry_for_host(name)

    def entry_for_address(self, address: str) -> str | None:
        """The entry that covers *address* now, or None."""
        return self.current.entry_for_address(address)


def _fingerprint(path: Path) -> tuple[int, ...]:
    """What changes when the file does."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
