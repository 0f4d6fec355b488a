"""A scan of a million domains needs no more memory than its shards do.

Only names without records are asked, so what this holds to account is what grows with the list:
reading it, the names pass, judging and sealing.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.scan.children import LabProcess

SHARD = 50_000
"""Domains that are in memory together."""


def _peak(lab: LabProcess, folder: Path, domains: int) -> int:
    """The most memory that a scan of so many domains had, in octets."""
    folder.mkdir()
    lab.list = folder / "list.txt"
    with lab.list.open("w") as list_:
        list_.writelines(f"d{number}.nobody.example\n" for number in range(domains))
    running = lab.scan(folder / "archive", stderr=None, stdout=None)
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    assert running.returncode == 0
    return usage.ru_maxrss * 1024


@pytest.mark.soak
def test_p14_a_million_domains_take_no_more_memory_than_a_few_shards(tmp_path: Path) -> None:
    with LabProcess(tmp_path / "lab") as lab:
        some = _peak(lab, tmp_path / "some", 8 * SHARD)
        million = _peak(lab, tmp_path / "million", 20 * SHARD)
    assert million < some + 128 * 1024 * 1024
