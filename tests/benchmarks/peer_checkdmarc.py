"""checkdmarc as a client of hosts: its ``test_starttls``, one host after the other.

It finds hosts by the system's resolver and talks to port 25 and 443.  Here both are answered from
the list, so that it runs as it is, and it trusts the world's root alone, which is cheaper for it
than the hundred and more of a system.
"""

from __future__ import annotations

import argparse
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.stages import state
from tests.benchmarks.workload import read_hosts, read_list


def resolve_from(addresses: Mapping[str, str], ports: Mapping[int, int]) -> None:
    """Have this process find *addresses* under their names, and *ports* in place of the usual."""
    ask = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **more: Any) -> Any:
        if host not in addresses:
            # Whoever asked the system would ask the Internet.
            raise socket.gaierror(socket.EAI_NONAME, "not in this world")
        return ask(addresses[host], ports.get(port, port), *arguments, **more)

    socket.getaddrinfo = getaddrinfo


def trust(roots: Path) -> None:
    """Have ``ssl`` and requests trust *roots* and nobody else."""
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = str(roots)


def mail(arguments: argparse.Namespace) -> dict[str, Any]:
    from checkdmarc import smtp  # type: ignore[import, unused-ignore]  # after the trust is set

    hosts = read_hosts(arguments.hosts)
    resolve_from({host: address for address, host in hosts}, {25: arguments.port})
    errors: list[str] = []
    answers = 0
    began, cpu = time.perf_counter(), time.process_time()
    for _, host in hosts:
        try:
            answers += smtp.test_starttls(host)
        except smtp.SMTPError as error:
            errors.append(str(error))
    return {
        "answers": answers,
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "errors": errors[:3],
    }


def scan(arguments: argparse.Namespace) -> dict[str, Any]:
    import checkdmarc  # type: ignore[import, unused-ignore]
    from dns.nameserver import Do53Nameserver

    world = arguments.roots.parent
    listed = [read_hosts(world / f"{name}.csv") for name in ("policy_hosts", "mx_hosts")]
    addresses = {host: address for hosts in listed for address, host in hosts}
    resolve_from(addresses, {443: arguments.https_port, 25: arguments.smtp_port})
    address, _, port = arguments.server.rpartition(":")
    nameservers = [Do53Nameserver(address, int(port))]
    began, cpu = time.perf_counter(), time.process_time()
    results = [
        checkdmarc.check_domains([domain], check_mx_tls=True, nameservers=nameservers)
        for domain in read_list(arguments.list)
    ]
    return {
        "answers": len(results),
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "first": results[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peer_checkdmarc")
    commands = parser.add_subparsers(required=True)
    greeting = commands.add_parser("mail")
    greeting.set_defaults(runs=mail)
    greeting.add_argument("--hosts", type=Path, required=True)
    greeting.add_argument("--port", type=int, required=True)
    scanning = commands.add_parser("scan")
    scanning.set_defaults(runs=scan)
    for name in ("--list", "--roots", "--out"):
        scanning.add_argument(name, type=Path, required=True)
    scanning.add_argument("--server", required=True)
    for name in ("--https-port", "--smtp-port"):
        scanning.add_argument(name, type=int, required=True)
    arguments = parser.parse_args()
    trust(arguments.roots if arguments.runs is scan else arguments.hosts.parent / "roots.pem")
    state(arguments.runs(arguments))


if __name__ == "__main__":
    main()
