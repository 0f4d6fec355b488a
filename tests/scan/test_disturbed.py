"""Whatever happens to a scan, the same command ends it as if nothing had.

Each scan here is the real command in a process of its own, over the lab; what is compared is every
row of every table with those of a scan that nothing happened to.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from crawler.records import TxtLookup
from crawler.scan import run as run_
from crawler.scan.context import utc_now
from crawler.scan.progress import Progress
from crawler.scan.request import Request
from crawler.scan.run import scan
from crawler.snapshot import damage
from crawler.snapshot.store import Archive, ScanFolder
from tests.disk import Trouble
from tests.scan.children import (
    ROOT,
    SCAN_ID,
    SURROUNDINGS,
    LabProcess,
    folder_of,
    full_pipe,
    rows,
    settings_in,
    with_descriptors,
)
from tests.snapshot.samples import txt
from tests.test_cli import run

Rows = dict[str, Counter[str]]


# --- killed


def _kill_at_random(lab: LabProcess, archive: Path, rng: random.Random) -> bool:
    """Kill the scan some time after it has begun; whether it still ran."""
    with lab.scan(archive) as running:
        assert running.stderr is not None
        running.stderr.readline()  # imports are over
        try:
            running.wait(rng.uniform(0, 1.2))
        except subprocess.TimeoutExpired:
            running.kill()
            return True
        return False


def _killed(lab: LabProcess, archive: Path, expected: Rows, seed: int, times: int) -> int:
    """Kill a scan so many times and end it; how often it still ran."""
    rng = random.Random(seed)
    lab.visits()
    kills = sum(_kill_at_random(lab, archive, rng) for _ in range(times))
    lab.finish(archive)
    assert rows(archive) == expected
    # Whoever was being talked to when it was killed is talked to once more, and nobody oftener.
    assert max(lab.visits().values()) <= 1 + kills
    return kills


def test_p05_a_scan_killed_again_and_again_ends_as_if_it_never_was(
    lab_process: LabProcess, expected: Rows, tmp_path: Path
) -> None:
    assert _killed(lab_process, tmp_path, expected, seed=1, times=5)


@pytest.mark.soak
def test_p05_two_hundred_kills(lab_process: LabProcess, expected: Rows, tmp_path: Path) -> None:
    kills = seed = 0
    while kills < 200:
        seed += 1
        kills += _killed(lab_process, tmp_path / str(seed), expected, seed, times=1 + seed % 5)


# --- told to stop


def _signalled(lab: LabProcess, archive: Path, *numbers: int, **more: Any) -> tuple[int, str]:
    """Signal the scan while it looks up hosts: its exit code, and what it said."""
    with lab.scan(archive, **more) as running:
        lab.signal(running, *numbers, query=60)
        _, said = running.communicate()
    return running.returncode, said


def _stopped(lab: LabProcess, archive: Path, *numbers: int) -> tuple[int, str]:
    """The same for a signal that stops it before its end."""
    found = _signalled(lab, archive, *numbers)
    assert not (folder_of(archive) / "manifest.json").exists()
    return found


def test_p07_sigint_stops_at_a_checkpoint_and_what_the_disk_has_not_kept_is_asked_again(
    lab_process: LabProcess, expected: Rows, tmp_path: Path
) -> None:
    code, said = _stopped(lab_process, tmp_path, signal.SIGINT)
    assert code == 130
    assert "stopped by SIGINT; the same command goes on from here" in said
    part = next(folder_of(tmp_path).glob("txt_lookups/part-*"))
    octets = bytearray(part.read_bytes())
    octets[len(octets) // 2] ^= 1
    part.write_bytes(octets)
    again = lab_process.finish(tmp_path)
    assert f"rows of txt_lookups are lost: txt_lookups/{part.name} is changed" in again
    assert rows(tmp_path) == expected


def test_p07_sigterm_stops_in_the_same_way_and_who_opts_out_meanwhile_is_left_out(
    lab_process: LabProcess, expected: Rows, tmp_path: Path
) -> None:
    code, said = _stopped(lab_process, tmp_path, signal.SIGTERM)
    assert code == 130
    assert "stopped by SIGTERM" in said
    gone = "own-enforce.com"
    assert gone in str(expected)
    (tmp_path / "opt-out.txt").write_text(gone)
    purged = run("purge", str(tmp_path), "--opt-out", str(tmp_path / "opt-out.txt"))
    assert purged.exit_code == 0
    assert " 1 domains, " in purged.stderr
    lab_process.visits()
    lab_process.finish(tmp_path)
    assert gone not in str(lab_process.visits())
    found = rows(tmp_path)
    assert gone not in str(found)
    others = {row for row in expected["assessments"] if gone not in row}
    assert set(found["assessments"]) == others


@pytest.mark.soak
def test_p07_a_second_signal_stops_at_once_and_loses_nothing_either(
    lab_process: LabProcess, expected: Rows, tmp_path: Path
) -> None:
    code, said = _stopped(lab_process, tmp_path, signal.SIGINT, signal.SIGTERM)
    assert code == -signal.SIGTERM
    assert "a second signal stops at once" in said
    lab_process.finish(tmp_path)
    assert rows(tmp_path) == expected


@pytest.mark.soak
def test_p07_a_terminal_that_closes_stops_a_scan_unless_it_was_told_to_go_on(
    lab_process: LabProcess, expected: Rows, tmp_path: Path
) -> None:
    code, said = _stopped(lab_process, tmp_path / "stopped", signal.SIGHUP)
    assert code == 130
    assert "stopped by SIGHUP" in said
    lab_process.finish(tmp_path / "stopped")
    assert rows(tmp_path / "stopped") == expected

    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    code, said = _signalled(lab_process, tmp_path / "on", signal.SIGHUP, preexec_fn=nohup)
    assert code == 0, said
    assert rows(tmp_path / "on") == expected


# --- a disk that is full or fails


@pytest.mark.soak
def test_p03_a_small_disk_that_is_made_larger(
    lab_process: LabProcess, expected: Rows, tmp_path: Path
) -> None:
    """A real one: a tmpfs in a mount namespace of our own."""
    command = " ".join(lab_process.command(tmp_path / "small"))
    script = f"""
        mkdir small && mount -t tmpfs -o size=600k none small || exit 77
        {command}; echo "exit $?" >&2
        mount -o remount,size=64m small && {command} && cp -r small/* .
    """
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        **{
            **SURROUNDINGS,
            "cwd": tmp_path,
            "env": {**SURROUNDINGS["env"], "PYTHONPATH": str(ROOT)},
        },
        check=False,
    )
    if ran.returncode == 77 or "unshare failed" in ran.stderr:
        pytest.skip(f"this machine lets nobody mount: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr
    assert "No space left on device; make room on that disk" in ran.stderr
    assert str(folder_of(tmp_path / "small")) in ran.stderr
    assert "exit 1" in ran.stderr
    assert rows(tmp_path) == expected


def _step_by_step(
    lab: LabProcess, folder: Path, expected: Rows, trouble: Trouble, stride: int
) -> None:
    step, ended = 1, False
    while not ended:
        archive = folder / f"{trouble}-{step}"
        through = ("-m", "tests.disk", trouble, str(step), str(archive))
        with lab.scan(archive, through=through) as running:
            _, said = running.communicate()
        if trouble in (Trouble.FULL, Trouble.FAULT):  # some are met by going on without
            assert running.returncode in (0, 1), said
            assert "Traceback" not in said
        _, told, taken = said.rpartition("steps taken: ")
        ended = bool(told) and int(taken) < step
        lab.finish(archive)
        assert rows(archive) == expected
        shutil.rmtree(archive)
        step += stride


@pytest.mark.soak
@pytest.mark.parametrize("trouble", list(Trouble))
def test_p03_p04_p06_trouble_at_steps_all_over_a_whole_scan(
    lab_process: LabProcess, expected: Rows, tmp_path: Path, trouble: Trouble
) -> None:
    _step_by_step(lab_process, tmp_path, expected, trouble, stride=7)


# --- little to work with


def test_p01_few_descriptors_mean_few_connections_and_no_other_rows(
    lab_process: LabProcess, expected: Rows, tmp_path: Path
) -> None:
    said = lab_process.finish(tmp_path, preexec_fn=with_descriptors(64))
    assert "connections at once: 16 instead of 2000" in said
    assert "only 64 files open (raise ulimit -n)" in said
    assert rows(tmp_path) == expected


def test_p15_a_pipe_that_nobody_reads_holds_up_nothing(
    lab_process: LabProcess, expected: Rows, tmp_path: Path
) -> None:
    with full_pipe() as writing:
        lab_process.finish(tmp_path, stderr=writing)
    assert rows(tmp_path) == expected


# --- a clock that is set


@pytest.mark.anyio
async def test_k2_a_clock_set_a_day_forth_and_back_changes_nothing_but_times(
    lab_process: LabProcess, expected: Rows, tmp_path: Path
) -> None:
    """The time of day is written down, and nothing waits for it or is measured by it."""
    steps = [timedelta(days=1), timedelta(), timedelta(days=-1), timedelta()]

    def now() -> datetime:
        steps.append(steps.pop(0))
        return utc_now() + steps[0]

    request = Request(
        sources=(str(lab_process.list),),
        archive=tmp_path,
        config=settings_in(lab_process.config, rounds=1, delay=0.2),
        scan_id=SCAN_ID,
    )
    await scan(request, Progress(quiet=True), now=now)
    assert rows(tmp_path) == expected
    for table in ("txt_lookups", "address_lookups", "policy_fetches", "starttls_sessions"):
        took = pq.read_table(folder_of(tmp_path) / table)["elapsed_ms"].to_pylist()
        assert all(0 <= ms < 60_000 for ms in took), table


def test_who_dies_while_damage_is_undone_has_the_passes_run_again(tmp_path: Path) -> None:
    """The damage cannot be found any more, and a scan whose passes are over would be sealed."""

    class Dying(ScanFolder):
        def drop(self, chosen: Callable[[str], bool]) -> None:
            super().drop(chosen)
            if not self.done("names-r0-00000"):
                raise KeyboardInterrupt

    folder = Dying(Archive(tmp_path).create_scan("s").path)
    folder.commit("names-r0-00000-c000", {TxtLookup: [txt()]})
    folder.commit("names-r0-00000", {})
    folder.write_state(run_.PASSES, "done")
    folder.part_path(TxtLookup, "names-r0-00000-c000").write_bytes(b"PAR1")
    with pytest.raises(KeyboardInterrupt):
        run_._undo_damage(folder, Progress(quiet=True))
    assert damage.find(folder) == []
    assert folder.read_state(run_.PASSES) is None
