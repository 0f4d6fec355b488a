"""The notebooks run on an archive, say what the catalogue says, and are stored without outputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.analysis.stories import write_stories

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
NAMES = ("adoption", "misconfiguration", "providers", "longitudinal")


class ThisInterpreter(AsyncKernelManager):
    """A kernel of the interpreter that runs the tests, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How to start it."""
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            language="python",
        )


def executed(name: str, archive: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a notebook on *archive* and return all text that it displayed."""
    monkeypatch.setenv("STS_ARCHIVE", str(archive))
    notebook: Any = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_manager_class=ThisInterpreter,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    client.execute()
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    return "\n".join(str(o["data"].get("text/markdown", "")) for o in outputs if "data" in o)


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_stored_without_outputs(name: str) -> None:
    """Numbers belong to an archive, not to the repository."""
    notebook: Any = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert all(not c.get("outputs") and not c.get("execution_count") for c in notebook.cells)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        (
            "adoption",
            [
                "**112 of 372 (30.1 %",
                "the base of the 2025 study, it is 111 of 371",
                "**Google**: 80 of 111",
            ],
        ),
        (
            "misconfiguration",
            ["**68 of 112 (60.7 %", "**policy file**: 23 of 112", "at **TLS**: 10 of 112"],
        ),
        (
            "providers",
            [
                "named most often is **PowerDMARC**: 40 of 112 (35.7 %",
                "**receives the mail** of 80 of 111",
                "**third party's** for 107 of 112",
                "at **PowerDMARC**, of whom 0 of 40",
                "the MX operator **Google**, with 80 adopters: of all adopters 31.2 %",
                "without these 6.2 %",
                "**Postfix** greets at 14 of 15",
            ],
        ),
    ],
)
def test_the_prose_matches_the_numbers(
    planted: Path, monkeypatch: pytest.MonkeyPatch, name: str, sentences: list[str]
) -> None:
    """Sentences are written from the planted archive's answers."""
    text = executed(name, planted, monkeypatch)
    for sentence in sentences:
        assert sentence in text


@pytest.mark.filterwarnings("default")
def test_the_story_of_four_scans_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest of four scans, and what it is compared with."""
    text = executed("longitudinal", write_stories(tmp_path), monkeypatch)
    for sentence in (
        "From **2026-01-01** to **2026-04-01**",
        "20 of 41 (48.8 %, 95 %: 34.3–63.5 %) **enforce**",
        "| broken | enforce | 2 | 7 | 28.6 % |",
        "testing, 6 of 6 (100 %",
        "0 domains of both lists **adopted** MTA-STS and 1 **removed** it",
        "As the RFC asks did 1 of 1",
        "the fault **pattern**: 3 of 3",
        "3 of 4 (75.0 %, 95 %: 30.1–95.4 %) fit an **earlier MX host**",
        "| PowerDMARC | mode none | 2 | 3 | 66.7 % |",
        "fetches the policy in every scan would today **refuse mail to 2 of 37",
    ):
        assert sentence in text


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "name",
    [*NAMES[:2], *(pytest.param(name, marks=pytest.mark.soak) for name in NAMES[2:])],
)
def test_notebooks_run_on_an_empty_archive(
    empty: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nothing to say is said, not raised."""
    executed(name, empty, monkeypatch)
