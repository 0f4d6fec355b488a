"""The crawler as a client of hosts: one row for each, made by its own probes behind its own gate.

Prints one JSON line.  Only the pace is lifted: limits, evidence and rows are those of a scan.
What a scan does with the rows afterwards is the business of the part about whole scans.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import trio

from crawler.config import Config, Net, Politeness, Seconds
from crawler.net.https import PolicyClient
from crawler.net.smtp import MailClient
from crawler.net.vantage import descriptors
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut
from crawler.probe import policy, starttls
from crawler.records import MailTarget, PolicyFetch, PolicyTarget, StarttlsSession
from crawler.scan.destinations import visit
from crawler.vocabulary import IoStatus
from tests.benchmarks.stages import Stages, state
from tests.benchmarks.workload import read_hosts

EHLO_NAME = "bench.invalid"

TO_ONE = 5
"""Conversations at once with one address of ``mail`` at the most: what there is of work for it."""

SETTLED = 2.0
"""Seconds until everybody who is to be there beside the others has been connected to."""


def configuration(*, at_once: int, https_port: int = 443, smtp_port: int = 25) -> Config:
    """A closed world in which nobody has to wait for a turn."""
    return Config(
        net=Net(https_port=https_port, smtp_port=smtp_port, allow_addresses=("127.0.0.0/8",)),
        politeness=Politeness(
            connections=at_once,
            connections_per_second=1e9,
            per_address_interval=Seconds(0),
            per_address_smtp=at_once,
            per_address_https=at_once,
            per_prefix_connections=at_once,
        ),
    )


def complete(row: StarttlsSession | PolicyFetch) -> bool:
    """Whether *row* has all that such a host can show."""
    if isinstance(row, StarttlsSession):
        told = row.quit_reply is not None and bool(row.ehlo_tls)
    else:
        told = bool(row.body) and row.http_status == 200
    return row.status is IoStatus.SUCCESS and len(row.chain) == 2 and told


async def mail(arguments: argparse.Namespace) -> dict[str, Any]:
    """Greet every host of the list, while the conversations with those of another one go on."""
    targets = _mail_targets(arguments.hosts)
    beside = _mail_targets(arguments.beside) if arguments.beside else []
    at_once = arguments.at_once + len(beside)
    config = configuration(at_once=at_once, smtp_port=arguments.port)
    gate = Gate(config, OptOut(None), frozenset())
    client = MailClient(EHLO_NAME, config.limits)
    statuses: Counter[str] = Counter()
    answers = under_way = most = 0

    async def greet(target: MailTarget) -> None:
        nonlocal answers, under_way, most
        under_way += 1
        most = max(most, under_way)
        row, _ders = await starttls.probe(target, scan_id="bench", gate=gate, client=client)
        under_way -= 1
        statuses[row.status] += 1
        answers += complete(row)

    stages = Stages()
    async with trio.open_nursery() as nursery:
        for target in beside:
            nursery.start_soon(greet, target)
        if beside:
            await trio.sleep(SETTLED)
        with stages.stage("loop"):
            await visit(targets, greet, lanes=TO_ONE, at_once=arguments.at_once)
        nursery.cancel_scope.cancel()  # those beside would go on for minutes
    return {
        "answers": answers,
        **stages.total(),
        "statuses": dict(statuses),
        "most_at_once": most,
    }


def _mail_targets(path: Path) -> list[MailTarget]:
    return [MailTarget(host=host, address=address) for address, host in read_hosts(path)]


async def policies(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fetch the policy from every host of the list."""
    config = configuration(at_once=arguments.at_once, https_port=arguments.port)
    gate = Gate(config, OptOut(None), frozenset())
    client = PolicyClient(config.identity, config.limits)
    statuses: Counter[str] = Counter()
    answers = 0

    async def fetch(target: PolicyTarget) -> None:
        nonlocal answers
        row, _ders = await policy.probe(target, scan_id="bench", gate=gate, client=client)
        statuses[row.status] += 1
        answers += complete(row)

    stages = Stages()
    targets = [
        PolicyTarget(domain=host.removeprefix("mta-sts."), host=host, address=at)
        for at, host in read_hosts(arguments.hosts)
    ]
    with stages.stage("loop"):
        await visit(targets, fetch, lanes=arguments.at_once, at_once=arguments.at_once)
    return {"answers": answers, **stages.total(), "statuses": dict(statuses)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ours_tls")
    commands = parser.add_subparsers(required=True)
    for name, runs in (("mail", mail), ("policies", policies)):
        command = commands.add_parser(name)
        command.set_defaults(runs=runs)
        command.add_argument("--hosts", type=Path, required=True, metavar="CSV")
        command.add_argument("--port", type=int, required=True)
        command.add_argument("--at-once", type=int, default=100)
        if runs is mail:
            command.add_argument("--beside", type=Path, metavar="CSV")
    arguments = parser.parse_args()
    descriptors()  # raises the limit
    state(trio.run(arguments.runs, arguments))


if __name__ == "__main__":
    main()
