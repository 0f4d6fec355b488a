"""Scans of the lab, and how far they agree with its truth."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from crawler import config, lab
from crawler.config import Config
from crawler.scan.progress import Progress
from crawler.scan.request import Request
from crawler.scan.run import Outcome, scan


def settings_of(world: lab.World) -> Config:
    """The configuration that the world wrote for its crawler."""
    path = world.config_path
    return config.load(tomllib.loads(path.read_text()), base=path.parent, source=str(path))


async def run_scan(world: lab.World, archive: Path, settings: Config, **changes: Any) -> Outcome:
    """Scan the world's list."""
    facts = {"sources": (str(world.list_path),), "archive": archive, "config": settings, **changes}
    return await scan(Request(**facts), Progress(quiet=True))


def differences(world: lab.World, outcome: Outcome, **how: Any) -> list[str]:
    """Where the scan does not say what the world's truth says."""
    parts = sorted((outcome.folder.path / "assessments").glob("part-*.parquet"))
    agreement = lab.compare(world.truth_path, parts, **how)
    assert agreement.total == len(world.domains)
    return [] if agreement.perfect else list(agreement.lines())
