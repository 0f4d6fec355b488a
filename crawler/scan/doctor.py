"""Is this vantage fit to measure?  What must hold before the first target is contacted.

A vantage that cannot reach port 25 would report a world without STARTTLS, and a resolver that
rewrites NXDOMAIN a world full of records.  So each precondition is tested and said in one
sentence, with the remedy.  Only three things stop a scan: no resolver answers, recursion is not
available, or names that do not exist resolve; and a scan of public addresses does not start
without saying who asks.  In a closed world (``[net] allow_addresses``) what needs the public
Internet only warns.
"""

from __future__ import annotations

import random
import socket
from datetime import datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import trio

from crawler.config import Config
from crawler.net import vantage
from crawler.net.dns_check import ResolverCheck, check_resolver
from crawler.net.https import PolicyClient
from crawler.net.nat64 import local_prefixes
from crawler.net.resolver import Resolver, open_resolver
from crawler.politeness.gate import Gate, Refused
from crawler.politeness.opt_out import OptOut
from crawler.protocol import names
from crawler.protocol.chain import ChainJudge
from crawler.protocol.dns_wire import RdType
from crawler.scan import machine
from crawler.scan.canary import Answer, Greeter
from crawler.scan.context import Clock, utc_now
from crawler.scan.machine import Check, Health, public
from crawler.scan.session import mail_client, trust_roots
from crawler.vocabulary import DnsStatus, IoStatus

CANARIES: Final = 3
"""One that is down says nothing; of three independent ones, some answer."""

BOGUS: Final = "dnssec-failed.org"
"""A name with broken signatures that is kept so for tests of resolvers."""

CLOCK_SKEW: Final = 60.0
"""Seconds between our clock and another's, beyond which one of the two is wrong."""


class CannotStartError(Exception):
    """The scan may not start; the text names the place and the remedy."""


class IdentityError(CannotStartError):
    """A scan of public addresses does not say who asks."""


# --- what stops a scan ---------------------------------------------------------------------


def require_identity(config: Config) -> None:
    """Raise unless a scan of public addresses says who asks."""
    if config.closed_world:
        return
    missing = [k for k in ("ehlo_name", "contact", "url") if not getattr(config.identity, k)]
    if missing:
        raise IdentityError(
            f"[identity] {', '.join(missing)} not set: a scan of public addresses says who asks. "
            "Set ehlo_name (own host name with matching reverse DNS), contact (a mail address "
            "that a person reads) and url (a page that explains the scan and the opt-out)."
        )


def require_resolver(checks: list[ResolverCheck]) -> None:
    """Raise unless some resolver answers, and none that answers lies or refuses to recurse."""
    if not any(check.answers for check in checks):
        tried = ", ".join(check.resolver for check in checks)
        why = next((check.error for check in checks if check.error), "no answer in time")
        raise CannotStartError(
            f"[dns] resolvers: none answers ({tried}: {why}). "
            "Start a recursive resolver there, or name one that runs."
        )
    for check in checks:
        if check.answers and not check.recursion_available:
            raise CannotStartError(
                f"[dns] resolvers: {check.resolver} does not recurse for us. "
                "Allow this host in its access list, or name a recursive resolver."
            )
        if check.rewrites_nxdomain:
            raise CannotStartError(
                f"[dns] resolvers: {check.resolver} answers for names that do not exist, so absent "
                "records would be counted as present. Name a resolver that does not rewrite NXDOMAIN."
            )


async def check_resolvers(config: Config) -> list[ResolverCheck]:
    """Test every configured resolver, side by side."""
    checks: dict[int, ResolverCheck] = {}

    async def one(place: int, endpoint: tuple[str, int]) -> None:
        checks[place] = await check_resolver(endpoint, timeout=float(config.dns.timeout))

    async with trio.open_nursery() as nursery:
        for place, endpoint in enumerate(config.resolver_endpoints()):
            nursery.start_soon(one, place, endpoint)
    return [checks[place] for place in sorted(checks)]


# --- the rest of the examination -----------------------------------------------------------


async def examine(config: Config, opt_out: OptOut, *, now: Clock = utc_now) -> list[Check]:
    """Every check of ``doctor``, in the order a person would put things right.

    *now* is the time of day, as an aware UTC time.
    """
    checks = [c for found in await check_resolvers(config) for c in _resolver_checks(found)]
    checks.append(_identity(config))
    checks += machine.checks(config, Path.cwd(), now())
    try:
        judge = ChainJudge(trust_roots(config)[1])
    except (OSError, ValueError):
        return checks  # the check of the trust roots has said so
    async with open_resolver(
        config.dns,
        cname_hops=config.limits.cname_hops,
        rng=random.Random(),  # noqa: S311 - retry jitter
    ) as resolver:
        if not config.closed_world:
            checks += [await _bogus(resolver), await _dns64(resolver)]
        checks.append(await _reverse_dns(config, resolver))
        gate = Gate(config, opt_out)
        checks += await _contact_page(config, resolver, gate, judge, now)
        checks += await _canaries(config, resolver, gate, judge)
    return checks


def _resolver_checks(found: ResolverCheck) -> list[Check]:
    name = f"resolver {found.resolver}"
    if not found.answers:
        return [Check(name, Health.FAIL, f"does not answer: {found.error or 'timed out'}")]
    rows = (
        (
            found.recursion_available,
            Health.FAIL,
            "recursion",
            "recurses",
            "does not recurse for us",
        ),
        (
            not found.rewrites_nxdomain,
            Health.FAIL,
            "NXDOMAIN",
            "names that do not exist do not resolve",
            "answers for names that do not exist",
        ),
        (
            found.tcp,
            Health.WARN,
            "TCP",
            "answers over TCP",
            "does not answer over TCP, so long answers would be lost",
        ),
        (
            found.authenticates_root,
            Health.WARN,
            "DNSSEC",
            "validates: the root's answer has the AD flag",
            "does not validate the root, so DANE cannot be judged",
        ),
    )
    return [
        Check(f"{name} {what}", Health.OK if good else bad, yes if good else no)
        for good, bad, what, yes, no in rows
    ]


def _identity(config: Config) -> Check:
    try:
        require_identity(config)
    except CannotStartError as error:
        return Check("identity", Health.FAIL, str(error))
    who = config.identity.ehlo_name or "nobody, which a closed world allows"
    return Check("identity", Health.OK, f"asks as {who}")


async def _reverse_dns(config: Config, resolver: Resolver) -> Check:
    """Forward and reverse DNS of the EHLO name agree with the address that packets leave from."""
    name = config.identity.ehlo_name
    source = vantage.source_address(socket.AF_INET) or vantage.source_address(socket.AF_INET6)
    if not name:
        return public(config, "reverse DNS", "no [identity] ehlo_name to compare with")
    if source is None:
        return public(config, "reverse DNS", "no route to the Internet, so no address to look up")
    rdtype = RdType.AAAA if ":" in source else RdType.A
    forward = await resolver.query(name, rdtype)
    backward = await resolver.query(ip_address(source).reverse_pointer, RdType.PTR)
    if forward.status is DnsStatus.NOERROR and source not in forward.records:
        found = ", ".join(map(str, forward.records))
        return public(
            config,
            "reverse DNS",
            f"{name} is {found}, but packets leave from {source} (behind a NAT, compare by hand)",
        )
    if forward.status is not DnsStatus.NOERROR or name not in backward.records:
        names = ", ".join(map(str, backward.records)) or "no name"
        return public(
            config,
            "reverse DNS",
            f"{name} is {forward.status}, {source} is {names}: mail hosts refuse such clients",
        )
    return Check("reverse DNS", Health.OK, f"{name} and {source} agree")


async def _bogus(resolver: Resolver) -> Check:
    """Data whose signatures are broken are not answered (RFC 4035 section 5.5)."""
    found = await resolver.query(BOGUS, RdType.A)
    if found.status is DnsStatus.NOERROR:
        sentence = (
            f"answers for {BOGUS}, whose signatures are broken: forged data would be believed"
        )
        return Check("DNSSEC", Health.WARN, sentence)
    return Check("DNSSEC", Health.OK, f"{BOGUS}, whose signatures are broken, is {found.status}")


async def _dns64(resolver: Resolver) -> Check:
    """Nobody makes up IPv6 addresses, which would be counted as the hosts' own."""
    if prefixes := await local_prefixes(resolver):
        made_up = ", ".join(map(str, prefixes))
        sentence = f"makes up IPv6 addresses in {made_up}; name a resolver without DNS64"
        return Check("DNS64", Health.WARN, sentence)
    return Check("DNS64", Health.OK, "no IPv6 address is made up")


async def _contact_page(
    config: Config, resolver: Resolver, gate: Gate, judge: ChainJudge, now: Clock
) -> list[Check]:
    """The page that explains the scan can be read from here, over a connection that nobody has
    turned elsewhere, and its server's clock agrees with ours.
    """
    name = "contact page"
    if not config.identity.url:
        return [public(config, name, "no [identity] url, so whom we visit cannot read who we are")]
    try:
        page = urlsplit(config.identity.url)
        port, host = page.port, names.normalise(page.hostname or "")
    except ValueError as error:
        return [public(config, name, f"{config.identity.url} is no URL of a page: {error}")]
    if page.scheme != "https" or port not in (None, 443):
        sentence = (
            f"{config.identity.url} is not looked at: only https on its usual port is dialled"
        )
        return [Check(name, Health.WARN, sentence)]
    found = await resolver.query(host, RdType.A)
    if found.status is not DnsStatus.NOERROR:
        return [public(config, name, f"the address of {host} is {found.status}")]
    client = PolicyClient(config.identity, config.limits)
    try:
        async with gate.admit(str(found.records[0]), "https", names=(host,)) as permit:
            got = await client.fetch(permit, host, path=page.path or "/")
    except Refused as refused:  # it may be on this machine, which never dials itself
        return [
            Check(name, Health.WARN, f"is not looked at ({refused.reason}); look from elsewhere")
        ]
    at = now()
    if got.status not in (IoStatus.SUCCESS, IoStatus.RESPONSE_TOO_LARGE):
        sentence = f"{got.status} at {got.stage} ({got.error}): is port {permit.port} blocked here?"
        return [public(config, name, sentence)]
    if judge.judge(got.tls.chain, host, at).problems:
        sentence = "shows no valid certificate for its name: is port 443 redirected here?"
        return [public(config, name, sentence)]
    if (got.http_status or 0) >= 400:
        return [public(config, name, f"{config.identity.url} answers {got.http_status}")]
    return [
        Check(name, Health.OK, f"{config.identity.url} can be read"),
        _skew(got.header("date"), at),
    ]


def _skew(date: str | None, at: datetime) -> Check:
    """Our clock, beside that of the contact page's server (RFC 9110 section 6.6.1)."""
    name = "clock of the contact page"
    try:
        ahead = (at - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return Check(name, Health.WARN, "it sends no date to compare ours with")
    if abs(ahead) > CLOCK_SKEW:
        sentence = (
            f"ours is {ahead:+,.0f} s from it: certificates are judged by ours; set it by NTP"
        )
        return Check(name, Health.WARN, sentence)
    return Check(name, Health.OK, "agrees with ours")


async def _canaries(
    config: Config, resolver: Resolver, gate: Gate, judge: ChainJudge
) -> list[Check]:
    """Does port 25 leave this machine, and does it reach whom it should?"""
    endpoints = config.canary_endpoints()
    if not endpoints:
        unknown = "no [vantage] canaries, so whether connections to port 25 leave is not known"
        return [public(config, "port 25", unknown)]
    greeter = Greeter(
        port=config.net.smtp_port,
        resolver=resolver,
        gate=gate,
        client=mail_client(config),
        judge=judge,
    )
    checks = [_canary(config, await greeter.greet(endpoint)) for endpoint in endpoints]
    if len(endpoints) < CANARIES and not config.closed_world:
        few = f"{len(endpoints)} of them: name {CANARIES} or more, of different operators"
        checks.append(Check("canaries", Health.WARN, few))
    return checks


def _canary(config: Config, found: Answer) -> Check:
    name = f"canary {found.canary}"
    return Check(name, Health.OK, found.words) if found.good else public(config, name, found.words)
