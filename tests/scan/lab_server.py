"""The lab in a process of its own, for tests whose scans are killed: ``python -m ... FOLDER``.

Prints "ready".  Then takes one JSON object a line: ``{"pid": ..., "signals": [...], "query": n}``
has it send the signals to the process at the n-th query from now on, and ``{"visits": true}`` has
it print how many connections each address has had since it was asked last.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import trio

from crawler import lab


async def main() -> None:
    """Serve until standard input ends."""
    async with lab.open_world(Path(sys.argv[1]), only_scenarios=True) as world:
        _say("ready")
        while line := await trio.to_thread.run_sync(sys.stdin.readline):
            _say(json.dumps(_obey(world, json.loads(line))))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _obey(world: lab.World, order: dict[str, Any]) -> dict[str, int]:
    if "visits" in order:
        visits = Counter(f"{c.service} {c.address} {c.sni}" for c in world.log.connections)
        world.log.connections.clear()
        return visits
    left = order["query"]

    def count(_query: object, _transport: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            for number in order["signals"]:
                os.kill(order["pid"], number)

    world.resolver.on_query = count
    return {}


if __name__ == "__main__":
    trio.run(main)
