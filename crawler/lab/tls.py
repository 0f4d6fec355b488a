"""The server's side of TLS in the lab: every handshake that a persona asks for.

The ClientHello is read before anything is decided, so that the server name chooses the
certificate, the version, or the way to fail.  Certificates come from ``pki``.
"""

from __future__ import annotations

import ssl
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import trio

from crawler.lab.pki import Authority
from crawler.lab.scenario import Certificate, Tls

# One fatal alert record, level 2, unrecognized_name 112 (RFC 6066 section 3), as TLS 1.2.
_UNRECOGNIZED_NAME: Final = bytes.fromhex("15 0303 0002 02 70")
# The header of a handshake record that announces more than will come.
_HALF_A_RECORD: Final = bytes.fromhex("16 0303 007a 02 000076 0303")
_GARBAGE: Final = b"This is not the protocol you are looking for.\r\n"
_HELLO_LIMIT: Final = 65536

_FAILURES: Final = {
    Tls.ALERT: _UNRECOGNIZED_NAME,
    Tls.CUT: _HALF_A_RECORD,
    Tls.GARBAGE: _GARBAGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What a host shows to a client that names it."""

    host: str
    certificate: Certificate
    tls: Tls


class Contexts:
    """Server contexts, made once per host and manner and kept up to a bound."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self.context = lru_cache(maxsize=8192)(self._context)

    def _context(self, shown: Presented) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if shown.tls is Tls.OLD:
            _restrict_to_old(context)
        # ``ssl`` loads certificates from files only.
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            Path(file.name).write_bytes(self._authority.leaf(shown.host, shown.certificate).pem())
            context.load_cert_chain(file.name)
        return context


def _restrict_to_old(context: ssl.SSLContext) -> None:
    # OpenSSL 3 allows SHA-1 signatures, which TLS 1.0 and 1.1 need, at level 0 only.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # being old is the point
        context.maximum_version = ssl.TLSVersion.TLSv1_1


class _Replayed(trio.abc.Stream):
    """A stream whose first octets have been read already."""

    def __init__(self, stream: trio.abc.Stream, first: bytes) -> None:
        self._stream, self._first = stream, first

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if not self._first:
            return await self._stream.receive_some(max_bytes)
        count = len(self._first) if max_bytes is None else max_bytes
        first, self._first = self._first[:count], self._first[count:]
        return first

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _client_hello(stream: trio.abc.Stream) -> tuple[str | None, bytes]:
    """The server name of a ClientHello (RFC 6066 section 3) and the octets it came in."""
    named: list[str | None] = []

    def note(_object: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int:
        named.append(name)
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR  # this object's work is done

    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    probe.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    probe.sni_callback = note
    incoming, heard = ssl.MemoryBIO(), b""
    reader = probe.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    while len(heard) < _HELLO_LIMIT and (data := await stream.receive_some()):
        heard += data
        incoming.write(data)
        try:
            reader.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError:
            break
    return (named[0] if named else None), heard


async def accept(
    stream: trio.abc.Stream,
    contexts: Contexts,
    choose: Callable[[str | None], Presented],
) -> trio.SSLStream[trio.abc.Stream] | None:
    """Shake hands as the host that *choose* makes of the server name; None if that fails, as it may.

    A failed handshake leaves *stream* open: closing it is the caller's.
    """
    name, hello = await _client_hello(stream)
    shown = choose(name)
    if (answer := _FAILURES.get(shown.tls)) is not None:
        if hello:
            await stream.send_all(answer)
        return None
    secured: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(
        _Replayed(stream, hello),
        contexts.context(shown),
        server_side=True,
        https_compatible=True,
    )
    try:
        await secured.do_handshake()
    except trio.BrokenResourceError:
        return None
    return secured
