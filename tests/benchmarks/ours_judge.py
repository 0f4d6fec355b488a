"""The crawler's judgement of certificate chains, without a network.

Prints one JSON line.  The anchors are the public ones and those of the world, as many as a scan
has.  Times differ from one judgement to the next, as those of sessions do.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi

from crawler.protocol.chain import ChainJudge
from tests.benchmarks import chains
from tests.benchmarks.stages import Stages, state

TIMES = 50
"""How often each chain is seen again."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ours_judge")
    parser.add_argument("kind", choices=("new", "renamed", "seen"))
    parser.add_argument("--chains", type=Path, required=True)
    parser.add_argument("--roots", type=Path, required=True)
    arguments = parser.parse_args()
    judge = ChainJudge(Path(certifi.where()).read_bytes() + arguments.roots.read_bytes())
    known = chains.read(arguments.chains)
    at = datetime.now(UTC)
    if arguments.kind != "new":
        for chain in known:
            judge.judge(chain.ders, chain.host, at)
    work = [
        (chain.ders, chain.other_host if arguments.kind == "renamed" else chain.host)
        for chain in known
    ] * (TIMES if arguments.kind == "seen" else 1)
    stages, good, second = Stages(), 0, timedelta(seconds=1)
    with stages.stage("judging"):
        for ders, host in work:
            at += second
            good += not judge.judge(ders, host, at).problems
    state({"answers": good, "asked": len(work), **stages.total()})


if __name__ == "__main__":
    main()
