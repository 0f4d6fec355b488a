"""The two headline verdicts of a domain: what a sender does, and whether anything is wrong.

``sender_outcome`` follows RFC 8461 section 5 for a sender with an empty cache and MTA-STS alone;
``misconfigured`` counts as the 2025 measurement study does.  Both are spelled out in
``JUDGEMENT.md``, over columns that are already judged; how those came about is not asked here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from crawler.vocabulary import Mode, PolicyOutcome, RecordOutcome, SenderOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The judged columns on which the headlines rest, named as in ``Assessment``."""

    record_outcome: RecordOutcome
    policy_outcome: PolicyOutcome
    mode: Mode | None
    mx_total: int | None
    mx_covered: int | None
    mx_passing: int | None
    mx_failing: int | None
    shows_bad_certificate: bool
    """Some MX host shows a certificate that fails."""

    @property
    def uncovered(self) -> int:
        """MX hosts that no pattern covers; 0 where no policy says anything about them."""
        return 0 if self.mx_covered is None else (self.mx_total or 0) - self.mx_covered


# First match wins.  RFC 8461 section 5.1 step by step: is there one record, is there a policy,
# what does its mode ask for, and then the MX hosts - in order of preference, so that one good
# host among bad ones still takes mail (section 8.4), if not all of it.
_SENDER: Final[tuple[tuple[Callable[[Standing], bool], SenderOutcome], ...]] = (
    (lambda s: s.record_outcome is RecordOutcome.UNMEASURED, SenderOutcome.UNMEASURED),
    (lambda s: s.record_outcome is RecordOutcome.ABSENT, SenderOutcome.ABSENT),
    (lambda s: s.record_outcome is not RecordOutcome.VALID, SenderOutcome.FAIL_OPEN),
    (lambda s: s.policy_outcome is PolicyOutcome.UNMEASURED, SenderOutcome.UNMEASURED),
    (lambda s: s.policy_outcome is not PolicyOutcome.VALID, SenderOutcome.FAIL_OPEN),
    (lambda s: s.mode is Mode.NONE, SenderOutcome.OFF),
    (lambda s: s.mode is Mode.TESTING, SenderOutcome.TESTING),
    (lambda s: s.mx_total == 0, SenderOutcome.NO_MAIL),
    (lambda s: s.mx_total is None, SenderOutcome.UNMEASURED),
    (lambda s: bool(s.mx_passing) and bool(s.mx_failing), SenderOutcome.DEGRADED),
    (lambda s: bool(s.mx_passing), SenderOutcome.PROTECTED),
    (lambda s: s.mx_failing == s.mx_total, SenderOutcome.REFUSED),
    (lambda _: True, SenderOutcome.UNMEASURED),
)

_BAD_POLICY: Final = frozenset(
    {
        PolicyOutcome.DNS,
        PolicyOutcome.TCP,
        PolicyOutcome.TLS,
        PolicyOutcome.HTTP,
        PolicyOutcome.SYNTAX,
    }
)


def sender_outcome(standing: Standing) -> SenderOutcome:
    """What a sender with an empty cache and MTA-STS alone does with mail for the domain."""
    return next(outcome for applies, outcome in _SENDER if applies(standing))


def misconfigured(standing: Standing) -> bool | None:
    """Whether a domain that has a record has any bad component; ``None`` if that is not known.

    Hosts without STARTTLS, unmeasured hosts, TLSRPT and DANE never count.
    """
    match standing.record_outcome:
        case RecordOutcome.UNMEASURED:
            return None
        case RecordOutcome.ABSENT:
            return False
        case RecordOutcome.MULTIPLE | RecordOutcome.SYNTAX:
            return True
    asks_for_mx = standing.mode in (Mode.TESTING, Mode.ENFORCE)
    return (
        standing.policy_outcome in _BAD_POLICY
        or (asks_for_mx and standing.uncovered > 0)
        or standing.shows_bad_certificate
    )
