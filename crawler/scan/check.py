"""A few domains, measured now and explained to a person: the passes of a scan, kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crawler.config import Config
from crawler.politeness.opt_out import OptOut
from crawler.records import (
    Assessment,
    CatalogueEntry,
    Domain,
    MailVerdict,
    MxLookup,
    StarttlsSession,
)
from crawler.scan.executor import Local
from crawler.scan.judge import judge_scan
from crawler.scan.planning import planning
from crawler.scan.progress import Progress
from crawler.scan.rounds import run_passes
from crawler.scan.session import open_context, trust_roots
from crawler.snapshot.memory import MemoryWork
from crawler.snapshot.suffixes import Suffixes
from crawler.vocabulary import Scope, SenderOutcome, Severity

SCAN_ID = "check"

MEANS = {
    SenderOutcome.UNMEASURED: "could not be measured",
    SenderOutcome.ABSENT: "no MTA-STS: senders encrypt if they can, and do not check whom they talk to",
    SenderOutcome.FAIL_OPEN: "the policy cannot be used: senders act as if there were none",
    SenderOutcome.OFF: "the policy says none: senders act as if there were none",
    SenderOutcome.TESTING: "the policy is in testing: senders report, and deliver all the same",
    SenderOutcome.NO_MAIL: "the domain takes no mail",
    SenderOutcome.PROTECTED: "senders deliver over verified TLS only",
    SenderOutcome.DEGRADED: "senders deliver over verified TLS, but to some of the MX hosts only",
    SenderOutcome.REFUSED: "senders that honour the policy refuse to deliver",
}

STYLE = {
    Severity.REFUSED: "bold red",
    Severity.NO_POLICY: "red",
    Severity.WARNING: "yellow",
    Severity.NOTE: "cyan",
    Severity.UNMEASURED: "magenta",
}


class Exit(IntEnum):
    """What ``check`` says to a shell."""

    FINE = 0
    WRONG = 1
    UNMEASURED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One domain, judged, with what a person wants to see beside it."""

    assessment: Assessment
    findings: tuple[CatalogueEntry, ...]
    mx: MxLookup
    sessions: tuple[tuple[StarttlsSession, MailVerdict], ...]

    @property
    def exit(self) -> Exit:
        """Wrong outweighs unmeasured: what is known to be wrong can be put right."""
        severities = {entry.severity for entry in self.findings}
        if severities & {Severity.REFUSED, Severity.NO_POLICY}:
            return Exit.WRONG
        if (
            Severity.UNMEASURED in severities
            or self.assessment.sender_outcome is SenderOutcome.UNMEASURED
        ):
            return Exit.UNMEASURED
        return Exit.FINE


async def check(domains: Sequence[str], config: Config) -> list[Report]:
    """Measure and judge the domains, in the order given."""
    suffixes = Suffixes.bundled()
    work = MemoryWork(SCAN_ID, seed=SCAN_ID)
    work.commit(
        "list",
        {
            Domain: [
                Domain(scan_id=SCAN_ID, domain=d, list="command line", tld=d.rpartition(".")[2])
                for d in domains
            ]
        },
    )
    planned = planning(config, seed=SCAN_ID, scope=Scope.ALL)
    progress = Progress(quiet=True)
    opt_out = OptOut(config.politeness.opt_out)
    _, roots = trust_roots(config)
    # A person waits for the answer, and would wait for ever for a canary that is not there.
    unwatched = replace(config, vantage=replace(config.vantage, canaries=()))
    async with open_context(unwatched, planned, work, opt_out, progress, roots=roots) as context:
        await run_passes(context, Local(context))
    judge_scan(work, planned, roots, suffixes.registrable)
    return [_report(work, domain) for domain in domains]


def _report(work: MemoryWork, domain: str) -> Report:
    (assessment,) = (a for a in work.rows[Assessment] if a.domain == domain)
    mx = [row for row in work.rows[MxLookup] if row.domain == domain][-1]
    hosts = [h.host for h in mx.hosts] or [domain]
    verdicts = {(v.host, v.address, v.attempt): v for v in work.rows[MailVerdict]}
    sessions = [
        (session, verdicts[key])
        for session in work.rows[StarttlsSession]
        if (key := (session.host, session.address, session.attempt)) in verdicts
        and session.host in hosts
    ]
    return Report(
        assessment=assessment,
        findings=tuple(e for e in work.rows[CatalogueEntry] if e.id in assessment.findings),
        mx=mx,
        sessions=tuple(sorted(sessions, key=lambda s: (hosts.index(s[0].host), s[0].address))),
    )


# --- for programs --------------------------------------------------------------------------


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain values: the columns of ``assessments``, and each finding explained."""
    facts = {k: v for k, v in asdict(report.assessment).items() if k != "scan_id"}
    facts["findings"] = [
        {k: v for k, v in asdict(entry).items() if k not in ("scan_id", "rules_version")}
        for entry in report.findings
    ]
    facts["mx"] = [asdict(host) for host in report.mx.hosts]
    facts["sessions"] = [
        {
            "host": session.host,
            "address": session.address,
            "status": session.status,
            "outcome": verdict.outcome,
            "tls_version": session.tls_version,
            "certificate_problems": list(verdict.certificate_problems),
        }
        for session, verdict in report.sessions
    ]
    return facts


# --- for people ----------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """One screen.  Text of peers is never interpreted: it is not shown at all, only names are."""
    judged = report.assessment
    console.print(Text(judged.domain, style="bold"))
    console.print(Text(f"  By MTA-STS alone: {MEANS[judged.sender_outcome]}"))
    table = Table.grid(padding=(0, 2))
    for name, value in _facts(report):
        table.add_row(Text(f"  {name}", style="dim"), Text(value))
    console.print(table)
    for entry in report.findings:
        line = Text("  ")
        line.append(f"{entry.severity} ", style=STYLE[entry.severity])
        line.append(f"{entry.id} ", style="bold").append(f"({entry.section})", style="dim")
        console.print(line)
        console.print(Padding(Text(entry.sentence), (0, 0, 0, 4)))
        console.print(Padding(Text(f"→ {entry.fix}"), (0, 0, 0, 4)))
    console.print()


def _facts(report: Report) -> list[tuple[str, str]]:
    judged = report.assessment
    policy = f"{judged.policy_outcome}"
    if judged.mode is not None:
        patterns = ", ".join(judged.policy_mx) or "no mx"
        policy += f", mode {judged.mode}, max_age {judged.max_age} s, {patterns}"
    rows = [
        (
            "record",
            f"{judged.record_outcome}" + (f", id {judged.record_id}" if judged.record_id else ""),
        ),
        ("policy", policy),
        ("MX hosts", _coverage(judged)),
        ("TLSRPT", str(judged.tlsrpt_outcome)),
        ("DANE", str(judged.dane_outcome or "not asked")),
    ]
    for session, verdict in report.sessions:
        problems = ", ".join(verdict.certificate_problems)
        tls = f" {session.tls_version}" if session.tls_version else ""
        rows.append(
            (
                session.host,
                f"{session.address}{tls} {verdict.outcome}{': ' + problems if problems else ''}",
            )
        )
    return rows


def _coverage(judged: Assessment) -> str:
    if judged.mx_total is None:
        return "not known"
    if judged.mx_covered is None:
        return f"{judged.mx_total}"
    return (
        f"{judged.mx_covered} of {judged.mx_total} named by the policy, {judged.mx_passing} pass, "
        f"{judged.mx_failing} fail, {judged.mx_unmeasured} not measured"
    )
