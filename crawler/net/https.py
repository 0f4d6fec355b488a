"""What does a Policy Host answer when it is asked for the policy?  (RFC 8461 section 3.3.)

One GET of ``https://mta-sts.<domain>/.well-known/mta-sts.txt``, over HTTP/1.1, at the address of a
permit: the name is in SNI and ``Host``, and is not looked up again.  What comes back is kept as
it came: no redirect is followed ("HTTP 3xx redirects MUST NOT be followed"), no content coding is
decoded, no certificate turned away.  A body stops at its cap plus one octet.

``Host`` never carries a port, not even in a closed world with high ports: the octets on the wire
are then the ones of port 443, and the port is a detail of the connection.

Left to others: what the policy says (``protocol.sts_policy``), whether the chain passes
(``protocol.certificate``).  This is the only module that knows httpx, by its public interface;
nothing of it appears in what the module gives out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from crawler.config import Identity, Limits
from crawler.net.conversation import Conversation, arrived
from crawler.net.failure import Failure, PeerFault, causes
from crawler.net.tls import MeasuringContext, TlsFacts, Watch, watching
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

_NO_TIMEOUT: Final = httpx.Timeout(None).as_dict()
"""httpx's timeouts start anew with every octet, so ours are used instead (``Conversation``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyExchange:
    """One request for a policy file: facts only.  Null means that it did not come so far."""

    status: IoStatus
    stage: Stage
    error: str | None = None
    tls: TlsFacts = field(default_factory=TlsFacts)
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
        self._context = MeasuringContext(alpn=("http/1.1",))
        self._headers = {
            "User-Agent": user_agent(identity),
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }

    async def fetch(self, permit: Permit, host: str) -> PolicyExchange:
        """Ask the Policy Host *host*, in normal form, at the address of *permit*.

        Whatever the peer does is in the value; nothing it does raises.
        """
        limits = self._limits
        call = Conversation(permit.address, total=limits.https_total)
        watch = Watch(
            certificates=limits.chain_certificates,
            certificate_bytes=limits.chain_bytes,
            octets=limits.header_bytes + _FRAMING * limits.policy_bytes,
        )
        received = _Received()

        async def talk() -> None:
            with watching(watch):
                await self._get(permit, host, call, watch, received)

        failure = await call.run(talk)
        if failure is not None:
            failure = watch.place(failure, spoke_first=False)
        failure = _fault_of(received, limits) or failure
        return PolicyExchange(
            status=IoStatus.SUCCESS if failure is None else failure.status,
            stage=Stage.HTTP_BODY if failure is None else failure.stage,
            error=None if failure is None else failure.error,
            tls=watch.facts,
            http_status=received.http_status,
            headers=received.headers,
            body=None if received.body is None else bytes(received.body[: limits.policy_bytes]),
            body_size=None if received.body is None else len(received.body),
        )

    async def _get(
        self, permit: Permit, host: str, call: Conversation, watch: Watch, into: _Received
    ) -> None:
        """Send the request and read the response into *into*."""
        address, port = permit.use()
        steps = _Steps(permit, call, self._limits)
        authority = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        request = httpx.Request(
            "GET",
            f"https://{authority}{POLICY_PATH}",
            headers={"Host": host, **self._headers},
            extensions={
                "sni_hostname": host,
                "timeout": _NO_TIMEOUT,
                "trace": steps.trace,
            },
        )
        # A transport for each fetch: connections are never shared, and httpcore's pool looks
        # through all of its connections at every request.
        try:
            async with httpx.AsyncHTTPTransport(verify=self._context, trust_env=False) as transport:
                response = await transport.handle_async_request(request)
                _take_head(response, into, self._limits.header_bytes)
                await _take_body(response, into, self._limits.policy_bytes, watch)
        except httpx.RemoteProtocolError as error:
            raise _protocol_fault(error, watch) from error
        finally:
            await steps.hang_up()


class _Steps:
    """Turns httpx's trace of a request into the steps of a conversation."""

    def __init__(self, permit: Permit, call: Conversation, limits: Limits) -> None:
        self._permit = permit
        self._call = call
        self._connection: Any = None
        self._begins: Mapping[str, tuple[Stage, float]] = {
            "connection.connect_tcp.started": (Stage.CONNECT, limits.connect),
            "connection.start_tls.started": (Stage.TLS, limits.tls_handshake),
            "http11.send_request_headers.started": (Stage.HTTP_HEADERS, limits.https_total),
            "http11.receive_response_body.started": (Stage.HTTP_BODY, limits.https_total),
        }

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by httpx as the request proceeds (its ``trace`` extension)."""
        if event == "connection.connect_tcp.complete":
            self._connection = info["return_value"]
            arrived(self._permit, self._connection.get_extra_info("server_addr"))
        elif event in self._begins:
            self._call.enter(*self._begins[event])

    async def hang_up(self) -> None:
        """Close the connection, which httpx leaves open when a handshake is cancelled."""
        if self._connection is not None:
            await self._connection.aclose()


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


async def _take_body(response: httpx.Response, into: _Received, cap: int, watch: Watch) -> None:
    """Keep the body up to one octet over its cap."""
    into.body = body = bytearray()
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for piece in response.stream:
        body += piece[: cap + 1 - len(body)]
        if len(body) > cap:
            # The loop is not left, for httpx's generators have to run to their end: rather, the
            # next read from the network fails.
            watch.stop(PeerFault(IoStatus.RESPONSE_TOO_LARGE, _over(cap)))


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


def _protocol_fault(error: httpx.RemoteProtocolError, watch: Watch) -> PeerFault:
    """What an error of HTTP means: too much, too little, or something else than HTTP."""
    # The parser below httpx says what a server would answer to such a client: 431 (RFC 6585
    # section 5) when a header, a chunk's extension or a trailer fills its buffer.
    if any(getattr(cause, "error_status_hint", None) == 431 for cause in causes(error)):
        return PeerFault(IoStatus.RESPONSE_TOO_LARGE, "a header, chunk or trailer is too long")
    if watch.ended:
        return PeerFault(IoStatus.CONNECTION_CLOSED, "the response is not complete")
    return PeerFault(IoStatus.PROTOCOL_ERROR, str(error))
