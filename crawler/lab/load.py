"""A large, plain world in which nothing is wrong: what speed is measured on.

The world of ``population`` is made to be judged right; this one is made to be asked fast.  It is
one zone for a real name server: every domain has MX records, most of them at few operators (as
Pareto has it), and some publish what a scan asks for.  Its hosts are for a real nginx, see
``load_hosts``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from typing import Final

ZONE: Final = "load"
"""The one zone of this world; a name that no registry has delegated."""

MX_HOSTS: Final = 2_000
POLICY_ADDRESSES: Final = 16

SECOND_MX: Final = 0.20
ADOPTS: Final = 0.05
REPORTS: Final = 0.03
SPF: Final = 0.60
DMARC: Final = 0.30
"""Shares of the domains that publish each; SPF and DMARC are there to be passed over."""

LETTERS: Final = (5.0, 4.0)
"""Mean and deviation of how many letters a name has behind its seven-character number."""

_HEAD: Final = """\
$ORIGIN {zone}.
$TTL 300
@ SOA ns hostmaster 1 1800 900 604800 60
@ NS ns
ns A 127.0.0.1
"""


@dataclass(frozen=True, slots=True)
class LoadDomain:
    """One domain of the world."""

    name: str
    mx: tuple[str, ...]
    adopts: bool
    reports: bool
    spf: bool
    dmarc: bool

    @property
    def policy_address(self) -> str:
        """The address of its Policy Host, one of a few that many share."""
        return f"127.0.0.{2 + int(self.name[1:7]) % POLICY_ADDRESSES}"

    def records(self) -> Iterator[str]:
        """Its lines in the master file (RFC 1035 section 5)."""
        label = self.name.removesuffix(f".{ZONE}")
        for preference, host in enumerate(self.mx, start=1):
            yield f"{label} MX {10 * preference} {host}."
        if self.adopts:
            yield f'_mta-sts.{label} TXT "v=STSv1; id=20260101000000Z;"'
            yield f"mta-sts.{label} A {self.policy_address}"
        if self.reports:
            yield f'_smtp._tls.{label} TXT "v=TLSRPTv1; rua=mailto:tls@{self.name}"'
        if self.spf:
            yield f'{label} TXT "v=spf1 mx -all"'
        if self.dmarc:
            yield f'_dmarc.{label} TXT "v=DMARC1; p=none"'


def mx_host(number: int) -> str:
    """The name of MX host *number*."""
    return f"mx{number:04}.mail.{ZONE}"


def mx_address(number: int) -> str:
    """The address of MX host *number*, within 127.1.0.0/16."""
    return f"127.1.{number // 250}.{1 + number % 250}"


def domains(count: int, seed: int = 1) -> Iterator[LoadDomain]:
    """The *count* domains of the world of *seed*, in the order of the list."""
    rng = random.Random(seed)
    for index in range(count):
        hosts = [_host(rng)]
        if rng.random() < SECOND_MX:
            hosts.append(_host(rng))
        yield LoadDomain(
            name=f"d{index:06}{_letters(rng)}.{ZONE}",
            mx=tuple(mx_host(number) for number in dict.fromkeys(hosts)),
            adopts=rng.random() < ADOPTS,
            reports=rng.random() < REPORTS,
            spf=rng.random() < SPF,
            dmarc=rng.random() < DMARC,
        )


def _letters(rng: random.Random) -> str:
    """As many as make the length of a name differ as it does among registered domains."""
    wanted = min(max(round(rng.gauss(*LETTERS)), 0), 30)
    return "".join(rng.choices(ascii_lowercase, k=wanted))


def _host(rng: random.Random) -> int:
    return int(rng.paretovariate(0.5) - 1) % MX_HOSTS


def export(directory: Path, *, count: int, seed: int = 1) -> None:
    """Write ``load.zone``, for a name server, and ``domains.csv``, for a scan, into *directory*."""
    directory.mkdir(parents=True, exist_ok=True)
    with (
        (directory / f"{ZONE}.zone").open("w") as zone,
        (directory / "domains.csv").open("w") as listed,
    ):
        zone.write(_HEAD.format(zone=ZONE))
        for number in range(MX_HOSTS):
            zone.write(f"mx{number:04}.mail A {mx_address(number)}\n")
        for rank, domain in enumerate(domains(count, seed), start=1):
            listed.write(f"{rank},{domain.name}\n")
            zone.writelines(f"{line}\n" for line in domain.records())
