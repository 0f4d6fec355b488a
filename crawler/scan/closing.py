"""The end of a scan: its rows are judged, and the manifest seals it.  Nobody is contacted.

What was asked for is read from the folder, where the scan wrote it down when it began, so that
whoever has the folder can close it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import trio
from OpenSSL import SSL

from crawler import __version__, config
from crawler.assessment.rules import RULES_VERSION
from crawler.config import Config
from crawler.politeness.opt_out import OptOut
from crawler.scan import canary, health
from crawler.scan.context import Clock
from crawler.scan.judge import judge_scan
from crawler.scan.planning import planning
from crawler.scan.request import BEGAN
from crawler.snapshot import lists, purge
from crawler.snapshot.carry import Since
from crawler.snapshot.damage import DamagedError
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.manifest import Facts, Manifest
from crawler.snapshot.plan import Planning
from crawler.snapshot.seal import seal
from crawler.snapshot.store import ScanFolder
from crawler.snapshot.suffixes import Suffixes
from crawler.vocabulary import Scope

TRUST_ROOTS = "trust-roots.pem"
SUFFIXES = "public_suffix_list.dat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A scan that has begun: what it rests on, whatever the machine is like that goes on with it."""

    folder: ScanFolder
    config: Config
    scope: Scope
    sample_rate: float
    both_families: bool
    since: str | None
    seed: str
    facts: dict[str, Any]
    """The rest of what was written down: when it was, the trust store, the resolvers' checks."""

    @classmethod
    def read(cls, folder: ScanFolder) -> Begun:
        """What stands in the folder."""
        facts = folder.read_state(BEGAN)
        asked = facts["asked"]
        return cls(
            folder=folder,
            config=config.from_stated(asked["configuration"], f"scan {folder.scan_id}"),
            scope=Scope(asked["scope"]),
            sample_rate=asked["sample_rate"],
            both_families=asked["both_families"],
            since=asked.get("since"),
            seed=facts["seed"],
            facts=facts,
        )

    @property
    def started_at(self) -> datetime:
        """When it began."""
        return datetime.fromisoformat(self.facts["started_at"])

    @property
    def roots(self) -> bytes:
        """The trust anchors, PEM.  Raises ``DamagedError`` when they are not those that it began with."""
        path = self.folder.path / TRUST_ROOTS
        pem = path.read_bytes()
        if hashlib.sha256(pem).hexdigest() != self.facts["trust_store"]["sha256"]:
            raise DamagedError(
                f"{path} is not as it was written; restore it from a copy, or scan anew"
            )
        return pem

    def planning(self) -> Planning:
        """What decides which targets there are."""
        return planning(
            self.config,
            seed=self.seed,
            scope=self.scope,
            sample_rate=self.sample_rate,
            both_families=self.both_families,
        )

    def earlier(self, opt_out: OptOut) -> Since | None:
        """The scan whose conversations are carried over, if there is one."""
        if self.since is None:
            return None

        def left_alone(names: Sequence[str], address: str) -> bool:
            return any(map(opt_out.entry_for_host, names)) or bool(
                opt_out.entry_for_address(address)
            )

        return Since(
            earlier=self.folder.beside(self.since),
            scan_id=self.folder.scan_id,
            at=self.started_at,
            vantage=self.config.vantage.name,
            max_age=self.config.since.max_age,
            sample=self.config.since.sample,
            left_alone=left_alone,
        )


async def close(begun: Begun, now: Clock) -> Manifest:
    """Judge and seal a scan whose passes are over.  The caller holds ``folder.lock()``."""
    folder = begun.folder
    suffixes = Suffixes.load(folder.path / SUFFIXES)
    await trio.to_thread.run_sync(
        judge_scan,
        FolderWork(folder, seed=begun.seed),
        begun.planning(),
        begun.roots,
        suffixes.registrable,
        trio.from_thread.check_cancelled,
    )
    ended_at = now()
    return await trio.to_thread.run_sync(lambda: seal(folder, _facts(begun, suffixes, ended_at)))


def _facts(begun: Begun, suffixes: Suffixes, ended_at: datetime) -> Facts:
    folder, settings = begun.folder, begun.config
    purges = folder.read_state(purge.STATE)
    outages = chain.from_iterable(folder.read_states(canary.STATE))
    return Facts(
        scan_id=folder.scan_id,
        started_at=begun.started_at,
        ended_at=ended_at,
        software_version=__version__,
        configuration=settings.as_dict(),
        scope=str(begun.scope),
        list=folder.read_state(lists.STATE),
        seed=begun.seed,
        resolvers=settings.dns.resolvers,
        resolver_health=health.added(folder.read_states(health.STATE)),
        vantage={
            "name": settings.vantage.name,
            "resolver_checks": begun.facts["resolver_checks"],
            "outages": sorted(outages, key=lambda outage: json.dumps(outage, sort_keys=True)),
        },
        public_suffix_list=suffixes.version,
        trust_store=begun.facts["trust_store"],
        openssl=openssl_versions(),
        rules_version=RULES_VERSION,
        more={
            "sample_rate": begun.sample_rate,
            "both_families": begun.both_families,
            "since": begun.since,
            "closed_world": settings.closed_world,
            **({purge.STATE: purges} if purges else {}),
            **folder.facts,
        },
    )


def openssl_versions() -> dict[str, str]:
    """The OpenSSL that measured and the one that judged: one library at the time of a scan."""
    version = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()
    return {"measuring": version, "judging": version, "python": sys.version.split()[0]}
