"""The hosts of the load world, for a real nginx: who listens where, and what each presents.

Policy Hosts share sixteen addresses and are told apart by SNI, twenty names to a certificate, as
providers have it.  Every MX host has an address of its own, and all present one wildcard.  Both
answer at once: what is measured is the client.

====================  =========================================================================
``policy_hosts.csv``  ``address,host`` of every Policy Host, in the order of the list
``mx_hosts.csv``      the same of every MX host
``roots.pem``         the trust store of a scan
``certificates/``     key and chain, one PEM file each
``policies.conf``     for the ``http`` context of an nginx configuration
``mail.conf``         for its ``mail`` context
====================  =========================================================================
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from crawler.lab.load import MX_HOSTS, ZONE, domains, mx_address, mx_host
from crawler.lab.load_pki import KeyKind, LoadAuthority

SHARED: Final = 20
"""Names in the certificate of a Policy Host."""

POLICY: Final = f"version: STSv1\r\nmode: enforce\r\nmx: *.mail.{ZONE}\r\nmax_age: 604800\r\n"
"""The policy of everybody: every MX host of this world is covered by it."""

_TLS: Final = """\
ssl_protocols TLSv1.2 TLSv1.3;
# Some clients resume sessions unasked: here everybody pays for a whole handshake.
ssl_session_tickets off;
"""
# nginx's own hash for six hundred names at an address is too small.
_HTTP_HEAD: Final = """\
server_names_hash_max_size 16384;
server_names_hash_bucket_size 128;
"""
_POLICY_SERVER: Final = """\
server {{
    listen {address}:{port} ssl;
    server_name {names};
{certified}    location = /.well-known/mta-sts.txt {{
        default_type text/plain;
        return 200 "{policy}";
    }}
}}
"""
_MAIL_SERVER: Final = """\
server_name mx.mail.{zone};
# Nobody logs in, so nobody asks there.
auth_http 127.0.0.1:1;
server {{
    protocol smtp;
    smtp_auth none;
    starttls on;
{certified}{listens}}}
"""
_CERTIFIED: Final = """\
    ssl_certificate {pem};
    ssl_certificate_key {pem};
"""


def export_hosts(
    directory: Path,
    *,
    count: int,
    seed: int = 1,
    https_port: int,
    smtp_port: int,
    keys: KeyKind = "p256",
    now: datetime | None = None,
) -> None:
    """Write the hosts of the world of *count* domains into *directory*.

    The certificates are good for weeks from *now*: export again after that.  The configurations
    name them by their full path.
    """
    certificates = directory / "certificates"
    certificates.mkdir(parents=True, exist_ok=True)
    authority = LoadAuthority(keys, now or datetime.now(UTC))
    (directory / "roots.pem").write_bytes(authority.roots_pem)

    def certified(stem: str, names: Sequence[str]) -> str:
        pem = certificates / f"{stem}.pem"
        pem.write_bytes(authority.leaf_pem(names))
        return _CERTIFIED.format(pem=pem)

    policy_hosts = [
        (d.policy_address, f"mta-sts.{d.name}") for d in domains(count, seed) if d.adopts
    ]
    _write_list(directory / "policy_hosts.csv", policy_hosts)
    with (directory / "policies.conf").open("w") as config:
        config.write(_TLS + _HTTP_HEAD)
        for number, (address, names) in enumerate(_shared(policy_hosts)):
            config.write(
                _POLICY_SERVER.format(
                    address=address,
                    port=https_port,
                    names=" ".join(names),
                    certified=certified(f"policies-{number:04}", names),
                    policy=POLICY.replace("\r\n", r"\r\n"),
                )
            )

    mx_hosts = [(mx_address(number), mx_host(number)) for number in range(MX_HOSTS)]
    _write_list(directory / "mx_hosts.csv", mx_hosts)
    (directory / "mail.conf").write_text(
        _TLS
        + _MAIL_SERVER.format(
            zone=ZONE,
            certified=certified("mail", [f"*.mail.{ZONE}"]),
            listens="".join(f"    listen {address}:{smtp_port};\n" for address, _ in mx_hosts),
        )
    )


def _shared(hosts: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """The hosts of each address in groups, each of which shares a certificate."""
    by_address: dict[str, list[str]] = defaultdict(list)
    for address, host in hosts:
        by_address[address].append(host)
    for address, names in by_address.items():
        for start in range(0, len(names), SHARED):
            yield address, names[start : start + SHARED]


def _write_list(path: Path, hosts: Sequence[tuple[str, str]]) -> None:
    path.write_text("".join(f"{address},{host}\n" for address, host in hosts))
