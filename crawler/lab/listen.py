"""Sockets that treat a connection as a persona says, before a word is spoken.

One listener per address: on a wildcard address, a refused connection could not be told apart.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from crawler.lab.log import Connection, Log
from crawler.lab.scenario import Accept

Handler = Callable[[trio.SocketStream, Connection], Awaitable[None]]

_PATIENCE: Final = 30.0
"""Seconds that a host spends on one client, so that no conversation outlives its test."""
_BACKLOG: Final = 128
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


def bind(address: str, port: int, accept: Accept = Accept.OPEN) -> list[socket.socket]:
    """Listen at *address*; the first socket is the listener, the others only keep it busy.

    ``OSError`` if the port is taken.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0 if accept is Accept.TIMEOUT else _BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return [listener, *(_fillers(address, port) if accept is Accept.TIMEOUT else ())]


def _fillers(address: str, port: int) -> list[socket.socket]:
    """Connections that fill a backlog of none: Linux then ignores every further SYN."""
    made = []
    for _ in range(3):
        filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        filler.setblocking(False)
        filler.connect_ex((address, port))
        made.append(filler)
    return made


async def serve(
    service: str, sockets: Sequence[socket.socket], accept: Accept, handler: Handler, log: Log
) -> None:
    """Serve the listeners *sockets* until cancelled: first as *accept* says, then by *handler*."""
    if accept is Accept.TIMEOUT:  # nobody takes anything from the backlog
        await trio.sleep_forever()
    treat = {Accept.RESET: _reset, Accept.SILENT: _silent}.get(accept, handler)

    async def one(stream: trio.SocketStream) -> None:
        entry = log.opened(service, stream.socket.getsockname()[0])
        try:
            with trio.move_on_after(_PATIENCE):
                await treat(stream, entry)
        except trio.BrokenResourceError:
            pass  # the client has gone
        finally:
            await trio.aclose_forcefully(stream)
            entry.closed_at = trio.current_time()

    sources = [trio.SocketListener(trio.socket.from_stdlib_socket(s)) for s in sockets]
    await trio.serve_listeners(one, sources)


async def _reset(stream: trio.SocketStream, _: Connection) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)


async def _silent(stream: trio.SocketStream, entry: Connection) -> None:
    while data := await stream.receive_some():
        entry.heard(data)
