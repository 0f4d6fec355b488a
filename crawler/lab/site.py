"""One domain of the world made concrete: its zone, its addresses, what its Policy Host serves.

A ``Site`` is a placement with its placeholders filled in.  ``Sites`` finds the site that a DNS
name or an SNI belongs to; aliases at managed policy hosts name their customer, so they do too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from crawler.lab.addresses import IPV6, Addresses
from crawler.lab.operators import PROVIDERS
from crawler.lab.pki import Authority, spki_sha256
from crawler.lab.population import Placement, Population
from crawler.lab.prevalence import TLDS
from crawler.lab.scenario import Accept, MailHost, PolicyHost
from crawler.lab.zone import Record, Zone, absolute, records

_FIRST_ID: Final = 20240101000000
"""Ids look like times, as most do; every change adds a day."""


def _values(placement: Placement, addresses: Addresses, authority: Authority) -> dict[str, str]:
    """What the placeholders of a scenario stand for at this domain."""
    domain, scenario, index = placement.domain, placement.scenario, placement.index
    label, _, tld = domain.partition(".")
    dash = domain.replace(".", "-")
    values = {
        "domain": domain,
        "label": label,
        "tld": tld,
        "other_tld": "net" if tld != "net" else "com",
        "dash": dash,
        "underscore": dash.replace("-", "_"),
        "id": str(_FIRST_ID + index % 86400 + placement.generation * 1000000),
        "operator": placement.operator.domain,
        "v6": IPV6,
        "intermediate_spki": authority.intermediate_spki,
    }
    values["txt_alias"] = placement.provider.txt_alias.format_map(values)
    values["host_alias"] = placement.provider.host_alias.format_map(values)
    values["provider"] = addresses.provider(PROVIDERS.index(placement.provider), index)
    if scenario.policy:
        values["policy"] = addresses.policy(index, scenario.policy.accept)
    for ordinal, (key, persona) in enumerate(scenario.mail.items(), start=1):
        values[key] = addresses.mail(index, ordinal, persona)
        if f"{{{key}_spki}}" in scenario.zone:
            leaf = authority.leaf(f"{key}.{domain}", persona.certificate)
            values[f"{key}_spki"] = spki_sha256(leaf.chain[0])
    values["intermediate_spki"] = authority.intermediate_spki
    return values


_ADDRESS_TYPES: Final = frozenset({1, 28})  # A, AAAA


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One address of the world at which something listens (or pointedly does not)."""

    address: str
    accept: Accept = Accept.OPEN
    mail: MailHost | None = None
    """The MX host there; None: Policy Hosts, told apart by SNI."""


class Site:
    """One domain of the world."""

    def __init__(self, placement: Placement, addresses: Addresses, authority: Authority) -> None:
        self.placement = placement
        self.scenario = placement.scenario
        self._values = _values(placement, addresses, authority)

    @cached_property
    def zone(self) -> Zone:
        """What the domain, and its provider on its behalf, publish."""
        zone = Zone(self.placement.domain, self.placement.signed)
        if not self.scenario.nxdomain:
            zone.nodes[zone.apex] = {}
        for record in self.records():
            zone.add(record)
        for owner, fault in self.scenario.faults.items():
            name, _, rdtype = owner.partition(" ")
            zone.faults[absolute(name.format_map(self._values), zone.apex), rdtype] = fault
        return zone

    def records(self) -> Iterator[Record]:
        """The resource records of the domain."""
        published = records(self.scenario.zone, self.placement.domain, self._values)
        if self.placement.reports:
            return published
        return (r for r in published if not r.owner.startswith("_smtp._tls."))

    def body(self, host: PolicyHost) -> bytes:
        """The policy file as *host* serves it for this domain."""
        if isinstance(host.body, bytes):
            return host.body
        return self.fill(host.body).encode()

    @property
    def domain(self) -> str:
        """The Policy Domain."""
        return self.placement.domain

    def fill(self, text: str) -> str:
        """*text* with its placeholders filled in."""
        return text.format_map(self._values)

    def address(self, key: str) -> str:
        """The address that the placeholder *key* stands for."""
        return self._values[key]

    @property
    def policy_address(self) -> str | None:
        """Where the Policy Host stands, if the zone gives it an address of the lab."""
        for key in ("policy", "provider", "v6"):
            if self.scenario.policy and f"{{{key}}}" in self.scenario.zone:
                return self._values[key]
        return None

    def mail_hosts(self) -> Iterator[tuple[str, str, MailHost]]:
        """Every address of the domain's own MX hosts: name, address, persona."""
        for record in self.records():
            for key, persona in self.scenario.mail.items():
                if record.rdtype in _ADDRESS_TYPES and record.text == self._values[key]:
                    yield record.owner, record.text, persona

    def listeners(self) -> Iterator[Listener]:
        """The IPv4 addresses that the domain's own hosts need."""
        if (policy := self.scenario.policy) and "{policy}" in self.scenario.zone:
            yield Listener(address=self._values["policy"], accept=policy.accept)
        for key, persona in self.scenario.mail.items():
            if not persona.ipv6:
                yield Listener(address=self._values[key], accept=persona.accept, mail=persona)


# Where a customer's domain stands in the names that others keep for it.
_CUSTOMER_NAMES: Final = tuple(
    (before, after)
    for template in (
        *(p.txt_alias for p in PROVIDERS),
        *(p.host_alias for p in PROVIDERS),
        "{dash}.mail.protection.outlook.com",
        "{dash}.p-v1.mx.microsoft",
    )
    for before, brace, rest in (template.partition("{"),)
    for after in (rest.partition("}")[2],)
    if brace
)
_CUSTOMER_TLDS: Final = (".lab", ".microsoft", ".outlook.com")


def customer_of(name: str) -> str | None:
    """The customer's domain in an alias at a managed policy host, or in a per-customer MX name."""
    name = name.removeprefix("_25._tcp.")
    for before, after in _CUSTOMER_NAMES:
        if name.startswith(before) and name.endswith(after):
            # The longest template first would be needed if one were the tail of another; none is.
            return _undashed(name[len(before) : len(name) - len(after)])
    return None


def _undashed(customer: str) -> str | None:
    """``a-co-uk`` or ``a_co_uk`` -> ``a.co.uk``; what has a dot is a domain already."""
    if "." in customer:
        return customer
    dashed = customer.replace("_", "-")
    for tld in TLDS:
        ending = "-" + tld.replace(".", "-")
        if dashed.endswith(ending):
            return f"{dashed[: -len(ending)]}.{tld}"
    return None


class Sites:
    """Finds sites by name; keeps a bounded number of them."""

    def __init__(self, population: Population, addresses: Addresses, authority: Authority) -> None:
        self.population = population
        self.addresses = addresses
        self.authority = authority
        self._made = lru_cache(maxsize=16384)(self._make)

    def _make(self, index: int) -> Site:
        return Site(self.population.at(index), self.addresses, self.authority)

    def find(self, name: str) -> Site | None:
        """The site that *name* (lower case, no final dot) belongs to."""
        if name.endswith(_CUSTOMER_TLDS):
            domain = customer_of(name)
        else:
            domain = ".".join(name.split(".")[-3 if name.endswith(".co.uk") else -2 :])
        placement = self.population.find(domain) if domain else None
        return self._made(placement.index) if placement else None

    def __iter__(self) -> Iterator[Site]:
        return (Site(p, self.addresses, self.authority) for p in self.population)
