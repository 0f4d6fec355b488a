"""What does a Policy Host answer when it is asked for the policy?  (RFC 8461 section 3.3.)

One GET of ``https://mta-sts.<domain>/.well-known/mta-sts.txt``, over HTTP/1.1, at the address of a
permit: the name is in SNI and ``Host``, and is not looked up again.  What comes back is kept as
it came: no redirect is followed ("HTTP 3xx redirects MUST NOT be followed"), no content coding is
decoded, no certificate turned away.  A body stops at its cap plus one octet.

``Host`` never carries a port, not even in a closed world with high ports: the octets on the wire
are then the ones of port 443, and the port is a detail of the connection.

Left to others: what the policy says (``protocol.sts_policy``), whether the chain passes
(``protocol.certificate``).  This is the only module that knows httpx and httpcore, the engine under
it, by their public interfaces; nothing of them appears in what the module gives out.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Final

import httpcore
import httpx
import trio

from crawler.config import Identity, Limits
from crawler.net.conversation import Conversation
from crawler.net.failure import Failure, PeerFault, causes
from crawler.net.tls import NO_TLS, TlsClient, TlsFacts, TlsLimits, TlsStream
from crawler.net.wire import dial
from crawler.politeness.gate import Permit
from crawler.vocabulary import IoStatus, Stage

POLICY_PATH: Final = "/.well-known/mta-sts.txt"  # RFC 8461 section 3.2

KEPT_HEADERS: Final = (
    "server",
    "via",
    "x-powered-by",
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "cache-control",
    "retry-after",
    "strict-transport-security",
    "www-authenticate",
)
"""Header fields that tell who answered and how, and do not change from one request to the next:
two scans of an unchanged world have to give equal rows, so no date and no request id."""

_FRAMING: Final = 8
"""A policy in chunks of one octet (RFC 9112 section 7.1) is six times its size; nobody needs more
octets inside TLS than eight times the cap on the body, beside the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyExchange:
    """One request for a policy file: facts only.  Null means that it did not come so far."""

    status: IoStatus
    stage: Stage
    error: str | None = None
    connect_ms: float | None = None
    """From the start until the connection stood."""
    tls: TlsFacts = NO_TLS
    http_status: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    """All header fields, names in lower case, in the order received."""
    body: bytes | None = None
    """The body as received, cut at the cap."""
    body_size: int | None = None
    """Octets received of the body, at most one over the cap."""

    def header(self, name: str) -> str | None:
        """The first header field *name*, undecodable octets replaced; None when there is none."""
        value = next((value for n, value in self.headers if n == name), None)
        return None if value is None else value.decode("utf-8", "replace")

    @property
    def kept_headers(self) -> tuple[tuple[str, bytes], ...]:
        """The header fields that a snapshot keeps, in the order received."""
        return tuple((n, v) for n, v in self.headers if n in KEPT_HEADERS)


@dataclass(slots=True)
class _Received:
    """What has come of the response so far."""

    http_status: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    body: bytearray | None = None


class PolicyClient:
    """Asks Policy Hosts for policies.  One for a whole scan; any number of fetches at once."""

    def __init__(self, identity: Identity, limits: Limits) -> None:
        self._limits = limits
        self._tls = TlsClient(alpn=(b"http/1.1",))
        self._headers = {
            "User-Agent": user_agent(identity),
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }

    async def fetch(self, permit: Permit, host: str, *, path: str = POLICY_PATH) -> PolicyExchange:
        """Ask the Policy Host *host*, in normal form, at the address of *permit*.

        *path* is another only where a page of our own is looked at.

        Whatever the peer does is in the value; nothing it does raises.
        """
        fetch = _Fetch(self._limits, self._tls, permit, host)
        authority = f"[{permit.address}]" if ":" in permit.address else permit.address
        request = httpx.Request(
            "GET",
            f"https://{authority}:{permit.port}{path}",
            headers={"Host": host, **self._headers},
        )
        failure = await fetch.call.run(lambda: fetch.get(request))
        return fetch.exchange(failure)


class _Fetch:
    """One request: the connection, the clock over it, and what has come."""

    def __init__(self, limits: Limits, tls: TlsClient, permit: Permit, host: str) -> None:
        self.call = Conversation(permit.address, total=limits.https_total)
        self._limits = limits
        self._tls = tls
        self._permit = permit
        self._host = host
        self._connect_ms: float | None = None
        self._stream: TlsStream | None = None
        self._received = _Received()

    async def get(self, request: httpx.Request) -> None:
        """Connect, shake hands, send *request* and read the response."""
        limits = self._limits
        self.call.enter(Stage.CONNECT, limits.connect)
        with await dial(self._permit) as wire:
            self._connect_ms = (trio.current_time() - self.call.started) * 1000
            self._stream = self._tls.wrap(
                wire,
                self._host,
                TlsLimits(
                    certificates=limits.chain_certificates,
                    certificate_bytes=limits.chain_bytes,
                    octets=limits.header_bytes + _FRAMING * limits.policy_bytes,
                ),
            )
            self.call.enter(Stage.TLS, limits.tls_handshake)
            await self._stream.do_handshake()
            self.call.enter(Stage.HTTP_HEADERS)
            await self._ask(request, self._stream)

    async def _ask(self, request: httpx.Request, stream: TlsStream) -> None:
        transport = _OneConnection(stream)
        try:
            response = await transport.handle_async_request(request)
            _take_head(response, self._received, self._limits.header_bytes)
            self.call.enter(Stage.HTTP_BODY)
            await _take_body(response, self._received, self._limits.policy_bytes, stream)
        except httpcore.RemoteProtocolError as error:
            raise _protocol_fault(error, stream) from error

    def exchange(self, failure: Failure | None) -> PolicyExchange:
        """What was learnt, once the fetch is over; *failure* is how it broke off."""
        received, stream = self._received, self._stream
        if failure is not None and stream is not None:
            failure = stream.place(failure, spoke_first=False)
        failure = _fault_of(received, self._limits) or failure
        body = received.body
        return PolicyExchange(
            status=IoStatus.SUCCESS if failure is None else failure.status,
            stage=Stage.HTTP_BODY if failure is None else failure.stage,
            error=None if failure is None else failure.error,
            connect_ms=self._connect_ms,
            tls=NO_TLS if stream is None else stream.facts,
            http_status=received.http_status,
            headers=received.headers,
            body=None if body is None else bytes(body[: self._limits.policy_bytes]),
            body_size=None if body is None else len(body),
        )


class _OneConnection(httpx.AsyncBaseTransport):
    """An httpx transport over a connection that stands already, for one request.

    httpx's own would open the connection itself, with the TLS of ``ssl``; and connections are never
    shared here, so that a pool would only be in the way.
    """

    def __init__(self, stream: TlsStream) -> None:
        self._stream = _Octets(stream)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; the body of the response is read as its stream is."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        response = await httpcore.AsyncHTTP11Connection(
            url.origin, self._stream
        ).handle_async_request(httpcore.Request(request.method, url, headers=request.headers.raw))
        assert isinstance(response.stream, AsyncIterable)
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response.stream)
        )


class _Octets(httpcore.AsyncNetworkStream):
    """A TLS connection as httpcore's engine wants it.  Deadlines are the conversation's."""

    def __init__(self, stream: TlsStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """What has come, nothing at the end; records are small, so *max_bytes* is never met."""
        return await self._stream.receive_some()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send *buffer*.  A server may answer and close before it has read all."""
        try:
            await self._stream.send_all(buffer)
        except OSError as error:
            raise httpcore.WriteError from error

    async def aclose(self) -> None:
        """Close the connection."""
        self._stream.close()


class _Body(httpx.AsyncByteStream):
    """The body of a response, piece by piece."""

    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece


def user_agent(identity: Identity) -> str:
    """Who asks, and where its owner can be reached (RFC 9110 section 10.1.5)."""
    where = "; ".join(
        f"+{part}" if "://" in part else part for part in (identity.url, identity.contact) if part
    )
    return f"mta-sts-census ({where})" if where else "mta-sts-census"


def _take_head(response: httpx.Response, into: _Received, cap: int) -> None:
    raw = response.headers.raw
    into.http_status = response.status_code
    into.headers = tuple((name.lower().decode("ascii", "replace"), value) for name, value in raw)
    if sum(len(name) + len(value) + 4 for name, value in raw) > cap:  # ": " and CRLF
        raise PeerFault(IoStatus.RESPONSE_TOO_LARGE, f"a header of more than {cap} octets")


async def _take_body(
    response: httpx.Response, into: _Received, cap: int, stream: TlsStream
) -> None:
    """Keep the body up to one octet over its cap."""
    into.body = body = bytearray()
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for piece in response.stream:
        body += piece[: cap + 1 - len(body)]
        if len(body) > cap:
            # The loop is not left, for httpx's generators have to run to their end: rather, the
            # next read from the network fails.
            stream.stop(PeerFault(IoStatus.RESPONSE_TOO_LARGE, _over(cap)))


def _over(cap: int) -> str:
    return f"a body of more than {cap} octets"


def _fault_of(received: _Received, limits: Limits) -> Failure | None:
    """What is wrong with a body that came, whether or not it came whole."""
    if received.body is None:
        return None
    codings = [value for name, value in received.headers if name == "content-encoding"]
    if any(value.strip().lower() not in (b"", b"identity") for value in codings):
        return Failure(
            status=IoStatus.CONTENT_ENCODED,
            stage=Stage.HTTP_BODY,
            error="a content coding that was not asked for",
        )
    if len(received.body) > limits.policy_bytes:
        return Failure(
            status=IoStatus.RESPONSE_TOO_LARGE,
            stage=Stage.HTTP_BODY,
            error=_over(limits.policy_bytes),
        )
    return None


def _protocol_fault(error: httpcore.RemoteProtocolError, stream: TlsStream) -> PeerFault:
    """What an error of HTTP means: too much, too little, or something else than HTTP."""
    # The parser below httpx says what a server would answer to such a client: 431 (RFC 6585
    # section 5) when a header, a chunk's extension or a trailer fills its buffer.
    if any(getattr(cause, "error_status_hint", None) == 431 for cause in causes(error)):
        return PeerFault(IoStatus.RESPONSE_TOO_LARGE, "a header, chunk or trailer is too long")
    if stream.ended:
        return PeerFault(IoStatus.CONNECTION_CLOSED, "the response is not complete")
    return PeerFault(IoStatus.PROTOCOL_ERROR, str(error))
