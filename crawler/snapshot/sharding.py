"""Which shard a name belongs to and in which order names are visited: the same in Python and SQL.

Both are MD5 of plain text, so that any process, on any machine and in any version, agrees: MD5
is used as a stable hash, not for security.  ``duck.connect`` defines the SQL side as macros of
the same names.
"""

from __future__ import annotations

import hashlib
from typing import Final

SHARD_SIZE: Final = 50_000
"""Targets in a shard: minutes of work, so that a crash repeats minutes."""

MAX_SHARDS: Final = 10_000
"""Parts of one table in one folder: more would make every listing and every glob slow."""

SQL_MACROS: Final = (
    # md5_number_upper is the first half of the digest, read as a little-endian number.
    """CREATE OR REPLACE TEMP MACRO shard_of(name, shards) AS
       CAST(((md5_number_upper(name) >> 32) * CAST(shards AS UBIGINT)) >> 32 AS INTEGER)""",
    """CREATE OR REPLACE TEMP MACRO visit_order(seed, name) AS
       md5(CAST(seed AS VARCHAR) || ' ' || name)""",
)


SHARDS_PER_WORKER: Final = 8
"""Where several processes share the work, so that their parts come out alike."""


def shard_count(targets: int, size: int = SHARD_SIZE, *, least: int = 1) -> int:
    """How many shards *targets* targets are divided into: about *size* each, at least 1.

    At least *least* if there is a target for each.
    """
    return min(max(1, -(-targets // size), min(least, targets)), MAX_SHARDS)


def shard_of(name: str, shards: int) -> int:
    """The shard of a name, from 0; SQL: ``shard_of(name, shards)``.

    Shards are equal ranges of a hash, so what is in the order of many shards is also in the
    order of few.
    """
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    return (int.from_bytes(digest[4:8], "little") * shards) >> 32


def visit_order(seed: str | int, name: str) -> str:
    """The key by which names are visited under a seed; SQL: ``visit_order(seed, name)``."""
    return hashlib.md5(f"{seed} {name}".encode(), usedforsecurity=False).hexdigest()
