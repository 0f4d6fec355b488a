"""Does the presented chain pass for the host's name at that time, and if not, for which reasons?

RFC 8461 sections 3.3 and 4.2 ask for a certificate that RFC 5280 validates and whose DNS-ID
(RFC 6125) is the host's name.  OpenSSL decides about the path (``path``), because senders use it,
and stops at the first failure.  To name *every* reason, what it complained of is excused and it
is asked again: an untrusted end is taken for an anchor, dates are ignored.  Dates, names, purpose
and strength are then compared here.  ``cryptography``'s Web PKI verifier is asked beside it as a
stricter second opinion.

Three ways to end nowhere are told apart by the last certificate of the path that was found:

- ``self-signed``: it is the leaf, and its own issuer;
- ``unknown-issuer``: it is another that is its own issuer, a root that is no anchor; or it is not,
  and nothing says that its issuer is one that a client could find;
- ``missing-intermediate``: it is not its own issuer, and either the issuer is known (see
  ``known_intermediates``) and leads to an anchor, or, when it is not known, the certificate says
  by an HTTP URL where to fetch it, as every public CA must (RFC 5280 section 4.2.2.1).  A private
  CA's leaf that is sent alone and carries such a URL is thus put down to the wrong one of two
  faults; only fetching would tell.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509 import verification

from crawler.protocol import certificate, der, path
from crawler.protocol.path import Link
from crawler.vocabulary import CertificateProblem

# X509_V_ERR codes that do not speak of where the path ends; any other is OTHER.
PROBLEMS: Final = MappingProxyType(
    {
        4: CertificateProblem.UNKNOWN_ISSUER,  # the signature is not even in the key's format
        6: CertificateProblem.MALFORMED,  # the issuer's key cannot be read
        7: CertificateProblem.UNKNOWN_ISSUER,  # signed by somebody else of the issuer's name
        9: CertificateProblem.NOT_YET_VALID,
        10: CertificateProblem.EXPIRED,
        13: CertificateProblem.MALFORMED,  # notBefore
        14: CertificateProblem.MALFORMED,  # notAfter
        26: CertificateProblem.WRONG_PURPOSE,
        32: CertificateProblem.WRONG_PURPOSE,  # signs certificates without keyCertSign
        37: CertificateProblem.WRONG_PURPOSE,  # a CA where none may be
        41: CertificateProblem.MALFORMED,  # an extension
        47: CertificateProblem.NAME_CONSTRAINT,  # not permitted
        48: CertificateProblem.NAME_CONSTRAINT,  # excluded
        49: CertificateProblem.NAME_CONSTRAINT,  # minimum and maximum, which nobody may use
        51: CertificateProblem.NAME_CONSTRAINT,  # of an unsupported type
        52: CertificateProblem.NAME_CONSTRAINT,  # in an unsupported syntax
        53: CertificateProblem.NAME_CONSTRAINT,  # on a name in an unsupported syntax
        79: CertificateProblem.WRONG_PURPOSE,  # signs certificates without being a CA
    }
)

# RFC 9325 section 4.5: RSA keys of at least 2048 bits, and no SHA-1 or MD5.  OpenSSL's security
# level 2, with which senders mostly run, asks the same and 224 bits of an elliptic curve.
_RSA_BITS: Final = 2048
_EC_BITS: Final = 224
_WEAK_SIGNATURES: Final = frozenset(
    {
        "md2WithRSAEncryption",
        "md5WithRSAEncryption",
        "sha1WithRSAEncryption",
        "dsaWithSHA1",
        "ecdsa-with-SHA1",
    }
)

_SAME_SUBJECT: Final = 2
"""How many certificates of one subject the Web PKI verifier gets: it tries them at every step of
the path, so each more multiplies its work at every step.  Cross-signing takes two."""

_ANY: Final = "a"
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A label of a host name (RFC 1123 section 2.1)."""

_SECOND: Final = timedelta(seconds=1)
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a chain is worth; the columns of ``records.ChainVerdict``."""

    problems: tuple[CertificateProblem, ...] = ()
    """Every reason for which it does not pass, in the order of the vocabulary."""
    openssl_code: int | None = None
    """``X509_V_ERR`` code of OpenSSL's first failure, names aside; 0 when there is a path."""
    openssl_depth: int | None = None
    """Where that was, 0 being the leaf."""
    webpki_error: str | None = None
    """The stricter verifier's complaint."""


class ChainJudge:
    """Judges chains by one set of trust anchors.  Immutable, so threads may share it.

    *roots_pem* holds the anchors; ``ValueError`` when no certificate can be read in it.
    *known_intermediates* are certificates seen elsewhere that may complete a path: they make no
    chain pass, they tell a missing intermediate from an unknown issuer.  *max_certificates* of a
    chain are looked at, as many as a sender reads (``config.Limits.chain_certificates``);
    *max_chain_depth* bounds the intermediates that the Web PKI verifier puts in a row.  The last
    *remembered* verdicts come back without judging.
    """

    def __init__(
        self,
        roots_pem: bytes,
        *,
        known_intermediates: Iterable[bytes] = (),
        max_certificates: int = 16,
        max_chain_depth: int = 8,
        remembered: int = 65536,
    ) -> None:
        anchors = map(path.link, dict.fromkeys(_ders(roots_pem)))
        self._anchors = tuple(anchor for anchor in anchors if anchor.openssl is not None)
        if not self._anchors:
            raise ValueError("no trust anchor can be read: expected certificates in PEM")
        self._anchor_octets = frozenset(anchor.octets for anchor in self._anchors)
        self._anchors_by_name = _by_subject(self._anchors)
        self._known = _by_subject(map(path.link, dict.fromkeys(known_intermediates)))
        self._webpki_store = verification.Store([a.parsed for a in self._anchors if a.parsed])
        self._turns = sorted({t for anchor in self._anchors for t in _turns(anchor)})
        self._max_certificates = max_certificates
        self._max_chain_depth = max_chain_depth
        self._remember = lru_cache(maxsize=remembered)(self._judge)
        self._remember_nameless = lru_cache(maxsize=remembered)(self._judge_nameless)
        self._remember_webpki = lru_cache(maxsize=remembered)(self._webpki)

    @property
    def newest_anchor(self) -> datetime | None:
        """When the validity of the youngest anchor began; None when no such date can be read."""
        began = (anchor.facts.not_before for anchor in self._anchors)
        return max((date for date in began if date is not None), default=None)

    def judge(self, chain: Sequence[bytes], host: str, at: datetime) -> Verdict:
        """Judge *chain*, as presented, leaf first, for *host*, a name in normal form, at *at*.

        No chain, no verdict: every field is then empty.  *at* without a time zone is a
        ``ValueError``; nothing in the chain raises.
        """
        if at.tzinfo is None:
            raise ValueError("a time without a zone does not say when")
        if not chain:
            return Verdict()
        presented = tuple(chain[: self._max_certificates])
        return self._remember(presented, host, self._since(presented, at.astimezone(UTC)))

    def _since(self, chain: tuple[bytes, ...], at: datetime) -> datetime:
        """Since when the verdict has been what it is at *at*: the last turn before it.

        It turns only where a validity begins or ends, and judging at the turn rather than at
        *at* makes every time between two turns one entry of the memory.
        """
        turns = [t for octets in chain for t in _turns(path.link(octets))]
        past = bisect_right(self._turns, at)
        turns += self._turns[:past][-1:]
        return max((t for t in turns if t <= at), default=at)

    def _judge(self, chain: tuple[bytes, ...], host: str, at: datetime) -> Verdict:
        leaf = path.link(chain[0])
        nameless = self._remember_nameless(chain, at)
        problems = {_name_problem(leaf, host), *nameless.problems}
        return replace(
            nameless,
            problems=tuple(p for p in CertificateProblem if p in problems),
            webpki_error=self._remember_webpki(chain, _stand_in(leaf, host), at),
        )

    def _judge_nameless(self, chain: tuple[bytes, ...], at: datetime) -> Verdict:
        """All that does not depend on the host: a policy host's certificate has many names, and
        the path under them is the same.
        """
        leaf, *others = (path.link(octets) for octets in dict.fromkeys(chain))
        problems: set[CertificateProblem | None] = set()
        if any(each.openssl is None for each in (leaf, *others)):
            problems.add(CertificateProblem.MALFORMED)
        code, depth = None, None
        if leaf.openssl is not None:
            found = path.find(leaf, others, self._anchors, at=at)
            code, depth, links = found.code, found.depth, found.links
            if found.code != path.V_OK:
                problems.add(self._problem(found, leaf, others))
                links, hidden = self._excused(found, leaf, others)
                problems.add(hidden)
            problems.update(_date_problems(links, at))
            issued = links[:-1] if links[-1].octets in self._anchor_octets else links
            problems.update(_strength_problems(issued))
            misused = path.first_misused(issued)
            if misused is not None:
                problems.add(CertificateProblem.WRONG_PURPOSE)
                if code == path.V_OK:
                    code, depth = path.V_ERR_INVALID_PURPOSE, misused
        return Verdict(
            problems=tuple(p for p in CertificateProblem if p in problems),
            openssl_code=code,
            openssl_depth=depth,
        )

    # Why there is no path.

    def _problem(self, found: path.Path, leaf: Link, others: Sequence[Link]) -> CertificateProblem:
        """OpenSSL's first failure as a word."""
        end = found.end
        if end is None or end.outline is None:
            return PROBLEMS.get(found.code, CertificateProblem.OTHER)
        if end.facts.self_issued:
            alone = end.octets == leaf.octets
            return CertificateProblem.SELF_SIGNED if alone else CertificateProblem.UNKNOWN_ISSUER
        namesakes = self._anchors_by_name.get(end.outline.issuer, [])
        at_hand = [*namesakes, *_by_subject(others).get(end.outline.issuer, [])]
        if at_hand and any(each.flawed for each in (end, *at_hand)):
            return CertificateProblem.MALFORMED  # OpenSSL takes no issuer for, or from, such a one
        if not namesakes and self._would_complete(end):
            return CertificateProblem.MISSING_INTERMEDIATE
        return CertificateProblem.UNKNOWN_ISSUER

    def _would_complete(self, end: Link) -> bool:
        """Whether a certificate that was not presented would lead from *end* to an anchor."""
        known = self._above(end)
        if not known:
            return end.has_ca_issuers_url
        return path.find(end, known, self._anchors, at=None).code == path.V_OK

    def _above(self, end: Link) -> list[Link]:
        """The known certificates that may stand between *end* and an anchor."""
        found: dict[Link, None] = {}
        wave = [end]
        for _ in range(self._max_chain_depth):
            # In order, not as a set: the cap below must always cut at the same place.
            names = dict.fromkeys(each.outline.issuer for each in wave if each.outline is not None)
            wave = [k for name in names for k in self._known.get(name, ()) if k not in found]
            found.update(dict.fromkeys(wave))
        return list(found)[: self._max_certificates]

    def _excused(
        self, found: path.Path, leaf: Link, others: Sequence[Link]
    ) -> tuple[tuple[Link, ...], CertificateProblem | None]:
        """The path if the failure is let pass, and what else OpenSSL then complains of."""
        end = () if found.end is None else (found.end,)
        again = path.find(leaf, others, (*self._anchors, *end), at=None, partial=True)
        if again.code == path.V_OK:
            return again.links, None
        return _by_name(leaf, others), PROBLEMS.get(again.code, CertificateProblem.OTHER)

    # The second opinion.

    def _webpki(self, chain: tuple[bytes, ...], host: str, at: datetime) -> str | None:
        """The Web PKI verifier's complaint, or why it could not be asked."""
        leaf, *others = (path.link(octets) for octets in dict.fromkeys(chain))
        if leaf.parsed is None:
            return f"not asked: {leaf.facts.parse_error}"
        subjects = Counter(o.outline.subject for o in others if o.outline is not None)
        if subjects and max(subjects.values()) > _SAME_SUBJECT:
            return "not asked: too many certificates have the same subject"
        try:
            policy = (
                verification.PolicyBuilder()
                .store(self._webpki_store)
                .time(at.replace(tzinfo=None))
                .max_chain_depth(self._max_chain_depth)
                .build_server_verifier(x509.DNSName(host))
            )
            policy.verify(leaf.parsed, [o.parsed for o in others if o.parsed is not None])
        except (verification.VerificationError, *certificate.UNREADABLE) as error:
            # What follows quotes the certificate as Python shows it, which no version promises.
            return certificate.printable(str(error).partition(" (encountered processing")[0])
        return None


def _ders(pem: bytes) -> Iterator[bytes]:
    """The certificates in a PEM file, one by one, so that one bad one spoils no other."""
    for body in _PEM.findall(pem):
        try:
            yield a2b_base64(body)
        except ValueError:
            continue


def _turns(link: Link) -> Iterator[datetime]:
    """When verdicts about a certificate may change: at both ends of its validity.

    Readers differ over whether the very second belongs to it, so that second stands by itself.
    """
    for end in (link.facts.not_before, link.facts.not_after):
        if end is not None:
            yield end
            if end < datetime.max.replace(tzinfo=end.tzinfo) - _SECOND:
                yield end + _SECOND


def _by_subject(links: Iterable[Link]) -> dict[bytes, list[Link]]:
    found: dict[bytes, list[Link]] = {}
    for each in links:
        if each.outline is not None:
            found.setdefault(each.outline.subject, []).append(each)
    return found


def _by_name(leaf: Link, others: Sequence[Link]) -> tuple[Link, ...]:
    """The certificates that claim to be the path, where no path verifies: each names the next."""
    links = [leaf]
    for _ in others:
        last = links[-1].outline
        following = (
            o
            for o in others
            if o not in links and last and o.outline and o.outline.subject == last.issuer
        )
        if (issuer := next(following, None)) is None:
            break
        links.append(issuer)
    return tuple(links)


def _stand_in(leaf: Link, host: str) -> str:
    """A host of which the Web PKI verifier says what it says of *host*.

    A large operator has one certificate with a wildcard for the MX hosts of all its customers.  Under
    the wildcard one host is like another, if it is a host name at all.
    """
    label, _, parent = host.partition(".")
    try:
        covered = leaf.outline is not None and any(
            name.startswith("*.") and certificate.dns_id_matches(name, host)
            for name in certificate.dns_names(leaf.outline)
        )
    except der.DerError:
        return host
    return f"{_ANY}.{parent}" if covered and len(host) < 254 and _LABEL.fullmatch(label) else host


def _name_problem(leaf: Link, host: str) -> CertificateProblem | None:
    """RFC 8461 section 4.2: "a subject alternative name with a DNS-ID matching the hostname"."""
    try:
        if leaf.outline is None:
            return CertificateProblem.MALFORMED
        if leaf.outline.extension(certificate.SUBJECT_ALT_NAME) is None:
            return CertificateProblem.NO_SAN
        names = certificate.dns_names(leaf.outline)
    except der.DerError:
        return CertificateProblem.MALFORMED
    if any(certificate.dns_id_matches(name, host) for name in names):
        return None
    # Names of other kinds only (addresses, URIs) are names, and none is the host's DNS-ID.
    return CertificateProblem.NAME_MISMATCH


def _date_problems(links: Sequence[Link], at: datetime) -> Iterator[CertificateProblem]:
    """RFC 5280 section 6.1.3 (a)(2), for every certificate of the path, its anchor included:
    that is how OpenSSL sees it.
    """
    for each in links:
        if each.begins_after(at):
            yield CertificateProblem.NOT_YET_VALID
        if each.ended_before(at):
            yield CertificateProblem.EXPIRED


def _strength_problems(issued: Sequence[Link]) -> Iterator[CertificateProblem]:
    """RFC 9325 section 4.5.  A self-issued certificate's own signature proves nothing anyway."""
    for each in issued:
        if _weak_key(each):
            yield CertificateProblem.WEAK_KEY
        if each.facts.signature in _WEAK_SIGNATURES and not each.facts.self_issued:
            yield CertificateProblem.WEAK_SIGNATURE


def _weak_key(link: Link) -> bool:
    try:
        key = link.parsed.public_key() if link.parsed is not None else None
    except certificate.UNREADABLE:
        return False
    if isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey)):
        return key.key_size < _RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _EC_BITS
