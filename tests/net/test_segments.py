"""Many datagrams in one system call, and one by one: what arrives is the same."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest
import trio

from crawler.config import Dns
from crawler.net.resolver import Lookup, open_resolver
from crawler.net.segments import MOST_SEGMENTS, NOT_HERE, Send, send_each, send_segmented
from crawler.protocol.dns_wire import RdType, question
from crawler.vocabulary import DnsStatus
from tests.net.nameserver import Asked, Sent, serve

SO_NO_CHECK = 11  # asm-generic/socket.h; not in ``socket``

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A socket that sends and the one that it is connected to."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        sender.connect(receiver.getsockname())
        sender.setblocking(False)
        yield sender, receiver


def received(receiver: socket.socket) -> list[bytes]:
    """What has arrived, sorted."""
    datagrams = []
    try:
        while True:
            datagrams.append(receiver.recv(4096))
    except BlockingIOError:
        return sorted(datagrams)


def of_lengths(*lengths: int) -> list[bytes]:
    return [bytes((n % 256,)) * length for n, length in enumerate(lengths)]


@pytest.mark.parametrize("send", [send_each, send_segmented])
@pytest.mark.parametrize(
    "lengths",
    [
        (),
        (40,),
        (40, 40, 40),
        (40, 41, 40, 300, 41, 40),
        (50,) * (2 * MOST_SEGMENTS + 1),  # more than one call may take
        tuple(range(30, 130)),  # no two alike
    ],
    ids=str,
)
def test_every_datagram_arrives_once_and_whole(
    pair: Pair, send: Send, lengths: tuple[int, ...]
) -> None:
    sender, receiver = pair
    datagrams = of_lengths(*lengths)
    waiting = list(datagrams)
    send(sender, waiting)
    assert waiting == []
    assert received(receiver) == sorted(datagrams)


@pytest.mark.parametrize("send", [send_each, send_segmented])
def test_what_was_not_sent_stays_in_the_list(pair: Pair, send: Send) -> None:
    """The longest cannot be a datagram at all (RFC 768: 65,535 octets with its header)."""
    sender, receiver = pair
    short, long = of_lengths(40, 41, 42), b"x" * 65_536
    waiting = [*short, long]
    with pytest.raises(OSError) as caught:  # noqa: PT011 -- its number is looked at
        send(sender, waiting)
    assert caught.value.errno == errno.EMSGSIZE
    assert waiting == [long]
    assert received(receiver) == sorted(short)


def test_a_socket_that_cannot_segment_says_so(pair: Pair) -> None:
    """Linux segments only what it also sums; a card that cannot sum is refused in the same way."""
    sender, receiver = pair
    sender.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    datagrams = of_lengths(40, 40, 41)
    waiting = list(datagrams)
    with pytest.raises(OSError) as caught:  # noqa: PT011 -- its number is looked at
        send_segmented(sender, waiting)
    assert caught.value.errno in NOT_HERE
    send_each(sender, waiting)
    assert received(receiver) == sorted(datagrams)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_where_it_cannot_be_done_a_resolver_is_asked_one_by_one() -> None:
    """The same refusal by the kernel, on the socket of a resolver client."""

    def script(asked: Asked) -> Iterator[Sent]:
        yield asked.reply('"x"')

    names = [f"d{number}.example" for number in range(300)]
    found: list[Lookup] = []
    async with serve(script) as server:
        dns = Dns(resolvers=(server.label,), queries_per_second=1_000_000)
        async with open_resolver(dns) as resolver:
            (upstream,) = resolver._pool.upstreams
            channel = upstream._socket(trio.current_time())
            assert channel is not None
            channel._socket.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
            lookups = (Lookup(name, RdType.TXT, question(name, RdType.TXT)) for name in names)
            await resolver.settle(lookups, found.extend)
            assert channel.opened == len(names)
    assert {(lookup.message.status, lookup.attempts) for lookup in found} == {
        (DnsStatus.NOERROR, 1)
    }
    assert len(server.log) == len(names)
