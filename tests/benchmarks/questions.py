"""Ask the whole catalogue of an archive of tens of millions of domains: time and memory of each.

``python -m tests.benchmarks.questions --domains 20000000 --scans 4 --dir DIR`` writes a synthetic
archive into DIR, asks every question of it once, and takes it away again unless told to keep it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analysis.archive import open_archive
from analysis.catalogue import questions
from analysis.scans import ArchiveError
from tests.benchmarks import synthetic

MOST_SECONDS: Final = 60.0
MOST_GIGABYTES: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one question took."""

    name: str
    by: str
    seconds: float
    gigabytes: float
    """The most memory that the process had while it was asked."""
    rows: int
    problem: str = ""

    @property
    def good(self) -> bool:
        """Within what a question may take."""
        return (
            not self.problem and self.seconds <= MOST_SECONDS and self.gigabytes <= MOST_GIGABYTES
        )


def ask(folder: Path, *, every_grouping: bool, only: list[str]) -> list[Asked]:
    """Ask every question, by its first grouping or by all, or *only* those."""
    found = []
    with open_archive(folder) as archive:
        for question in questions().values():
            if only and question.name not in only:
                continue
            for by in question.groupings if every_grouping else question.groupings[:1]:
                _forget_peak()
                started = time.monotonic()
                rows, problem = 0, ""
                try:
                    rows = question.ask(archive, by).table.num_rows
                except ArchiveError as error:
                    problem = str(error)
                asked = Asked(
                    name=question.name, by=by, seconds=time.monotonic() - started,
                    gigabytes=_peak(), rows=rows, problem=problem,
                )  # fmt: skip
                found.append(asked)
                _say(_line(asked))
    return found


def _forget_peak() -> None:
    """Let the kernel begin a new peak of resident memory (Linux, proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 2**20


def _line(asked: Asked) -> str:
    verdict = "" if asked.good else f"  TOO MUCH {asked.problem}"
    return (
        f"{asked.name:<24}{asked.by:<14}{asked.seconds:>8.1f} s{asked.gigabytes:>7.1f} GB"
        f"{asked.rows:>9,} rows{verdict}"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Write the archive, ask, and say what was too slow; exit code 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domains", type=int, default=20_000_000)
    parser.add_argument("--scans", type=int, default=4)
    parser.add_argument("--dir", type=Path, required=True, help="a folder that is not there yet")
    parser.add_argument("--keep", action="store_true", help="leave the archive for another time")
    parser.add_argument("--reuse", action="store_true", help="ask what --keep has left")
    parser.add_argument("--every-grouping", action="store_true", help="by each of --by as well")
    parser.add_argument("--only", nargs="*", default=[], help="questions")
    options = parser.parse_args()
    started = time.monotonic()
    if not options.reuse:
        options.dir.mkdir(parents=True)
        synthetic.write(options.dir, domains=options.domains, scans=options.scans)
        _say(f"written in {time.monotonic() - started:.0f} s")
    try:
        asked = ask(options.dir, every_grouping=options.every_grouping, only=options.only)
    finally:
        if not options.keep and not options.reuse:
            shutil.rmtree(options.dir)
    slowest, largest = max(a.seconds for a in asked), max(a.gigabytes for a in asked)
    _say(f"{len(asked)} answers; the slowest took {slowest:.1f} s, the largest {largest:.1f} GB")
    sys.exit(not all(a.good for a in asked))


if __name__ == "__main__":
    main()
