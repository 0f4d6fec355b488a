"""A real browser for pages on disk: what is on a page after its script has run.

It reaches nobody: names do not resolve, and whatever would leave goes to a closed port of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from shutil import which
from subprocess import run
from tempfile import TemporaryDirectory

import pytest

BROWSER = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to open a page in")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A page after its script has run."""

    html: str
    console: str
    """What the browser said about it: exceptions, and what its policy has refused."""


def open_page(page: Path, fragment: str = "") -> Opened:
    """Open *page* at *fragment*, from the disk and without a window."""
    assert BROWSER is not None
    with TemporaryDirectory() as profile:
        ended = run(
            [
                BROWSER,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-extensions",
                "--disable-sync",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--proxy-server=127.0.0.1:9",
                f"--user-data-dir={profile}",
                "--enable-logging=stderr",
                "--virtual-time-budget=2000",
                "--dump-dom",
                page.resolve().as_uri() + fragment,
            ],
            capture_output=True,
            timeout=60,
            check=True,
        )
    said = [line for line in ended.stderr.decode().splitlines() if ":CONSOLE" in line]
    return Opened(html=ended.stdout.decode(), console="\n".join(said))


class Rows(HTMLParser):
    """The rows of the tables of an element, cell by cell, as a reader sees them."""

    VOID = frozenset({"br", "img", "input", "meta", "hr", "link", "col"})

    def __init__(self, html: str, within: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._within = within
        self._depth = 0
        self._cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Enter."""
        if self._depth == 0 and dict(attrs).get("id") != self._within:
            return
        if tag not in self.VOID:
            self._depth += 1
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        """Leave."""
        if self._depth and tag not in self.VOID:
            self._depth -= 1
            self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        """Keep the text of a cell."""
        if self._depth and self._cell:
            self.rows[-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ")
