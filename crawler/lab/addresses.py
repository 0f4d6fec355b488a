"""Which 127.x.y.z a host of the lab has.

Everything is computed from the number of the domain, so that a world of a million domains needs
no table.  The second octet tells what kind of host it is; the last two are its slot.  Up to
``UNIQUE_UP_TO`` domains every host has a slot of its own; beyond, hosts that behave alike share
a pool, and are told apart by SNI as on any shared host, so that listeners stay bounded.

===========  ==================================================================
127.19.53.1  the resolver
127.20-24    Policy Hosts, one block per way to treat a connection
127.30.k     managed policy host number k
127.40-84    MX hosts, one block per persona
127.90.k     MX operator number k
===========  ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crawler.lab.scenario import Accept, MailHost

RESOLVER: Final = "127.19.53.1"
IPV6: Final = "::1"
UNIQUE_UP_TO: Final = 4000
"""Domains; about 1,400 listeners at the adoption that the lab has."""
HOSTS_PER_DOMAIN: Final = 8

_SLOTS: Final = 254 * 254
_PROVIDER_BLOCK: Final = 30
_MAIL_BLOCK: Final = 40
_LAST_MAIL_BLOCK: Final = 84
_OPERATOR_BLOCK: Final = 90
ADDRESSES_PER_PROVIDER: Final = 4

# Pool sizes beyond UNIQUE_UP_TO; odd, so that the eight numbers of a domain spread over them.
_POLICY_POOL: Final = 251
_USUAL_MAIL_POOL: Final = 401
_RARE_POOL: Final = 13


def _address(block: int, slot: int) -> str:
    return f"127.{block}.{slot // 254}.{slot % 254 + 1}"


class Addresses:
    """The address plan of one world."""

    def __init__(self, *, domains: int, personas: Iterable[MailHost]) -> None:
        self._shared = domains > UNIQUE_UP_TO
        distinct = dict.fromkeys((MailHost(), *personas))
        self._blocks = {persona: _MAIL_BLOCK + n for n, persona in enumerate(distinct)}
        assert len(self._blocks) <= _LAST_MAIL_BLOCK - _MAIL_BLOCK + 1, "more personas than blocks"

    def _slot(self, index: int, ordinal: int, pool: int) -> int:
        number = index * HOSTS_PER_DOMAIN + ordinal
        return number % (pool if self._shared else _SLOTS)

    def policy(self, index: int, accept: Accept) -> str:
        """The address of the Policy Host of domain *index*."""
        pool = _POLICY_POOL if accept is Accept.OPEN else _RARE_POOL
        return _address(19 + accept.value, self._slot(index, 0, pool))

    def mail(self, index: int, ordinal: int, persona: MailHost) -> str:
        """The address of the MX host address number *ordinal* of domain *index*."""
        if persona.ipv6:
            return IPV6
        usual = persona == MailHost()
        slot = self._slot(index, ordinal, _USUAL_MAIL_POOL if usual else _RARE_POOL)
        return _address(self._blocks[persona], slot)

    def provider(self, number: int, index: int) -> str:
        """The address at which managed policy host *number* serves domain *index*."""
        return f"127.{_PROVIDER_BLOCK}.{number}.{index % ADDRESSES_PER_PROVIDER + 1}"

    def operator(self, number: int, host: int) -> str:
        """The address of MX host number *host* (from 1) of MX operator *number*."""
        return f"127.{_OPERATOR_BLOCK}.{number}.{host}"
