"""Stores for the tests: moto's, SeaweedFS, and weather between a store and who asks it.

Each is a real server on loopback.  ``Weather`` stands before one and has its clients' connections cut
or answered with an error, at the request that a test names.
"""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",  # nobody is asked for keys
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "NO_PROXY": "127.0.0.1",
}
"""What a store is asked with."""

BUCKET: Final = "census"
_STARTING: Final = 60.0


class Store:
    """A store at *port* of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, prefix: str, *, bucket: str = BUCKET) -> str:
        """The address of an archive in it."""
        options = f"endpoint_override=127.0.0.1:{self.port}&scheme=http"
        return f"s3://{bucket}/{prefix}?{options}"


def unused_ports(number: int) -> list[int]:
    """Ports that are free, and whose sums with 10000 are too (SeaweedFS wants these as well)."""
    found: list[int] = []
    while len(found) < number:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1] % 20_000 + 20_000
            with suppress(OSError), socket.socket() as low:
                low.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 10_000))
                if port not in found:
                    found.append(port)
    return found


@contextmanager
def _running(command: list[str], answers: str, log: Path) -> Iterator[None]:
    """A server, from when it answers at a URL."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=log.parent, start_new_session=True
        )
    try:
        _await(process, answers, log)
        yield
    finally:
        process.kill()  # SeaweedFS takes half a minute to say good-bye
        process.wait()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Look until a server answers: there is nothing else that it would say."""
    until = time.monotonic() + _STARTING
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            threading.Event().wait(0.05)
    raise AssertionError(log.read_text())


@contextmanager
def moto(folder: Path) -> Iterator[Store]:
    """Moto's server."""
    (port,) = unused_ports(1)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, f"http://127.0.0.1:{port}/", folder / "moto.log"):
        yield Store(port)


def weed() -> str | None:
    """The program of SeaweedFS, if there is one."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("weed")


@contextmanager
def seaweed(program: str, folder: Path) -> Iterator[Store]:
    """SeaweedFS, all its parts in one process."""
    master, volume, filer, s3 = unused_ports(4)
    (folder / "data").mkdir()
    command = [
        *(program, "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
        *("-s3", f"-s3.port={s3}", "-volume.max=20", "-master.volumeSizeLimitMB=64"),
        # Catalogues at ports of their own, which another such server has.
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
    ]
    with _running(command, f"http://127.0.0.1:{s3}/", folder / "weed.log"):
        yield Store(s3)


# --- weather

Fate = Callable[[bytes], str]
"""What becomes of a request, by its head: ``pass``, ``cut``, ``lost`` (it is carried out, and the
answer is cut), ``forget`` (its condition is), or the status of an error."""


class Weather(Store):
    """A store that stands behind a line on which things happen; one request for a connection."""

    def __init__(self, behind: Store, port: int) -> None:
        super().__init__(port)
        self.fate: Fate = lambda _: "pass"
        self.requests: list[str] = []
        """The first lines of the requests that came."""
        self.behind = behind


@contextmanager
def weather(behind: Store) -> Iterator[Weather]:
    """Weather before a store."""

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = self._head()
            if not head:
                return
            line = head.partition(b"\r\n")[0].decode()
            there.requests.append(line)
            fate = there.fate(head)
            body = self._body(head)
            if fate == "cut":
                return
            if fate.isdigit():
                self.wfile.write(
                    f"HTTP/1.1 {fate} Trouble\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
                )
                return
            kept = [h for h in head.split(b"\r\n") if not h.lower().startswith(b"connection:")]
            if fate == "forget":
                kept = [
                    h for h in kept if not h.lower().startswith((b"if-none-match", b"if-match"))
                ]
            request = b"\r\n".join([*kept[:1], b"Connection: close", *kept[1:]]) + body
            answer = self._asked(request)
            if fate != "lost":
                self.wfile.write(answer)

        def _head(self) -> bytes:
            lines = []
            while line := self.rfile.readline():
                lines.append(line)
                if line == b"\r\n":
                    break
            return b"".join(lines)

        def _body(self, head: bytes) -> bytes:
            fields = dict(
                line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line
            )
            if b"100-continue" in fields.get(b"expect", b""):
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if b"chunked" not in fields.get(b"transfer-encoding", b""):
                return self.rfile.read(int(fields.get(b"content-length", 0)))
            pieces = []
            while (size := int((line := self.rfile.readline()).partition(b";")[0], 16)) > 0:
                pieces += [line, self.rfile.read(size + 2)]
            return b"".join([*pieces, line, self._head()])

        def _asked(self, request: bytes) -> bytes:
            with socket.create_connection(("127.0.0.1", behind.port)) as upstream:
                upstream.sendall(request)
                pieces = []
                while piece := upstream.recv(65536):
                    pieces.append(piece)
            # A keep-alive client must not wait for more on this line.
            head, blank, rest = b"".join(pieces).partition(b"\r\n\r\n")
            lines = [h for h in head.split(b"\r\n") if not h.lower().startswith(b"connection:")]
            return b"\r\n".join([*lines, b"Connection: close"]) + blank + rest

    class Lines(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that hang up are weather too."""

    with Lines(("127.0.0.1", 0), Line) as server:
        there = Weather(behind, server.server_address[1])
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield there
        finally:
            server.shutdown()
            serving.join()
