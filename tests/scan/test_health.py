"""The resolvers' health: summed over runs, and in words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from crawler.net.resolver import ResolverStats
from crawler.scan.health import Health, sentences
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.store import Archive


def stats(resolver: str, *, sent: int, answered: int, **more: int) -> ResolverStats:
    return ResolverStats(resolver=resolver, sent=sent, answered=answered, rate=100.0, **more)


def test_runs_of_one_scan_add_up(tmp_path: Path) -> None:
    work = FolderWork(Archive(tmp_path).create_scan("s"), seed="1")
    first = [stats("a:53", sent=10, answered=8, timeouts=2), stats("b:53", sent=1, answered=1)]
    Health(lambda: first, work, lambda: 0.0).keep()
    second = [stats("a:53", sent=5, answered=5), stats("c:53", sent=2, answered=2)]
    health = Health(lambda: second, work, lambda: 0.0)
    rows = {row["resolver"]: row for row in health.totals()}
    assert {name: (row["sent"], row["answered"]) for name, row in rows.items()} == {
        "a:53": (15, 13),
        "b:53": (1, 1),
        "c:53": (2, 2),
    }
    assert rows["a:53"]["timeouts"] == 2
    assert rows["a:53"]["rate"] == 100.0
    assert sentences(health.totals())[0] == (
        "resolver a:53: 15 queries, 13 settled, 2 unanswered, 0 SERVFAIL, 0 refused"
    )


def test_shards_that_end_together_may_all_keep_it(tmp_path: Path) -> None:
    work = FolderWork(Archive(tmp_path).create_scan("s"), seed="1")
    health = Health(lambda: [stats("a:53", sent=1, answered=1)], work, lambda: 0.0)
    with ThreadPoolExecutor(8) as pool:
        for kept in [pool.submit(health.keep) for _ in range(64)]:
            kept.result()
    assert work.recall("resolver-health")[0]["sent"] == 1


def test_words_tell_who_is_well_and_how_fast_it_goes(tmp_path: Path) -> None:
    work = FolderWork(Archive(tmp_path).create_scan("s"), seed="1")
    now, current = [0.0], [stats("a:53", sent=0, answered=0), stats("b:53", sent=0, answered=0)]
    health = Health(lambda: current, work, lambda: now[0])
    assert health.words() == "2 of 2 resolvers well, 0 answers/s, nothing sent yet"
    now[0], current[0] = 2.0, stats("a:53", sent=1000, answered=990, timeouts=10)
    current[1].resting = True
    assert health.words() == "1 of 2 resolvers well, 495 answers/s, 1.0 % unanswered"
