"""The crawler as its users run it: one request, from the list to the seal.

Prints one JSON line.  Only the pace is lifted.  A domain counts as answered when it is judged and
everything that was asked for it got an answer, so that every row that failed takes one away.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import trio

from crawler.config import Retry
from crawler.scan.progress import Progress
from crawler.scan.request import Request
from crawler.scan.run import WorkRemainsError, scan
from crawler.snapshot.manifest import Manifest
from crawler.vocabulary import IoStatus, Scope
from tests.benchmarks.ours import DEFINITE, settings
from tests.benchmarks.ours_tls import configuration
from tests.benchmarks.stages import Stages, state

AT_ONCE = 100

GOOD = {
    "txt_lookups": DEFINITE,
    "mx_lookups": DEFINITE,
    "address_lookups": DEFINITE,
    "tlsa_lookups": DEFINITE,
    "policy_fetches": (IoStatus.SUCCESS,),
    "starttls_sessions": (IoStatus.SUCCESS,),
}
"""How the rows of each table ought to end."""


class Watched(Progress):
    """Says nothing, and takes what a scan says for the ends of its stages."""

    ENDS = (("list:", "list"), ("judging", "passes"))
    """How a sentence begins, and the stage that is then over."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.stages = Stages()
        self._since = time.perf_counter(), time.process_time()
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        """When each pass was."""

    def say(self, sentence: str) -> None:
        for beginning, stage in self.ENDS:
            if sentence.startswith(beginning):
                self.end_stage(stage)

    def expect(self, pass_name: str, targets: int) -> None:
        self.began.setdefault(pass_name, time.perf_counter())

    def end(self, pass_name: str) -> None:
        self.ended[pass_name] = time.perf_counter()

    def end_stage(self, name: str) -> None:
        """What was done since the last one ended is the stage *name*."""
        seconds, cpu = self._since
        self._since = time.perf_counter(), time.process_time()
        self.stages.spent[name] = {"seconds": self._since[0] - seconds, "cpu": self._since[1] - cpu}


def request(arguments: argparse.Namespace) -> Request:
    """What a user would ask for, in a configuration file and flags."""
    world = configuration(
        at_once=arguments.at_once, https_port=arguments.https_port, smtp_port=arguments.smtp_port
    )
    config = replace(
        world,
        dns=settings(arguments.server, "tcp"),
        net=replace(world.net, trust_roots=arguments.roots),
        retry=Retry(rounds=0),
    )
    return Request(
        sources=(str(arguments.list),),
        archive=arguments.out,
        config=config,
        scope=Scope.ALL,
        seed="bench",
        executor="processes" if arguments.workers else "local",
        workers=arguments.workers or 1,
    )


def endings(folder: Path, manifest: Manifest) -> dict[str, Counter[str]]:
    """How the rows of each table ended."""
    found: dict[str, Counter[str]] = {}
    for table in GOOD:
        statuses = _statuses(folder, table)
        assert statuses.total() == (manifest.tables[table].rows if table in manifest.tables else 0)
        found[table] = statuses
    return found


def _statuses(folder: Path, table: str) -> Counter[str]:
    statuses: Counter[str] = Counter()
    for part in sorted(folder.glob(f"{table}/part-*.parquet")):
        column = pq.read_table(part, columns=["status"])["status"]
        statuses.update({c["values"]: c["counts"] for c in column.value_counts().to_pylist()})
    return statuses


def failed(found: Mapping[str, Counter[str]]) -> int:
    """How many rows did not end as they ought to."""
    return sum(
        count
        for table, statuses in found.items()
        for status, count in statuses.items()
        if status not in GOOD[table]
    )


async def carry_out(arguments: argparse.Namespace) -> dict[str, Any]:
    """The scan, and what is in it."""
    watched = Watched()
    outcome = await scan(request(arguments), watched)
    watched.end_stage("verdicts and seal")
    found = endings(outcome.folder.path, outcome.manifest)
    return {
        "answers": max(0, outcome.manifest.tables["assessments"].rows - failed(found)),
        "seconds": watched.stages.total()["seconds"],
        "cpu": None if arguments.workers else watched.stages.total()["cpu"],
        "stages": watched.stages.spent,
        "rows": {name: table.rows for name, table in outcome.manifest.tables.items()},
        "octets": {
            name: sum(part.size for part in table.parts)
            for name, table in outcome.manifest.tables.items()
        },
        "statuses": {table: dict(statuses) for table, statuses in found.items()},
    }


async def mail_alone(arguments: argparse.Namespace) -> dict[str, Any]:
    """The mail pass of a scan, after those that it needs; the scan is left unsealed."""
    watched, asked = Watched(), request(arguments)
    for name in ("names", "hosts", "mail"):
        try:
            await scan(replace(asked, scan_id="bench", only=name), watched)
        except* WorkRemainsError:
            pass  # the passes that were not asked for
    statuses = _statuses(arguments.out / "scan=bench", "starttls_sessions")
    return {
        "asked": statuses.total(),
        "answers": statuses[IoStatus.SUCCESS],
        "seconds": watched.ended["mail"] - watched.began["mail"],
        "cpu": None,  # of several processes: what is measured from outside
        "statuses": dict(statuses),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ours_scan")
    parser.add_argument("--server", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--list", type=Path, required=True, metavar="CSV")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--roots", type=Path, required=True, metavar="PEM")
    parser.add_argument("--https-port", type=int, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="connections of the scan")
    parser.add_argument("--workers", type=int, help="as --executor processes")
    parser.add_argument("--files", type=int, help="that a process may have open")
    parser.add_argument("--mail", action="store_true", help="measure that pass alone")
    arguments = parser.parse_args()
    if arguments.files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (arguments.files, arguments.files))
    state(trio.run(mail_alone if arguments.mail else carry_out, arguments))


if __name__ == "__main__":
    main()
