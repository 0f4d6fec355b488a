"""What is shown and kept: the machine, a table for each part, the goals."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from OpenSSL import SSL

from tests.benchmarks.clients import Client
from tests.benchmarks.figures import (
    AFTER_START,
    CPU,
    RATE,
    Round,
    Spread,
    clients,
    ratio,
    samples,
    spread,
)
from tests.benchmarks.goals import Result
from tests.benchmarks.measure import ROOT
from tests.benchmarks.servers import which

_VERSIONS = {
    "nsd": ("nsd", "-v"),
    "unbound": ("unbound", "-V"),
    "dnsperf": ("dnsperf", "-h"),
    "nginx": ("nginx", "-v"),
    "openssl": ("openssl", "version"),
    "commit": ("git", "describe", "--always", "--dirty"),
}
"""Commands whose first number or line is a version."""


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    return {
        "cpu": _first(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo")),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _first(r"MemTotal:\s*(.*)", Path("/proc/meminfo")),
        "kernel": platform.release(),
        "rmem_max": _first(r"(\d+)", Path("/proc/sys/net/core/rmem_max")),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "tls": SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode(),
        "load_average": os.getloadavg()[0],
        **{name: _version(command) for name, command in _VERSIONS.items()},
    }


def _first(pattern: str, path: Path) -> str | None:
    with suppress(OSError):
        if found := re.search(pattern, path.read_text()):
            return found[1]
    return None


def _version(command: Sequence[str]) -> str | None:
    path = which(command[0])
    if path is None:
        return None
    ended = subprocess.run(
        (path, *command[1:]),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=10,
        check=False,
    )
    if command[0] == "git":
        return ended.stdout.strip() if ended.returncode == 0 else None
    found = re.search(r"(?:[Vv]ersion:?|OpenSSL) (\S+)", ended.stdout)
    return found[1] if found else None


# --- tables --------------------------------------------------------------------------------

_HEAD = ("", "answers/s", "", "CPU-s/M", "", "after start", "× {}", "lost", "MiB")


def table(rounds: Sequence[Round], reference: str) -> str:
    """One line for each client: median, then least and greatest in parentheses."""
    head = tuple(title.format(reference) for title in _HEAD)
    rows = [head, *(_row(rounds, name, reference) for name in clients(rounds))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _row(rounds: Sequence[Round], name: str, reference: str) -> tuple[str, ...]:
    found = samples(rounds, name)
    rate, cpu = spread(found, RATE), spread(found, CPU)
    if rate is None or cpu is None:
        return (name, "no run counts", *[""] * (len(_HEAD) - 2))
    beside = ratio(rounds, name, reference, CPU)
    inner = spread([sample for sample in found if sample.cpu_after_start is not None], AFTER_START)
    return (
        name,
        f"{rate.median:,.0f}",
        _between(rate, lambda value: f"{value:,.0f}"),
        _cost(cpu.median),
        _between(cpu, _cost),
        _cost(inner.median) if inner else "-",
        f"{beside.median:.2f}" if beside else "-",
        f"{max(sample.loss for sample in found):.2%}",
        f"{max(sample.rss_mib for sample in found):.0f}",
    )


def _between(value: Spread, shown: Callable[[float], str]) -> str:
    return f"({shown(value.low)} - {shown(value.high)})"


def _cost(value: float) -> str:
    """Microseconds for one: a question costs a few, a conversation a thousand."""
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def stages(rounds: Sequence[Round]) -> Iterator[str]:
    """A line for each client that works in stages: the median seconds and CPU of each."""
    for name in clients(rounds):
        spent = [
            run["stages"]
            for s in samples(rounds, name)
            for run in s.details.get("runs", ())
            if len(run.get("stages", ())) > 1
        ]
        if spent:
            yield f"{name}: " + ", ".join(
                f"{stage} {median(s[stage]['seconds'] for s in spent):.2f} s "
                f"(CPU {median(s[stage]['cpu'] for s in spent):.2f} s)"
                for stage in spent[0]
            )


def skipped(lacking: Mapping[str, str]) -> Iterator[str]:
    """A line for each client that is not here."""
    for name, reason in lacking.items():
        yield f"skipped: {name}: {reason}"


def legend(found: Sequence[Client]) -> Iterator[str]:
    """A line for each client: what it is."""
    width = max(len(client.name) for client in found)
    for client in found:
        yield f"{client.name.ljust(width)}  {client.what}"


def goals(results: Sequence[Result]) -> Iterator[str]:
    """A line for each goal."""
    for result in results:
        value = f"{result.value.median:,.2f}" if result.value else "-"
        reason = f" ({result.reason})" if result.reason else ""
        yield f"{result.verdict:>12}  {value:>8}  {result.goal.text}{reason}"
