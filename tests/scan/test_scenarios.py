"""Every scenario of the lab through the real pipeline: its verdict is the one a person wrote.

The same must come out with one connection at a time and with many, in any order of visits, and
in every scope: what is judged of a domain may not depend on how or beside whom it was measured.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crawler import config, lab
from crawler.config import Config
from crawler.scan.progress import Progress
from crawler.scan.run import Outcome, Request, scan
from crawler.vocabulary import Scope

pytestmark = pytest.mark.anyio


def _settings(world: lab.World) -> Config:
    path = world.config_path
    return config.load(tomllib.loads(path.read_text()), base=path.parent, source=str(path))


async def _scan(world: lab.World, archive: Path, settings: Config, **changes: Any) -> Outcome:
    facts = {"sources": (str(world.list_path),), "archive": archive, "config": settings, **changes}
    return await scan(Request(**facts), Progress(quiet=True))


def _agreement(world: lab.World, outcome: Outcome, **how: Any) -> list[str]:
    parts = sorted((outcome.folder.path / "assessments").glob("part-*.parquet"))
    agreement = lab.compare(world.truth_path, parts, **how)
    assert agreement.total == len(world.domains)
    return [] if agreement.perfect else list(agreement.lines())


@pytest.mark.parametrize(
    ("connections", "seed"), [(1, "one order"), (64, "another order")], ids=["one", "many"]
)
async def test_every_scenario_is_judged_as_it_was_written(
    tmp_path: Path, connections: int, seed: str
) -> None:
    async with lab.open_world(tmp_path / "lab", only_scenarios=True) as world:
        settings = _settings(world)
        limited = replace(
            settings,
            politeness=replace(settings.politeness, connections=connections),
            dns=replace(settings.dns, in_flight=connections),
        )
        outcome = await _scan(world, tmp_path / "archive", limited, seed=seed)
    assert _agreement(world, outcome) == []


async def test_a_domain_without_a_sign_is_judged_when_the_scope_is_all(tmp_path: Path) -> None:
    async with lab.open_world(tmp_path / "lab", only_scenarios=True) as world:
        outcome = await _scan(world, tmp_path / "archive", _settings(world), scope=Scope.ALL)
    assert _agreement(world, outcome, scope="all") == []


async def test_both_families_of_a_policy_host_are_facts(tmp_path: Path) -> None:
    async with lab.open_world(tmp_path / "lab", only_scenarios=True) as world:
        outcome = await _scan(world, tmp_path / "archive", _settings(world), both_families=True)
    assert _agreement(world, outcome, both_families=True) == []
