"""The crawler as a client: its DNS client alone, or the names pass from a list to a seal.

Prints one JSON line.  ``dns`` uses only what ``crawler.net.resolver`` offers to everybody.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import trio

from crawler.config import Dns, Seconds
from crawler.net.resolver import Lookup, open_resolver
from crawler.protocol.dns_wire import RdType, name_to_wire, question_below
from crawler.vocabulary import DnsStatus
from tests.benchmarks.stages import Stages, state

DEFINITE = (DnsStatus.NOERROR, DnsStatus.NO_ANSWER, DnsStatus.NXDOMAIN)


def settings(server: str, transport: str) -> Dns:
    """No pace of our own; timeouts and tries as in a real scan."""
    return Dns(
        resolvers=(server,),
        queries_per_second=1e9,
        timeout=Seconds(3),
        attempts=3,
        in_flight=1000,
        transport="tcp" if transport == "tcp" else "udp",
    )


def lookups(path: Path, repeat: int) -> Iterator[Lookup]:
    """TXT and MX of every domain of the list, *repeat* times, made as the names pass makes them."""
    for _ in range(repeat):
        with path.open() as lines:
            for line in lines:
                domain = line.rstrip().partition(",")[2]
                octets = name_to_wire(domain)
                txt = question_below(b"\x08_mta-sts", octets, RdType.TXT)
                yield Lookup(f"_mta-sts.{domain}", RdType.TXT, txt, domain)
                yield Lookup(domain, RdType.MX, question_below(b"", octets, RdType.MX), domain)


async def ask(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ask all questions and count the answers."""
    statuses: Counter[str] = Counter()
    stages = Stages()

    def settled(some: list[Lookup]) -> None:
        statuses.update([lookup.message.status for lookup in some])

    async with open_resolver(settings(arguments.server, arguments.transport)) as resolver:
        with stages.stage("loop"):
            await resolver.settle(lookups(arguments.domains, arguments.repeat), settled)
        return {
            "questions": statuses.total(),
            "answers": sum(statuses[status] for status in DEFINITE),
            **stages.total(),
            "statuses": dict(statuses),
            "stages": stages.spent,
            "resolvers": [asdict(stats) for stats in resolver.stats()],
            "warnings": resolver.warnings(),
        }


async def names_pass(arguments: argparse.Namespace) -> dict[str, Any]:
    """A scan of which only the names pass is run: list, lookups, sealed Parquet.

    It is put together as ``crawler.scan.run`` does it, without the self-test of the resolver
    (an authoritative server cannot pass it), the other passes and the judgement.
    """
    # Here, because the DNS client alone should not be charged for importing them.
    from crawler.config import Config, Retry
    from crawler.politeness.opt_out import OptOut
    from crawler.scan.executor import Local
    from crawler.scan.passes import NAMES
    from crawler.scan.planning import planning
    from crawler.scan.progress import Progress
    from crawler.scan.rounds import run_passes
    from crawler.scan.session import open_context, trust_roots
    from crawler.snapshot import lists
    from crawler.snapshot.folder import FolderWork
    from crawler.snapshot.seal import seal
    from crawler.snapshot.store import Archive
    from crawler.snapshot.suffixes import Suffixes

    config = Config(dns=settings(arguments.server, arguments.transport), retry=Retry(rounds=0))
    folder, seed = Archive(arguments.out).create_scan("bench"), "bench"
    stages = Stages()
    with folder.lock():
        with stages.stage("intake"):
            summary = lists.ingest(
                (str(arguments.list),),
                folder,
                scan_id=folder.scan_id,
                seed=seed,
                suffixes=Suffixes.bundled(),
            )
        work = FolderWork(folder, seed=seed)
        plan, progress = planning(config, seed=seed), Progress(quiet=True)
        with stages.stage("pass"):
            async with open_context(
                config, plan, work, OptOut(None), progress, roots=trust_roots(config)[1]
            ) as context:
                await run_passes(context, Local(context, lambda pass_, _: pass_ is NAMES))
                resolvers = [asdict(stats) for stats in context.resolver.stats()]
                warnings = context.resolver.warnings()
        with stages.stage("seal"):
            sealed = seal(folder, _facts(config, folder.scan_id, seed, summary.as_dict()))
    statuses = _statuses(folder.path)
    return {
        "domains": summary.accepted,
        "answers": sum(statuses[status] for status in DEFINITE) // 3,  # three rows a domain
        **stages.total(),
        "rows": {name: table.rows for name, table in sealed.tables.items() if table.rows},
        "statuses": dict(statuses),
        "stages": stages.spent,
        "resolvers": resolvers,
        "warnings": warnings,
    }


def _facts(config: Any, scan_id: str, seed: str, summary: dict[str, Any]) -> Any:
    from datetime import UTC, datetime

    from crawler.snapshot.manifest import Facts

    now = datetime.now(UTC)
    return Facts(
        scan_id=scan_id,
        started_at=now,
        ended_at=now,
        software_version="bench",
        configuration=config.as_dict(),
        scope="names",
        list=summary,
        seed=seed,
        resolvers=config.dns.resolvers,
        resolver_health=(),
        vantage={},
        public_suffix_list="bundled",
        trust_store={},
        openssl={},
        rules_version="none",
    )


def _statuses(scan: Path) -> Counter[str]:
    """How the lookups of a sealed scan ended."""
    import pyarrow.parquet as pq

    statuses: Counter[str] = Counter()
    for table in ("txt_lookups", "mx_lookups"):
        for part in scan.glob(f"{table}/part-*.parquet"):
            column = pq.read_table(part, columns=["status"])["status"]
            statuses.update({c["values"]: c["counts"] for c in column.value_counts().to_pylist()})
    return statuses


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ours")
    commands = parser.add_subparsers(required=True)
    for name, runs in (("dns", ask), ("names", names_pass)):
        command = commands.add_parser(name)
        command.set_defaults(runs=runs)
        command.add_argument("--server", required=True, metavar="ADDRESS:PORT")
        command.add_argument("--transport", choices=("udp", "tcp"), default="udp")
        if runs is ask:
            command.add_argument("--domains", type=Path, required=True, metavar="CSV")
            command.add_argument("--repeat", type=int, default=1)
        else:
            command.add_argument("--list", type=Path, required=True, metavar="CSV")
            command.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    state(trio.run(arguments.runs, arguments))


if __name__ == "__main__":
    main()
