"""The archive that nobody scanned opens like any other, and questions about it are timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.archive import open_archive
from analysis.catalogue import find
from tests.benchmarks import questions, synthetic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scans of five thousand domains."""
    made = tmp_path_factory.mktemp("synthetic")
    synthetic.write(made, domains=5000, scans=3)
    return made


def test_every_table_has_work_in_it(folder: Path) -> None:
    """Adopters come and go, and a control sample is drawn as the crawler draws it."""
    with open_archive(folder) as archive:
        for table in (
            "domains", "txt_lookups", "mx_lookups", "address_lookups", "policy_fetches",
            "starttls_sessions", "certificates", "mail_verdicts", "findings_catalogue",
        ):  # fmt: skip
            (row,) = archive.query(f'select count(*) as rows from "{table}"').records()
            assert row["rows"] > 0, table
        assert {r["measure"]: r["looked_at"] for r in find("estimates").ask(archive).records()}[
            "DANE"
        ] > 50
        changes = {row["change"] for row in find("churn").ask(archive).records()}
    assert {"stayed", "removed"} <= changes


def test_a_question_is_timed_and_weighed(folder: Path) -> None:
    """By each of its groupings when asked to."""
    asked = questions.ask(folder, every_grouping=True, only=["adoption"])
    assert [a.by for a in asked] == ["scan", "tld", "rank", "mx-operator"]
    assert all(a.rows >= 3 and a.gigabytes > 0 and not a.problem for a in asked)
