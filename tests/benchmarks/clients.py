"""What a client is: where it comes from, its command, and how to read what it prints.

The tables are in ``clients_dns``, ``clients_tls`` and ``clients_scan``; here is what they share.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.servers import which
from tests.benchmarks.workload import Workload

Command = Sequence[str]


@dataclass(frozen=True)
class Task:
    """What a client is to do in one run."""

    server: tuple[str, int]
    workload: Workload
    scratch: Path
    """A folder of this run's own."""
    https_port: int = 443
    smtp_port: int = 25
    """Where the hosts of a whole world listen; in a part about one service it is the server's."""

    @property
    def endpoint(self) -> str:
        """The server as ``address:port``."""
        return "{}:{}".format(*self.server)

    @property
    def roots(self) -> Path:
        """The trust store of the world."""
        return self.workload.folder / "roots.pem"


@dataclass(frozen=True)
class Reading:
    """What a client says of itself."""

    answers: int
    """Definite ones: NOERROR and NXDOMAIN, or conversations that ran to their end."""
    seconds: float | None = None
    """Without start-up; None when it does not say."""
    cpu: float | None = None
    """The same."""
    details: Mapping[str, Any] = field(default_factory=dict)
    asked: int | None = None
    """How many it wanted, when that is its own choice and not the workload's."""


Read = Callable[[str], Reading]
"""Turns what a command printed into a reading; raises ``ValueError`` or ``KeyError``."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A row of the table."""

    name: str
    what: str
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
    """Domains or hosts that are enough for a slow one."""
    by_domain: bool = False
    """Whether its answers are domains in a part about questions."""

    def lacks(self) -> str | None:
        """Why it cannot be run here, in words, or None when it can."""
        if self.binary and which(self.binary) is None:
            return f"{self.binary} is not in the search path; {self.get}"
        if self.module and importlib.util.find_spec(self.module) is None:
            return f"the module {self.module} is not installed; {self.get}"
        return None


FROM_DEBIAN = "apt-get install {}"
FROM_SOURCE = "build it from its repository, {} on GitHub, and put it into the search path"
FROM_GROUP = "make bench installs it, as would pip install --group bench"


# --- commands ------------------------------------------------------------------------------


def python(module: str, *arguments: str) -> Command:
    """A program of this package."""
    return (sys.executable, "-m", f"tests.benchmarks.{module}", *arguments)


# --- readers -------------------------------------------------------------------------------


def read_json(output: str) -> Reading:
    """Our own programs and those around the libraries: one JSON line, the last."""
    stated = last_json(output)
    answers, seconds, cpu = (stated.pop(key) for key in ("answers", "seconds", "cpu"))
    return Reading(answers, seconds, cpu, asked=stated.pop("asked", None), details=stated)


def last_json(output: str) -> dict[str, Any]:
    """The last line that is a JSON object."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError(f"no JSON in {output[-300:]!r}")
    stated: dict[str, Any] = json.loads(lines[-1])
    return stated
