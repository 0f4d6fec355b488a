"""Ask the whole catalogue of an archive of tens of millions of domains: time and memory of each.

``python -m tests.benchmarks.questions --domains 20000000 --scans 4 --dir DIR`` writes a synthetic
archive into DIR, asks every question of it once, and takes it away again unless told to keep it.

All are asked of one opened archive, as ``sts-report build`` asks: what several need (``analysis/kept.py``)
is made by the first, whose time it counts to.  With ``--cold`` each opens the archive for itself, as
``sts-report ask`` does; opening, of which nearly all is hashing every part, is not in the time.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final

from analysis.archive import Archive, open_archive
from analysis.catalogue import Question, questions
from analysis.scans import ArchiveError
from tests.benchmarks import synthetic

MOST_SECONDS: Final = 60.0
MOST_GIGABYTES: Final = 8.0
SAMPLED_SECONDS: Final = 0.2
"""How often the room of the temporary files is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one question took."""

    name: str
    by: str
    seconds: float
    cpu: float
    """Seconds of all cores, of user and system."""
    gigabytes: float
    """The most memory that the process had while it was asked."""
    spilled: float
    """The most gigabytes that its temporary files took."""
    rows: int
    problem: str = ""

    @property
    def good(self) -> bool:
        """Within what a question may take."""
        return (
            not self.problem and self.seconds <= MOST_SECONDS and self.gigabytes <= MOST_GIGABYTES
        )


@dataclass(slots=True)
class Spill:
    """The most room that the temporary files of DuckDB had."""

    octets: int = 0


def ask(
    folder: Path, *, every_grouping: bool = False, only: list[str] | None = None, cold: bool = False
) -> list[Asked]:
    """Ask every question, by its first grouping or by all, or *only* those."""
    found = []
    with nullcontext() if cold else open_archive(folder) as opened:
        for question in questions().values():
            if only and question.name not in only:
                continue
            for by in question.groupings if every_grouping else question.groupings[:1]:
                with nullcontext(opened) if opened else open_archive(folder) as archive:
                    found.append(_asked(archive, question, by))
                _say(_line(found[-1]))
    return found


def _asked(archive: Archive, question: Question, by: str) -> Asked:
    rows, problem = 0, ""
    _forget_peak()
    with _spill() as spill:
        started, began = time.monotonic(), time.process_time()
        try:
            rows = question.ask(archive, by).table.num_rows
        except ArchiveError as error:
            problem = str(error)
        seconds, cpu = time.monotonic() - started, time.process_time() - began
    return Asked(
        name=question.name, by=by, seconds=seconds, cpu=cpu, gigabytes=_peak(),
        spilled=spill.octets / 2**30, rows=rows, problem=problem,
    )  # fmt: skip


@contextmanager
def _spill() -> Iterator[Spill]:
    """Look at the temporary files every now and then."""
    found, over = Spill(), Event()

    def look() -> None:
        while not over.wait(SAMPLED_SECONDS):
            sizes = (_size(p) for p in Path(tempfile.gettempdir()).glob("sts-report-*/*"))
            found.octets = max(found.octets, sum(sizes))

    looking = Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:  # taken away meanwhile
        return 0


def _forget_peak() -> None:
    """Let the kernel begin a new peak of resident memory (Linux, proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 2**20


def _line(asked: Asked) -> str:
    verdict = "" if asked.good else f"  TOO MUCH {asked.problem}"
    return (
        f"{asked.name:<24}{asked.by:<14}{asked.seconds:>8.1f} s{asked.cpu:>8.1f} CPU-s"
        f"{asked.gigabytes:>7.1f} GB{asked.spilled:>7.1f} GB spilled{asked.rows:>9,} rows{verdict}"
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
    parser.add_argument("--cold", action="store_true", help="open the archive for each")
    parser.add_argument("--vantages", type=int, default=1, help="that made the scans in turn")
    options = parser.parse_args()
    started = time.monotonic()
    if not options.reuse:
        options.dir.mkdir(parents=True)
        synthetic.write(options.dir, domains=options.domains, scans=options.scans)
        _say(f"written in {time.monotonic() - started:.0f} s")
    synthetic.look_from(options.dir, options.vantages)
    tempfile.tempdir = str(options.dir)
    try:
        asked = ask(
            options.dir, every_grouping=options.every_grouping, only=options.only, cold=options.cold
        )
    finally:
        if not options.keep and not options.reuse:
            shutil.rmtree(options.dir)
    slowest, largest = max(a.seconds for a in asked), max(a.gigabytes for a in asked)
    _say(f"{len(asked)} answers; the slowest took {slowest:.1f} s, the largest {largest:.1f} GB")
    sys.exit(not all(a.good for a in asked))


if __name__ == "__main__":
    main()
