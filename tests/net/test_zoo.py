"""The zoo of certificates goes over the wire and arrives as it was sent, to the same verdict."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from crawler.protocol.chain import ChainJudge
from crawler.vocabulary import IoStatus
from tests.net.hosts import presenting
from tests.net.servers import Peer, fetch, serving, virtual_time
from tests.protocol import zoo
from tests.protocol.zoo import HOST, NOW, Key

JUDGE = ChainJudge(zoo.ROOTS)

UNSERVABLE = frozenset(
    {"nothing", "not DER", "truncated", "truncated intermediate", "malformed SAN", "RSA 512"}
)
"""Animals that OpenSSL does not let a server have: they go over the wire only as octets."""

NOT_BELOW_1_3 = frozenset({"self-signed CA", "key usage not for TLS"})
"""Their key usage leaves OpenSSL's server no suite of TLS 1.2 (RFC 5246 section 7.4.2)."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


# As octets: what is shown in the clear below TLS 1.3, whether or not anybody can read it.


@pytest.mark.anyio
@pytest.mark.parametrize("name", zoo.zoo())
async def test_every_animal_arrives_as_octets(name: str) -> None:
    animal = zoo.zoo()[name]
    async with serving(presenting(animal.chain)) as server:
        exchange = await fetch(server, host=HOST)
    assert exchange.status is IoStatus.HANDSHAKE_ERROR
    assert exchange.tls.chain == animal.chain
    assert set(JUDGE.judge(exchange.tls.chain, HOST, NOW).problems) == set(animal.problems)


# As a handshake that succeeds: what a server can have, in both versions.


def keys() -> tuple[Key, ...]:
    """The keys of leaves."""
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
    return (zoo.key("leaf"), zoo.rsa_key(2048), zoo.rsa_key(1024), edwards)


def server_of(chain: tuple[bytes, ...], folder: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A server that has *chain* and its key.  Raises ``ssl.SSLError`` where none can have it."""
    presented, secret = folder / "chain.pem", folder / "key.pem"
    presented.write_text("".join(map(ssl.DER_cert_to_PEM_cert, chain)))
    failure: Exception = ssl.SSLError()
    for key in keys():
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        try:
            context.load_cert_chain(presented, secret)
        except ssl.SSLError as error:
            failure = error
        else:
            return context
    raise failure


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "version"),
    [
        *((name, ssl.TLSVersion.TLSv1_3) for name in zoo.zoo() if name not in UNSERVABLE),
        *(
            (name, ssl.TLSVersion.TLSv1_2)
            for name in zoo.zoo()
            if name not in UNSERVABLE | NOT_BELOW_1_3
        ),
    ],
)
async def test_every_animal_that_a_server_can_have_shakes_hands(
    tmp_path: Path, name: str, version: ssl.TLSVersion
) -> None:
    chain = zoo.zoo()[name].chain
    context = server_of(chain, tmp_path, version)

    async def behaviour(peer: Peer) -> None:
        await peer.start_tls(context)
        await peer.request()

    async with serving(behaviour) as server:
        exchange = await fetch(server, host=HOST)
    assert exchange.tls.tls_version == version.name.replace("_", ".")
    assert exchange.tls.chain == chain
