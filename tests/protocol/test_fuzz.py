"""No octets make a reader raise, take long, or say what does not fit: a sample, and a million each.

Every reader of octets that a stranger has chosen is here.  What is right for good input is in the
reader's own tests.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st

from crawler.config import Limits
from crawler.probe.policy import retry_after
from crawler.protocol import certificate, sts_policy, sts_record, tlsrpt
from crawler.protocol.dns_wire import HEADER_BYTES, RdType, decode, question
from crawler.protocol.smtp import SmtpDialogue
from crawler.protocol.tls_hello import MOST_OCTETS, HelloReader
from crawler.vocabulary import DnsStatus, IoStatus
from tests.protocol import test_sts_policy, test_sts_record, test_tlsrpt, zoo
from tests.protocol.effort import lines, seconds
from tests.protocol.fuzz import fuzz
from tests.protocol.test_dns_wire import Case, messages
from tests.protocol.test_smtp import PLANNED, SPEECH, converse
from tests.protocol.test_tls_hello import DONE, TLS_1_3, hello, message, read, record, vector

# --- what has to hold of any octets --------------------------------------------------------


def check_record(octets: bytes) -> None:
    for strings in ([octets], [octets[:9], octets[9:]]):
        found = sts_record.select([strings, [b"v=spf1 -all"]])
        assert (found.id is not None) is (found.outcome == "valid")
        assert set(found.problems) <= set(sts_record.PROBLEMS)


def check_tlsrpt(octets: bytes) -> None:
    for strings in ([octets], [octets[:9], octets[9:]]):
        found = tlsrpt.select([strings, [b"v=spf1 -all"]])
        assert bool(found.rua) is (found.outcome == "valid")
        assert set(found.problems) <= set(tlsrpt.PROBLEMS)


def check_policy(octets: bytes) -> None:
    found = sts_policy.parse(octets)
    assert (found.mode is not None) is (found.outcome == "valid")
    assert found.lenient or found.outcome != "valid"
    assert set(found.problems) <= set(sts_policy.PROBLEMS)


def check_speech(octets: bytes) -> None:
    """In one piece, octet by octet, and cut in two at a place that the octets decide."""
    whole = converse([octets])
    assert whole[0].status in IoStatus
    cut = sum(octets) % (len(octets) + 1)
    assert converse([octets[:cut], octets[cut:]]) == whole
    assert converse([octets[n : n + 1] for n in range(len(octets))]) == whole


DNS_TYPES = (RdType.TXT, RdType.MX, RdType.A, RdType.AAAA, RdType.TLSA, RdType.CNAME, RdType.PTR)


def check_message(octets: bytes) -> None:
    """Whatever stands behind a question is an answer to it, or none."""
    rdtype = DNS_TYPES[octets[0] % len(DNS_TYPES)] if octets else RdType.TXT
    asked = question("a.example.com", rdtype)
    header, rest = octets[:10], octets[10:]
    wire = b"\0\1" + header[:2].ljust(2, b"\x80") + b"\0\1" + header[4:10].ljust(6, b"\1")
    found = decode(wire + asked + rest, asked, "a.example.com", rdtype)
    if found is not None:
        assert found.status is DnsStatus.NOERROR or not found.records
        assert (found.error or "").isprintable()


def check_certificate(octets: bytes) -> None:
    facts = certificate.read(octets)
    assert (facts.parse_error or "").isprintable()
    assert (facts.parse_error or "").isascii()
    assert certificate.dns_ids(octets) in ((), facts.names)


def check_flight(octets: bytes) -> None:
    whole = read(octets)
    cut = sum(octets) % (len(octets) + 1)
    assert read(octets[:cut], octets[cut:]) == whole
    assert sum(map(len, whole.certificates)) <= MOST_OCTETS


def check_retry_after(octets: bytes) -> None:
    asked = retry_after(octets.decode("utf-8", "replace"), datetime(2026, 11, 24, tzinfo=UTC))
    assert asked is None or asked >= 0


# --- good ones to begin with ---------------------------------------------------------------


def octets_of(good: bytes | Case) -> bytes:
    """Of a DNS message what follows its id, but for the question."""
    if isinstance(good, bytes):
        return good
    wire = good[0].to_wire(max_size=65535)
    end = wire.index(b"\0", HEADER_BYTES) + 5
    return wire[2:HEADER_BYTES] + wire[end:]


CHAIN = message(11, vector(vector(b"one", 3) + vector(b"two" * 50, 3), 3))
HELLOS = st.sampled_from(
    [
        hello(),
        hello(TLS_1_3, (51, b"\x00\x1d\x00\x20" + bytes(32))),
        hello((23, b""), (35, b""), (0xFF01, b"\0"), session_id=bytes(32), suite=0x0033),
    ]
)
FLIGHTS = st.builds(
    lambda first, exchange, cut: (
        record((first + CHAIN + exchange + DONE)[:cut])
        + record((first + CHAIN + exchange + DONE)[cut:])
    ),
    HELLOS,
    st.sampled_from([b"", message(12, b"\x03\x00\x17"), message(12, vector(bytes(128), 2))]),
    st.integers(0, 300),
)
DATES = st.sampled_from(
    [
        b"120",
        b"Tue, 24 Nov 2026 04:01:00 GMT",
        b"Tuesday, 24-Nov-26 04:01:00 +0100",
        b"Tue Nov 24 04:01:00 2026",
        b"Tue, 24 Nov 0001 04:01:00 -0000",
    ]
)
CERTIFICATES = st.sampled_from(sorted({der for a in zoo.zoo().values() for der in a.chain}))

READERS: dict[str, tuple[st.SearchStrategy[Any], Callable[[bytes], object]]] = {
    "record": (test_sts_record.NEAR_RECORDS, check_record),
    "policy": (test_sts_policy.near_policies(), check_policy),
    "tlsrpt": (test_tlsrpt.NEAR_RECORDS, check_tlsrpt),
    "smtp": (SPEECH | PLANNED, check_speech),
    "dns": (messages(), check_message),
    "certificate": (CERTIFICATES, check_certificate),
    "tls hello": (FLIGHTS, check_flight),
    "retry-after": (DATES, check_retry_after),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_few_hundred_damaged_inputs(reader: str) -> None:
    good, check = READERS[reader]
    assert fuzz(good, check, examples=20, each=30, octets_of=octets_of) >= 600


@pytest.mark.soak
@pytest.mark.parametrize("reader", READERS)
def test_soak_a_million_damaged_inputs(reader: str) -> None:
    good, check = READERS[reader]
    assert fuzz(good, check, examples=4_000, each=250, octets_of=octets_of) >= 1_000_000


def test_every_segmentation_of_a_short_speech() -> None:
    """All 8,192 of them: where a segment ends means nothing."""
    speech = b"220-a\r\n220 b\r\n"
    whole = converse([speech])
    for pattern in range(1 << len(speech) - 1):
        edges = [n + 1 for n in range(len(speech) - 1) if pattern >> n & 1]
        pieces = [speech[a:b] for a, b in zip([0, *edges], [*edges, len(speech)], strict=True)]
        assert converse(pieces) == whole


# --- how long it takes ---------------------------------------------------------------------


def greet(octets: bytes) -> None:
    """A conversation with a host that says so, within the usual limits but for their number."""
    limits = Limits()
    smtp = SmtpDialogue(
        "x", line_bytes=limits.smtp_line_bytes, reply_lines=10**6, reply_bytes=10**7
    )
    smtp.receive(octets)
    smtp.closed()


def greet_slowly(octets: bytes) -> None:
    """The same octet by octet."""
    smtp = SmtpDialogue("x", line_bytes=2048, reply_lines=10**6, reply_bytes=10**7)
    for n in range(len(octets)):
        smtp.receive(octets[n : n + 1])
    smtp.closed()


def answer(octets: bytes) -> None:
    """An answer whose sections are these records, as many as there may be."""
    asked = question("a.example.com", RdType.MX)
    counts = struct.pack("!HHH", len(octets) // 14, 0, 0)
    decode(b"\0\1\x81\x80\0\1" + counts + asked + octets, asked, "a.example.com", RdType.MX)


def own_records(count: int) -> bytes:
    """MX records of the name asked for."""
    fields = struct.pack("!HHIH", RdType.MX, 1, 60, 4)
    return b"".join(b"\xc0\x0c" + fields + n.to_bytes(2, "big") + b"\xc0\x0c" for n in range(count))


def linked_records(count: int) -> bytes:
    """MX records, the owner of each a pointer to the owner of the one before."""
    octets, before, begin = b"", 12, HEADER_BYTES + len(question("a.example.com", RdType.MX))
    fields = struct.pack("!HHIH", RdType.MX, 1, 60, 4) + b"\0\1\xc0\x0c"
    for _ in range(count):
        at = begin + len(octets)
        octets += struct.pack("!H", 0xC000 | before) + fields
        before = at if at < 0x4000 else before
    return octets


def flight(octets: bytes) -> None:
    read(octets)


def flight_slowly(octets: bytes) -> None:
    reader = HelloReader()
    for n in range(len(octets)):
        reader.feed(octets[n : n + 1])


HEAVY: dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes]]] = {
    "smtp: one reply": (greet, lambda n: b"220-x\r\n" * n),
    "smtp: many replies": (greet, lambda n: b"220 x\r\n" * n),
    "smtp: octet by octet": (greet_slowly, lambda n: b"220-xxxxxxxxxxxx\r\n" * (n // 4)),
    "dns: records": (answer, own_records),
    "dns: pointers to pointers": (answer, linked_records),
    "dns: junk": (answer, lambda n: b"\0" * 14 * n),
    "hello: tiny messages": (flight, lambda n: record(message(0, b"")) * n),
    "hello: empty records": (flight, lambda n: record(b"") * n),
    "hello: empty certificates": (flight, lambda n: record(message(11, vector(bytes(3 * n), 3)))),
    "hello: extensions": (flight, lambda n: record(hello(*[(n, b"") for n in range(n)]))),
    "hello: octet by octet": (flight_slowly, lambda n: record(message(0, bytes(n)))),
    "certificate: elements": (certificate.read, lambda n: b"\x30\x82" + vector(b"\5\0" * n, 2)),
}


@pytest.mark.parametrize("case", HEAVY)
def test_twice_the_octets_are_at_most_twice_the_work(case: str) -> None:
    """As lines of Python that run."""
    function, make = HEAVY[case]
    once, twice = [lines(function, make(n)) for n in (200, 400)]
    assert twice <= 2.1 * once + 100


@pytest.mark.soak
@pytest.mark.parametrize("case", HEAVY)
def test_soak_four_times_the_octets_take_about_four_times_as_long(case: str) -> None:
    """As the processor counts, for regular expressions are not made of lines."""
    function, make = HEAVY[case]
    once, four_times = [seconds(function, make(n)) for n in (1_000, 4_000)]
    assert four_times <= 8 * once + 0.002


SEPARATED = {
    "record": (check_record, b"v=STSv1;", (b";", b"a=b;", b"id=1;", b" ", b"=", b"\xff")),
    "tlsrpt": (check_tlsrpt, b"v=TLSRPTv1;rua=x:", (b",", b"x:y,", b"/", b"%41", b";rua=", b"!")),
    "policy": (check_policy, b"version: STSv1\n", (b"\n", b"\r", b" ", b":", b"mx:a.b\n", b"\xff")),
}


@pytest.mark.soak
@pytest.mark.parametrize("reader", SEPARATED)
def test_soak_four_times_the_junk_takes_about_four_times_as_long(reader: str) -> None:
    function, begin, junk = SEPARATED[reader]
    for some in (*junk, *(Random(1).randbytes(n) for n in (3, 17, 300))):
        once, four_times = [seconds(function, begin + some * n) for n in (2_000, 8_000)]
        assert four_times <= 8 * once + 0.002, some
