"""The domains of the interop world: their zones, policies and mail hosts, and how to scan them.

``example.`` is unsigned, ``test.`` is signed below a signed root.  One address for each daemon,
because a scan has one HTTPS port and one SMTP port.  What is expected of each domain stands in
``test_world``, written by hand from the RFCs and not derived from anything here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.world import (
    POLICY_FILE,
    Authority,
    Identity,
    MailHost,
    Nginx,
    Nsd,
    OldWeb,
    Postfix,
    SigningKey,
    Site,
    Unbound,
    free_port,
    signed,
)

DOMAINS = (
    "good.example",
    "cname.example",
    "expired.example",
    "wrongname.example",
    "selfsigned.example",
    "nochain.example",
    "nosite.example",
    "oldweb.example",
    "missing.example",
    "redirect.example",
    "nopolicyhost.example",
    "multi.example",
    "plain.example",
    "uncovered.example",
    "nostarttls.example",
    "degraded.example",
    "selfmx.example",
    "oldmx.example",
    "busymx.example",
    "deadmx.example",
    "insecure.example",
    "dane.test",
    "danebad.test",
    "danebogus.test",
    "bogus.test",
)

ZONE_HEAD = """\
$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A {dns}
"""

ROOT_ZONE = """\
$TTL 300
@ IN SOA ns.example. hostmaster.example. 1 3600 600 86400 60
@ IN NS ns.example.
example. IN NS ns.example.
ns.example. IN A {dns}
test. IN NS ns.test.
test. IN DS {ds}
ns.test. IN A {dns}
"""

ADOPTER = """\
_mta-sts.{domain} IN TXT "v=STSv1; id=20260101T000000;"
mta-sts.{domain} IN A {web}
"""
"""A domain with a record and a Policy Host at nginx."""

MX = "{domain} IN MX 10 {host}\n"

HOSTS = """\
mx.good.example. IN A {mail}
mx.insecure.example. IN A {mail}
mx.plain.example. IN A {mail_plain}
mx.self.example. IN A {mail_self}
mx.old.example. IN A {mail_old}
mx.busy.example. IN A {mail_busy}
mx.dead.example. IN A {mail_dead}
_25._tcp.mx.insecure.example. IN TLSA 3 1 1 {spki}
"""

SINGULAR = """\
good.example. IN MX 10 mx.good.example.
_smtp._tls.good.example. IN TXT "v=TLSRPTv1; rua=mailto:tls@good.example"
_smtp._tls.expired.example. IN TXT "v=TLSRPTv1; rua=nowhere"
cname.example. IN MX 10 mx.good.example.
_mta-sts.cname.example. IN CNAME _mta-sts.good.example.
mta-sts.cname.example. IN CNAME policy.host.example.
policy.host.example. IN A {web}
_mta-sts.oldweb.example. IN TXT "v=STSv1; id=1;"
mta-sts.oldweb.example. IN A {web_old}
_mta-sts.nopolicyhost.example. IN TXT "v=STSv1; id=1;"
_mta-sts.multi.example. IN TXT "v=STSv1; id=1;"
_mta-sts.multi.example. IN TXT "v=STSv1; id=2;"
mta-sts.multi.example. IN A {web}
degraded.example. IN MX 20 mx.plain.example.
"""

SIGNED_ZONE = """\
mx.dane IN A {mail}
_25._tcp.mx.dane IN TLSA 3 1 1 {spki}
mx.danebad IN A {mail}
_25._tcp.mx.danebad IN TLSA 3 1 1 {wrong}
mx.danebogus IN A {mail}
_25._tcp.mx.danebogus IN TLSA 3 1 1 {spki}
"""

MX_OF = {
    "expired.example": "mx.good.example",
    "wrongname.example": "mx.good.example",
    "selfsigned.example": "mx.good.example",
    "nochain.example": "mx.good.example",
    "nosite.example": "mx.good.example",
    "oldweb.example": "mx.good.example",
    "missing.example": "mx.good.example",
    "redirect.example": "mx.good.example",
    "nopolicyhost.example": "mx.good.example",
    "multi.example": "mx.good.example",
    "plain.example": "mx.good.example",
    "uncovered.example": "mx.good.example",
    "nostarttls.example": "mx.plain.example",
    "degraded.example": "mx.good.example",
    "selfmx.example": "mx.self.example",
    "oldmx.example": "mx.old.example",
    "busymx.example": "mx.busy.example",
    "deadmx.example": "mx.dead.example",
    "insecure.example": "mx.insecure.example",
    "dane.test": "mx.dane.test",
    "danebad.test": "mx.danebad.test",
    "danebogus.test": "mx.danebogus.test",
    "bogus.test": "mx.dane.test",
}

PATTERNS = {
    "good.example": ("*.good.example",),
    "uncovered.example": ("mail.uncovered.example",),
    "degraded.example": ("mx.good.example", "mx.plain.example"),
}
"""``mx`` patterns of a policy; by default the one MX host (RFC 8461 section 3.2)."""

WITHOUT_SITE = {
    *("cname.example", "nosite.example", "oldweb.example", "nopolicyhost.example"),
    *("plain.example", "bogus.test"),
}
"""Domains for which nginx has no plain site of that name."""

WITHOUT_ADOPTER_LINES = {
    *("cname.example", "oldweb.example", "nopolicyhost.example"),
    *("multi.example", "plain.example"),
}
"""Domains whose record or Policy Host is out of the ordinary, or absent: see ``SINGULAR``."""


def policy(domain: str) -> str:
    """The policy of *domain*: testing for selfmx.example, enforce for all others."""
    patterns = PATTERNS.get(domain) or (MX_OF[domain],)
    mode = "testing" if domain == "selfmx.example" else "enforce"
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {p}" for p in patterns), "max_age: 1209600"]
    return "\r\n".join(lines) + "\r\n"


@dataclass(frozen=True, slots=True)
class Addresses:
    """One loopback address for each daemon, in a block that two runs do not share."""

    block: str

    def __getitem__(self, last: int) -> str:
        return f"{self.block}.{last}"

    def as_fields(self) -> dict[str, str]:
        """The addresses by the words that the zones use."""
        words = [
            "dns",
            "web",
            "web_old",
            "mail",
            "mail_plain",
            "mail_self",
            "mail_old",
            "mail_busy",
            "mail_dead",
        ]
        return {word: self[place] for place, word in enumerate(words, start=2)}


@dataclass(frozen=True, slots=True)
class Internet:
    """The running world and what a scan of it needs."""

    folder: Path
    config: Path
    list: Path
    resolver: tuple[str, int]
    nsd: tuple[str, int]
    nginx: Nginx

    def policy_requests(self) -> int:
        """How many requests nginx has answered so far, by its own log."""
        path = self.nginx.requests
        return path.read_text().count("\n") if path.exists() else 0

    def write_config(self, name: str, *, resolver: tuple[str, int], pace: float) -> Path:
        """The configuration of the world under another *name*, with another resolver or pace.

        *pace* is in connections a second.
        """
        text = self.config.read_text().splitlines()
        changed = {
            "resolvers": f'resolvers = ["{resolver[0]}:{resolver[1]}"]',
            "connections_per_second": f"connections_per_second = {pace:g}",
        }
        lines = [changed.get(line.partition(" ")[0], line) for line in text]
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        return path


CONFIG = """\
[dns]
resolvers = ["{resolver}"]
timeout = "3s"
[net]
https_port = {https}
smtp_port = {smtp}
trust_roots = "{roots}"
allow_addresses = ["127.0.0.0/8"]
ipv6 = false
[identity]
ehlo_name = "scanner.example"
contact = "scanner@scanner.example"
url = "https://scanner.example/"
[politeness]
connections_per_second = 200
per_address_interval = "5ms"
per_prefix_connections = 64
[retry]
rounds = 1
delay = "200ms"
[vantage]
name = "interop"
"""


@contextmanager
def open_internet() -> Iterator[Internet]:
    """Build the world, start its servers, and take everything down again at the end."""
    # Not pytest's folder: the users that the daemons change to must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="interop-"))
    folder.chmod(0o755)
    try:
        with ExitStack() as stack:
            yield _start(folder, stack)
    finally:
        shutil.rmtree(folder)


def _start(folder: Path, stack: ExitStack) -> Internet:
    pid = os.getpid()
    addresses = Addresses(f"127.{64 + pid // 250 % 128}.{pid % 250}")
    where = addresses.as_fields()
    names, https, smtp = free_port(), free_port(), free_port()
    authority = Authority(_subfolder(folder, "certificates"))
    mail = authority.issue(
        *("mx.good.example", "mx.insecure.example", "mx.old.example", "mx.busy.example"),
        *("mx.dane.test", "mx.danebad.test", "mx.danebogus.test"),
    )
    nsd, resolver = (where["dns"], names), (addresses[1], names)
    zones, anchor = _zones(where, mail)
    stack.enter_context(Nsd(_subfolder(folder, "nsd"), nsd, zones))
    stack.enter_context(
        Unbound(
            _subfolder(folder, "unbound"),
            resolver,
            authority=nsd,
            zones=tuple(zones),
            anchor=anchor,
        )
    )
    nginx = stack.enter_context(
        Nginx(_subfolder(folder, "nginx"), (where["web"], https), _sites(authority))
    )
    stack.enter_context(
        OldWeb(
            _subfolder(folder, "s_server"),
            (where["web_old"], https),
            authority.issue("mta-sts.oldweb.example"),
            policy("oldweb.example"),
        )
    )
    hosts = _mail_hosts(where, authority)
    stack.enter_context(Postfix(_subfolder(folder, "postfix"), smtp, hosts, mail))
    config = folder / "interop.toml"
    config.write_text(
        CONFIG.format(
            resolver=f"{resolver[0]}:{resolver[1]}", https=https, smtp=smtp, roots=authority.roots
        )
    )
    domains = folder / "domains.txt"
    domains.write_text("".join(f"{domain}\n" for domain in DOMAINS))
    return Internet(
        folder=folder, config=config, list=domains, resolver=resolver, nsd=nsd, nginx=nginx
    )


def _subfolder(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made


def _zones(where: dict[str, str], mail: Identity) -> tuple[dict[str, str], str]:
    """The master files by zone, the most general first, and the trust anchor of the root."""
    fields = {**where, "spki": mail.spki_sha256(), "wrong": "00" * 32}
    root, test = SigningKey.make(), SigningKey.make()
    lines = "".join(
        ADOPTER.format(domain=f"{domain}.", **fields)
        for domain in DOMAINS
        if domain not in WITHOUT_ADOPTER_LINES
    )
    lines += "".join(MX.format(domain=f"{d}.", host=f"{h}.") for d, h in MX_OF.items())
    head = ZONE_HEAD.format(**fields)

    def of(zone: str) -> str:
        kept = [line for line in lines.splitlines() if line.split()[0].endswith(f".{zone}")]
        return "\n".join(kept) + "\n"

    unsigned = f"$ORIGIN example.\n{head}{of('example.')}{(HOSTS + SINGULAR).format(**fields)}"
    tampered = {
        ("_mta-sts.bogus.test.", "TXT"): '"v=STSv1; id=forged;"',
        ("_25._tcp.mx.danebogus.test.", "TLSA"): f"3 1 1 {fields['wrong']}",
    }
    zones = {
        ".": signed(ROOT_ZONE.format(ds=test.ds("test."), **fields), ".", root, {}),
        "example.": unsigned,
        "test.": signed(
            f"{head}{of('test.')}{SIGNED_ZONE.format(**fields)}", "test.", test, tampered
        ),
    }
    return zones, f". IN DS {root.ds('.')}"


def _sites(authority: Authority) -> list[Site]:
    """What nginx serves, one Policy Host for each domain that has one there."""
    odd_identity: dict[str, Callable[[str], Identity]] = {
        "expired.example": lambda host: authority.issue(host, expired=True),
        "wrongname.example": lambda host: authority.issue("www.wrongname.example"),
        "selfsigned.example": authority.self_signed,
        "nochain.example": lambda host: authority.issue(host, with_chain=False),
    }
    odd_answer = {
        "missing.example": "return 404;",
        "redirect.example": "return 301 https://mta-sts.good.example/.well-known/mta-sts.txt;",
    }
    served = [domain for domain in DOMAINS if domain not in WITHOUT_SITE]
    sites = []
    for domain in ("cname.example", *served):
        host = f"mta-sts.{domain}"
        identity = odd_identity.get(domain, authority.issue)(host)
        answer = odd_answer.get(domain, POLICY_FILE)
        text = policy(domain if domain in MX_OF else "good.example")
        sites.append(Site(host, identity, answer, text))
    return sites


def _mail_hosts(where: dict[str, str], authority: Authority) -> list[MailHost]:
    """Postfix in five states; nothing listens at ``mail_dead``."""
    own = authority.self_signed("mx.self.example")
    return [
        MailHost(where["mail"]),
        MailHost(where["mail_plain"], {"smtpd_tls_security_level": "none"}),
        MailHost(where["mail_self"], {"smtpd_tls_chain_files": str(own.both)}),
        MailHost(
            where["mail_old"],
            {
                "smtpd_tls_protocols": "!SSLv2, !SSLv3, !TLSv1, !TLSv1.2, !TLSv1.3",
                "tls_medium_cipherlist": "ALL:@SECLEVEL=0",
                "smtpd_tls_ciphers": "medium",
            },
        ),
        MailHost(
            where["mail_busy"],
            {"smtpd_client_restrictions": "reject", "smtpd_delay_reject": "no"},
        ),
    ]
