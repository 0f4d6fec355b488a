"""The progress display: what it says on a terminal, and what elsewhere."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from crawler.scan.progress import Progress


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
