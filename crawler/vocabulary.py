"""The closed word lists: every word that may stand in a status or outcome column.

Each list names the registry it comes from.  Where a registry has no word for something that
must be told apart, the word is ours and says so.  A word is never renamed and never reused:
snapshots of different years are read side by side.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class DnsStatus(StrEnum):
    """How a DNS lookup ended.

    IANA *DNS RCODEs*; ``TIMEOUT``, ``NO_ANSWER`` and ``TRUNCATED`` as zdns uses them; the
    words after them are ours.
    """

    NOERROR = "NOERROR"
    FORMERR = "FORMERR"
    SERVFAIL = "SERVFAIL"
    NXDOMAIN = "NXDOMAIN"
    NOTIMP = "NOTIMP"
    REFUSED = "REFUSED"
    YXDOMAIN = "YXDOMAIN"
    YXRRSET = "YXRRSET"
    NXRRSET = "NXRRSET"
    NOTAUTH = "NOTAUTH"
    NOTZONE = "NOTZONE"
    BADVERS = "BADVERS"
    OTHER_RCODE = "OTHER_RCODE"
    """An RCODE that has no word above; the number stands in the row's ``error``."""
    NO_ANSWER = "NO_ANSWER"
    """NOERROR, but no record of the type asked for (NODATA, RFC 2308 section 2.2)."""
    TIMEOUT = "TIMEOUT"
    TRUNCATED = "TRUNCATED"
    """TC was set over UDP and TCP gave no answer; the partial answer is not used."""
    MALFORMED = "MALFORMED"
    CNAME_LOOP = "CNAME_LOOP"
    CNAME_TOO_LONG = "CNAME_TOO_LONG"
    OPTED_OUT = "opted-out"
    VANTAGE_FAILURE = "vantage-failure"


class IoStatus(StrEnum):
    """How a conversation with a policy host or MX host ended.

    zgrab2's status words; those marked *ours* split one of its words where the difference
    decides who is to blame.
    """

    SUCCESS = "success"
    CONNECTION_REFUSED = "connection-refused"
    CONNECTION_TIMEOUT = "connection-timeout"
    CONNECTION_CLOSED = "connection-closed"
    """The peer closed or reset an open connection before it had finished speaking."""
    HOST_UNREACHABLE = "host-unreachable"
    """Ours: a router answered that the network, host or port cannot be reached."""
    IO_TIMEOUT = "io-timeout"
    HANDSHAKE_ERROR = "handshake-error"
    CHAIN_TOO_LARGE = "chain-too-large"
    """Ours: more certificates, or more bytes of them, than a sender would read."""
    PROTOCOL_ERROR = "protocol-error"
    """The peer spoke, but not the protocol of the port."""
    APPLICATION_ERROR = "application-error"
    """The peer refused us in its own protocol: a 4xx or 5xx greeting, EHLO or STARTTLS reply."""
    RESPONSE_TOO_LARGE = "response-too-large"
    """Ours: a reply, header block or body over its cap."""
    CONTENT_ENCODED = "content-encoded"
    """Ours: a body in a content coding that was not asked for; it is not decoded."""
    STARTTLS_INJECTION = "starttls-injection"
    """Ours: plaintext followed the 220 to STARTTLS (RFC 3207 section 6)."""
    BLOCKLISTED_TARGET = "blocklisted-target"
    """We do not connect to such an address; ``error`` names the range."""
    OPTED_OUT = "opted-out"
    VANTAGE_FAILURE = "vantage-failure"
    """A failure of ours (no IPv6 route, no descriptors); it says nothing about the target."""
    UNKNOWN_ERROR = "unknown-error"


class Stage(StrEnum):
    """The step of a conversation at which it ended (ours)."""

    CONNECT = "connect"
    """Until the connection stands and, on a TLS port, the peer's first octet has arrived, except
    that mere silence after the connection stands belongs to the step that waited for it."""
    BANNER = "banner"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    TLS = "tls"
    EHLO_TLS = "ehlo-tls"
    QUIT = "quit"
    HTTP_HEADERS = "http-headers"
    HTTP_BODY = "http-body"


class Due(StrEnum):
    """Why a scan since an earlier one asked a target again, the first that holds (ours)."""

    NEW = "new"
    """The earlier scan has nothing about it, or has it from another vantage."""
    WRONG = "wrong"
    """It was not right: whoever mends it is seen at once."""
    CHANGED = "changed"
    """The names or addresses that lead to it, or what DNS says about it, are others now."""
    EXPIRED = "expired"
    """A certificate that it presented has expired since."""
    OLD = "old"
    """What is known was observed too long ago, or at a time that is still to come."""
    SAMPLE = "sample"
    """Nothing of that: it was drawn, so that what is carried over can be judged by the drawn."""


class Resumption(StrEnum):
    """How a server of TLS 1.2 or below lets a session be resumed (ours)."""

    TICKET = "ticket"
    """A ticket is going to be sent (RFC 5077)."""
    SESSION_ID = "session-id"
    """The server gave the session an id (RFC 5246 section 7.4.1.3)."""
    NONE = "none"


class Blame(StrEnum):
    """Whose failure a status is (ours)."""

    TARGET = "target"
    NETWORK = "network"
    RESOLVER = "resolver"
    VANTAGE = "vantage"
    LOCAL = "local"
    POLICY = "policy"
    """Our own policy: a special-use address or an opt-out."""


BLAME_OF_DNS: Final = MappingProxyType(
    {
        DnsStatus.NOERROR: None,
        DnsStatus.NO_ANSWER: None,
        DnsStatus.NXDOMAIN: None,
        DnsStatus.CNAME_LOOP: Blame.TARGET,
        DnsStatus.CNAME_TOO_LONG: Blame.TARGET,
        DnsStatus.OPTED_OUT: Blame.POLICY,
        DnsStatus.VANTAGE_FAILURE: Blame.VANTAGE,
        # Everything else a recursive resolver says may be its own doing or its upstream's.
        **dict.fromkeys(
            (
                DnsStatus.FORMERR,
                DnsStatus.SERVFAIL,
                DnsStatus.NOTIMP,
                DnsStatus.REFUSED,
                DnsStatus.YXDOMAIN,
                DnsStatus.YXRRSET,
                DnsStatus.NXRRSET,
                DnsStatus.NOTAUTH,
                DnsStatus.NOTZONE,
                DnsStatus.BADVERS,
                DnsStatus.OTHER_RCODE,
                DnsStatus.TIMEOUT,
                DnsStatus.TRUNCATED,
                DnsStatus.MALFORMED,
            ),
            Blame.RESOLVER,
        ),
    }
)

BLAME_OF_IO: Final = MappingProxyType(
    {
        IoStatus.SUCCESS: None,
        IoStatus.CONNECTION_REFUSED: Blame.TARGET,
        IoStatus.CONNECTION_TIMEOUT: Blame.NETWORK,
        IoStatus.CONNECTION_CLOSED: Blame.TARGET,
        IoStatus.HOST_UNREACHABLE: Blame.NETWORK,
        IoStatus.IO_TIMEOUT: Blame.TARGET,
        IoStatus.HANDSHAKE_ERROR: Blame.TARGET,
        IoStatus.CHAIN_TOO_LARGE: Blame.TARGET,
        IoStatus.PROTOCOL_ERROR: Blame.TARGET,
        IoStatus.APPLICATION_ERROR: Blame.TARGET,
        IoStatus.RESPONSE_TOO_LARGE: Blame.TARGET,
        IoStatus.CONTENT_ENCODED: Blame.TARGET,
        IoStatus.STARTTLS_INJECTION: Blame.TARGET,
        IoStatus.BLOCKLISTED_TARGET: Blame.POLICY,
        IoStatus.OPTED_OUT: Blame.POLICY,
        IoStatus.VANTAGE_FAILURE: Blame.VANTAGE,
        IoStatus.UNKNOWN_ERROR: Blame.LOCAL,
    }
)


class Question(StrEnum):
    """What the names pass asks about a domain (ours)."""

    MTA_STS = "mta-sts"
    TLS_RPT = "tls-rpt"
    MX = "mx"


class TxtKind(StrEnum):
    """Which TXT question a row answers."""

    MTA_STS = "mta-sts"
    """``_mta-sts.<domain>``, RFC 8461 section 3.1."""
    TLS_RPT = "tls-rpt"
    """``_smtp._tls.<domain>``, RFC 8460 section 3."""


class Mode(StrEnum):
    """A policy's mode, RFC 8461 section 3.2."""

    TESTING = "testing"
    ENFORCE = "enforce"
    NONE = "none"


class RecordOutcome(StrEnum):
    """What the ``_mta-sts`` TXT answer amounts to (ours)."""

    VALID = "valid"
    ABSENT = "absent"
    MULTIPLE = "multiple"
    SYNTAX = "syntax"
    UNMEASURED = "unmeasured"


class PolicyOutcome(StrEnum):
    """The first stage at which fetching the policy failed, or ``valid`` (ours)."""

    NOT_FETCHED = "not-fetched"
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    HTTP = "http"
    SYNTAX = "syntax"
    VALID = "valid"
    UNMEASURED = "unmeasured"


class TlsRptOutcome(StrEnum):
    """What the ``_smtp._tls`` TXT answer amounts to (ours)."""

    VALID = "valid"
    ABSENT = "absent"
    MULTIPLE = "multiple"
    SYNTAX = "syntax"
    UNMEASURED = "unmeasured"


class SenderOutcome(StrEnum):
    """What a sender with an empty cache and MTA-STS alone does (ours; RFC 8461 section 5)."""

    UNMEASURED = "unmeasured"
    ABSENT = "absent"
    FAIL_OPEN = "fail-open"
    OFF = "off"
    TESTING = "testing"
    NO_MAIL = "no-mail"
    PROTECTED = "protected"
    DEGRADED = "degraded"
    REFUSED = "refused"


class DaneOutcome(StrEnum):
    """What DANE for SMTP (RFC 7672) makes of a host or of a domain's MX hosts (ours)."""

    NONE = "none"
    INSECURE = "insecure"
    UNUSABLE = "unusable"
    MATCH = "match"
    PARTIAL = "partial"
    MISMATCH = "mismatch"
    UNMEASURED = "unmeasured"


class MailOutcome(StrEnum):
    """How far one STARTTLS session got towards what RFC 8461 section 4.2 asks (ours)."""

    PASS = "pass"
    NO_STARTTLS = "no-starttls"
    STARTTLS_REFUSED = "starttls-refused"
    HANDSHAKE_FAILED = "handshake-failed"
    TLS_OLD = "tls-old"
    CERTIFICATE = "certificate"
    UNMEASURED = "unmeasured"


class CertificateProblem(StrEnum):
    """A reason for which a presented chain does not pass for a name (ours)."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    NAME_MISMATCH = "name-mismatch"
    NO_SAN = "no-san"
    SELF_SIGNED = "self-signed"
    UNKNOWN_ISSUER = "unknown-issuer"
    MISSING_INTERMEDIATE = "missing-intermediate"
    WRONG_PURPOSE = "wrong-purpose"
    WEAK_KEY = "weak-key"
    WEAK_SIGNATURE = "weak-signature"
    NAME_CONSTRAINT = "name-constraint"
    MALFORMED = "malformed"
    OTHER = "other"


class TlsWeakness(StrEnum):
    """What is weak in a handshake that stands, whoever the client (ours; RFC 9325)."""

    NO_FORWARD_SECRECY = "no-forward-secrecy"
    """RSA key transport (section 4.1)."""
    SHORT_DH_PRIME = "short-dh-prime"
    """A finite-field key exchange with a prime below 2048 bits (section 4.5)."""
    NO_SECURE_RENEGOTIATION = "no-secure-renegotiation"
    """RFC 5746 is not indicated (section 3.5)."""


class Severity(StrEnum):
    """What a finding means for the domain's mail (ours)."""

    REFUSED = "refused"
    """A sender refuses delivery in mode enforce and reports it in mode testing."""
    NO_POLICY = "no-policy"
    """A sender without a cached policy acts as if there were none."""
    WARNING = "warning"
    """Mail flows and is protected; something is fragile, unusual or unfinished."""
    NOTE = "note"
    """Right, but worth knowing."""
    UNMEASURED = "unmeasured"
    """We could not find out; it counts against nobody."""


class ResultType(StrEnum):
    """IANA *STARTTLS Validation Result Types* (RFC 8460 section 4.3)."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


class Scope(StrEnum):
    """Which hosts of which domains a scan contacts."""

    ADOPTERS = "adopters"
    ALL = "all"
    SAMPLE = "sample"
