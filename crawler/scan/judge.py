"""The assess pass: observed rows of one scan in, judged rows out.  It touches no network.

Sessions are judged first, each once however many domains share it; then every domain, from the
verdicts of its sessions.  The same code judges at the end of a scan and again, years later,
with newer rules.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from crawler.assessment.assess import assess, catalogue
from crawler.assessment.evidence import DomainEvidence
from crawler.assessment.sessions import judge_fetch, judge_session
from crawler.protocol.chain import ChainJudge
from crawler.records import (
    Assessment,
    CatalogueEntry,
    MailVerdict,
    PolicyFetch,
    PolicyVerdict,
    StarttlsSession,
)
from crawler.snapshot import gather
from crawler.snapshot.plan import Planning
from crawler.snapshot.work import Work

R = TypeVar("R")
Registrable = Callable[[str], str | None]

OFTEN: Final = 500
"""Rows judged between two checkpoints: some tenths of a second."""


class Each(Protocol):
    """The rows as they are, with checkpoints between them."""

    def __call__(self, rows: Iterable[R], /) -> Iterator[R]:
        """Go through *rows*."""


def judge_scan(
    work: Work,
    planning: Planning,
    roots: bytes,
    registrable: Registrable,
    checkpoint: Callable[[], object] = lambda: None,
) -> None:
    """Write every judged table of a scan; steps that a run before this one finished are kept.

    *roots* are the trust anchors, PEM.  *checkpoint* is called now and then, and may raise.
    """

    def each(rows: Iterable[R]) -> Iterator[R]:
        for number, row in enumerate(rows):
            if number % OFTEN == 0:
                checkpoint()
            yield row

    judge = ChainJudge(roots, known_intermediates=gather.intermediates(work.connect()))
    _once(work, "judge-policies", lambda unit: _judge_policies(work, unit, judge, each))
    _once(work, "judge-mail", lambda unit: _judge_mail(work, unit, judge, each))
    for shard in work.domain_shards():
        _once(
            work,
            f"judge-domains-{shard:05d}",
            lambda unit, shard=shard: _judge_domains(  # type: ignore[misc]
                work, unit, each(gather.domains(work.connect(shard), planning)), registrable
            ),
        )
    _once(
        work,
        "judge-catalogue",
        lambda unit: work.commit(unit, {CatalogueEntry: catalogue(work.scan_id)}),
    )


def _once(work: Work, unit: str, write: Callable[[str], None]) -> None:
    if not work.finished(unit):
        work.discard(unit)
        with _uncollected():
            write(unit)
        work.finish(unit)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the garbage collector off: rows refer to nothing that refers to them.

    With hundreds of thousands of them alive it takes a quarter of the time to find that out, over and
    over.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _judge_policies(work: Work, unit: str, judge: ChainJudge, each: Each) -> None:
    for fetches, ders in gather.sessions(work.connect(), PolicyFetch):
        verdicts = [judge_fetch(f, [ders[c] for c in f.chain], judge) for f in each(fetches)]
        work.commit(unit, {PolicyVerdict: verdicts})


def _judge_mail(work: Work, unit: str, judge: ChainJudge, each: Each) -> None:
    connection = work.connect()
    for sessions, ders in gather.sessions(connection, StarttlsSession):
        tlsa = gather.tlsa_of(connection, sessions)
        verdicts = [
            judge_session(s, [ders[c] for c in s.chain], tlsa.get(s.host), judge)
            for s in each(sessions)
        ]
        work.commit(unit, {MailVerdict: verdicts})


def _judge_domains(
    work: Work, unit: str, domains: Iterable[DomainEvidence], registrable: Registrable
) -> None:
    rows = [assess(evidence, registrable, scan_id=work.scan_id) for evidence in domains]
    work.commit(unit, {Assessment: rows})
