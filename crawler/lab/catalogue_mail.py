"""Scenarios: the MX hosts themselves, from greeting to certificate (RFC 8461 section 4.2, RFC 3207)."""

from __future__ import annotations

from typing import Final

from crawler.lab.fragments import GOOD, ONE, TWO, failing, ids, policy_text, scenario, unknown
from crawler.lab.scenario import (
    Accept,
    Certificate,
    Fault,
    MailHost,
    Manner,
    PolicyHost,
    Scenario,
    Tls,
    Truth,
)
from crawler.vocabulary import Mode, SenderOutcome

_PLAIN: Final = MailHost(ehlo=("PIPELINING", "SIZE 52428800"))
_TWO_MX: Final = "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A {mx1}\nmx2 A {mx2}\n"
_WILDCARD: Final = PolicyHost(body=policy_text(Mode.ENFORCE, "*.{domain}"))


def _bad(name: str, why: str, host: MailHost, *findings: str) -> Scenario:
    """The one MX host fails, for another reason than its certificate."""
    return scenario(name, why, mail={"mx1": host}, truth=failing(*findings))


def _certified(name: str, why: str, certificate: Certificate, *findings: str) -> Scenario:
    """The one MX host presents a certificate that does not pass."""
    return scenario(
        name,
        why,
        mail={"mx1": MailHost(certificate=certificate)},
        truth=failing("mx-cert-any", "mx-all-bad", *findings, misconfigured=True),
    )


def _unreached(name: str, why: str, host: MailHost) -> Scenario:
    """The one MX host cannot be measured: it counts against nobody."""
    return scenario(name, why, mail={"mx1": host}, truth=unknown("mx-unknown"))


SESSIONS: Final[tuple[Scenario, ...]] = (
    _bad(
        "mx-no-starttls",
        "STARTTLS is not offered: in mode enforce nothing is delivered.",
        _PLAIN,
        "mx-no-starttls",
    ),
    _bad(
        "mx-helo-only",
        "EHLO is refused, HELO is taken: a host without extensions has no STARTTLS.",
        MailHost(ehlo="502 5.5.1 command not implemented"),
        "mx-no-starttls",
    ),
    _bad(
        "mx-starttls-refused",
        "STARTTLS is offered and then refused: a broken key, most of the time.",
        MailHost(starttls="454 4.7.0 TLS not available due to local problem"),
        "mx-tls-fail",
    ),
    _bad(
        "mx-handshake-alert",
        "The handshake ends in an alert.",
        MailHost(tls=Tls.ALERT),
        "mx-tls-fail",
    ),
    _bad(
        "mx-handshake-cut",
        "The connection is closed in the middle of the handshake.",
        MailHost(tls=Tls.CUT),
        "mx-tls-fail",
    ),
    _bad(
        "mx-handshake-garbage",
        "After the 220 come octets that are no TLS.",
        MailHost(tls=Tls.GARBAGE),
        "mx-tls-fail",
    ),
    _bad(
        "mx-injection",
        "Plaintext after the 220: whoever reads it as protected can be lied to.",
        MailHost(manner=Manner.INJECTS),
        "mx-tls-fail",
    ),
    _bad(
        "mx-tls-old",
        "TLS 1.1 at the most.",
        MailHost(tls=Tls.OLD),
        "mx-tls-old",
    ),
    _certified(
        "mx-cert-name",
        "The most common one: the certificate names another host.",
        Certificate.WRONG_NAME,
        "mx-cert-name",
    ),
    _certified(
        "mx-cert-cn-only",
        "The name stands in the CN alone (section 4.2 asks for a SAN).",
        Certificate.CN_ONLY,
        "mx-cert-name",
    ),
    scenario(
        "mx-cert-wildcard-depth",
        "A certificate's wildcard stands for one label as well.",
        mx="@ MX 10 mx1.eu\nmx1.eu A {mx1}\n",
        mail={"mx1": MailHost(certificate=Certificate.SHALLOW_WILDCARD)},
        policy=PolicyHost(body=policy_text(Mode.ENFORCE, "mx1.eu.{domain}")),
        truth=failing("mx-cert-any", "mx-all-bad", "mx-cert-name", misconfigured=True),
    ),
    _certified(
        "mx-cert-self",
        "Made when the host was installed.",
        Certificate.SELF_SIGNED,
        "mx-cert-self",
    ),
    _certified(
        "mx-cert-untrusted",
        "Signed by the company's own root.",
        Certificate.UNTRUSTED,
        "mx-cert-untrusted",
    ),
    _certified("mx-cert-expired", "Renewal has stopped.", Certificate.EXPIRED, "mx-cert-expired"),
    _certified("mx-cert-not-yet", "Not valid yet.", Certificate.NOT_YET_VALID, "mx-cert-not-yet"),
    _certified("mx-chain", "The leaf alone.", Certificate.NO_INTERMEDIATE, "mx-chain"),
    _certified(
        "mx-cert-client",
        "A certificate for clients.",
        Certificate.CLIENT_ONLY,
        "mx-cert-invalid",
    ),
    _certified(
        "mx-cert-constrained",
        "An intermediate that may not issue for this name (RFC 5280 section 4.2.1.10).",
        Certificate.NAME_CONSTRAINED,
        "mx-cert-invalid",
    ),
    _certified(
        "mx-cert-expired-name",
        "Two things wrong at once.",
        Certificate.EXPIRED_WRONG_NAME,
        "mx-cert-expired",
        "mx-cert-name",
    ),
    scenario(
        "mx-cert-testing",
        "A bad certificate in mode testing: reported, not refused.",
        mail={"mx1": MailHost(certificate=Certificate.SELF_SIGNED)},
        policy=PolicyHost(body=policy_text(Mode.TESTING, "mx1.{domain}")),
        truth=failing(
            "mx-cert-any",
            "mx-all-bad",
            "mx-cert-self",
            mode=Mode.TESTING,
            misconfigured=True,
            sender_outcome=SenderOutcome.TESTING,
        ),
    ),
    scenario(
        "mx-all-bad",
        "Both MX hosts present certificates that do not pass.",
        mx=_TWO_MX,
        mail={
            "mx1": MailHost(certificate=Certificate.SELF_SIGNED),
            "mx2": MailHost(certificate=Certificate.EXPIRED),
        },
        policy=_WILDCARD,
        truth=failing(
            "mx-cert-any",
            "mx-cert-self",
            "mx-cert-expired",
            "mx-all-bad",
            mx_total=2,
            mx_covered=2,
            mx_failing=2,
            misconfigured=True,
        ),
    ),
    scenario(
        "mx-some-bad",
        "One of two: senders go on to the next host.",
        mx=_TWO_MX,
        mail={"mx1": MailHost(certificate=Certificate.EXPIRED), "mx2": GOOD},
        policy=_WILDCARD,
        truth=Truth(
            mx_total=2,
            mx_covered=2,
            mx_passing=1,
            mx_failing=1,
            misconfigured=True,
            sender_outcome=SenderOutcome.DEGRADED,
            findings=ids("mx-cert-any", "mx-cert-expired", "mx-some-bad"),
        ),
    ),
    scenario(
        "mx-operator-name",
        "An operator whose certificates do not name the hosts that its customers use.",
        mx="@ MX 10 mx1.routedmail.lab.\n@ MX 20 mx2.routedmail.lab.\n",
        mail={},
        policy=PolicyHost(body=policy_text(Mode.ENFORCE, "*.routedmail.lab")),
        truth=failing(
            "mx-cert-any",
            "mx-cert-name",
            "mx-all-bad",
            mx_total=2,
            mx_covered=2,
            mx_failing=2,
            misconfigured=True,
        ),
    ),
    scenario(
        "mx-operator-plain",
        "An operator without STARTTLS.",
        mx="@ MX 10 mx1.plainmail.lab.\n",
        mail={},
        policy=PolicyHost(body=policy_text(Mode.ENFORCE, "mx1.plainmail.lab")),
        truth=failing("mx-no-starttls"),
    ),
    scenario(
        "mx-ip-split",
        "Two addresses of one host: one without STARTTLS. A sender may meet either.",
        mx="@ MX 10 mx1\nmx1 A {mx1}\nmx1 A {mx1b}\n",
        mail={"mx1": GOOD, "mx1b": _PLAIN},
        truth=Truth(findings=ids("mx-ip-split", "mx-no-starttls")),
    ),
    scenario(
        "mx-v6-split",
        "The host is in order over IPv4; over IPv6 the handshake fails.",
        mx="@ MX 10 mx1\nmx1 A {mx1}\nmx1 AAAA {v6}\n",
        mail={"mx1": GOOD, "mx1six": MailHost(tls=Tls.ALERT, ipv6=True)},
        needs_ipv6=True,
        truth=Truth(findings=ids("mx-v6-split", "mx-tls-fail")),
    ),
    scenario(
        "mx-both-families",
        "The host is in order over both families.",
        mx="@ MX 10 mx1\nmx1 A {mx1}\nmx1 AAAA {v6}\n",
        mail={"mx1": GOOD, "mx1six": MailHost(ipv6=True)},
        needs_ipv6=True,
        truth=Truth(),
    ),
)

UNREACHED: Final[tuple[Scenario, ...]] = (
    _unreached("mx-refused", "Nothing listens on port 25.", MailHost(accept=Accept.REFUSED)),
    _unreached("mx-timeout", "A firewall that drops.", MailHost(accept=Accept.TIMEOUT)),
    _unreached(
        "mx-silent", "A tarpit: connected, and no greeting.", MailHost(accept=Accept.SILENT)
    ),
    _unreached(
        "mx-421",
        "Too busy, or does not like us: no word about its STARTTLS.",
        MailHost(greeting="421 4.3.2 service not available, closing transmission channel"),
    ),
    _unreached(
        "mx-451",
        "Greylisted for good.",
        MailHost(greeting="451 4.7.1 please try again later"),
    ),
    _unreached(
        "mx-554",
        "We are on somebody's block list.",
        MailHost(greeting="554 5.7.1 no SMTP service here for you"),
    ),
    _unreached(
        "mx-ehlo-refused",
        "EHLO and HELO are both refused.",
        MailHost(ehlo="550 5.7.1 go away", helo="550 5.7.1 go away"),
    ),
    _unreached("mx-hangs-up", "Closed after the greeting.", MailHost(manner=Manner.HANGS_UP)),
    _unreached(
        "mx-not-smtp",
        "Something else listens on the port.",
        MailHost(greeting="SSH-2.0-OpenSSH_9.6"),
    ),
    _unreached("mx-endless", "A reply that never ends.", MailHost(manner=Manner.ENDLESS)),
    scenario(
        "mx-nxdomain",
        "The MX target does not exist; there is no fallback to the domain's address.",
        mx="@ MX 10 mx1\n@ A {apex}\n",
        mail={"apex": GOOD},
        truth=unknown("mx-unknown"),
    ),
    scenario(
        "mx-no-address",
        "The MX target exists, without an address.",
        mx='@ MX 10 mx1\nmx1 TXT "decommissioned"\n',
        mail={},
        truth=unknown("mx-unknown"),
    ),
    scenario(
        "mx-address-servfail",
        "The MX target's address cannot be looked up.",
        faults={"mx1 A": Fault.SERVFAIL, "mx1 AAAA": Fault.SERVFAIL},
        mail=ONE,
        truth=unknown("mx-unknown"),
    ),
    scenario(
        "mx-special-ip",
        "A private address: never dialled.",
        mx="@ MX 10 mx1\nmx1 A 10.1.2.3\n",
        mail={},
        truth=unknown("mx-unknown"),
    ),
    scenario(
        "mx-one-unknown",
        "One host in order, one not reached: protected as far as anybody can tell.",
        mx=_TWO_MX,
        mail={**TWO, "mx2": MailHost(accept=Accept.REFUSED)},
        policy=_WILDCARD,
        truth=Truth(
            mx_total=2,
            mx_covered=2,
            mx_passing=1,
            mx_unmeasured=1,
            findings=ids("mx-unknown"),
        ),
    ),
)
