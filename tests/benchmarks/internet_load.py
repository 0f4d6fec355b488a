"""How much a scan of so many domains asks, sends, keeps and costs.  Pure arithmetic.

What is measured comes from ``rates``, what the Internet is like from ``POPULATIONS`` and
``Assumptions``, each with its source; everything else follows.
"""

from __future__ import annotations

from dataclasses import dataclass

from crawler.config import Config
from tests.benchmarks.rates import Rates

HOUR = 3600
DAY = 24 * HOUR
GB = 1e9


@dataclass(frozen=True, kw_only=True)
class Population:
    """A list of domains, as far as the cost of a scan depends on it."""

    name: str
    domains: float
    with_mx: float
    adopters: float
    mx_names: float
    """Distinct MX hosts in scope."""
    conversations: float
    """Distinct pairs of MX host and address in scope."""
    largest_policy_host: float
    """Adopters whose policy host stands at one address."""
    sources: str


# Published figures: A25 is Ashiq et al., IMC 2025; AS24 is Ashiq et al., USENIX Security 2024; S23 is
# Schaumann, "Who reads your email?", 2023; DP26 is DomainsProject, "Who runs the world's email", 2026.
ADOPTION = 68_030 / 86_791_845
"""Adopters among domains with MX: A25, table 1."""
WITH_MX = 151_070_140 / 390_520_120
"""Domains with a working MX record: DP26."""
NAMES_PER_DOMAIN = 30e6 / 81e6
"""Distinct MX hosts for each domain with MX in all gTLDs: S23; 98 % of them serve one domain."""
ADDRESSES_PER_DOMAIN = 1.89e6 / 176e6
"""Distinct addresses of MX hosts for each domain of four TLDs: AS24."""
MICROSOFT = 0.047
"""Share of the domains with MX, each of which has an MX host of its own: S23."""
LARGEST_HOSTER = 7_614 / 68_030
"""Share of the adopters whose policies the largest hoster serves: A25, table 2."""
OWN_MX = 1.0
"""MX hosts of an adopter that no other adopter has.  A guess on the safe side: A25 found 63 % of the
adopters to be at a third party, whose hosts are few."""
ADDRESSES_OF_A_HOST = 2.0
"""Addresses of an adopter's MX host that are greeted: a guess; the limit is 2 of each family."""


def _adopters_only(
    name: str, domains: float, with_mx: float, adopters: float, sources: str
) -> Population:
    names = adopters * OWN_MX
    return Population(
        name=name,
        domains=domains,
        with_mx=with_mx,
        adopters=adopters,
        mx_names=names,
        conversations=names * ADDRESSES_OF_A_HOST,
        largest_policy_host=adopters * LARGEST_HOSTER,
        sources=sources,
    )


EVERYBODY = 300e6
_MX = EVERYBODY * WITH_MX
_NAMES = _MX * NAMES_PER_DOMAIN

POPULATIONS = (
    _adopters_only(
        "Tranco 1M",
        1e6,
        600e3,
        5e3,
        "A25: 1.2 % of the first 10,000 adopt, 0.4 % of the last; 0.5 % assumed",
    ),
    _adopters_only(
        ".org", 11e6, 5_781_423, 7_355, "A25, table 1; 11 million names in the zone assumed"
    ),
    _adopters_only(
        "all, adopters", EVERYBODY, _MX, _MX * ADOPTION, "DP26 for MX, A25 for adoption"
    ),
    Population(
        name="all, `--scope all`",
        domains=EVERYBODY,
        with_mx=_MX,
        adopters=_MX * ADOPTION,
        mx_names=_NAMES,
        # The customers of Microsoft have hosts with two addresses, other hosts of one domain one.
        conversations=_NAMES + MICROSOFT * _MX,
        largest_policy_host=_MX * ADOPTION * LARGEST_HOSTER,
        sources="DP26, S23 for MX hosts, AS24 for their addresses",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What is neither measured here nor published for this purpose; change it to your own."""

    asked_again: float = 0.02
    """Share of the questions that are sent a second time."""
    upstream: float = 4 / 3
    """Queries of a resolver with an empty cache for each question of the names pass: of one domain
    three answers and one delegation."""
    question_octets: float = 300
    """Question and answer between crawler and resolver, with headers of UDP and IP."""
    policy_octets: float = 8e3
    mail_octets: float = 8e3
    """A conversation with a chain of three certificates, both ways, with headers."""
    certificates: float = 0.5
    """Distinct certificates for each conversation."""
    certificate_octets: float = 1.6e3
    """One of them on disk with what was read out of it."""
    variety: float = 4.0
    """How many times the room of a row about a conversation is needed: the hosts that were measured
    answer all alike, and compress so."""
    core_hour: float = 0.05
    traffic_gb: float = 0.09
    storage_gb_month: float = 0.023
    """US dollars: round list prices of the large clouds.  Traffic is charged one way."""
    cores: int = 4
    """Of the machine that is rented for as long as the scan takes."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one scan comes to."""

    questions: float
    upstream: float
    policies: float
    conversations: float
    octets: float
    """On the wire, crawler and resolver upstream together."""
    crawler_cpu: float
    resolver_cpu: float
    """Seconds."""
    stored: float
    """Octets of the sealed snapshot."""
    names_seconds: float
    """By the limit of queries a second."""
    mail_seconds: float
    """By the limit of connection starts a second."""
    policy_tail: float
    """By the interval between two connections to the address with the most Policy Hosts."""
    money: float

    @property
    def seconds(self) -> float:
        """No scan ends sooner, whatever the machine; the mail hosts' own tail comes on top."""
        return self.names_seconds + max(self.mail_seconds, self.policy_tail)


def load(
    of: Population,
    rates: Rates,
    config: Config,
    *,
    resolvers: int = 1,
    assumed: Assumptions | None = None,
) -> Load:
    """What a scan of *of* comes to, with so many resolvers, each with its own limit."""
    a = assumed or Assumptions()
    named, hosts = 3 * of.domains, 2 * of.adopters + 3 * of.mx_names
    questions = (named + hosts) * (1 + a.asked_again)
    upstream = questions * a.upstream
    seconds = questions / (resolvers * config.dns.queries_per_second)
    conversations = of.adopters + of.conversations
    crawler_cpu = (
        questions * rates.question_cpu
        + of.adopters * rates.policy_cpu
        + of.conversations * rates.mail_cpu
        + of.domains * rates.judging_cpu
    ) / 1e6
    resolver_cpu = questions * rates.resolver_cpu / 1e6
    octets = (
        (questions + upstream) * a.question_octets
        + of.adopters * a.policy_octets
        + of.conversations * a.mail_octets
    )
    stored = (
        of.domains * (rates.row["domains"] + rates.row["mx_lookups"] + rates.row["assessments"])
        + 2 * of.domains * rates.row["txt_lookups"]
        + (of.adopters + of.mx_names) * rates.row["address_lookups"]
        + of.mx_names * rates.row["tlsa_lookups"]
        + a.variety * of.adopters * (rates.row["policy_fetches"] + rates.row["policy_verdicts"])
        + a.variety
        * of.conversations
        * (rates.row["starttls_sessions"] + rates.row["mail_verdicts"])
        + conversations * a.certificates * a.certificate_octets
    )
    mail_seconds = conversations / config.politeness.connections_per_second
    tail = of.largest_policy_host * config.politeness.per_address_interval
    elapsed = seconds + max(mail_seconds, tail)
    core_seconds = max(elapsed * a.cores, crawler_cpu + resolver_cpu)
    return Load(
        questions=questions,
        upstream=upstream,
        policies=of.adopters,
        conversations=of.conversations,
        octets=octets,
        crawler_cpu=crawler_cpu,
        resolver_cpu=resolver_cpu,
        stored=stored,
        names_seconds=seconds,
        mail_seconds=mail_seconds,
        policy_tail=tail,
        money=core_seconds / HOUR * a.core_hour
        + octets / 2 / GB * a.traffic_gb
        + stored / GB * a.storage_gb_month,
    )
