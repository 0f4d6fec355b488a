"""The page INTERNET.md: what a census of the Internet takes, and what bounds it.

    python -m tests.benchmarks.internet > tests/benchmarks/INTERNET.md
    python -m tests.benchmarks.internet --check                # exit code 1: the page is another
    python -m tests.benchmarks.internet --rates bench.json     # the same with your own rates
    python -m tests.benchmarks.internet --record bench.json    # keep them, in rates.json

Every number of the page is computed here, from the rates recorded in ``rates.json``, the limits of
``crawler/config.py``, and the assumptions of ``internet_load``, which the page states.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from crawler.config import Config
from crawler.scan.passes import MAIL
from crawler.snapshot.sharding import shard_count
from tests.benchmarks import internet_load, rates
from tests.benchmarks.internet_load import (
    ADDRESSES_PER_DOMAIN,
    DAY,
    GB,
    HOUR,
    MICROSOFT,
    POPULATIONS,
    Assumptions,
    Population,
    load,
)
from tests.benchmarks.internet_tail import (
    Course,
    Limits,
    capped,
    divided,
    heavy_destinations,
    simulate,
)
from tests.benchmarks.rates import Rates

PAGE = Path(__file__).with_name("INTERNET.md")
SEED = 8461
EVEN_ADDRESSES = 2_000
"""Addresses that the hosts of Microsoft's customers are assumed to share evenly."""
CAP = 5_000
"""Hosts greeted at one address in one scan, where a cap is tried."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run of the simulation."""

    workers: int = 4
    resolvers: int = 4
    starts_per_second: float = 200.0
    shards_at_once: int = MAIL.shards_at_once
    exponent: float = 1.0
    cap: float | None = None


CASES = (
    Case(),
    Case(workers=32, resolvers=32),
    Case(exponent=0.8),
    Case(exponent=1.2),
    Case(shards_at_once=1_000),
    Case(cap=CAP),
    Case(cap=CAP, starts_per_second=1_000),
    Case(cap=CAP, starts_per_second=1_000, workers=32, resolvers=32),
)


@cache
def mail_pass(case: Case, of: Population, config: Config) -> tuple[Course, list[float]]:
    """The course of the mail pass, and the destinations that were followed, the largest first."""
    customers = MICROSOFT * of.with_mx
    even = [2 * customers / EVEN_ADDRESSES] * EVEN_ADDRESSES
    found, light = heavy_destinations(
        of.conversations - sum(even),
        int(ADDRESSES_PER_DOMAIN * of.domains),
        case.exponent,
        even=even,
    )
    heavy = capped(found, case.cap)
    shards = divided(heavy, light, shard_count(int(sum(heavy) + light)), seed=SEED)
    limits = Limits(
        workers=case.workers,
        shards_at_once=case.shards_at_once,
        starts_per_second=case.starts_per_second,
        interval=config.politeness.per_address_interval,
    )
    return simulate(shards, limits), sorted(heavy, reverse=True)


def names_seconds(case: Case, of: Population, measured: Rates, config: Config) -> float:
    """How long the passes of names and hosts take: by the resolvers' limit, or the workers' CPU."""
    asked = load(of, measured, config, resolvers=case.resolvers)
    return max(asked.names_seconds, asked.questions * measured.question_cpu / 1e6 / case.workers)


# --- the page ------------------------------------------------------------------------------


def page(measured: Rates) -> str:
    """The whole text."""
    config = Config()
    return TEXT.format(
        loads="\n".join(_loads(measured, config)),
        populations="\n".join(f"- {p.name}: {p.sources}." for p in POPULATIONS),
        measured="\n".join(f"- {line}." for line in measured.measured),
        per_row=", ".join(f"`{table}` {octets:.0f}" for table, octets in measured.row.items()),
        rates=(
            f"{measured.question_cpu:.1f} µs a question, {measured.policy_cpu:,.0f} µs a policy, "
            f"{measured.mail_cpu:,.0f} µs a STARTTLS conversation, {measured.judging_cpu:,.0f} µs to "
            f"judge and seal a domain, at most {measured.resolver_cpu:.0f} µs of the resolver a question"
        ),
        qps=f"{config.dns.queries_per_second:,.0f}",
        starts=f"{config.politeness.connections_per_second:,.0f}",
        interval=f"{config.politeness.per_address_interval:g}",
        cases="\n".join(_cases(measured, config)),
        largest="\n".join(_largest(config)),
        assumed="\n".join(_assumed(Assumptions())),
        even=f"{EVEN_ADDRESSES:,}",
        cap=f"{CAP:,}",
        cap_hours=f"{CAP * config.politeness.per_address_interval / HOUR:.1f}",
        seed=SEED,
        **_told(config),
    )


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _loads(measured: Rates, config: Config) -> Iterator[str]:
    found = [load(p, measured, config) for p in POPULATIONS]
    yield _row("", *(p.name for p in POPULATIONS))
    yield _row("---", *("---:" for _ in POPULATIONS))
    lines = (
        ("domains", [millions(p.domains) for p in POPULATIONS]),
        ("questions to the resolver", [millions(f.questions) for f in found]),
        ("queries of the resolver upstream", [millions(f.upstream) for f in found]),
        ("policies fetched", [millions(f.policies) for f in found]),
        ("STARTTLS conversations", [millions(f.conversations) for f in found]),
        ("on the wire, GB", [f"{f.octets / GB:,.1f}" for f in found]),
        ("CPU-hours, crawler", [f"{f.crawler_cpu / HOUR:,.1f}" for f in found]),
        ("CPU-hours, resolver, at most", [f"{f.resolver_cpu / HOUR:,.1f}" for f in found]),
        ("snapshot, GB", [f"{f.stored / GB:,.2f}" for f in found]),
        ("at the resolver's limit", [span(f.names_seconds) for f in found]),
        ("at the limit of starts", [span(f.mail_seconds) for f in found]),
        ("the busiest policy host", [span(f.policy_tail) for f in found]),
        ("at least, in all", [span(f.seconds) for f in found]),
        ("US dollars, 4 cores rented", [f"{f.money:,.2f}" for f in found]),
    )
    for name, cells in lines:
        yield _row(name, *cells)


def _cases(measured: Rates, config: Config) -> Iterator[str]:
    yield _row(
        "W", "R", "starts/s", "shards at once", "exponent", "cap", "names, hosts", "mail: 90 %",
        "99 %", "all", "at the limit of starts",
    )  # fmt: skip
    yield _row(*["---:"] * 11)
    everybody = POPULATIONS[-1]
    for case in CASES:
        course, _ = mail_pass(case, everybody, config)
        conversations = course.progress[-1][1]
        yield _row(
            str(case.workers), str(case.resolvers), f"{case.starts_per_second:,.0f}",
            f"{case.shards_at_once:,}", f"{case.exponent:g}",
            f"{case.cap:,.0f}" if case.cap else "none",
            span(names_seconds(case, everybody, measured, config)),
            span(course.when(0.9)), span(course.when(0.99)), span(course.makespan),
            span(conversations / case.starts_per_second),
        )  # fmt: skip


def _largest(config: Config) -> Iterator[str]:
    interval = config.politeness.per_address_interval
    yield _row("address, by hosts at it", "hosts", f"at one every {interval:g} s")
    yield _row("---:", "---:", "---:")
    _, heavy = mail_pass(CASES[0], POPULATIONS[-1], config)
    for place in (1, 2, 5, 10, 50, 100, 500, 1_000):
        hosts = heavy[place - 1]
        yield _row(f"{place:,}", f"{hosts:,.0f}", span(hosts * interval))


def _told(config: Config) -> dict[str, str]:
    """The numbers within the sentences."""
    everybody = POPULATIONS[-1]
    course, heavy = mail_pass(CASES[0], everybody, config)
    even = 2 * MICROSOFT * everybody.with_mx / EVEN_ADDRESSES
    lost = sum(hosts - CAP for hosts in heavy if hosts > CAP)
    longer = sum(hosts * config.politeness.per_address_interval > DAY for hosts in heavy)
    return {
        "conversations": millions(everybody.conversations),
        "even_hosts": f"{even:,.0f}",
        "even_span": span(even * config.politeness.per_address_interval),
        "longer": f"{longer:,}",
        "capped": millions(lost),
        "capped_share": f"{lost / everybody.conversations:.0%}",
        "capped_addresses": f"{sum(hosts > CAP for hosts in heavy):,}",
        "idle": f"{1 - course.when(0.9) / course.makespan:.0%}",
        "first": span(heavy[0] * config.politeness.per_address_interval),
    }


def _assumed(a: Assumptions) -> Iterator[str]:
    shares = internet_load
    yield f"- {a.asked_again:.0%} of the questions are sent again; {a.upstream:.2f} queries upstream each."
    yield (
        f"- {a.question_octets:,.0f} octets for a question with its answer, {a.policy_octets:,.0f} for a "
        f"policy, {a.mail_octets:,.0f} for a STARTTLS conversation, headers included."
    )
    yield (
        f"- {a.certificates:g} distinct certificates a conversation, {a.certificate_octets:,.0f} octets "
        f"each; rows about conversations need {a.variety:g} times the room that was measured, where all "
        "hosts answer alike."
    )
    yield (
        f"- {shares.OWN_MX:g} MX host an adopter that no other has, at {shares.ADDRESSES_OF_A_HOST:g} "
        "addresses."
    )
    yield (
        f"- {a.core_hour:.2f} dollars a core-hour, {a.traffic_gb:.2f} a GB sent, "
        f"{a.storage_gb_month:.3f} a GB kept for a month; {a.cores} cores as long as the scan takes."
    )


def millions(number: float) -> str:
    """A count in the unit that suits it.

    >>> millions(5000), millions(116_054_000)
    ('5,000', '116 M')
    """
    if number < 1e5:
        return f"{number:,.0f}"
    return f"{number / 1e6:,.2f} M" if number < 1e7 else f"{number / 1e6:,.0f} M"


def span(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> span(90), span(7200), span(864000)
    ('2 min', '2.0 h', '10 d')
    """
    if seconds < HOUR:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * DAY:
        return f"{seconds / HOUR:.1f} h"
    return f"{seconds / DAY:.1f} d" if seconds < 10 * DAY else f"{seconds / DAY:,.0f} d"


TEXT = """\
# A census of the Internet: what it takes, and what bounds it

Made by `python -m tests.benchmarks.internet`; `--rates bench.json` makes it with what `make bench`
measured on your machine. A number here is measured, published or assumed, and below it says which.

## What a scan comes to

One resolver at its default limit of {qps} queries a second, {starts} connection starts a second for
the whole scan, one start every {interval} s to one address. Scope `adopters`, but for the last column.

{loads}

The resolver's limit bounds every scan with scope `adopters`. It is a promise to other people's name
servers, not to the CPU: two questions of three are about names that hardly any domain has, and each
costs an authoritative server an answer. More resolvers, each with an address and a cache of its own,
divide the time; the load on a name server stays the number of domains that it serves. Who asks only
for `adopters` contacts so few hosts that the mail pass is done in hours.

The busiest policy host is one address that serves the policies of many customers: it is fetched from
once every {interval} s, and no number of workers changes that.

## The tail: a scan of everybody with `--scope all`

A simulation by events with the seed {seed}, of {conversations} STARTTLS conversations, W workers and
R resolvers. That most domains are at a few operators costs nothing: 34 % of the domains with MX are
at Google and 28 % at two registrars (S23), but their hosts are few, and each is greeted once. What
costs is a host name of its own for each customer at addresses that many share:

- Microsoft gives every customer a name. It has 4.7 % of the domains with MX (S23), so each of the
  {even} addresses that we assume is greeted {even_hosts} times: {even_span}.
- 98 % of all MX hosts serve a single domain (S23), and there are far fewer addresses than hosts
  (AS24). Shared hosting puts the names of many customers at one address, parking those of very many.
  How many nobody has published: we assume Zipf's law and show other exponents beside it.

{cases}

*exponent* is that of Zipf's law, *cap* the hosts greeted at one address at the most.

{largest}

What this shows:

1. **A handful of addresses bound the scan.** The first alone takes {first}; {longer} addresses take
   longer than a day. In the first row the last tenth of the conversations takes {idle} of the time.
2. **More workers do not help**, nor should they: the rate that a destination sees is the same, and
   the starts of the scan are divided among the workers, not multiplied.
3. **A slot that waits for one address keeps others waiting**: shards of which nothing but one long
   destination is left fill the slots of a worker. With a slot for every shard nine tenths are done
   sooner; the end does not move. Under a cap, four workers with eight slots each end no sooner with
   1,000 starts a second than with 200, since their slots bound them; 32 workers have enough.
4. **The exponent decides**, and it is a guess. Look at your own first scan
   (`SELECT address, count(*) FROM starttls_sessions GROUP BY ALL ORDER BY 2 DESC`) before you plan.

What to do about it:

- Greet no more than so many hosts at one address in one scan, a sample by the seed, and count the
  others as not asked. With a cap of {cap} no address takes more than {cap_hours} h, and
  {capped_addresses} addresses lose {capped} conversations, {capped_share} of all. Hosts at one
  address are mostly one server with one administrator, and a certificate for each name is all that
  tells them apart. The crawler has no such cap yet: until then, put the networks of parking services
  into the opt-out list.
- Spread the rest over scans: a host at a crowded address that was seen last week need not be greeted
  this week if its addresses and its MX have not changed.
- Ask the operator. One mail to the owner of the first ten addresses is cheaper than two months.
- Do not shorten the interval: some MX hosts take about two connections a minute.

## Where the numbers come from

Measured: {rates}.

{measured}

Octets a row on disk, of a scan of the load world: {per_row}.

Published: A25 is Ashiq, Fiebig and Chung, IMC 2025 (adoption, policy hosters); AS24 is Ashiq et al.,
USENIX Security 2024 (1.89 million mail servers, which we take for addresses, of 176 million domains); S23 is Schaumann,
*Who reads your email?*, 2023 (30 million MX hosts of 81 million gTLD domains with MX, 98 % of which
serve one domain; operators' shares); DP26 is DomainsProject, *Who runs the world's email*, 2026 (151
of 391 million domains have MX).

{populations}

Assumed:

{assumed}

Not in it: retries after timeouts of mail hosts (a third of the addresses do not answer, AS24, and are
asked twice), and the time of the verdicts, which is CPU and in the table.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print, check or record."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.internet")
    parser.add_argument("--check", action="store_true", help="compare with the page in the tree")
    parser.add_argument(
        "--rates", type=Path, nargs="+", metavar="BENCH", help="instead of rates.json"
    )
    parser.add_argument("--record", type=Path, nargs="+", metavar="BENCH", help="write rates.json")
    chosen = parser.parse_args(arguments)
    if chosen.record:
        rates.RECORDED.write_text(_read(chosen.record).as_json())
        return 0
    made = page(_read(chosen.rates) if chosen.rates else Rates.recorded())
    if chosen.check:
        return 0 if made == PAGE.read_text() else 1
    sys.stdout.write(made)
    return 0


def _read(paths: Sequence[Path]) -> Rates:
    return rates.read([json.loads(path.read_text()) for path in paths])


if __name__ == "__main__":
    sys.exit(main())
