"""Domains whose hosts, or whose DNS, misbehave: each a literal, with what a scan must say of it.

Labels begin with the number of the case in the threat model: D is DNS, S addresses, H policy
hosts, M mail hosts.  A ``Case`` names the table that its rows are looked for in, and gives in one
sentence what they say: status, stage, whose failure it is, how many rows, and what it was judged to
amount to.  What must be kept as evidence stands beside it.
"""

from __future__ import annotations

import hashlib
import ssl
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio

from crawler.records import AddressLookup, MxHost, MxLookup, PolicyFetch, StarttlsSession, TxtLookup
from tests.net.hosts import (
    BANNER,
    GO_AHEAD,
    OFFER,
    accepting,
    answering,
    chunked,
    end,
    mail_host,
    presenting,
    response,
    saying,
)
from tests.net.nameserver import CLOSE, Asked, Raw, Script, Sent
from tests.net.servers import Behaviour, Peer, server_context
from tests.probe.lookup_world import fails, records, silence
from tests.protocol import zoo
from tests.scan.small_world import Host, Site, still


@dataclass(frozen=True, kw_only=True)
class Case:
    """One domain and its golden row."""

    site: Site
    table: type[Any]
    says: str
    keeps: Mapping[str, Any] = field(default_factory=dict)
    """Columns of the last row; a callable is asked."""


def fetch(label: str, host: Host, says: str, **keeps: Any) -> Case:
    """A policy host that misbehaves."""
    return Case(site=Site(label=label, policy=host), table=PolicyFetch, says=says, keeps=keeps)


def mail(label: str, host: Host, says: str, **keeps: Any) -> Case:
    """An MX host that misbehaves."""
    return Case(site=Site(label=label, mail=host), table=StarttlsSession, says=says, keeps=keeps)


def dns(
    label: str,
    owner: str,
    rdtype: str,
    script: Script,
    table: type[Any],
    says: str,
    *,
    beside: Mapping[tuple[str, str], Script] | None = None,
    mail: Host | None = None,
    **keeps: Any,
) -> Case:
    """A name about which the DNS says something odd."""
    zone = {**(beside or {}), (owner, rdtype): script}
    return Case(site=Site(label=label, zone=zone, mail=mail), table=table, says=says, keeps=keeps)


def at(label: str, address: str, says: str, **keeps: Any) -> Case:
    """A policy host at an address where no server of ours is."""
    zone = {("mta-sts", "AAAA" if ":" in address else "A"): records(address)}
    return Case(site=Site(label=label, zone=zone), table=PolicyFetch, says=says, keeps=keeps)


def size(number: int) -> Callable[[Any], bool]:
    """Whether a value has so many items or octets."""
    return lambda value: len(value) == number


# --- policy hosts --------------------------------------------------------------------------

BOMB = zlib.compress(bytes(2**24), 9, 31)
"""16 MiB of zeros, as gzip writes them."""


def whole(*pieces: bytes, every: float = 0) -> Host:
    """A policy host that answers with *pieces*."""
    return partial(answering, *pieces, every=every)


def cut_short(how: str, *pieces: bytes) -> Host:
    """A policy host that answers the request in part, and ends the connection a second later."""

    def make(context: ssl.SSLContext) -> Behaviour:
        async def behaviour(peer: Peer) -> None:
            await peer.start_tls(context)
            await peer.request()
            for piece in pieces:
                await peer.say(piece)
            await trio.sleep(1)
            await end(peer, how)

        return behaviour

    return make


def deaf(context: ssl.SSLContext) -> Behaviour:
    """A policy host that takes the request and never answers."""

    async def behaviour(peer: Peer) -> None:
        await peer.start_tls(context)
        await peer.be_silent()

    return behaviour


def shaking_hands(**how: Any) -> Host:
    """A policy host with other TLS settings."""
    return lambda context: answering(response(b""), context=server_context(**how))


POLICY = b"version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"

FETCHES: tuple[Case, ...] = (
    fetch(
        "h01-gzip",
        whole(response(BOMB, b"Content-Encoding: gzip")),
        "content-encoded at http-body, target, 1 row, http",
        body=BOMB,
    ),
    fetch(
        "h01-twice",
        whole(response(BOMB, b"Content-Encoding: gzip, zstd")),
        "content-encoded at http-body, target, 1 row, http",
        body=BOMB,
    ),
    fetch(
        "h02-at-the-cap",
        whole(chunked(b"x" * 65536)),
        "success at http-body, nobody, 1 row, syntax",
        body_size=65536,
        body_truncated=False,
    ),
    fetch(
        "h02-over-the-cap",
        whole(response(POLICY + b"\r\n" * 32768)),
        "response-too-large at http-body, target, 1 row, http",
        body_size=65537,
        body_truncated=True,
        body=size(65536),
    ),
    fetch(
        "h04-2-63",
        whole(response(b"x", b"Content-Length: 9223372036854775808", length=False)),
        "connection-closed at http-body, target, 2 rows, http",
        body=b"x",
    ),
    fetch(
        "h04-negative",
        whole(response(b"x", b"Content-Length: -1", length=False)),
        "protocol-error at http-headers, target, 1 row, http",
    ),
    fetch(
        "h04-two",
        whole(response(b"x", b"Content-Length: 5", b"Content-Length: 6", length=False)),
        "protocol-error at http-headers, target, 1 row, http",
    ),
    fetch(
        "h05-body",
        whole(response(b"x" * 99)[:-99], *[b"x"] * 99, every=7),
        "io-timeout at http-body, target, 2 rows, http",
        body=b"xxxx",
    ),
    fetch(
        "h05-header",
        whole(*[b"H"] * 99, every=7),
        "io-timeout at http-headers, target, 2 rows, http",
    ),
    fetch(
        "h05-103",
        whole(*[b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 99, every=7),
        "io-timeout at http-headers, target, 2 rows, http",
    ),
    fetch(
        "h06-fields",
        whole(response(b"", *[b"X: x"] * 10**5)),
        "response-too-large at http-headers, target, 1 row, http",
    ),
    fetch(
        "h06-line",
        whole(response(b"", b"X: " + b"x" * 10**6)),
        "response-too-large at http-headers, target, 1 row, http",
    ),
    fetch(
        "h06-extension",
        whole(
            response(
                b"4;x=" + b"x" * 200_000 + b"\r\nbody\r\n0\r\n\r\n",
                b"Transfer-Encoding: chunked",
                length=False,
            )
        ),
        "response-too-large at http-body, target, 1 row, http",
    ),
    fetch(
        "h06-trailers",
        whole(
            response(
                b"4\r\nbody\r\n0\r\n" + b"X: x\r\n" * 50_000 + b"\r\n",
                b"Transfer-Encoding: chunked",
                length=False,
            )
        ),
        "response-too-large at http-body, target, 1 row, http",
        body=b"body",
    ),
    fetch("h07-silent", still(Peer.be_silent), "io-timeout at tls, target, 2 rows, tls"),
    fetch(
        "h07-after-tls",
        deaf,
        "io-timeout at http-headers, target, 2 rows, http",
        tls_version="TLSv1.3",
    ),
    fetch(
        "h09-h2",
        lambda context: answering(
            b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" * 999, context=server_context(alpn=["h2"])
        ),
        "protocol-error at http-headers, target, 1 row, tls",
    ),
    *(
        fetch(
            f"h10-{name}",
            whole(response(body, b"Content-Type: " + kind.encode())),
            "success at http-body, nobody, 1 row, syntax",
            body=body,
            content_type=kind,
        )
        for name, kind, body in (
            ("html", "text/html", b"<!DOCTYPE html><title>Welcome</title>"),
            ("json", "application/json", b'{"version": "STSv1"}'),
            ("empty", "text/plain", b""),
            ("bom", "text/plain", b"\xef\xbb\xbf" + POLICY),
            ("utf-16", "text/plain", POLICY.decode().encode("utf-16")),
            ("nul", "text/plain", POLICY.replace(b"none", b"no\0ne")),
            ("escapes", "text/\x1b[2Jplain", b"\x1b]0;owned\x07" + POLICY),
        )
    ),
    *(
        fetch(
            f"h11-{status}",
            whole(response(b"" if status in (204, 304) else POLICY, status=b"%d X" % status)),
            "success at http-body, nobody, 1 row, http",
            http_status=status,
        )
        for status in (201, 204, 206, 304, 404, 451, 500)
    ),
    *(
        fetch(
            f"h12-{status}",
            whole(response(b"", b"Retry-After: " + asked, status=b"%d X" % status)),
            "success at http-body, nobody, 1 row, http",
            http_status=status,
        )
        for status, asked in (
            (429, b"99999999"),
            (503, b"Tue, 24 Nov 99999999999999999999 04:01:00 GMT"),
        )
    ),
    fetch(
        "h13-another-name",
        lambda context: answering(response(POLICY), context=server_context("other.example.org")),
        "success at http-body, nobody, 1 row, tls",
        body=POLICY,
        chain=size(1),
    ),
    *(
        fetch(
            f"h15-{name.replace(' ', '-').lower()}",
            still(presenting(zoo.zoo()[name].chain)),
            "handshake-error at tls, target, 1 row, tls",
            chain=tuple(hashlib.sha256(der).hexdigest() for der in zoo.zoo()[name].chain),
        )
        for name in ("malformed SAN", "month 13", "not DER")
    ),
    fetch(
        "h17-wants-ours",
        shaking_hands(client_certificate=True),
        "handshake-error at tls, target, 1 row, tls",
        chain=size(1),
    ),
    fetch(
        "h17-tls-1-0",
        shaking_hands(only=ssl.TLSVersion.TLSv1),
        "success at http-body, nobody, 1 row, tls",
        tls_version="TLSv1",
    ),
    fetch(
        "h17-alert",
        still(accepting(lambda peer: peer.say(bytes.fromhex("15030300020246")))),
        "handshake-error at tls, target, 1 row, tls",
        tls_alert="protocol_version",
    ),
    fetch(
        "smtp-on-443",
        still(accepting(lambda peer: peer.say(BANNER))),
        "handshake-error at tls, target, 1 row, tls",
    ),
    *(
        fetch(
            f"{how}-in-the-body",
            cut_short(how, response(POLICY)[:-9]),
            "connection-closed at http-body, target, 2 rows, http",
            body=POLICY[:-9],
        )
        for how in ("close", "reset")
    ),
    fetch(
        "s23-redirect",
        whole(response(b"", b"Location: http://169.254.169.254/\x1b[2J", status=b"301 X")),
        "success at http-body, nobody, 1 row, http",
        location="http://169.254.169.254/\x1b[2J",
    ),
)


# --- mail hosts ----------------------------------------------------------------------------


def speaking(*arguments: Any, **how: Any) -> Host:
    """An MX host that gives other answers."""
    return partial(mail_host, *arguments, **how)


def greeted(greeting: bytes, says: str, label: str, **keeps: Any) -> Case:
    """An MX host with another greeting."""
    return mail(label, speaking(greeting), says, **{"banner": greeting, **keeps})


def breaking(after: str, how: str) -> Host:
    """An MX host that is fine up to a step and then ends the connection."""

    async def behaviour(peer: Peer) -> None:
        for step, reply in (("connect", BANNER), ("banner", OFFER), ("ehlo", GO_AHEAD)):
            if step == after:
                return await end(peer, how)
            await peer.say(reply)
            if step != "ehlo":
                await peer.line()
        await peer.read()
        return await end(peer, how)

    return still(behaviour)


def late(seconds: float) -> Host:
    """An MX host that greets late."""

    def make(context: ssl.SSLContext) -> Behaviour:
        async def behaviour(peer: Peer) -> None:
            await trio.sleep(seconds)
            await mail_host(context=context)(peer)

        return behaviour

    return make


def teasing(context: ssl.SSLContext) -> Behaviour:
    """An MX host that catches clients which speak too early."""

    async def behaviour(peer: Peer) -> None:
        await peer.say(b"220-teaser\r\n")
        with trio.move_on_after(6):
            await peer.read()
            peer.reset()
        await mail_host(context=context)(peer)

    return behaviour


async def not_reading(peer: Peer) -> None:
    """An MX host that takes nothing after the greeting."""
    await peer.say(BANNER)
    await trio.sleep(200)


HOSTILE_TEXT = b"554 \xff\x1b[2J\xe2\x80\xae</script>=HYPERLINK()\r\n"

MAILS: tuple[Case, ...] = (
    mail(
        "m01-injection",
        speaking(starttls=GO_AHEAD + b"250 injected\r\n"),
        "starttls-injection at starttls, target, 1 row, handshake-failed",
        plaintext_after_starttls=b"250 injected\r\n",
        ehlo_tls=(),
    ),
    mail(
        "m03-two-lists",
        speaking(),
        "success at quit, nobody, 1 row, pass",
        ehlo=(b"250-mx.example.com", b"250-SIZE 1", b"250 STARTTLS"),
        ehlo_tls=(b"250-mx.example.com", b"250 AUTH PLAIN"),
    ),
    mail(
        "m04-none",
        speaking(ehlo=b"250-mx\r\n250 SIZE\r\n"),
        "success at quit, nobody, 1 row, no-starttls",
    ),
    *(
        mail(
            f"m04-{code}",
            speaking(starttls=b"%d no\r\n" % code),
            "application-error at starttls, target, 1 row, starttls-refused",
            refusal_code=code,
        )
        for code in (454, 501, 502, 503, 530)
    ),
    mail(
        "m05-masked",
        speaking(b"220 ****\r\n", b"250-mx\r\n250-XXXXXXXA\r\n250 SIZE\r\n"),
        "success at quit, nobody, 1 row, no-starttls",
        banner=b"220 ****\r\n",
    ),
    *(
        greeted(
            b"%d 4.7.0 not now\r\n" % code,
            "application-error at banner, target, 2 rows, unmeasured",
            f"m06-{code}",
            refusal_code=code,
            refusal_enhanced="4.7.0" if code < 500 else None,
        )
        for code in (421, 450, 451, 554)
    ),
    *(
        greeted(
            b"%d 5.3.2 no mail here\r\n" % code,
            "application-error at banner, target, 1 row, unmeasured",
            f"m06-{code}",
            refusal_enhanced="5.3.2",
        )
        for code in (521, 556)
    ),
    *(
        mail(
            f"m07-{name}",
            still(saying(greeting)),
            "protocol-error at banner, target, 1 row, unmeasured",
            banner=greeting,
        )
        for name, greeting in (
            ("bogus", b"bogus\r\n"),
            ("2200", b"2200 x\r\n"),
            ("22", b"22\r\n"),
            ("empty", b"\r\n"),
            ("http", b"HTTP/1.1 400 Bad Request\r\n"),
            ("ssh", b"SSH-2.0-OpenSSH_9.9\r\n"),
            ("tls", bytes.fromhex("160303007a02000076")),
        )
    ),
    mail(
        "m09-endless",
        speaking(ehlo=b"250-x\r\n" * 100_000),
        "response-too-large at ehlo, target, 1 row, unmeasured",
        ehlo=size(128),
    ),
    mail(
        "m10-line",
        speaking(ehlo=b"250-" + b"x" * 10**6),
        "response-too-large at ehlo, target, 1 row, unmeasured",
        ehlo=lambda lines: sum(map(len, lines)) == 2048,
    ),
    mail(
        "m10-bare-lf",
        speaking(b"220 mx\n", b"250-mx\n250 STARTTLS\n", b"220 go\n"),
        "success at quit, nobody, 1 row, pass",
        bare_lf=True,
    ),
    mail(
        "m10-odd-octets",
        speaking(b"220 a\rb\0c\r\r\n"),
        "success at quit, nobody, 1 row, pass",
        banner=b"220 a\rb\0c\r\r\n",
    ),
    greeted(
        HOSTILE_TEXT,
        "application-error at banner, target, 2 rows, unmeasured",
        "m11-escapes",
    ),
    mail(
        "m12-octets",
        still(saying(b"220-", *[b"x"] * 99, every=13)),
        "io-timeout at banner, target, 2 rows, unmeasured",
        banner=b"220-xxxx",
    ),
    mail("m12-after-59-s", late(59), "success at quit, nobody, 1 row, pass"),
    mail("m12-after-61-s", late(61), "io-timeout at banner, target, 2 rows, unmeasured"),
    mail("m12-not-reading", still(not_reading), "io-timeout at ehlo, target, 2 rows, unmeasured"),
    mail("m13-teaser", teasing, "success at quit, nobody, 1 row, pass"),
    mail(
        "m15-helo",
        speaking(ehlo=b"502 what?\r\n"),
        "success at quit, nobody, 1 row, no-starttls",
        helo_fallback=True,
        ehlo_rejection=b"502 what?\r\n",
    ),
    *(
        mail(
            f"m16-{how}-{after}",
            breaking(after, how),
            f"connection-closed at {stage}, target, {rows}, {outcome}",
        )
        for how in ("close", "reset")
        for after, stage, rows, outcome in (
            ("connect", "banner", "2 rows", "unmeasured"),
            ("banner", "ehlo", "2 rows", "unmeasured"),
            ("ehlo", "starttls", "2 rows", "unmeasured"),
            ("starttls", "tls", "1 row", "handshake-failed"),
        )
    ),
    mail(
        "m17-tls-1-0",
        lambda context: mail_host(context=server_context(only=ssl.TLSVersion.TLSv1)),
        "success at quit, nobody, 1 row, tls-old",
        tls_version="TLSv1",
    ),
    mail(
        "m17-another-name",
        lambda context: mail_host(context=server_context("other.example.org")),
        "success at quit, nobody, 1 row, certificate",
        chain=size(1),
    ),
    mail(
        "m21-no-goodbye",
        speaking(quit_reply=b""),
        "success at quit, nobody, 1 row, pass",
        quit_reply=None,
    ),
)


# --- DNS -----------------------------------------------------------------------------------

LONG = " ".join(f'"{"x" * 255}"' for _ in range(254))


def tcp_only(over_tcp: Script) -> Script:
    """An answer too long for UDP; TCP is as the argument has it."""

    def script(asked: Asked) -> Iterable[Sent]:
        if asked.transport == "tcp":
            return over_tcp(asked)
        return [asked.reply(*(['"part"'] if asked.rdtype == "TXT" else ()), truncated=True)]

    return script


def in_full(*rdata: str) -> Script:
    """More records than UDP can carry."""
    return tcp_only(records(*rdata))


def first(*beginning: Callable[[bytes], bytes], then: Script) -> Script:
    """What comes before the answer, made of it."""

    def script(asked: Asked) -> Iterator[Sent]:
        for message in then(asked):
            assert isinstance(message, bytes)
            for forge in beginning:
                yield forge(message)
            yield message

    return script


def chain_of(hops: int) -> Script:
    """So many aliases, and a record at their end."""
    return records('"v=STSv1; id=1;"', aliases=tuple(f"n{n}.example" for n in range(hops)))


def txt(label: str, script: Script, says: str, **keeps: Any) -> Case:
    """Something odd about the record."""
    return dns(label, "_mta-sts", "TXT", script, TxtLookup, says, **keeps)


GOOD_TXT = records('"v=STSv1; id=1;"')

LOOKUPS: tuple[Case, ...] = (
    txt(
        "d01-loop",
        lambda asked: [asked.reply(aliases=["a.example", asked.qname.lower()])],
        "CNAME_LOOP, target, 1 row, unmeasured",
        cname_chain=("a.example", "_mta-sts.d01-loop.example"),
    ),
    txt("d02-eleven", chain_of(11), "NOERROR, nobody, 1 row, valid", cname_chain=size(11)),
    txt("d02-twelve", chain_of(12), "CNAME_TOO_LONG, target, 1 row, unmeasured"),
    txt(
        "d04-64-k",
        in_full(LONG),
        "NOERROR, nobody, 1 row, absent",
        records=lambda found: len(b"".join(found[0])) == 254 * 255,
    ),
    txt(
        "d05-silent", tcp_only(lambda _: []), "TRUNCATED, resolver, 2 rows, unmeasured", records=()
    ),
    txt("d05-closed", tcp_only(lambda _: [CLOSE]), "TRUNCATED, resolver, 2 rows, unmeasured"),
    txt(
        "d06-cut",
        tcp_only(lambda _: [Raw(b"\xff\xff" + bytes(10)), CLOSE]),
        "TRUNCATED, resolver, 2 rows, unmeasured",
    ),
    txt(
        "d08-pointer",
        lambda asked: [asked.reply('"x"').replace(b"\xc0\x0c", b"\xff\xff")],
        "MALFORMED, resolver, 2 rows, unmeasured",
        records=(),
    ),
    txt(
        "d09-junk",
        first(lambda m: m[:12], lambda m: b"\xff" * 99, then=GOOD_TXT),
        "NOERROR, nobody, 1 row, valid",
    ),
    txt(
        "d11-wrong-id",
        first(lambda m: bytes((m[0] ^ 1,)) + m[1:], then=GOOD_TXT),
        "NOERROR, nobody, 1 row, valid",
    ),
    txt("d13-servfail", fails(), "SERVFAIL, resolver, 2 rows, unmeasured"),
    txt("d14-refused", fails("REFUSED"), "REFUSED, resolver, 2 rows, unmeasured"),
    txt(
        "d15-lame",
        lambda asked: [asked.reply(ra=False)],
        "SERVFAIL, resolver, 2 rows, unmeasured",
        error="a referral, not an answer",
    ),
    txt(
        "d16-thousands",
        in_full(*(f'"{n:030x}"' for n in range(1400))),
        "NOERROR, nobody, 1 row, absent",
        records=size(1400),
    ),
    txt(
        "d17-odd-strings",
        records(r'"" "\000\255" "v=STSv1;"'),
        "NOERROR, nobody, 1 row, absent",
        records=((b"", b"\0\xff", b"v=STSv1;"),),
    ),
    dns(
        "d18-null",
        "",
        "MX",
        records("0 ."),
        MxLookup,
        "NOERROR, nobody, 1 row, 0 MX hosts",
        null_mx=True,
    ),
    dns(
        "d20-null-of-ten",
        "",
        "MX",
        records("10 ."),
        MxLookup,
        "NOERROR, nobody, 1 row, 0 MX hosts",
        null_mx=True,
    ),
    dns(
        "d21-implicit",
        "",
        "MX",
        records(),
        MxLookup,
        "NO_ANSWER, nobody, 1 row, 1 MX hosts",
        beside={("", "A"): records("127.0.0.1")},
        implicit_mx=True,
    ),
    dns(
        "d22-dangling",
        "mx",
        "A",
        fails("NXDOMAIN"),
        AddressLookup,
        "NXDOMAIN, nobody, 1 row, 1 MX hosts",
        beside={("mx", "AAAA"): fails("NXDOMAIN"), ("", "A"): records("127.0.0.1")},
        mail=speaking(),
        host="mx.d22-dangling.example",
    ),
    dns(
        "d22-escaped-dot",
        "",
        "MX",
        records(r"1 foo\.."),
        MxLookup,
        "NOERROR, nobody, 1 row, 1 MX hosts",
        hosts=(MxHost(preference=1, host=r"foo\."),),
    ),
    dns(
        "d23-alias",
        "mx",
        "A",
        records("127.0.0.1", aliases=("in.hoster.example",)),
        AddressLookup,
        "NOERROR, nobody, 1 row, 1 MX hosts",
        mail=speaking(),
        cname_chain=("in.hoster.example",),
    ),
    txt(
        "d28-wildcard",
        records('"v=spf1 -all"'),
        "NOERROR, nobody, 1 row, absent",
        records=((b"v=spf1 -all",),),
    ),
    txt("d29-nxdomain", fails("NXDOMAIN"), "NXDOMAIN, nobody, 1 row, absent"),
    txt("d29-nodata", records(), "NO_ANSWER, nobody, 1 row, absent"),
    txt("d29-timeout", silence, "TIMEOUT, resolver, 2 rows, unmeasured"),
    txt(
        "d32-bogus",
        lambda asked: [asked.reply(rcode="SERVFAIL", ede=(6, "no \x1b[2Jsignature"))],
        "SERVFAIL, resolver, 2 rows, unmeasured",
        error="EDE 6 (dnssec bogus): no \N{REPLACEMENT CHARACTER}[2Jsignature",
    ),
)

# --- addresses -----------------------------------------------------------------------------

BLACK_HOLE = "127.102.0.1"
"""Where a SYN is never answered, once the test has seen to it."""

ADDRESSES: tuple[Case, ...] = (
    at("h07-syn", BLACK_HOLE, "connection-timeout at connect, network, 2 rows, tcp"),
    at("nobody-listens", "127.102.0.2", "connection-refused at connect, target, 2 rows, tcp"),
    *(
        at(f"s-{n}", address, "blocklisted-target, policy, 1 row, unmeasured")
        for n, address in enumerate(
            (
                "0.0.0.0",
                "10.0.0.1",
                "169.254.169.254",
                "255.255.255.255",
                "8.8.8.8",
                "::ffff:127.0.0.1",
                "64:ff9b::7f00:1",
                "fe80::1",
            )
        )
    ),
    at("m22-ipv6", "::1", "vantage-failure, vantage, 2 rows, unmeasured"),
)
"""In the closed world of the test, which says that it has no IPv6."""

CASES: tuple[Case, ...] = (*FETCHES, *MAILS, *LOOKUPS, *ADDRESSES)
