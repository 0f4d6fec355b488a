"""One connection never keeps the others waiting."""

from __future__ import annotations

import socket

import pytest
import trio

from crawler.net.wire import READ_BYTES, Wire

pytestmark = pytest.mark.anyio


async def test_a_peer_that_never_lets_us_wait_holds_up_nobody() -> None:
    """Everything that it says is there before the first read."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    octets = 20 * READ_BYTES
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * octets)
    sent = theirs.send(bytes(octets))
    reads = turns = heard = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    with Wire(ours) as wire, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(others)
            await trio.lowlevel.checkpoint()
            turns = 0
            while heard < sent:
                heard += len(await wire.receive_some())
                reads += 1
            nursery.cancel_scope.cancel()
    assert reads >= 10
    assert turns >= reads - 2
