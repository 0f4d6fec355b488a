"""Run the benchmarks: every client of a part once in each round, in an order that rotates."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import figures, goals, hosts, measure, report
from tests.benchmarks.clients import Client, Reading, Task
from tests.benchmarks.figures import Round, Sample
from tests.benchmarks.parts import PARTS, Part
from tests.benchmarks.servers import which
from tests.benchmarks.workload import Workload
from tests.benchmarks.world import World

TIMEOUT = 600.0
"""Seconds for one run of one client, many times what any needs."""

BUSY = 0.5
"""Load average from which the figures are not to be trusted on two cores."""


def run_part(world: World, part: Part, clients: Sequence[Client], rounds: int) -> list[Round]:
    """Measure *clients*; each round begins with another one."""
    found: list[Round] = []
    for number in range(min(rounds, part.most_rounds or rounds)):
        turn = number % len(clients)
        order = [*clients[turn:], *clients[:turn]]
        measured = {client.name: _run(world, part, client, number) for client in order}
        found.append({client.name: measured[client.name] for client in clients})
    return found


def _run(world: World, part: Part, client: Client, number: int) -> Sample:
    setting = part.serve(world)
    there = len((setting.lists / f"{part.lists}.csv").read_text().splitlines())
    size = min(there, part.most, world.domains // part.of_domains, client.at_most or part.most)
    # A slow client is asked once: its start is a small share without that.
    workload = Workload(setting.lists, size, 1 if client.at_most else part.repeat)
    ports = setting.ports or (world.https_port, world.smtp_port)
    task = Task(setting.server, workload, world.new_folder(), *ports)
    commands = client.commands(task)  # writes its files, which is not part of its costs
    with setting.running:
        runs = [
            measure.run(command, timeout=TIMEOUT, environment=client.environment)
            for command in commands
        ]
    by_line = client.by_domain or part.each != "question"
    sample = _sample(client, workload.times if by_line else workload.questions, runs)
    shown = sample.problem or f"{sample.rate:,.0f}/s, {sample.cpu_per_million:,.2f} CPU-s/M"
    _say(f"  {part.name} round {number + 1} {client.name}: {shown}")
    return sample


def _sample(client: Client, given: int, runs: Sequence[measure.Ended]) -> Sample:
    """The runs of a client's commands as one sample."""
    problem = next((run.problem for run in runs if run.problem), None)
    readings: list[Reading] = []
    if problem is None:
        try:
            readings = [client.read(run.output) for run in runs]
        except (ValueError, KeyError) as error:
            problem = f"what it printed cannot be read: {error}"
    answers = sum(reading.answers for reading in readings)
    stated = [reading.seconds for reading in readings if reading.seconds is not None]
    stated_cpu = [reading.cpu for reading in readings if reading.cpu is not None]
    asked = [reading.asked for reading in readings if reading.asked is not None]
    return Sample(
        questions=sum(asked) if asked else given,
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
    # Servers are in sessions of their own and would outlive us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if (lacking := _lacking(arguments.parts)) is not None:
        _say(lacking)
        return 2
    machine = report.machine()
    if machine["load_average"] > BUSY:
        _say(f"note: the load average is {machine['load_average']:.2f}; something else is running")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        world = World(Path(name), arguments.domains, stack)
        parts = {part.name: _part(world, part, arguments.rounds) for part in arguments.parts}
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
    part: Part
    rounds: list[Round]
    skipped: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return {"skipped": self.skipped, **figures.as_json(self.rounds, self.part.reference)}


def _part(world: World, part: Part, rounds: int) -> _Found:
    lacking = {client.name: why for client in part.clients if (why := client.lacks()) is not None}
    here = [client for client in part.clients if client.name not in lacking]
    _say_all(f"{part.name}: {part.title}", report.skipped(lacking))
    found = run_part(world, part, here, rounds)
    _say("\n" + report.table(found, part.reference) + "\n")
    for line in (*report.stages(found), *report.legend(here)):
        _say(line)
    return _Found(part, found, lacking)


def _lacking(parts: Sequence[Part]) -> str | None:
    """Why the servers cannot be started, or None."""
    needed = dict.fromkeys(name for part in parts for name in part.needs)
    absent = [name for name in needed if which(name) is None]
    if any(part.hosts for part in parts) and (packages := hosts.lacking()) is not None:
        absent.append(packages)
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
