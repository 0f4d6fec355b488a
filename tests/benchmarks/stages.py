"""What each stage of a program of ours takes, and how it says so."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Stages:
    """Seconds and CPU of each stage, by name."""

    def __init__(self) -> None:
        self.spent: dict[str, dict[str, float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The block is the stage *name*."""
        seconds, cpu = time.perf_counter(), time.process_time()
        yield
        self.spent[name] = {
            "seconds": time.perf_counter() - seconds,
            "cpu": time.process_time() - cpu,
        }

    def total(self) -> dict[str, float]:
        """The sum of all stages: what is left of the process is its start."""
        spent = self.spent.values()
        return {key: sum(stage[key] for stage in spent) for key in ("seconds", "cpu")}


def state(found: Mapping[str, Any]) -> None:
    """Print what was found as one JSON line."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
