"""Rows as text: nothing in a name acts on the terminal or the spreadsheet that shows it."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from analysis.tables import cell, json_text, percent, print_table, to_csv, visible, whole


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "-"),  # nothing to take a share of
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.29612, "29.6 %"),
        (0.9999, "99.9 %"),  # not all of them
        (0.00078383, "0.078 %"),  # the share of a whole zone does not vanish
        (4e-7, "0.00004 %"),
    ],
)
def test_percent(share: float | None, text: str) -> None:
    """As many figures as mean something."""
    assert percent(share) == text


def test_whole() -> None:
    """Thousands apart."""
    assert whole(86791845) == "86,791,845"


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@sum", "\uff1d1"])
def test_a_formula_is_made_harmless(text: str) -> None:
    """A text that a spreadsheet would run begins with a quote instead."""
    assert cell(text) == f"'{text}"


def test_white_space_before_a_formula_is_written_out() -> None:
    """A spreadsheet passes over it."""
    assert [cell(text) for text in ("\t=1", "\r=1", "\n=1")] == [r"\t=1", r"\r=1", r"\n=1"]


def test_json_keeps_what_it_escapes() -> None:
    """No character that would not print, and none lost."""
    hostile = "\x1b\x9b\x7f\u202e\U000e0001\ufeff\u2028 \N{SNOWMAN}"
    text = json_text([hostile])
    assert text.isprintable()
    assert "\N{SNOWMAN}" in text
    assert json.loads(text) == [hostile]


def test_numbers_are_no_formulas() -> None:
    """A negative number stays a number."""
    assert (
        to_csv(["a", "b"], [{"a": -1, "b": None}, {"a": 0.5, "b": True}]) == "a,b\n-1,\n0.5,true\n"
    )


def test_escape_sequences_are_written_out() -> None:
    """A terminal must not obey a name."""
    out = StringIO()
    print_table(Console(file=out, width=80), ["name"], [{"name": "\x1b[31mred [bold]x"}])
    assert "\x1b" not in out.getvalue()
    assert r"\x1b[31mred [bold]x" in out.getvalue()
    assert visible("a\u202eb") == r"a\u202eb"
