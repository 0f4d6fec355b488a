"""Does port 25 leave this machine, and does it reach whom it should?

A provider that begins to block port 25 in mid-scan would have a timeout written against every mail
host that follows, and a firewall that redirects it would have one machine's certificate written
down for all.  So while mail hosts are greeted, hosts that are known to answer (``[vantage]
canaries``) are greeted as well, one every ``canary_interval``, through the same gate.

- Nobody is greeted before a canary has answered, or while none does.
- A conversation that failed before the host had said a word is not put down to the host until a
  canary has answered after it; if none does it is the vantage's failure, which a later round
  repeats.

A canary answers when it greets, offers STARTTLS and, named by its name, shows a certificate that
is valid for it.  Without canaries nothing is held back, and nothing is known.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final

import trio

from crawler.config import Endpoint
from crawler.net.resolver import Resolver
from crawler.net.smtp import MailClient
from crawler.politeness.gate import Gate
from crawler.probe import starttls
from crawler.protocol.chain import ChainJudge
from crawler.protocol.dns_wire import RdType
from crawler.records import MailTarget, StarttlsSession
from crawler.snapshot.work import Work
from crawler.vocabulary import Blame, DnsStatus, IoStatus, Stage

STATE: Final = "canaries"

_UNSAID: Final = frozenset({None, Stage.CONNECT, Stage.BANNER})
_DOUBTFUL: Final = frozenset(
    {
        IoStatus.CONNECTION_TIMEOUT,
        IoStatus.CONNECTION_REFUSED,  # a firewall may answer for the host
        IoStatus.HOST_UNREACHABLE,
        IoStatus.CONNECTION_CLOSED,
        IoStatus.IO_TIMEOUT,
    }
)
"""What a block on the way looks like, when it ends a conversation before the greeting."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of greeting one canary."""

    canary: str
    good: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeter:
    """Greets canaries."""

    port: int
    resolver: Resolver
    gate: Gate
    client: MailClient
    judge: ChainJudge

    async def greet(self, endpoint: Endpoint) -> Answer:
        """Greet one canary."""
        host, port = endpoint
        canary = f"{host}:{port}"
        if port != self.port:
            words = f"only port {self.port} is ever dialled; name the canary with that port"
            return Answer(canary, good=False, words=words)
        address = _address(host)
        if address is None:
            found = await self.resolver.query(host, RdType.A)
            if found.status is not DnsStatus.NOERROR:
                return Answer(canary, good=False, words=f"its address is {found.status}")
            address = str(found.records[0])
        target = MailTarget(host=host, address=address)
        row, ders = await starttls.probe(target, scan_id=STATE, gate=self.gate, client=self.client)
        if row.status is not IoStatus.SUCCESS or not row.starttls_offered:
            seen = "no STARTTLS" if row.status is IoStatus.SUCCESS else row.status
            words = f"{seen} at {row.stage}: is port {port} blocked here?"
            return Answer(canary, good=False, words=words)
        if _address(host) is None and self.judge.judge(ders, host, row.started_at).problems:
            words = f"shows no certificate for its name: is port {port} redirected here?"
            return Answer(canary, good=False, words=words)
        return Answer(canary, good=True, words=f"greets and offers STARTTLS ({row.tls_version})")


def _address(host: str) -> str | None:
    try:
        return str(ip_address(host))
    except ValueError:
        return None


class Canaries:
    """Whether mail hosts can be reached now, as the canaries tell; for one scan.

    *greet* greets one of *endpoints*.  *say* is told when that changes, *now* is the time of day
    for what is written down.  *tell* is told what ``hear`` has to be told where others greet hosts
    by what is found out here.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        greet: Callable[[Endpoint], Awaitable[Answer]],
        *,
        interval: float,
        say: Callable[[str], None],
        now: Callable[[], datetime],
        tell: Callable[[bool, float], None] = lambda _good, _began: None,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self.greet = greet
        self._tell = tell
        self._interval = interval
        self._say = say
        self._now = now
        self._turn = 0
        self._wanted = trio.Event()
        self._users = 0
        self._asked_at = float("-inf")
        """When the last inquiry began: what it found holds for all that ended before."""
        self._good = False
        self._news = trio.Event()
        self.outages: list[dict[str, Any]] = []
        """Times at which no canary answered: from the last good answer to the next one."""
        self._good_at: datetime | None = None

    async def run(self) -> None:
        """Ask, for as long as anybody wants to know."""
        while self._endpoints:
            await self._wanted.wait()
            began = trio.current_time()
            answers = await self._inquire()
            self._take(answers, began)
            await trio.sleep(self._interval)

    async def _inquire(self) -> list[Answer]:
        """Greet canaries in turn until one answers; each inquiry begins with another."""
        answers: list[Answer] = []
        for _ in self._endpoints:
            answers.append(await self.greet(self._endpoints[self._turn]))
            self._turn = (self._turn + 1) % len(self._endpoints)
            if answers[-1].good:
                break
        return answers

    def _take(self, answers: list[Answer], began: float) -> None:
        good, when = answers[-1].good, self._now()
        open_outage = bool(self.outages) and self.outages[-1]["to"] is None
        if not good and not open_outage:
            said = "; ".join(f"{a.canary}: {a.words}" for a in answers)
            since = self._good_at.isoformat() if self._good_at else None
            self.outages.append({"from": since, "to": None, "words": said})
            self._say(f"no canary answers, so no mail host is greeted until one does ({said})")
        if good and open_outage:
            self.outages[-1]["to"] = when.isoformat()
            self._say(f"canary {answers[-1].canary} answers: mail hosts are greeted again")
        self._good_at = when if good else self._good_at
        self.hear(good, began)
        self._tell(good, began)

    def hear(self, good: bool, began: float) -> None:
        """An inquiry that began at that time of trio's clock has found out so much."""
        self._good, self._asked_at = good, began
        self._news.set()
        self._news = trio.Event()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Canaries are greeted while some such block runs."""
        self._users += 1
        self._wanted.set()
        try:
            yield
        finally:
            self._users -= 1
            if self._users == 0:
                self._wanted = trio.Event()

    async def answering(self) -> None:
        """Wait until a canary has answered, and as long as none does."""
        while self._endpoints and not self._good:
            await self._news.wait()

    async def vouched(self, row: StarttlsSession) -> StarttlsSession:
        """*row*, or, when no canary answers either, the same as a failure of this vantage."""
        if not self._endpoints or row.status not in _DOUBTFUL or row.stage not in _UNSAID:
            return row
        ended = trio.current_time()
        while self._asked_at < ended:
            await self._news.wait()
        if self._good:
            return row
        return replace(
            row,
            status=IoStatus.VANTAGE_FAILURE,
            blame=Blame.VANTAGE,
            error=f"{row.status} at {row.stage}, and no canary answered either",
        )

    def keep(self, work: Work) -> None:
        """Write the outages down, behind those of earlier runs."""
        work.remember(STATE, [*(work.recall(STATE) or ()), *self.outages])

    def words(self) -> str:
        """How it is at this moment, for people, in a few words."""
        if not self._endpoints:
            return ""
        return "a canary answers" if self._good else "waiting for a canary to answer"
