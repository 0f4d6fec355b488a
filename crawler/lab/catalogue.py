"""The catalogue: every way to be right or wrong that the lab knows, each with its truth.

The literals stand in one file per family; this module only joins them and looks them up.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from crawler.lab.catalogue_adopters import OUTSIDE, RIGHT
from crawler.lab.catalogue_coverage import COVERAGE, MX_RECORDS
from crawler.lab.catalogue_dane import DANE
from crawler.lab.catalogue_mail import SESSIONS, UNREACHED
from crawler.lab.catalogue_policy import BODIES, RESPONSES
from crawler.lab.catalogue_policy_host import (
    POLICY_HOST_DNS,
    POLICY_HOST_TCP,
    POLICY_HOST_TLS,
)
from crawler.lab.catalogue_record import RECORDS, REPORTING
from crawler.lab.scenario import Scenario

FAMILIES: Final[Mapping[str, tuple[Scenario, ...]]] = MappingProxyType(
    {
        "right": RIGHT,
        "outside": OUTSIDE,
        "record": RECORDS,
        "reporting": REPORTING,
        "policy-host-dns": POLICY_HOST_DNS,
        "policy-host-tcp": POLICY_HOST_TCP,
        "policy-host-tls": POLICY_HOST_TLS,
        "response": RESPONSES,
        "policy": BODIES,
        "coverage": COVERAGE,
        "mx-record": MX_RECORDS,
        "session": SESSIONS,
        "unreached": UNREACHED,
        "dane": DANE,
    }
)
"""Scenarios by family, in the order in which a domain is looked at."""

CATALOGUE: Final[Mapping[str, Scenario]] = MappingProxyType(
    {scenario.name: scenario for family in FAMILIES.values() for scenario in family}
)
"""Every scenario by its name."""

FAMILY_OF: Final[Mapping[str, str]] = MappingProxyType(
    {scenario.name: name for name, family in FAMILIES.items() for scenario in family}
)
"""The family of every scenario, by its name."""

assert len(CATALOGUE) == sum(map(len, FAMILIES.values())), "two scenarios of one name"
