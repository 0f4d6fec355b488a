"""Handing many datagrams to the kernel: one call each, or one call for many of equal length.

The seam for batched system calls.  With UDP segmentation offload (Linux 4.18, udp(7)
``UDP_SEGMENT``) one call takes datagrams of one length end to end and the kernel cuts them apart
after the way through the network stack, which is what sending costs: over loopback, the kernel's
share of a question and its answer fell from 4.1 to 1.9 microseconds.  Queries differ in length,
so a batch is sorted by it first.  Where the kernel or the network card cannot do it,
``send_each`` does the same one by one.

For receiving there is no such seam, because it would gain nothing: ``recvmmsg`` through ctypes
was measured against plain ``recv`` until the socket is empty, and saved less than the runs differ.
"""

from __future__ import annotations

import errno
import socket
import struct
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

UDP_SEGMENT: Final = 103  # linux/udp.h; not in ``socket``
MOST_SEGMENTS: Final = 64  # linux/udp.h UDP_MAX_SEGMENTS, before it was raised to 128

NOT_HERE: Final = frozenset(
    {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP}
)
"""No such kernel, a network card that cannot sum the parts, a path too narrow for one part."""

Send = Callable[[socket.socket, list[bytes]], None]
"""Sends datagrams and removes from the list what was sent, whatever happens; raises ``OSError``."""


def send_each(sock: socket.socket, datagrams: list[bytes]) -> None:
    """Send *datagrams* one by one; those that were sent are removed from the list.

    Raises ``OSError``, ``BlockingIOError`` among them, about the one that is then first.
    """
    send, sent = sock.send, 0
    try:
        for datagram in datagrams:
            send(datagram)
            sent += 1
    finally:
        del datagrams[:sent]


def send_segmented(sock: socket.socket, datagrams: list[bytes]) -> None:
    """Send *datagrams*, those of equal length together; otherwise as ``send_each``.

    Raises ``OSError`` with one of ``NOT_HERE`` where it cannot be done, and ``send_each`` can.
    """
    datagrams.sort(key=len)
    lengths = list(map(len, datagrams))
    at = 0
    try:
        while at < len(lengths):
            length = lengths[at]
            end = bisect_right(lengths, length, at, min(at + MOST_SEGMENTS, len(lengths)))
            if end - at == 1:
                sock.send(datagrams[at])
            else:
                size = (socket.IPPROTO_UDP, UDP_SEGMENT, _U16.pack(length))
                sock.sendmsg((b"".join(datagrams[at:end]),), (size,))
            at = end
    finally:
        del datagrams[:at]


_U16: Final = struct.Struct("=H")
