"""The clients of hosts: STARTTLS conversations, and policies over HTTPS."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tests.benchmarks.clients import (
    FROM_DEBIAN,
    FROM_GROUP,
    FROM_SOURCE,
    Client,
    Command,
    Reading,
    Task,
    last_json,
    python,
    read_json,
)
from tests.interop.world import SBIN

PATH = "/.well-known/mta-sts.txt"

SECONDS = 3
"""For clients that run for a time and not through a list."""

# --- readers -------------------------------------------------------------------------------


def read_zgrab2(output: str) -> Reading:
    """The metadata that zgrab2 writes at its end, about its one module."""
    (counts,) = last_json(output)["statuses"].values()
    return Reading(counts["successes"], details={"statuses": counts})


def read_posttls_finger(output: str) -> Reading:
    """What it says of one host."""
    if not output.startswith("posttls-finger:"):
        raise ValueError(f"no word of posttls-finger in {output[-300:]!r}")
    return Reading(int("TLS connection established" in output))


def read_sslyze(output: str) -> Reading:
    """Its JSON stands among other output; a host whose certificates were taken has one such plugin
    result.
    """
    if '"server_scan_results"' not in output:
        raise ValueError(f"no results in {output[-300:]!r}")
    return Reading(len(re.findall(r'"certificate_info": {\s*"status": "COMPLETED"', output)))


def read_s_time(output: str) -> Reading:
    """It counts the connections that it made in the time it was given."""
    found = re.search(r"(\d+) connections in (\d+) real seconds", output)
    if found is None:
        raise ValueError(f"no count in {output[-300:]!r}")
    return Reading(int(found[1]), float(found[2]), asked=int(found[1]))


def read_wrk(output: str) -> Reading:
    """The same of wrk, which also counts what went wrong."""
    found = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if found is None:
        raise ValueError(f"no count in {output[-300:]!r}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = re.search(r"Socket errors: (.*)", output)
    failed = sum(map(int, re.findall(r"\d+", errors[1]))) if errors else 0
    good = int(found[1]) - (int(bad[1]) if bad else 0)
    return Reading(good, float(found[2]), asked=int(found[1]) + failed)


# --- commands ------------------------------------------------------------------------------


def _talking(module: str, service: str, lists: str) -> Callable[[Task], Sequence[Command]]:
    """A program of this package that takes ``--hosts`` and ``--port``."""

    def commands(task: Task) -> Sequence[Command]:
        hosts = str(task.workload.hosts(lists))
        return [python(module, service, "--hosts", hosts, "--port", str(task.server[1]))]

    return commands


def _zgrab2(service: str, lists: str, *options: str) -> Callable[[Task], Sequence[Command]]:
    def commands(task: Task) -> Sequence[Command]:
        return [
            (
                *("zgrab2", service, f"--port={task.server[1]}", *options),
                f"--input-file={task.workload.hosts(lists)}",
                *("--output-file=/dev/null", "--metadata-file=-", "--senders=100"),
                # It allows one address twenty connections a second unless told otherwise.
                "--server-rate-limit=100000",
                # Without an address of ours it asks a host on the Internet whether it has IPv4.
                "--local-addr=127.0.0.1",
            )
        ]

    return commands


def _posttls_finger(task: Task) -> Sequence[Command]:
    lines = task.workload.hosts("mx_hosts").read_text().splitlines()
    endpoints = [f"[{line.partition(',')[0]}]:{task.server[1]}" for line in lines]
    options = ("-c", "-l", "encrypt", "-F", str(task.roots))
    return [("posttls-finger", *options, endpoint) for endpoint in endpoints]


def _sslyze(task: Task) -> Sequence[Command]:
    lines = task.workload.hosts("mx_hosts").read_text().splitlines()
    targets = task.scratch / "targets-for-sslyze.txt"
    endpoints = [f"{line.partition(',')[0]}:{task.server[1]}\n" for line in lines]
    targets.write_text("".join(endpoints))
    options = ("--starttls=smtp", "--certinfo", "--mozilla_config=disable", "--json_out=-")
    return [("sslyze", *options, f"--targets_in={targets}")]


def _s_time(task: Task) -> Sequence[Command]:
    options = ("-new", "-time", f"{SECONDS}", "-verify", "3", "-CAfile", str(task.roots))
    return [("openssl", "s_time", "-connect", task.endpoint, *options, "-www", PATH)]


def _wrk(task: Task) -> Sequence[Command]:
    options = ("-t", "1", "-c", "16", "-d", f"{SECONDS}s", "-H", "Connection: close")
    return [("wrk", *options, f"https://{task.endpoint}{PATH}")]


# --- the tables ----------------------------------------------------------------------------

MAIL = (
    Client(
        name="loop",
        what="the same OpenSSL in a bare loop of one connection at a time: the limit",
        commands=_talking("peer_loop", "mail", "mx_hosts"),
        read=read_json,
    ),
    Client(
        name="ours-mail",
        what="this crawler's probe behind its gate, 100 at once; a whole row for each host",
        commands=_talking("ours_tls", "mail", "mx_hosts"),
        read=read_json,
    ),
    Client(
        name="zgrab2-smtp",
        what="Go, as it comes; verifies, and writes JSON to /dev/null",
        binary="zgrab2",
        get=FROM_SOURCE.format("zmap/zgrab2"),
        commands=_zgrab2("smtp", "mx_hosts", "--starttls", "--ehlo-domain=bench.invalid"),
        read=read_zgrab2,
    ),
    Client(
        name="zgrab2-smtp-tuned",
        what="the same with less garbage collection",
        binary="zgrab2",
        get=FROM_SOURCE.format("zmap/zgrab2"),
        commands=_zgrab2("smtp", "mx_hosts", "--starttls", "--ehlo-domain=bench.invalid"),
        read=read_zgrab2,
        environment={"GOGC": "800"},
    ),
    Client(
        name="posttls-finger",
        what="Postfix's own, a process for each host",
        binary="posttls-finger",
        get=FROM_DEBIAN.format("postfix"),
        commands=_posttls_finger,
        read=read_posttls_finger,
        environment={"PATH": SBIN},
        at_most=50,
    ),
    Client(
        name="sslyze",
        what="its certificate scan, several connections to each host",
        binary="sslyze",
        get="pipx install sslyze (it wants an older cryptography than ours)",
        commands=_sslyze,
        read=read_sslyze,
        at_most=20,
    ),
    Client(
        name="checkdmarc",
        what="its test_starttls, one host after the other; says yes or no",
        module="checkdmarc",
        get=FROM_GROUP,
        commands=_talking("peer_checkdmarc", "mail", "mx_hosts"),
        read=read_json,
        at_most=100,
    ),
)

POLICIES = (
    Client(
        name="loop",
        what="the same OpenSSL in a bare loop of one connection at a time: the limit",
        commands=_talking("peer_loop", "policies", "policy_hosts"),
        read=read_json,
    ),
    Client(
        name="ours-policies",
        what="this crawler's probe behind its gate, 100 at once; a whole row for each host",
        commands=_talking("ours_tls", "policies", "policy_hosts"),
        read=read_json,
    ),
    Client(
        name="s_time",
        what="C, the system's OpenSSL; one address over and over, verifies",
        binary="openssl",
        get=FROM_DEBIAN.format("openssl"),
        commands=_s_time,
        read=read_s_time,
    ),
    Client(
        name="wrk",
        what="C, the system's OpenSSL, 16 at once; one address over and over, verifies nothing",
        binary="wrk",
        get=FROM_DEBIAN.format("wrk"),
        commands=_wrk,
        read=read_wrk,
    ),
    Client(
        name="zgrab2-http",
        what="Go, as it comes; verifies, and writes JSON to /dev/null",
        binary="zgrab2",
        get=FROM_SOURCE.format("zmap/zgrab2"),
        commands=_zgrab2("http", "policy_hosts", "--use-https", f"--endpoint={PATH}"),
        read=read_zgrab2,
    ),
    Client(
        name="zgrab2-http-tuned",
        what="the same with less garbage collection",
        binary="zgrab2",
        get=FROM_SOURCE.format("zmap/zgrab2"),
        commands=_zgrab2("http", "policy_hosts", "--use-https", f"--endpoint={PATH}"),
        read=read_zgrab2,
        environment={"GOGC": "800"},
    ),
)
