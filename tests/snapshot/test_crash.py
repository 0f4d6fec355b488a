"""A scan that is killed at any rename or removal ends, when gone on with, as if it never was.

The interpreter's own audit events number the steps: nothing is patched, and the
k-th run really dies at the k-th step (``os._exit``: no ``finally``, no flush).  One process forks
for each step, before any thread of Arrow or DuckDB exists, so that imports are paid once.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_DRIVER = '''
import os
import sys
from pathlib import Path

from crawler.records import TABLES, Assessment, Certificate, MxLookup, NameTarget, TxtLookup
from crawler.snapshot import lists, manifest, parts
from crawler.snapshot.seal import replace_tables, seal
from crawler.snapshot.store import Archive, StoreError
from crawler.snapshot.suffixes import Suffixes
from crawler.vocabulary import Question
from tests.snapshot.samples import SCAN, assessment, certificate, facts, mx, txt

ROOT = Path(sys.argv[1])
SOURCE = ROOT / "list"
SOURCE.write_text("".join(f"{n}.example\\n" for n in range(20)))
SUFFIXES = Suffixes(b"example\\n")
CRASHED = 9


def scan(archive):
    """The whole life of a scan; each step is taken unless it has been."""
    try:
        folder = archive.open_scan(SCAN)
    except StoreError:
        folder = archive.create_scan(SCAN)
    with folder.lock():
        if not folder.sealed:
            lists.ingest([str(SOURCE)], folder, scan_id=SCAN, seed=1, suffixes=SUFFIXES, shard_size=10)
            folder.write_file("trust-roots.pem", b"pem")
            if folder.planned("names", 0) is None:
                folder.write_targets("names", 0, NameTarget, {
                    s: [NameTarget(domain=f"{s}.example", question=Question.MX)] for s in range(2)
                })
            for shard in folder.planned("names", 0):
                if not folder.done(unit := f"names-{shard:05d}-r0"):
                    domain = f"{shard}.example"
                    folder.commit(unit, {
                        TxtLookup: [txt(domain)],
                        MxLookup: [mx(domain)],
                        Certificate: [certificate(1), certificate(shard + 2)],
                    })
            if not folder.done("assess-00000"):
                folder.commit("assess-00000", {Assessment: [assessment(rules_version="1")]})
            seal(folder, facts())
        if manifest.read(folder.path).revision == 1:
            replace_tables(folder, {Assessment: [[assessment(rules_version="2")]]}, {"rules_version": "2"})
    return folder


def content(folder):
    """Everything that a reader finds with its globs."""
    assert manifest.verify(folder.path) == []
    assert not folder.work.exists()
    return {
        cls.table: sorted(map(repr, parts.read_all(folder.path.glob(f"{cls.table}/part-*"), cls)))
        for cls in TABLES
    }


def forked(action):
    """Run in a child; its exit code."""
    sys.stdout.flush()
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        action()
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def dying(step, archive):
    left = step

    def count(event, args):
        nonlocal left
        if event in ("os.rename", "os.remove", "os.mkdir") and "bucket" not in str(args[0]):
            left -= 1
            if left == 0:
                os._exit(CRASHED)

    sys.addaudithook(count)
    scan(archive)


def check_seal(archive):
    """Between crash and resumption: a manifest names only what stands and is whole."""
    for folder in archive.scans():
        if folder.sealed:
            assert {p.kind for p in manifest.verify(folder.path)} <= {"unlisted"}


def compare(archive, expected):
    check_seal(archive)
    assert content(scan(archive)) == expected


def reference(path):
    Path(path).write_text(repr(content(scan(Archive(ROOT / "reference")))))


assert forked(lambda: reference(ROOT / "expected")) == 0
expected = eval((ROOT / "expected").read_text())
step, stride = int(sys.argv[2]), int(sys.argv[3])
while True:
    archive = Archive(ROOT / f"step-{step}")
    died = forked(lambda: dying(step, archive))
    assert died in (0, CRASHED), f"step {step} failed"
    assert forked(lambda: compare(archive, expected)) == 0, f"after a crash at step {step}"
    if died == 0:
        break
    step += stride
print(step)
'''


def _run(folder: Path, *, first: int, stride: int) -> int:
    """Kill at every *stride*-th step from *first* on; the first number beyond the last step."""
    ran = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(folder), str(first), str(stride)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


def test_a_scan_killed_at_some_steps_is_gone_on_with(tmp_path: Path) -> None:
    assert _run(tmp_path, first=3, stride=7) > 60


@pytest.mark.soak
def test_a_scan_killed_at_any_step_is_gone_on_with(tmp_path: Path) -> None:
    assert _run(tmp_path, first=1, stride=1) > 60
