"""Is this vantage fit to measure?  What must hold before the first target is contacted.

A vantage that cannot reach port 25 would report a world without STARTTLS, and a resolver that
rewrites NXDOMAIN a world full of records.  So each precondition is tested and said in one
sentence, with the remedy.  Only three things stop a scan: no resolver answers, recursion is not
available, or names that do not exist resolve; and a scan of public addresses does not start
without saying who asks.  In a closed world (``[net] allow_addresses``) what needs the public
Internet only warns.
"""

from __future__ import annotations

import os
import random
import socket
import time
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

import certifi
import trio

from crawler.config import Config
from crawler.net import vantage
from crawler.net.dns_check import ResolverCheck, check_resolver
from crawler.net.resolver import Resolver, open_resolver
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut
from crawler.protocol.chain import ChainJudge
from crawler.protocol.dns_wire import RdType
from crawler.scan.canary import Answer, Greeter
from crawler.scan.session import connections_within, mail_client, trust_roots
from crawler.vocabulary import DnsStatus

OPT_OUT_AGE = 7 * 86400
"""An opt-out list that nobody has touched for a week is suspected of being forgotten."""


class Health(StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One precondition."""

    name: str
    health: Health
    sentence: str


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


async def examine(config: Config, opt_out: OptOut) -> list[Check]:
    """Every check of ``doctor``, in the order a person would put things right."""
    checks = [c for found in await check_resolvers(config) for c in _resolver_checks(found)]
    checks.append(_identity(config))
    async with open_resolver(
        config.dns,
        cname_hops=config.limits.cname_hops,
        rng=random.Random(),  # noqa: S311 - retry jitter
    ) as resolver:
        checks.append(await _reverse_dns(config, resolver))
        checks += [_ipv6(config), _descriptor_limit(config), _trust_roots(config)]
        checks.append(_opt_out_list(config))
        checks += await _canaries(config, opt_out, resolver)
    return checks


def _public(config: Config, name: str, sentence: str) -> Check:
    """A shortcoming that matters on the public Internet and only there."""
    return Check(name, Health.WARN if config.closed_world else Health.FAIL, sentence)


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
        return _public(config, "reverse DNS", "no [identity] ehlo_name to compare with")
    if source is None:
        return _public(config, "reverse DNS", "no route to the Internet, so no address to look up")
    rdtype = RdType.AAAA if ":" in source else RdType.A
    forward = await resolver.query(name, rdtype)
    backward = await resolver.query(ip_address(source).reverse_pointer, RdType.PTR)
    if forward.status is DnsStatus.NOERROR and source not in forward.records:
        found = ", ".join(map(str, forward.records))
        return _public(
            config,
            "reverse DNS",
            f"{name} is {found}, but packets leave from {source} (behind a NAT, compare by hand)",
        )
    if forward.status is not DnsStatus.NOERROR or name not in backward.records:
        names = ", ".join(map(str, backward.records)) or "no name"
        return _public(
            config,
            "reverse DNS",
            f"{name} is {forward.status}, {source} is {names}: mail hosts refuse such clients",
        )
    return Check("reverse DNS", Health.OK, f"{name} and {source} agree")


def _ipv6(config: Config) -> Check:
    route = vantage.source_address(socket.AF_INET6)
    if not config.net.ipv6:
        return Check("IPv6", Health.WARN, "switched off: IPv6 rows will say vantage-failure")
    if route is None:
        return _public(config, "IPv6", "no route; set [net] ipv6 = false to say so in the snapshot")
    return Check("IPv6", Health.OK, f"route from {route}")


def _descriptor_limit(config: Config) -> Check:
    limit, wanted = vantage.descriptors(), config.politeness.connections
    if (room := connections_within(limit)) < wanted:
        sentence = f"{limit} open files allowed: connections clamped to {room}"
        return Check("descriptors", Health.WARN, f"{sentence} (raise ulimit -n)")
    return Check("descriptors", Health.OK, f"{limit} open files allowed")


def _trust_roots(config: Config) -> Check:
    path = config.net.trust_roots or Path(certifi.where())
    if not os.access(path, os.R_OK):
        return Check("trust roots", Health.FAIL, f"{path} cannot be read; name a PEM file")
    return Check("trust roots", Health.OK, str(path))


def _opt_out_list(config: Config) -> Check:
    path = config.politeness.opt_out
    if path is None:
        return _public(config, "opt-out list", "none: set [politeness] opt_out to a file, if empty")
    try:
        age = time.time() - path.stat().st_mtime
    except OSError as error:
        return Check("opt-out list", Health.FAIL, f"{error}; name a file that can be read")
    if age > OPT_OUT_AGE:
        return Check(
            "opt-out list", Health.WARN, f"{path} was last changed {age / 86400:.0f} days ago"
        )
    return Check("opt-out list", Health.OK, str(path))


async def _canaries(config: Config, opt_out: OptOut, resolver: Resolver) -> list[Check]:
    """Does port 25 leave this machine, and does it reach whom it should?"""
    endpoints = config.canary_endpoints()
    if not endpoints:
        unknown = "no [vantage] canaries, so whether connections to port 25 leave is not known"
        return [_public(config, "port 25", unknown)]
    try:
        judge = ChainJudge(trust_roots(config)[1])
    except (OSError, ValueError):
        return []  # the check of the trust roots has said so
    greeter = Greeter(
        port=config.net.smtp_port,
        resolver=resolver,
        gate=Gate(config, opt_out),
        client=mail_client(config),
        judge=judge,
    )
    return [_canary(config, await greeter.greet(endpoint)) for endpoint in endpoints]


def _canary(config: Config, found: Answer) -> Check:
    name = f"canary {found.canary}"
    return Check(name, Health.OK, found.words) if found.good else _public(config, name, found.words)
