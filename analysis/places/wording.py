"""Certificates, handshakes and octets in words.

What stands in a place was written by a stranger.  Every character of it that would not print is
written out, and it is cut to a length that fits on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from analysis.places.pointer import Facts, Place
from analysis.tables import visible

LONGEST: Final = 300
"""Characters of one line of a place; a TXT string has at most 255."""

LINES: Final = 12
"""Lines of a place; a policy of usual size is shown whole."""

NAMES: Final = 5
"""Names of a certificate that are told."""

_REMARKS: Final = (
    # in words           column
    ("weak", "weaknesses"),
    ("breaks off", "refusing"),
    ("does not offer it", "unoffered"),
)


def place(what: str, where: str, seen: Sequence[str]) -> Place:
    """A place in characters that print, its lines none too long and not too many."""
    lines = [visible(line[: LONGEST + 1]) for line in seen[:LINES]]
    cut = [line if len(line) <= LONGEST else line[:LONGEST] + "…" for line in lines]
    if len(seen) > LINES:
        cut.append(f"… {len(seen) - LINES} more")
    return Place(what=what, where=visible(where), seen=tuple(cut))


def certificate(holder: Facts) -> list[str]:
    """The certificate that was shown: why it does not pass, its names, its dates, its issuer."""
    shown: Facts | None = holder["certificate"]
    if shown is None:
        return []
    names = list(shown["names"] or ())
    others = len(names) - NAMES
    issued_for = ", ".join(names[:NAMES]) + (f" and {others} more" if others > 0 else "")
    common = f"no DNS name (common name {shown['common_name']})"
    return [
        *([f"does not pass: {', '.join(holder['problems'])}"] if holder["problems"] else []),
        f"issued for {issued_for or common}",
        f"valid from {_moment(shown['not_before'])} to {_moment(shown['not_after'])}",
        f"issued by {shown['issuer'] or 'nobody named'}",
    ]


def handshake(holder: Facts) -> list[str]:
    """What was agreed on, what is weak in it, and whom it does not suit."""
    agreed = [holder["tls_version"], holder["cipher"], holder["tls_group"]]
    seen = [", ".join(str(part) for part in agreed if part) or "not recorded"]
    for label, column in _REMARKS:
        seen += [f"{label}: {', '.join(holder[column])}"] if holder[column] else []
    return seen


def text(octets: bytes) -> str:
    """Octets as ASCII, the others written out."""
    return octets.decode("ascii", "backslashreplace")


def quoted(octets: bytes) -> str:
    """A character-string as a zone file writes it."""
    escaped = text(octets).replace('"', '\\"')
    return f'"{escaped}"'


def _moment(when: datetime | None) -> str:
    return "an unknown time" if when is None else f"{when:%Y-%m-%d %H:%M} UTC"
