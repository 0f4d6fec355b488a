"""The DNS reader against dnspython, on usual, unusual, damaged and hostile messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import FrameType
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.protocol import dns_unusual
from crawler.protocol.dns_wire import (
    HEADER_BYTES,
    Message,
    NameTooLong,
    RdType,
    decode,
    encode_query,
    mixed_case,
    queries,
    question,
)
from crawler.records import Tlsa
from crawler.vocabulary import DnsStatus

QNAME = "_mta-sts.example.com"


# --- building and reading ------------------------------------------------------------------


def response(
    *answer: str,
    qname: str = QNAME,
    rdtype: str = "TXT",
    rcode: int = 0,
    flags: dns.flags.Flag = dns.flags.Flag(0),  # noqa: B008 -- an immutable value
    authority: Sequence[str] = (),
    additional: Sequence[str] = (),
    edns: bool = True,
    options: Sequence[dns.edns.Option] = (),
    recursion: bool = True,
) -> bytes:
    """A response on the wire; records are lines of a master file with absolute names."""
    query = dns.message.make_query(f"{qname}.", rdtype, id=1)
    message = dns.message.make_response(query, recursion_available=recursion)
    message.flags |= flags
    if edns:
        message.use_edns(0, payload=1232, options=list(options))
    message.set_rcode(dns.rcode.Rcode(rcode))
    for section, lines in (
        (message.answer, answer),
        (message.authority, authority),
        (message.additional, additional),
    ):
        for line in lines:
            owner, ttl, kind, rdata = line.split(maxsplit=3)
            section.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, rdata))
    return message.to_wire(max_size=65535)


def read(message: bytes, qname: str = QNAME, rdtype: int = RdType.TXT, **options: Any) -> Message:
    """What we make of *message*, which has to answer the question."""
    answer = decode(message, question(qname, rdtype), qname, rdtype, **options)
    assert answer is not None
    return answer


def asks_dnspython(reading: Callable[[], object]) -> bool:
    """Whether *reading* hands the message over to the slow reader."""
    seen = False

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal seen
        seen = seen or (event == "call" and frame.f_code is dns_unusual.read.__code__)

    previous = sys.getprofile()
    sys.setprofile(watch)
    try:
        reading()
    finally:
        sys.setprofile(previous)
    return seen


# --- asking --------------------------------------------------------------------------------


def test_a_query_is_what_dnspython_reads_as_one() -> None:
    """RD and AD set, one question, EDNS with 1232 octets and no DO."""
    query = dns.message.from_wire(encode_query(QNAME, RdType.TXT, 0xBEEF))
    assert query.id == 0xBEEF
    assert query.flags == dns.flags.RD | dns.flags.AD
    assert query.question == [dns.rrset.from_text(f"{QNAME}.", 0, "IN", "TXT")]
    assert (query.edns, query.payload, query.ednsflags) == (0, 1232, 0)


def test_the_query_template_is_the_query_without_its_id() -> None:
    query = encode_query(QNAME, RdType.MX, 0x1234)
    assert queries([b"\x12\x34"], [question(QNAME, RdType.MX)]) == [query]


def test_buffer_size_and_do_bit_can_be_asked_for() -> None:
    query = dns.message.from_wire(encode_query("", RdType.SOA, 1, bufsize=4096, do=True))
    assert query.question[0].name == dns.name.root
    assert (query.payload, query.ednsflags) == (4096, dns.flags.DO)


@pytest.mark.parametrize(
    "name",
    [
        "a" * 64 + ".example",  # RFC 1035 section 2.3.4: a label of 64 octets
        ".".join(["a" * 49] * 5) + ".abcd",  # 256 octets on the wire
        "_smtp._tls." + ".".join(["a" * 61] * 4) + ".de",  # a prefix takes a legal domain over it
        "a\\." + "a" * 62 + ".example",  # the same, with an escape
    ],
)
def test_a_name_that_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(NameTooLong):
        question(name, RdType.TXT)


@pytest.mark.parametrize(
    "name",
    [
        "a..example",  # an empty label
        ".example",
        "example.",  # a final dot: not in normal form
        "a\\",  # an escape of nothing
        "\u00e4.example",  # U-labels never reach the wire
    ],
)
def test_what_is_no_name_is_our_mistake(name: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- whatever its text
        question(name, RdType.TXT)
    assert not isinstance(caught.value, NameTooLong)


@pytest.mark.parametrize(
    "name", ["", "a" * 63, ".".join(["a" * 49] * 5) + ".abc", "a\\.b.c", "\\000.x"]
)
def test_every_name_of_the_dns_can_be_asked_for(name: str) -> None:
    wire = question(name, RdType.A)
    assert wire[:-4] == dns.name.from_text(name, dns.name.root).to_wire()
    assert wire[-4:] == b"\0\1\0\1"


@given(bits=st.integers(min_value=0, max_value=2**64))
def test_mixed_case_changes_letters_only(bits: int) -> None:
    plain = question("_mta-sts.Example-1.com", RdType.TXT)
    mixed = mixed_case(plain, bits)
    assert mixed.lower() == plain.lower()
    assert mixed[-4:] == plain[-4:]


# --- believing -----------------------------------------------------------------------------

ASKED = question(QNAME, RdType.TXT)


def believed(message: bytes, *, exact_case: bool = False) -> bool:
    """Whether *message* is taken as an answer to ``ASKED``, whatever it says."""
    return decode(message, ASKED, QNAME, RdType.TXT, exact_case=exact_case) is not None


def test_a_response_to_the_question_is_believed() -> None:
    assert believed(response())


def test_case_of_the_name_matters_only_when_asked_for() -> None:
    message = response(qname=QNAME.upper())
    assert believed(message)
    assert not believed(message, exact_case=True)


@pytest.mark.parametrize(
    "message",
    [
        encode_query(QNAME, RdType.TXT, 1),  # a query, not a response
        response(rdtype="MX"),  # another type
        response(qname="_mta-sts.example.net"),  # another name
        response(qname=f"x.{QNAME}"),  # a longer name
        response()[:2] + b"\xa8" + response()[3:],  # another opcode: NOTIFY
        response()[:4] + b"\0\2" + response()[6:],  # two questions
        response()[:4] + b"\0\0" + response()[6:],  # none, though its octets are there
        response()[:12],  # a bare header
        response()[:20],  # cut within the question
        b"",
    ],
)
def test_anything_else_is_not_believed(message: bytes) -> None:
    assert not believed(message)


# --- the usual answers, and that they are read without dnspython ---------------------------

USUAL = [
    (
        response(f'{QNAME}. 300 TXT "v=STSv1; id=1;"'),
        QNAME,
        RdType.TXT,
        Message(DnsStatus.NOERROR, ((b"v=STSv1; id=1;",),), ttl=300, recursion_available=True),
    ),
    (
        response(f'{QNAME}. 9 TXT "b" "c"', f'{QNAME}. 7 TXT "a"', flags=dns.flags.AD),
        QNAME,
        RdType.TXT,
        Message(DnsStatus.NOERROR, ((b"a",), (b"b", b"c")), (), 7, True, True),
    ),
    (
        response("example.com. 60 MX 20 mx2.Example.NET.", "example.com. 60 MX 10 mx.example.com.",
                 qname="example.com", rdtype="MX"),
        "example.com",
        RdType.MX,
        Message(DnsStatus.NOERROR, ((10, "mx.example.com"), (20, "mx2.example.net")), (), 60, False, True),
    ),
    (
        response("example.com. 60 MX 0 .", qname="example.com", rdtype="MX"),
        "example.com",
        RdType.MX,
        Message(DnsStatus.NOERROR, ((0, ""),), (), 60, False, True),
    ),
    (
        response("mx.example.com. 60 A 192.0.2.10", "mx.example.com. 60 A 192.0.2.9",
                 qname="mx.example.com", rdtype="A"),
        "mx.example.com",
        RdType.A,
        Message(DnsStatus.NOERROR, ("192.0.2.9", "192.0.2.10"), (), 60, False, True),
    ),
    (
        response("a.example. 60 AAAA 2001:db8:0:0:1::1", "a.example. 60 AAAA ::ffff:192.0.2.1",
                 qname="a.example", rdtype="AAAA"),
        "a.example",
        RdType.AAAA,
        Message(DnsStatus.NOERROR, ("::ffff:192.0.2.1", "2001:db8::1:0:0:1"), (), 60, False, True),
    ),
    (
        response("a.example. 50 CNAME B.example.", "B.example. 40 CNAME c.b.Example.",
                 "c.b.Example. 60 A 192.0.2.1", qname="a.example", rdtype="A"),
        "a.example",
        RdType.A,
        Message(DnsStatus.NOERROR, ("192.0.2.1",), ("b.example", "c.b.example"), 40, False, True),
    ),
    (
        response("a.example. 50 CNAME b.example.", qname="a.example", rdtype="CNAME"),
        "a.example",
        RdType.CNAME,
        Message(DnsStatus.NOERROR, ("b.example",), (), 50, False, True),
    ),
    (
        response("1.2.0.192.in-addr.arpa. 50 PTR mx.example.com.", qname="1.2.0.192.in-addr.arpa",
                 rdtype="PTR"),
        "1.2.0.192.in-addr.arpa",
        RdType.PTR,
        Message(DnsStatus.NOERROR, ("mx.example.com",), (), 50, False, True),
    ),
    (
        response("_25._tcp.mx.example. 50 TLSA 3 1 0 0a0b", qname="_25._tcp.mx.example", rdtype="TLSA",
                 flags=dns.flags.AD),
        "_25._tcp.mx.example",
        RdType.TLSA,
        Message(
            DnsStatus.NOERROR,
            (Tlsa(usage=3, selector=1, matching_type=0, data=b"\x0a\x0b"),), (), 50, True, True,
        ),
    ),
    (
        response(rcode=3, authority=["example.com. 300 SOA ns.example.com. h.example.com. 1 2 3 4 5"]),
        QNAME,
        RdType.TXT,
        Message(DnsStatus.NXDOMAIN, recursion_available=True),
    ),
    (
        response(f"{QNAME}. 5 CNAME gone.example.", rcode=3, edns=False),
        QNAME,
        RdType.TXT,
        Message(DnsStatus.NXDOMAIN, (), ("gone.example",), 5, False, True),
    ),
    (response(), QNAME, RdType.TXT, Message(DnsStatus.NO_ANSWER, recursion_available=True)),
    (
        response(f"{QNAME}. 5 CNAME there.example."),
        QNAME,
        RdType.TXT,
        Message(DnsStatus.NO_ANSWER, (), ("there.example",), 5, False, True),
    ),
    (
        response(f"{QNAME}. 5 TXT partial", flags=dns.flags.TC),
        QNAME,
        RdType.TXT,
        Message(DnsStatus.TRUNCATED, recursion_available=True),
    ),
]  # fmt: skip


ROOT_SERVERS = ". 300 NS a.root-servers.example."


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (response(recursion=False, authority=[ROOT_SERVERS]), DnsStatus.SERVFAIL),
        (response(recursion=False), DnsStatus.SERVFAIL),
        (response(recursion=False, edns=False), DnsStatus.SERVFAIL),
        (response(f"{QNAME}. 5 CNAME there.example.", recursion=False), DnsStatus.SERVFAIL),
        (response(recursion=False, flags=dns.flags.AA), DnsStatus.NO_ANSWER),
        (response(authority=[ROOT_SERVERS]), DnsStatus.NO_ANSWER),
        (response(recursion=False, rcode=3), DnsStatus.NXDOMAIN),
        (response(f"{QNAME}. 5 TXT x", recursion=False), DnsStatus.NOERROR),
    ],
    ids=[
        "upward referral",
        "nothing at all",
        "no EDNS",
        "an alias that nobody followed",
        "authoritative",
        "recursed",
        "NXDOMAIN",
        "a record",
    ],
)
def test_d15_a_referral_does_not_say_that_there_is_no_record(
    message: bytes, status: DnsStatus
) -> None:
    """RFC 2308 section 2.2: it looks like NODATA, and nobody has looked for the record."""
    assert read(message).status is status


@pytest.mark.parametrize(("message", "qname", "rdtype", "expected"), USUAL)
def test_usual_answers(message: bytes, qname: str, rdtype: RdType, expected: Message) -> None:
    assert read(message, qname, rdtype) == expected
    assert not asks_dnspython(lambda: read(message, qname, rdtype))


# --- statuses ------------------------------------------------------------------------------

RCODES = {
    1: DnsStatus.FORMERR,
    2: DnsStatus.SERVFAIL,
    4: DnsStatus.NOTIMP,
    5: DnsStatus.REFUSED,
    6: DnsStatus.YXDOMAIN,
    7: DnsStatus.YXRRSET,
    8: DnsStatus.NXRRSET,
    9: DnsStatus.NOTAUTH,
    10: DnsStatus.NOTZONE,
    16: DnsStatus.BADVERS,  # 12 bits, the upper eight in OPT (RFC 6891 section 6.1.3)
}


@pytest.mark.parametrize(("rcode", "status"), RCODES.items())
def test_rcodes_have_their_words(rcode: int, status: DnsStatus) -> None:
    assert read(response(rcode=rcode)).status is status


@pytest.mark.parametrize("rcode", [11, 15, 23, 3841])
def test_other_rcodes_keep_their_number(rcode: int) -> None:
    message = read(response(rcode=rcode))
    assert (message.status, message.error) == (DnsStatus.OTHER_RCODE, f"RCODE {rcode}")


def test_records_beside_a_failure_are_not_used() -> None:
    assert read(response(f"{QNAME}. 5 TXT x", rcode=2)).records == ()


def ede(code: int, text: str | None = None) -> dns.edns.Option:
    return dns.edns.EDEOption(dns.edns.EDECode(code), text)


def raw_option(code: int, octets: bytes) -> dns.edns.Option:
    return dns.edns.GenericOption(dns.edns.OptionType(code), octets)


@pytest.mark.parametrize(
    ("option", "error"),
    [
        (ede(6), "EDE 6 (dnssec bogus)"),
        (ede(22, "at 192.0.2.1"), "EDE 22 (no reachable authority): at 192.0.2.1"),
        (ede(4711, "x"), "EDE 4711: x"),  # not registered
        (ede(0, "a\x1b[31mb\n"), "EDE 0 (other): a\ufffd[31mb\ufffd"),  # no escapes
        (raw_option(15, b"\0"), None),  # too short to be one
        (raw_option(10, b"12345678"), None),  # a cookie explains nothing
    ],
)
def test_a_failure_is_explained_by_its_extended_error(
    option: dns.edns.Option, error: str | None
) -> None:
    """RFC 8914 section 2; the resolver's words end up on terminals, so they are made printable."""
    message = read(response(rcode=2, options=[option]))
    assert (message.status, message.error) == (DnsStatus.SERVFAIL, error)


def test_an_unreadable_option_does_not_hide_the_rcode() -> None:
    wire = response(rcode=2, options=[ede(6, "text")])
    cut = wire.replace(b"\0\x0f\0\x06", b"\0\x0f\xff\x06")  # the option claims to be longer
    assert read(cut).error is None
    assert read(cut).status is DnsStatus.SERVFAIL


# --- aliases -------------------------------------------------------------------------------


def chain(length: int, *end: str) -> bytes:
    names = [QNAME, *(f"n{i}.example" for i in range(length))]
    return response(*(f"{a}. 60 CNAME {b}." for a, b in pairwise(names)), *end)


@pytest.mark.parametrize("length", [1, 11])
def test_a_chain_within_the_cap_is_followed(length: int) -> None:
    message = read(chain(length, f"n{length - 1}.example. 60 TXT x"))
    assert message.records == ((b"x",),)
    assert len(message.cname_chain) == length


@pytest.mark.parametrize(("length", "hops"), [(12, 11), (40, 11), (2, 1)])
def test_a_chain_beyond_the_cap_is_not(length: int, hops: int) -> None:
    message = read(chain(length, f"n{length - 1}.example. 60 TXT x"), cname_hops=hops)
    assert message.status is DnsStatus.CNAME_TOO_LONG
    assert message.records == ()
    assert len(message.cname_chain) == hops + 1


@pytest.mark.parametrize(
    "records",
    [
        [f"{QNAME}. 60 CNAME {QNAME}."],  # itself
        [f"{QNAME}. 60 CNAME b.example.", f"b.example. 60 CNAME {QNAME}."],
        [
            f"{QNAME}. 60 CNAME b.example.",
            "b.example. 60 CNAME c.example.",
            "c.example. 60 CNAME B.example.",
        ],
    ],
)
@pytest.mark.parametrize("rcode", [0, 2])
def test_a_loop_is_a_loop_whatever_the_rcode(records: list[str], rcode: int) -> None:
    message = read(response(*records, rcode=rcode))
    assert message.status is DnsStatus.CNAME_LOOP
    assert message.records == ()


def test_records_out_of_order_are_followed_by_name() -> None:
    message = read(response("b.example. 60 TXT x", f"{QNAME}. 60 CNAME b.example."))
    assert (message.records, message.cname_chain) == (((b"x",),), ("b.example",))


def test_data_beside_an_alias_wins() -> None:
    message = read(
        response(
            f"{QNAME}. 60 CNAME b.example.", f"{QNAME}. 60 TXT here", "b.example. 60 TXT there"
        )
    )
    assert message.records == ((b"here",),)


def test_signatures_and_dnames_among_the_answer_are_passed_over() -> None:
    message = read(
        response(
            "example.com. 60 DNAME example.net.",
            f"{QNAME}. 60 CNAME _mta-sts.example.net.",
            "_mta-sts.example.net. 60 TXT x",
            "_mta-sts.example.net. 60 RRSIG TXT 8 3 60 20300101000000 20200101000000 1 example.net. AAAA",
        )
    )
    assert message.records == ((b"x",),)


# --- record data ---------------------------------------------------------------------------


def raw_txt(*rdata: bytes, ttl: int = 60) -> bytes:
    """A response whose TXT records have exactly the octets *rdata*."""
    header = b"\0\1\x81\x80\0\1" + len(rdata).to_bytes(2, "big") + b"\0\0\0\0"
    fixed = b"\xc0\x0c\0\x10\0\1" + ttl.to_bytes(4, "big")
    records = b"".join(fixed + len(d).to_bytes(2, "big") + d for d in rdata)
    return header + ASKED + records


@pytest.mark.parametrize(
    ("rdata", "strings"),
    [
        (b"", ()),  # RFC 1035 section 3.3.14 wants one or more; we keep what came
        (b"\0", (b"",)),
        (b"\0\0\0", (b"", b"", b"")),
        (b"\3\0\xff\n", (b"\0\xff\n",)),  # NUL, not UTF-8, a line feed
        (b"\2ab\1c", (b"ab", b"c")),
        ((b"\xff" + b"x" * 255) * 255, (b"x" * 255,) * 255),  # the most that a record can hold
    ],
)
def test_character_strings_are_kept_as_octets(rdata: bytes, strings: tuple[bytes, ...]) -> None:
    assert read(raw_txt(rdata)).records == (strings,)


@pytest.mark.parametrize("rdata", [b"\1", b"\5abcd", b"\2ab\xff"])
def test_a_string_longer_than_its_record_is_malformed(rdata: bytes) -> None:
    message = read(raw_txt(rdata))
    assert message.status is DnsStatus.MALFORMED
    assert message.error


def test_tlsa_data_of_the_wrong_length_is_kept() -> None:
    """Whether a record is of any use is judged later (RFC 7671 section 5.2); it was published."""
    asked = question("_25._tcp.mx.example", RdType.TLSA)
    record = b"\xc0\x0c\0\x34\0\1\0\0\0\x3c\0\4\3\1\1\xab"
    message = b"\0\1\x81\x80\0\1\0\1\0\0\0\0" + asked + record
    found = read(message, "_25._tcp.mx.example", RdType.TLSA).records
    assert found == (Tlsa(usage=3, selector=1, matching_type=1, data=b"\xab"),)


def test_a_ttl_with_the_top_bit_is_zero() -> None:
    """RFC 2181 section 8."""
    assert read(raw_txt(b"\1a", ttl=0x80000000)).ttl == 0


def test_equal_records_are_one() -> None:
    assert read(raw_txt(b"\1b", b"\1a", b"\1b")).records == ((b"a",), (b"b",))


def test_sixty_four_kilobytes_of_records_are_read() -> None:
    records = [b"\2" + i.to_bytes(2, "big") for i in range(4300)]
    assert len(read(raw_txt(*records)).records) == 4300


def raw_mx(target: bytes) -> bytes:
    """A response to the MX question for example.com with the octets *target* as its exchange."""
    asked = question("example.com", RdType.MX)
    rdata = b"\0\x0a" + target
    return (
        b"\0\1\x81\x80\0\1\0\1\0\0\0\0" + asked
        + b"\xc0\x0c\0\x0f\0\1\0\0\0\x3c" + len(rdata).to_bytes(2, "big") + rdata
    )  # fmt: skip


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"\xc0\x0c", "example.com"),
        (b"\2mx\xc0\x0c", "mx.example.com"),
        (b"\2MX\xc0\x14", "mx.com"),  # a pointer to the second label
        (b"\2mx\xc0\x18", "mx"),  # a pointer to the root at the end of the question
        (b"\xc0\x18", ""),
        (b"\0", ""),
        (b"\2mx\3net\0", "mx.net"),
        (b"\3a.b\0", r"a\.b"),  # a dot within a label
        (b"\3a b\0", r"a\032b"),
        (b"\2\xff;\0", r"\255\;"),
        (b"\1\xc1\0", r"\193"),  # not a pointer: a label of one octet, and the root
        (b"\x3f" + b"m" * 63 + b"\xc0\x0c", "m" * 63 + ".example.com"),
    ],
)
def test_names_in_records(target: bytes, host: str) -> None:
    """Lower case, no final dot, and odd octets as dnspython escapes them (RFC 1035 section 5.1)."""
    assert read(raw_mx(target), "example.com", RdType.MX).records == ((10, host),)


@pytest.mark.parametrize(
    "target",
    [
        b"",  # no name at all
        b"\2mx",  # no end
        b"\2mx\3net\0x",  # something after the end
        b"\xc0",  # half a pointer
        b"\xc0\x2a",  # a pointer into the preference: a label of ten octets, which are not there
        b"\xc0\x2b",  # a pointer to itself
        b"\2mx\xc0\x2b",  # a loop of one label
        b"\xff\xff",  # a pointer out of the message
        b"\x40ab\0",  # label types 01 and 10 are gone (RFC 6891 section 5)
        b"\x80ab\0",
        (b"\x3f" + b"m" * 63) * 4 + b"\0",  # 257 octets
        (b"\x3f" + b"m" * 63) * 3 + b"\x3a" + b"m" * 58 + b"\xc0\x0c",  # too long once expanded
    ],
)
def test_broken_names_are_malformed(target: bytes) -> None:
    assert read(raw_mx(target), "example.com", RdType.MX).status is DnsStatus.MALFORMED


def test_two_pointers_that_lead_to_each_other_are_malformed() -> None:
    asked = question("example.com", RdType.MX)
    at = HEADER_BYTES + len(asked)
    # Two records whose owner names point at each other's.
    first = (0xC000 | at + 12).to_bytes(2, "big") + b"\0\x0f\0\1\0\0\0\0\0\0"
    second = (0xC000 | at).to_bytes(2, "big") + b"\0\x0f\0\1\0\0\0\0\0\0"
    message = b"\0\1\x81\x80\0\1\0\2\0\0\0\0" + asked + first + second
    assert read(message, "example.com", RdType.MX).status is DnsStatus.MALFORMED


# --- OPT -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        response() + b"x",  # octets after the end
        response(edns=False) + b"x",
        response()[:-1],  # an end too soon
        response()[:11] + b"\2" + response()[12:] + b"\0\0\x29\4\xd0\0\0\0\0\0\0",  # two OPTs
        response(edns=False)[:10] + b"\0\2" + ASKED,  # two records announced, none there
        response(edns=False)[:6]
        + b"\xff\xff\0\0\0\0"
        + ASKED,  # 65,535 records announced, none there
        response()[:8] + b"\0\1\0\0" + response()[12:],  # an OPT in the authority section
    ],
)
def test_broken_sections_are_malformed(message: bytes) -> None:
    assert read(message).status is DnsStatus.MALFORMED


def test_records_beside_the_answer_are_not_read() -> None:
    """They are passed over by their length: their content can neither help nor harm."""
    garbage = b"\xc0\x0c\0\x01\0\1\0\0\0\0\0\1x"  # an A record of one octet
    plain = response(f"{QNAME}. 60 TXT x", edns=False)
    message = plain[:8] + b"\0\1\0\1" + plain[12:] + garbage + garbage
    assert read(message).records == ((b"x",),)


# --- against dnspython ---------------------------------------------------------------------


def oracle(message: bytes, qname: str, rdtype: int, *, lenient: bool) -> Message | None:
    """What dnspython reads, with the chain followed by hand; None when it refuses the message."""
    try:
        parsed = dns.message.from_wire(message, continue_on_error=lenient)
    except dns.exception.DNSException:
        return None
    if parsed.flags & dns.flags.TC:
        status = DnsStatus.TRUNCATED
        return Message(
            status,
            (),
            (),
            None,
            bool(parsed.flags & dns.flags.AD),
            bool(parsed.flags & dns.flags.RA),
        )
    name = dns.name.from_text(qname, dns.name.root)
    seen = [name]
    followed: list[dns.name.Name] = []
    ttl: list[int] = []
    found = None
    ended: DnsStatus | None = None
    while ended is None:
        found = parsed.get_rrset(
            parsed.answer, name, dns.rdataclass.IN, dns.rdatatype.RdataType(rdtype)
        )
        alias = parsed.get_rrset(parsed.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME)
        if found is not None or alias is None:
            break
        name = alias[0].target
        followed.append(name)
        ttl.append(alias.ttl)
        if name in seen:
            ended = DnsStatus.CNAME_LOOP
        elif len(followed) > 11:
            ended = DnsStatus.CNAME_TOO_LONG
        seen.append(name)
    if ended is not None:
        found = None
    if found is not None:
        ttl.append(found.ttl)
    rcode = int(parsed.rcode())
    if ended is None and rcode:
        ended = {**RCODES, 3: DnsStatus.NXDOMAIN}.get(rcode, DnsStatus.OTHER_RCODE)
    if ended is None:
        answered = parsed.flags & (dns.flags.AA | dns.flags.RA)
        absent = DnsStatus.NO_ANSWER if answered else DnsStatus.SERVFAIL
        ended = DnsStatus.NOERROR if found else absent
    return Message(
        ended,
        tuple(sorted(map(value, found), key=repr)) if found and ended is DnsStatus.NOERROR else (),
        tuple(text(n) for n in followed),
        min(ttl, default=None),
        bool(parsed.flags & dns.flags.AD),
        bool(parsed.flags & dns.flags.RA),
    )


def text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def value(rdata: Any) -> Any:
    """One record in the form that ``Message`` promises, straight from dnspython's attributes."""
    match dns.rdatatype.to_text(rdata.rdtype):
        case "TXT":
            return rdata.strings
        case "MX":
            return rdata.preference, text(rdata.exchange)
        case "A" | "AAAA":
            return rdata.address
        case "CNAME" | "PTR" | "NS":
            return text(rdata.target)
        case "TLSA":
            return Tlsa(
                usage=rdata.usage,
                selector=rdata.selector,
                matching_type=rdata.mtype,
                data=rdata.cert,
            )
        case _:
            return rdata.to_text()


def agree(message: bytes, qname: str, rdtype: int) -> None:
    """Our reading is dnspython's, or one of the stated departures."""
    ours = decode(message, question(qname, rdtype), qname, rdtype)
    if ours is None:
        return
    strict = oracle(message, qname, rdtype, lenient=False)
    if ours.status is DnsStatus.MALFORMED:
        assert strict is None
        return
    if rdtype == RdType.TLSA or () in ours.records:
        # Departures: TLSA data of a length that its matching type does not have, and a TXT record
        # without strings, are kept; dnspython refuses either.
        strict = strict or ours._replace(records=(), error=None)
        ours = ours if strict.records else ours._replace(records=())
    # Departures: what stands beside the answer is not read, and a truncated message not at all.
    expected = strict if strict is not None else oracle(message, qname, rdtype, lenient=True)
    assert expected is not None
    if strict is None and ours.status is not expected.status:
        # Departure: the upper bits of the RCODE are used though OPT has an option that dnspython
        # refuses, and OPT with it.
        assert b"\0\0\x29" in message
        expected = expected._replace(status=ours.status, records=ours.records)
    comparable = ours._replace(records=tuple(sorted(ours.records, key=repr)), error=None)
    assert comparable == expected


LABELS = st.one_of(
    st.sampled_from([b"mx", b"MX", b"example", b"com", b"_mta-sts", b"*", b"xn--e1afmkfd"]),
    st.binary(min_size=1, max_size=12),
    st.just(b"l" * 63),
)
NAMES = st.lists(LABELS, max_size=3).map(lambda labels: dns.name.Name([*labels, b""]))
OWN_NAMES = st.sampled_from(["example.com", "a.example.com", "b.example", "x", QNAME]).map(
    lambda n: dns.name.from_text(n)
)
ANY_NAMES = st.one_of(OWN_NAMES, NAMES)


def wire_name(name: dns.name.Name) -> bytes:
    return name.to_wire() or b""


RDATA = {
    RdType.A: st.binary(min_size=4, max_size=4),
    RdType.AAAA: st.one_of(
        st.binary(min_size=16, max_size=16),
        st.binary(min_size=4, max_size=4).map(lambda v4: bytes(10) + b"\xff\xff" + v4),
        st.just(bytes(16)),
    ),
    RdType.TXT: st.lists(st.binary(max_size=255), min_size=1, max_size=4).map(
        lambda strings: b"".join(bytes((len(s),)) + s for s in strings)
    ),
    RdType.MX: st.tuples(st.binary(min_size=2, max_size=2), ANY_NAMES.map(wire_name)).map(b"".join),
    RdType.CNAME: ANY_NAMES.map(wire_name),
    RdType.PTR: ANY_NAMES.map(wire_name),
    RdType.NS: ANY_NAMES.map(wire_name),
    # dnspython refuses association data whose length does not fit the matching type, so: type 0.
    RdType.TLSA: st.binary(min_size=2, max_size=2).flatmap(
        lambda head: st.binary(max_size=40).map(lambda data: head + b"\0" + data)
    ),
}
ASKED_FOR = st.sampled_from(sorted(RDATA))


@st.composite
def rrsets(draw: st.DrawFn, rdtype: int, qname: dns.name.Name) -> list[dns.rrset.RRset]:
    """An answer section: mostly an alias chain and its end, sometimes anything in any order."""
    sets = []
    owner = qname
    for _ in range(draw(st.integers(0, 3))):
        target = draw(ANY_NAMES)
        sets.append(
            rrset(owner, RdType.CNAME, [wire_name(target)], draw(st.integers(0, 2**32 - 1)))
        )
        owner = target
    kinds = st.sampled_from([rdtype, rdtype, rdtype, *RDATA])
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(kinds)
        data = draw(st.lists(RDATA[RdType(kind)], min_size=1, max_size=3))
        sets.append(
            rrset(
                draw(st.one_of(st.just(owner), ANY_NAMES)),
                kind,
                data,
                draw(st.integers(0, 2**32 - 1)),
            )
        )
    return draw(st.one_of(st.just(sets), st.permutations(sets)))


def rrset(owner: dns.name.Name, kind: int, data: list[bytes], ttl: int) -> dns.rrset.RRset:
    made = dns.rrset.RRset(owner, dns.rdataclass.IN, dns.rdatatype.RdataType(kind))
    made.ttl = ttl
    for octets in data:
        made.add(dns.rdata.from_wire(dns.rdataclass.IN, made.rdtype, octets, 0, len(octets)), ttl)
    return made


Case = tuple[dns.message.Message, str, int]


@st.composite
def messages(draw: st.DrawFn) -> Case:
    """A response, the name it is about, and the type."""
    rdtype = draw(ASKED_FOR)
    qname = draw(OWN_NAMES)
    query = dns.message.make_query(qname, dns.rdatatype.RdataType(rdtype), id=1)
    message = dns.message.make_response(query)
    message.flags |= draw(
        st.sampled_from([0, dns.flags.AA, dns.flags.AD, dns.flags.RA, dns.flags.TC])
    )
    message.answer = draw(rrsets(rdtype, qname))
    message.authority = draw(st.one_of(st.just([]), rrsets(RdType.NS, qname)))
    message.additional = draw(st.one_of(st.just([]), rrsets(RdType.A, qname)))
    if draw(st.booleans()):
        options = draw(st.lists(st.binary(max_size=9), max_size=2))
        message.use_edns(0, options=[raw_option(15, octets) for octets in options])
        rcodes = st.sampled_from([0, 0, 0, 2, 3, 3, 5, 16, 23])
    else:
        rcodes = st.sampled_from([0, 0, 3, 2, 15])
    message.set_rcode(dns.rcode.Rcode(draw(rcodes)))
    return message, text(qname), int(rdtype)


# What may happen to an octet: (kind of damage, where, with what).
DAMAGE = st.tuples(
    st.sampled_from(["set", "set", "flip", "cut", "drop", "insert", "point"]),
    st.integers(0, 65_535),
    st.integers(0, 255),
)


def damage(wire: bytes, begin: int, blows: Sequence[tuple[str, int, int]]) -> bytes:
    """*wire* with its counts or the octets from *begin* on changed, cut, doubled or put in."""
    octets = bytearray(wire)
    for kind, where, value in blows:
        places = [*range(6, HEADER_BYTES), *range(begin, len(octets))]
        at = places[where % len(places)]
        if kind == "set":
            octets[at] = value
        elif kind == "flip":
            octets[at] ^= 1 << value % 8
        elif at >= begin and kind == "cut":
            del octets[at:]
        elif at >= begin and kind == "drop":
            del octets[at]
        elif at >= begin and kind == "insert":
            octets[at:at] = bytes((value,)) * (1 + value % 3)
        elif at >= begin:
            octets[at : at + 2] = bytes((0xC0, where % len(octets) % 256))
    return bytes(octets)


def agree_on(case: Case) -> None:
    message, qname, rdtype = case
    agree(message.to_wire(max_size=65535), qname, rdtype)


def agree_on_damaged(case: Case, blows: Sequence[tuple[str, int, int]]) -> None:
    message, qname, rdtype = case
    begin = HEADER_BYTES + len(question(qname, rdtype))
    agree(damage(message.to_wire(max_size=65535), begin, blows), qname, rdtype)


BLOWS = st.lists(DAMAGE, min_size=1, max_size=4)


@given(case=messages())
def test_generated_messages_read_as_dnspython_reads_them(case: Case) -> None:
    agree_on(case)


@given(case=messages(), blows=BLOWS)
def test_damaged_messages_read_as_dnspython_reads_them_or_are_refused(
    case: Case, blows: list[tuple[str, int, int]]
) -> None:
    agree_on_damaged(case, blows)


@given(tail=st.binary(max_size=200), counts=st.binary(min_size=6, max_size=6))
def test_no_octets_behind_a_question_make_the_reader_raise(tail: bytes, counts: bytes) -> None:
    agree(b"\0\1\x81\x80\0\1" + counts + ASKED + tail, QNAME, RdType.TXT)


@pytest.mark.soak
@settings(max_examples=100_000, deadline=None)
@given(case=messages())
def test_soak_generated(case: Case) -> None:
    agree_on(case)


@pytest.mark.soak
@settings(max_examples=100_000, deadline=None)
@given(case=messages(), blows=BLOWS)
def test_soak_damaged(case: Case, blows: list[tuple[str, int, int]]) -> None:
    agree_on_damaged(case, blows)
