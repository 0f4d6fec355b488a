"""Scenarios: the usual ways to be right, and the usual ways not to take part at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from crawler.lab.fragments import (
    ENFORCE,
    GOOD,
    MANAGED,
    MX1,
    OPERATOR_ENFORCE,
    OPERATOR_MX,
    OPERATOR_TESTING,
    TESTING,
    TWO,
    ids,
    no_record,
    policy_text,
    scenario,
)
from crawler.lab.scenario import (
    Certificate,
    Delivery,
    Fault,
    MailHost,
    Manner,
    PolicyHost,
    Scenario,
    Truth,
)
from crawler.vocabulary import DaneOutcome, Mode, SenderOutcome, TlsRptOutcome

_TESTING = Truth(mode=Mode.TESTING, sender_outcome=SenderOutcome.TESTING)
_TWO_MX = Truth(mx_total=2, mx_covered=2, mx_passing=2)

RIGHT: Final[tuple[Scenario, ...]] = (
    scenario(
        "own-enforce",
        "Everything right, on hosts of its own: any finding here is a false one.",
        truth=Truth(),
    ),
    scenario(
        "own-testing",
        "The same in mode testing, where about half of the adopters stay.",
        policy=TESTING,
        truth=_TESTING,
    ),
    scenario(
        "operator-enforce",
        "Mail at a large operator: many domains, one conversation per MX host.",
        mx=OPERATOR_MX,
        mail={},
        policy=OPERATOR_ENFORCE,
        truth=_TWO_MX,
    ),
    scenario(
        "operator-testing",
        "Mail at a large operator, policy in mode testing.",
        mx=OPERATOR_MX,
        mail={},
        policy=OPERATOR_TESTING,
        truth=replace(_TESTING, mx_total=2, mx_covered=2, mx_passing=2),
    ),
    scenario(
        "managed-enforce",
        "Both names are CNAMEs to a managed policy host: they must be followed and recorded.",
        record=MANAGED,
        host="",
        mx=OPERATOR_MX,
        mail={},
        policy=OPERATOR_ENFORCE,
        truth=_TWO_MX,
    ),
    scenario(
        "managed-testing",
        "A managed policy in mode testing.",
        record=MANAGED,
        host="",
        mx=OPERATOR_MX,
        mail={},
        policy=OPERATOR_TESTING,
        truth=replace(_TESTING, mx_total=2, mx_covered=2, mx_passing=2),
    ),
    scenario(
        "managed-own-mx",
        "A managed policy for MX hosts of the domain's own.",
        record=MANAGED,
        host="",
        truth=Truth(),
    ),
    scenario(
        "mode-none",
        "Opting out as RFC 8461 section 8.3 asks: valid, off, and no mx line needed.",
        policy=PolicyHost(body=policy_text(Mode.NONE, max_age=86400)),
        truth=Truth(
            mode=Mode.NONE,
            max_age=86400,
            mx_covered=None,
            mx_passing=None,
            mx_failing=None,
            mx_unmeasured=None,
            sender_outcome=SenderOutcome.OFF,
            findings=ids("pol-none"),
        ),
    ),
    scenario(
        "mode-none-with-mx",
        "Mode none may keep its mx lines; a host outside them counts against nobody.",
        policy=PolicyHost(body=policy_text(Mode.NONE, "mx9.{domain}")),
        truth=Truth(
            mode=Mode.NONE,
            mx_covered=0,
            mx_passing=0,
            mx_failing=1,
            sender_outcome=SenderOutcome.OFF,
            findings=ids("pol-none"),
        ),
    ),
    scenario(
        "two-mx-wildcard",
        "A wildcard stands for exactly one whole label (RFC 8461 section 4.1).",
        mx="@ MX 10 mx1\n@ MX 20 mx2\nmx1 A {mx1}\nmx2 A {mx2}\n",
        mail=TWO,
        policy=PolicyHost(body=policy_text(Mode.ENFORCE, "*.{domain}")),
        truth=_TWO_MX,
    ),
    scenario(
        "implicit-mx",
        "No MX, but an address: the domain itself is the candidate host (RFC 5321 section 5.1).",
        mx="@ A {apex}\n",
        mail={"apex": GOOD},
        policy=PolicyHost(body=policy_text(Mode.ENFORCE, "{domain}")),
        truth=Truth(),
    ),
    scenario(
        "line-feeds-only",
        "The ABNF takes LF as well as CRLF; most policies in the wild have LF.",
        policy=PolicyHost(
            body="version: STSv1\nmode: enforce\nmx: mx1.{domain}\nmax_age: 2592000\n"
        ),
        truth=Truth(),
    ),
    scenario(
        "no-final-line-end",
        "The last line may end with the file (the ABNF makes its line end optional).",
        policy=PolicyHost(body="version:STSv1\nmode:enforce\nmx:mx1.{domain}\nmax_age:2592000"),
        truth=Truth(),
    ),
    scenario(
        "shouting-names",
        "DNS names have no case: neither the MX target nor the mx pattern.",
        mx="@ MX 10 MX1.{domain}.\nmx1 A {mx1}\n",
        policy=PolicyHost(body=policy_text(Mode.ENFORCE, "Mx1.{domain}")),
        truth=Truth(),
    ),
    scenario(
        "charset-parameter",
        "RFC 8461 section 3.2 registers charset for text/plain policies; it is no finding.",
        policy=replace(ENFORCE, content_type="text/plain; charset=utf-8"),
        truth=Truth(),
    ),
    scenario(
        "chunked-policy",
        "A policy without Content-Length, in chunks.",
        policy=replace(ENFORCE, delivery=Delivery.CHUNKED),
        truth=Truth(),
    ),
    scenario(
        "wildcard-certificates",
        "A certificate for the whole left-most label is good for both hosts.",
        policy=replace(ENFORCE, certificate=Certificate.WILDCARD),
        mail={"mx1": MailHost(certificate=Certificate.WILDCARD)},
        truth=Truth(),
    ),
    scenario(
        "long-cname-chain",
        "Eleven aliases are still followed.",
        record="".join(f"c{n} CNAME c{n + 1}\n" for n in range(1, 11))
        + '_mta-sts CNAME c1\nc11 TXT "v=STSv1; id={id};"\n',
        truth=Truth(),
    ),
    scenario(
        "greylisting",
        "451 to the first connection: a later round finds the host in order.",
        mail={"mx1": MailHost(manner=Manner.GREYLIST)},
        truth=Truth(),
    ),
    scenario(
        "flaky-resolver",
        "SERVFAIL once, then an answer: asking again must find it.",
        faults={"_mta-sts": Fault.FLAKY, "@ MX": Fault.FLAKY, "mta-sts A": Fault.FLAKY},
        truth=Truth(),
    ),
    scenario(
        "truncated-answers",
        "TC over UDP, the whole answer over TCP: half an answer is never used.",
        faults={"_mta-sts": Fault.TRUNCATED, "@ MX": Fault.TRUNCATED},
        truth=Truth(),
    ),
    scenario(
        "long-ehlo-reply",
        "Forty extensions, STARTTLS the last: replies are read to their end.",
        mail={"mx1": MailHost(ehlo=(*(f"XLAB{n:02}" for n in range(40)), "STARTTLS"))},
        truth=Truth(),
    ),
    scenario(
        "long-greeting",
        "A greeting of many lines: nothing may be said before its last one.",
        mail={
            "mx1": MailHost(
                greeting="220-this host of the lab\r\n220-takes its time\r\n220 to greet ESMTP"
            )
        },
        truth=Truth(),
    ),
)

_HOSTS_LEFT_ALONE = no_record(tlsrpt_outcome=TlsRptOutcome.ABSENT, dane_outcome=None)
"""A domain without any sign of MTA-STS under --scope adopters: one MX host, not contacted."""

OUTSIDE: Final[tuple[Scenario, ...]] = (
    scenario(
        "outside-operator",
        "Most domains of the world: mail at an operator, and no sign of MTA-STS.",
        record="",
        reports="",
        host="",
        policy=None,
        mx=OPERATOR_MX,
        mail={},
        truth=no_record(mx_total=2, tlsrpt_outcome=TlsRptOutcome.ABSENT),
        unprobed=replace(_HOSTS_LEFT_ALONE, mx_total=2),
    ),
    scenario(
        "outside-own",
        "No sign of MTA-STS, mail on its own host.",
        record="",
        reports="",
        host="",
        policy=None,
        truth=no_record(tlsrpt_outcome=TlsRptOutcome.ABSENT),
        unprobed=_HOSTS_LEFT_ALONE,
    ),
    scenario(
        "outside-no-starttls",
        "No sign of MTA-STS, and a mail host without STARTTLS: seen under --scope all only.",
        record="",
        reports="",
        host="",
        policy=None,
        mail={"mx1": MailHost(ehlo=("PIPELINING", "SIZE 52428800"))},
        truth=no_record("mx-no-starttls", tlsrpt_outcome=TlsRptOutcome.ABSENT),
        unprobed=_HOSTS_LEFT_ALONE,
    ),
    scenario(
        "outside-self-signed",
        "No sign of MTA-STS, and a certificate that was never meant to be checked.",
        record="",
        reports="",
        host="",
        policy=None,
        mail={"mx1": MailHost(certificate=Certificate.SELF_SIGNED)},
        truth=no_record(
            "mx-cert-any", "mx-cert-self", "mx-all-bad", tlsrpt_outcome=TlsRptOutcome.ABSENT
        ),
        unprobed=_HOSTS_LEFT_ALONE,
    ),
    scenario(
        "outside-dane",
        "DANE without MTA-STS: counted under --scope all, null under --scope adopters.",
        record="",
        reports="",
        host="",
        policy=None,
        signed=True,
        mx=MX1 + "_25._tcp.mx1 TLSA 3 1 1 {mx1_spki}\n",
        truth=no_record(
            tlsrpt_outcome=TlsRptOutcome.ABSENT,
            dane_outcome=DaneOutcome.MATCH,
        ),
        unprobed=_HOSTS_LEFT_ALONE,
    ),
    scenario(
        "outside-null-mx",
        "A domain that takes no mail (RFC 7505).",
        record="",
        reports="",
        host="",
        policy=None,
        mx="@ MX 0 .\n",
        mail={},
        truth=no_record(mx_total=0, tlsrpt_outcome=TlsRptOutcome.ABSENT),
        unprobed=replace(_HOSTS_LEFT_ALONE, mx_total=0),
    ),
    scenario(
        "outside-implicit-mx",
        "No MX record: whether the address is asked for depends on the scope.",
        record="",
        reports="",
        host="",
        policy=None,
        mx="@ A {apex}\n",
        mail={"apex": GOOD},
        truth=no_record(tlsrpt_outcome=TlsRptOutcome.ABSENT),
        unprobed=replace(_HOSTS_LEFT_ALONE, mx_total=None),
    ),
    scenario(
        "outside-nxdomain",
        "A name of the list that no longer exists.",
        record="",
        reports="",
        host="",
        policy=None,
        mx="",
        mail={},
        nxdomain=True,
        truth=no_record(mx_total=0, tlsrpt_outcome=TlsRptOutcome.ABSENT),
        unprobed=replace(_HOSTS_LEFT_ALONE, mx_total=0),
    ),
    scenario(
        "reports-only",
        "TLS reports without MTA-STS: a sign, so the hosts are looked at.",
        record="",
        host="",
        policy=None,
        truth=no_record(),
    ),
)
