"""Samples and what is made of them: medians, spreads and ratios.  Pure.

The machine's speed moves by a fifth within minutes, so two clients are compared within each
round, where they ran one after the other, and the median of those ratios is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one client."""

    questions: int
    """What it was given: questions, domains, hosts or chains."""
    answers: int
    """How many of them it got a definite answer to, NXDOMAIN included, or was done with."""
    seconds: float
    """As the client itself states them, or else of the whole process."""
    cpu: float
    """Seconds of CPU of the whole process."""
    cpu_after_start: float | None = None
    """The part of it after the start, for a client that states it."""
    rss_mib: float
    problem: str | None = None
    """Why this run does not count."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the client states."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds for a million answers, which is microseconds for one."""
        return self.cpu / self.answers * 1e6

    @property
    def loss(self) -> float:
        """Share of the questions without a definite answer."""
        return 1 - self.answers / self.questions

    @property
    def counts(self) -> bool:
        """Whether it is part of any figure."""
        return self.problem is None and self.answers > 0


Round = Mapping[str, Sample]
"""The samples of one round, by client."""

Figure = Callable[[Sample], float]

RATE: Figure = lambda sample: sample.rate  # noqa: E731
CPU: Figure = lambda sample: sample.cpu_per_million  # noqa: E731
AFTER_START: Figure = lambda sample: (sample.cpu_after_start or 0) / sample.answers * 1e6  # noqa: E731
MEMORY: Figure = lambda sample: sample.rss_mib  # noqa: E731


@dataclass(frozen=True)
class Spread:
    """One figure over all rounds."""

    median: float
    low: float
    high: float


def samples(rounds: Sequence[Round], client: str) -> list[Sample]:
    """The samples of *client* that count."""
    return [r[client] for r in rounds if client in r and r[client].counts]


def spread(found: Sequence[Sample], figure: Figure) -> Spread | None:
    """Median, least and greatest of a figure; None without a sample."""
    values = [figure(sample) for sample in found]
    return Spread(median(values), min(values), max(values)) if values else None


def ratio(rounds: Sequence[Round], client: str, peer: str, figure: Figure) -> Spread | None:
    """*client* over *peer*, within each round where both count; None when there is none."""
    values = [
        figure(r[client]) / figure(r[peer])
        for r in rounds
        if client in r and peer in r and r[client].counts and r[peer].counts
    ]
    return Spread(median(values), min(values), max(values)) if values else None


def clients(rounds: Sequence[Round]) -> list[str]:
    """Every client that ran, in the order of the first round."""
    return list(dict.fromkeys(name for r in rounds for name in r))


def as_json(rounds: Sequence[Round], reference: str) -> dict[str, Any]:
    """The rounds as JSON values: what each run gave, and what follows from all of them."""
    return {
        "rounds": [{name: _sample_as_json(sample) for name, sample in r.items()} for r in rounds],
        "clients": {name: _client_as_json(rounds, name, reference) for name in clients(rounds)},
    }


def _sample_as_json(sample: Sample) -> dict[str, Any]:
    derived = (
        {"rate": sample.rate, "cpu_per_million": sample.cpu_per_million} if sample.counts else {}
    )
    return {**asdict(sample), **derived, "loss": sample.loss}


def _client_as_json(rounds: Sequence[Round], name: str, reference: str) -> dict[str, Any]:
    found = samples(rounds, name)
    figures: dict[str, Spread | None] = {
        "rate": spread(found, RATE),
        "cpu_per_million": spread(found, CPU),
        "after_start": spread([s for s in found if s.cpu_after_start is not None], AFTER_START),
        "loss": spread(found, lambda s: s.loss),
        "rss_mib": spread(found, lambda s: s.rss_mib),
        f"rate_by_{reference}": ratio(rounds, name, reference, RATE),
        f"cpu_by_{reference}": ratio(rounds, name, reference, CPU),
    }
    return {key: asdict(value) if value else None for key, value in figures.items()}
