"""Every scenario of the lab through the real pipeline: its verdict is the one a person wrote.

The same must come out with one connection at a time and with many, in any order of visits, and
in every scope: what is judged of a domain may not depend on how or beside whom it was measured.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crawler import lab
from crawler.config import Seconds, Vantage
from crawler.vocabulary import Scope
from tests.scan.worlds import differences, run_scan, settings_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("connections", "seed", "watched"),
    [
        # A minute, for every deadline is waited for by all.
        pytest.param(1, "one order", False, id="one", marks=pytest.mark.soak),
        pytest.param(64, "another order", True, id="many, and canaries"),
    ],
)
async def test_every_scenario_is_judged_as_it_was_written(
    tmp_path: Path, connections: int, seed: str, watched: bool
) -> None:
    """With canaries too: unreachable hosts are, for a canary was met after each of them."""
    async with lab.open_world(tmp_path / "lab", only_scenarios=True) as world:
        settings = settings_of(world)
        limited = replace(
            settings,
            politeness=replace(settings.politeness, connections=connections),
            dns=replace(settings.dns, in_flight=connections),
            vantage=canaries(world, settings.net.smtp_port) if watched else settings.vantage,
            # With one connection at a time every deadline is waited for by all.
            limits=replace(
                settings.limits,
                connect=Seconds(1),
                https_total=Seconds(2),
                smtp_banner=Seconds(2),
                smtp_total=Seconds(3),
            ),
        )
        outcome = await run_scan(world, tmp_path / "archive", limited, seed=seed)
    assert differences(world, outcome) == []
    assert outcome.manifest.facts["vantage"]["outages"] == []


def canaries(world: lab.World, port: int) -> Vantage:
    """One that is not there, and one in which everything is right."""
    good = next(domain for domain in world.domains if domain.startswith("own-enforce"))
    return Vantage(
        canaries=(f"nobody.invalid:{port}", f"mx1.{good}:{port}"), canary_interval=Seconds(0.2)
    )


async def test_a_domain_without_a_sign_is_judged_when_the_scope_is_all(tmp_path: Path) -> None:
    async with lab.open_world(tmp_path / "lab", only_scenarios=True) as world:
        outcome = await run_scan(world, tmp_path / "archive", settings_of(world), scope=Scope.ALL)
    assert differences(world, outcome, scope="all") == []


@pytest.mark.soak
async def test_a_control_sample_of_everybody_is_judged_as_everybody_is(tmp_path: Path) -> None:
    async with lab.open_world(tmp_path / "lab", only_scenarios=True) as world:
        outcome = await run_scan(
            world, tmp_path / "archive", settings_of(world), scope=Scope.SAMPLE, sample_rate=1.0
        )
    assert differences(world, outcome, scope="sample") == []


@pytest.mark.soak
async def test_both_families_of_a_policy_host_are_facts(tmp_path: Path) -> None:
    async with lab.open_world(tmp_path / "lab", only_scenarios=True) as world:
        outcome = await run_scan(
            world, tmp_path / "archive", settings_of(world), both_families=True
        )
    assert differences(world, outcome, both_families=True) == []
