"""The Policy Hosts of the lab, asked by a plain TLS client that checks as a sender does."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from crawler.lab import World
from crawler.lab.addresses import IPV6

pytestmark = pytest.mark.anyio


async def fetch(
    world: World,
    scenario: str,
    context: ssl.SSLContext,
    *,
    address: str | None = None,
    host: str | None = None,
    path: str = "/.well-known/mta-sts.txt",
) -> bytes:
    """The whole response, as octets; the errors are the client's."""
    name = f"mta-sts.{scenario}.com"
    site = world.sites.find(name)
    assert site is not None
    raw = await trio.open_tcp_stream(address or site.policy_address or "", world.https_port)
    stream = trio.SSLStream(raw, context, server_hostname=name, https_compatible=True)
    async with raw, stream:
        request = f"GET {path} HTTP/1.1\r\nHost: {host or name}\r\n\r\n"
        await stream.send_all(request.encode())
        response = b""
        while data := await stream.receive_some():
            response += data
        return response


def careless() -> ssl.SSLContext:
    """A client that takes any certificate and version, to see what is served."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return context


async def test_a_good_policy(world: World, strict: ssl.SSLContext) -> None:
    """200, text/plain, CRLF, the placeholders filled in."""
    head, _, body = (await fetch(world, "own-enforce", strict)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
    assert body == (
        b"version: STSv1\r\nmode: enforce\r\nmx: mx1.own-enforce.com\r\nmax_age: 2592000\r\n"
    )


async def test_a_managed_policy(world: World, strict: ssl.SSLContext) -> None:
    """Served at the provider's address under the customer's name."""
    response = await fetch(world, "managed-enforce", strict)
    operator = world.population.at(
        world.domains.index("managed-enforce.com")
    ).operator.domain.encode()
    assert b"mx: *." + operator in response


@pytest.mark.parametrize(
    ("scenario", "start"),
    [
        ("http-404", b"HTTP/1.1 404 Not Found"),
        ("http-301", b"HTTP/1.1 301 Moved Permanently"),
        ("http-403", b"HTTP/1.1 403 Forbidden"),
        ("http-429", b"HTTP/1.1 429 Too Many Requests"),
        ("http-500", b"HTTP/1.1 500 Internal Server Error"),
        ("http-204", b"HTTP/1.1 204 No Content"),
        ("http-html-200", b"HTTP/1.1 200 OK\r\nContent-Type: text/html"),
        ("http-ctype-none", b"HTTP/1.1 200 OK\r\nContent-Length"),
        ("wildcard-certificates", b"HTTP/1.1 200 OK"),
        ("chunked-policy", b"HTTP/1.1 200 OK"),
    ],
)
async def test_statuses(world: World, strict: ssl.SSLContext, scenario: str, start: bytes) -> None:
    """Every status of the catalogue, under a good certificate."""
    assert (await fetch(world, scenario, strict)).startswith(start)


async def test_a_redirect_names_the_policy_elsewhere(world: World, strict: ssl.SSLContext) -> None:
    """A crawler that follows it would be wrong."""
    response = await fetch(world, "http-301", strict)
    assert b"\r\nLocation: https://www.http-301.com/mta-sts.txt\r\n" in response


async def test_bodies(world: World, strict: ssl.SSLContext) -> None:
    """Too big, encoded, cut short, with a byte order mark, empty."""
    big = await fetch(world, "http-big", strict)
    assert len(big) > 65536
    assert b"Content-Encoding: gzip" in await fetch(world, "http-encoding", strict)
    head, _, body = (await fetch(world, "http-truncated", strict)).partition(b"\r\n\r\n")
    assert f"Content-Length: {2 * len(body)}".encode() in head
    assert b"\r\n\r\n\xef\xbb\xbfversion" in await fetch(world, "http-bom", strict)
    assert (await fetch(world, "pol-empty", strict)).endswith(
        b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("scenario", "complaint"),
    [
        ("tls-name-parent", "Hostname mismatch"),
        ("tls-name-other", "Hostname mismatch"),
        ("tls-self-signed", "self-signed certificate"),
        ("tls-untrusted", "self-signed certificate in certificate chain"),
        ("tls-expired", "certificate has expired"),
        ("tls-not-yet", "certificate is not yet valid"),
        ("tls-chain-incomplete", "unable to get local issuer certificate"),
        ("tls-client-only", "unsuitable certificate purpose"),
    ],
)
async def test_bad_certificates(
    world: World, strict: ssl.SSLContext, scenario: str, complaint: str
) -> None:
    """OpenSSL refuses them for the reason that the scenario is about; behind it all is well."""
    with pytest.raises(trio.BrokenResourceError) as error:
        await fetch(world, scenario, strict)
    assert complaint.replace("-", " ") in str(error.value.__cause__).replace("-", " ")
    assert b"mode: enforce" in await fetch(world, scenario, careless())


async def test_a_cn_does_not_help(world: World, strict: ssl.SSLContext) -> None:
    """Refused by a client that knows RFC 6125; ``ssl`` by itself would take it."""
    strict.hostname_checks_common_name = False
    with pytest.raises(trio.BrokenResourceError):
        await fetch(world, "tls-cn-only", strict)


async def test_old_tls(world: World, strict: ssl.SSLContext) -> None:
    """TLS 1.2 fails, TLS 1.1 works."""
    with pytest.raises(trio.BrokenResourceError):
        await fetch(world, "tls-old", strict)
    assert b"mode: enforce" in await fetch(world, "tls-old", careless())


@pytest.mark.parametrize("scenario", ["tls-alert", "tls-alert-managed"])
async def test_the_alert_is_unrecognized_name(
    world: World, strict: ssl.SSLContext, scenario: str
) -> None:
    """What a server without a certificate for the name says."""
    with pytest.raises(trio.BrokenResourceError) as error:
        await fetch(world, scenario, strict)
    assert "unrecognized name" in str(error.value.__cause__).replace("_", " ").lower()


@pytest.mark.parametrize("scenario", ["tls-cut", "tls-garbage", "tcp-reset"])
async def test_broken_handshakes(world: World, strict: ssl.SSLContext, scenario: str) -> None:
    """Something comes, or nothing, and then the end."""
    with pytest.raises(trio.BrokenResourceError):
        await fetch(world, scenario, strict)


async def test_nothing_listens(world: World, strict: ssl.SSLContext) -> None:
    """Refused, so it is told apart from silence."""
    with pytest.raises(OSError, match="all attempts"):
        await fetch(world, "tcp-refused", strict)


@pytest.mark.parametrize(
    "scenario", ["tcp-timeout", "tls-silent", "http-no-answer", "http-dripped"]
)
async def test_stalling(world: World, strict: ssl.SSLContext, scenario: str) -> None:
    """Each at its own step, and all of them longer than anybody waits."""
    with trio.move_on_after(0.3) as scope:
        await fetch(world, scenario, strict)
    assert scope.cancelled_caught


async def test_names_that_are_nobodys_get_an_alert(world: World, strict: ssl.SSLContext) -> None:
    """A crawler that sends a wrong server name learns nothing."""
    raw = await trio.open_tcp_stream("127.30.0.1", world.https_port)
    stream = trio.SSLStream(raw, strict, server_hostname="mta-sts.nobody-knows-me.com")
    async with raw:
        with pytest.raises(trio.BrokenResourceError):
            await stream.do_handshake()


async def test_requests_that_are_wrong_are_told_so(world: World, strict: ssl.SSLContext) -> None:
    """Another Host than the server name, another path."""
    wrong_host = await fetch(world, "own-enforce", strict, host="mta-sts.own-testing.com")
    assert wrong_host.startswith(b"HTTP/1.1 421 ")
    wrong_path = await fetch(world, "own-enforce", strict, path="/mta-sts.txt")
    assert wrong_path.startswith(b"HTTP/1.1 404 ")


@pytest.mark.usefixtures("ipv6")
async def test_ipv6(world: World, strict: ssl.SSLContext) -> None:
    """One address for all, told apart by SNI; one of them is dead there only."""
    assert b"mode: enforce" in await fetch(world, "ph-v6-only", strict, address=IPV6)
    assert b"mode: enforce" in await fetch(world, "ph-v6-dead", strict)
    with pytest.raises(trio.BrokenResourceError):
        await fetch(world, "ph-v6-dead", strict, address=IPV6)


async def test_the_log_has_every_connection(world: World, strict: ssl.SSLContext) -> None:
    """Who came, when, for which name, and what was said."""
    before = trio.current_time()
    await fetch(world, "own-enforce", strict)
    await trio.testing.wait_all_tasks_blocked()
    (entry,) = world.log.connections
    assert entry.service == "https"
    assert entry.sni == "mta-sts.own-enforce.com"
    assert entry.said.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
    assert entry.closed_at is not None
    assert before <= entry.opened_at <= entry.closed_at
    assert world.log.most_at_once("https", entry.address) == 1
