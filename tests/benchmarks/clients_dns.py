"""The DNS clients, and the names pass beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence

from tests.benchmarks.clients import (
    FROM_DEBIAN,
    FROM_GROUP,
    FROM_SOURCE,
    Client,
    Command,
    Reading,
    Task,
    last_json,
    python,
    read_json,
)
from tests.benchmarks.workload import TYPES

# --- readers -------------------------------------------------------------------------------


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
    stated = last_json(output)
    codes = {code: counts["success_number"] for code, counts in stated["response"].items()}
    return Reading(codes["OK"] + codes["NXDOMAIN"], details={"statuses": codes})


def read_zdns(output: str) -> Reading:
    """The metadata that zdns writes at its end."""
    codes = last_json(output)["statuses"]
    return Reading(_definite(codes), details={"statuses": codes})


def _definite(codes: Mapping[str, int]) -> int:
    return codes.get("NOERROR", 0) + codes.get("NXDOMAIN", 0)


def _stated(output: str, label: str) -> str:
    found = re.search(rf"{re.escape(label)}:\s*(.*)", output)
    if found is None:
        raise ValueError(f"no {label!r} in {output[-300:]!r}")
    return found[1]


# --- commands ------------------------------------------------------------------------------


def _asking(module: str, *arguments: str) -> Callable[[Task], Sequence[Command]]:
    """A program of this package that takes ``--server``, ``--domains`` and ``--repeat``."""

    def commands(task: Task) -> Sequence[Command]:
        return [
            python(
                *(module, *arguments, "--server", task.endpoint),
                *("--domains", str(task.workload.listed)),
                *("--repeat", str(task.workload.repeat)),
            )
        ]

    return commands


def _ours_names(task: Task) -> Sequence[Command]:
    return [
        python(
            *("ours", "names", "--server", task.endpoint),
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


# --- the tables ----------------------------------------------------------------------------

DNSPERF = Client(
    name="dnsperf",
    what="C; counts answers by RCODE and reads no more of them: the limit",
    binary="dnsperf",
    get=FROM_DEBIAN.format("dnsperf"),
    commands=_dnsperf,
    read=read_dnsperf,
)

BULK = (
    DNSPERF,
    Client(
        name="ours-udp",
        what="this crawler's DNS client over UDP",
        commands=_asking("ours", "dns", "--transport", "udp"),
        read=read_json,
    ),
    Client(
        name="ours-tcp",
        what="the same over pipelined TCP, as for a local resolver",
        commands=_asking("ours", "dns", "--transport", "tcp"),
        read=read_json,
    ),
    Client(
        name="massdns",
        what="C, 1,000 open; reads answers and writes them as text to /dev/null",
        binary="massdns",
        get=FROM_SOURCE.format("blechschmidt/massdns"),
        commands=_massdns,
        read=read_massdns,
    ),
    Client(
        name="zdns",
        what="Go, as it comes; writes JSON to /dev/null and asks again after NXDOMAIN",
        binary="zdns",
        get=FROM_SOURCE.format("zmap/zdns"),
        commands=_zdns(),
        read=read_zdns,
        at_most=50_000,
    ),
    Client(
        name="zdns-tuned",
        what="the same without retries and with less garbage collection: the fair one",
        binary="zdns",
        get=FROM_SOURCE.format("zmap/zdns"),
        commands=_zdns("--retries=0"),
        read=read_zdns,
        environment={"GOGC": "800"},
        at_most=100_000,
    ),
    Client(
        name="blastdns",
        what="Rust under Python; persistent sockets, records as text",
        module="blastdns",
        get=FROM_GROUP,
        commands=_asking("peer_blastdns"),
        read=read_json,
        at_most=50_000,
    ),
)

DNSPYTHON = Client(
    name="dnspython",
    what="its asyncquery.udp on trio, 200 at once",
    module="dns",
    commands=_asking("peer_dnspython"),
    read=read_json,
    at_most=2_500,
)

NAMES = (
    DNSPERF,
    Client(
        name="ours-names",
        what="list to sealed Parquet: three questions a domain; all figures by domain",
        commands=_ours_names,
        read=read_json,
        by_domain=True,
    ),
)
