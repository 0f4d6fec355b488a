"""What every pass of one scan shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from crawler.config import Config
from crawler.net.https import PolicyClient
from crawler.net.resolver import Resolver
from crawler.net.smtp import MailClient
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut
from crawler.scan.canary import Canaries
from crawler.scan.health import Health
from crawler.scan.progress import Progress
from crawler.snapshot.carry import Since
from crawler.snapshot.plan import Planning
from crawler.snapshot.work import Work

Clock = Callable[[], datetime]
"""The time of day, as an aware UTC time.  It is written down and never waited for: it may be set
back or forth while a scan runs, so deadlines and intervals are on trio's clock."""


def utc_now() -> datetime:
    """The time of day of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One scan under way, for who does not touch the network: its configuration and its rows."""

    config: Config
    planning: Planning
    work: Work
    progress: Progress
    since: Since | None = None
    """The earlier scan that conversations are carried over from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(Frame):
    """The same with the only ways to the network."""

    resolver: Resolver
    gate: Gate
    opt_out: OptOut
    policy_client: PolicyClient
    mail_client: MailClient
    health: Health
    canaries: Canaries
    now: Clock = utc_now

    @property
    def scan_id(self) -> str:
        """The scan that the rows belong to."""
        return self.work.scan_id

    def limit(self, config: Config) -> None:
        """Keep from now on within the rates and numbers of *config* that are of the whole scan."""
        self.gate.limit(config.politeness)
        self.resolver.limit(config.dns)

    @property
    def crowded(self) -> bool:
        """Whether more is open than ``limit`` has allowed since it began."""
        return self.gate.crowded or self.resolver.crowded
