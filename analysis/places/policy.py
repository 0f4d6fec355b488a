"""The policy: how the Policy Host answered, with which certificate, and the lines of its file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from analysis.places import dns, wording
from analysis.places.pointer import Facts, Place, Pointer
from analysis.places.wording import LONGEST, place


def answer(_: Pointer, facts: Facts) -> Iterable[Place]:
    """What came back from the address that speaks for the policy."""
    return [_answer(facts, fetch) for fetch in _chosen(facts)] or [_file(facts)]


def answers(_: Pointer, facts: Facts) -> Iterable[Place]:
    """What came back from every address that was asked."""
    return [_answer(facts, fetch) for fetch in facts["fetches"] or ()] or [_file(facts)]


def certificate(_: Pointer, facts: Facts) -> Iterable[Place]:
    """The certificate that the Policy Host showed."""
    for fetch in _chosen(facts):
        ended = [f"ended with {fetch['status']}", *_alert(fetch)]
        yield place("Certificate", _host(facts, fetch), wording.certificate(fetch) or ended)


def handshake(_: Pointer, facts: Facts) -> Iterable[Place]:
    """What the Policy Host agreed on."""
    for fetch in _chosen(facts):
        yield place("TLS handshake", _host(facts, fetch), wording.handshake(fetch))


def file(pointer: Pointer, facts: Facts) -> Iterable[Place]:
    """The lines of the policy file that the finding is about."""
    for fetch in _chosen(facts):
        yield _file(facts, "", _lines(fetch["body"] or b"", pointer.lines))


def mx_lines(pointer: Pointer, facts: Facts) -> Iterable[Place]:
    """The ``mx`` lines, and the MX records beside them."""
    yield from file(pointer, facts)
    patterns = set(facts["policy_mx"] or ())

    def unnamed(host: str) -> bool:
        return not patterns & {host, f"*.{host.partition('.')[2]}"}

    # Pointing, not judging: the mark stands only where it marks as many hosts as the assessment
    # counts, so that it cannot contradict the verdict.
    hosts = dict.fromkeys(mx["host"] for mx in facts["mx"] or () if mx["host"])
    total, covered = facts["mx_total"], facts["mx_covered"]
    agrees = None not in (total, covered) and sum(map(unnamed, hosts)) == total - covered
    yield dns.mx(facts, lambda h: "  (no mx line)" if agrees and h and unnamed(h) else "")


def _chosen(facts: Facts) -> Sequence[Facts]:
    """The fetch that speaks for the policy, if there was one."""
    return tuple(facts["fetches"] or ())[:1]


def _host(facts: Facts, fetch: Facts) -> str:
    return f"mta-sts.{facts['domain']} at {fetch['address']}, port 443"


def _answer(facts: Facts, fetch: Facts) -> Place:
    if fetch["http_status"] is None:
        seen = [f"ended with {fetch['status']}" + (f", {fetch['error']}" if fetch["error"] else "")]
    else:
        seen = [f"HTTP status {fetch['http_status']}"]
        seen += [f"ended with {fetch['status']}"] if fetch["status"] != "success" else []
    if fetch["location"]:
        seen.append(f"Location: {fetch['location']}")
    if fetch["http_status"] == 200:
        seen.append(f"Content-Type: {fetch['content_type'] or 'none'}")
    tls = [fetch["tls_version"]] if fetch["tls_version"] else []
    return _file(facts, f", at {fetch['address']}", [*seen, *(_alert(fetch) or tls)])


def _alert(fetch: Facts) -> list[str]:
    return [f"TLS alert {fetch['tls_alert']}"] if fetch["tls_alert"] else []


def _file(facts: Facts, at: str = "", seen: Sequence[str] = ("not fetched",)) -> Place:
    return place(
        "Policy file", f"https://mta-sts.{facts['domain']}/.well-known/mta-sts.txt{at}", seen
    )


def _lines(body: bytes, pattern: re.Pattern[str] | None) -> list[str]:
    """The lines of the file that *pattern* points at, with their numbers; else all of them."""
    if not body:
        return ["the file is empty"]
    *ended, last = (line.removesuffix(b"\r") for line in body.split(b"\n"))
    numbered = list(enumerate([*ended, last] if last else ended, 1))
    found = [(n, line) for n, line in numbered if pattern and _points(pattern, line)]
    return [f"line {n}: {wording.text(line)}" for n, line in found or numbered]


def _points(pattern: re.Pattern[str], line: bytes) -> bool:
    # Latin-1 makes one character of every octet, so that the pattern can speak of octets.
    return pattern.search(line[:LONGEST].decode("latin-1")) is not None
