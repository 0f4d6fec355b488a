"""Scans as users run them, in processes that may be killed, and what they leave behind."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from crawler import config
from crawler.config import Config, Retry, Seconds
from crawler.records import TABLES, Lookup
from crawler.snapshot import manifest

ROOT: Final = Path(__file__).resolve().parents[2]
SCAN_ID: Final = "s"

SCENARIOS: Final = (
    "own-enforce",
    "operator-testing",
    "managed-enforce",
    "mode-none",
    "two-mx-wildcard",
    "implicit-mx",
    "long-cname-chain",
    "outside-own",
    "outside-dane",
    "outside-null-mx",
    "txt-multi",
    "tls-expired",
    "http-404",
    "pol-mode-case",
)
"""Some that are quick, never flaky, and leave rows in every table."""


SURROUNDINGS: Final[dict[str, Any]] = {
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
    "text": True,
    "cwd": ROOT,
    "env": {**os.environ, "STS_RETRY_ROUNDS": "0"},
}
"""How each scan runs; what is transient is not asked again, which spares the wait."""


class LabProcess:
    """The lab, in a process of its own; a context that ends it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "lab.toml"
        self.list = folder / "some.txt"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.scan.lab_server", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def __enter__(self) -> LabProcess:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self.list.write_text("".join(f"{name}.com\n" for name in SCENARIOS))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def signal(
        self, scan: subprocess.Popen[str] | int, *numbers: int, query: int, group: bool = False
    ) -> None:
        """Send the signals to *scan*, or its process group, at the query of that number.

        A number is the process of that id.
        """
        pid = scan if isinstance(scan, int) else -scan.pid if group else scan.pid
        self._ask({"pid": pid, "signals": numbers, "query": query})

    def visits(self) -> Counter[str]:
        """Connections by service, address and name, since this was asked last."""
        return Counter(self._ask({"visits": True}))

    def command(self, archive: Path, through: Sequence[str] = ("-m", "crawler")) -> list[str]:
        """What begins, or goes on with, the scan of its list."""
        arguments = {"--out": archive, "--config": self.config, "--scan-id": SCAN_ID}
        options = [str(word) for pair in arguments.items() for word in pair]
        return [sys.executable, *through, "scan", str(self.list), *options]

    def scan(
        self,
        archive: Path,
        *,
        through: Sequence[str] = ("-m", "crawler"),
        options: Sequence[str] = (),
        **more: Any,
    ) -> subprocess.Popen[str]:
        """Begin, or go on with, the scan."""
        command = [*self.command(archive, through), *options]
        return subprocess.Popen(command, **{**SURROUNDINGS, **more})

    def finish(self, archive: Path, **more: Any) -> str:
        """Go on with the scan to its end; what it said."""
        scan = self.scan(archive, **more)
        _, said = scan.communicate()
        assert scan.returncode == 0, said
        return said or ""


def folder_of(archive: Path) -> Path:
    """The scan's folder."""
    return archive / f"scan={SCAN_ID}"


def rows(archive: Path) -> dict[str, Counter[str]]:
    """The rows of a sealed scan as every scan of an unchanged world has them, each table a multiset.

    What may differ is what the design says: times, and how an answer was come by.
    """
    folder = folder_of(archive)
    assert manifest.verify(folder) == []
    assert not (folder / "_work").exists()
    found: dict[str, Counter[str]] = {}
    for cls in TABLES:
        parts = sorted(folder.glob(f"{cls.table}/part-*.parquet"))
        varying = {"attempt", "ttl", "resolver"} if issubclass(cls, Lookup) else set()
        found[cls.table] = Counter(
            str({k: v for k, v in row.items() if k not in varying and not _is_time(k)})
            for part in parts
            for row in pq.ParquetFile(part).read().to_pylist()
        )
    return found


def _is_time(column: str) -> bool:
    return column.endswith(("_at", "_ms"))


def settings_in(path: Path, *, rounds: int, delay: float) -> Config:
    """The configuration in a file, with other retries."""
    settings = config.load(tomllib.loads(path.read_text()), base=path.parent, source=str(path))
    return replace(settings, retry=Retry(rounds=rounds, delay=Seconds(delay)))


@contextmanager
def full_pipe() -> Iterator[int]:
    """The end for writing of a pipe that has no room left and that nobody reads."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(4096))
        os.set_blocking(writing, True)
        yield writing
    finally:
        os.close(reading)
        os.close(writing)


def with_descriptors(limit: int) -> Callable[[], None]:
    """What a child does first to have no more than so many files open."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
