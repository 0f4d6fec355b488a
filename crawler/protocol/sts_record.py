"""What does a domain's ``_mta-sts`` TXT answer say?

RFC 8461 section 3.1: at most one record, its version, an ``id``, extensions.  How the lookup
ended is left to the caller (an NXDOMAIN never comes here), and so is the policy itself.

The ABNF, which stays within US-ASCII as the section demands:

    sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
    sts-field       = sts-id / sts-extension     ; Note that sts-id record is required.
    sts-version     = %s"v=STSv1"
    sts-id          = %s"id=" 1*32(ALPHA / DIGIT)
    sts-extension   = sts-ext-name "=" sts-ext-value

The order of the fields is not significant.  Our readings, where the text leaves a choice:

- ``id`` is never an extension, though a bad one would fit that rule; ``ID`` is one (``%s``).
- Section 3.2 speaks of TXT records and policies when it says of a duplicated field: "all
  entries except for the first SHALL be ignored".  So the first counts, and a later one is not
  judged: ``id=1; id=?`` is valid, ``id=?; id=1`` is not.  A second ``v`` is a duplicate too.
- A record that is no record of ours is told from one that was meant to be: see
  ``txt_record.kind`` for what resembles a record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crawler.protocol import txt_record
from crawler.vocabulary import RecordOutcome

KIND: Final = txt_record.kind(version=b"v=STSv1", word=b"sts")

# sts-id = %s"id=" 1*32(ALPHA / DIGIT)
_ID: Final = re.compile(rb"[A-Za-z0-9]{1,32}")

PROBLEMS: Final = (
    "multiple",  # more than one record is left: section 3.1 says there is then no policy
    "version",  # none is left, and a string resembles a record: case, "STS1", quotes, a space
    "no-delimiter",  # none is left, and a string has the version but no ";" straight after it
    "non-ascii",  # section 3.1: "MUST be US-ASCII"
    "no-id",
    "bad-id",  # the first id is not 1 to 32 letters and digits
    "bad-extension",  # a field, perhaps an empty one, that is neither an id nor an extension
    "duplicate-field",  # valid: the first one counts
    "unrelated",  # valid: other strings beside the record
    "multistring",  # valid: the record came in several character-strings
)
"""What may be wrong or unusual with an answer, in the order in which it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StsRecord:
    """What a TXT answer amounts to; ``id`` and ``extensions`` are those of a valid record."""

    outcome: RecordOutcome
    """``valid``, ``absent``, ``multiple`` or ``syntax``."""
    id: str | None = None
    extensions: tuple[tuple[str, str], ...] = ()
    """Names and values in order, without later duplicates."""
    problems: tuple[str, ...] = ()
    """Words of ``PROBLEMS``."""


def select(records: Sequence[Sequence[bytes]]) -> StsRecord:
    """What the TXT *records* at ``_mta-sts``, each a list of character-strings, say together.

    Never raises.  A valid record has 1 to 32 letters and digits as its ``id``.
    """
    chosen = txt_record.select(KIND, records)
    if chosen.record is not None:
        return _read(chosen.record, chosen.problems)
    if chosen.several:
        return StsRecord(outcome=RecordOutcome.MULTIPLE, problems=chosen.problems)
    outcome = RecordOutcome.SYNTAX if chosen.problems else RecordOutcome.ABSENT
    return StsRecord(outcome=outcome, problems=chosen.problems)


def _read(record: bytes, noted: tuple[str, ...]) -> StsRecord:
    """The one *record* that is left, by the ABNF; *noted* is what selecting it has shown."""
    first, duplicated = txt_record.first_of_each(KIND, record)
    faults = {fault for name, value in first.items() if (fault := _fault(name, value))}
    if not record.isascii():
        faults.add("non-ascii")
    if b"id" not in first and "bad-id" not in faults:
        faults.add("no-id")
    quirks = {*noted, "duplicate-field"} if duplicated else {*noted}
    problems = tuple(word for word in PROBLEMS if word in faults | quirks)
    if faults:
        return StsRecord(outcome=RecordOutcome.SYNTAX, problems=problems)
    text = txt_record.as_text(first)
    return StsRecord(
        outcome=RecordOutcome.VALID,
        id=text.pop("id"),
        extensions=tuple(text.items()),
        problems=problems,
    )


def _fault(name: bytes, value: bytes | None) -> str | None:
    """What is wrong with the first field of this *name*."""
    # "id = 1" and a bare "id" were meant as the id; to say "no-id" as well would say it twice.
    if name.strip(txt_record.WSP) == b"id":
        good = name == b"id" and value is not None and _ID.fullmatch(value) is not None
        return None if good else "bad-id"
    return None if txt_record.is_extension(name, value) else "bad-extension"
