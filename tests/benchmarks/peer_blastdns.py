"""blastdns as a client: its cheapest call, which hands over the records of a name as text."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import blastdns  # type: ignore[import, unused-ignore]

from tests.benchmarks.workload import TYPES, name_of, read_list


async def ask(arguments: argparse.Namespace) -> dict[str, Any]:
    domains = read_list(arguments.domains) * arguments.repeat
    config = blastdns.ClientConfig(
        # One long-lived socket costs a third less than a socket for each question, and this is
        # as much as such a socket may have open.
        persistent_socket=True,
        max_inflight_per_resolver=32,
        max_concurrency=32,
        adaptive=False,
        request_timeout_ms=3000,
        max_retries=2,
        cache_capacity=0,
    )
    client = blastdns.Client([arguments.server], config)
    began, cpu = time.perf_counter(), time.process_time()
    for rdtype in TYPES:
        asked = [name_of(domain, rdtype) for domain in domains]
        async for _name, _type, _records in client.resolve_batch(asked, rdtype):
            pass
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    (stats,) = client.stats()
    return {
        "answers": stats.answered + stats.empty,
        "seconds": seconds,
        "cpu": cpu,
        "statuses": stats.model_dump(),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--domains", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=1)
    sys.stdout.write(json.dumps(asyncio.run(ask(parser.parse_args()))) + "\n")
    sys.stdout.flush()
    os._exit(0)  # its threads now and then abort a process whose interpreter is ending


if __name__ == "__main__":
    main()
