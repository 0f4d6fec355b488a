"""What the things of a scan are called in an object store; ``remote`` says what they are for."""

from __future__ import annotations

import json
import re
from typing import Final

from crawler.snapshot.parts import Part

BORN: Final = "_work/born.json"
"""The first object of a scan: what it is of, and a word that no other scan of its id has."""

UNITS: Final = "_work/units/"
TARGETS: Final = "_work/targets/"

_DIGITS: Final = 12
"""Of a SHA-256, in the name of a part: no two parts of one unit are alike in so many."""

_NAMED: Final = re.compile(rf"\.[0-9a-f]{{{_DIGITS}}}\.parquet")
_CHAINED: Final = re.compile(r"(.+)-c\d+")


def named(path: str, sha256: str) -> str:
    """The key of a part, by its path in a folder: two that differ never have the same."""
    if _NAMED.search(path):
        return path
    return f"{path.removesuffix('.parquet')}.{sha256[:_DIGITS]}.parquet"


def part_path(table: str, unit: str) -> str:
    """The path of a part in a scan's folder."""
    return f"{table}/part-{unit}.parquet"


# --- units


def run_of(unit: str) -> str:
    """The run that a unit is a link of, or the end of."""
    link = _CHAINED.fullmatch(unit)
    return link[1] if link else unit


def marker(unit: str) -> str:
    """The key of a unit's marker."""
    return f"{UNITS}{run_of(unit)}/{unit}.json"


def made_of(data: bytes) -> dict[str, Part]:
    """The parts that a marker states, by table."""
    return {table: Part(**facts) for table, facts in json.loads(data)["parts"].items()}


def parts_of(unit: str, data: bytes) -> dict[str, str]:
    """The paths in a folder of the parts that a unit's marker states, by key."""
    made = made_of(data).items()
    return {named(part_path(t, unit), p.sha256): part_path(t, unit) for t, p in made}


# --- plans


def plan(step: str) -> str:
    """The key of the plan of a step, a round of a pass."""
    return f"{TARGETS}{step}.json"


def targets(step: str, data: bytes) -> dict[str, tuple[str, str]]:
    """The targets that a plan states: key and SHA-256 of each shard's file."""
    hashes = json.loads(data)["sha256"]
    return {s: (named(f"{TARGETS}{step}/{s}.parquet", sha), sha) for s, sha in hashes.items()}
