"""What every page of this package has in common: one file that needs no network.

Its style sheet, and on the interactive report its script, are the only things that its
Content-Security-Policy lets in, by hash.  All text is escaped by default, since much of it was chosen
by strangers.
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


def script(*parts: str) -> str:
    """The parts of a script in ``templates/``, one after the other."""
    return "".join((PACKAGE / "templates" / part).read_text("utf-8") for part in parts)


def content_security_policy(style: str, script: str = "") -> str:
    """Nothing may load, run, be sent or be framed; of styles and scripts, these very texts (CSP Level 3).

    A script cannot make markup or code out of text: that takes a policy of Trusted Types, and there is
    none.
    """
    running = (
        f" script-src {_hash(script)}; require-trusted-types-for 'script'; trusted-types 'none';"
        if script
        else ""
    )
    return f"default-src 'none'; style-src {_hash(style)};{running} base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


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
        drawing=Markup,  # our own sheet, script or SVG: names in it are escaped already
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
            '<a class="whole" rel="noreferrer" href="https://www.rfc-editor.org/rfc/rfc{}{}">{}</a>'
        ).format(number, place, match.group())
        end = match.end()
    return linked + escape(text[end:])
