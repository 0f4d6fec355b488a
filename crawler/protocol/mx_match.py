"""Does this mx pattern of a policy cover this MX host?

RFC 8461 section 4.1, with the grammar of a pattern from section 3.2.  The pattern is matched
against the name in the MX record, never against a certificate, and never against what the MX
host is an alias of.
"""

from __future__ import annotations

import re
from typing import Final

from crawler.protocol import names

# RFC 8461 section 3.2: sts-policy-mx-value = ["*."] Domain
# RFC 5321 section 4.1.2:
#   Domain     = sub-domain *("." sub-domain)
#   sub-domain = Let-dig [Ldh-str]      Ldh-str = *( ALPHA / DIGIT / "-" ) Let-dig
#
# So a pattern has no final dot, no underscore and no U-label (section 3.2: "MUST specify the
# Punycode-encoded A-label"), and a wildcard is a whole label and the first one.
_SUB_DOMAIN: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_PATTERN: Final = re.compile(rf"(?:\*\.)?({_SUB_DOMAIN}(?:\.{_SUB_DOMAIN})*)")

# A longer text cannot be a pattern, whatever is in it: "*." and a name.
_PATTERN_MAX: Final = len("*.") + names.NAME_MAX


def is_pattern(text: str) -> bool:
    """Is *text* an mx pattern?

    The ABNF, and our reading of "Domain": a name that some MX host can have.  The ABNF alone
    would also permit labels and names that are longer than the DNS has (RFC 1035 section
    2.3.4) and addresses, such as 192.0.2.1, which no host name looks like (RFC 1123 section
    2.1): they cover no host, and whoever wrote them is not protected.
    """
    if len(text) > _PATTERN_MAX:
        return False
    found = _PATTERN.fullmatch(text)
    return found is not None and names.host_problem(found[1]) is None


def matches(pattern: str, host: str) -> bool:
    """Does the policy's *pattern* cover the MX host *host*?  Never raises.

    Letters match in any case.  The *host* may be in any form that ``names.normalise`` takes: a
    final dot is only how zone files write it, and a U-label counts as its A-label.  The
    *pattern* must be in the one form that a policy may have; anything else covers nothing.
    """
    try:
        candidate = names.normalise(host)
    except names.InvalidName:
        return False
    return is_pattern(pattern) and covers(pattern.lower(), candidate)


def covers(pattern: str, host: str) -> bool:
    """``matches`` for a lower-case valid *pattern* and a normalised *host*."""
    # RFC 8461 section 4.1: '*' stands for "the entire left-most label", so "*.example.com"
    # covers "mail.example.com" but neither "example.com" nor "foo.bar.example.com".
    if pattern.startswith("*."):
        return names.parent(host) == pattern.removeprefix("*.")
    return host == pattern
