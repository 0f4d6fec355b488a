"""The MX hosts of the lab, greeted by a plain client over real sockets."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from crawler.lab import World
from crawler.lab.addresses import IPV6

pytestmark = pytest.mark.anyio


class Client:
    """Says one line at a time and reads one reply."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream, self.buffer = stream, b""

    async def reply(self) -> str:
        """The next reply, all its lines; empty when the host has closed."""
        lines: list[str] = []
        while not lines or (lines[-1][:3].isdigit() and lines[-1][3:4] == "-"):
            while b"\n" not in self.buffer:
                data = await self.stream.receive_some()
                if not data:
                    return "\n".join(lines)
                self.buffer += data
            line, _, self.buffer = self.buffer.partition(b"\n")
            lines.append(line.decode().rstrip("\r"))
        return "\n".join(lines)

    async def say(self, line: str) -> str:
        await self.stream.send_all(line.encode() + b"\r\n")
        return await self.reply()


def address(world: World, scenario: str, key: str = "mx1") -> str:
    site = world.sites.find(f"{scenario}.com")
    assert site is not None
    return site.address(key)


async def connect(world: World, scenario: str, key: str = "mx1") -> Client:
    return Client(await trio.open_tcp_stream(address(world, scenario, key), world.smtp_port))


async def secure(client: Client, context: ssl.SSLContext, host: str) -> Client:
    stream = trio.SSLStream(client.stream, context, server_hostname=host)
    await stream.do_handshake()
    return Client(stream)


async def test_a_whole_conversation(world: World, strict: ssl.SSLContext) -> None:
    """Greeting, EHLO, STARTTLS, EHLO, QUIT; STARTTLS is not offered twice."""
    client = await connect(world, "own-enforce")
    async with client.stream:
        assert (await client.reply()).startswith("220 ")
        assert "250-STARTTLS" in await client.say("EHLO scanner.lab.test")
        assert (await client.say("STARTTLS")).startswith("220 ")
        client = await secure(client, strict, "mx1.own-enforce.com")
        assert "STARTTLS" not in await client.say("EHLO scanner.lab.test")
        assert (await client.say("QUIT")).startswith("221 ")
    await trio.testing.wait_all_tasks_blocked()
    (entry,) = world.log.connections
    assert entry.commands == ["EHLO", "STARTTLS", "EHLO", "QUIT"]
    assert entry.sni == "mx1.own-enforce.com"
    assert entry.said == b"EHLO scanner.lab.test\r\nSTARTTLS\r\nEHLO scanner.lab.test\r\nQUIT\r\n"


@pytest.mark.parametrize("command", ["MAIL FROM:<a@b.c>", "RCPT TO:<a@b.c>", "VRFY root", "DATA"])
async def test_mail_is_refused_and_logged(world: World, command: str) -> None:
    """A crawler that says this is found out by the log."""
    client = await connect(world, "own-enforce")
    async with client.stream:
        await client.reply()
        assert (await client.say(command)).startswith("502 ")
    assert world.log.connections[0].commands == [command.split()[0]]


@pytest.mark.parametrize(
    ("scenario", "greeting"),
    [
        ("mx-421", "421 "),
        ("mx-451", "451 "),
        ("mx-554", "554 "),
        ("mx-not-smtp", "SSH-2.0"),
        ("long-greeting", "220-"),
    ],
)
async def test_greetings(world: World, scenario: str, greeting: str) -> None:
    """What stands before anything is said."""
    client = await connect(world, scenario)
    async with client.stream:
        assert (await client.reply()).startswith(greeting)


async def test_greylisting_ends_with_the_second_connection(world: World) -> None:
    """So that a later round finds the host in order."""
    greetings = []
    for _ in range(3):
        client = await connect(world, "greylisting")
        async with client.stream:
            greetings.append((await client.reply())[:3])
    assert greetings == ["451", "220", "220"]


@pytest.mark.parametrize(
    ("scenario", "reply"),
    [
        ("mx-no-starttls", "250-"),
        ("mx-helo-only", "502 "),
        ("mx-ehlo-refused", "550 "),
        ("mx-hangs-up", ""),
    ],
)
async def test_replies_to_ehlo(world: World, scenario: str, reply: str) -> None:
    """Without STARTTLS, refused, or none at all."""
    client = await connect(world, scenario)
    async with client.stream:
        await client.reply()
        answer = await client.say("EHLO scanner.lab.test")
        assert answer.startswith(reply)
        assert "STARTTLS" not in answer
        if scenario == "mx-helo-only":
            assert (await client.say("HELO scanner.lab.test")).startswith("250 ")


async def test_long_and_endless_replies(world: World) -> None:
    """One has an end, the other has not."""
    client = await connect(world, "long-ehlo-reply")
    async with client.stream:
        await client.reply()
        assert (await client.say("EHLO x")).splitlines()[-1] == "250 STARTTLS"
    client = await connect(world, "mx-endless")
    async with client.stream:
        await client.reply()
        await client.stream.send_all(b"EHLO x\r\n")
        received = 0
        while received < 200_000:
            received += len(await client.stream.receive_some())


async def test_starttls_refused(world: World) -> None:
    """454, and the conversation goes on."""
    client = await connect(world, "mx-starttls-refused")
    async with client.stream:
        await client.reply()
        assert "STARTTLS" in await client.say("EHLO x")
        assert (await client.say("STARTTLS")).startswith("454 ")
        assert (await client.say("QUIT")).startswith("221 ")


async def test_injection_comes_in_the_same_segment(world: World) -> None:
    """The plaintext stands behind the 220 before any handshake."""
    client = await connect(world, "mx-injection")
    async with client.stream:
        await client.reply()
        await client.say("EHLO x")
        assert (await client.say("STARTTLS")).startswith("220 ")
        assert client.buffer.startswith(b"250 ")


async def starttls(world: World, scenario: str, context: ssl.SSLContext, host: str) -> None:
    client = await connect(world, scenario)
    async with client.stream:
        await client.reply()
        await client.say("EHLO x")
        await client.say("STARTTLS")
        await secure(client, context, host)


@pytest.mark.parametrize(
    ("scenario", "complaint"),
    [
        ("mx-cert-name", "Hostname mismatch"),
        ("mx-cert-self", "self-signed certificate"),
        ("mx-cert-untrusted", "self-signed certificate in certificate chain"),
        ("mx-cert-expired", "certificate has expired"),
        ("mx-cert-not-yet", "certificate is not yet valid"),
        ("mx-chain", "unable to get local issuer certificate"),
        ("mx-cert-client", "unsuitable certificate purpose"),
        ("mx-cert-constrained", "permitted subtree violation"),
    ],
)
async def test_bad_certificates(
    world: World, strict: ssl.SSLContext, scenario: str, complaint: str
) -> None:
    """OpenSSL refuses them for the reason that the scenario is about."""
    with pytest.raises(trio.BrokenResourceError) as error:
        await starttls(world, scenario, strict, f"mx1.{scenario}.com")
    assert complaint.replace("-", " ") in str(error.value.__cause__).replace("-", " ")


@pytest.mark.parametrize(
    "scenario", ["mx-handshake-alert", "mx-handshake-cut", "mx-handshake-garbage", "mx-tls-old"]
)
async def test_failing_handshakes(world: World, strict: ssl.SSLContext, scenario: str) -> None:
    """None of them ends in TLS 1.2."""
    with pytest.raises(trio.BrokenResourceError):
        await starttls(world, scenario, strict, f"mx1.{scenario}.com")


async def test_a_wildcard_of_a_certificate_is_one_label(
    world: World, strict: ssl.SSLContext
) -> None:
    """``*.d`` is not good for ``mx1.eu.d``."""
    with pytest.raises(trio.BrokenResourceError):
        await starttls(world, "mx-cert-wildcard-depth", strict, "mx1.eu.mx-cert-wildcard-depth.com")


async def test_addresses_of_one_host_differ(world: World) -> None:
    """One of the two offers STARTTLS."""
    offers = []
    for key in ("mx1", "mx1b"):
        client = await connect(world, "mx-ip-split", key)
        async with client.stream:
            await client.reply()
            offers.append("STARTTLS" in await client.say("EHLO x"))
    assert offers == [True, False]
    assert address(world, "mx-ip-split") != address(world, "mx-ip-split", "mx1b")


async def test_unreachable_hosts(world: World) -> None:
    """Refused, or a SYN that nobody answers, or silence."""
    with pytest.raises(OSError, match="all attempts"):
        await connect(world, "mx-refused")
    with trio.move_on_after(0.3) as scope:
        await connect(world, "mx-timeout")
    assert scope.cancelled_caught
    client = await connect(world, "mx-silent")
    async with client.stream:
        with trio.move_on_after(0.3) as scope:
            await client.reply()
    assert scope.cancelled_caught


@pytest.mark.usefixtures("ipv6")
async def test_ipv6_hosts_are_told_apart_by_sni(world: World, strict: ssl.SSLContext) -> None:
    """One of them fails its handshake there, the other does not."""

    async def handshake(host: str) -> None:
        client = Client(await trio.open_tcp_stream(IPV6, world.smtp_port))
        async with client.stream:
            await client.reply()
            await client.say("EHLO x")
            await client.say("STARTTLS")
            await secure(client, strict, host)

    await handshake("mx1.mx-both-families.com")
    with pytest.raises(trio.BrokenResourceError):
        await handshake("mx1.mx-v6-split.com")


async def test_overlapping_connections_are_counted(world: World) -> None:
    """From the host's side, for tests of politeness."""
    where = address(world, "own-enforce")
    first, second = [await connect(world, "own-enforce") for _ in range(2)]
    async with first.stream, second.stream:
        await first.reply()
        await second.reply()
    await trio.testing.wait_all_tasks_blocked()
    assert world.log.most_at_once("smtp", where) == 2
    assert world.log.most_at_once("smtp", address(world, "own-testing")) == 0
