"""Records: what stands at a name, or how its lookup ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Final

from analysis.places.pointer import Facts, Place, Pointer
from analysis.places.wording import place, quoted

_ENDED: Final = MappingProxyType(
    {
        "NOERROR": "no record",
        "NO_ANSWER": "no record",
        "NXDOMAIN": "no such name",
        "SERVFAIL": "the lookup failed (SERVFAIL)",
        "TIMEOUT": "no answer in time",
        "opted-out": "not asked: opted out",
    }
)


def record(_: Pointer, facts: Facts) -> Iterable[Place]:
    """The MTA-STS record."""
    yield _txt(facts["record"], f"_mta-sts.{facts['domain']}")


def tlsrpt(_: Pointer, facts: Facts) -> Iterable[Place]:
    """The TLSRPT record."""
    yield _txt(facts["tlsrpt"], f"_smtp._tls.{facts['domain']}")


def _txt(lookup: Facts | None, name: str) -> Place:
    if lookup is None:
        return place("TXT record", name, ["not looked up"])
    records = [" ".join(map(quoted, strings)) for strings in lookup["records"] or ()]
    seen = [*aliases(lookup), *(records or [_ended(lookup["status"])])]
    return place("TXT record", lookup["name"] or name, seen)


def policy_name(_: Pointer, facts: Facts) -> Iterable[Place]:
    """The addresses of the Policy Host."""
    lookup, where = facts["policy_name"], f"mta-sts.{facts['domain']}"
    if lookup is None:
        yield place("A and AAAA records", where, ["not looked up"])
        return
    none = "no address" if lookup["status"] == "NOERROR" else _ended(lookup["status"])
    seen = [*aliases(lookup), *(lookup["addresses"] or [none])]
    yield place("A and AAAA records", where, seen)


def mx_records(_: Pointer, facts: Facts) -> Iterable[Place]:
    """The MX records of the domain."""
    yield mx(facts)


def mx(facts: Facts, mark: Callable[[str], str] = lambda _: "") -> Place:
    """The MX records of the domain, each with what *mark* says of its host."""
    seen = [_mx_line(line, mark(line["host"])) for line in facts["mx"] or ()]
    return place("MX records", facts["domain"], seen or ["none, and no mail server"])


def _mx_line(line: Facts, mark: str) -> str:
    host = line["host"] or "."
    if line["preference"] is None:
        return f"none, so the domain itself takes its mail: {host}{mark}"
    return f"{line['preference']} {host}{mark}"


def tlsa(pointer: Pointer, facts: Facts) -> Iterable[Place]:
    """The TLSA records of the hosts that the finding is about, or of all that have any."""
    asked = [host for host in facts["mx"] or () if host["tlsa_name"]]
    picked = [host for host in asked if not pointer.words.isdisjoint(_dane_words(host))]
    for host in picked or [host for host in asked if host["tlsa"]]:
        seen = [
            f"{r['usage']} {r['selector']} {r['matching_type']} {r['data'].hex()}"
            for r in host["tlsa"] or ()
        ]
        yield place("TLSA records", host["tlsa_name"], seen or [_ended(host["tlsa_status"])])


def _dane_words(host: Facts) -> set[str]:
    """What DANE made of a host's addresses, and how the lookup ended."""
    return {host["tlsa_status"], *(session["dane"] for session in host["sessions"] or ())}


def aliases(lookup: Facts) -> list[str]:
    """The names that a name is redirected to."""
    return [f"alias (CNAME) of {name}" for name in lookup["aliases"] or ()]


def _ended(status: str) -> str:
    """How a lookup ended that brought nothing."""
    return _ENDED.get(status, f"the lookup ended with {status}")
