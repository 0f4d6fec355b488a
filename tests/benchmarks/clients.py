"""The clients, as a table: what each is, where it comes from, its command and its figures.

The peers that are Python libraries have a small program of ours around them (``peer_*``), which
does as little as the library allows.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.workload import TYPES, Workload

Command = Sequence[str]


@dataclass(frozen=True)
class Task:
    """What a client is to do in one run."""

    server: tuple[str, int]
    workload: Workload
    scratch: Path
    """A folder of this run's own."""

    @property
    def endpoint(self) -> str:
        """The server as ``address:port``."""
        return "{}:{}".format(*self.server)


@dataclass(frozen=True)
class Reading:
    """What a client says of itself."""

    answers: int
    """Definite ones: NOERROR and NXDOMAIN."""
    seconds: float | None = None
    """Without start-up; None when it does not say."""
    cpu: float | None = None
    """The same."""
    details: Mapping[str, Any] = field(default_factory=dict)


Read = Callable[[str], Reading]
"""Turns what a command printed into a reading; raises ``ValueError`` or ``KeyError``."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A row of the table."""

    name: str
    what: str
    parts: frozenset[str]
    commands: Callable[[Task], Sequence[Command]]
    """Run one after the other; their costs are added."""
    read: Read
    binary: str | None = None
    """The command that must be in the search path."""
    module: str | None = None
    """The Python module that must be importable."""
    get: str = ""
    """How to get either."""
    environment: Mapping[str, str] = field(default_factory=dict)
    at_most: int | None = None
    """Domains that are enough for a slow one."""
    by_domain: bool = False
    """Whether its answers are domains and not questions."""

    def lacks(self) -> str | None:
        """Why it cannot be run here, in words, or None when it can."""
        if self.binary and not shutil.which(self.binary):
            return f"{self.binary} is not in the search path; {self.get}"
        if self.module and importlib.util.find_spec(self.module) is None:
            return f"the module {self.module} is not installed; {self.get}"
        return None


# --- readers -------------------------------------------------------------------------------


def read_json(output: str) -> Reading:
    """Our own programs and those around the libraries: one JSON line, the last."""
    stated = _last_json(output)
    return Reading(stated.pop("answers"), stated.pop("seconds"), stated.pop("cpu"), stated)


def read_dnsperf(output: str) -> Reading:
    """The statistics that dnsperf prints at its end."""
    codes = {
        code: int(count)
        for code, count in re.findall(r"([A-Z]+) (\d+) \(", _stated(output, "Response codes"))
    }
    seconds = float(_stated(output, "Run time (s)"))
    return Reading(_definite(codes), seconds, details={"statuses": codes})


def read_massdns(output: str) -> Reading:
    """The last of the status lines; "success" is a response code that is not asked again."""
    stated = _last_json(output)
    codes = {code: counts["success_number"] for code, counts in stated["response"].items()}
    return Reading(codes["OK"] + codes["NXDOMAIN"], details={"statuses": codes})


def read_zdns(output: str) -> Reading:
    """The metadata that zdns writes at its end."""
    codes = _last_json(output)["statuses"]
    return Reading(_definite(codes), details={"statuses": codes})


def _definite(codes: Mapping[str, int]) -> int:
    return codes.get("NOERROR", 0) + codes.get("NXDOMAIN", 0)


def _stated(output: str, label: str) -> str:
    found = re.search(rf"{re.escape(label)}:\s*(.*)", output)
    if found is None:
        raise ValueError(f"no {label!r} in {output[-300:]!r}")
    return found[1]


def _last_json(output: str) -> dict[str, Any]:
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError(f"no JSON in {output[-300:]!r}")
    stated: dict[str, Any] = json.loads(lines[-1])
    return stated


# --- commands ------------------------------------------------------------------------------


def _python(module: str, *arguments: str) -> Callable[[Task], Sequence[Command]]:
    """A program of this package that takes ``--server``, ``--domains`` and ``--repeat``."""

    def commands(task: Task) -> Sequence[Command]:
        return [
            (
                *(sys.executable, "-m", f"tests.benchmarks.{module}", *arguments),
                *("--server", task.endpoint, "--domains", str(task.workload.listed)),
                *("--repeat", str(task.workload.repeat)),
            )
        ]

    return commands


def _ours_names(task: Task) -> Sequence[Command]:
    return [
        (
            *(sys.executable, "-m", "tests.benchmarks.ours", "names", "--server", task.endpoint),
            *("--list", str(task.workload.listed), "--out", str(task.scratch / "archive")),
        )
    ]


def _dnsperf(task: Task) -> Sequence[Command]:
    address, port = task.server
    return [
        (
            *("dnsperf", "-s", address, "-p", str(port), "-d", str(task.workload.pairs)),
            *("-n", str(task.workload.repeat), "-c", "4", "-q", "1000", "-b", "4096"),
        )
    ]


def _massdns(task: Task) -> Sequence[Command]:
    servers = task.scratch / "servers.txt"
    servers.write_text(f"{task.endpoint}\n")
    # As root it would change to nobody, who may not read our files.
    root = ("--root",) if os.geteuid() == 0 else ()
    return [
        (
            *("massdns", *root, "-r", str(servers), "-t", rdtype, "-s", "1000", "-o", "S"),
            *("-w", "/dev/null", "--status-format", "json", str(task.workload.of_type(rdtype))),
        )
        for rdtype in TYPES
    ]


def _zdns(*options: str) -> Callable[[Task], Sequence[Command]]:
    def commands(task: Task) -> Sequence[Command]:
        return [
            (
                *("zdns", rdtype, f"--name-servers={task.endpoint}", *options),
                *(f"--input-file={task.workload.of_type(rdtype)}", "--output-file=/dev/null"),
                "--metadata-file=-",
            )
            for rdtype in TYPES
        ]

    return commands


# --- the table -----------------------------------------------------------------------------

REFERENCE = "dnsperf"
"""The client that the others are compared with, in every part."""

_BULK = frozenset({"dns", "resolver"})
_FROM_DEBIAN = "apt-get install {}"
_FROM_SOURCE = "build it from its repository, {} on GitHub, and put it into the search path"
_FROM_GROUP = "make bench installs it, as would pip install --group bench"

CLIENTS = (
    Client(
        name=REFERENCE,
        what="C; counts answers by RCODE and reads no more of them: the limit",
        parts=frozenset({"dns", "resolver", "names"}),
        binary="dnsperf",
        get=_FROM_DEBIAN.format("dnsperf"),
        commands=_dnsperf,
        read=read_dnsperf,
    ),
    Client(
        name="ours-udp",
        what="this crawler's DNS client over UDP",
        parts=_BULK,
        commands=_python("ours", "dns", "--transport", "udp"),
        read=read_json,
    ),
    Client(
        name="ours-tcp",
        what="the same over pipelined TCP, as for a local resolver",
        parts=_BULK,
        commands=_python("ours", "dns", "--transport", "tcp"),
        read=read_json,
    ),
    Client(
        name="massdns",
        what="C, 1,000 open; reads answers and writes them as text to /dev/null",
        parts=_BULK,
        binary="massdns",
        get=_FROM_SOURCE.format("blechschmidt/massdns"),
        commands=_massdns,
        read=read_massdns,
    ),
    Client(
        name="zdns",
        what="Go, as it comes; writes JSON to /dev/null and asks again after NXDOMAIN",
        parts=_BULK,
        binary="zdns",
        get=_FROM_SOURCE.format("zmap/zdns"),
        commands=_zdns(),
        read=read_zdns,
        at_most=50_000,
    ),
    Client(
        name="zdns-tuned",
        what="the same without retries and with less garbage collection: the fair one",
        parts=_BULK,
        binary="zdns",
        get=_FROM_SOURCE.format("zmap/zdns"),
        commands=_zdns("--retries=0"),
        read=read_zdns,
        environment={"GOGC": "800"},
        at_most=100_000,
    ),
    Client(
        name="blastdns",
        what="Rust under Python; persistent sockets, records as text",
        parts=_BULK,
        module="blastdns",
        get=_FROM_GROUP,
        commands=_python("peer_blastdns"),
        read=read_json,
        at_most=50_000,
    ),
    Client(
        name="dnspython",
        what="its asyncquery.udp on trio, 200 at once",
        parts=frozenset({"dns"}),
        module="dns",
        commands=_python("peer_dnspython"),
        read=read_json,
        at_most=2_500,
    ),
    Client(
        name="ours-names",
        what="list to sealed Parquet: three questions a domain; all figures by domain",
        parts=frozenset({"names"}),
        commands=_ours_names,
        read=read_json,
        by_domain=True,
    ),
)
