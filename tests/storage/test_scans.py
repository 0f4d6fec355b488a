"""Scans as users run them, with ``--out s3://...``: the rows of a scan into a folder, come what may."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import analysis.cli
import crawler.cli
from crawler.config import Config
from crawler.records import TxtLookup
from crawler.scan.request import Request, RequestError, require_sensible
from crawler.snapshot.archives import open_archive
from crawler.snapshot.objects import Objects
from tests.scan.children import SCAN_ID, SURROUNDINGS, LabProcess, rows
from tests.snapshot.samples import SCAN, txt
from tests.storage.servers import ENVIRONMENT, Store, Weather

Rows = dict[str, Counter[str]]
Machine = Callable[[str], Path]


class Scans:
    """Commands about the scan of the lab into an archive in a store, each on some machine."""

    def __init__(self, lab: LabProcess, url: str, folder: Path) -> None:
        self.lab = lab
        self.url = url
        self.folder = folder

    def _surroundings(self, machine: str, patience: str) -> dict[str, Any]:
        own = {"STS_STORAGE_CACHE": str(self.folder / machine), "STS_STORAGE_PATIENCE": patience}
        return {"env": {**SURROUNDINGS["env"], **ENVIRONMENT, **own}}

    def begin(
        self, *options: str, machine: str = "first", patience: str = "20s"
    ) -> subprocess.Popen[str]:
        """Begin the scan, or go on with it."""
        more = self._surroundings(machine, patience)
        return self.lab.scan(self.url, options=options, **more)  # type: ignore[arg-type]

    def run(self, *options: str, **more: str) -> tuple[int, str]:
        """Do so to the end: the exit code, and what was said."""
        return ended(self.begin(*options, **more))

    def seal(self, machine: str = "sealing") -> tuple[int, str]:
        """Seal it."""
        command = [sys.executable, "-m", "crawler", "seal", self.url, "--scan-id", SCAN_ID]
        surroundings = {**SURROUNDINGS, **self._surroundings(machine, "20s")}
        return ended(subprocess.Popen(command, **surroundings))

    def rows(self) -> Rows:
        """The rows of the sealed scan, out of a copy of the bucket's folder."""
        objects = Objects(self.url)
        archive = self.folder / "copy"
        for key in objects.sizes():
            (archive / key).parent.mkdir(parents=True, exist_ok=True)
            assert objects.fetch(key, archive / key)
        return rows(archive)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code, and what was said."""
    _, said = process.communicate()
    return process.returncode, said


@pytest.fixture
def scans(lab_process: LabProcess, moto_store: Store, prefix: str, tmp_path: Path) -> Scans:
    return Scans(lab_process, moto_store.url(prefix), tmp_path)


@pytest.fixture
def stormy_scans(lab_process: LabProcess, stormy: Weather, prefix: str, tmp_path: Path) -> Scans:
    return Scans(lab_process, stormy.url(prefix), tmp_path)


def test_a_scan_that_is_killed_goes_on_from_another_machine_through_bad_weather(
    stormy_scans: Scans, stormy: Weather, expected: Rows
) -> None:
    scan = stormy_scans.begin()
    stormy_scans.lab.signal(scan, signal.SIGKILL, query=30)
    assert ended(scan)[0] == -signal.SIGKILL
    countdown = iter(range(10_000))
    troubles = ("cut", "503", "lost", "500")
    stormy.fate = lambda _: (
        troubles[n % 4] if (n := next(countdown)) % 7 in (3, 4) and n < 200 else "pass"
    )
    code, said = stormy_scans.run(machine="second")
    assert code == 0, said
    assert next(countdown) > 100
    assert stormy_scans.rows() == expected
    assert not list((stormy_scans.folder / "second").rglob("*.parquet")), "the store has it all"


@pytest.mark.soak
def test_a_store_that_stays_silent_ends_the_scan_until_it_is_back(
    stormy_scans: Scans, stormy: Weather, expected: Rows
) -> None:
    """It falls silent at the marker of the first names."""
    silent = False

    def fate(head: bytes) -> str:
        nonlocal silent
        silent = silent or (head.startswith(b"PUT") and b"units/names-r0-" in head)
        return "503" if silent else "pass"

    stormy.fate = fate
    code, said = stormy_scans.run(patience="300ms")
    assert code == 3, said
    assert "has not answered for 0.3 s" in said
    assert "the same command goes on with that" in said
    assert said.count("sts-crawl: ") == 1
    stormy.fate = lambda _: "pass"
    code, said = stormy_scans.run()
    assert code == 0, said
    assert stormy_scans.rows() == expected
    code, said = stormy_scans.run(machine="second")
    assert code == 0
    assert f"scan {SCAN_ID} is sealed already" in said


@pytest.mark.soak
def test_of_two_machines_at_the_same_scan_one_stops_and_no_row_is_there_twice(
    scans: Scans, expected: Rows
) -> None:
    both = [scans.begin(machine=machine) for machine in ("first", "second")]
    codes = {}
    for scan in both:
        code, said = ended(scan)
        codes[code] = said
    assert set(codes) <= {0, 3}, codes
    if 3 in codes:
        assert "two must not work on the same shards" in codes[3]
    code, said = scans.run(machine="third")
    assert code == 0, said
    assert scans.rows() == expected


@pytest.mark.soak
def test_shares_on_machines_of_their_own_and_a_seal(scans: Scans, expected: Rows) -> None:
    def share(index: int) -> tuple[int, str]:
        return scans.run("--shard", f"{index}/2", machine=f"machine-{index}")

    code, said = share(0)
    assert code == 3, said
    assert re.search(r"missing names-r0: \d shards \([\d, ]+\) of --shard 1/2", said)
    code, said = scans.seal()
    assert code == 3, said
    assert "of --shard 1/2" in said
    code, said = scans.run("--shard", "1/3", machine="third")
    assert code == 2, said
    assert "is divided into 2 shares; give --shard i/2" in said
    code, said = scans.run("--shard", "1/2", "--scope", "all", machine="third")
    assert code == 2, said
    assert "begun with another list, configuration or scope" in said
    codes = {}
    for turn in range(1, 12):
        codes[turn % 2], said = share(turn % 2)
        if set(codes.values()) == {0} and len(codes) == 2:
            break
    assert codes == {0: 0, 1: 0}, said
    code, said = scans.seal()
    assert code == 0, said
    assert scans.rows() == expected


@pytest.mark.soak
def test_a_scan_carries_over_what_an_earlier_one_in_the_store_saw(scans: Scans) -> None:
    code, said = scans.run()
    assert code == 0, said
    scans.lab.visits()
    command = [word if word != SCAN_ID else "later" for word in scans.lab.command(Path())]
    command[command.index("--out") + 1] = scans.url
    surroundings = {**SURROUNDINGS, **scans._surroundings("second", "20s")}
    code, said = ended(subprocess.Popen([*command, "--since", SCAN_ID], **surroundings))
    assert code == 0, said
    assert f"conversations carried over from {SCAN_ID}" in said


# --- what becomes of it


@pytest.fixture(scope="module")
def done(
    lab_process: LabProcess, seaweed_store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Scans:
    """A sealed scan in SeaweedFS, by several processes."""
    scans = Scans(lab_process, seaweed_store.url("reports"), tmp_path_factory.mktemp("reports"))
    code, said = scans.run("--executor", "processes", "--workers", "2")
    assert code == 0, said
    return scans


def report(*arguments: str) -> Result:
    return CliRunner().invoke(analysis.cli.main, [str(a) for a in arguments])


def test_a_scan_by_several_processes_has_the_rows_of_one(done: Scans, expected: Rows) -> None:
    assert done.rows() == expected


SQL = "SELECT sender_outcome, count(*) FROM assessments GROUP BY ALL ORDER BY ALL"


@pytest.mark.parametrize(
    "command",
    [
        ("sql", "ARCHIVE", SQL, "--format", "csv"),
        ("ask", "adoption", "ARCHIVE", "--format", "json"),
        ("customers", "ARCHIVE", "--format", "json"),
        ("diff", "ARCHIVE", SCAN_ID, SCAN_ID, "--format", "csv"),
    ],
    ids=lambda command: command[0],
)
def test_reports_are_those_of_a_folder(
    done: Scans, undisturbed: Path, machine: Machine, command: Sequence[str]
) -> None:
    answers = [
        report(*(str(archive) if word == "ARCHIVE" else word for word in command))
        for archive in (done.url, undisturbed)
    ]
    assert answers[0].exit_code == answers[1].exit_code, answers[0].output
    assert timeless(answers[0].stdout) == timeless(answers[1].stdout)


def timeless(text: str) -> str:
    """Text without the times that it states."""
    return re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.+Z]+", "WHEN", text)


def test_what_was_copied_is_not_copied_again(done: Scans, machine: Machine) -> None:
    cache = machine("reader")
    assert report("sql", done.url, SQL).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.parquet")}
    assert len(before) > 10
    assert report("sql", done.url, SQL).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.parquet")} == before


@pytest.mark.soak
def test_a_release_has_the_octets_of_a_folder_s(
    done: Scans, machine: Machine, tmp_path: Path
) -> None:
    """Of a copy of the bucket's folder, that is, since every scan has times of its own."""
    done.rows()
    for name, archive in (("store", done.url), ("folder", str(done.folder / "copy"))):
        made = report("export", archive, "--out", str(tmp_path / name), "--evidence")
        assert made.exit_code == 0, made.output
    files = [
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")}
        for name in ("store", "folder")
        if (tmp_path / name).is_dir()
    ]
    assert files[0].keys() == files[1].keys()
    assert [path for path in files[0] if files[0][path] != files[1][path]] == []


@pytest.mark.soak
def test_a_page_is_made(done: Scans, machine: Machine, tmp_path: Path) -> None:
    made = report("build", done.url, "--out", str(tmp_path / "report"))
    assert made.exit_code == 0, made.output
    assert (tmp_path / "report" / "index.html").is_file()


@pytest.mark.soak
def test_judging_again_and_purging(done: Scans, machine: Machine) -> None:
    cache = machine("judge")
    judged = CliRunner().invoke(crawler.cli.main, ["assess", done.url, "--scan-id", SCAN_ID])
    assert judged.exit_code == 0, judged.output
    assert judged.stdout.strip().endswith(f"/reports/scan={SCAN_ID}")
    before = report("sql", done.url, SQL, "--format", "csv").stdout
    (domain,) = report(
        "sql", done.url, "SELECT min(domain) FROM domains", "--format", "csv"
    ).stdout.split()[1:]
    opt_out = cache / "opt-out.txt"
    opt_out.write_text(domain)
    purged = CliRunner().invoke(crawler.cli.main, ["purge", done.url, "--opt-out", str(opt_out)])
    assert purged.exit_code == 0, purged.output
    assert "removed" in purged.stderr
    assert report("sql", done.url, SQL, "--format", "csv").stdout != before
    assert not any(domain.encode() in path.read_bytes() for path in cache.rglob("*.parquet"))


def test_what_an_unfinished_scan_has_is_read_if_asked(
    moto_store: Store, prefix: str, machine: Machine
) -> None:
    url = moto_store.url(prefix)
    folder = open_archive(url).create_scan(SCAN)
    with folder.lock():
        folder.commit("names-r0-00000-c000", {TxtLookup: [txt("a"), txt("b")]})
    count = "SELECT count(*) FROM txt_lookups"
    refused = report("sql", url, count)
    assert refused.exit_code == 2
    assert f"has no sealed scan, only {SCAN}" in refused.stderr
    counted = report("sql", url, count, "--unsealed", "--format", "csv")
    assert counted.stdout.split() == ["count_star()", "2"]


# --- what is wrong with the call


def test_an_archive_that_is_none(moto_store: Store, prefix: str, machine: Machine) -> None:
    url = moto_store.url(prefix)
    for command in (("sql", url, SQL), ("sql", "s3://b/p?x=1", SQL), ("sql", "s3://", SQL)):
        refused = report(*command)
        assert refused.exit_code == 2, refused.output
        assert "Error: s3://" in refused.stderr
    refused = CliRunner().invoke(crawler.cli.main, ["seal", url, "--scan-id", "x"])
    assert refused.exit_code == 2
    assert "holds no scan x; it holds: none" in refused.stderr


def test_a_store_that_does_not_answer_a_report(
    stormy: Weather, prefix: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STS_STORAGE_PATIENCE", "200ms")
    stormy.fate = lambda _: "503"
    silent = report("sql", stormy.url(prefix), SQL)
    assert silent.exit_code == 1
    assert "does not answer" in silent.stderr
    stormy.fate = lambda _: "403"
    refused = report("sql", stormy.url(prefix), SQL)
    assert refused.exit_code == 1
    assert "cannot be read" in refused.stderr


def test_the_extra_is_asked_for_where_it_is_missing(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['obstore'] = None; from crawler.cli import main; "
        "main(['seal', 's3://b/p?region=x', '--scan-id', 's'])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2, ended.stderr
    assert "needs obstore: install the extra, mta-sts-census[s3]" in ended.stderr


def test_a_cluster_is_refused_with_a_bucket() -> None:
    request = Request(
        sources=("list.txt",), archive="s3://b/p", config=Config(), executor="ray", workers=2
    )
    with pytest.raises(RequestError, match="machines that share a bucket take --shard"):
        require_sensible(request)
