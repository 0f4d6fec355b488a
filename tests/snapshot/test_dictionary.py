"""The data dictionary beside the code is what the code says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from importlib.resources import files

from crawler.records import TABLES
from crawler.snapshot import dictionary


def test_the_dictionary_in_the_tree_is_current() -> None:
    """If not: ``python -m crawler.snapshot.dictionary > crawler/snapshot/DICTIONARY.md``."""
    kept = files("crawler.snapshot").joinpath("DICTIONARY.md").read_text(encoding="utf-8")
    assert dictionary.markdown() == kept


def test_every_column_of_every_table_stands_in_it_with_its_sentence() -> None:
    text = dictionary.markdown()
    for cls in TABLES:
        section = text.partition(f"\n### {cls.table}\n")[2].partition("\n### ")[0]
        for column in fields(cls):
            (line,) = (x for x in section.splitlines() if x.startswith(f"| `{column.name}` |"))
            assert column.metadata["doc"] in line


def test_every_link_leads_to_a_heading() -> None:
    text = dictionary.markdown()
    headings = {line[4:].lower() for line in text.splitlines() if line.startswith("### ")}
    links = {part.partition(")")[0] for part in text.split("(#")[1:]}
    assert links <= headings


def test_the_module_prints_it() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "crawler.snapshot.dictionary"], capture_output=True, check=True
    )
    assert dictionary.markdown() == ran.stdout.decode()
