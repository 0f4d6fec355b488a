"""The first screen of a report in words, from the answers of two questions.

Every number comes from a row of ``summary`` or ``components``; this module picks rows and writes
sentences, so that the words cannot disagree with the tables.  It counts nothing and divides
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.tables import percent, whole

Row = Mapping[str, Any]

# What a faulty component is called in the middle of a sentence.
_CULPRIT: Final = {
    "record": "the DNS record, which is malformed or not the only one",
    "policy": "the policy file, which cannot be fetched over verified HTTPS or is malformed",
    "certificate": "a mail server's certificate, which does not pass for its name",
    "pattern": "the policy's list of mail servers, which leaves one out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BigNumber:
    """One number of the first screen."""

    number: str
    label: str
    base: str
    """What it is a number of."""
    interval: str
    """The 95 % interval; empty for a count."""
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """What a reader would ask, and the answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The first screen: sentences to read and numbers to look at."""

    headline: str
    paragraphs: tuple[Paragraph, ...]
    numbers: tuple[BigNumber, ...]


def of(summary: Sequence[Row], components: Sequence[Row], before: Sequence[Row] = ()) -> Story:
    """The story of one scan; *before* is the summary of the scan before it, if there was one."""
    found = {str(row["measure"]): row for row in summary}
    if not found:
        return Story(headline="No domain of this scan has been judged.", paragraphs=(), numbers=())
    worst = _worst(components) if found["adopted"]["n"] else None
    told = {"What is not known?": _left_out(found)}
    if found["adopted"]["n"]:
        told = {
            "How many get it right?": _right(found),
            "What goes wrong?": _wrong(worst),
            "What happens to mail?": _sender(found),
            **told,
            "Is it getting better?": _change(found, {str(row["measure"]): row for row in before}),
        }
    return Story(
        headline=_adopted(found),
        paragraphs=tuple(Paragraph(question=q, answer=a) for q, a in told.items() if a),
        numbers=_numbers(found, worst) if found["adopted"]["n"] else _numbers(found, None)[:2],
    )


def interval(row: Row) -> str:
    """The 95 % interval of a row, for people."""
    if row["low"] is None:
        return ""
    return f"{percent(row['low']).removesuffix(' %')}–{percent(row['high'])}"


def domains(number: int) -> str:
    """So many domains."""
    return "1 domain" if number == 1 else f"{whole(number)} domains"


def _worst(components: Sequence[Row]) -> Row | None:
    """The component that is faulty most often; of equals, the first."""
    faulty = [r for r in components if r["verdict"] == "faulty" and r["component"] in _CULPRIT]
    return max(faulty, key=lambda row: int(row["n"]), default=None)


def _adopted(found: Mapping[str, Row]) -> str:
    row = found["adopted"]
    if not row["n"]:
        return f"None of the {domains(row['of_n'])} that could be measured publishes an MTA-STS record."
    verb = "publishes" if row["n"] == 1 else "publish"
    return (
        f"Of {domains(row['of_n'])} that could be measured, {whole(row['n'])} {verb} an MTA-STS "
        f"record: {percent(row['share'])}."
    )


def _right(found: Mapping[str, Row]) -> str:
    right, wrong = found["right"], found["misconfigured"]
    return (
        f"Of those that publish one, {whole(right['n'])} have everything right "
        f"({percent(right['share'])}) and {whole(wrong['n'])} are misconfigured "
        f"({percent(wrong['share'])})."
    )


def _wrong(worst: Row | None) -> str:
    if worst is None:
        return ""
    return (
        f"Most often {_CULPRIT[str(worst['component'])]}: {domains(worst['n'])}, "
        f"{percent(worst['share'])} of those that publish a record."
    )


def _sender(found: Mapping[str, Row]) -> str:
    protected, open_, refused = (found[m] for m in ("protected", "fail-open", "refused"))
    return (
        "A mail server that honours MTA-STS and meets these domains for the first time delivers to "
        f"{whole(protected['n'])} over verified encryption or not at all "
        f"({percent(protected['share'])}). For {whole(open_['n'])} it finds no usable policy and "
        f"delivers without that protection ({percent(open_['share'])}). To {whole(refused['n'])} it "
        f"cannot deliver ({percent(refused['share'])})."
    )


def _left_out(found: Mapping[str, Row]) -> str:
    row, partly = found["adopted"], found["not fully measured"]
    if not row["left_out"] and not partly["n"]:
        return ""
    text = (
        f"The record of {domains(row['left_out'])} could not be measured, and {whole(partly['n'])} that "
        "publish one could be looked at only in part; they count neither as right nor as wrong. "
        f"Whatever they are, {_bound(row)} of all domains publish a record"
    )
    return (
        f"{text}, and {_bound(found['right'])} of these have everything right."
        if row["n"]
        else f"{text}."
    )


def _bound(row: Row) -> str:
    """What a share can be at the least and at the most."""
    least, most = percent(row["at_least"]), percent(row["at_most"])
    return most if least == most else f"between {least} and {most}"


def _change(found: Mapping[str, Row], before: Mapping[str, Row]) -> str:
    if not before:
        return "One scan cannot tell. The next one of the same list will."
    then, now = before["adopted"], found["adopted"]
    wrong_then, wrong_now = before["misconfigured"], found["misconfigured"]
    return (
        f"In the scan before, {percent(then['share'])} had adopted it; now it is "
        f"{percent(now['share'])}. Of those, {percent(wrong_then['share'])} were misconfigured; now it "
        f"is {percent(wrong_now['share'])}."
    )


def _numbers(found: Mapping[str, Row], worst: Row | None) -> tuple[BigNumber, ...]:
    measured, adopted, right, protected = (
        found[m] for m in ("measured", "adopted", "right", "protected")
    )
    numbers = [
        BigNumber(
            number=whole(measured["n"]),
            label="domains measured",
            base=f"of {whole(measured['of_n'])} on the list",
            interval="",
            tone="plain",
        ),
        _number(adopted, f"publish MTA-STS: {whole(adopted['n'])}", "domains measured", "plain"),
        _number(right, f"of them are right: {whole(right['n'])}", "that publish it", "good"),
        _number(
            protected,
            f"are protected in transit: {whole(protected['n'])}",
            "that publish it",
            "good",
        ),
    ]
    if worst is not None:
        label = {
            "record": "DNS record",
            "policy": "policy file",
            "certificate": "mail server certificate",
        }
        name = label.get(str(worst["component"]), "list of mail servers")
        numbers.insert(
            3,
            _number(worst, f"have a faulty {name}: {whole(worst['n'])}", "that publish it", "bad"),
        )
    return tuple(numbers)


def _number(row: Row, label: str, base: str, tone: str) -> BigNumber:
    return BigNumber(
        number=percent(row["share"]),
        label=label,
        base=f"of {whole(row['of_n'])} {base}",
        interval=interval(row),
        tone=tone,
    )
