"""Findings about the MX hosts themselves (RFC 8461 section 4.2, RFC 3207, RFC 5321, RFC 7505).

They speak whenever the hosts were contacted, with or without a policy: what a host shows is the
same, and a domain without MTA-STS learns what a policy would meet.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from crawler.assessment import chain_problems
from crawler.assessment.rule import Chapter, Condition, Rule
from crawler.protocol import mx
from crawler.records import MxLookup
from crawler.vocabulary import (
    CertificateProblem,
    DnsStatus,
    MailOutcome,
    ResultType,
    Severity,
    TlsWeakness,
)

_SECTION: Final = "RFC 8461 section 4.2"
_FAILURE: Final = ResultType.VALIDATION_FAILURE
_NOT_TRUSTED: Final = ResultType.CERTIFICATE_NOT_TRUSTED


def _some_session(*outcomes: MailOutcome) -> Condition:
    wanted = frozenset(outcomes)
    return lambda context: not wanted.isdisjoint(context.mail.outcomes)


def _some_chain(*problems: CertificateProblem) -> Condition:
    wanted = frozenset(problems)
    return lambda context: not wanted.isdisjoint(context.mail.problems)


def _some_handshake(weakness: TlsWeakness) -> Condition:
    return lambda context: weakness in context.mail.weaknesses


def mx_problems(answer: MxLookup | None) -> tuple[str, ...]:
    """What is wrong with the MX records of an answer, in the words of ``protocol.mx``."""
    if answer is None or answer.status is not DnsStatus.NOERROR:
        return ()
    return _problems_of(tuple((host.preference, host.host) for host in answer.hosts))


@lru_cache(maxsize=65_536)  # a few operators' MX records are those of most domains
def _problems_of(records: tuple[tuple[int, str], ...]) -> tuple[str, ...]:
    return mx.read(records).problems


HOSTS: Final = Chapter(
    applies=lambda c: c.mail.hosts > 0,
    rules=(
        Rule(
            id="mx-unknown",
            severity=Severity.UNMEASURED,
            holds=lambda c: c.mail.some_unmeasured,
            sentence="An MX host could not be measured: it has no address, could not be reached, "
            "turned us away, or was left out.",
            fix="Nothing to change if the host takes mail from others; hosts that check where a "
            "connection comes from often turn measurements away.",
            section=_SECTION,
        ),
        Rule(
            id="mx-no-starttls",
            severity=Severity.REFUSED,
            holds=_some_session(MailOutcome.NO_STARTTLS),
            sentence="An MX host does not offer STARTTLS, so mail to it cannot be encrypted.",
            fix="Install a certificate on the MX host and enable STARTTLS; check that no firewall "
            "strips it from the replies.",
            section=_SECTION,
            result_type=ResultType.STARTTLS_NOT_SUPPORTED,
        ),
        Rule(
            id="mx-tls-fail",
            severity=Severity.REFUSED,
            holds=_some_session(MailOutcome.STARTTLS_REFUSED, MailOutcome.HANDSHAKE_FAILED),
            sentence="An MX host offers STARTTLS, but then refuses it or fails in the TLS handshake.",
            fix="Check the mail software's log for TLS errors: often the key or certificate file "
            "cannot be read, or all common cipher suites are switched off.",
            section="RFC 3207 section 4",
            result_type=_FAILURE,
        ),
        Rule(
            id="mx-tls-old",
            severity=Severity.REFUSED,
            holds=_some_session(MailOutcome.TLS_OLD),
            sentence="An MX host speaks only TLS versions below 1.2.",
            fix="Enable TLS 1.2 and 1.3 in the mail software, which may have to be updated.",
            section="RFC 8461 section 7.2",
            result_type=_FAILURE,
        ),
        Rule(
            id="mx-cert-any",
            severity=Severity.REFUSED,
            holds=lambda c: c.mail.hosts_with_bad_certificate > 0,
            sentence="An MX host presents a certificate that does not pass: senders would not accept it for its name.",
            fix="Install a certificate from a public certification authority for the name in the MX "
            "record, with its intermediates, and automate its renewal.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mx-cert-name",
            severity=Severity.REFUSED,
            holds=_some_chain(*chain_problems.NAME),
            sentence="The certificate of an MX host is issued for other names: the name in the MX "
            "record is not among its subject alternative names.",
            fix="Get a certificate that lists the name in the MX record, or point the MX record at "
            "a name that the certificate lists; the common name does not count.",
            section=_SECTION,
            result_type=ResultType.CERTIFICATE_HOST_MISMATCH,
        ),
        Rule(
            id="mx-cert-self",
            severity=Severity.REFUSED,
            holds=_some_chain(CertificateProblem.SELF_SIGNED),
            sentence="The certificate of an MX host is self-signed.",
            fix="Replace it with one from a public certification authority; free ones renew it "
            "automatically.",
            section=_SECTION,
            result_type=_NOT_TRUSTED,
        ),
        Rule(
            id="mx-cert-untrusted",
            severity=Severity.REFUSED,
            holds=_some_chain(CertificateProblem.UNKNOWN_ISSUER),
            sentence="The certificate of an MX host leads to no certification authority that senders "
            "trust.",
            fix="Replace it with one from a public certification authority; one of your own counts "
            "for nobody else.",
            section=_SECTION,
            result_type=_NOT_TRUSTED,
        ),
        Rule(
            id="mx-cert-expired",
            severity=Severity.REFUSED,
            holds=_some_chain(CertificateProblem.EXPIRED),
            sentence="The certificate of an MX host, or one above it, has expired.",
            fix="Renew the certificate, have the mail software load it, and automate both.",
            section=_SECTION,
            result_type=ResultType.CERTIFICATE_EXPIRED,
        ),
        Rule(
            id="mx-cert-not-yet",
            severity=Severity.REFUSED,
            holds=_some_chain(CertificateProblem.NOT_YET_VALID),
            sentence="The certificate of an MX host, or one above it, is not valid yet.",
            fix="Put the certificate into use only when its validity has begun, and check the clock "
            "of whatever issued it.",
            section=_SECTION,
            result_type=_NOT_TRUSTED,
        ),
        Rule(
            id="mx-chain",
            severity=Severity.REFUSED,
            holds=_some_chain(CertificateProblem.MISSING_INTERMEDIATE),
            sentence="An MX host does not send the intermediate certificate that links its own to a "
            "trusted authority.",
            fix='Configure the mail software with the full chain (often the file "fullchain"), not '
            "with the host's own certificate alone.",
            section="RFC 8446 section 4.4.2",
            result_type=_NOT_TRUSTED,
        ),
        Rule(
            id="mx-cert-invalid",
            severity=Severity.REFUSED,
            holds=_some_chain(*chain_problems.OTHER),
            sentence="The certificate chain of an MX host does not pass for another reason: its "
            "purpose, a weak key or signature, a name constraint, or an encoding that is wrong.",
            fix="Replace it with a current server certificate from a public certification authority.",
            section="RFC 5280 section 6.1",
            result_type=_FAILURE,
        ),
        Rule(
            id="mx-all-bad",
            severity=Severity.REFUSED,
            holds=lambda c: c.mail.hosts_with_bad_certificate == c.mail.hosts,
            sentence="Every MX host of the domain presents a certificate that fails.",
            fix="Repair at least one MX host at once; if the domain has a policy, set it to testing "
            "until then.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mx-some-bad",
            severity=Severity.REFUSED,
            holds=lambda c: 0 < c.mail.hosts_with_bad_certificate < c.mail.hosts,
            sentence="Some MX hosts of the domain present a certificate that fails, and others do "
            "not.",
            fix="Give the MX hosts that lag behind, often the ones with the lower priority, the same "
            "care as the others.",
            section=_SECTION,
            result_type=_FAILURE,
        ),
        Rule(
            id="mx-sender-refuses",
            severity=Severity.REFUSED,
            holds=lambda c: c.mail.some_sender_refuses,
            sentence="An MX host passes, but some senders would by their defaults break its TLS "
            "handshake off: it does not indicate secure renegotiation, or its key exchange uses a "
            "prime that is too short for them.",
            fix="Update the software that ends TLS on the MX host; if it has Diffie-Hellman "
            "parameters of its own, give it 2048 bits or leave the choice to elliptic curves.",
            section="RFC 9325 section 3.5, RFC 9325 section 4.5",
            result_type=_FAILURE,
        ),
        Rule(
            id="mx-no-secure-renegotiation",
            severity=Severity.WARNING,
            holds=_some_handshake(TlsWeakness.NO_SECURE_RENEGOTIATION),
            sentence="An MX host does not indicate secure renegotiation in TLS 1.2 or below. Senders "
            "that use OpenSSL 3 do not go on with it.",
            fix="Update the software or device that ends TLS on the MX host: what has been made "
            "since 2010 indicates it by itself.",
            section="RFC 5746 section 3.6, RFC 9325 section 3.5",
        ),
        Rule(
            id="mx-weak-dh",
            severity=Severity.WARNING,
            holds=_some_handshake(TlsWeakness.SHORT_DH_PRIME),
            sentence="An MX host agrees on a Diffie-Hellman key exchange with a prime below 2048 "
            "bits.",
            fix="Configure Diffie-Hellman parameters of 2048 bits, or switch DHE suites off in "
            "favour of ECDHE.",
            section="RFC 9325 section 4.5",
        ),
        Rule(
            id="mx-no-forward-secrecy",
            severity=Severity.WARNING,
            holds=_some_handshake(TlsWeakness.NO_FORWARD_SECRECY),
            sentence="An MX host agrees on a key exchange without forward secrecy: whoever comes by "
            "its key one day can read the mail that was recorded until then.",
            fix="Enable cipher suites with ECDHE and prefer them to those with RSA key transport.",
            section="RFC 9325 section 4.1",
        ),
        Rule(
            id="mx-tls-unoffered",
            severity=Severity.NOTE,
            holds=lambda c: c.mail.some_sender_needs_another,
            sentence="An MX host passes with a cipher suite, group or kind of key that some senders "
            "do not offer by their defaults. Whether it has another one for them was not tried.",
            fix="Nothing to change if the host can also do ECDHE with AES-GCM over x25519 or P-256, "
            "under a key that is RSA or P-256.",
            section="RFC 9325 section 4.2",
        ),
        Rule(
            id="mx-ip-split",
            severity=Severity.WARNING,
            holds=lambda c: c.mail.addresses_disagree,
            sentence="The addresses of one MX host behave differently, so that delivery depends on "
            "which of them a sender happens to choose.",
            fix="Give all machines behind the name of the MX host the same configuration and "
            "certificate.",
            section="RFC 5321 section 5.1",
        ),
        Rule(
            id="mx-v6-split",
            severity=Severity.WARNING,
            holds=lambda c: c.mail.families_disagree,
            sentence="An MX host behaves differently over IPv4 and IPv6, so that delivery depends on "
            "which of them a sender uses.",
            fix="Make sure that the same mail software listens on both, with the same configuration "
            "and certificate.",
            section="RFC 5321 section 5.1",
        ),
        Rule(
            id="mx-cname",
            severity=Severity.WARNING,
            holds=lambda c: c.mail.some_alias,
            sentence="An MX record names an alias (CNAME), which it must not.",
            fix="Let the MX record name the host itself; its certificate, and the mx line of the "
            "policy, must then bear that name.",
            section="RFC 5321 section 5.1",
        ),
    ),
)

MX: Final = Chapter(
    applies=lambda _: True,
    rules=(
        Rule(
            id="mx-malformed",
            severity=Severity.WARNING,
            holds=lambda c: bool(mx_problems(c.evidence.mx)),
            sentence="An MX record names something that is no host name, or declares that the domain "
            "takes no mail in a way that contradicts itself.",
            fix="Let each MX record name a host: no address, no underscore. A domain that takes no "
            "mail has exactly one MX record, of preference 0 and a single dot.",
            section="RFC 5321 section 5.1, RFC 7505 section 3",
        ),
    ),
)
