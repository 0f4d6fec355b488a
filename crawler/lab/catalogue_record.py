"""Scenarios: the ``_mta-sts`` record (RFC 8461 section 3.1) and whether the domain takes mail at all."""

from __future__ import annotations

from typing import Final

from crawler.lab.fragments import (
    RECORD,
    REPORTS,
    bad_record,
    ids,
    no_record,
    scenario,
    unmeasured_record,
)
from crawler.lab.scenario import Fault, Scenario, Truth
from crawler.vocabulary import DaneOutcome, RecordOutcome, SenderOutcome, TlsRptOutcome

_SYNTAX = RecordOutcome.SYNTAX
_NO_MAIL = Truth(
    mx_total=0,
    mx_covered=0,
    mx_passing=0,
    sender_outcome=SenderOutcome.NO_MAIL,
    findings=ids("no-mail"),
)

RECORDS: Final[tuple[Scenario, ...]] = (
    scenario(
        "txt-multi",
        "Two records, as after a move that left the old one: a sender must assume none.",
        record=RECORD + '_mta-sts TXT "v=STSv1; id=20230101000000;"\n',
        truth=bad_record(RecordOutcome.MULTIPLE, "txt-multi"),
    ),
    scenario(
        "txt-version-case",
        "The version is case-sensitive: no record survives, and one resembles it.",
        record='_mta-sts TXT "v=stsv1; id={id};"\n',
        truth=bad_record(_SYNTAX, "txt-version"),
    ),
    scenario(
        "txt-version-quotes",
        "Quotes typed into a form that adds its own.",
        record='_mta-sts TXT "\\"v=STSv1; id={id};\\""\n',
        truth=bad_record(_SYNTAX, "txt-version"),
    ),
    scenario(
        "txt-leading-space",
        "A space in front, as pasted.",
        record='_mta-sts TXT " v=STSv1; id={id};"\n',
        truth=bad_record(_SYNTAX, "txt-version"),
    ),
    scenario(
        "txt-no-delim",
        "The ABNF takes a space before the semicolon, the discard rule of section 3.1 does not.",
        record='_mta-sts TXT "v=STSv1 ; id={id};"\n',
        truth=bad_record(_SYNTAX, "txt-no-delim"),
    ),
    scenario(
        "txt-version-only",
        "Nothing after the version, not even its semicolon.",
        record='_mta-sts TXT "v=STSv1"\n',
        truth=bad_record(_SYNTAX, "txt-no-delim"),
    ),
    scenario(
        "txt-no-id",
        "The field that tells senders when to fetch anew is not there.",
        record='_mta-sts TXT "v=STSv1;"\n',
        truth=bad_record(_SYNTAX, "txt-no-id"),
    ),
    scenario(
        "txt-id-hyphen",
        "Most bad records: an id with a hyphen in it.",
        record='_mta-sts TXT "v=STSv1; id=2024-01-01;"\n',
        truth=bad_record(_SYNTAX, "txt-bad-id"),
    ),
    scenario(
        "txt-id-long",
        "An id of 33 characters; 32 are allowed.",
        record='_mta-sts TXT "v=STSv1; id=123456789012345678901234567890123;"\n',
        truth=bad_record(_SYNTAX, "txt-bad-id"),
    ),
    scenario(
        "txt-bad-ext",
        "The policy pasted into the record.",
        record='_mta-sts TXT "v=STSv1; id={id}; mx: mx1.{domain}; mode: testing;"\n',
        truth=bad_record(_SYNTAX, "txt-bad-ext"),
    ),
    scenario(
        "txt-non-ascii",
        "Octets above 127: the record must be US-ASCII.",
        record='_mta-sts TXT "v=STSv1; id={id}; note=caf\\195\\169;"\n',
        # sts-ext-value ends at %x7E, so the field breaks the grammar as well.
        truth=bad_record(_SYNTAX, "txt-non-ascii", "txt-bad-ext"),
    ),
    scenario(
        "txt-dup-field",
        "A field twice: the first one wins.",
        record='_mta-sts TXT "v=STSv1; id={id}; id=20230101000000;"\n',
        truth=Truth(findings=ids("txt-dup-field")),
    ),
    scenario(
        "txt-extension",
        "An extension field that nobody knows is no error.",
        record='_mta-sts TXT "v=STSv1; id={id}; x-note=hello-world;"\n',
        truth=Truth(),
    ),
    scenario(
        "txt-unrelated",
        "SPF beside the record: discarded, the record stands.",
        record=RECORD + '_mta-sts TXT "v=spf1 -all"\n',
        truth=Truth(findings=ids("txt-unrelated")),
    ),
    scenario(
        "txt-large-answer",
        "An answer over the UDP limit: only TCP brings it, the record among the rest.",
        record=RECORD
        + "".join(f'_mta-sts TXT "verification-{n}={"x" * 120}" "{"y" * 200}"\n' for n in range(6)),
        truth=Truth(findings=ids("txt-unrelated")),
    ),
    scenario(
        "txt-multistring",
        "Character-strings are joined without spaces (RFC 7208 section 3.3 has the same rule).",
        record='_mta-sts TXT "v=STS" "v1; id=" "{id};"\n',
        truth=Truth(findings=ids("txt-multistring")),
    ),
    scenario(
        "txt-wildcard",
        "A zone wildcard answers every TXT question with SPF: no record, and no error.",
        record='* TXT "v=spf1 -all"\n',
        reports="",
        host="",
        policy=None,
        truth=no_record("txt-wildcard", tlsrpt_outcome=TlsRptOutcome.ABSENT),
        unprobed=no_record("txt-wildcard", tlsrpt_outcome=TlsRptOutcome.ABSENT, dane_outcome=None),
    ),
    scenario(
        "txt-nodata",
        "The name exists, without any TXT record: absent, like NXDOMAIN.",
        record="_mta-sts A {mx1}\n",
        host="",
        policy=None,
        truth=no_record(),
    ),
    scenario(
        "txt-cname-dangling",
        "A customer who left: both aliases end in NXDOMAIN at the provider.",
        record="_mta-sts CNAME {txt_alias}.\nmta-sts CNAME {host_alias}.\n",
        host="",
        policy=None,
        truth=no_record("txt-cname-dangling"),
    ),
    scenario(
        "txt-cname-nodata",
        "The alias ends at a name that exists, and has no TXT record.",
        record="_mta-sts CNAME {txt_alias}.\n{txt_alias}. A {mx1}\n",
        host="",
        policy=None,
        truth=no_record("txt-cname-dangling"),
    ),
    scenario(
        "txt-servfail",
        "SERVFAIL is not absence: nothing is known about the record.",
        faults={"_mta-sts": Fault.SERVFAIL},
        truth=unmeasured_record("txt-dns-error"),
    ),
    scenario(
        "txt-bogus",
        "DNSSEC validation fails: an attacker looks like this, so it is never absence.",
        faults={"_mta-sts": Fault.BOGUS},
        truth=unmeasured_record("txt-dns-error"),
    ),
    scenario(
        "txt-timeout",
        "No answer at all.",
        faults={"_mta-sts": Fault.DROP},
        truth=unmeasured_record("txt-dns-error"),
    ),
    scenario(
        "txt-refused",
        "The resolver refuses this one question.",
        faults={"_mta-sts": Fault.REFUSED},
        truth=unmeasured_record("txt-dns-error"),
    ),
    scenario(
        "txt-truncated-only",
        "TC over UDP and nothing over TCP: half an answer is none.",
        faults={"_mta-sts": Fault.TRUNCATED_ONLY},
        truth=unmeasured_record("txt-dns-error"),
    ),
    scenario(
        "txt-cname-loop",
        "Two aliases that point at each other.",
        record="_mta-sts CNAME a\na CNAME b\nb CNAME a\n",
        truth=unmeasured_record("txt-dns-error"),
    ),
    scenario(
        "txt-cname-too-long",
        "Twelve aliases: one more than resolvers follow.",
        record="".join(f"c{n} CNAME c{n + 1}\n" for n in range(1, 12))
        + '_mta-sts CNAME c1\nc12 TXT "v=STSv1; id={id};"\n',
        truth=unmeasured_record("txt-dns-error"),
    ),
    scenario(
        "no-mail-null-mx",
        "A policy for a domain that takes no mail (RFC 7505).",
        mx="@ MX 0 .\n",
        mail={},
        truth=_NO_MAIL,
    ),
    scenario(
        "no-mail-no-address",
        "Neither MX nor address.",
        mx='@ TXT "v=spf1 -all"\n',
        mail={},
        truth=_NO_MAIL,
    ),
    scenario(
        "mx-servfail",
        "The MX hosts are not known: nothing may be said about them.",
        faults={"@ MX": Fault.SERVFAIL},
        truth=Truth(
            mx_total=None,
            mx_covered=None,
            mx_passing=None,
            mx_failing=None,
            mx_unmeasured=None,
            sender_outcome=SenderOutcome.UNMEASURED,
            dane_outcome=DaneOutcome.UNMEASURED,
        ),
    ),
)

REPORTING: Final[tuple[Scenario, ...]] = (
    scenario(
        "rpt-missing",
        "MTA-STS without reports: its owner will not learn of failures.",
        reports="",
        truth=Truth(tlsrpt_outcome=TlsRptOutcome.ABSENT, findings=ids("rpt-missing")),
    ),
    scenario(
        "rpt-multiple",
        "Two TLSRPT records: a reporter must assume none (RFC 8460 section 3).",
        reports=REPORTS + '_smtp._tls TXT "v=TLSRPTv1; rua=https://reports.lab/v1"\n',
        truth=Truth(tlsrpt_outcome=TlsRptOutcome.MULTIPLE, findings=ids("rpt-invalid")),
    ),
    scenario(
        "rpt-no-rua",
        "A TLSRPT record without an address to report to.",
        reports='_smtp._tls TXT "v=TLSRPTv1;"\n',
        truth=Truth(tlsrpt_outcome=TlsRptOutcome.SYNTAX, findings=ids("rpt-invalid")),
    ),
    scenario(
        "rpt-schemeless",
        "The usual slip: a mail address without mailto.",
        reports='_smtp._tls TXT "v=TLSRPTv1; rua=tls-reports@{domain}"\n',
        truth=Truth(tlsrpt_outcome=TlsRptOutcome.SYNTAX, findings=ids("rpt-invalid")),
    ),
    scenario(
        "rpt-scheme",
        "A URI of a scheme that no reporter speaks: within the grammar, and of no use.",
        reports='_smtp._tls TXT "v=TLSRPTv1; rua=ftp://reports.lab/incoming"\n',
        truth=Truth(findings=ids("rpt-scheme")),
    ),
    scenario(
        "rpt-two-addresses",
        "Several addresses, mailto and https.",
        reports='_smtp._tls TXT "v=TLSRPTv1;rua=mailto:a@{domain},https://reports.lab/v1"\n',
        truth=Truth(),
    ),
    scenario(
        "rpt-servfail",
        "SERVFAIL for TLSRPT alone: neither missing nor invalid.",
        faults={"_smtp._tls": Fault.SERVFAIL},
        truth=Truth(tlsrpt_outcome=TlsRptOutcome.UNMEASURED),
    ),
)
