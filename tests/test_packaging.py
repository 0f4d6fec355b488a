"""The wheel, alone in an empty environment, from another folder: nothing of the checkout is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _pip(python: str | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(600)
def test_the_wheel_runs_the_demonstration_in_an_empty_environment(tmp_path: Path) -> None:
    made = _pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT))
    if made.returncode:
        pytest.skip(f"no wheel can be built here (no registry?): {made.stderr[-200:]}")
    (wheel,) = tmp_path.glob("*.whl")
    environment = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    installed = _pip(python, "install", "-c", str(ROOT / "constraints.txt"), f"{wheel}[report]")
    assert installed.returncode == 0, installed.stderr

    def run(*command: str) -> str:
        binary = environment / "bin" / command[0]
        ended = subprocess.run(
            [str(binary), *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stderr

    lacking = subprocess.run(
        [str(environment / "bin" / "sts-crawl"), "scan", "-", "--out", "a", "--executor", "ray"],
        cwd=tmp_path,
        env={**os.environ, "STS_NET_ALLOW_ADDRESSES": "127.0.0.0/8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (lacking.returncode, "mta-sts-census[cluster]" in lacking.stderr) == (2, True)
    assert "30 of 30 domains agree" in run("sts-crawl", "demo", "--out", "demo", "--domains", "30")
    run("sts-report", "build", "demo/archive", "--out", "report")
    assert (tmp_path / "report" / "index.html").is_file()
