"""The same OpenSSL in a bare loop: what a conversation costs when nothing else is done.

One connection after the other over blocking sockets, with the crawler's offers, so that both
sides have the same handshake to do.  The chain is taken out, for it is what is measured; nothing
is checked, timed or kept.
"""

from __future__ import annotations

import argparse
import socket
import time
from collections.abc import Callable
from pathlib import Path

from OpenSSL import SSL, crypto

from tests.benchmarks.stages import state
from tests.benchmarks.workload import read_hosts

CIPHERS = b"DEFAULT:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"
GET = "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"


def context(alpn: tuple[bytes, ...] = ()) -> SSL.Context:
    """The settings of ``crawler.net.tls``."""
    made = SSL.Context(SSL.TLS_CLIENT_METHOD)
    made.set_verify(SSL.VERIFY_NONE)
    made.set_min_proto_version(SSL.TLS1_VERSION)
    made.set_cipher_list(CIPHERS)
    made.set_options(SSL.OP_LEGACY_SERVER_CONNECT | SSL.OP_NO_RENEGOTIATION)
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    if alpn:
        made.set_alpn_protos(list(alpn))
    return made


def handshake(made: SSL.Context, wire: socket.socket, host: str) -> tuple[SSL.Connection, int]:
    """The connection, and how many certificates were presented."""
    tls = SSL.Connection(made, wire)
    tls.set_connect_state()
    tls.set_tlsext_host_name(host.encode())
    tls.do_handshake()
    presented = tls.get_peer_cert_chain() or ()
    return tls, len([crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in presented])


def mail(made: SSL.Context, wire: socket.socket, host: str) -> bool:
    """Greeting, EHLO, STARTTLS and the handshake."""
    wire.recv(4096)
    wire.sendall(b"EHLO bench.invalid\r\n")
    wire.recv(4096)
    wire.sendall(b"STARTTLS\r\n")
    wire.recv(4096)
    _, certificates = handshake(made, wire, host)
    return certificates == 2


def policies(made: SSL.Context, wire: socket.socket, host: str) -> bool:
    """The handshake, the request and all of the response."""
    tls, certificates = handshake(made, wire, host)
    tls.sendall(GET.format(host).encode())
    received = b""
    try:
        while data := tls.recv(16384):
            received += data
    except SSL.ZeroReturnError:
        pass
    return certificates == 2 and b"STSv1" in received


TALKS: dict[str, tuple[Callable[[SSL.Context, socket.socket, str], bool], SSL.Context]] = {
    "mail": (mail, context()),
    "policies": (policies, context((b"http/1.1",))),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peer_loop")
    parser.add_argument("service", choices=TALKS)
    parser.add_argument("--hosts", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    talk, made = TALKS[arguments.service]
    hosts = read_hosts(arguments.hosts)
    answers = 0
    began, cpu = time.perf_counter(), time.process_time()
    for address, host in hosts:
        with socket.create_connection((address, arguments.port)) as wire:
            answers += talk(made, wire, host)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    state({"answers": answers, "seconds": seconds, "cpu": cpu})


if __name__ == "__main__":
    main()
