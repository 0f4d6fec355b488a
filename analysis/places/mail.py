"""MX hosts, address by address: how a conversation ended, and what was shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Final

from analysis.places import dns, wording
from analysis.places.pointer import Facts, Place, Pointer
from analysis.places.wording import place

_OUTCOMES: Final = MappingProxyType(
    {
        "pass": "passes",
        "handshake-failed": "offers STARTTLS, and the TLS handshake fails",
        "starttls-refused": "offers STARTTLS and then refuses it",
        "no-starttls": "does not offer STARTTLS",
    }
)


def host(pointer: Pointer, facts: Facts) -> Iterable[Place]:
    """The addresses that the finding is about, and for what was not measured the hosts without."""
    if "unmeasured" not in pointer.words:
        return [_session(mx, session) for mx, session in _picked(pointer, facts) or _all(facts)]
    unseen = [mx for mx in facts["mx"] or () if mx["host"] and not mx["sessions"]]
    return [
        *(_session(mx, session) for mx, session in _picked(pointer, facts)),
        *map(_unseen, unseen),
    ]


def handshake(pointer: Pointer, facts: Facts) -> Iterable[Place]:
    """What the addresses that the finding is about agreed on."""
    for mx, session in _picked(pointer, facts) or _all(facts):
        yield place("TLS handshake", _where(mx, session), wording.handshake(session))


def alias(_: Pointer, facts: Facts) -> Iterable[Place]:
    """The MX hosts that are aliases."""
    for mx in facts["mx"] or ():
        if mx["aliases"]:
            yield place("MX host", mx["host"], dns.aliases(mx))


def _all(facts: Facts) -> Sequence[tuple[Facts, Facts]]:
    return [(mx, session) for mx in facts["mx"] or () for session in mx["sessions"] or ()]


def _picked(pointer: Pointer, facts: Facts) -> Sequence[tuple[Facts, Facts]]:
    return [pair for pair in _all(facts) if not pointer.words.isdisjoint(_words(pair[1]))]


def _words(session: Facts) -> set[str]:
    """Everything that a pointer may pick a session by."""
    words = {session["outcome"], session["dane"]}
    words.update(session["problems"] or (), session["weaknesses"] or ())
    some = ("certificate", "problems"), ("refusing", "refusing"), ("unoffered", "unoffered")
    return words | {word for word, column in some if session[column]}


def _where(mx: Facts, session: Facts) -> str:
    return f"{mx['host']} at {session['address']}, port 25"


def _session(mx: Facts, session: Facts) -> Place:
    shown = wording.certificate(session) if session["problems"] else []
    seen = [*_ended(session), *shown] or ["its certificate does not pass"]
    return place("MX host", _where(mx, session), seen)


def _ended(session: Facts) -> list[str]:
    """How the conversation ended; of a certificate that fails, the certificate itself tells."""
    outcome, error = session["outcome"], session["error"]
    match outcome:
        case "certificate":
            return []
        case "unmeasured":
            detail = f": {error}" if error else ""
            return [f"could not be measured, {session['status']}{detail}"]
        case "tls-old":
            return [f"speaks {session['tls_version']} at most"]
    said = [_OUTCOMES.get(outcome, str(outcome))]
    if outcome == "starttls-refused" and session["starttls_reply"]:
        said.append(wording.text(session["starttls_reply"].rstrip()))
    if outcome == "handshake-failed" and error:
        said.append(error)
    return said


def _unseen(mx: Facts) -> Place:
    known = mx["addresses"] or ()
    why = f"not contacted; it has {', '.join(known)}" if known else "no address is known"
    return place("MX host", mx["host"], [why])
