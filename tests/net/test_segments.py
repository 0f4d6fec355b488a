"""Many datagrams in one system call, and one by one: what arrives is the same."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from crawler.net.segments import MOST_SEGMENTS, NOT_HERE, Send, send_each, send_segmented

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


def test_parts_that_do_not_fit_the_path_are_told_from_failures(pair: Pair) -> None:
    """Wider than loopback's MTU: the caller falls back to sending one by one."""
    sender, _ = pair
    waiting = of_lengths(65_000 // 2 + 500, 65_000 // 2 + 500)
    with pytest.raises(OSError) as caught:  # noqa: PT011 -- its number is looked at
        send_segmented(sender, [*waiting, *waiting])
    assert caught.value.errno in NOT_HERE
