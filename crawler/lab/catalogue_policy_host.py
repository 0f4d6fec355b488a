"""Scenarios: reaching the Policy Host, by DNS, TCP and TLS (RFC 8461 section 3.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from crawler.lab.fragments import (
    ENFORCE,
    HOST,
    RECORD,
    ids,
    no_policy,
    no_record,
    scenario,
)
from crawler.lab.scenario import Accept, Certificate, Fault, PolicyHost, Scenario, Tls, Truth
from crawler.vocabulary import PolicyOutcome, SenderOutcome

_DNS, _TCP, _TLS = PolicyOutcome.DNS, PolicyOutcome.TCP, PolicyOutcome.TLS


def _unmeasured(*findings: str) -> Truth:
    """The truth where the policy could not be asked for: nothing counts against the domain."""
    return no_policy(
        PolicyOutcome.UNMEASURED,
        *findings,
        misconfigured=False,
        sender_outcome=SenderOutcome.UNMEASURED,
    )


POLICY_HOST_DNS: Final[tuple[Scenario, ...]] = (
    scenario(
        "ph-no-address",
        "A record, and no Policy Host: the usual half-finished deployment.",
        host="",
        policy=None,
        truth=no_policy(_DNS, "ph-no-address"),
    ),
    scenario(
        "ph-no-address-nodata",
        "The Policy Host's name exists, without an address.",
        host='mta-sts TXT "reserved for later"\n',
        policy=None,
        truth=no_policy(_DNS, "ph-no-address"),
    ),
    scenario(
        "ph-cname-nx",
        "The Policy Host's alias dangles; the record does not.",
        host="mta-sts CNAME {host_alias}.\n",
        policy=None,
        truth=no_policy(_DNS, "ph-cname-nx"),
    ),
    scenario(
        "ph-servfail",
        "SERVFAIL for the Policy Host: not the same as no address.",
        faults={"mta-sts": Fault.SERVFAIL},
        truth=_unmeasured("ph-dns-error"),
    ),
    scenario(
        "ph-cname-loop",
        "The Policy Host's alias points back at it.",
        host="mta-sts CNAME web\nweb CNAME mta-sts\n",
        policy=None,
        truth=_unmeasured("ph-dns-error"),
    ),
    scenario(
        "ph-special-ip",
        "A private address: never dialled, so nothing is measured (and no inner host is reached).",
        host="mta-sts A 10.1.2.3\n",
        policy=None,
        truth=_unmeasured("ph-special-ip"),
    ),
    scenario(
        "ph-v6-only",
        "Only AAAA: senders without IPv6 find no policy.",
        host="mta-sts AAAA {v6}\n",
        needs_ipv6=True,
        truth=Truth(findings=ids("ph-v6-only")),
    ),
    scenario(
        "ph-v6-dead",
        "IPv6 has no certificate for the name; a scan of one family sees nothing wrong.",
        host=HOST + "mta-sts AAAA {v6}\n",
        policy=replace(ENFORCE, ipv6=PolicyHost(tls=Tls.ALERT)),
        needs_ipv6=True,
        truth=Truth(),
        both_families=Truth(findings=ids("ph-v6-dead")),
    ),
    scenario(
        "ph-orphan",
        "A policy is served, and no record announces it.",
        record="",
        truth=no_record("ph-orphan"),
    ),
)

POLICY_HOST_TCP: Final[tuple[Scenario, ...]] = (
    scenario(
        "tcp-refused",
        "Nothing listens on the port.",
        policy=replace(ENFORCE, accept=Accept.REFUSED),
        truth=no_policy(_TCP, "tcp-refused"),
    ),
    scenario(
        "tcp-timeout",
        "A firewall that drops.",
        policy=replace(ENFORCE, accept=Accept.TIMEOUT),
        truth=no_policy(_TCP, "tcp-timeout"),
    ),
    scenario(
        "tcp-reset",
        "Accepted and reset before a word of TLS.",
        policy=replace(ENFORCE, accept=Accept.RESET),
        truth=no_policy(_TCP, "tcp-reset"),
    ),
)


def _certified(name: str, why: str, certificate: Certificate, *findings: str) -> Scenario:
    """A Policy Host that serves a good policy under a certificate that does not pass."""
    return scenario(
        name,
        why,
        policy=replace(ENFORCE, certificate=certificate),
        truth=no_policy(_TLS, "tls-any", *findings),
    )


POLICY_HOST_TLS: Final[tuple[Scenario, ...]] = (
    scenario(
        "tls-alert",
        "No certificate for this name: the server says so in an alert.",
        policy=replace(ENFORCE, tls=Tls.ALERT),
        truth=no_policy(_TLS, "tls-any", "tls-alert"),
    ),
    scenario(
        "tls-alert-managed",
        "The same at a provider whose customer this domain never was.",
        record=RECORD + "mta-sts CNAME {host_alias}.\n{host_alias}. A {provider}\n",
        host="",
        policy=replace(ENFORCE, tls=Tls.ALERT),
        truth=no_policy(_TLS, "tls-any", "tls-alert"),
    ),
    scenario(
        "tls-cut",
        "Closed in the middle of the handshake.",
        policy=replace(ENFORCE, tls=Tls.CUT),
        truth=no_policy(_TLS, "tls-any"),
    ),
    scenario(
        "tls-garbage",
        "Something listens that speaks no TLS.",
        policy=replace(ENFORCE, tls=Tls.GARBAGE),
        truth=no_policy(_TLS, "tls-any"),
    ),
    scenario(
        "tls-silent",
        "Accepted, and then silence in place of a ServerHello.",
        policy=replace(ENFORCE, accept=Accept.SILENT),
        truth=no_policy(_TLS, "tls-any"),
    ),
    scenario(
        "tls-old",
        "TLS 1.1 at the most; senders want 1.2 (RFC 8461 section 7.2).",
        policy=replace(ENFORCE, tls=Tls.OLD),
        truth=no_policy(_TLS, "tls-any", "tls-old"),
    ),
    _certified(
        "tls-name-parent",
        "A third of the self-hosted: the certificate of the web site, without mta-sts.",
        Certificate.PARENT,
        "tls-name",
    ),
    _certified(
        "tls-name-other",
        "The default certificate of a shared host.",
        Certificate.WRONG_NAME,
        "tls-name",
    ),
    _certified(
        "tls-cn-only",
        "The name stands in the CN alone, which never counts (section 3.3).",
        Certificate.CN_ONLY,
        "tls-name",
    ),
    _certified(
        "tls-self-signed",
        "Signed by itself.",
        Certificate.SELF_SIGNED,
        "tls-self-signed",
    ),
    _certified(
        "tls-untrusted",
        "Signed by a root that nobody has.",
        Certificate.UNTRUSTED,
        "tls-untrusted",
    ),
    _certified("tls-expired", "Renewal has stopped.", Certificate.EXPIRED, "tls-expired"),
    _certified(
        "tls-not-yet",
        "Not valid yet: a clock, or a certificate put in place too soon.",
        Certificate.NOT_YET_VALID,
        "tls-not-yet",
    ),
    _certified(
        "tls-chain-incomplete",
        "The leaf alone: browsers repair that, senders do not.",
        Certificate.NO_INTERMEDIATE,
        "tls-chain-incomplete",
    ),
    _certified(
        "tls-client-only",
        "A certificate for clients.",
        Certificate.CLIENT_ONLY,
        "tls-invalid",
    ),
    _certified(
        "tls-expired-other",
        "Two things wrong at once: both are told.",
        Certificate.EXPIRED_WRONG_NAME,
        "tls-expired",
        "tls-name",
    ),
    _certified(
        "tls-chain-too-large",
        "More certificates than anybody reads: the reader stops.",
        Certificate.OVERLONG,
    ),
)
