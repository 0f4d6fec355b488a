"""The table of rules: every finding that there is, in the order in which findings are told.

The chapters follow a sender's way to a domain: its record, the Policy Host, the fetch, the
policy, the MX hosts under it, and what stands beside MTA-STS.
"""

from __future__ import annotations

from typing import Final

from crawler.assessment.beside_rules import DANE, REPORTS
from crawler.assessment.coverage_rules import COVERAGE
from crawler.assessment.fetch_rules import CONTENT, FETCHERS, HTTP, TCP, TLS
from crawler.assessment.mail_rules import HOSTS, MX
from crawler.assessment.policy_host_rules import ORPHAN, POLICY_HOST
from crawler.assessment.policy_rules import FIELDS, SYNTAX
from crawler.assessment.record_rules import RECORD
from crawler.assessment.rule import Chapter, Rule

RULES_VERSION: Final = "2026.11.2"
"""Year, month and number of the rules.  It changes whenever the same observations may be judged
differently, in a finding or in any other judged column."""

CHAPTERS: Final[tuple[Chapter, ...]] = (
    RECORD,
    POLICY_HOST,
    ORPHAN,
    TCP,
    TLS,
    FETCHERS,
    HTTP,
    CONTENT,
    SYNTAX,
    FIELDS,
    COVERAGE,
    HOSTS,
    MX,
    REPORTS,
    DANE,
)

RULES: Final[tuple[Rule, ...]] = tuple(rule for chapter in CHAPTERS for rule in chapter.rules)
