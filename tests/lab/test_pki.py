"""The certificates of the lab are what their names say, and the same every time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import verification

from crawler.lab.pki import Authority
from crawler.lab.scenario import Certificate

NOW = datetime(2026, 6, 1, 12, 34, 56, tzinfo=UTC)
HOST = "mx1.own-enforce.com"
AUTHORITY = Authority(seed=1, now=NOW)

GOOD = {Certificate.TRUSTED, Certificate.WILDCARD, Certificate.OVERLONG}


def verifies(kind: Certificate) -> bool:
    leaf, *rest = AUTHORITY.leaf(HOST, kind).chain
    store = verification.Store([AUTHORITY.root.certificate])
    verifier = (
        verification.PolicyBuilder()
        .store(store)
        .time(NOW)
        .build_server_verifier(x509.DNSName(HOST))
    )
    try:
        verifier.verify(leaf, rest)
    except verification.VerificationError:
        return False
    return True


@pytest.mark.parametrize("kind", Certificate)
def test_the_good_ones_verify_and_the_bad_ones_do_not(kind: Certificate) -> None:
    """Judged by a verifier that the crawler's verdict does not rest on."""
    assert verifies(kind) is (kind in GOOD)


def test_the_same_seed_makes_the_same_certificates() -> None:
    """So that two scans of one world see one world."""
    again = Authority(seed=1, now=NOW.replace(minute=59))
    for kind in Certificate:
        assert again.leaf(HOST, kind).chain == AUTHORITY.leaf(HOST, kind).chain
    other = Authority(seed=2, now=NOW)
    trusted = other.leaf(HOST, Certificate.TRUSTED).chain[0]
    assert trusted != AUTHORITY.leaf(HOST, Certificate.TRUSTED).chain[0]


def test_an_expired_certificate_has_expired() -> None:
    """Relative to the world's own now."""
    leaf = AUTHORITY.leaf(HOST, Certificate.EXPIRED).chain[0]
    assert leaf.not_valid_after_utc < NOW
    leaf = AUTHORITY.leaf(HOST, Certificate.NOT_YET_VALID).chain[0]
    assert leaf.not_valid_before_utc > NOW


def test_a_cn_only_certificate_has_no_san() -> None:
    """And its CN is right, so that a careless client takes it."""
    leaf = AUTHORITY.leaf(HOST, Certificate.CN_ONLY).chain[0]
    with pytest.raises(x509.ExtensionNotFound):
        leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert leaf.subject.rfc4514_string() == f"CN={HOST}"


def test_certificates_are_told_apart_by_their_hash() -> None:
    """One host, many kinds: no two alike."""
    seen = {
        AUTHORITY.leaf(HOST, kind).chain[0].fingerprint(hashes.SHA256()) for kind in Certificate
    }
    # Four kinds differ in what follows the leaf only.
    same = {Certificate.TRUSTED, Certificate.NO_INTERMEDIATE, Certificate.OVERLONG}
    assert len(seen) == len(Certificate) - len(same) + 1
