"""Being in a Ray cluster: the one that ``RAY_ADDRESS`` names, or one of this process's own.

Its own is on 127.0.0.1, cannot be entered without a token that only its processes know, reports to
nobody and ends with this process.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from crawler.scan.crew import WorkerError
from crawler.scan.processes import module_path
from crawler.scan.stopping import ours_to_hear

ADDRESS: Final = "RAY_ADDRESS"
"""Of the environment: ``HOST:PORT``, or ``auto`` for the cluster that this machine is in."""

LOOPBACK: Final = "127.0.0.1"

ANSWERS: Final = 10.0
"""Seconds within which the first machine of a cluster takes a connection."""

SHORT: Final = "/tmp"  # noqa: S108 - Ray adds 60 octets, and the path of a socket has at most 107

STORE: Final = 80 * 1024 * 1024
"""Octets of shared memory, about the least that Ray takes: nothing is ever put there."""

_QUIET: Final = {"RAY_DEDUP_LOGS": "1", "RAY_DEDUP_LOGS_SKIP_REGEX": "^"}
"""What Ray has to say of its troubles would else go to standard output."""

_QUIETLY: Final[Mapping[str, Any]] = {"log_to_driver": False, "logging_level": logging.ERROR}


@contextmanager
def connected(workers: int) -> Iterator[None]:
    """In a cluster, with room for so many workers if it is our own, while the block runs.

    A block inside another one is in the same cluster.  Raises ``WorkerError`` when there is none
    where the environment says.  Of the main thread only: Ray's processes are ended by the kernel
    together with the thread that has started them.
    """
    address = os.environ.get(ADDRESS)
    with tempfile.TemporaryDirectory(prefix="census-", dir=SHORT) as scratch:
        with ours_to_hear(), _environment(_QUIET | ({} if address else _of_our_own())):
            import ray  # an extra; most of what it reads of the environment it reads now

            if within := ray.is_initialized():
                pass
            elif address:
                _join(ray, address)
            else:
                _start(ray, workers, scratch)
        try:
            yield
        finally:
            if not within:
                with ours_to_hear():
                    ray.shutdown()


def _of_our_own() -> dict[str, str]:
    return {
        "PYTHONPATH": module_path(),
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        # Ray has no other way to let go of a network than to say that there is none.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """With *settings* in the environment, and afterwards as it was, whatever the block has set."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        for name in settings.keys() & before.keys():
            os.environ[name] = before[name]


def _join(ray: Any, address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdecimal():  # Ray itself would go on trying, and hear of no signal
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS).close()
        ray.init(address, **_QUIETLY)
    except Exception as error:  # of many kinds, all of them to be read by a person
        raise WorkerError(f"no Ray cluster at {ADDRESS}={address}: {error}") from error


def _start(ray: Any, workers: int, scratch: str) -> None:
    context = ray.init(
        "local",
        num_cpus=workers,
        num_gpus=0,
        object_store_memory=STORE,
        include_dashboard=False,
        _node_ip_address=LOOPBACK,
        _temp_dir=scratch,
        **_QUIETLY,
    )
    if (found := context.address_info["node_ip_address"]) != LOOPBACK:
        ray.shutdown()
        raise WorkerError(f"Ray listens on {found} and is to listen on {LOOPBACK} only")
