"""Run the benchmarks: every client of a part once in each round, in an order that rotates."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crawler.lab import load
from tests.benchmarks import figures, goals, measure, report
from tests.benchmarks.clients import CLIENTS, REFERENCE, Client, Task
from tests.benchmarks.figures import Round, Sample
from tests.benchmarks.servers import ColdUnbound, Endpoint, LoadNsd, which
from tests.benchmarks.workload import Workload
from tests.interop.world import free_port

TIMEOUT = 300.0
"""Seconds for one run of one client, many times what any needs."""

BUSY = 0.5
"""Load average from which the figures are not to be trusted on two cores."""


@dataclass(frozen=True)
class Part:
    """A kind of measurement."""

    name: str
    title: str
    domains: int
    """At the most; the world may have fewer."""
    repeat: int
    """Times through the list, so that a client's start is a small share of its costs."""
    through_unbound: bool = False
    most_rounds: int | None = None


PARTS = (
    Part("dns", "TXT and MX against NSD", domains=200_000, repeat=3),
    Part(
        "resolver",
        "TXT and MX through a cold unbound",
        domains=30_000,
        repeat=1,
        through_unbound=True,
    ),
    # The pass is long and steady, so a few rounds are enough.
    Part("names", "the names pass against NSD", domains=200_000, repeat=1, most_rounds=3),
)


class Bench:
    """One invocation: the world, its server, and a folder that is removed at the end."""

    def __init__(self, folder: Path, *, domains: int, rounds: int) -> None:
        self.folder = folder
        self.domains = domains
        self.rounds = rounds
        self.nsd: Endpoint = ("127.0.0.1", free_port())
        self._runs = 0

    def run_part(self, part: Part, clients: Sequence[Client]) -> list[Round]:
        """Measure *clients*; each round begins with another one."""
        rounds: list[Round] = []
        for number in range(min(self.rounds, part.most_rounds or self.rounds)):
            turn = number % len(clients)
            order = [*clients[turn:], *clients[:turn]]
            measured = {client.name: self._run(part, client, number) for client in order}
            rounds.append({client.name: measured[client.name] for client in clients})
        return rounds

    def _run(self, part: Part, client: Client, number: int) -> Sample:
        server, running = self._server(part)
        domains = min(self.domains, part.domains, client.at_most or part.domains)
        # A slow client is asked once: its start is a small share without that.
        workload = Workload(self.folder, domains, 1 if client.at_most else part.repeat)
        task = Task(server, workload, self._new_folder())
        commands = client.commands(task)  # writes its files, which is not part of its costs
        with running:
            runs = [
                measure.run(command, timeout=TIMEOUT, environment=client.environment)
                for command in commands
            ]
        sample = _sample(client, workload, runs)
        shown = sample.problem or f"{sample.rate:,.0f}/s, {sample.cpu_per_million:.2f} CPU-s/M"
        _say(f"  {part.name} round {number + 1} {client.name}: {shown}")
        return sample

    def _server(self, part: Part) -> tuple[Endpoint, AbstractContextManager[object]]:
        """Whom to ask, and what has to run beside NSD for that: unbound, cold every time."""
        if not part.through_unbound:
            return self.nsd, nullcontext()
        endpoint = ("127.0.0.1", free_port())
        return endpoint, ColdUnbound(self._new_folder() / "unbound", endpoint, self.nsd)

    def _new_folder(self) -> Path:
        self._runs += 1
        folder = self.folder / f"run-{self._runs}"
        folder.mkdir()
        return folder


def _sample(client: Client, workload: Workload, runs: Sequence[measure.Ended]) -> Sample:
    """The runs of a client's commands as one sample."""
    problem = next((run.problem for run in runs if run.problem), None)
    readings = []
    if problem is None:
        try:
            readings = [client.read(run.output) for run in runs]
        except (ValueError, KeyError) as error:
            problem = f"what it printed cannot be read: {error}"
    answers = sum(reading.answers for reading in readings)
    stated = [reading.seconds for reading in readings if reading.seconds is not None]
    stated_cpu = [reading.cpu for reading in readings if reading.cpu is not None]
    return Sample(
        questions=workload.domains if client.by_domain else workload.questions,
        answers=answers,
        seconds=sum(stated) if stated else sum(run.seconds for run in runs),
        cpu=sum(run.cpu for run in runs),
        cpu_after_start=sum(stated_cpu) if stated_cpu else None,
        rss_mib=max(run.rss_mib for run in runs),
        problem=problem or (None if answers else "not one answer"),
        details={"runs": [dict(reading.details) for reading in readings]},
    )


# --- the command ---------------------------------------------------------------------------


def main() -> int:
    """Returns 0 when every client ran to its end, whatever the figures are."""
    arguments = _arguments()
    if (lacking := _lacking(arguments.parts)) is not None:
        _say(lacking)
        return 2
    machine = report.machine()
    if machine["load_average"] > BUSY:
        _say(f"note: the load average is {machine['load_average']:.2f}; something else is running")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        load.export(folder, count=arguments.domains)
        bench = Bench(folder, domains=arguments.domains, rounds=arguments.rounds)
        with LoadNsd(folder / "nsd", bench.nsd, folder):
            parts = {part.name: _part(bench, part) for part in arguments.parts}
    results = goals.judge_all({name: found.rounds for name, found in parts.items()})
    _say_all("goals", report.goals(results))
    _say(f"\n{time.monotonic() - began:.0f} s")
    if arguments.out is not None:
        kept = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine,
            "domains": arguments.domains,
            "parts": {name: found.as_json() for name, found in parts.items()},
            "goals": [result.as_json() for result in results],
        }
        arguments.out.write_text(json.dumps(kept, indent=1) + "\n")
    failed = [s.problem for found in parts.values() for r in found.rounds for s in r.values()]
    return 1 if any(failed) else 0


@dataclass(frozen=True)
class _Found:
    rounds: list[Round]
    skipped: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return {"skipped": self.skipped, **figures.as_json(self.rounds, REFERENCE)}


def _part(bench: Bench, part: Part) -> _Found:
    rows = [client for client in CLIENTS if part.name in client.parts]
    lacking = {client.name: why for client in rows if (why := client.lacks()) is not None}
    here = [client for client in rows if client.name not in lacking]
    _say_all(f"{part.name}: {part.title}", report.skipped(lacking))
    rounds = bench.run_part(part, here)
    _say("\n" + report.table(rounds) + "\n")
    for line in (*report.stages(rounds), *report.legend(here)):
        _say(line)
    return _Found(rounds, lacking)


def _lacking(parts: Sequence[Part]) -> str | None:
    """Why the servers cannot be started, or None."""
    needed = ["nsd", *("unbound" for part in parts if part.through_unbound)]
    absent = [name for name in needed if which(name) is None]
    return f"needs {' '.join(absent)}: apt-get install {' '.join(absent)}" if absent else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    by_name = {part.name: part for part in PARTS}
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(by_name)}")
    parser.add_argument(
        "--rounds", type=_positive, default=5, help="rounds of each part (%(default)s)"
    )
    parser.add_argument(
        "--domains", type=_positive, default=200_000, help="of the world (%(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="JSON", help="keep every figure in this file")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(by_name):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(by_name)}")
    arguments.parts = [by_name[name] for name in dict.fromkeys(arguments.parts or by_name)]
    return arguments


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def _say_all(title: str, lines: Iterator[str]) -> None:
    _say(f"\n{title}")
    for line in lines:
        _say(line)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
