"""What every page of this package has in common: one file that needs no network and runs no script.

Its style sheet is the only thing that its Content-Security-Policy lets in, by hash.  All text is
escaped by default, since much of it was chosen by strangers.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.archive import PACKAGE

_RFC: Final = re.compile(r"RFC (\d+)(?: (?:§|section )([\d.]*\d))?")


def style(*sheets: str) -> str:
    """The style sheets of ``templates/``, one after the other."""
    return "".join((PACKAGE / "templates" / sheet).read_text("utf-8") for sheet in sheets)


def content_security_policy(style: str) -> str:
    """Nothing may load, run, be sent or be framed; of styles, this very text (CSP Level 3)."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def environment() -> Environment:
    """Templates that escape everything, with the filters that all pages use."""
    made = Environment(
        loader=FileSystemLoader(PACKAGE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        rfc=_link_rfc,
        tidy=_tidy,
        drawing=Markup,  # our own sheet or SVG: the renderer has escaped the names in it
    )
    return made


def _tidy(text: str) -> Markup:
    """*text* whose names and numbers do not break at the end of a line."""
    kept = escape(text.replace(" %", "\N{NO-BREAK SPACE}%"))
    return kept.replace("MTA-STS", Markup('<span class="whole">MTA-STS</span>'))


def _link_rfc(text: str) -> Markup:
    """*text* with every RFC section a link to that section."""
    linked, end = Markup(""), 0
    for match in _RFC.finditer(text):
        number, section = match.groups()
        place = f"#section-{section}" if section else ""
        linked += escape(text[end : match.start()])
        linked += Markup(
            '<a rel="noreferrer" href="https://www.rfc-editor.org/rfc/rfc{}{}">{}</a>'
        ).format(number, place, match.group())
        end = match.end()
    return linked + escape(text[end:])
