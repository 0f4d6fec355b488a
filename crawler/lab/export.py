"""Writes the same world as files for real servers, in place of serving it.

===============  ==================================================================
``zones/``       one master file per TLD, and ``nsd.conf`` that names them
``policies/``    the policy files
``certificates/``  key and chain of every host, one PEM each
``nginx.conf``   a ``server`` block for every Policy Host that nginx can play
``hosts.jsonl``  every host with its address, port and persona; ``needs_lab`` says why
                 a real server cannot play it, and is null where one can
``faults.jsonl``  what only the lab's resolver does: SERVFAIL, silence, truncation
===============  ==================================================================

The files that the lab itself writes (list, truth, trust store, configuration) are there too.
The zones are not signed: the truths about DANE hold once they are, by the server's own tools.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

import dns.rdatatype

from crawler.lab.addresses import RESOLVER
from crawler.lab.nameserver import machinery
from crawler.lab.operators import OPERATORS, PROVIDERS
from crawler.lab.scenario import Accept, Delivery, MailHost, Manner, PolicyHost, Tls
from crawler.lab.site import Site, Sites
from crawler.lab.world import make_sites, write_files
from crawler.lab.zone import Record

_SHARED: Final = frozenset(
    alias for p in PROVIDERS for alias in (p.txt_alias, p.host_alias) if "{" not in alias
)
"""Names that every customer of a provider publishes; a zone file has them once."""

_ZONE_HEAD: Final = """\
$TTL 300
{tld}. SOA a.lab. hostmaster.lab. 1 1800 900 604800 60
{tld}. NS a.lab.
"""
_NSD_ZONE: Final = 'zone:\n    name: "{tld}"\n    zonefile: "{tld}.zone"\n'

_SERVER: Final = """\
server {{
    listen {address}:{port} ssl;
    server_name {host};
{tls}    location = /.well-known/mta-sts.txt {{
{answer}    }}
}}
"""
_CERTIFIED: Final = """\
    ssl_certificate certificates/{host}.pem;
    ssl_certificate_key certificates/{host}.pem;
"""
_OLD: Final = """\
    ssl_protocols TLSv1 TLSv1.1;
    ssl_ciphers DEFAULT:@SECLEVEL=0;
"""

_ACCEPT_NEEDS: Final = {
    Accept.TIMEOUT: "the SYN is never answered",
    Accept.RESET: "the connection is reset before a word",
    Accept.SILENT: "the connection is accepted and nothing is said",
}
_TLS_NEEDS: Final = {
    Tls.CUT: "the handshake is cut short",
    Tls.GARBAGE: "the handshake is answered with something else",
}
_DELIVERY_NEEDS: Final = {
    Delivery.CHUNKED: "the body comes in chunks",
    Delivery.CUT_SHORT: "the body is cut short",
    Delivery.NO_ANSWER: "the request is never answered",
    Delivery.DRIPPED: "the body is dripped",
}
_MANNER_NEEDS: Final = {
    Manner.HANGS_UP: "the connection is closed after the greeting",
    Manner.INJECTS: "plaintext follows the 220 to STARTTLS",
    Manner.ENDLESS: "the reply to EHLO never ends",
}


def policy_host_needs_lab(host: PolicyHost) -> str | None:
    """Why nginx cannot play *host*; None if it can."""
    if host.content_type is None and host.status == 200:
        return "there is no media type"
    return (
        _ACCEPT_NEEDS.get(host.accept)
        or _TLS_NEEDS.get(host.tls)
        or _DELIVERY_NEEDS.get(host.delivery)
    )


def mail_host_needs_lab(host: MailHost) -> str | None:
    """Why no ordinary MTA can play *host*; None if one can."""
    if host.tls is Tls.ALERT:
        return "the handshake ends in an alert"
    if not host.greeting[:3].isdigit():
        return "the greeting is not SMTP"
    return (
        _ACCEPT_NEEDS.get(host.accept) or _TLS_NEEDS.get(host.tls) or _MANNER_NEEDS.get(host.manner)
    )


@dataclass(slots=True)
class _Zones:
    """Master files by TLD, opened as their first record comes."""

    folder: Path
    stack: ExitStack
    files: dict[str, TextIO] = field(default_factory=dict)
    shared: set[tuple[str, int]] = field(default_factory=set)

    def add(self, record: Record) -> None:
        """Write *record* into the zone of its TLD."""
        if record.owner in _SHARED:
            if (record.owner, record.rdtype) in self.shared:
                return
            self.shared.add((record.owner, record.rdtype))
        tld = record.owner.rpartition(".")[2]
        if tld not in self.files:
            file = self.stack.enter_context((self.folder / f"{tld}.zone").open("w"))
            file.write(_ZONE_HEAD.format(tld=tld))
            self.files[tld] = file
        kind = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(record.rdtype))
        self.files[tld].write(f"{record.owner}. {kind} {record.text}\n")


@dataclass(slots=True, kw_only=True)
class _Writer:
    """Writes one world into one folder, site by site."""

    folder: Path
    sites: Sites
    zones: _Zones
    nginx: TextIO
    hosts: TextIO
    faults: TextIO
    https_port: int
    smtp_port: int

    def site(self, site: Site) -> None:
        """Write everything that *site* has."""
        for record in site.records():
            self.zones.add(record)
        for owner, fault in site.scenario.faults.items():
            self._line(self.faults, domain=site.domain, owner=owner, fault=fault.name.lower())
        if (policy := site.scenario.policy) and (address := site.policy_address):
            self._policy_host(site, policy, address)
        for host, address, persona in site.mail_hosts():
            self.mail_host(host, address, persona)

    def _line(self, file: TextIO, **values: Any) -> None:
        file.write(json.dumps(values, ensure_ascii=False) + "\n")

    def _policy_host(self, site: Site, policy: PolicyHost, address: str) -> None:
        host, reason = f"mta-sts.{site.domain}", policy_host_needs_lab(policy)
        (self.folder / "policies" / f"{host}.txt").write_bytes(site.body(policy))
        leaf = self.sites.authority.leaf(host, policy.certificate)
        (self.folder / "certificates" / f"{host}.pem").write_bytes(leaf.pem())
        self._line(
            self.hosts,
            host=host,
            address=address,
            port=self.https_port,
            service="https",
            scenario=site.scenario.name,
            certificate=policy.certificate,
            needs_lab=reason,
        )
        if reason is None and policy.accept is Accept.OPEN:
            self.nginx.write(
                _SERVER.format(
                    address=f"[{address}]" if ":" in address else address,
                    port=self.https_port,
                    host=host,
                    tls="".join(_tls_lines(policy, host)),
                    answer="".join(f"        {line}\n" for line in _answer(site, policy, host)),
                )
            )

    def mail_host(self, host: str, address: str, persona: MailHost) -> None:
        """Write one address of an MX host."""
        leaf = self.sites.authority.leaf(host, persona.certificate)
        (self.folder / "certificates" / f"{host}.pem").write_bytes(leaf.pem())
        self._line(
            self.hosts,
            host=host,
            address=address,
            port=self.smtp_port,
            service="smtp",
            greeting=persona.greeting,
            certificate=persona.certificate,
            tls=persona.tls.name.lower(),
            listens=persona.accept is not Accept.REFUSED,
            needs_lab=mail_host_needs_lab(persona),
        )


def _tls_lines(policy: PolicyHost, host: str) -> Iterator[str]:
    if policy.tls is Tls.ALERT:
        yield "    ssl_reject_handshake on;\n"
    else:
        yield _CERTIFIED.format(host=host)
    if policy.tls is Tls.OLD:
        yield _OLD


def _answer(site: Site, policy: PolicyHost, host: str) -> Iterator[str]:
    """The directives that answer a request for the policy."""
    location = dict(policy.headers).get("Location")
    if location:
        yield f"return {policy.status} {site.fill(location)};"
        return
    if policy.status != 200:
        yield f"return {policy.status};"
        return
    yield "types {}"  # or the ending of the file would choose the media type
    yield f'default_type "{policy.content_type}";'
    for name, value in policy.headers:
        yield f'add_header {name} "{value}";'
    yield f"alias policies/{host}.txt;"


def export(
    directory: Path,
    *,
    domains: int = 2000,
    seed: int = 1,
    epoch: int = 0,
    only_scenarios: bool = False,
    https_port: int = 443,
    smtp_port: int = 25,
    dns_port: int = 53,
    now: datetime | None = None,
) -> None:
    """Write a world for real servers into *directory*; the other arguments are those of ``serve``.

    The certificates are good for weeks from *now*: export again after that.
    """
    sites = make_sites(
        domains=domains,
        seed=seed,
        epoch=epoch,
        only_scenarios=only_scenarios,
        now=now or datetime.now(UTC),
        ipv6=True,
    )
    for name in ("zones", "policies", "certificates"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    write_files(directory, sites, (dns_port, https_port, smtp_port), ipv6=True)
    with ExitStack() as stack:
        nginx, hosts, faults = (
            stack.enter_context((directory / name).open("w"))
            for name in ("nginx.conf", "hosts.jsonl", "faults.jsonl")
        )
        writer = _Writer(
            folder=directory,
            sites=sites,
            zones=_Zones(directory / "zones", stack),
            nginx=nginx,
            hosts=hosts,
            faults=faults,
            https_port=https_port,
            smtp_port=smtp_port,
        )
        _write(writer, dns_port)


def _write(writer: _Writer, dns_port: int) -> None:
    zones = writer.zones
    for record in machinery(writer.sites.addresses):
        zones.add(record)
    for number, operator in enumerate(OPERATORS):
        for host in (1, 2):
            address = writer.sites.addresses.operator(number, host)
            writer.mail_host(f"mx{host}.{operator.domain}", address, operator.persona)
    for site in writer.sites:
        writer.site(site)
    server = f'server:\n    ip-address: {RESOLVER}@{dns_port}\n    zonesdir: "."\n'
    stanzas = "".join(_NSD_ZONE.format(tld=tld) for tld in sorted(zones.files))
    (zones.folder / "nsd.conf").write_text(server + stanzas)
