"""Every finding is told where it is the case, and not where it nearly is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crawler.assessment.evidence import DomainEvidence, HostEvidence
from crawler.assessment.rules import RULES
from crawler.records import Tlsa
from crawler.vocabulary import (
    CertificateProblem,
    DaneOutcome,
    DnsStatus,
    IoStatus,
    MailOutcome,
    Mode,
    PolicyOutcome,
    Stage,
    TlsWeakness,
)
from tests import rows
from tests.assessment.domains import (
    DOMAIN,
    MX1,
    MX2,
    V4,
    V4_TOO,
    V6,
    dns_failed,
    domain,
    fetched,
    judged,
    mx_host,
    passing,
    quiet,
    seen,
    served,
    sts,
    tlsrpt,
    with_mx,
)

P = CertificateProblem
M = MailOutcome
W = TlsWeakness
POLICY_HOST = f"mta-sts.{DOMAIN}"
GOOD = b"v=STSv1; id=1;"
SPF = b"v=spf1 -all"


def record(*strings: bytes, **columns: Any) -> DomainEvidence:
    return domain(sts=sts(*strings, **columns))


def policy_host(*addresses: str, **columns: Any) -> DomainEvidence:
    """The domain where nothing could be fetched, for what the lookup says."""
    return domain(policy_addresses=rows.addresses(POLICY_HOST, *addresses, **columns), fetches=())


def tcp(status: IoStatus, stage: Stage = Stage.CONNECT) -> DomainEvidence:
    return served(fetched(outcome=PolicyOutcome.TCP, status=status, stage=stage, http_status=None))


def tls(*problems: CertificateProblem, **columns: Any) -> DomainEvidence:
    return served(fetched(outcome=PolicyOutcome.TLS, chain=problems, **columns))


def http(**columns: Any) -> DomainEvidence:
    return served(fetched(outcome=PolicyOutcome.HTTP, **columns))


def body(*problems: str, outcome: PolicyOutcome = PolicyOutcome.SYNTAX) -> DomainEvidence:
    return served(fetched(*problems, outcome=outcome))


def valid(**columns: Any) -> DomainEvidence:
    return served(fetched(**columns))


def enforcing(hosts: list[str], *patterns: str, mode: Mode = Mode.ENFORCE) -> DomainEvidence:
    return with_mx(*passing(*hosts), mx=patterns, mode=mode)


def sessions(*verdicts: Any, **columns: Any) -> DomainEvidence:
    """One MX host with these sessions."""
    return with_mx(mx_host(MX1, *verdicts, **columns))


def certificate(*problems: CertificateProblem, host: str = MX1, address: str = V4) -> Any:
    return seen(host, address, M.CERTIFICATE, *problems)


def dane(
    outcome: DaneOutcome, *, policy_mx: str = MX1, signed: bool = True, **lookup: Any
) -> DomainEvidence:
    """One MX host with a TLSA record, of which its session makes this; everything is signed."""
    pinned: dict[str, Any] = {
        "status": DnsStatus.NOERROR,
        "authenticated": True,
        "records": (Tlsa(usage=3, selector=1, matching_type=1, data=bytes(32)),),
    }
    host = mx_host(
        MX1, seen(dane=outcome), tlsa=rows.tlsa(MX1, **(pinned | lookup)), authenticated=True
    )
    return domain(
        mx=rows.mx(DOMAIN, (10, MX1), authenticated=signed),
        hosts=(host,),
        fetches=(fetched(mx=(policy_mx,)),),
    )


ALERTED: dict[str, Any] = {
    "status": IoStatus.HANDSHAKE_ERROR,
    "stage": Stage.TLS,
    "tls_alert": "unrecognized_name",
    "http_status": None,
}
DEAD_V6 = fetched(outcome=PolicyOutcome.TLS, address=V6, **ALERTED)
BLOCKED = fetched(
    outcome=PolicyOutcome.UNMEASURED,
    address="10.1.2.3",
    status=IoStatus.BLOCKLISTED_TARGET,
    http_status=None,
)
WILD = tlsrpt(SPF)

# id: (where it is told, where it nearly is)
CASES: dict[str, tuple[DomainEvidence, DomainEvidence]] = {
    # the record
    "txt-multi": (record(GOOD, b"v=STSv1; id=2;"), record(GOOD, b"v=STSv1 id=2")),
    "txt-version": (record(b"v=stsv1; id=1;"), record(SPF)),
    "txt-no-delim": (record(b"v=STSv1 ; id=1;"), record(b"v=STSv1;  id=1")),
    "txt-no-id": (record(b"v=STSv1;"), record(b"v=STSv1; id=;")),
    "txt-bad-id": (record(b"v=STSv1; id=2026-01-01;"), record(b"v=STSv1; id=20260101;")),
    "txt-bad-ext": (record(b"v=STSv1; id=1; mode: testing;"), record(b"v=STSv1; id=1; mode=x;")),
    "txt-non-ascii": (record("v=STSv1; id=1; a=é;".encode()), record(b"v=STSv1; id=1; a=e;")),
    "txt-dup-field": (record(b"v=STSv1; id=1; id=2;"), record(b"v=STSv1; id=1; ID=2;")),
    "txt-unrelated": (record(GOOD, SPF), record(SPF)),
    "txt-multistring": (
        domain(sts=rows.txt(DOMAIN, (b"v=STSv1;", b" id=1;"))),
        domain(sts=rows.txt(DOMAIN, (GOOD,), (b"a", b"b"))),
    ),
    "txt-wildcard": (
        quiet(sts=sts(SPF), tlsrpt=WILD),
        quiet(sts=sts(SPF), tlsrpt=tlsrpt(SPF, b"another")),
    ),
    "txt-cname-dangling": (
        record(cname_chain=("gone.example",)),
        record(GOOD, cname_chain=("there.example",)),
    ),
    "txt-dns-error": (domain(sts=dns_failed(sts())), domain(sts=sts())),
    "no-mail": (
        domain(mx=rows.mx(DOMAIN, (0, ""), null_mx=True), hosts=()),
        domain(mx=dns_failed(rows.mx(DOMAIN)), hosts=()),
    ),
    # the Policy Host
    "ph-no-address": (policy_host(), policy_host(cname_chain=("gone.example",))),
    "ph-cname-nx": (policy_host(cname_chain=("gone.example",)), policy_host()),
    "ph-dns-error": (
        policy_host(status_ipv4=DnsStatus.SERVFAIL),
        policy_host(V6, status_ipv4=DnsStatus.SERVFAIL),
    ),
    "ph-special-ip": (
        served(BLOCKED),
        served(
            fetched(outcome=PolicyOutcome.UNMEASURED, status=IoStatus.OPTED_OUT, http_status=None)
        ),
    ),
    "ph-v6-only": (
        served(fetched(address=V6), policy_addresses=rows.addresses(POLICY_HOST, V6)),
        served(
            fetched(address=V6),
            policy_addresses=rows.addresses(POLICY_HOST, V6, status_ipv4=DnsStatus.SERVFAIL),
        ),
    ),
    "ph-v6-dead": (
        served(fetched(), DEAD_V6),
        served(fetched(outcome=PolicyOutcome.TLS, **ALERTED), DEAD_V6),
    ),
    "ph-orphan": (domain(sts=sts()), domain(sts=sts(), fetches=(DEAD_V6,))),
    # reaching the policy
    "tcp-refused": (tcp(IoStatus.CONNECTION_REFUSED), tcp(IoStatus.HOST_UNREACHABLE)),
    "tcp-timeout": (tcp(IoStatus.CONNECTION_TIMEOUT), tcp(IoStatus.CONNECTION_REFUSED)),
    "tcp-reset": (
        tcp(IoStatus.CONNECTION_CLOSED),
        tls(status=IoStatus.CONNECTION_CLOSED, stage=Stage.TLS, http_status=None),
    ),
    "tls-any": (tls(P.OTHER), tcp(IoStatus.CONNECTION_CLOSED)),
    "tls-alert": (tls(**ALERTED), tls(**(ALERTED | {"tls_alert": None}))),
    "tls-name": (tls(P.NO_SAN), tls(P.NAME_CONSTRAINT)),
    "tls-self-signed": (tls(P.SELF_SIGNED), tls(P.UNKNOWN_ISSUER)),
    "tls-untrusted": (tls(P.UNKNOWN_ISSUER), tls(P.SELF_SIGNED)),
    "tls-expired": (tls(P.EXPIRED), tls(P.NOT_YET_VALID)),
    "tls-not-yet": (tls(P.NOT_YET_VALID), tls(P.EXPIRED)),
    "tls-chain-incomplete": (tls(P.MISSING_INTERMEDIATE), tls(P.UNKNOWN_ISSUER)),
    "tls-old": (tls(tls_version="TLSv1.1"), tls(tls_version="TLSv1.2")),
    "tls-invalid": (tls(P.WRONG_PURPOSE), tls(P.NAME_MISMATCH)),
    "tls-sender-refuses": (
        valid(refusing=("postfix-mta-sts-resolver",)),
        http(refusing=("postfix-mta-sts-resolver",), http_status=404),
    ),
    "tls-no-secure-renegotiation": (
        valid(weaknesses=(W.NO_SECURE_RENEGOTIATION,)),
        valid(weaknesses=(W.SHORT_DH_PRIME, W.NO_FORWARD_SECRECY)),
    ),
    "tls-weak-dh": (
        valid(weaknesses=(W.SHORT_DH_PRIME,)),
        valid(weaknesses=(W.NO_SECURE_RENEGOTIATION, W.NO_FORWARD_SECRECY)),
    ),
    "tls-no-forward-secrecy": (
        valid(weaknesses=(W.NO_FORWARD_SECRECY,)),
        valid(weaknesses=(W.NO_SECURE_RENEGOTIATION, W.SHORT_DH_PRIME)),
    ),
    "tls-unoffered": (valid(unoffered=("boringssl",)), valid(refusing=("boringssl",))),
    "http-any": (http(http_status=500), body("malformed-line")),
    "http-404": (http(http_status=404), http(http_status=410)),
    "http-3xx": (http(http_status=301), tls(P.EXPIRED, http_status=301)),
    "http-bot-wall": (http(http_status=403), http(http_status=401)),
    "http-slow": (
        http(status=IoStatus.IO_TIMEOUT, stage=Stage.HTTP_BODY),
        tls(status=IoStatus.IO_TIMEOUT, stage=Stage.TLS, http_status=None),
    ),
    "http-big": (
        http(status=IoStatus.RESPONSE_TOO_LARGE, stage=Stage.HTTP_BODY),
        http(http_status=200, status=IoStatus.CONTENT_ENCODED, stage=Stage.HTTP_BODY),
    ),
    "http-encoding": (
        http(status=IoStatus.CONTENT_ENCODED, stage=Stage.HTTP_BODY),
        http(status=IoStatus.RESPONSE_TOO_LARGE, stage=Stage.HTTP_BODY),
    ),
    "http-truncated": (
        http(status=IoStatus.PROTOCOL_ERROR, stage=Stage.HTTP_BODY),
        http(status=IoStatus.PROTOCOL_ERROR, stage=Stage.HTTP_HEADERS, http_status=None),
    ),
    "http-ctype": (body("media-type", outcome=PolicyOutcome.VALID), body("empty")),
    "http-html-200": (body("html"), body("bom")),
    "http-bom": (body("bom"), body("html")),
    # the policy
    "pol-any": (body("empty"), http(http_status=404)),
    "pol-empty": (body("empty"), body("blank-line")),
    "pol-version": (body("version"), body("mode")),
    "pol-mode": (body("mode"), body("version")),
    "pol-max-age": (body("max-age"), valid(max_age=0)),
    "pol-mx-missing": (body("mx-missing"), valid(mode=Mode.NONE, mx=())),
    "pol-mx-bad": (body("mx-bad"), body("mx-missing")),
    "pol-line-end": (body("line-end"), body("whitespace")),
    "pol-ws": (body("blank-line"), body("line-end")),
    "pol-line": (body("malformed-line"), body("non-ascii")),
    "pol-non-ascii": (body("non-ascii"), body("malformed-line")),
    "pol-dup-key": (body("duplicate-key", outcome=PolicyOutcome.VALID), body("unknown-key")),
    "pol-unknown-key": (body("unknown-key", outcome=PolicyOutcome.VALID), body("duplicate-key")),
    "pol-max-age-short": (valid(max_age=1_209_599), valid(max_age=1_209_600)),
    "pol-none": (valid(mode=Mode.NONE, mx=()), valid(mode=Mode.TESTING)),
    # patterns against MX hosts
    "mxm-all": (enforcing([MX1, MX2], "mx.other.example"), enforcing([MX1, MX2], MX1)),
    "mxm-some": (enforcing([MX1, MX2], MX1), enforcing([MX1, MX2], "*.example.com")),
    "mxm-domain": (
        enforcing([MX1], "mx.entirely-different.net"),
        enforcing([MX1], "mx.example.net"),
    ),
    "mxm-3ld": (enforcing([MX1], "mail.example.com"), enforcing([MX1], "mx1.example.org")),
    "mxm-tld": (
        enforcing(["mx.example.co.uk"], "mx.example.com"),
        enforcing(["mx.example.co.uk"], "mail.example.co.uk"),
    ),
    "mxm-typo": (enforcing([MX1], "mx1.exmpale.com"), enforcing([MX1], "mx1.other-name.com")),
    "mxm-wild-depth": (
        enforcing(["example.com"], "*.example.com"),
        enforcing([MX1], "*.mail.example.com"),
    ),
    "mxm-policyhost": (
        enforcing([MX1], POLICY_HOST),
        enforcing([MX1], MX1, POLICY_HOST),
    ),
    "mxm-family": (
        enforcing(["aspmx.l.google.com", "aspmx2.googlemail.com"], "*.l.google.com"),
        enforcing(["aspmx.l.google.com"], "*.google.com"),
    ),
    "mxm-extra": (enforcing([MX1], MX1, MX2), enforcing([MX1, MX2], "*.example.com")),
    # the MX hosts
    "mx-unknown": (
        sessions(seen(outcome=M.UNMEASURED)),
        sessions(seen(outcome=M.UNMEASURED), seen(address=V4_TOO)),
    ),
    "mx-no-starttls": (sessions(seen(outcome=M.NO_STARTTLS)), sessions(seen())),
    "mx-tls-fail": (
        sessions(seen(outcome=M.STARTTLS_REFUSED)),
        sessions(seen(outcome=M.NO_STARTTLS)),
    ),
    "mx-tls-old": (sessions(seen(outcome=M.TLS_OLD)), sessions(seen(outcome=M.HANDSHAKE_FAILED))),
    "mx-cert-any": (sessions(certificate(P.OTHER)), sessions(seen(outcome=M.HANDSHAKE_FAILED))),
    "mx-cert-name": (
        sessions(certificate(P.NAME_MISMATCH)),
        sessions(certificate(P.NAME_CONSTRAINT)),
    ),
    "mx-cert-self": (sessions(certificate(P.SELF_SIGNED)), sessions(certificate(P.UNKNOWN_ISSUER))),
    "mx-cert-untrusted": (
        sessions(certificate(P.UNKNOWN_ISSUER)),
        sessions(certificate(P.SELF_SIGNED)),
    ),
    "mx-cert-expired": (sessions(certificate(P.EXPIRED)), sessions(certificate(P.NOT_YET_VALID))),
    "mx-cert-not-yet": (sessions(certificate(P.NOT_YET_VALID)), sessions(certificate(P.EXPIRED))),
    "mx-chain": (
        sessions(certificate(P.MISSING_INTERMEDIATE)),
        sessions(certificate(P.UNKNOWN_ISSUER)),
    ),
    "mx-cert-invalid": (sessions(certificate(P.WEAK_KEY)), sessions(certificate(P.NO_SAN))),
    "mx-all-bad": (
        sessions(certificate(P.EXPIRED)),
        with_mx(mx_host(MX1, certificate(P.EXPIRED)), mx_host(MX2)),
    ),
    "mx-some-bad": (
        with_mx(mx_host(MX1, certificate(P.EXPIRED)), *passing(MX2)),
        with_mx(
            mx_host(MX1, certificate(P.EXPIRED)), mx_host(MX2, certificate(P.EXPIRED, host=MX2))
        ),
    ),
    "mx-sender-refuses": (
        sessions(seen(refusing=("postfix",))),
        sessions(seen(MX1, V4, M.TLS_OLD, refusing=("postfix",))),
    ),
    "mx-no-secure-renegotiation": (
        sessions(seen(weaknesses=(W.NO_SECURE_RENEGOTIATION,))),
        sessions(seen(MX1, V4, M.UNMEASURED, weaknesses=(W.NO_SECURE_RENEGOTIATION,))),
    ),
    "mx-weak-dh": (
        sessions(seen(weaknesses=(W.SHORT_DH_PRIME,))),
        sessions(seen(weaknesses=(W.NO_FORWARD_SECRECY,))),
    ),
    "mx-no-forward-secrecy": (
        sessions(seen(MX1, V4, M.CERTIFICATE, P.EXPIRED, weaknesses=(W.NO_FORWARD_SECRECY,))),
        sessions(seen(weaknesses=(W.SHORT_DH_PRIME,))),
    ),
    "mx-tls-unoffered": (
        sessions(seen(unoffered=("boringssl",))),
        sessions(seen(MX1, V4, M.CERTIFICATE, P.EXPIRED, unoffered=("boringssl",))),
    ),
    "mx-ip-split": (
        sessions(seen(), certificate(P.EXPIRED, address=V4_TOO)),
        sessions(seen(), certificate(P.EXPIRED, address=V6)),
    ),
    "mx-v6-split": (
        sessions(seen(), certificate(P.EXPIRED, address=V6)),
        sessions(seen(), seen(address=V6, outcome=M.UNMEASURED)),
    ),
    "mx-cname": (sessions(seen(), cname_chain=("host.example",)), sessions(seen())),
    "mx-malformed": (
        domain(mx=rows.mx(DOMAIN, (10, ""), null_mx=True), hosts=()),
        domain(mx=rows.mx(DOMAIN, (0, ""), null_mx=True), hosts=()),
    ),
    # beside MTA-STS
    "rpt-missing": (domain(tlsrpt=tlsrpt()), quiet()),
    "rpt-invalid": (
        domain(tlsrpt=tlsrpt(b"v=TLSRPTv1; rua=r@example.com")),
        domain(tlsrpt=tlsrpt(b"v=TLSRPTv1; rua=ftp://example.com/")),
    ),
    "rpt-scheme": (
        domain(tlsrpt=tlsrpt(b"v=TLSRPTv1; rua=ftp://example.com/")),
        domain(tlsrpt=tlsrpt(b"v=TLSRPTv1; rua=MAILTO:r@example.com")),
    ),
    "dane-conflict": (
        dane(DaneOutcome.MISMATCH),
        dane(DaneOutcome.MISMATCH, policy_mx="mx.elsewhere.example"),
    ),
    "dane-mismatch": (
        dane(DaneOutcome.MISMATCH, policy_mx="mx.elsewhere.example"),
        dane(DaneOutcome.MISMATCH, authenticated=False),
    ),
    "dane-bogus": (
        dane(DaneOutcome.UNMEASURED, status=DnsStatus.SERVFAIL, authenticated=None, records=()),
        # Nobody asks for the TLSA records of a host that an attacker could have named.
        dane(
            DaneOutcome.UNMEASURED,
            signed=False,
            status=DnsStatus.SERVFAIL,
            authenticated=None,
            records=(),
        ),
    ),
    "dane-unusable": (
        dane(
            DaneOutcome.UNUSABLE,
            records=(Tlsa(usage=1, selector=1, matching_type=1, data=bytes(32)),),
        ),
        dane(DaneOutcome.MATCH),
    ),
    "dane-insecure": (
        dane(DaneOutcome.INSECURE, authenticated=False),
        dane(DaneOutcome.MATCH),
    ),
}


def test_every_rule_has_its_cases() -> None:
    assert set(CASES) == {rule.id for rule in RULES}


@pytest.mark.parametrize("finding", CASES)
def test_a_finding_is_told(finding: str) -> None:
    assert finding in judged(CASES[finding][0]).findings


@pytest.mark.parametrize("finding", CASES)
def test_a_finding_is_not_told_where_it_is_nearly_the_case(finding: str) -> None:
    assert finding not in judged(CASES[finding][1]).findings


def test_a_domain_that_does_everything_right_has_no_finding() -> None:
    assert judged(domain()).findings == ()


def test_a_domain_without_any_of_it_has_no_finding() -> None:
    assert judged(quiet()).findings == ()


# More of the triggers that one pair of cases does not tell apart.  Findings in full.
WHOLE: dict[str, tuple[DomainEvidence, tuple[str, ...]]] = {
    "both ways to resemble a record": (
        record(b"v=STSv1 id=1", b"v=sts1"),
        ("txt-version", "txt-no-delim"),
    ),
    "non-ASCII octets fit no extension either": (
        record("v=STSv1; id=1; a=é".encode()),
        ("txt-bad-ext", "txt-non-ascii"),
    ),
    "a wildcard CNAME that dangles": (
        quiet(sts=sts(cname_chain=("gone.example",))),
        ("txt-cname-dangling",),
    ),
    "NODATA at _mta-sts": (
        quiet(sts=sts(status=DnsStatus.NO_ANSWER, cname_chain=("gone.example",))),
        ("txt-cname-dangling",),
    ),
    "a domain that does not exist takes no mail": (
        domain(mx=rows.mx(DOMAIN, status=DnsStatus.NXDOMAIN, implicit_mx=False), hosts=()),
        ("no-mail",),
    ),
    "no address for the implicit MX": (
        domain(mx=rows.mx(DOMAIN), hosts=(mx_host(DOMAIN),)),
        ("no-mail",),
    ),
    "the record is bad, and the policy behind it is judged all the same": (
        domain(
            sts=sts(b"v=STSv1;"), fetches=(fetched(outcome=PolicyOutcome.TLS, chain=(P.EXPIRED,)),)
        ),
        ("txt-no-id", "tls-any", "tls-expired"),
    ),
    "two reasons at once": (
        tls(P.EXPIRED, P.NAME_MISMATCH),
        ("tls-any", "tls-name", "tls-expired"),
    ),
    "silence in place of a ServerHello": (
        tls(status=IoStatus.IO_TIMEOUT, stage=Stage.TLS, http_status=None),
        ("tls-any",),
    ),
    "a special address beside one that answers": (served(fetched(), BLOCKED), ("ph-special-ip",)),
    "a media type in the way of nothing": (
        body("media-type", "html"),
        ("http-ctype", "http-html-200", "pol-any"),
    ),
    "both kinds of white space are one finding": (
        body("whitespace", "blank-line"),
        ("pol-any", "pol-ws"),
    ),
    "mode none asks for no MX host": (
        served(fetched(mode=Mode.NONE, mx=("mx.elsewhere.example",))),
        ("pol-none",),
    ),
    "testing may be kept for a day": (valid(mode=Mode.TESTING, max_age=86_400), ()),
    "testing for less than a day": (
        valid(mode=Mode.TESTING, max_age=86_399),
        ("pol-max-age-short",),
    ),
    "mode none may be kept for a moment": (valid(mode=Mode.NONE, max_age=0), ("pol-none",)),
    "the MX hosts are not known": (
        domain(mx=dns_failed(rows.mx(DOMAIN, implicit_mx=False)), hosts=()),
        (),
    ),
    "each uncovered host has its own relation": (
        enforcing([MX1, "mx.entirely-different.net"], "mail.example.com"),
        ("mxm-all", "mxm-domain", "mxm-3ld", "mxm-extra"),
    ),
    "the same domain is closer than another suffix": (
        enforcing([MX1], "mx1.example.org", "mail.example.com"),
        ("mxm-all", "mxm-3ld", "mxm-extra"),
    ),
    "another suffix is closer than a slip": (
        enforcing([MX1], "mx1.exampel.com", "mx1.example.org"),
        ("mxm-all", "mxm-tld", "mxm-extra"),
    ),
    "three edits are a slip": (
        enforcing([MX1], "mx1.exampleabc.com"),
        ("mxm-all", "mxm-typo", "mxm-extra"),
    ),
    "four edits are another name": (
        enforcing([MX1], "mx1.exampleabcd.com"),
        ("mxm-all", "mxm-domain", "mxm-extra"),
    ),
    "a wildcard for two labels": (
        enforcing(["a.b.example.com"], "*.example.com"),
        ("mxm-all", "mxm-3ld", "mxm-wild-depth", "mxm-extra"),
    ),
    "Microsoft's two families": (
        enforcing(
            ["example-com.a-v1.mx.microsoft"], "*.mail.protection.outlook.com", mode=Mode.TESTING
        ),
        ("mxm-all", "mxm-domain", "mxm-family", "mxm-extra"),
    ),
    "the policy host is named, and its policy covers the rest": (
        enforcing([MX1], "*.example.com", POLICY_HOST),
        ("mxm-extra",),
    ),
    "a host beyond the cap": (
        with_mx(*passing(MX1), HostEvidence(host=MX2)),
        ("mx-unknown",),
    ),
    "no STARTTLS at one of two addresses": (
        sessions(seen(), seen(address=V4_TOO, outcome=M.NO_STARTTLS)),
        ("mx-no-starttls", "mx-ip-split"),
    ),
    "a bad chain behind an old version is told too": (
        sessions(seen(MX1, V4, M.TLS_OLD, P.EXPIRED)),
        ("mx-tls-old", "mx-cert-any", "mx-cert-expired", "mx-all-bad"),
    ),
    "a failure of ours says nothing about a chain": (
        sessions(seen(MX1, V4, M.UNMEASURED, P.EXPIRED)),
        ("mx-unknown",),
    ),
    "the hosts of a domain without a record": (
        quiet(hosts=(mx_host(MX1, certificate(P.SELF_SIGNED)),), mail_in_scope=True),
        ("mx-cert-any", "mx-cert-self", "mx-all-bad"),
    ),
    "an address for a name": (
        domain(
            mx=rows.mx(DOMAIN, (10, MX1), (20, "192.0.2.9")),
            hosts=(*passing(MX1), mx_host("192.0.2.9")),
            fetches=(fetched(mode=Mode.NONE, mx=()),),
        ),
        ("pol-none", "mx-unknown", "mx-malformed"),
    ),
    "the root beside a host": (
        domain(mx=rows.mx(DOMAIN, (0, ""), (10, MX1))),
        ("mx-malformed",),
    ),
    "several TLSRPT records": (
        domain(tlsrpt=tlsrpt(b"v=TLSRPTv1; rua=mailto:a@b.c", b"v=TLSRPTv1; rua=mailto:a@b.c")),
        ("rpt-invalid",),
    ),
    "a TLSRPT record that is no good, alone": (
        quiet(tlsrpt=tlsrpt(b"v=TLSRPTv1;")),
        ("rpt-invalid",),
    ),
    "TLSRPT could not be asked about": (domain(tlsrpt=dns_failed(tlsrpt())), ()),
    "a name that covers the TLSA conflict": (
        dane(DaneOutcome.MISMATCH),
        ("dane-conflict", "dane-mismatch"),
    ),
    "DANE is fine": (dane(DaneOutcome.MATCH), ()),
    "the TLSA answer is bogus": (
        dane(DaneOutcome.UNMEASURED, status=DnsStatus.SERVFAIL, records=()),
        ("dane-bogus",),
    ),
    "the TLSA answer did not come in time: no word about DNSSEC": (
        dane(DaneOutcome.UNMEASURED, status=DnsStatus.TIMEOUT, records=()),
        (),
    ),
    "one MX host fails DANE, and the TLSA answer of another is bogus": (
        replace(
            dane(DaneOutcome.MISMATCH),
            mx=rows.mx(DOMAIN, (10, MX1), (20, MX2), authenticated=True),
            hosts=(
                *dane(DaneOutcome.MISMATCH).hosts,
                mx_host(
                    MX2,
                    seen(MX2, dane=DaneOutcome.UNMEASURED),
                    tlsa=rows.tlsa(MX2, status=DnsStatus.SERVFAIL),
                    authenticated=True,
                ),
            ),
            fetches=(fetched(mx=(MX1, MX2)),),
        ),
        ("dane-conflict", "dane-mismatch", "dane-bogus"),
    ),
    "what a host agrees on, and what senders make of it": (
        sessions(
            seen(
                weaknesses=(W.SHORT_DH_PRIME, W.NO_SECURE_RENEGOTIATION),
                refusing=("postfix", "exim-openssl"),
                unoffered=("boringssl",),
            )
        ),
        ("mx-sender-refuses", "mx-no-secure-renegotiation", "mx-weak-dh", "mx-tls-unoffered"),
    ),
    "one address that a sender refuses is told, though another serves it": (
        sessions(
            seen(refusing=("exim-openssl",), weaknesses=(W.SHORT_DH_PRIME,)), seen(address=V4_TOO)
        ),
        ("mx-sender-refuses", "mx-weak-dh"),
    ),
    "the policy of a host with RSA key transport": (
        valid(
            weaknesses=(W.NO_FORWARD_SECRECY,),
            unoffered=("postfix-mta-sts-resolver", "postfix-tlspol"),
        ),
        ("tls-no-forward-secrecy", "tls-unoffered"),
    ),
    "a broken policy over a handshake that some break off": (
        served(
            fetched(
                "empty",
                outcome=PolicyOutcome.SYNTAX,
                weaknesses=(W.NO_SECURE_RENEGOTIATION,),
                refusing=("postfix-mta-sts-resolver",),
            )
        ),
        ("tls-sender-refuses", "tls-no-secure-renegotiation", "pol-any", "pol-empty"),
    ),
    "where nobody fetches, nobody refuses": (
        domain(sts=sts(), fetches=(fetched(refusing=("postfix-mta-sts-resolver",)),)),
        ("ph-orphan",),
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_findings_in_full(case: str) -> None:
    evidence, findings = WHOLE[case]
    assert judged(evidence).findings == findings
