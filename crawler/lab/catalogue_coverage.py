"""Scenarios: the policy's mx patterns against the MX hosts (RFC 8461 section 4.1), and odd MX records."""

from __future__ import annotations

from typing import Any, Final

from crawler.lab.fragments import (
    GOOD,
    ONE,
    OPERATOR_MX,
    TWO,
    failing,
    ids,
    policy_text,
    scenario,
)
from crawler.lab.scenario import MailHost, PolicyHost, Scenario, Truth
from crawler.vocabulary import Mode, SenderOutcome

_TWO_MX = "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A {mx1}\nmx2 A {mx2}\n"


def _enforce(*mx: str) -> PolicyHost:
    return PolicyHost(body=policy_text(Mode.ENFORCE, *mx))


def _uncovered(*findings: str, **departures: Any) -> Truth:
    """The truth where the one MX host, in order otherwise, is matched by no pattern."""
    columns: dict[str, Any] = {"mx_covered": 0, "misconfigured": True}
    return failing("mxm-all", "mxm-extra", *findings, **(columns | departures))


COVERAGE: Final[tuple[Scenario, ...]] = (
    scenario(
        "mxm-3ld",
        "The right domain, another host of it.",
        policy=_enforce("mail.{domain}"),
        truth=_uncovered("mxm-3ld"),
    ),
    scenario(
        "mxm-3ld-testing",
        "The same in mode testing: reported, not refused; misconfigured all the same.",
        policy=PolicyHost(body=policy_text(Mode.TESTING, "mail.{domain}")),
        truth=_uncovered("mxm-3ld", mode=Mode.TESTING, sender_outcome=SenderOutcome.TESTING),
    ),
    scenario(
        "mxm-policyhost",
        "The Policy Host listed as MX: four fifths of the mismatches below the same domain.",
        policy=_enforce("mta-sts.{domain}"),
        truth=_uncovered("mxm-3ld", "mxm-policyhost"),
    ),
    scenario(
        "mxm-typo",
        "One letter too many.",
        policy=_enforce("mx1.{label}x.{tld}"),
        truth=_uncovered("mxm-typo"),
    ),
    scenario(
        "mxm-tld",
        "The same name under another TLD.",
        policy=_enforce("mx1.{label}.{other_tld}"),
        truth=_uncovered("mxm-tld"),
    ),
    scenario(
        "mxm-stale",
        "Mail has moved to an operator, the policy still names the last one.",
        mx=OPERATOR_MX,
        mail={},
        policy=_enforce("*.previous-mail-provider.lab"),
        truth=_uncovered("mxm-domain", mx_total=2, mx_failing=2),
    ),
    scenario(
        "mxm-stale-own",
        "Mail has moved to an operator, the policy still names the domain's own host.",
        mx=OPERATOR_MX,
        mail={},
        policy=_enforce("mx1.{domain}"),
        truth=_uncovered("mxm-domain", mx_total=2, mx_failing=2),
    ),
    scenario(
        "mxm-wild-apex",
        "A wildcard does not cover the name that it stands under.",
        mx="@ MX 10 @\n@ A {apex}\n",
        mail={"apex": GOOD},
        policy=_enforce("*.{domain}"),
        truth=_uncovered("mxm-3ld", "mxm-wild-depth"),
    ),
    scenario(
        "mxm-wild-deep",
        "A wildcard covers one label, not two.",
        mx="@ MX 10 mx1.eu\nmx1.eu A {mx1}\n",
        policy=_enforce("*.{domain}"),
        truth=_uncovered("mxm-3ld", "mxm-wild-depth"),
    ),
    scenario(
        "mxm-some",
        "The backup MX was forgotten: mail goes through as long as the first host stands.",
        mx=_TWO_MX,
        mail=TWO,
        policy=_enforce("mx1.{domain}"),
        truth=Truth(
            mx_total=2,
            mx_covered=1,
            mx_passing=1,
            mx_failing=1,
            misconfigured=True,
            sender_outcome=SenderOutcome.DEGRADED,
            findings=ids("mxm-some", "mxm-3ld"),
        ),
    ),
    scenario(
        "mxm-backup-elsewhere",
        "The backup MX stands at an operator that the policy does not name.",
        mx="@ MX 10 mx1\n@ MX 20 mx2.{operator}.\nmx1 A {mx1}\n",
        truth=Truth(
            mx_total=2,
            mx_covered=1,
            mx_passing=1,
            mx_failing=1,
            misconfigured=True,
            sender_outcome=SenderOutcome.DEGRADED,
            findings=ids("mxm-some", "mxm-domain"),
        ),
    ),
    scenario(
        "mxm-family-google",
        "The operator's second family of MX hosts is missing from the policy.",
        mx="@ MX 1 mx1.aspmx.l.google.com.\n@ MX 10 mx1.aspmx.googlemail.com.\n",
        mail={},
        policy=_enforce("*.aspmx.l.google.com"),
        truth=Truth(
            mx_total=2,
            mx_covered=1,
            mx_passing=1,
            mx_failing=1,
            misconfigured=True,
            sender_outcome=SenderOutcome.DEGRADED,
            findings=ids("mxm-some", "mxm-domain", "mxm-family"),
        ),
    ),
    scenario(
        "mxm-family-microsoft",
        "The operator has moved its customers to a new family of names.",
        mx="@ MX 0 {dash}.p-v1.mx.microsoft.\n{dash}.p-v1.mx.microsoft. A {mx1}\n",
        policy=_enforce("*.mail.protection.outlook.com"),
        truth=_uncovered("mxm-domain", "mxm-family"),
    ),
    scenario(
        "mxm-extra",
        "A pattern that matches nothing any more: harmless, and worth cleaning.",
        policy=_enforce("mx1.{domain}", "mx2.{domain}"),
        truth=Truth(findings=ids("mxm-extra")),
    ),
)

MX_RECORDS: Final[tuple[Scenario, ...]] = (
    scenario(
        "mx-beyond-cap",
        "Seven MX hosts: a sender tries the first five, and so does the scan.",
        mx="".join(f"@ MX {n}0 mx{n}\nmx{n} A {{mx{n}}}\n" for n in range(1, 8)),
        mail={f"mx{n}": GOOD for n in range(1, 8)},
        policy=_enforce("*.{domain}"),
        truth=Truth(
            mx_total=7,
            mx_covered=7,
            mx_passing=5,
            mx_unmeasured=2,
            findings=ids("mx-unknown"),
        ),
    ),
    scenario(
        "mx-cname",
        "An MX target that is an alias, against RFC 5321 section 5.1; senders follow it.",
        mx="@ MX 10 mx1\nmx1 CNAME host1\nhost1 A {mx1}\n",
        truth=Truth(findings=ids("mx-cname")),
    ),
    scenario(
        "mx-null-preference",
        "A null MX with a preference that is not 0 (RFC 7505 section 3): no mail all the same.",
        mx="@ MX 10 .\n",
        mail={},
        truth=Truth(
            mx_total=0,
            mx_covered=0,
            mx_passing=0,
            sender_outcome=SenderOutcome.NO_MAIL,
            findings=ids("mx-malformed", "no-mail"),
        ),
    ),
    scenario(
        "mx-malformed-target",
        "A second MX target with an underscore is no host name (RFC 1123), and has no address.",
        mx="@ MX 10 mx1\n@ MX 20 mail_2\nmx1 A {mx1}\n",
        mail=ONE,
        policy=_enforce("*.{domain}"),
        truth=Truth(
            mx_total=2,
            mx_covered=2,
            mx_passing=1,
            mx_unmeasured=1,
            findings=ids("mx-malformed", "mx-unknown"),
        ),
    ),
    scenario(
        "mx-equal-preference",
        "Two hosts of one preference: either may be tried first.",
        mx="@ MX 10 mx1\n@ MX 10 mx2\nmx1 A {mx1}\nmx2 A {mx2}\n",
        mail={"mx1": GOOD, "mx2": MailHost()},
        policy=_enforce("mx1.{domain}", "mx2.{domain}"),
        truth=Truth(mx_total=2, mx_covered=2, mx_passing=2),
    ),
)
