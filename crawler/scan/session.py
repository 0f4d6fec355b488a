"""Opening what a scan needs of the network, in the right order, and closing it again."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import certifi
import trio

from crawler.config import Config
from crawler.net import vantage
from crawler.net.https import PolicyClient
from crawler.net.nat64 import local_prefixes
from crawler.net.resolver import open_resolver
from crawler.net.smtp import MailClient
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut
from crawler.protocol.chain import ChainJudge
from crawler.scan.canary import Canaries, Greeter
from crawler.scan.context import Clock, Context, utc_now
from crawler.scan.health import Health
from crawler.scan.progress import Progress
from crawler.snapshot.plan import Planning
from crawler.snapshot.work import Work

RESERVED_DESCRIPTORS = 128
"""Parquet parts, DuckDB, resolver sockets and the terminal need some too."""


NOBODY = "nobody.invalid"
"""EHLO name where none is configured, which only a closed world allows (RFC 6761 section 6.4)."""


def trust_roots(config: Config) -> tuple[str, bytes]:
    """The name and the PEM of the trust anchors.  Raises ``OSError`` when they cannot be read."""
    path = config.net.trust_roots
    if path is None:
        return f"Mozilla (certifi {certifi.__version__})", Path(certifi.where()).read_bytes()
    return path.name, path.read_bytes()


def connections_within(limit: int) -> int:
    """How many connections there may be at once in a process with *limit* open files."""
    return max(limit - RESERVED_DESCRIPTORS, limit // 4, 1)


def within_descriptors(config: Config, progress: Progress) -> Config:
    """The configuration with as many connections at once as this process may have files open."""
    limit, wanted = vantage.descriptors(), config.politeness.connections
    room = connections_within(limit)
    if wanted <= room:
        return config
    progress.say(
        f"connections at once: {room} instead of {wanted}, because this process may have "
        f"only {limit} files open (raise ulimit -n)"
    )
    return replace(config, politeness=replace(config.politeness, connections=room))


def mail_client(config: Config) -> MailClient:
    """The client that greets MX hosts by the configured name."""
    return MailClient(config.identity.ehlo_name or NOBODY, config.limits)


@asynccontextmanager
async def open_context(
    config: Config,
    planning: Planning,
    work: Work,
    opt_out: OptOut,
    progress: Progress,
    *,
    roots: bytes,
    resumed: bool = False,
    now: Clock = utc_now,
    watch: bool = True,
) -> AsyncIterator[Context]:
    """Everything the passes share, while the block runs.  *roots* are the trust anchors, PEM.

    *watch*: greet canaries; else somebody has to tell the context's ``canaries`` what they say.
    """
    rng = random.Random(planning.seed)  # noqa: S311 - retry jitter; ids and ports are the resolver's
    async with open_resolver(
        config.dns, cname_hops=config.limits.cname_hops, rng=rng, clock=now
    ) as resolver:
        for warning in resolver.warnings():
            progress.say(warning)
        health = Health(resolver.stats, work, trio.current_time)
        progress.describe(("names", "hosts"), health.words)
        nat64 = () if config.closed_world else await local_prefixes(resolver)
        for prefix in nat64:
            progress.say(f"{prefix}, whose addresses a resolver makes up (DNS64), is not dialled")
        gate = Gate(config, opt_out, resumed=resumed, nat64=nat64)
        client = mail_client(config)
        greeter = Greeter(
            port=config.net.smtp_port,
            resolver=resolver,
            gate=gate,
            client=client,
            judge=ChainJudge(roots),
        )
        canaries = Canaries(
            config.canary_endpoints(),
            greeter.greet,
            interval=config.vantage.canary_interval,
            say=progress.say,
            now=now,
        )
        progress.describe(("mail",), canaries.words)
        context = Context(
            config=config,
            planning=planning,
            work=work,
            resolver=resolver,
            gate=gate,
            opt_out=opt_out,
            policy_client=PolicyClient(config.identity, config.limits),
            mail_client=client,
            health=health,
            canaries=canaries,
            progress=progress,
            now=now,
        )
        try:
            async with trio.open_nursery() as nursery:
                if watch:
                    nursery.start_soon(canaries.run)
                yield context
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):  # a store may be slow, and a signal is to be heard
                await trio.to_thread.run_sync(health.keep)
                if watch:
                    await trio.to_thread.run_sync(canaries.keep, work)
