"""Shards and the order of visits are the same in Python and in SQL, and never change."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.snapshot import duck
from crawler.snapshot.sharding import MAX_SHARDS, shard_count, shard_of, visit_order

NAMES = [f"host-{n}.example" for n in range(500)] + ["", "xn--mnchen-3ya.de", "192.0.2.0/24"]


@pytest.mark.parametrize("shards", [1, 2, 7, 6000])
def test_python_and_sql_agree(tmp_path: Path, shards: int) -> None:
    with duck.connect(spill=tmp_path) as connection:
        found = connection.execute(
            "SELECT n, shard_of(n, $s), visit_order($seed, n) FROM unnest($names) AS _(n)",
            {"s": shards, "names": NAMES, "seed": 7},
        ).fetchall()
    assert [(n, shard_of(n, shards), visit_order(7, n)) for n in NAMES] == found


def test_the_hash_is_pinned() -> None:
    """Another value here would divide the next scan differently from every earlier one."""
    assert shard_of("example.com", 1000) == 13
    assert visit_order("1", "example.com") == visit_order(1, "example.com")


def test_names_spread_evenly() -> None:
    counts = [0] * 8
    for n in range(8000):
        counts[shard_of(f"{n}.example", 8)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


@pytest.mark.parametrize(
    ("targets", "shards"),
    [(0, 1), (1, 1), (50_000, 1), (50_001, 2), (10_000_000, 200), (10**12, MAX_SHARDS)],
)
def test_about_fifty_thousand_targets_make_a_shard(targets: int, shards: int) -> None:
    assert shards == shard_count(targets)


@pytest.mark.parametrize(
    ("targets", "least", "shards"),
    [(0, 8, 1), (3, 8, 3), (100, 8, 8), (1_000_000, 8, 20), (10**9, 8, MAX_SHARDS)],
)
def test_everybody_has_a_shard_where_there_is_a_target_for_each(
    targets: int, least: int, shards: int
) -> None:
    assert shard_count(targets, least=least) == shards
