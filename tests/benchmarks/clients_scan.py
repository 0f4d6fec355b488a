"""What only this crawler does: judging, scanning a whole list, and bearing with tarpits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.benchmarks.clients import FROM_GROUP, Client, Command, Task, python, read_json

IN_FLIGHT = 4_500
"""Conversations at once with hosts that answer; the tarpits come on top of them."""

# --- commands ------------------------------------------------------------------------------


def _judging(kind: str) -> Callable[[Task], Sequence[Command]]:
    def commands(task: Task) -> Sequence[Command]:
        chains = str(task.workload.hosts("chains"))
        return [python("ours_judge", kind, "--chains", chains, "--roots", str(task.roots))]

    return commands


def _greeting(*, beside: str | None = None) -> Callable[[Task], Sequence[Command]]:
    def commands(task: Task) -> Sequence[Command]:
        hosts = str(task.workload.hosts("mx_hosts"))
        more = ("--beside", str(task.workload.folder / f"{beside}.csv")) if beside else ()
        port = str(task.server[1])
        at_once = ("--at-once", str(IN_FLIGHT))
        return [python("ours_tls", "mail", "--hosts", hosts, "--port", port, *at_once, *more)]

    return commands


def _scanning(module: str, *arguments: str) -> Callable[[Task], Sequence[Command]]:
    """A program of this package that wants to know the whole world."""

    def commands(task: Task) -> Sequence[Command]:
        return [
            python(
                *(module, *arguments, "--server", task.endpoint, "--roots", str(task.roots)),
                *("--list", str(task.workload.listed), "--out", str(task.scratch / "archive")),
                *("--https-port", str(task.https_port), "--smtp-port", str(task.smtp_port)),
            )
        ]

    return commands


# --- the tables ----------------------------------------------------------------------------

JUDGE = (
    Client(
        name="judge-new",
        what="a chain that was never seen before",
        commands=_judging("new"),
        read=read_json,
    ),
    Client(
        name="judge-renamed",
        what="a chain that was judged for another name, as a provider's is",
        commands=_judging("renamed"),
        read=read_json,
    ),
    Client(
        name="judge-seen",
        what="a chain that was judged for the same name, at another time",
        commands=_judging("seen"),
        read=read_json,
    ),
)

TARPITS = (
    Client(
        name="ours-alone",
        what="4,500 conversations at once with hosts that greet after 5 s",
        commands=_greeting(),
        read=read_json,
    ),
    Client(
        name="ours-tarpits",
        what="the same beside 500 with tarpits; rate and costs are of the others",
        commands=_greeting(beside="tarpits"),
        read=read_json,
    ),
)

FEW = ("--mail", "--at-once", "1000", "--files", "96")
"""The scan may have many connections, and a process so few open files that it has 24 of them at
once: waiting for answers is what takes the time, and not the machine."""

EXECUTORS = (
    Client(
        name="local",
        what="the mail pass of a scan; a process may have 96 files open",
        commands=_scanning("ours_scan", *FEW),
        read=read_json,
    ),
    Client(
        name="processes",
        what="the same by two workers; the CPU includes the passes before it and the start",
        commands=_scanning("ours_scan", *FEW, "--workers", "2"),
        read=read_json,
    ),
)

OURS_SCAN = Client(
    name="ours-scan",
    what="list to sealed Parquet with every pass and verdict, --scope all",
    commands=_scanning("ours_scan"),
    read=read_json,
)

SCAN_ALL = (
    OURS_SCAN,
    Client(
        name="ours-processes",
        what="the same by two workers, the CPU of all three processes",
        commands=_scanning("ours_scan", "--workers", "2"),
        read=read_json,
    ),
)

SCAN = (
    OURS_SCAN,
    Client(
        name="checkdmarc",
        what="all of its checks with STARTTLS, one domain after the other; makes objects",
        module="checkdmarc",
        get=FROM_GROUP,
        commands=_scanning("peer_checkdmarc", "scan"),
        read=read_json,
        at_most=200,
    ),
)
