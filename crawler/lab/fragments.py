"""What most scenarios share: the parts of a domain that does everything right, to depart from.

A literal of the catalogue then shows only the part that it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from crawler.lab.scenario import (
    ENFORCE_MAX_AGE,
    Fault,
    MailHost,
    PolicyHost,
    Scenario,
    Truth,
)
from crawler.vocabulary import Mode, PolicyOutcome, RecordOutcome, SenderOutcome

RECORD: Final = '_mta-sts    TXT   "v=STSv1; id={id};"\n'
REPORTS: Final = '_smtp._tls  TXT   "v=TLSRPTv1; rua=mailto:tls-reports@{domain}"\n'
HOST: Final = "mta-sts     A     {policy}\n"
MX1: Final = """
@           MX    10 mx1
mx1         A     {mx1}
"""
OPERATOR_MX: Final = """
@           MX    10 mx1.{operator}.
@           MX    20 mx2.{operator}.
"""
MANAGED: Final = """
_mta-sts       CNAME  {txt_alias}.
mta-sts        CNAME  {host_alias}.
{txt_alias}.   TXT    "v=STSv1; id={id};"
{host_alias}.  A      {provider}
"""
"""Both names delegated to a managed policy host (RFC 8461 section 8.2)."""

GOOD: Final = MailHost()
ONE: Final[Mapping[str, MailHost]] = MappingProxyType({"mx1": GOOD})
TWO: Final[Mapping[str, MailHost]] = MappingProxyType({"mx1": GOOD, "mx2": GOOD})


def policy_text(mode: Mode, *mx: str, max_age: int = ENFORCE_MAX_AGE) -> str:
    """A policy file as RFC 8461 section 3.2 has it, in the order of its examples."""
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {m}" for m in mx), f"max_age: {max_age}"]
    return "".join(f"{line}\r\n" for line in lines)


ENFORCE: Final = PolicyHost(body=policy_text(Mode.ENFORCE, "mx1.{domain}"))
TESTING: Final = PolicyHost(body=policy_text(Mode.TESTING, "mx1.{domain}"))
OPERATOR_ENFORCE: Final = PolicyHost(body=policy_text(Mode.ENFORCE, "*.{operator}"))
OPERATOR_TESTING: Final = PolicyHost(body=policy_text(Mode.TESTING, "*.{operator}"))


def scenario(
    name: str,
    why: str,
    *,
    record: str = RECORD,
    reports: str = REPORTS,
    host: str = HOST,
    mx: str = MX1,
    policy: PolicyHost | None = ENFORCE,
    mail: Mapping[str, MailHost] = ONE,
    faults: Mapping[str, Fault] | None = None,
    truth: Truth,
    **rest: Any,
) -> Scenario:
    """A scenario that departs from the good domain only where it says so."""
    return Scenario(
        name=name,
        why=why,
        zone=record + reports + host + mx,
        policy=policy,
        mail=mail,
        faults=MappingProxyType(dict(faults or {})),
        truth=truth,
        **rest,
    )


def ids(*findings: str) -> frozenset[str]:
    """A set of finding ids."""
    return frozenset(findings)


def no_policy(outcome: PolicyOutcome, *findings: str, **departures: Any) -> Truth:
    """The truth where a good record has no valid policy behind it: a sender fails open."""
    columns: dict[str, Any] = {
        "policy_outcome": outcome,
        "policy_lenient": False if outcome is PolicyOutcome.SYNTAX else None,
        "mode": None,
        "max_age": None,
        "mx_covered": None,
        "mx_passing": None,
        "mx_failing": None,
        "mx_unmeasured": None,
        "misconfigured": True,
        "sender_outcome": SenderOutcome.FAIL_OPEN,
        "findings": frozenset(findings),
    }
    return Truth(**(columns | departures))


def no_record(*findings: str, **departures: Any) -> Truth:
    """The truth where ``_mta-sts`` has no record: no policy is asked for."""
    columns: dict[str, Any] = {
        "record_outcome": RecordOutcome.ABSENT,
        "misconfigured": False,
        "sender_outcome": SenderOutcome.ABSENT,
    }
    return no_policy(PolicyOutcome.NOT_FETCHED, *findings, **(columns | departures))


def bad_record(outcome: RecordOutcome, *findings: str, **departures: Any) -> Truth:
    """The truth where the record is no good, and everything behind it would be."""
    columns: dict[str, Any] = {
        "record_outcome": outcome,
        "misconfigured": True,
        "sender_outcome": SenderOutcome.FAIL_OPEN,
        "findings": frozenset(findings),
    }
    return Truth(**(columns | departures))


def unmeasured_record(*findings: str, **departures: Any) -> Truth:
    """The truth where the record could not be looked up, and everything behind it is good."""
    columns: dict[str, Any] = {
        "record_outcome": RecordOutcome.UNMEASURED,
        "misconfigured": None,
        "sender_outcome": SenderOutcome.UNMEASURED,
        "findings": frozenset(findings),
    }
    return Truth(**(columns | departures))


def failing(*findings: str, **departures: Any) -> Truth:
    """The truth where the policy is valid and enforced, and its one MX host must not be used."""
    columns: dict[str, Any] = {
        "mx_passing": 0,
        "mx_failing": 1,
        "sender_outcome": SenderOutcome.REFUSED,
        "findings": frozenset(findings),
    }
    return Truth(**(columns | departures))


def unknown(*findings: str, **departures: Any) -> Truth:
    """The truth where the policy is valid and enforced, and its one MX host could not be measured."""
    columns: dict[str, Any] = {
        "mx_passing": 0,
        "mx_unmeasured": 1,
        "sender_outcome": SenderOutcome.UNMEASURED,
        "findings": frozenset(findings),
    }
    return Truth(**(columns | departures))
