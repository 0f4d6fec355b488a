"""Is this body a policy, or this response one, and what does the policy say?

RFC 8461 section 3.2 (the file) and section 3.3 (which response may carry it).  What happened
on the way to the response is left to the caller, and so is whether a policy suits its domain.

The ABNF, section 3.2:

    sts-policy-record = sts-policy-field *WSP *(sts-policy-term sts-policy-field *WSP)
                        [sts-policy-term]
    sts-policy-term   = LF / CRLF
    sts-policy-field  = sts-policy-version / sts-policy-mode / sts-policy-max-age /
                        sts-policy-mx / sts-policy-extension
    sts-policy-version = %s"version" sts-policy-field-delim %s"STSv1"
                         (and so on: name, delimiter, value)
    sts-policy-field-delim = ":" *WSP

So white space may follow the colon or end a line, and stand nowhere else; one final line end
is optional, and an empty line is no line.  Our readings, where the text leaves a choice:

- A field of one of the four names is never an extension, though a bad value would fit that rule:
  else ``mode: enforced`` would be valid.  ``Mode`` is an extension (``%s``).
- "If any non-repeated field -- i.e., all fields excepting "mx" -- is duplicated, all entries
  except for the first SHALL be ignored": a later one is not judged, whatever its value is.
- Any other line that fits no rule invalidates the file, and so does a bad ``mx`` in mode none.
- The order of the fields is free: the ABNF has none.
- "CRLF-separated" in the prose and LF in the ABNF: both, and mixed (erratum 6253, reported).

``lenient`` is the same verdict when empty lines are skipped, since deployed senders skip them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from crawler.protocol import mx_match
from crawler.vocabulary import Mode, PolicyOutcome

MAX_AGE_MAX: Final = 31_557_600  # RFC 8461 section 3.2: "maximum value of 31557600", one year

BODY_MAX: Final = 64 * 1024  # RFC 8461 section 3.3: "a suggested maximum ... is 64 kilobytes"

PROBLEMS: Final = (
    "http-status",  # section 3.3: "only valid if the HTTP response code is 200 (OK)"
    "too-large",  # more than BODY_MAX octets
    "content-coding",  # a coding that was not asked for; what is below it was not read
    "media-type",  # not a fault: section 3.2 has a SHOULD for text/plain, which senders skip
    "empty",  # no octets at all; nothing else is told
    "html",  # markup in place of a policy; nothing else is told
    "bom",  # a byte order mark, which no field begins with; nothing else is told
    "non-ascii",  # beyond US-ASCII where only an extension's value may be, and only in UTF-8
    "line-end",  # a bare CR, or the two characters "\\" and "n" in place of a line feed
    "blank-line",  # the one thing that ``lenient`` forgives
    "whitespace",  # before a field, before its colon, or a line of nothing else
    "malformed-line",  # any other line that is no field
    "version",  # no version, or the first is not STSv1
    "mode",  # no mode, or the first is not testing, enforce or none
    "max-age",  # no max_age, or the first is not 1 to 10 digits or more than a year
    "mx-missing",  # required "except when mode is "none""
    "mx-bad",  # an mx that is no pattern
    "duplicate-key",  # not a fault: the first one counts
    "unknown-key",  # not a fault: "unknown fields SHALL be ignored"
)
"""What may be wrong or unusual with a response or a body, in the order in which it is told."""

_NOT_FAULTS: Final = frozenset({"media-type", "duplicate-key", "unknown-key"})
_WSP: Final = b" \t"

# sts-policy-ext-name = (sts-policy-alphanum) *31(sts-policy-alphanum / "_" / "-" / ".")
_NAME: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")

# sts-policy-ext-value = sts-policy-vchar [*(%x20 / sts-policy-vchar) sts-policy-vchar]
# sts-policy-vchar     = %x21-7E / UTF8-2 / UTF8-3 / UTF8-4
#
# Without the spaces at its ends (the delimiter's, the line's), that is: at least one octet, no
# control character, and UTF-8 by RFC 3629 section 4, which is Python's strict decoder.
_EXT_VALUE: Final = re.compile(rb"[\x20-\x7E\x80-\xFF]+")

# sts-policy-max-age-value = 1*10(DIGIT).  Erratum 7282 (reported) would have 8; leading zeros
# make the difference, and the grammar in force permits them.
_MAX_AGE: Final = re.compile(rb"[0-9]{1,10}")

_MODES: Final = frozenset(mode.value.encode("ascii") for mode in Mode)

_BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # UTF-8, UTF-16 LE, BE
_MARKUP: Final = re.compile(rb"(?:\xEF\xBB\xBF)?\s*+<[!?/A-Za-z]")
_ESCAPED_LINE_END: Final = re.compile(rb"\\[nr]")


@dataclass(frozen=True, slots=True, kw_only=True)
class StsPolicy:
    """What a body or response amounts to; the values are those of a valid policy, else empty."""

    outcome: PolicyOutcome
    """``valid`` or ``syntax``; of a response also ``http``."""
    mode: Mode | None = None
    max_age: int | None = None
    """Seconds for which a sender may keep the policy."""
    mx: tuple[str, ...] = ()
    """The mx patterns in order, in lower case."""
    extensions: tuple[tuple[str, str], ...] = ()
    """Unknown fields in order, without later duplicates."""
    lenient: bool = False
    """It would be valid, or is, when empty lines are skipped."""
    problems: tuple[str, ...] = ()
    """Words of ``PROBLEMS``."""


def from_response(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> StsPolicy:
    """What an HTTPS response amounts to: its *status* code, header fields, and *body* undecoded.

    Never raises.  A body that was cut must be given with at least one octet over ``BODY_MAX``,
    or it passes for a whole one.  RFC 8461 section 3.3; redirects are answers like any other.
    """
    values = [(name.strip().lower(), value.strip().lower()) for name, value in headers]
    codings = {value for name, value in values if name == b"content-encoding"}
    refusals = {
        "http-status": status != 200,
        "too-large": len(body) > BODY_MAX,
        "content-coding": bool(codings - {b"", b"identity"}),
    }
    if any(refusals.values()):
        problems = tuple(word for word, holds in refusals.items() if holds)
        return StsPolicy(outcome=PolicyOutcome.HTTP, problems=problems)
    policy = parse(body)
    # RFC 8461 section 3.2: "senders SHOULD validate that the media type is "text/plain""; its
    # parameters are ignored.  Several Content-Type fields must then all say so.
    media = [value.partition(b";")[0].strip() for name, value in values if name == b"content-type"]
    if media and all(value == b"text/plain" for value in media):
        return policy
    return replace(policy, problems=("media-type", *policy.problems))


def parse(body: bytes) -> StsPolicy:
    """What a policy *body* says.  Never raises, and takes time proportional to its length."""
    if instead := _no_text_at_all(body):
        return StsPolicy(outcome=PolicyOutcome.SYNTAX, problems=(instead,))
    first: dict[bytes, bytes] = {}
    mx: list[bytes] = []
    problems: set[str] = set()
    for line in _lines(body):
        name, value, slips = _field(line)
        problems |= slips
        if name == b"mx":
            mx.append(value)
        elif name in first:
            problems.add("duplicate-key")
        elif name is not None:
            first[name] = value
    problems |= {word for name, value in first.items() if (word := _problem(name, value))}
    problems |= {word for value in mx if (word := _problem(b"mx", value))}
    # Where the line ends are wrong, fields have run into each other: none is called missing.
    if "line-end" not in problems:
        problems |= _missing(first, mx)
    return _verdict(first, mx, problems)


def _no_text_at_all(body: bytes) -> str | None:
    """The one thing to tell of a body in which looking for fields would only make noise."""
    if not body:
        return "empty"
    if _MARKUP.match(body):
        return "html"
    if body.startswith(_BYTE_ORDER_MARKS):
        return "bom"
    return None


def _lines(body: bytes) -> list[bytes]:
    """The lines of *body* without their terms (LF / CRLF), the last of which is optional."""
    *ended, last = body.split(b"\n")
    lines = [line.removesuffix(b"\r") for line in ended]
    return [*lines, last] if last else lines


def _field(line: bytes) -> tuple[bytes | None, bytes, frozenset[str]]:
    """A *line* as name and value, and what it slips up on; the name is None if it is no field.

    A field that is only indented, or spaced out before its colon, is read on as if it were
    not, so that one slip is told once and not a second time as a missing field.
    """
    before, colon, value = line.partition(b":")
    name = before.strip(_WSP)
    if colon and _NAME.fullmatch(name) and b"\r" not in line:
        return name, value.strip(_WSP), frozenset({"whitespace"} if name != before else ())
    return None, b"", frozenset({_why_no_field(line)})


def _why_no_field(line: bytes) -> str:
    if not line:
        return "blank-line"
    if b"\r" in line:
        return "line-end"
    if not line.strip(_WSP):
        return "whitespace"
    return "malformed-line" if line.isascii() else "non-ascii"


# What a value must be, by the name of its field, and what to tell when it is not.


def _is_version(value: bytes) -> bool:
    return value == b"STSv1"  # sts-policy-version-value = %s"STSv1"


def _is_mode(value: bytes) -> bool:
    return value in _MODES  # sts-policy-mode-value = %s"testing" / %s"enforce" / %s"none"


def _is_max_age(value: bytes) -> bool:
    return _MAX_AGE.fullmatch(value) is not None and int(value) <= MAX_AGE_MAX


def _is_mx(value: bytes) -> bool:
    return value.isascii() and mx_match.is_pattern(value.decode("ascii"))


_KNOWN: Final[Mapping[bytes, tuple[Callable[[bytes], bool], str]]] = MappingProxyType(
    {
        b"version": (_is_version, "version"),
        b"mode": (_is_mode, "mode"),
        b"max_age": (_is_max_age, "max-age"),
        b"mx": (_is_mx, "mx-bad"),
    }
)


def _problem(name: bytes, value: bytes) -> str | None:
    """What is wrong with, or to be told about, the *value* of the field *name*."""
    if name not in _KNOWN:
        return _extension_problem(value) or "unknown-key"
    is_value, word = _KNOWN[name]
    if is_value(value):
        return None
    return "line-end" if _ESCAPED_LINE_END.search(value) else word


def _extension_problem(value: bytes) -> str | None:
    if not _EXT_VALUE.fullmatch(value):
        return "malformed-line"
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return "non-ascii"
    return None


def _missing(first: Mapping[bytes, bytes], mx: Sequence[bytes]) -> set[str]:
    """What the policy lacks: each field "required once", and mx "except when mode is "none""."""
    words = {_KNOWN[name][1] for name in (b"version", b"mode", b"max_age") if name not in first}
    mode = first.get(b"mode", b"")
    if not mx and _is_mode(mode) and mode != b"none":
        words.add("mx-missing")
    return words


def _verdict(first: Mapping[bytes, bytes], mx: Sequence[bytes], problems: set[str]) -> StsPolicy:
    faults = problems - _NOT_FAULTS
    lenient = not faults - {"blank-line"}
    told = tuple(word for word in PROBLEMS if word in problems)
    if faults:
        return StsPolicy(outcome=PolicyOutcome.SYNTAX, lenient=lenient, problems=told)
    return StsPolicy(
        outcome=PolicyOutcome.VALID,
        mode=Mode(first[b"mode"].decode("ascii")),
        max_age=int(first[b"max_age"]),
        mx=tuple(value.decode("ascii").lower() for value in mx),
        extensions=tuple(
            (name.decode("ascii"), value.decode("utf-8"))
            for name, value in first.items()
            if name not in _KNOWN
        ),
        lenient=lenient,
        problems=told,
    )
