"""What does a domain's ``_smtp._tls`` TXT answer say?

RFC 8460 section 3: at most one record, its version, where to send reports, extensions.  How
the lookup ended is left to the caller, and so is whether anybody answers at those URIs.

    tlsrpt-record = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
    tlsrpt-field  = tlsrpt-rua / tlsrpt-extension     ; Note that the tlsrpt-rua record is required.
    tlsrpt-version = %s"v=TLSRPTv1"
    tlsrpt-rua    = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
    tlsrpt-extension = tlsrpt-ext-name "=" tlsrpt-ext-value

Our readings, where the text leaves a choice:

- ``rua`` is never an extension; ``RUA`` is one (``%s``).
- Several ``rua`` fields are grammatical, and "the record supports the ability to declare more
  than one rua": all of them count, so all of them are judged.  RFC 8460 has no rule, such as
  RFC 8461 has, that the first of a duplicated field wins; of an unknown one, which "SHALL be
  ignored", we show the first.
- "Two URI schemes are supported", ``mailto`` and ``https``, is about senders.  A URI of another
  scheme is a ``tlsrpt-uri`` still, so its record is valid, with a problem to tell.
- The URI is judged by the generic syntax of RFC 3986, not by what its scheme adds to that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from crawler.protocol import txt_record
from crawler.vocabulary import TlsRptOutcome

KIND: Final = txt_record.kind(version=b"v=TLSRPTv1", word=b"tlsrpt")

SUPPORTED_SCHEMES: Final = frozenset({"mailto", "https"})  # RFC 8460 section 3

# tlsrpt-uri = URI, in which "," "!" and ";" MUST be encoded: RFC 3986 appendix A, with these
# three taken out of sub-delims.  Of an IP-literal only the shape is judged.  Each repetition is
# possessive, so that a URI is read once from left to right, whatever it is made of.
_CHAR: Final = r"A-Za-z0-9\-._~$&'()*+="  # unreserved / sub-delims
_PCT: Final = r"%[0-9A-Fa-f]{2}"
_PCHAR: Final = rf"(?:[{_CHAR}:@]|{_PCT})"
_SEGMENTS: Final = rf"(?:/{_PCHAR}*+)*+"
_QUERY: Final = rf"(?:[{_CHAR}:@/?]|{_PCT})*+"  # fragment is the same
_URI: Final = re.compile(
    rf"""
    [A-Za-z][A-Za-z0-9+.\-]*+ :                      # scheme
    (?: // (?: (?:[{_CHAR}:]|{_PCT})*+ @ )?          # authority: userinfo
           (?: \[[{_CHAR}:]++\] | (?:[{_CHAR}]|{_PCT})*+ )    # host: IP-literal, or reg-name
           (?: :[0-9]*+ )?                           # port
           {_SEGMENTS}                               # path-abempty
      | / (?: {_PCHAR}++ {_SEGMENTS} )?              # path-absolute
      | {_PCHAR}++ {_SEGMENTS}                       # path-rootless
      |                                              # path-empty
    )
    (?: \? {_QUERY} )?
    (?: \# {_QUERY} )?
    """.encode("ascii"),
    re.VERBOSE,
)

PROBLEMS: Final = (
    "multiple",  # more than one record is left: section 3 says the domain does not implement it
    "version",  # none is left, and a string resembles a record: case, "TLSRPT1", quotes, a space
    "no-delimiter",  # none is left, and a string has the version but no ";" straight after it
    "non-ascii",  # no rule of the ABNF has room for it
    "no-rua",
    "bad-rua",  # a rua that is no list of URIs: empty, no scheme, a bare "!", a trailing comma
    "bad-extension",  # a field, perhaps an empty one, that is neither a rua nor an extension
    "unsupported-scheme",  # valid: a URI that is neither mailto nor https
    "duplicate-field",  # valid: every rua counts
    "unrelated",  # valid: other strings beside the record
    "multistring",  # valid: the record came in several character-strings
)
"""What may be wrong or unusual with an answer, in the order in which it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsRpt:
    """What a TXT answer amounts to; ``rua`` and ``extensions`` are those of a valid record."""

    outcome: TlsRptOutcome
    """``valid``, ``absent``, ``multiple`` or ``syntax``."""
    rua: tuple[str, ...] = ()
    """Where to send reports: the URIs in order, as written."""
    extensions: tuple[tuple[str, str], ...] = ()
    """Names and values in order, without later duplicates."""
    problems: tuple[str, ...] = ()
    """Words of ``PROBLEMS``."""


def select(records: Sequence[Sequence[bytes]]) -> TlsRpt:
    """What the TXT *records* at ``_smtp._tls``, each a list of character-strings, say together.

    Never raises.  A valid record has at least one URI in ``rua``.
    """
    chosen = txt_record.select(KIND, records)
    if chosen.record is not None:
        return _read(chosen.record, chosen.problems)
    if chosen.several:
        return TlsRpt(outcome=TlsRptOutcome.MULTIPLE, problems=chosen.problems)
    outcome = TlsRptOutcome.SYNTAX if chosen.problems else TlsRptOutcome.ABSENT
    return TlsRpt(outcome=outcome, problems=chosen.problems)


def _read(record: bytes, noted: tuple[str, ...]) -> TlsRpt:
    """The one *record* that is left, by the ABNF; *noted* is what selecting it has shown."""
    fields = list(txt_record.fields(KIND, record))
    first, duplicated = txt_record.first_of_each(KIND, record)
    rua = [uri for name, value in fields if name == b"rua" for uri in _uris(value)]
    faults = {fault for name, value in fields if (fault := _fault(name, value))}
    if not record.isascii():
        faults.add("non-ascii")
    if not rua and "bad-rua" not in faults:
        faults.add("no-rua")
    quirks = {*noted, "duplicate-field"} if duplicated else {*noted}
    if not faults and _schemes(rua) - SUPPORTED_SCHEMES:
        quirks.add("unsupported-scheme")
    problems = tuple(word for word in PROBLEMS if word in faults | quirks)
    if faults:
        return TlsRpt(outcome=TlsRptOutcome.SYNTAX, problems=problems)
    first.pop(b"rua")
    return TlsRpt(
        outcome=TlsRptOutcome.VALID,
        rua=tuple(uri.decode("ascii") for uri in rua),
        extensions=tuple(txt_record.as_text(first).items()),
        problems=problems,
    )


def _uris(value: bytes | None) -> list[bytes]:
    """The parts of a rua *value*: tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri).

    White space belongs to a comma: before the first part and after the last it stays where it
    is, and a URI has no room for it.
    """
    if value is None:
        return []
    head, *tail = value.split(b",")
    if not tail:
        return [head]
    *middle, last = tail
    wsp = txt_record.WSP
    return [head.rstrip(wsp), *(part.strip(wsp) for part in middle), last.lstrip(wsp)]


def _fault(name: bytes, value: bytes | None) -> str | None:
    """What is wrong with a field."""
    # "rua = x" and a bare "rua" were meant as the rua; to say "no-rua" as well would say it twice.
    if name.strip(txt_record.WSP) == b"rua":
        good = name == b"rua" and value is not None and all(map(_URI.fullmatch, _uris(value)))
        return None if good else "bad-rua"
    return None if txt_record.is_extension(name, value) else "bad-extension"


def _schemes(uris: Iterable[bytes]) -> set[str]:
    """The schemes of *uris* in lower case: RFC 3986 section 3.1 calls them case-insensitive."""
    return {uri.partition(b":")[0].decode("ascii").lower() for uri in uris}
