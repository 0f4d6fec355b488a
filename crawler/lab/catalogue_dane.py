"""Scenarios: DANE for SMTP beside MTA-STS (RFC 7672, and RFC 8461 section 2 on the two together)."""

from __future__ import annotations

from typing import Final

from crawler.lab.fragments import MX1, TWO, failing, ids, policy_text, scenario
from crawler.lab.scenario import Certificate, Fault, MailHost, PolicyHost, Scenario, Truth
from crawler.vocabulary import DaneOutcome, Mode

_NOBODYS: Final = "00112233445566778899aabbccddeeff" * 2
"""A digest that no certificate of the lab has."""


def _tlsa(rdata: str) -> str:
    return MX1 + f"_25._tcp.mx1 TLSA {rdata}\n"


DANE: Final[tuple[Scenario, ...]] = (
    scenario(
        "dane-match",
        "A signed zone whose TLSA record pins the host's key.",
        signed=True,
        mx=_tlsa("3 1 1 {mx1_spki}"),
        truth=Truth(dane_outcome=DaneOutcome.MATCH),
    ),
    scenario(
        "dane-rollover",
        "Two TLSA records during a change of keys: one match is enough (RFC 7671 section 8.1).",
        signed=True,
        mx=_tlsa("3 1 1 {mx1_spki}") + f"_25._tcp.mx1 TLSA 3 1 1 {_NOBODYS}\n",
        truth=Truth(dane_outcome=DaneOutcome.MATCH),
    ),
    scenario(
        "dane-trust-anchor",
        "Usage 2 pins the intermediate; then the host's name counts.",
        signed=True,
        mx=_tlsa("2 1 1 {intermediate_spki}"),
        truth=Truth(dane_outcome=DaneOutcome.MATCH),
    ),
    scenario(
        "dane-partial",
        "One of two MX hosts has TLSA: an attacker chooses the other.",
        signed=True,
        mx="@ MX 10 mx1\n@ MX 20 mx2\nmx1 A {mx1}\nmx2 A {mx2}\n"
        "_25._tcp.mx1 TLSA 3 1 1 {mx1_spki}\n",
        mail=TWO,
        policy=PolicyHost(body=policy_text(Mode.ENFORCE, "*.{domain}")),
        truth=Truth(mx_total=2, mx_covered=2, mx_passing=2, dane_outcome=DaneOutcome.PARTIAL),
    ),
    scenario(
        "dane-conflict",
        "The key was changed and the TLSA record was not: MTA-STS passes, DANE refuses.",
        signed=True,
        mx=_tlsa(f"3 1 1 {_NOBODYS}"),
        truth=Truth(
            dane_outcome=DaneOutcome.MISMATCH, findings=ids("dane-conflict", "dane-mismatch")
        ),
    ),
    scenario(
        "dane-no-starttls",
        "A usable TLSA record promises TLS; the host does not offer it.",
        signed=True,
        mx=_tlsa("3 1 1 {mx1_spki}"),
        mail={"mx1": MailHost(ehlo=("PIPELINING", "SIZE 52428800"))},
        truth=failing("dane-mismatch", "mx-no-starttls", dane_outcome=DaneOutcome.MISMATCH),
    ),
    scenario(
        "dane-trust-anchor-name",
        "Usage 2 matches a chain whose leaf names somebody else: no match.",
        signed=True,
        mx=_tlsa("2 1 1 {intermediate_spki}"),
        mail={"mx1": MailHost(certificate=Certificate.WRONG_NAME)},
        truth=failing(
            "dane-mismatch",
            "mx-cert-any",
            "mx-cert-name",
            "mx-all-bad",
            misconfigured=True,
            dane_outcome=DaneOutcome.MISMATCH,
        ),
    ),
    scenario(
        "dane-expired",
        "Usage 3 ignores expiry (RFC 7671 section 5.1); MTA-STS does not.",
        signed=True,
        mx=_tlsa("3 1 1 {mx1_spki}"),
        mail={"mx1": MailHost(certificate=Certificate.EXPIRED)},
        truth=failing(
            "mx-cert-any",
            "mx-cert-expired",
            "mx-all-bad",
            misconfigured=True,
            dane_outcome=DaneOutcome.MATCH,
        ),
    ),
    scenario(
        "dane-self-signed",
        "A self-signed certificate, pinned: right for DANE, refused by MTA-STS.",
        signed=True,
        mx=_tlsa("3 1 1 {mx1_spki}"),
        mail={"mx1": MailHost(certificate=Certificate.SELF_SIGNED)},
        truth=failing(
            "mx-cert-any",
            "mx-cert-self",
            "mx-all-bad",
            misconfigured=True,
            dane_outcome=DaneOutcome.MATCH,
        ),
    ),
    scenario(
        "dane-insecure",
        "TLSA in an unsigned zone: anybody can write it, so it counts for nothing.",
        signed=False,
        mx=_tlsa("3 1 1 {mx1_spki}"),
        truth=Truth(dane_outcome=DaneOutcome.INSECURE, findings=ids("dane-insecure")),
    ),
    scenario(
        "dane-unusable",
        "Usage 1 is not for SMTP (RFC 7672 section 3.1.3).",
        signed=True,
        mx=_tlsa("1 1 1 {mx1_spki}"),
        truth=Truth(dane_outcome=DaneOutcome.UNUSABLE, findings=ids("dane-unusable")),
    ),
    scenario(
        "dane-bogus",
        "The TLSA answer does not validate: mail must wait, and nothing is known.",
        signed=True,
        faults={"_25._tcp.mx1": Fault.BOGUS},
        truth=Truth(dane_outcome=DaneOutcome.UNMEASURED, findings=ids("dane-bogus")),
    ),
)
