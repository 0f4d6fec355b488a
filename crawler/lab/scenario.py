"""What a scenario is: one way to be right or wrong, as a literal, with its truth beside it.

A scenario is written relative to a Policy Domain that is not known yet: ``{domain}`` stands for
it, ``{policy}`` and the keys of ``mail`` stand for the addresses that the lab gives to its
hosts, ``{id}`` for the record's id, ``{operator}`` and ``{txt_alias}``/``{host_alias}`` for the
companies that serve the domain.  ``zone`` is master-file text with owners relative to the
domain.  ``truth`` is what a person says a correct crawler must find; no
code of the crawler is asked for it.

This module only names the shapes.  ``catalogue`` holds the literals, ``zone`` reads the text,
``policy_host`` and ``mail_host`` play the hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from types import MappingProxyType

from crawler.vocabulary import (
    DaneOutcome,
    Mode,
    PolicyOutcome,
    RecordOutcome,
    SenderOutcome,
    TlsRptOutcome,
)


class Fault(Enum):
    """What the resolver does with a question instead of answering it from the zone."""

    SERVFAIL = auto()
    """A server that is lame or down: RCODE 2."""
    BOGUS = auto()
    """DNSSEC validation fails: RCODE 2 with Extended DNS Error 6 (RFC 8914 section 4.7)."""
    REFUSED = auto()
    DROP = auto()
    """Nothing comes back."""
    FLAKY = auto()
    """SERVFAIL to the first question only: asking again must find the answer."""
    TRUNCATED = auto()
    """TC over UDP; the whole answer over TCP."""
    TRUNCATED_ONLY = auto()
    """TC over UDP, and TCP closes without an answer."""


class Certificate(StrEnum):
    """The chain that a host presents for its name."""

    TRUSTED = "trusted"
    """Leaf for the name itself, with its intermediate, under the lab's root."""
    WILDCARD = "wildcard"
    """SAN ``*.<parent of the name>``."""
    PARENT = "parent"
    """SAN the parent of the name and ``www.`` below it: what a web host has anyway."""
    WRONG_NAME = "wrong-name"
    """SAN of somebody else."""
    SHALLOW_WILDCARD = "shallow-wildcard"
    """SAN ``*.<grandparent of the name>``: one label too high to match (RFC 6125 6.4.3)."""
    CN_ONLY = "cn-only"
    """No SAN; the name stands in the CN, which RFC 8461 sections 3.3 and 4.2 do not accept."""
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED_WRONG_NAME = "expired-wrong-name"
    SELF_SIGNED = "self-signed"
    UNTRUSTED = "untrusted"
    """Under a root that nobody trusts, root included."""
    NO_INTERMEDIATE = "no-intermediate"
    """The leaf alone: complete only for clients that fetch what AIA names."""
    CLIENT_ONLY = "client-only"
    """Extended key usage clientAuth, not serverAuth."""
    NAME_CONSTRAINED = "name-constrained"
    """Under an intermediate that may only issue for another domain (RFC 5280 4.2.1.10)."""
    OVERLONG = "overlong"
    """A good leaf, followed by more certificates than anybody should read."""


class Accept(Enum):
    """What happens to a TCP connection, before a word is said."""

    OPEN = auto()
    REFUSED = auto()
    """Nothing listens."""
    TIMEOUT = auto()
    """The SYN is never answered: the listener's backlog is full."""
    RESET = auto()
    """Accepted and reset at once."""
    SILENT = auto()
    """Accepted, and then nothing."""


class Tls(Enum):
    """How the TLS handshake goes."""

    MODERN = auto()
    OLD = auto()
    """TLS 1.0 and 1.1 only (RFC 8461 section 7.2 wants 1.2)."""
    ALERT = auto()
    """Fatal alert ``unrecognized_name``: no certificate for this SNI."""
    CUT = auto()
    """Closed in the middle of the handshake, after some octets."""
    GARBAGE = auto()
    """Octets that are no TLS at all."""


class Delivery(Enum):
    """How an HTTP response arrives."""

    WHOLE = auto()
    CHUNKED = auto()
    CUT_SHORT = auto()
    """Closed before Content-Length octets have come."""
    NO_ANSWER = auto()
    """The request is read and never answered."""
    DRIPPED = auto()
    """The body comes one octet at a time, too slowly to end in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyHost:
    """One Policy Host (RFC 8461 section 3.3) and how it behaves."""

    body: str | bytes = ""
    """The policy file; text has its placeholders filled in, bytes go out as they are."""
    status: int = 200
    content_type: str | None = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()
    """Names and values; the values have their placeholders filled in."""
    delivery: Delivery = Delivery.WHOLE
    certificate: Certificate = Certificate.TRUSTED
    tls: Tls = Tls.MODERN
    accept: Accept = Accept.OPEN
    ipv6: PolicyHost | None = None
    """What the same name serves at its IPv6 address, where that differs."""


class Manner(Enum):
    """Departures of an SMTP host that are no reply text."""

    POLITE = auto()
    GREYLIST = auto()
    """451 to the first connection; later ones are served (RFC 6647)."""
    HANGS_UP = auto()
    """Closes after the greeting."""
    INJECTS = auto()
    """Plaintext follows the 220 to STARTTLS in the same segment."""
    ENDLESS = auto()
    """The reply to EHLO never ends."""


OFFER = ("PIPELINING", "SIZE 52428800", "STARTTLS", "8BITMIME", "SMTPUTF8")
"""What most MX hosts list in reply to EHLO."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailHost:
    """One address of an MX host and how it behaves; equal ones are one persona."""

    greeting: str = "220 mail host of the lab ESMTP"
    ehlo: tuple[str, ...] | str = OFFER
    """Keywords of the 250 reply, or a whole reply of another code."""
    helo: str = "250 hello"
    starttls: str = "220 go ahead"
    manner: Manner = Manner.POLITE
    certificate: Certificate = Certificate.TRUSTED
    tls: Tls = Tls.MODERN
    accept: Accept = Accept.OPEN
    ipv6: bool = False
    """It stands at the IPv6 loopback address, told from others there by SNI alone."""


ENFORCE_MAX_AGE = 2592000
"""30 days: what the policies of the lab say unless their scenario is about max_age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The judged columns; the defaults are a domain that does all of it right.

    So a literal names only where its domain departs from one that enforces, with one MX host,
    TLS reports and no DANE.
    """

    record_outcome: RecordOutcome = RecordOutcome.VALID
    policy_outcome: PolicyOutcome = PolicyOutcome.VALID
    policy_lenient: bool | None = True
    mode: Mode | None = Mode.ENFORCE
    max_age: int | None = ENFORCE_MAX_AGE
    mx_total: int | None = 1
    mx_covered: int | None = 1
    mx_passing: int | None = 1
    mx_failing: int | None = 0
    mx_unmeasured: int | None = 0
    misconfigured: bool | None = False
    sender_outcome: SenderOutcome = SenderOutcome.PROTECTED
    tlsrpt_outcome: TlsRptOutcome = TlsRptOutcome.VALID
    dane_outcome: DaneOutcome | None = DaneOutcome.NONE
    findings: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way to be right or wrong, and what is true of a domain that is so."""

    name: str
    why: str
    """Why it is in the catalogue: what goes wrong with a crawler that gets it wrong."""
    zone: str
    policy: PolicyHost | None = None
    mail: Mapping[str, MailHost] = field(default_factory=lambda: MappingProxyType({}))
    """Addresses of the domain's own MX hosts, by the key that ``zone`` uses; see ``MailHost``."""
    faults: Mapping[str, Fault] = field(default_factory=lambda: MappingProxyType({}))
    """Misbehaviour of the resolver, by ``owner`` or ``owner TYPE``, owners as in ``zone``."""
    signed: bool | None = None
    """The zone is DNSSEC-signed; None: as common under its TLD, for the truth does not depend on it."""
    truth: Truth
    unprobed: Truth | None = None
    """The truth where the scan's scope leaves the domain's hosts alone; None: it is in every scope."""
    both_families: Truth | None = None
    """The truth of a scan with --both-families, where that sees more."""
    needs_ipv6: bool = False
    nxdomain: bool = False
    """The domain does not exist at all."""
