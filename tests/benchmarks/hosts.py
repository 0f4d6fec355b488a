"""The hosts that are talked to: nginx as Policy Hosts and as MX hosts, and tarpits.

nginx's mail module answers STARTTLS in one process, where an MTA starts a process for each
connection and would be what is measured.  One worker, as fast as it can.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.benchmarks import delays, tarpit
from tests.benchmarks.servers import Endpoint, which
from tests.benchmarks.workload import read_hosts
from tests.interop.world import Server

_FILES = 16_000
"""Sockets that a worker may have: one for each MX host, and as many conversations as are tried."""

_NGINX = """\
{load}daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections {files}; }}
{context} {{
{body}
    include {world}/{config};
}}
"""

_HTTP = "    access_log off;\n" + "\n".join(
    f"    {kind}_temp_path {{folder}}/{kind};"
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


class PolicyHosts(Server):
    """nginx with every Policy Host that ``load_hosts.export_hosts`` wrote into *world*."""

    def __init__(self, folder: Path, world: Path, endpoint: Endpoint) -> None:
        folder.mkdir()
        body = _HTTP.format(folder=folder)
        config = _write(folder, world, load="", context="http", body=body, config="policies.conf")
        super().__init__("nginx", _argv(folder, config), folder=folder, listens=[endpoint])


class MailHosts(Server):
    """nginx with every MX host of *world*, which greets after *delay* seconds."""

    def __init__(self, folder: Path, world: Path, endpoint: Endpoint, *, delay: int = 0) -> None:
        folder.mkdir()
        body = f"    smtp_greeting_delay {delay}s;"
        load = _mail_module()
        config = _write(folder, world, load=load, context="mail", body=body, config="mail.conf")
        super().__init__("nginx", _argv(folder, config), folder=folder, listens=[endpoint])


class Tarpits(Server):
    """*count* MX hosts that say an octet a second, each at its own address and all on *port*;
    they are added to the lists of *world* as ``tarpits.csv``.
    """

    def __init__(self, folder: Path, world: Path, port: int, count: int) -> None:
        folder.mkdir()
        hosts = [(tarpit.address(number), f"tarpit{number}.load") for number in range(count)]
        lines = "".join(f"{address},{host}\n" for address, host in hosts)
        (world / "tarpits.csv").write_text(lines)
        # By its path, for it runs in a folder of its own.
        argv = (sys.executable, tarpit.__file__, str(port), str(count))
        super().__init__("tarpits", argv, folder=folder, listens=[(hosts[-1][0], port)])


class Delays(Server):
    """Stands before the hosts of *world*: every answer takes 50 ms.

    *https* and *smtp* are each the port in front and the port behind.
    """

    def __init__(
        self, folder: Path, world: Path, https: tuple[int, int], smtp: tuple[int, int]
    ) -> None:
        folder.mkdir()
        lists = {"policy_hosts": https, "mx_hosts": smtp}
        words = [
            word
            for name, (front, back) in lists.items()
            for word in (f"{front}:{back}", str(world / f"{name}.csv"))
        ]
        last = [(read_hosts(world / f"{name}.csv")[-1][0], lists[name][0]) for name in lists]
        argv = (sys.executable, delays.__file__, *words)
        super().__init__("delays", argv, folder=folder, listens=last)


def lacking() -> str | None:
    """The Debian packages without which there are no hosts, or None."""
    if which("nginx") is None:
        return "nginx libnginx-mod-mail"
    return None if _has_mail() else "libnginx-mod-mail"


def _built() -> str:
    """How nginx was built, as it says itself."""
    argv = (which("nginx") or "nginx", "-V")
    return subprocess.run(argv, capture_output=True, text=True, check=True).stderr


def _has_mail() -> bool:
    return "--with-mail=dynamic" not in _built() or _module_file().exists()


def _module_file() -> Path:
    found = re.search(r"--modules-path=(\S+)", _built())
    return Path(found[1] if found else "modules") / "ngx_mail_module.so"


def _mail_module() -> str:
    """The directive that loads the mail module, where it is not built in."""
    return f"load_module {_module_file()};\n" if "--with-mail=dynamic" in _built() else ""


def _write(folder: Path, world: Path, **parts: str) -> Path:
    path = folder / "nginx.conf"
    path.write_text(_NGINX.format(folder=folder, world=world, files=_FILES, **parts))
    return path


def _argv(folder: Path, config: Path) -> tuple[str, ...]:
    return ("nginx", "-e", "stderr", "-p", str(folder), "-c", str(config))
