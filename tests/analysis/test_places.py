"""Where a finding points: at a record, a line, an address; never further than its facts."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from analysis.archive import PACKAGE
from analysis.places import KINDS, find
from analysis.places.pointer import Place, Pointer
from analysis.places.wording import LINES, LONGEST
from crawler.assessment.rules import RULES
from crawler.vocabulary import CertificateProblem, DaneOutcome, DnsStatus, MailOutcome, TlsWeakness


def rows() -> Iterator[dict[str, str]]:
    """The rows of ``finding_places.csv``."""
    with (PACKAGE / "reference" / "finding_places.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


POINTERS = {row["finding"]: Pointer.of(row) for row in rows()}

NOTHING: dict[str, Any] = {
    "domain": "a.example", "record": None, "tlsrpt": None, "policy_name": None, "fetches": None,
    "mx": None, "policy_mx": (), "mx_total": None, "mx_covered": None,
}  # fmt: skip


def point(finding: str, **facts: Any) -> tuple[Place, ...]:
    """The places of *finding* in a domain of which only *facts* are known."""
    return find(POINTERS[finding], {**NOTHING, **facts})


def seen(finding: str, **facts: Any) -> tuple[str, ...]:
    """What stands in the first of them."""
    return point(finding, **facts)[0].seen


def fetched(body: bytes, **more: Any) -> dict[str, Any]:
    """A fetch that brought *body*."""
    fetch = {
        "address": "192.0.2.1", "status": "success", "error": None, "outcome": "syntax",
        "tls_version": "TLSv1.3", "tls_alert": None, "http_status": 200, "content_type": None,
        "location": None, "problems": (), "certificate": None, "body": body, "cipher": "ECDHE",
        "tls_group": "x25519", "weaknesses": (), "refusing": (), "unoffered": (),
    }  # fmt: skip
    return {"fetches": [{**fetch, **more}]}


def host(name: str, *sessions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An MX host with its sessions."""
    base = {"preference": 10, "host": name, "aliases": (), "addresses": (), "sessions": sessions}
    return {**base, "tlsa_name": None, "tlsa_status": None, "tlsa": (), **more}


def session(address: str, outcome: str, **more: Any) -> dict[str, Any]:
    """A session that ended so."""
    return {
        "address": address, "status": "success", "error": None, "outcome": outcome, "dane": "none",
        "tls_version": "TLSv1.2", "starttls_reply": None, "problems": (), "certificate": None,
        "cipher": "DHE", "tls_group": "dhe-1024", "weaknesses": (), "refusing": (), "unoffered": (),
        **more,
    }  # fmt: skip


def test_every_rule_has_a_place() -> None:
    """Exactly the ids of the rules, each with a place that this module can find."""
    assert [row["finding"] for row in rows()] != []
    assert set(POINTERS) == {rule.id for rule in RULES}
    assert {pointer.place for pointer in POINTERS.values()} == set(KINDS)


def test_pointers_use_words_of_the_vocabulary() -> None:
    """Outcomes, certificate problems and DANE outcomes, each in use; "certificate" is any problem."""
    lists = (MailOutcome, CertificateProblem, DaneOutcome, TlsWeakness, DnsStatus)
    known = {str(word) for words in lists for word in words} | {"refusing", "unoffered"}
    used = {word for pointer in POINTERS.values() for word in pointer.words}
    assert used <= known
    assert {*map(str, CertificateProblem), *map(str, TlsWeakness)} <= used


@pytest.mark.parametrize("finding", POINTERS)
def test_without_facts_a_place_is_still_named(finding: str) -> None:
    """An older scan may lack any table."""
    for place in point(finding):
        assert "a.example" in place.where
        assert place.seen


# --- records


def test_a_record_is_shown_as_a_zone_file_writes_it() -> None:
    """Each character-string in its quotes, what does not print written out."""
    lookup = {
        "name": "_mta-sts.a.example", "status": "NOERROR", "aliases": ("b.example",),
        "records": ((b"v=STSv1; ", b'id="1"\x1b[31m\xff;'), (b"spf",)),
    }  # fmt: skip
    assert seen("txt-multi", record=lookup) == (
        "alias (CNAME) of b.example",
        r'"v=STSv1; " "id=\"1\"\x1b[31m\xff;"',
        '"spf"',
    )


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("NXDOMAIN", "no such name"),
        ("NO_ANSWER", "no record"),
        ("SERVFAIL", "the lookup failed (SERVFAIL)"),
        ("WHATEVER", "the lookup ended with WHATEVER"),
    ],
)
def test_a_lookup_without_a_record_says_how_it_ended(status: str, says: str) -> None:
    """Absent and not known are two things."""
    lookup = {"name": "x", "status": status, "records": (), "aliases": ()}
    assert seen("rpt-missing", tlsrpt=lookup) == (says,)


# --- the policy


@pytest.mark.parametrize(
    ("finding", "body", "lines"),
    [
        ("pol-mode", b"version: STSv1\nmode: Enforce\n", ["line 2: mode: Enforce"]),
        ("pol-mode", b"version: STSv1\n", ["line 1: version: STSv1"]),  # none: the whole file
        ("pol-version", b"version: STSv2\r\nmode: none", ["line 1: version: STSv2"]),
        ("pol-max-age", b"mode: none\nmax_age: 7d\n", ["line 2: max_age: 7d"]),
        ("pol-mx-bad", b"mx: a.example\nmx: *.b.example\nmx: a@b.example\nmx: c.example.\n",
            ["line 3: mx: a@b.example", "line 4: mx: c.example."]),
        ("pol-mx-bad", b"mx: 192.0.2.1\nmx: mx*.b.example\nmx:\n",
            ["line 1: mx: 192.0.2.1", "line 2: mx: mx*.b.example", "line 3: mx:"]),
        ("pol-mx-missing", b"mode: enforce\nnmx: a.example\n", ["line 2: nmx: a.example"]),
        ("pol-ws", b"mode: none\n\n mx: a\nmax_age : 1\n", ["line 2: ", "line 3:  mx: a", "line 4: max_age : 1"]),
        ("pol-line", b"mode: none\n# hello\nmx\n", ["line 2: # hello", "line 3: mx"]),
        ("pol-line-end", b"version: STSv1\rmode: none\r", [r"line 1: version: STSv1\rmode: none"]),
        ("pol-non-ascii", b"mode: none\nx: caf\xc3\xa9\n", [r"line 2: x: caf\xc3\xa9"]),
        ("pol-unknown-key", b"mode: none\nmodus: none\n", ["line 2: modus: none"]),
        ("pol-any", b"a\nb\n", ["line 1: a", "line 2: b"]),
        ("pol-empty", b"", ["the file is empty"]),
        ("http-bom", b"\xef\xbb\xbfversion: STSv1\n", [r"line 1: \xef\xbb\xbfversion: STSv1"]),
    ],
)  # fmt: skip
def test_the_offending_lines_are_shown(finding: str, body: bytes, lines: list[str]) -> None:
    """With their numbers; where nothing stands out, the file."""
    assert list(seen(finding, **fetched(body))) == lines


def test_a_redirect_shows_where_it_leads() -> None:
    """The URL with the address that was asked, and what came back."""
    (place,) = point("http-3xx", **fetched(b"", http_status=301, location="https://x\x1b/"))
    assert place.where == "https://mta-sts.a.example/.well-known/mta-sts.txt, at 192.0.2.1"
    assert place.seen == ("HTTP status 301", r"Location: https://x\x1b/", "TLSv1.3")


@pytest.mark.parametrize("finding", [f for f, pointer in POINTERS.items() if pointer.lines])
@pytest.mark.parametrize(
    "unit", [b"a", b" ", b"a.", b"\t:", b"a:", b"\r", b"mx:", b"-.", b"mx: a."]
)
def test_a_pattern_takes_no_time_on_a_hostile_file(finding: str, unit: bytes) -> None:
    """Whatever 64 KiB say, on one line or on many."""
    began = time.perf_counter()
    for body in (
        unit * (65536 // len(unit)),
        (unit * 40 + b"\n") * (65536 // (len(unit) * 40 + 1)),
    ):
        assert len(seen(finding, **fetched(body))) <= LINES + 1
    assert time.perf_counter() - began < 2


def test_much_is_cut() -> None:
    """Lines too long and too many, with a word about how many are left."""
    shown = seen("pol-any", **fetched(b"x" * 9999 + b"\n" + b"y\n" * 99))
    assert len(shown[0]) == LONGEST + 1
    assert shown[0].endswith("x…")
    assert len(shown) == LINES + 1
    assert shown[-1] == f"… {100 - LINES} more"


@pytest.mark.parametrize(
    ("total", "covered", "marked"),
    [
        (2, 1, ["10 mx.b.example", "20 a.b.c.example  (no mx line)"]),
        (2, 0, ["10 mx.b.example", "20 a.b.c.example"]),  # the judge says otherwise: no mark
        (None, None, ["10 mx.b.example", "20 a.b.c.example"]),
    ],
)
def test_a_host_without_an_mx_line_is_marked_if_the_judgement_agrees(
    total: int | None, covered: int | None, marked: list[str]
) -> None:
    """This page must not know better than the assessment."""
    facts = {
        **fetched(b"mode: enforce\nmx: *.b.example\n"),
        "policy_mx": ("*.b.example",),
        "mx": [host("mx.b.example"), {**host("a.b.c.example"), "preference": 20}],
        "mx_total": total,
        "mx_covered": covered,
    }
    policy, hosts = point("mxm-some", **facts)
    assert policy.seen == ("line 2: mx: *.b.example",)
    assert list(hosts.seen) == marked


# --- MX hosts

CERTIFICATE = {
    "names": tuple(f"n{number}.example" for number in range(7)),
    "common_name": "cn.example",
    "issuer": "CN=Lab",
    "not_before": datetime(2026, 1, 1),
    "not_after": datetime(2026, 3, 1, 12),
}


def test_only_the_addresses_that_a_finding_is_about_are_shown() -> None:
    """With the certificate's names, dates and issuer."""
    old = session("192.0.2.1", "certificate", problems=("expired",), certificate=CERTIFICATE)
    mx = [
        host("a.example", old, session("192.0.2.2", "pass")),
        host("b.example", session("192.0.2.3", "no-starttls")),
    ]
    (place,) = point("mx-cert-expired", mx=mx)
    assert place.where == "a.example at 192.0.2.1, port 25"
    assert place.seen == (
        "does not pass: expired",
        "issued for n0.example, n1.example, n2.example, n3.example, n4.example and 2 more",
        "valid from 2026-01-01 00:00 UTC to 2026-03-01 12:00 UTC",
        "issued by CN=Lab",
    )
    assert [p.where for p in point("mx-cert-any", mx=mx)] == ["a.example at 192.0.2.1, port 25"]
    assert [p.seen for p in point("mx-no-starttls", mx=mx)] == [("does not offer STARTTLS",)]
    assert len(point("mx-ip-split", mx=mx)) == 3


def test_a_certificate_without_names_shows_its_common_name() -> None:
    """Which is where its owner thinks that the name stands."""
    bare = {**CERTIFICATE, "names": (), "not_after": None}
    bad = session("192.0.2.1", "certificate", problems=("no-san",), certificate=bare)
    shown = seen("mx-cert-name", mx=[host("a.example", bad)])
    assert "issued for no DNS name (common name cn.example)" in shown
    assert "valid from 2026-01-01 00:00 UTC to an unknown time" in shown


def test_a_host_that_was_not_measured_says_why() -> None:
    """Not reached, without an address, and left out are three things."""
    mx = [
        host("a.example", session("192.0.2.1", "unmeasured", status="io-timeout", error="late")),
        host("b.example"),
        host("c.example", addresses=("192.0.2.9",)),
        host("d.example", session("192.0.2.4", "pass")),
    ]
    assert [(place.where, place.seen[0]) for place in point("mx-unknown", mx=mx)] == [
        ("a.example at 192.0.2.1, port 25", "could not be measured, io-timeout: late"),
        ("b.example", "no address is known"),
        ("c.example", "not contacted; it has 192.0.2.9"),
    ]


def test_a_refusal_is_quoted() -> None:
    """In the words of the host, which cannot act on a terminal."""
    refused = session("192.0.2.1", "starttls-refused", starttls_reply=b"454 \x1b[1mno\r\n")
    assert seen("mx-tls-fail", mx=[host("a.example", refused)]) == (
        "offers STARTTLS and then refuses it",
        r"454 \x1b[1mno",
    )


def test_tlsa_records_are_shown_of_the_hosts_that_fail_them() -> None:
    """As a zone file writes them."""
    record = {"usage": 3, "selector": 1, "matching_type": 1, "data": b"\xab" * 32}
    mx = [
        host("a.example", session("192.0.2.1", "pass", dane="mismatch"), tlsa_name="_25._tcp.a.example", tlsa=(record,)),
        host("b.example", session("192.0.2.2", "pass", dane="match"), tlsa_name="_25._tcp.b.example", tlsa=(record,)),
    ]  # fmt: skip
    (place,) = point("dane-mismatch", mx=mx)
    assert (place.where, place.seen) == ("_25._tcp.a.example", (f"3 1 1 {'ab' * 32}",))
    assert len(point("dane-insecure", mx=mx)) == 2  # no session says which: all that have any
    lost = host("c.example", tlsa_name="_25._tcp.c.example", tlsa_status="SERVFAIL")
    (place,) = point("dane-bogus", mx=[*mx, lost])
    assert (place.where, place.seen) == ("_25._tcp.c.example", ("the lookup failed (SERVFAIL)",))


def test_a_handshake_shows_what_was_agreed_on_and_whom_it_does_not_suit() -> None:
    """Of the addresses with that weakness."""
    weak = session("192.0.2.1", "pass", weaknesses=("short-dh-prime",), refusing=("Postfix",))
    mx = [host("a.example", weak, session("192.0.2.2", "pass", unoffered=("Exim",)))]
    (place,) = point("mx-weak-dh", mx=mx)
    assert place.where == "a.example at 192.0.2.1, port 25"
    assert place.seen == ("TLSv1.2, DHE, dhe-1024", "weak: short-dh-prime", "breaks off: Postfix")
    assert point("mx-sender-refuses", mx=mx) == (place,)
    assert [p.seen[-1] for p in point("mx-tls-unoffered", mx=mx)] == ["does not offer it: Exim"]
    assert seen("tls-unoffered", **fetched(b"", unoffered=("curl",))) == (
        "TLSv1.3, ECDHE, x25519",
        "does not offer it: curl",
    )


def test_a_null_mx_and_an_implicit_one_are_told_apart() -> None:
    """From each other, and from no answer."""
    assert seen("no-mail", mx=[host("", preference=0)]) == ("0 .",)
    implicit = [host("a.example", preference=None)]
    assert seen("mx-malformed", mx=implicit) == (
        "none, so the domain itself takes its mail: a.example",
    )
    assert seen("no-mail", mx=[]) == ("none, and no mail server",)
