"""Spreads the scenarios over N domains: deterministic, lazy, in constant memory.

Every property of domain *i* is computed from the seed and *i* alone, and its name gives *i*
back, so that the name server can answer for a million domains without a table.  Every scenario
of the catalogue appears at least once when N is large enough; the rest follows ``prevalence``.
An *epoch* is a step of some months in which the world ages: testing becomes enforce, ids change,
policies go stale, customers leave a provider.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from struct import unpack
from typing import Final, Generic, TypeVar

from crawler.lab import prevalence
from crawler.lab.catalogue import CATALOGUE
from crawler.lab.fragments import REPORTS
from crawler.lab.operators import (
    GOOD_OPERATORS,
    PERSONAL_PROVIDERS,
    PROVIDERS,
    Operator,
    PolicyProvider,
)
from crawler.lab.scenario import Scenario, Truth
from crawler.vocabulary import RecordOutcome, TlsRptOutcome

SHOWS_EVERYTHING_FROM: Final = 300
"""Domains from which every scenario appears at least once."""

_NAME: Final = re.compile(r"d(\d{6,})\.(.+)")
_T = TypeVar("_T")


class _Weighted(Generic[_T]):
    """A choice among items by weight."""

    def __init__(self, items: Sequence[tuple[_T, float]]) -> None:
        self._items = [item for item, _ in items]
        self._ends = list(accumulate(weight for _, weight in items))

    def pick(self, chance: float) -> _T:
        """The item at *chance*, in [0, 1)."""
        return self._items[bisect_right(self._ends, chance * self._ends[-1])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One domain of the world: which scenario it plays, and with whom."""

    index: int
    domain: str
    rank: int
    scenario: Scenario
    operator: Operator
    provider: PolicyProvider
    reports: bool
    """Whether it publishes TLSRPT where its scenario does."""
    signed: bool
    generation: int
    """How often its record's id has changed."""

    @property
    def truth(self) -> Truth:
        """What is true of this domain under ``--scope all``."""
        return self._without_reports(self.scenario.truth)

    @property
    def truth_unprobed(self) -> Truth:
        """What is true of it under ``--scope adopters``."""
        return self._without_reports(self.scenario.unprobed or self.scenario.truth)

    @property
    def truth_both_families(self) -> Truth:
        """What is true of it under ``--scope adopters --both-families``."""
        scenario = self.scenario
        return self._without_reports(scenario.both_families or scenario.unprobed or scenario.truth)

    def _without_reports(self, truth: Truth) -> Truth:
        if self.reports:
            return truth
        return replace(
            truth,
            tlsrpt_outcome=TlsRptOutcome.ABSENT,
            findings=truth.findings | {"rpt-missing"},
        )


def _drops_reports(scenario: Scenario) -> bool:
    """Whether TLSRPT may be left out without touching what the scenario is about."""
    # Without a record TLSRPT may be the only sign of MTA-STS, and decides the scope.
    published = {RecordOutcome.VALID, RecordOutcome.MULTIPLE, RecordOutcome.SYNTAX}
    return REPORTS in scenario.zone and scenario.truth.record_outcome in published


class Population:
    """All domains of a world.  Iterating yields them by rank and keeps none."""

    def __init__(
        self,
        *,
        domains: int,
        seed: int,
        epoch: int = 0,
        only_scenarios: bool = False,
        ipv6: bool = True,
    ) -> None:
        """Spread the catalogue over *domains* domains; *only_scenarios*: each once, *domains* ignored.

        Without *ipv6* the scenarios that need it are left out.
        """
        self.scenarios: Mapping[str, Scenario] = {
            name: s for name, s in CATALOGUE.items() if ipv6 or not s.needs_ipv6
        }
        self._listed = tuple(self.scenarios.values())
        self._only_scenarios = only_scenarios
        self._domains = len(self._listed) if only_scenarios else domains
        self._seed = f"{seed}".encode()
        self.epoch = epoch
        self._adopters = self._weighted(prevalence.ADOPTERS, outside=False)
        self._outside = self._weighted(prevalence.OUTSIDE, outside=True)
        self._tlds = _Weighted([(tld, row[0]) for tld, row in prevalence.TLDS.items()])
        self._operators = _Weighted([(o, o.weight) for o in GOOD_OPERATORS])
        self._providers = _Weighted([(p, p.weight) for p in PROVIDERS])
        self._personal = _Weighted([(p, p.weight) for p in PERSONAL_PROVIDERS])
        self.at = lru_cache(maxsize=16384)(self._at)

    def _weighted(self, shares: Mapping[str, float], *, outside: bool) -> _Weighted[str]:
        rare = () if outside else (n for n in self.scenarios if n not in prevalence.OUTSIDE)
        all_shares = dict.fromkeys(rare, prevalence.RARE) | {
            name: share for name, share in shares.items() if name in self.scenarios
        }
        return _Weighted(list(all_shares.items()))

    def __len__(self) -> int:
        return self._domains

    def __iter__(self) -> Iterator[Placement]:
        return (self._at(index) for index in range(self._domains))

    def find(self, domain: str) -> Placement | None:
        """The domain of that name (lower case, no final dot), if this world has it."""
        index = self._index(domain)
        if index is None or not 0 <= index < self._domains:
            return None
        placement = self.at(index)
        return placement if placement.domain == domain else None

    def _index(self, domain: str) -> int | None:
        if self._only_scenarios:
            label = domain.partition(".")[0]
            found = self.scenarios.get(label)
            return self._listed.index(found) if found else None
        match = _NAME.fullmatch(domain)
        return int(match[1]) if match else None

    def _chances(self, *what: object) -> tuple[float, ...]:
        digest = blake2b(repr(what).encode(), key=self._seed, digest_size=32).digest()
        return tuple(n / 2**32 for n in unpack("<8I", digest))

    def _at(self, index: int) -> Placement:
        adopts, which, tld_at, operator, provider, reports, signed, _ = self._chances(index)
        if self._only_scenarios:
            name, tld = self._listed[index].name, "com"
            label, generation, publishes = name, 0, True
        else:
            tld = self._tlds.pick(tld_at)
            reserved = self._reserved(index)
            name = reserved or self._drawn(index, tld, adopts, which)
            name, generation = (name, 0) if reserved else self._aged(index, name)
            label = f"d{index:06}"
            publishes = (
                reserved is not None
                or reports < prevalence.REPORTS_SHARE
                or not _drops_reports(self.scenarios[name])
            )
        scenario = self.scenarios[name]
        return Placement(
            index=index,
            domain=f"{label}.{tld}",
            rank=index + 1,
            scenario=scenario,
            operator=self._operators.pick(operator),
            provider=self._provider(scenario, provider),
            reports=publishes,
            signed=scenario.signed
            if scenario.signed is not None
            else signed < prevalence.TLDS[tld][2],
            generation=generation,
        )

    def _provider(self, scenario: Scenario, chance: float) -> PolicyProvider:
        provider = self._providers.pick(chance)
        # An alias that every customer shares cannot dangle for one of them.
        if scenario.policy is None and provider not in PERSONAL_PROVIDERS:
            return self._personal.pick(chance)
        return provider

    def _reserved(self, index: int) -> str | None:
        """The scenario that stands at *index* for certain, so that each appears at least once."""
        if self._domains < SHOWS_EVERYTHING_FROM:
            return None
        # Scenario j stands at floor(j * N / M): evenly spread, and easy to turn round.
        listed = len(self._listed)
        candidate = -(-index * listed // self._domains)
        if candidate < listed and candidate * self._domains // listed == index:
            return self._listed[candidate].name
        return None

    def _drawn(self, index: int, tld: str, adopts: float, which: float) -> str:
        chance = prevalence.adoption(index / self._domains) * prevalence.TLDS[tld][1]
        return (self._adopters if adopts < chance else self._outside).pick(which)

    def _aged(self, index: int, name: str) -> tuple[str, int]:
        """What has become of a domain by this epoch, and how often its id has changed."""
        generation = 0
        for epoch in range(1, self.epoch + 1):
            chance, noise, *_ = self._chances(index, epoch)
            for probability, successor in prevalence.AGEING.get(name, ()):
                if chance < probability and successor in self.scenarios:
                    name, generation = successor, generation + 1
                    break
                chance -= probability
            else:
                generation += noise < prevalence.ID_NOISE
        return name, generation
