"""dnspython as a client: ``asyncquery.udp`` on trio, a fixed number of questions at once."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import trio

from tests.benchmarks.workload import TYPES, name_of, read_list

AT_ONCE = 200


async def ask(arguments: argparse.Namespace) -> dict[str, Any]:
    address, _, port = arguments.server.rpartition(":")
    domains = read_list(arguments.domains)
    waiting = iter(
        [(name_of(d, t), t) for _ in range(arguments.repeat) for d in domains for t in TYPES]
    )
    codes: Counter[str] = Counter()

    async def lane() -> None:
        for name, rdtype in waiting:
            query = dns.message.make_query(name, rdtype)
            try:
                answer = await dns.asyncquery.udp(query, address, port=int(port), timeout=3)
            except (OSError, dns.exception.DNSException):
                codes["failed"] += 1
            else:
                codes[dns.rcode.to_text(answer.rcode())] += 1

    began, cpu = time.perf_counter(), time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(lane)
    return {
        "answers": codes["NOERROR"] + codes["NXDOMAIN"],
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "statuses": dict(codes),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--domains", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=1)
    sys.stdout.write(json.dumps(trio.run(ask, parser.parse_args())) + "\n")


if __name__ == "__main__":
    main()
