"""What one thing costs, read out of what ``make bench`` wrote.  Pure but for reading files.

Several files may be given, of which the first that has a part counts: a part that was measured on
a quiet machine stands before one that was not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("rates.json")
"""The rates that the page beside it was made with."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """CPU in microseconds, without the start of a process; room in octets."""

    question_cpu: float
    """One question of the names pass: asked, read, written to Parquet."""
    resolver_cpu: float
    """What is left of the cores while a cold resolver and its name server answer one question: at
    the most so much is the resolver's."""
    policy_cpu: float
    mail_cpu: float
    judging_cpu: float
    """One domain of the list judged and sealed, where one in twenty adopts."""
    row: Mapping[str, float]
    """Octets of one row on disk, by table."""
    measured: tuple[str, ...]
    """Where the figures come from, in words."""

    @classmethod
    def recorded(cls) -> Rates:
        """The rates of the page."""
        stated = json.loads(RECORDED.read_text())
        return cls(**{**stated, "measured": tuple(stated["measured"])})

    def as_json(self) -> str:
        """The text of ``rates.json``."""
        return json.dumps(asdict(self), indent=2) + "\n"


class NotMeasured(ValueError):
    """No file has the part that is needed; the text names it."""


def read(benches: Sequence[Mapping[str, Any]]) -> Rates:
    """The rates in what ``make bench`` wrote, the first file with a part counting."""
    scan, scanned_by = _run(benches, "scan", "scan-all", octets=True)
    judged, judged_by = _run(benches, "scan-all", "scan")
    resolver, resolver_by = _client(benches, "resolver", "ours-udp")
    names, names_by = _client(benches, "names", "ours-names")
    policies, policies_by = _client(benches, "policies", "ours-policies")
    mail, mail_by = _client(benches, "mail", "ours-mail")
    rows, octets = scan["rows"], scan["octets"]
    return Rates(
        question_cpu=names["after_start"]["median"] / 3,
        resolver_cpu=1e6 * resolver_by["machine"]["cores"] / resolver["rate"]["median"]
        - resolver["cpu_per_million"]["median"],
        policy_cpu=policies["after_start"]["median"],
        mail_cpu=mail["after_start"]["median"],
        judging_cpu=judged["stages"]["verdicts and seal"]["cpu"] / judged["rows"]["domains"] * 1e6,
        row={table: octets[table] / n for table, n in rows.items() if n},
        measured=tuple(
            f"{what}: {bench['at'][:10]}, {bench['machine']['cpu']}, {bench['machine']['cores']} "
            f"cores, load {bench['machine']['load_average']:.1f} at the start"
            for what, bench in {
                "names": names_by,
                "resolver": resolver_by,
                "policies": policies_by,
                "mail": mail_by,
                "judging": judged_by,
                "room": scanned_by,
            }.items()
        ),
    )


def _client(
    benches: Sequence[Mapping[str, Any]], part: str, client: str
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    for bench in benches:
        found = bench["parts"].get(part, {}).get("clients", {}).get(client)
        if found and found["rate"] and found["after_start"]:
            return found, bench
    raise NotMeasured(f"no file has a run of {client} in the part {part}; make bench makes one")


def _run(
    benches: Sequence[Mapping[str, Any]], *parts: str, octets: bool = False
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """What a whole scan said of itself."""
    for bench in benches:
        for part in parts:
            for round_ in bench["parts"].get(part, {}).get("rounds", ()):
                for run in round_.get("ours-scan", {}).get("details", {}).get("runs", ()):
                    if not octets or "octets" in run:
                        return run, bench
    raise NotMeasured(f"no file has a whole scan in {' or '.join(parts)}; make bench makes one")
