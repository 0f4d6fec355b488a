"""Findings about fetching the policy from the chosen address: TCP, TLS and HTTP.

RFC 8461 section 3.3: the policy is fetched over HTTPS from ``mta-sts.<domain>``, whose
certificate must be valid for that name; only a 200 counts, and redirects are not followed.
Whatever fails here, a sender without a cached policy acts as if there were none.  The findings
of a stage are told only when that stage is the first that failed, and those about senders that would
not have come so far when the file was received.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from crawler.assessment import chain_problems
from crawler.assessment.context import Context
from crawler.assessment.rule import Chapter, Condition, Rule
from crawler.assessment.sessions import OLD_TLS
from crawler.vocabulary import (
    CertificateProblem,
    IoStatus,
    PolicyOutcome,
    ResultType,
    Severity,
    Stage,
    TlsWeakness,
)

_SECTION: Final = "RFC 8461 section 3.3"
_FETCH_ERROR: Final = ResultType.STS_POLICY_FETCH_ERROR
_WEBPKI: Final = ResultType.STS_WEBPKI_INVALID
_INVALID: Final = ResultType.STS_POLICY_INVALID

_IN_HTTP: Final = frozenset({Stage.HTTP_HEADERS, Stage.HTTP_BODY})


def _fails_at(outcome: PolicyOutcome) -> Condition:
    return lambda context: context.policy_outcome is outcome


def _ended(*statuses: IoStatus, at: frozenset[Stage] | None = None) -> Condition:
    """How the chosen fetch ended, and at which stage where that matters."""
    return lambda c: (
        c.fetch is not None and c.fetch.status in statuses and (at is None or c.fetch.stage in at)
    )


def _answered(codes: Container[int | None]) -> Condition:
    """The status code of the response is one of *codes*."""
    return lambda context: context.fetch is not None and context.fetch.http_status in codes


def _chain_is(*problems: CertificateProblem) -> Condition:
    wanted = frozenset(problems)
    return lambda c: c.verdict is not None and not wanted.isdisjoint(c.verdict.certificate_problems)


def _was_alerted(context: Context) -> bool:
    # An alert that comes after the handshake is no reason why there was none.
    fetch = context.fetch
    return fetch is not None and fetch.tls_alert is not None and fetch.stage is Stage.TLS


def _handshake_has(weakness: TlsWeakness) -> Condition:
    return lambda c: c.verdict is not None and weakness in c.verdict.tls_weaknesses


def _body(word: str) -> Condition:
    return lambda c: c.judged_body is not None and word in c.judged_body.problems


TCP: Final = Chapter(
    applies=_fails_at(PolicyOutcome.TCP),
    rules=(
        Rule(
            id="tcp-refused",
            severity=Severity.NO_POLICY,
            holds=_ended(IoStatus.CONNECTION_REFUSED),
            sentence="The Policy Host mta-sts refuses connections to port 443, so senders find no "
            "policy.",
            fix="Start a web server for HTTPS at the address of mta-sts, and let the firewall pass "
            "port 443.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="tcp-timeout",
            severity=Severity.NO_POLICY,
            holds=_ended(
                IoStatus.CONNECTION_TIMEOUT, IoStatus.HOST_UNREACHABLE, IoStatus.IO_TIMEOUT
            ),
            sentence="The Policy Host mta-sts cannot be reached on port 443: no connection came "
            "about in time, so senders find no policy.",
            fix="Check that the address of mta-sts is right and that the firewall lets port 443 "
            "pass for everybody, not only for browsers of your own network.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="tcp-reset",
            severity=Severity.NO_POLICY,
            holds=_ended(IoStatus.CONNECTION_CLOSED),
            sentence="The Policy Host mta-sts accepts connections to port 443 and closes them before "
            "a word of TLS, so senders find no policy.",
            fix="Check the web server or load balancer at the address of mta-sts, and whether a "
            "firewall cuts connections from networks it does not know.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
    ),
)

TLS: Final = Chapter(
    applies=_fails_at(PolicyOutcome.TLS),
    rules=(
        Rule(
            id="tls-any",
            severity=Severity.NO_POLICY,
            holds=lambda _: True,
            sentence="Fetching the policy fails at TLS: the handshake does not succeed, or the "
            "certificate is not valid for the Policy Host mta-sts. Senders must not use the policy.",
            fix="Serve the policy under a certificate that a public certification authority has "
            "issued for mta-sts below the domain, with its intermediates, over TLS 1.2 or 1.3.",
            section=_SECTION,
            result_type=_WEBPKI,
        ),
        Rule(
            id="tls-alert",
            severity=Severity.NO_POLICY,
            holds=_was_alerted,
            sentence="The Policy Host mta-sts aborts the TLS handshake with an alert, as hosts do "
            "that have no certificate for the name they are asked for.",
            fix="Set up a certificate for mta-sts below the domain on that host; if a provider "
            "serves the policy, ask it to activate your domain.",
            section="RFC 8446 section 6.2",
            result_type=_WEBPKI,
        ),
        Rule(
            id="tls-name",
            severity=Severity.NO_POLICY,
            holds=_chain_is(*chain_problems.NAME),
            sentence="The certificate of the Policy Host is issued for other names: mta-sts below "
            "the domain is not among its subject alternative names.",
            fix="Get a certificate that lists mta-sts below the domain, or a wildcard directly "
            "above it, as a DNS name; the common name does not count.",
            section=_SECTION,
            result_type=_WEBPKI,
        ),
        Rule(
            id="tls-self-signed",
            severity=Severity.NO_POLICY,
            holds=_chain_is(CertificateProblem.SELF_SIGNED),
            sentence="The certificate of the Policy Host is self-signed, so senders do not trust it.",
            fix="Replace it with one from a public certification authority; free ones renew it "
            "automatically.",
            section=_SECTION,
            result_type=_WEBPKI,
        ),
        Rule(
            id="tls-untrusted",
            severity=Severity.NO_POLICY,
            holds=_chain_is(CertificateProblem.UNKNOWN_ISSUER),
            sentence="The certificate of the Policy Host leads to no certification authority that "
            "senders trust.",
            fix="Replace it with one from a public certification authority; one of your own counts "
            "for nobody else.",
            section=_SECTION,
            result_type=_WEBPKI,
        ),
        Rule(
            id="tls-expired",
            severity=Severity.NO_POLICY,
            holds=_chain_is(CertificateProblem.EXPIRED),
            sentence="The certificate of the Policy Host, or one above it, has expired.",
            fix="Renew the certificate, and automate and monitor its renewal.",
            section=_SECTION,
            result_type=_WEBPKI,
        ),
        Rule(
            id="tls-not-yet",
            severity=Severity.NO_POLICY,
            holds=_chain_is(CertificateProblem.NOT_YET_VALID),
            sentence="The certificate of the Policy Host, or one above it, is not valid yet.",
            fix="Put the certificate into use only when its validity has begun, and check the clock "
            "of whatever issued it.",
            section=_SECTION,
            result_type=_WEBPKI,
        ),
        Rule(
            id="tls-chain-incomplete",
            severity=Severity.NO_POLICY,
            holds=_chain_is(CertificateProblem.MISSING_INTERMEDIATE),
            sentence="The Policy Host does not send the intermediate certificate that links its own "
            "to a trusted authority. Browsers often repair that; senders do not.",
            fix='Configure the web server with the full chain (often the file "fullchain"), not '
            "with the host's own certificate alone.",
            section="RFC 8446 section 4.4.2",
            result_type=_WEBPKI,
        ),
        Rule(
            id="tls-old",
            severity=Severity.NO_POLICY,
            holds=lambda c: c.fetch is not None and c.fetch.tls_version in OLD_TLS,
            sentence="The Policy Host speaks only TLS versions below 1.2, which senders refuse.",
            fix="Enable TLS 1.2 and 1.3 on the web server and switch the older versions off.",
            section="RFC 8461 section 7.2",
            result_type=_WEBPKI,
        ),
        Rule(
            id="tls-invalid",
            severity=Severity.NO_POLICY,
            holds=_chain_is(*chain_problems.OTHER),
            sentence="The certificate chain of the Policy Host does not pass for another reason: its "
            "purpose, a weak key or signature, a name constraint, or an encoding that is wrong.",
            fix="Replace it with a current server certificate from a public certification authority.",
            section="RFC 5280 section 6.1",
            result_type=_WEBPKI,
        ),
    ),
)

FETCHERS: Final = Chapter(
    applies=lambda c: c.judged_body is not None,
    rules=(
        Rule(
            id="tls-sender-refuses",
            severity=Severity.NO_POLICY,
            holds=lambda c: c.verdict is not None and bool(c.verdict.refusing_senders),
            sentence="The policy was received, but some senders would by their defaults break the "
            "TLS handshake with the Policy Host off and find none: it does not indicate secure "
            "renegotiation, or its key exchange uses a prime that is too short for them.",
            fix="Update the software that ends TLS on the Policy Host; if it has Diffie-Hellman "
            "parameters of its own, give it 2048 bits or leave the choice to elliptic curves.",
            section="RFC 9325 section 3.5, RFC 9325 section 4.5",
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="tls-no-secure-renegotiation",
            severity=Severity.WARNING,
            holds=_handshake_has(TlsWeakness.NO_SECURE_RENEGOTIATION),
            sentence="The Policy Host does not indicate secure renegotiation in TLS 1.2. Senders "
            "that use OpenSSL 3 to fetch policies do not go on with it.",
            fix="Update the web server or the device in front of it that ends TLS: what has been "
            "made since 2010 indicates it by itself.",
            section="RFC 5746 section 3.6, RFC 9325 section 3.5",
        ),
        Rule(
            id="tls-weak-dh",
            severity=Severity.WARNING,
            holds=_handshake_has(TlsWeakness.SHORT_DH_PRIME),
            sentence="The Policy Host agrees on a Diffie-Hellman key exchange with a prime below "
            "2048 bits.",
            fix="Configure Diffie-Hellman parameters of 2048 bits, or switch DHE suites off in "
            "favour of ECDHE.",
            section="RFC 9325 section 4.5",
        ),
        Rule(
            id="tls-no-forward-secrecy",
            severity=Severity.WARNING,
            holds=_handshake_has(TlsWeakness.NO_FORWARD_SECRECY),
            sentence="The Policy Host agrees on a key exchange without forward secrecy, which "
            "current HTTPS clients no longer offer.",
            fix="Enable cipher suites with ECDHE on the web server and prefer them to those with RSA "
            "key transport.",
            section="RFC 9325 section 4.1",
        ),
        Rule(
            id="tls-unoffered",
            severity=Severity.NOTE,
            holds=lambda c: c.verdict is not None and bool(c.verdict.unoffered_by),
            sentence="The policy was received over a cipher suite, group or kind of key that some "
            "senders do not offer by their defaults. Whether the Policy Host has another one for "
            "them was not tried.",
            fix="Nothing to change if the web server can also do ECDHE with AES-GCM over x25519 or "
            "P-256, under a key that is RSA or P-256.",
            section="RFC 9325 section 4.2",
        ),
    ),
)

HTTP: Final = Chapter(
    applies=_fails_at(PolicyOutcome.HTTP),
    rules=(
        Rule(
            id="http-any",
            severity=Severity.NO_POLICY,
            holds=lambda _: True,
            sentence="The Policy Host answers, but not with the policy: the response is not a "
            "complete 200 of acceptable size, so senders find no policy.",
            fix="Serve the policy file at /.well-known/mta-sts.txt on mta-sts below the domain, "
            "directly and with status 200.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="http-404",
            severity=Severity.NO_POLICY,
            holds=_answered({404}),
            sentence="The Policy Host has no file at /.well-known/mta-sts.txt: it answers 404.",
            fix="Put the policy file at exactly that path; the web server may need a rule that lets "
            "it serve a folder whose name begins with a dot.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="http-3xx",
            severity=Severity.NO_POLICY,
            holds=_answered(range(300, 400)),
            sentence="The Policy Host redirects the request for the policy, and senders must not "
            "follow redirects.",
            fix="Exempt /.well-known/mta-sts.txt on mta-sts from redirects and serve the file "
            "directly.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="http-bot-wall",
            severity=Severity.NO_POLICY,
            holds=_answered({403, 429}),
            sentence="The Policy Host turns the request for the policy away (403 or 429), as "
            "protection against bots does. Senders are no browsers, so it is likely to turn "
            "them away too.",
            fix="Exempt /.well-known/mta-sts.txt from bot protection, access control and rate limits.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="http-slow",
            severity=Severity.NO_POLICY,
            holds=_ended(IoStatus.IO_TIMEOUT, at=_IN_HTTP),
            sentence="The Policy Host accepts the request for the policy, but does not complete its "
            "response in time.",
            fix="Serve the policy as a plain static file, which takes milliseconds.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="http-big",
            severity=Severity.NO_POLICY,
            holds=_ended(IoStatus.RESPONSE_TOO_LARGE),
            sentence="The response with the policy is larger than senders accept; 64 kilobytes is "
            "the suggested limit.",
            fix="Serve the policy file alone, which needs a few hundred octets; too many mx lines "
            "can often be replaced by one with a wildcard.",
            section=_SECTION,
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="http-encoding",
            severity=Severity.NO_POLICY,
            holds=_ended(IoStatus.CONTENT_ENCODED),
            sentence="The Policy Host compresses the policy, or encodes it in another way, without "
            "having been asked to.",
            fix="Switch compression off for /.well-known/mta-sts.txt, or make it depend on the "
            "request's Accept-Encoding.",
            section="RFC 9110 section 12.5.3",
            result_type=_FETCH_ERROR,
        ),
        Rule(
            id="http-truncated",
            severity=Severity.NO_POLICY,
            holds=_ended(
                IoStatus.CONNECTION_CLOSED,
                IoStatus.PROTOCOL_ERROR,
                at=frozenset({Stage.HTTP_BODY}),
            ),
            sentence="The response with the policy breaks off, or is damaged, before its announced "
            "end.",
            fix="Check that Content-Length is the length of the file, and that neither web server "
            "nor proxy cuts the connection.",
            section="RFC 9112 section 8",
            result_type=_FETCH_ERROR,
        ),
    ),
)

CONTENT: Final = Chapter(
    applies=lambda c: c.judged_body is not None,
    rules=(
        Rule(
            id="http-ctype",
            severity=Severity.WARNING,
            holds=_body("media-type"),
            sentence="The policy is not served as text/plain. Most senders do not mind, but they may "
            "refuse it.",
            fix="Serve /.well-known/mta-sts.txt with Content-Type: text/plain.",
            section="RFC 8461 section 3.2",
        ),
        Rule(
            id="http-html-200",
            severity=Severity.NO_POLICY,
            holds=_body("html"),
            sentence="The Policy Host answers the request for the policy with a web page.",
            fix="Serve the policy file itself at /.well-known/mta-sts.txt; check for a catch-all "
            "page, a parking page or a login in front of it.",
            section="RFC 8461 section 3.2",
            result_type=_INVALID,
        ),
        Rule(
            id="http-bom",
            severity=Severity.NO_POLICY,
            holds=_body("bom"),
            sentence="The policy file begins with a byte order mark, so its first line is no field.",
            fix='Save the file as plain ASCII text, or as "UTF-8 without BOM".',
            section="RFC 8461 section 3.2",
            result_type=_INVALID,
        ),
    ),
)
