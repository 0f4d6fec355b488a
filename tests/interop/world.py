"""A small Internet on loopback made of servers that nobody here wrote.

NSD is authoritative for the root, the signed zone ``test.`` and the unsigned zone ``example.``;
unbound recurses and validates from the key of that root; nginx and ``openssl s_server`` are the
Policy Hosts (RFC 8461 section 3.3); Postfix is every MX host (RFC 3207).  Each server has a small
class that writes its configuration into a folder of its own, starts it in the foreground and
waits until its ports answer.  Which domains exist, and what is expected of them, is told
elsewhere (``domains``, ``test_world``).
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.dnssec
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dns.rdtypes.ANY.DNSKEY import DNSKEY

SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
"""Daemons live where the search path of a person often does not look."""

PACKAGES = {
    "nsd": "nsd",
    "unbound": "unbound",
    "nginx": "nginx",
    "postfix": "postfix",
    "openssl": "openssl",
}
"""Debian package that each command comes from."""

READY_WITHIN = 15.0
"""Seconds in which a server must accept connections; on an idle machine all take under one."""


def missing() -> str | None:
    """Why the world cannot be built here, in words, or None when it can."""
    lacking = [package for command, package in PACKAGES.items() if not _which(command)]
    if lacking:
        return f"needs the Debian packages {' '.join(lacking)} (.ci/install-interop installs them)"
    if os.geteuid() != 0:
        return "needs root: Postfix changes to its own user"
    return None


def _which(command: str) -> str | None:
    return shutil.which(command, path=SBIN)


def _ask(command: str, *arguments: str) -> str:
    """Run a command to its end and return what it prints; raises CalledProcessError."""
    argv = (_which(command) or command, *arguments)
    environment = {**os.environ, "PATH": SBIN}
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout


def free_port() -> int:
    """A port free for TCP and UDP on every loopback address; nobody keeps it for us."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
        ):
            stream.bind(("0.0.0.0", 0))
            port: int = stream.getsockname()[1]
            try:
                datagram.bind(("0.0.0.0", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return port


# --- a server ------------------------------------------------------------------------------


class Server:
    """A daemon in the foreground, in a session of its own, with its output in a file."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        folder: Path,
        listens: Sequence[tuple[str, int]],
    ) -> None:
        """*listens* are the endpoints that must accept a TCP connection before it counts as up."""
        self.name = name
        self.argv = (_which(argv[0]) or argv[0], *argv[1:])
        self.folder = folder
        self.listens = tuple(listens)
        self.output = folder / f"{name}.output"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return once every endpoint answers; raises RuntimeError with its output."""
        with self.output.open("wb") as output:
            # A session of its own: Postfix's master signals its whole process group when it ends.
            self._process = subprocess.Popen(
                self.argv,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PATH": SBIN},
            )
        try:
            self._await_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_WITHIN
        for endpoint in self.listens:
            while not _accepts(endpoint):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"{self.name} does not listen on {endpoint[0]}:{endpoint[1]}:\n"
                        + self.output.read_text(errors="replace")
                    )
                time.sleep(0.02)

    def stop(self) -> None:
        """Ask it to end, then end whatever is left of its session."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _accepts(endpoint: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(endpoint, timeout=1):
            return True
    except OSError:
        return False


# --- names ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The one key of a signed zone (RFC 4035), flags 257, ECDSA P-256 with SHA-256."""

    private: ec.EllipticCurvePrivateKey
    dnskey: DNSKEY

    @classmethod
    def make(cls) -> Self:
        """A new key."""
        private = ec.generate_private_key(ec.SECP256R1())
        return cls(private, dns.dnssec.make_dnskey(private.public_key(), "ECDSAP256SHA256", 257))

    def ds(self, zone: str) -> str:
        """The DS record data for *zone* (RFC 4034 section 5)."""
        return str(dns.dnssec.make_ds(zone, self.dnskey, "SHA256"))


def signed(text: str, origin: str, key: SigningKey, tampered: Mapping[tuple[str, str], str]) -> str:
    """The zone *text* signed with NSEC, then with the *tampered* records changed.

    *tampered* maps a name and a type to the record data served under the signature of the
    original, which a validating resolver must answer with SERVFAIL (RFC 4035 section 5.5).
    """
    zone = dns.zone.from_text(text, origin, relativize=False)
    now = datetime.now(UTC)
    with zone.writer() as txn:
        dns.dnssec.sign_zone(
            zone,
            txn,
            keys=[(key.private, key.dnskey)],
            dnskey_ttl=300,
            inception=now - timedelta(hours=1),
            expiration=now + timedelta(days=1),
        )
        for (name, rdtype), data in tampered.items():
            txn.replace(dns.rrset.from_text(dns.name.from_text(name), 300, "IN", rdtype, data))
    return zone.to_text(relativize=False)


class Nsd(Server):
    """NSD, authoritative for *zones* (name to master file text; RFC 1035 section 5)."""

    def __init__(self, folder: Path, endpoint: tuple[str, int], zones: Mapping[str, str]) -> None:
        """Write the master files and the configuration."""
        address, port = endpoint
        lines = [
            "server:",
            f"  ip-address: {address}@{port}",
            '  username: ""',
            f'  zonesdir: "{folder}"',
            '  database: ""',
            *(
                f'  {key}: "{folder}/{value}"'
                for key, value in (
                    ("pidfile", "nsd.pid"),
                    ("xfrdfile", "xfrd.state"),
                    ("zonelistfile", "zone.list"),
                    ("xfrdir", "."),
                )
            ),
            "  server-count: 1",
            "remote-control:",
            "  control-enable: no",
        ]
        for name, text in zones.items():
            file = f"{name.strip('.') or 'root'}.zone"
            (folder / file).write_text(text)
            lines += ["zone:", f'  name: "{name}"', f'  zonefile: "{file}"']
        config = folder / "nsd.conf"
        config.write_text("\n".join(lines) + "\n")
        super().__init__("nsd", ("nsd", "-d", "-c", str(config)), folder=folder, listens=[endpoint])


class Unbound(Server):
    """unbound, recursing over *zones* at one authoritative server and validating from *anchor*."""

    def __init__(
        self,
        folder: Path,
        endpoint: tuple[str, int],
        *,
        authority: tuple[str, int],
        zones: Sequence[str],
        anchor: str,
    ) -> None:
        """*anchor* is the DS record of the root, as a trust anchor."""
        address, port = endpoint
        lines = [
            "server:",
            f"  interface: {address}@{port}",
            "  access-control: 127.0.0.0/8 allow",
            "  do-ip6: no",
            '  username: ""',
            '  chroot: ""',
            f'  directory: "{folder}"',
            f'  pidfile: "{folder}/unbound.pid"',
            "  use-syslog: no",
            "  num-threads: 1",
            "  do-not-query-localhost: no",
            '  module-config: "validator iterator"',
            f'  trust-anchor: "{anchor}"',
            '  local-zone: "test." nodefault',  # RFC 6761 has resolvers answer for it themselves
            "remote-control:",
            "  control-enable: no",
        ]
        for zone in zones:
            lines += [
                "stub-zone:",
                f'  name: "{zone}"',
                f"  stub-addr: {authority[0]}@{authority[1]}",
            ]
        config = folder / "unbound.conf"
        config.write_text("\n".join(lines) + "\n")
        argv = ("unbound", "-d", "-p", "-c", str(config))
        super().__init__("unbound", argv, folder=folder, listens=[endpoint])


# --- certificates --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key and the chain presented with it, as PEM files."""

    key: Path
    chain: Path
    leaf: x509.Certificate

    @property
    def both(self) -> Path:
        """Key and chain in one file, the key first, as Postfix wants them."""
        path = self.key.with_suffix(".both")
        path.write_bytes(self.key.read_bytes() + self.chain.read_bytes())
        return path

    def spki_sha256(self) -> str:
        """What a TLSA record 3 1 1 holds for it (RFC 6698 section 2.1)."""
        spki = self.leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return sha256(spki).hexdigest()


class Authority:
    """A root that the scan trusts and the intermediate that issues everything."""

    def __init__(self, folder: Path) -> None:
        """Write the root to ``roots.pem`` in *folder*."""
        self.folder = folder
        root = trustme.CA()
        self._intermediate = root.create_child_ca()
        self.roots = folder / "roots.pem"
        root.cert_pem.write_to_path(str(self.roots))

    def issue(self, *names: str, expired: bool = False, with_chain: bool = True) -> Identity:
        """A certificate for *names*; without its chain, a validator cannot find the issuer."""
        ended = datetime.now(UTC) - timedelta(days=3) if expired else None
        issued = self._intermediate.issue_cert(*names, not_after=ended)
        pems = issued.cert_chain_pems if with_chain else issued.cert_chain_pems[:1]
        stem = self.folder / f"{names[0]}{'' if with_chain else '.leaf'}"
        key, chain = Path(f"{stem}.key"), Path(f"{stem}.pem")
        key.write_bytes(issued.private_key_pem.bytes())
        chain.write_bytes(b"".join(pem.bytes() for pem in pems))
        return Identity(key, chain, x509.load_pem_x509_certificate(pems[0].bytes()))

    def self_signed(self, name: str) -> Identity:
        """A certificate that ``openssl req`` makes for itself, as many an operator does."""
        key, chain = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        _ask(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "30", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(chain)),
        )
        return Identity(key, chain, x509.load_pem_x509_certificate(chain.read_bytes()))


# --- Policy Hosts --------------------------------------------------------------------------


POLICY_FILE = "try_files $uri =404;"
"""The nginx directive that serves the policy as a file."""


@dataclass(frozen=True, slots=True)
class Site:
    """What nginx answers for one Policy Host."""

    host: str
    identity: Identity
    answer: str
    """The nginx directive for the policy's path."""
    policy: str


class Nginx(Server):
    """nginx, telling *sites* apart by SNI; a name it does not serve gets an alert (RFC 6066)."""

    def __init__(self, folder: Path, endpoint: tuple[str, int], sites: Sequence[Site]) -> None:
        """Write the policies and the configuration; requests are logged to ``access.log``."""
        listen = f"{endpoint[0]}:{endpoint[1]}"
        self.requests = folder / "access.log"
        temporary = "\n".join(
            f"  {kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        blocks = "\n".join(self._block(folder, listen, site) for site in sites)
        config = folder / "nginx.conf"
        config.write_text(
            f"user root;\ndaemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\n"
            f"error_log {folder}/error.log;\nevents {{ worker_connections 256; }}\n"
            f"http {{\n{temporary}\n  access_log {self.requests};\n"
            f"  ssl_protocols TLSv1.2 TLSv1.3;\n  default_type text/plain;\n"
            f"  server {{ listen {listen} ssl default_server; ssl_reject_handshake on; }}\n"
            f"{blocks}\n}}\n"
        )
        argv = ("nginx", "-e", "stderr", "-p", str(folder), "-c", str(config))
        super().__init__("nginx", argv, folder=folder, listens=[endpoint])

    @staticmethod
    def _block(folder: Path, listen: str, site: Site) -> str:
        root = folder / "www" / site.host
        (root / ".well-known").mkdir(parents=True)
        (root / ".well-known" / "mta-sts.txt").write_bytes(site.policy.encode())
        return (
            f"  server {{ listen {listen} ssl; server_name {site.host}; root {root};\n"
            f"    ssl_certificate {site.identity.chain}; ssl_certificate_key {site.identity.key};\n"
            f"    location = /.well-known/mta-sts.txt {{ {site.answer} }} }}"
        )


class OldWeb(Server):
    """``openssl s_server`` as a Policy Host that speaks TLS 1.1 at the most."""

    def __init__(
        self, folder: Path, endpoint: tuple[str, int], identity: Identity, policy: str
    ) -> None:
        """Write the whole HTTP response to the file that ``-HTTP`` sends as it is."""
        (folder / ".well-known").mkdir(parents=True)
        response = f"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n{policy}"
        (folder / ".well-known" / "mta-sts.txt").write_bytes(response.encode())
        argv = (
            *("openssl", "s_server", "-HTTP", "-quiet", "-no_tls1_2", "-no_tls1_3"),
            *("-accept", f"{endpoint[0]}:{endpoint[1]}", "-cipher", "ALL:@SECLEVEL=0"),
            *("-cert", str(identity.chain), "-cert_chain", str(identity.chain)),
            *("-key", str(identity.key)),
        )
        super().__init__("s_server", argv, folder=folder, listens=[endpoint])


# --- MX hosts ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MailHost:
    """One smtpd of Postfix: its address and what it is told otherwise than the rest."""

    address: str
    options: Mapping[str, str] = field(default_factory=dict)


class Postfix(Server):
    """Postfix with one smtpd for each of *hosts*, all on *port*; it knows no recipient."""

    def __init__(
        self, folder: Path, port: int, hosts: Sequence[MailHost], identity: Identity
    ) -> None:
        """Write main.cf and master.cf, with queue and data folders of its own."""
        for part in ("queue", "data", "etc"):
            (folder / part).mkdir()
        shutil.chown(folder / "data", "postfix")
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": f"{folder}/queue",
            "data_directory": f"{folder}/data",
            "myhostname": "mail.interop.example",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "alias_maps": "",
            "local_recipient_maps": "",
            "inet_protocols": "ipv4",
            # No question leaves this machine, not even one about the client's name.
            "smtpd_peername_lookup": "no",
            "disable_dns_lookups": "yes",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_chain_files": str(identity.both),
            "maillog_file": f"{folder}/maillog",
            "maillog_file_prefixes": str(folder),
        }
        (folder / "etc" / "main.cf").write_text(
            "".join(f"{key} = {value}\n" for key, value in settings.items())
        )
        services = [
            "tlsmgr unix - - n 1000? 1 tlsmgr",
            "anvil unix - - n - 1 anvil",
            "postlog unix-dgram n - n - 1 postlogd",
        ]
        for host in hosts:
            options = "".join(f"\n  -o {{{key} = {value}}}" for key, value in host.options.items())
            services.append(f"{host.address}:{port} inet n - n - - smtpd{options}")
        (folder / "etc" / "master.cf").write_text("\n".join(services) + "\n")
        # Create the queue.  The master then runs by itself: under "postfix start-fg" it would open
        # a session of its own and outlive the command that was started.
        etc = str(folder / "etc")
        _ask("postfix", "-c", etc, "check")
        daemons = _ask("postconf", "-c", etc, "-h", "daemon_directory").strip()
        argv = (f"{daemons}/master", "-c", etc, "-d")
        listens = [(host.address, port) for host in hosts]
        super().__init__("postfix", argv, folder=folder, listens=listens)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Return once *condition* holds; raises TimeoutError after *seconds*."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.01)
