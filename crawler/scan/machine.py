"""What of this machine itself might spoil a scan?  The part of ``doctor`` that asks nobody.

Each check is one sentence with the remedy.  What needs the public Internet only warns in a closed
world (``public``).
"""

from __future__ import annotations

import shutil
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from crawler.config import Config
from crawler.net import vantage
from crawler.protocol.chain import ChainJudge
from crawler.scan.session import connections_within, trust_roots

OPT_OUT_AGE: Final = 7 * 86400
"""An opt-out list that nobody has touched for a week is suspected of being forgotten."""

DOMAIN_BYTES: Final = 1024
"""Disk for one domain of a scan: twice what is kept of one of the lab's, as much is needed beside."""

FEW_DOMAINS: Final = 1_000_000
"""Room for fewer is worth a warning before anybody knows the list."""


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


def public(config: Config, name: str, sentence: str) -> Check:
    """A shortcoming that matters on the public Internet and only there."""
    return Check(name, Health.WARN if config.closed_world else Health.FAIL, sentence)


def checks(config: Config, folder: Path, now: datetime) -> list[Check]:
    """All of them.  *folder* is on the disk that a scan would fill, *now* what the clock says."""
    return [
        _ipv6(config),
        _descriptor_limit(config),
        *_roots_and_clock(config, now),
        disk(folder, domains_within(folder)),
        _opt_out_list(config),
    ]


def _ipv6(config: Config) -> Check:
    route = vantage.source_address(socket.AF_INET6)
    if not config.net.ipv6:
        return Check("IPv6", Health.WARN, "switched off: IPv6 rows will say vantage-failure")
    if route is None:
        return public(config, "IPv6", "no route; set [net] ipv6 = false to say so in the snapshot")
    return Check("IPv6", Health.OK, f"route from {route}")


def _descriptor_limit(config: Config) -> Check:
    limit, wanted = vantage.descriptors(), config.politeness.connections
    if (room := connections_within(limit)) < wanted:
        sentence = f"{limit} open files allowed: connections clamped to {room}"
        return Check("descriptors", Health.WARN, f"{sentence} (raise ulimit -n)")
    return Check("descriptors", Health.OK, f"{limit} open files allowed")


def _roots_and_clock(config: Config, now: datetime) -> list[Check]:
    """The trust anchors can be read; and none was made in what the clock takes for the future."""
    try:
        name, pem = trust_roots(config)
        newest = ChainJudge(pem).newest_anchor
    except (OSError, ValueError) as error:
        return [Check("trust roots", Health.FAIL, f"{error}; name a PEM file")]
    roots = Check("trust roots", Health.OK, name)
    if newest is not None and now < newest:
        sentence = f"it says {now:%Y-%m-%d %H:%M}, before a trust root was made ({newest:%Y-%m-%d})"
        return [roots, Check("clock", Health.FAIL, f"{sentence}: set it, best by NTP")]
    return [roots, Check("clock", Health.OK, f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")]


def disk(folder: Path, room: int) -> Check:
    """Whether the disk of *folder*, with room for so many domains, is large enough to begin."""
    sentence = f"{folder} has room for a scan of about {room:,} domains"
    if room < FEW_DOMAINS:
        return Check("disk", Health.WARN, f"{sentence}; make room, or use --out on another disk")
    return Check("disk", Health.OK, sentence)


def domains_within(folder: Path) -> int:
    """How many domains a scan may have for which the disk of *folder* has room."""
    return shutil.disk_usage(folder).free // DOMAIN_BYTES


def _opt_out_list(config: Config) -> Check:
    path = config.politeness.opt_out
    if path is None:
        return public(config, "opt-out list", "none: set [politeness] opt_out to a file, if empty")
    try:
        age = time.time() - path.stat().st_mtime
    except OSError as error:
        return Check("opt-out list", Health.FAIL, f"{error}; name a file that can be read")
    if age > OPT_OUT_AGE:
        return Check(
            "opt-out list", Health.WARN, f"{path} was last changed {age / 86400:.0f} days ago"
        )
    return Check("opt-out list", Health.OK, str(path))
