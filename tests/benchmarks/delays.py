"""Hosts that take a while for each answer: a program that stands before servers and passes on.

``python delays.py FRONT:BACK FILE ...`` listens on port FRONT at every address of the lists
(``address,host`` a line) and passes what comes to the same address at port BACK at once; what is
answered waits for ``DELAY``.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

DELAY = 0.05
"""Seconds."""


class Back(asyncio.Protocol):
    """The server's side of one conversation."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def data_received(self, data: bytes) -> None:
        """Let the client wait for it."""
        asyncio.get_running_loop().call_later(DELAY, self._front.write, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the client wait for the end as well."""
        asyncio.get_running_loop().call_later(DELAY, self._front.close)


class Front(asyncio.Protocol):
    """The client's side."""

    def __init__(self, back: int) -> None:
        self._port = back
        self._early: list[bytes] = []
        self._back: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there: see whom it wants."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._opening = asyncio.ensure_future(self._open(transport.get_extra_info("sockname")[0]))

    async def _open(self, address: str) -> None:
        loop = asyncio.get_running_loop()
        self._back, _ = await loop.create_connection(lambda: Back(self), address, self._port)
        if self._transport.is_closing():
            self._back.close()
        for data in self._early:
            self._back.write(data)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self._back is None:
            self._early.append(data)
        else:
            self._back.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        if self._back is not None:
            self._back.close()

    def write(self, data: bytes) -> None:
        """Answer."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


def read(arguments: list[str]) -> Iterator[tuple[str, int, int]]:
    """The command line: where to listen, and the port behind."""
    for ports, name in zip(arguments[::2], arguments[1::2], strict=True):
        front, back = map(int, ports.split(":"))
        lines = Path(name).read_text().splitlines()
        for address in dict.fromkeys(line.partition(",")[0] for line in lines):
            yield address, front, back


async def serve(listens: list[tuple[str, int, int]]) -> None:
    """Listen at addresses and ports, and pass on to the ports behind, until the end."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    for address, front, back in listens:
        await loop.create_server(lambda back=back: Front(back), address, front, backlog=512)
    await loop.create_future()


if __name__ == "__main__":
    asyncio.run(serve(list(read(sys.argv[1:]))))
