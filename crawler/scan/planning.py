"""The configuration as planning needs it: who is in scope, and whom we never dial."""

from __future__ import annotations

from ipaddress import ip_network

from crawler.config import Config
from crawler.politeness import addresses
from crawler.snapshot.plan import Planning
from crawler.vocabulary import Scope


def planning(
    config: Config,
    *,
    seed: str,
    scope: Scope = Scope.ADOPTERS,
    sample_rate: float = 0.0,
    both_families: bool = False,
) -> Planning:
    """What decides which targets there are."""
    allow = tuple(ip_network(n, strict=False) for n in config.net.allow_addresses)
    own = addresses.own_addresses()
    return Planning(
        scope=scope,
        sample_rate=sample_rate,
        seed=seed,
        mx_hosts=config.politeness.mx_hosts,
        addresses_per_family=config.politeness.addresses_per_family,
        both_families=both_families,
        refusal=lambda address: addresses.refusal(address, allow, own),
    )
