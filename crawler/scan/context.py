"""What every pass of one scan shares."""

from __future__ import annotations

from dataclasses import dataclass

from crawler.config import Config
from crawler.net.https import PolicyClient
from crawler.net.resolver import Resolver
from crawler.net.smtp import MailClient
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut
from crawler.scan.health import Health
from crawler.scan.progress import Progress
from crawler.snapshot.plan import Planning
from crawler.snapshot.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One scan under way: its configuration, its rows, and its only ways to the network."""

    config: Config
    planning: Planning
    work: Work
    resolver: Resolver
    gate: Gate
    opt_out: OptOut
    policy_client: PolicyClient
    mail_client: MailClient
    health: Health
    progress: Progress

    @property
    def scan_id(self) -> str:
        """The scan that the rows belong to."""
        return self.work.scan_id
