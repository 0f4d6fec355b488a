"""The whole life of a scan folder, with trouble at a step, and gone on with: run by ``test_crash``.

``python -m tests.snapshot.crash FOLDER TROUBLE:FIRST:STRIDE ...`` breaks at every STRIDE-th step
from the FIRST on until a life comes to its end before its step, and prints that step's number.  One
process forks for each, before any thread of Arrow or DuckDB exists, so that imports are paid once.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crawler.politeness.opt_out import OptOutList
from crawler.records import (
    TABLES,
    Assessment,
    Certificate,
    MxLookup,
    NameTarget,
    StarttlsSession,
    TxtLookup,
)
from crawler.snapshot import damage, lists, manifest, parts
from crawler.snapshot.purge import purge
from crawler.snapshot.seal import replace_tables, seal
from crawler.snapshot.store import Archive, ScanFolder, StoreError
from crawler.snapshot.suffixes import Suffixes
from crawler.vocabulary import Question
from tests.disk import CRASHED, Trouble, break_at
from tests.rows import session
from tests.snapshot.samples import SCAN, assessment, certificate, facts, mx, txt

DOMAINS = 12
SUFFIXES = Suffixes(b"example\n")
EARLY = OptOutList.parse("0.example")
LATE = OptOutList.parse("1.example\n192.0.2.9\nmx1.example.com\n")
NOW = datetime(2026, 11, 25, tzinfo=UTC)

Done = Callable[[str], None]
"""Hears of each unit that has been committed."""


def live(archive: Archive, source: Path, done: Done) -> ScanFolder:
    """A scan from its list to a purge after its seal; each step is taken unless it has been."""
    try:
        folder = archive.open_scan(SCAN)
    except StoreError:
        folder = archive.create_scan(SCAN)
    with folder.lock():
        if not folder.sealed:
            _measure(folder, source, done)
            seal(folder, facts())
        if manifest.read(folder.path).facts["rules_version"] == "1":
            judged = [assessment(f"{n}.example", rules_version="2") for n in range(1, DOMAINS)]
            replace_tables(folder, {Assessment: [judged]}, {"rules_version": "2"})
        purge(folder, LATE, NOW)
    return folder


def _measure(folder: ScanFolder, source: Path, done: Done) -> None:
    damage.undo(folder, damage.find(folder))
    lists.ingest([str(source)], folder, scan_id=SCAN, seed=1, suffixes=SUFFIXES, shard_size=6)
    folder.write_file("trust-roots.pem", b"pem")
    if folder.planned("names", 0) is None:
        targets = [NameTarget(domain=f"{n}.example", question=Question.MX) for n in range(2)]
        folder.write_targets("names", 0, NameTarget, {n: [t] for n, t in enumerate(targets)})
    for shard in folder.planned("names", 0) or ():
        _commit(
            folder,
            f"names-r0-{shard:05d}-c000",
            done,
            {
                TxtLookup: [txt(f"{shard}.example"), txt(f"{shard + 5}.example")],
                MxLookup: [mx(f"{shard}.example")],
                Certificate: [certificate(1), certificate(shard + 2)],
                StarttlsSession: [
                    session("mx.other", f"192.0.2.{9 + shard}", chain=(f"{shard + 2:064x}",))
                ],
            },
        )
    purge(folder, EARLY, NOW)
    judged = [assessment(f"{n}.example") for n in range(1, DOMAINS)]
    _commit(folder, "judge-domains-00000-c000", done, {Assessment: judged})


def _commit(folder: ScanFolder, unit: str, done: Done, tables: dict[type[Any], list[Any]]) -> None:
    if not folder.done(unit):
        folder.commit(unit, tables)
        done(unit)


def content(folder: ScanFolder) -> dict[str, list[str]]:
    """Everything that a reader finds with its globs."""
    assert manifest.verify(folder.path) == []
    assert not folder.work.exists()
    strays = [p.name for p in folder.path.iterdir() if p.name.startswith(".")]
    assert not strays, strays
    return {
        cls.table: sorted(map(repr, parts.read_all(folder.path.glob(f"{cls.table}/part-*"), cls)))
        for cls in TABLES
    }


def _forked(action: Callable[[], None]) -> int:
    """Run in a child; its exit code."""
    sys.stdout.flush()
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        action()
        code = 0
    except BaseException:  # noqa: BLE001 - told, and to be found in the exit code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _broken(archive: Archive, source: Path, trouble: Trouble, step: int) -> None:
    committed: list[str] = []
    taken = break_at(step, trouble, archive.path)
    try:
        live(archive, source, committed.append)
    except OSError as error:
        _check_message(trouble, str(error), archive)
        _check_kept(archive, committed)
        os._exit(CRASHED)
    if taken() >= step:  # only removals were left, or a fault was met by going on without
        os._exit(CRASHED)


def _check_message(trouble: Trouble, text: str, archive: Archive) -> None:
    """What went wrong is the trouble that was made; a full disk is told with place and remedy."""
    assert trouble in (Trouble.FULL, Trouble.FAULT), text
    if trouble is Trouble.FULL:
        assert str(archive.path) in text, text
        assert "No space left on device; make room" in text, text


def _check_kept(archive: Archive, committed: list[str]) -> None:
    """What was committed is there after an error as well."""
    for folder in archive.scans():
        if not folder.sealed:
            assert set(committed) <= folder.units()


def _gone_on_with(archive: Archive, source: Path, expected: dict[str, list[str]]) -> None:
    for folder in archive.scans():
        if folder.sealed:  # it names only what stands and is whole
            assert {p.kind for p in manifest.verify(folder.path)} <= {"unlisted"}
        for path in folder.path.glob("*/part-*.parquet"):
            parts.pq.read_metadata(path)  # none without its footer under its final name
    assert content(live(archive, source, str)) == expected


def main() -> None:
    """See the module."""
    root = Path(sys.argv[1])
    source = root / "list"
    source.write_text("".join(f"{n}.example\n" for n in range(DOMAINS)) + "*.0.example\n")
    expected = root / "expected"

    def reference() -> None:
        whole = live(Archive(root / "reference"), source, str)
        expected.write_text(json.dumps(content(whole)))

    assert _forked(reference) == 0
    rows = json.loads(expected.read_text())
    for plan in sys.argv[2:]:
        trouble, first, stride = plan.split(":")
        _strike(root, source, rows, Trouble(trouble), int(first), int(stride))


def _strike(
    root: Path,
    source: Path,
    rows: dict[str, list[str]],
    trouble: Trouble,
    step: int,
    stride: int,
) -> None:
    while True:
        archive = Archive(root / f"step-{step}")
        ended = _forked(lambda: _broken(archive, source, trouble, step))  # noqa: B023
        assert ended in (0, CRASHED), f"{trouble} at step {step} failed"
        resumed = _forked(lambda: _gone_on_with(archive, source, rows))  # noqa: B023
        assert resumed == 0, f"after {trouble} at step {step}"
        if ended == 0:
            sys.stdout.write(f"{step}\n")
            return
        shutil.rmtree(archive.path)
        step += stride


if __name__ == "__main__":
    main()
