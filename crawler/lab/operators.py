"""The companies of the lab: who receives mail for many, and who hosts policies for many.

A few large operators serve most domains of the real world, so they do here: MX operators with a
Pareto-like share, and managed policy hosts whose customers point CNAMEs at them.  The alias
patterns are those of the 2025 study's managed policy hosts, under the lab's own TLD.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crawler.lab.scenario import Certificate, MailHost

LAB_TLD: Final = "lab"
"""A TLD that does not exist: a name below it belongs to the machinery of the lab."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One MX operator: every customer names the same two hosts, ``mx1`` and ``mx2`` below ``domain``."""

    domain: str
    persona: MailHost = MailHost()
    weight: float = 0.0
    """Share of the customers that choose freely; 0: only scenarios that name it."""


GOOD_OPERATORS: Final = tuple(
    Operator(domain=f"{name}.{LAB_TLD}", weight=1 / rank**1.1)
    for rank, name in enumerate(
        (
            "grandmail",
            "officepost",
            "cloudinbox",
            "registrarmail",
            "hostingmail",
            "swiftmx",
            "nordpost",
            "secretmail",
            "campusmail",
            "filterwall",
            "smallbizmail",
            "eastmail",
        ),
        start=1,
    )
)
"""Operators that do everything right, largest first."""

OTHER_OPERATORS: Final = (
    # A25: 122 of the third-party hosts that fail belong to one operator whose names do not match.
    Operator(domain="routedmail.lab", persona=MailHost(certificate=Certificate.WRONG_NAME)),
    Operator(domain="plainmail.lab", persona=MailHost(ehlo=("PIPELINING", "SIZE 52428800"))),
    # The two MX families of the operators that ``mxm-family`` is about, under their real names:
    # the names never leave the lab's resolver.
    Operator(domain="aspmx.l.google.com"),
    Operator(domain="aspmx.googlemail.com"),
)
OPERATORS: Final = (*GOOD_OPERATORS, *OTHER_OPERATORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProvider:
    """One managed policy host; its aliases are what customers' CNAMEs point at.

    In the aliases ``{domain}`` is the customer, ``{dash}`` and ``{underscore}`` the customer with
    its dots replaced.  Aliases without any of them are shared by all customers.
    """

    domain: str
    txt_alias: str
    """Target of ``_mta-sts.<customer>``."""
    host_alias: str
    """Target of ``mta-sts.<customer>``."""
    weight: float
    """Published number of customers, from the 2025 study."""


PROVIDERS: Final = (
    PolicyProvider(
        domain="tutamail.lab",
        txt_alias="_mta-sts.tutamail.lab",
        host_alias="mta-sts.tutamail.lab",
        weight=7614,
    ),
    PolicyProvider(
        domain="reportinput.lab",
        txt_alias="{dash}._mta-sts.reportinput.lab",
        host_alias="{dash}.mta-sts.reportinput.lab",
        weight=7293,
    ),
    PolicyProvider(
        domain="powerpolicy.lab",
        txt_alias="{dash}._mta.powerpolicy.lab",
        host_alias="{dash}.mta.powerpolicy.lab",
        weight=3753,
    ),
    PolicyProvider(
        domain="easypolicy.lab",
        txt_alias="{underscore}__mta_sts.easypolicy.lab",
        host_alias="{underscore}_mta_sts.easypolicy.lab",
        weight=2222,
    ),
    PolicyProvider(
        domain="mailhardening.lab",
        txt_alias="{domain}._mta-sts.mailhardening.lab",
        host_alias="{domain}.mta-sts.mailhardening.lab",
        weight=1558,
    ),
    PolicyProvider(
        domain="uriwatch.lab",
        txt_alias="{dash}._mta-sts.uriwatch.lab",
        host_alias="{dash}.mta-sts.uriwatch.lab",
        weight=1100,
    ),
    PolicyProvider(
        domain="sendpolicy.lab",
        txt_alias="{domain}._mta-sts.sendpolicy.lab",
        host_alias="{domain}.mta-sts.sendpolicy.lab",
        weight=805,
    ),
    PolicyProvider(
        domain="smartpolicy.lab",
        txt_alias="_mta-sts.{domain}._mta-sts.smartpolicy.lab",
        host_alias="mta-sts.{domain}._mta-sts.smartpolicy.lab",
        weight=451,
    ),
)
PERSONAL_PROVIDERS: Final = tuple(p for p in PROVIDERS if "{" in p.txt_alias)
"""Those that give every customer its own name, which can dangle when the customer leaves."""
