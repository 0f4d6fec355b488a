"""The progress display: what it says on a terminal, and what elsewhere."""

from __future__ import annotations

import os
from io import StringIO

import pytest
from rich.console import Console

from crawler.scan.progress import Progress, Unhurried


def shown(*, terminal: bool) -> str:
    """What one pass of three targets prints, with words about its resolvers."""
    said = StringIO()
    console = Console(file=said, force_terminal=terminal, width=120, color_system=None)
    with Progress(console) as progress:
        progress.describe(("names",), lambda: "1 of 1 resolver well [bold]")
        progress.expect("names", 3)
        progress.advance("names", 2)
        progress.advance("names")
        progress._bars.refresh()
        progress.end("names")
    return said.getvalue()


def test_a_terminal_shows_how_the_resolvers_are_doing_beside_the_bar() -> None:
    text = shown(terminal=True)
    assert "3/3" in text
    assert "1 of 1 resolver well [bold]" in text  # not taken for markup


def test_elsewhere_there_is_one_sentence_for_the_pass() -> None:
    text = shown(terminal=False)
    assert text.startswith("names: 3 targets in ")
    assert text.count("\n") == 1


# --- nobody reads


def test_what_fits_is_written_and_what_does_not_is_dropped() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w", encoding="utf-8") as pipe:
        words = Unhurried(pipe)
        while not words.dropped:
            words.write("ä" * 1000)
        words.write("nobody hears this")
        assert words.dropped == 2
        os.set_blocking(reading, False)
        while reader.read(1 << 16):
            pass
        words.write("heard again\n")
        assert reader.read() == b"heard again\n"


def test_whoever_went_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as pipe:
        words = Unhurried(pipe)
        assert words.write("is anybody there?") == 17
        assert words.dropped == 1


def test_what_is_no_file_is_written_to_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().say("a sentence")
    assert capsys.readouterr().err == "a sentence\n"


def test_p11_a_sentence_that_quotes_a_stranger_is_not_obeyed() -> None:
    said = StringIO()
    Progress(Console(file=said, width=80)).say("such as \x1b[2J\u202e[bold]x\n")
    assert said.getvalue() == "such as \\x1b[2J\\u202e[bold]x\\n\n"
