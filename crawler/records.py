"""The rows of a snapshot, one frozen dataclass per table: the single source of the schema.

The Arrow schema, the field documentation inside each Parquet file and the data dictionary are
all derived from these classes, so a column cannot exist without a sentence that explains it.
Rows hold facts (observations) or judgements (``*Verdict``, ``Assessment``), never both, and a
judgement can always be rebuilt from the observations of the same scan.

Null means *not reached*; ``status`` says why.  Names are lower-case A-labels without a final
dot; times are UTC; hashes are lower-case hexadecimal SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from crawler.vocabulary import (
    Blame,
    CertificateProblem,
    DaneOutcome,
    DnsStatus,
    Due,
    IoStatus,
    MailOutcome,
    Mode,
    PolicyOutcome,
    Question,
    RecordOutcome,
    ResultType,
    Resumption,
    SenderOutcome,
    Severity,
    Stage,
    TlsRptOutcome,
    TlsWeakness,
    TxtKind,
)

SCHEMA_VERSION = "1.3"
"""Additive changes raise the minor number; anything else the major one."""


def col(doc: str, **options: Any) -> Any:
    """A column and the sentence that explains it in the data dictionary."""
    return field(metadata={"doc": doc}, **options)


def optional(doc: str) -> Any:
    """A column that stays null unless its step was reached."""
    return col(doc, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One accepted line of the domain list."""

    table: ClassVar[str] = "domains"

    scan_id: str = col("the scan this row belongs to")
    domain: str = col("the name to measure, lower-case A-labels, no final dot")
    rank: int | None = optional("rank in the list, if the list has one; 1 is the most popular")
    list: str = col("name of the list the domain came from")
    tld: str = col("rightmost label")
    public_suffix: str | None = optional(
        "longest matching rule of the public suffix list saved with the scan"
    )
    registrable_domain: str | None = optional(
        "public suffix plus one label; null when the domain is itself a public suffix"
    )
    tags: tuple[str, ...] = col("labels carried over from the list", default=())
    original: str | None = optional("the name as the list wrote it, when that differs")


@dataclass(frozen=True, slots=True, kw_only=True)
class MxHost:
    """One MX record, or the implicit MX (RFC 5321 section 5.1)."""

    preference: int = col("MX preference; lower is tried first")
    host: str = col("MX host; empty for the root name of a null MX (RFC 7505)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tlsa:
    """One TLSA record (RFC 6698 section 2.1)."""

    usage: int = col("certificate usage: 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE")
    selector: int = col("0 full certificate, 1 SubjectPublicKeyInfo")
    matching_type: int = col("0 exact, 1 SHA-256, 2 SHA-512")
    data: bytes = col("certificate association data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One HTTP response header field that is kept."""

    name: str = col("field name, lower case")
    value: bytes = col("field value as received")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What every observed row begins with."""

    scan_id: str = col("the scan that made this row")
    vantage: str | None = optional(
        "name of the vantage that asked, [vantage] name; null in scans made before schema 1.2"
    )
    attempt: int = col(
        "how many times this target had been tried when the row was made, this time included; "
        "for lookups every query sent counts"
    )
    started_at: datetime = col("when the attempt began, UTC")
    elapsed_ms: float = col("how long it took, milliseconds, on the monotonic clock")
    blame: Blame | None = optional("whose failure the status is; null when nothing failed")
    error: str | None = optional("detail in words, for people; never parsed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(Observation):
    """What every DNS lookup records."""

    status: DnsStatus = col("how the lookup ended")
    authenticated: bool | None = optional("AD flag of the answer: the resolver validated it")
    cname_chain: tuple[str, ...] = col("names the question was redirected to, in order", default=())
    ttl: int | None = optional("smallest TTL among the records used, seconds")
    resolver: str | None = optional("resolver that answered, address:port")


@dataclass(frozen=True, slots=True, kw_only=True)
class TxtLookup(Lookup):
    """One TXT question about a domain: ``_mta-sts`` (RFC 8461) or ``_smtp._tls`` (RFC 8460)."""

    table: ClassVar[str] = "txt_lookups"
    primary_key: ClassVar[tuple[str, ...]] = ("domain", "kind")

    domain: str = col("Policy Domain")
    kind: TxtKind = col("which of the two questions")
    qname: str = col("name asked")
    records: tuple[tuple[bytes, ...], ...] = col(
        "TXT records as lists of character-strings, in octet order", default=()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MxLookup(Lookup):
    """The MX question about a domain."""

    table: ClassVar[str] = "mx_lookups"
    primary_key: ClassVar[tuple[str, ...]] = ("domain",)

    domain: str = col("domain asked")
    hosts: tuple[MxHost, ...] = col("MX records by preference, then by host", default=())
    null_mx: bool = col("the only MX record points at the root (RFC 7505)", default=False)
    implicit_mx: bool = col(
        "NOERROR without an MX record: the domain itself is the candidate host (RFC 5321 5.1)",
        default=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressLookup(Lookup):
    """The A and AAAA questions about a policy host or MX host."""

    table: ClassVar[str] = "address_lookups"
    primary_key: ClassVar[tuple[str, ...]] = ("host",)

    host: str = col("name asked")
    status_ipv4: DnsStatus = col("how the A lookup ended")
    status_ipv6: DnsStatus = col("how the AAAA lookup ended")
    ipv4: tuple[str, ...] = col("A records, sorted", default=())
    ipv6: tuple[str, ...] = col("AAAA records, sorted", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsaLookup(Lookup):
    """The TLSA question about an MX host (RFC 7672 section 2.2)."""

    table: ClassVar[str] = "tlsa_lookups"
    primary_key: ClassVar[tuple[str, ...]] = ("host",)

    host: str = col("MX host")
    qname: str = col("TLSA name that was asked last: the CNAME-expanded host first, then the host")
    records: tuple[Tlsa, ...] = col("TLSA records, sorted", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation(Observation):
    """What every TCP conversation records."""

    host: str = col("host name the conversation is with: SNI and Host header")
    address: str = col("address dialled")
    status: IoStatus = col("how the conversation ended")
    stage: Stage | None = optional("step at which it ended; null when it never began")
    tls_version: str | None = optional("negotiated version: TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3")
    cipher: str | None = optional("negotiated cipher suite, OpenSSL's name")
    tls_group: str | None = optional(
        "key exchange group, IANA TLS Supported Groups name; 'dhe-' and the bits of the prime for a "
        "finite-field group of the peer's own; null for RSA key transport"
    )
    tls_hello_retry: bool | None = optional(
        "TLS 1.3: the peer asked for another key share first (RFC 8446 section 4.1.4)"
    )
    tls_extended_master_secret: bool | None = optional(
        "TLS 1.2 and below: agreed on (RFC 7627); null in TLS 1.3, which has it built in"
    )
    tls_secure_renegotiation: bool | None = optional(
        "TLS 1.2 and below: indicated (RFC 5746); null in TLS 1.3, which has no renegotiation"
    )
    tls_resumption: Resumption | None = optional(
        "TLS 1.2 and below: how the peer lets a session be resumed; null in TLS 1.3, where tickets "
        "come after the handshake"
    )
    tls_alert: str | None = optional("alert the peer sent, IANA TLS Alerts name")
    connect_ms: float | None = optional("from the start until the connection stood, milliseconds")
    tls_ms: float | None = optional("from ClientHello to the end of the handshake, milliseconds")
    chain: tuple[str, ...] = col("certificates presented, leaf first, SHA-256 of each", default=())
    carried_from: str | None = optional(
        "the earlier scan that observed this, from which it was carried over (scan --since) with its "
        "own times, attempt and vantage; null when this scan observed it"
    )
    due: Due | None = optional(
        "why a scan since an earlier one asked this target again; null in every other scan"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFetch(Conversation):
    """One HTTPS request for a policy file (RFC 8461 section 3.3).  The chain is kept, not judged."""

    table: ClassVar[str] = "policy_fetches"
    primary_key: ClassVar[tuple[str, ...]] = ("domain", "address")

    domain: str = col("Policy Domain")
    http_status: int | None = optional(
        "status code of the one response; redirects are not followed"
    )
    content_type: str | None = optional("Content-Type as received, undecodable bytes replaced")
    location: str | None = optional("Location as received, not followed")
    headers: tuple[Header, ...] = col(
        "other response headers that help to tell who answered", default=()
    )
    body: bytes | None = optional("body as received, cut at the size limit")
    body_size: int | None = optional("octets received of the body, at most one over the limit")
    body_truncated: bool | None = optional("the body was longer than the limit")
    body_sha256: str | None = optional("SHA-256 of the body kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class StarttlsSession(Conversation):
    """One SMTP conversation: greeting, EHLO, STARTTLS, EHLO, QUIT (RFC 3207).  Never any mail."""

    table: ClassVar[str] = "starttls_sessions"
    primary_key: ClassVar[tuple[str, ...]] = ("host", "address")

    banner: bytes | None = optional("greeting, all its lines, as received")
    greeting_ms: float | None = optional("from connected to the end of the greeting, milliseconds")
    ehlo: tuple[bytes, ...] = col("lines of the reply to EHLO (or HELO) in plaintext", default=())
    ehlo_ms: float | None = optional("from sending EHLO to the end of its reply, milliseconds")
    ehlo_rejection: bytes | None = optional("reply that rejected EHLO, as received")
    helo_fallback: bool | None = optional("EHLO was rejected and HELO was sent")
    starttls_offered: bool | None = optional("the EHLO reply lists STARTTLS")
    starttls_reply: bytes | None = optional("reply to STARTTLS, as received")
    starttls_ms: float | None = optional("from sending STARTTLS to its reply, milliseconds")
    plaintext_after_starttls: bytes | None = optional(
        "octets that followed the 220 in the same plaintext; never read as protected data"
    )
    ehlo_tls: tuple[bytes, ...] = col("lines of the reply to EHLO inside TLS", default=())
    quit_reply: bytes | None = optional("reply to QUIT, as received")
    refusal_code: int | None = optional("code of the first reply that refused us (4yz or 5yz)")
    refusal_enhanced: str | None = optional(
        "enhanced status code of that reply (RFC 3463), such as 4.7.1; null when it has none"
    )
    bare_lf: bool | None = optional(
        "some line ended in LF without CR (RFC 5321 section 2.3.8); it was read all the same"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One distinct certificate seen in the scan, with what can be read out of it."""

    table: ClassVar[str] = "certificates"
    primary_key: ClassVar[tuple[str, ...]] = ("sha256",)

    scan_id: str = col("the scan that made this row")
    sha256: str = col("SHA-256 of the DER")
    der: bytes = col("the certificate as presented")
    subject: str | None = optional("subject, RFC 4514")
    common_name: str | None = optional("last CN of the subject; never a match (RFC 8461 3.3, 4.2)")
    names: tuple[str, ...] = col("dNSName entries of subjectAltName", default=())
    issuer: str | None = optional("issuer, RFC 4514")
    serial: str | None = optional("serial number, hexadecimal")
    not_before: datetime | None = optional("start of validity, UTC")
    not_after: datetime | None = optional("end of validity, UTC")
    key: str | None = optional(
        "public key algorithm and size, such as 'EC secp256r1' or 'RSA 2048'"
    )
    signature: str | None = optional("signature algorithm, such as 'ecdsa-with-SHA256'")
    is_ca: bool | None = optional("basicConstraints says CA")
    self_issued: bool | None = optional("subject and issuer are equal")
    parse_error: str | None = optional("why facts are missing: what the reader could not read")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainVerdict:
    """Columns shared by the judged sessions: the presented chain, for the host's name, and the
    handshake, for senders other than us.
    """

    certificate_problems: tuple[CertificateProblem, ...] = col(
        "every reason for which the chain does not pass; empty when it passes or none was seen",
        default=(),
    )
    openssl_code: int | None = optional("X509_V_ERR code of the first failure; 0 when it verifies")
    openssl_depth: int | None = optional("depth in the chain of that failure; 0 is the leaf")
    webpki_error: str | None = optional(
        "the stricter Web PKI verifier's complaint; null when it agrees or was not asked"
    )
    tls_weaknesses: tuple[TlsWeakness, ...] = col(
        "what is weak in the handshake, whoever the client; empty when nothing is or none stands",
        default=(),
    )
    refusing_senders: tuple[str, ...] = col(
        "senders that by their defaults would not complete this handshake but break it off; for a "
        "policy the programs that fetch it; empty when none would or no handshake stands",
        default=(),
    )
    unoffered_by: tuple[str, ...] = col(
        "further senders that by their defaults do not offer what this handshake agreed on; whether "
        "the host has something else for them was not tried",
        default=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVerdict(ChainVerdict):
    """One policy fetch, judged (RFC 8461 section 3.3)."""

    table: ClassVar[str] = "policy_verdicts"
    primary_key: ClassVar[tuple[str, ...]] = ("domain", "address")

    scan_id: str = col("the scan judged")
    domain: str = col("Policy Domain")
    host: str = col("Policy Host")
    address: str = col("address dialled")
    attempt: int = col("attempt judged: the last one")
    outcome: PolicyOutcome = col("the first stage at which this fetch failed, or valid")
    lenient: bool | None = optional("the body is valid when empty lines are skipped")
    mode: Mode | None = optional("mode of a valid policy")
    max_age: int | None = optional("max_age of a valid policy, seconds")
    mx: tuple[str, ...] = col("mx patterns of a valid policy, in order", default=())
    problems: tuple[str, ...] = col("what is wrong or unusual in the body", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class MailVerdict(ChainVerdict):
    """One STARTTLS session, judged for the MX host's name (RFC 8461 section 4.2)."""

    table: ClassVar[str] = "mail_verdicts"
    primary_key: ClassVar[tuple[str, ...]] = ("host", "address")

    scan_id: str = col("the scan judged")
    host: str = col("MX host")
    address: str = col("address dialled")
    attempt: int = col("attempt judged: the last one")
    outcome: MailOutcome = col("how far the session got towards a delivery under MTA-STS")
    dane: DaneOutcome = col("the TLSA records against this session, for the MX host's own name")
    dane_names: tuple[str, ...] = col(
        "DNS-IDs that a usage 2 match still has to meet: the MX host's or the next-hop domain's",
        default=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One domain, judged.  A fact out of scope is null, never ``none`` or ``absent``."""

    table: ClassVar[str] = "assessments"
    primary_key: ClassVar[tuple[str, ...]] = ("domain",)

    scan_id: str = col("the scan judged")
    domain: str = col("domain of the list")
    record_outcome: RecordOutcome = col("what the _mta-sts TXT answer amounts to")
    record_id: str | None = optional("id of a valid record")
    policy_outcome: PolicyOutcome = col("first stage at which fetching the policy failed, or valid")
    policy_lenient: bool | None = optional(
        "the policy is valid when empty lines are skipped; null when no body was judged"
    )
    mode: Mode | None = optional("mode of a valid policy")
    max_age: int | None = optional("max_age of a valid policy, seconds")
    policy_mx: tuple[str, ...] = col("mx patterns of a valid policy, in order", default=())
    mx_total: int | None = optional(
        "MX hosts; 1 for an implicit MX with an address, 0 for a null MX, null if not known"
    )
    mx_covered: int | None = optional("MX hosts matched by a pattern of a valid policy")
    mx_passing: int | None = optional("MX hosts that are covered and pass")
    mx_failing: int | None = optional("MX hosts that a sender under this policy would not use")
    mx_unmeasured: int | None = optional("MX hosts that are covered, but could not be measured")
    misconfigured: bool | None = optional(
        "any component is bad, as the 2025 study counts; null when the record is unmeasured"
    )
    sender_outcome: SenderOutcome = col("what a sender with an empty cache and MTA-STS alone does")
    tlsrpt_outcome: TlsRptOutcome = col("what the _smtp._tls TXT answer amounts to")
    dane_outcome: DaneOutcome | None = optional("DANE over the MX hosts; null when out of scope")
    findings: tuple[str, ...] = col("ids of the findings, in the order of the rules", default=())
    rules_version: str = col("version of the rules that judged")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One thing the rules of this scan can say, for reports that need no code of the crawler."""

    table: ClassVar[str] = "findings_catalogue"
    primary_key: ClassVar[tuple[str, ...]] = ("id",)

    scan_id: str = col("the scan judged")
    id: str = col("finding id; never renamed, never reused")
    severity: Severity = col("what it means for the domain's mail")
    result_type: ResultType | None = optional("IANA STARTTLS Validation Result Type, if one fits")
    sentence: str = col("what is wrong, for the domain's owner")
    fix: str = col("what to change")
    section: str = col("the text it rests on")
    rules_version: str = col("version of the rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class NameTarget:
    """One question of the names pass."""

    table: ClassVar[str] = "names"

    domain: str = col("domain to ask about")
    question: Question = col("which of the three questions")
    attempts: int = col("queries sent for it in earlier rounds", default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTarget:
    """One policy host or MX host to look up."""

    table: ClassVar[str] = "hosts"

    host: str = col("name to look up")
    mail: bool = col("it is an MX host, so TLSA is asked too")
    ask_addresses: bool = col("A and AAAA are wanted in this round", default=True)
    expanded: str | None = optional("end of the CNAME chain, known from an earlier round")
    address_attempts: int = col("queries sent for its addresses in earlier rounds", default=0)
    tlsa_attempts: int = col("queries sent for its TLSA records in earlier rounds", default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTarget:
    """One policy file to fetch at one address."""

    table: ClassVar[str] = "policies"

    domain: str = col("Policy Domain")
    host: str = col("Policy Host, mta-sts.<domain>")
    address: str = col("address to dial")
    aliases: tuple[str, ...] = col(
        "CNAME chain of the host; an opt-out may name any of them", default=()
    )
    attempts: int = col("conversations tried in earlier rounds", default=0)
    due: Due | None = optional("why it is asked although an earlier scan has asked it")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailTarget:
    """One MX host to greet at one address."""

    table: ClassVar[str] = "mail"

    host: str = col("MX host")
    address: str = col("address to dial")
    aliases: tuple[str, ...] = col(
        "CNAME chain of the host; an opt-out may name any of them", default=()
    )
    attempts: int = col("conversations tried in earlier rounds", default=0)
    due: Due | None = optional("why it is asked although an earlier scan has asked it")


TARGETS = (NameTarget, HostTarget, PolicyTarget, MailTarget)
OBSERVED = (
    TxtLookup,
    MxLookup,
    AddressLookup,
    TlsaLookup,
    PolicyFetch,
    StarttlsSession,
    Certificate,
)
JUDGED = (PolicyVerdict, MailVerdict, Assessment, CatalogueEntry)
TABLES = (Domain, *OBSERVED, *JUDGED)
