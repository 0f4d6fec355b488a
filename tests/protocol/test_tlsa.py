"""TLSA records against chains, as RFC 7671 and RFC 7672 say for SMTP."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from crawler.protocol import der
from crawler.protocol.tlsa import DaneMatchOutcome, anchor_of_key, match, usable
from crawler.records import Tlsa
from tests.protocol import zoo
from tests.protocol.zoo import DAY, MIDDLE, NOW, ROOT

MATCH, NAMED = DaneMatchOutcome.MATCH, DaneMatchOutcome.NAMED
MISMATCH, UNUSABLE = DaneMatchOutcome.MISMATCH, DaneMatchOutcome.UNUSABLE

GOOD = zoo.zoo()["good"].chain
WITH_ROOT = (*GOOD, ROOT.der)


def spki(octets: bytes) -> bytes:
    return der.outline(octets).public_key


def record(usage: int, selector: int, matching_type: int, octets: bytes) -> Tlsa:
    """The record that says this about a certificate."""
    selected = spki(octets) if selector == 1 else octets
    digests = {
        0: selected,
        1: hashlib.sha256(selected).digest(),
        2: hashlib.sha512(selected).digest(),
    }
    return Tlsa(
        usage=usage, selector=selector, matching_type=matching_type, data=digests[matching_type]
    )


EVERY = [(s, m) for s in (0, 1) for m in (0, 1, 2)]


@pytest.mark.parametrize(("selector", "matching_type"), EVERY)
def test_usage_3_is_about_the_leaf(selector: int, matching_type: int) -> None:
    def outcome(octets: bytes) -> DaneMatchOutcome:
        return match([record(3, selector, matching_type, octets)], WITH_ROOT, at=NOW).outcome

    assert outcome(GOOD[0]) is MATCH
    assert outcome(MIDDLE.der) is MISMATCH
    assert outcome(ROOT.der) is MISMATCH


@pytest.mark.parametrize(
    "animal", ["expired", "self-signed", "name mismatch", "CN only", "RSA 512"]
)
def test_usage_3_ignores_names_expiry_and_trust(animal: str) -> None:
    """RFC 7672 section 3.1.1."""
    chain = zoo.zoo()[animal].chain
    assert match([record(3, 1, 1, chain[0])], chain, at=NOW).outcome is MATCH


@pytest.mark.parametrize(("selector", "matching_type"), EVERY)
def test_usage_2_is_about_an_issuer(selector: int, matching_type: int) -> None:
    def outcome(octets: bytes) -> DaneMatchOutcome:
        return match([record(2, selector, matching_type, octets)], WITH_ROOT, at=NOW).outcome

    assert outcome(MIDDLE.der) is NAMED
    assert outcome(ROOT.der) is NAMED
    assert outcome(zoo.OTHER.der) is MISMATCH


@pytest.mark.parametrize(("selector", "matching_type"), EVERY)
def test_usage_2_needs_no_public_trust_and_no_order(selector: int, matching_type: int) -> None:
    chain = (zoo.leaf(issuer=zoo.STRANGE_MIDDLE), zoo.STRANGER.der, zoo.STRANGE_MIDDLE.der)
    records = [record(2, selector, matching_type, zoo.STRANGER.der)]
    assert match(records, chain, at=NOW).outcome is NAMED


@pytest.mark.parametrize(
    ("selector", "matching_type", "outcome"),
    [(0, 0, NAMED), (1, 0, NAMED), (0, 1, MISMATCH), (1, 1, MISMATCH), (1, 2, MISMATCH)],
)
@pytest.mark.parametrize("anchor", [ROOT, MIDDLE])
def test_an_anchor_that_is_not_presented_must_be_in_the_record(
    selector: int, matching_type: int, outcome: DaneMatchOutcome, anchor: zoo.Ca
) -> None:
    """RFC 7671 sections 5.2.2 and 5.2.3: a digest of what was not sent cannot be compared."""
    chain = GOOD if anchor is ROOT else GOOD[:1]
    assert match([record(2, selector, matching_type, anchor.der)], chain, at=NOW).outcome is outcome


@pytest.mark.parametrize("animal", ["Ed25519", "RSA-PSS"])
def test_a_bare_key_of_any_kind(animal: str) -> None:
    chain = zoo.zoo()[animal].chain
    assert match([record(2, 1, 0, chain[1])], chain[:1], at=NOW).outcome is NAMED


def test_a_matching_name_without_the_signature_is_no_path() -> None:
    """The anchor must have signed: RFC 7671 section 5.2 asks for a PKIX path."""
    impostor = zoo.authority("Zoo Intermediate", subject_key=zoo.key("impostor"))
    for selector in (0, 1):
        for chain in ((GOOD[0],), (GOOD[0], impostor.der)):
            assert match([record(2, selector, 0, impostor.der)], chain, at=NOW).outcome is MISMATCH
    broken = zoo.zoo()["broken signature"].chain
    assert match([record(2, 0, 1, broken[1])], broken, at=NOW).outcome is MISMATCH


def test_an_unrelated_certificate_that_matches_is_no_path() -> None:
    chain = (*GOOD, zoo.OTHER.der)
    assert match([record(2, 0, 1, zoo.OTHER.der)], chain, at=NOW).outcome is MISMATCH


def test_the_leaf_is_never_its_own_trust_anchor() -> None:
    """Our reading, and OpenSSL's: usage 2 is about an issuer."""
    for chain in (GOOD, zoo.zoo()["self-signed"].chain):
        assert match([record(2, 0, 1, chain[0])], chain, at=NOW).outcome is MISMATCH


def test_usage_2_looks_at_dates_below_the_anchor() -> None:
    expired = zoo.zoo()["expired"].chain
    assert match([record(2, 0, 1, MIDDLE.der)], expired, at=NOW).outcome is MISMATCH
    assert match([record(2, 0, 1, MIDDLE.der)], expired, at=NOW - 30 * DAY).outcome is NAMED
    assert match([record(2, 0, 1, MIDDLE.der)], expired).outcome is NAMED
    old = zoo.zoo()["expired intermediate"].chain
    assert match([record(2, 0, 1, old[1])], old, at=NOW).outcome is NAMED
    assert match([record(2, 0, 1, ROOT.der)], (*old, ROOT.der), at=NOW).outcome is MISMATCH


@pytest.mark.parametrize(
    "animal",
    [
        "EKU clientAuth only",
        "EKU of the intermediate",
        "intermediate without CA flag",
        "path too long",
    ],
)
def test_usage_2_validates_as_pkix_does(animal: str) -> None:
    chain = (*zoo.zoo()[animal].chain, ROOT.der)
    assert match([record(2, 0, 1, ROOT.der)], chain, at=NOW).outcome is MISMATCH


def test_a_leaf_for_clients_may_still_be_named_by_usage_3() -> None:
    chain = (zoo.leaf(eku=[ExtendedKeyUsageOID.CLIENT_AUTH]), MIDDLE.der)
    assert match([record(3, 0, 1, chain[0])], chain, at=NOW).outcome is MATCH


def test_one_matching_record_is_enough_and_usage_3_comes_first() -> None:
    """RFC 7671 section 8: records of old and new keys stand side by side during a rollover."""
    stale, ta, ee = record(3, 1, 1, ROOT.der), record(2, 0, 1, MIDDLE.der), record(3, 1, 1, GOOD[0])
    assert match([stale, ta], GOOD, at=NOW).record == ta
    found = match([stale, ta, ee], GOOD, at=NOW)
    assert (found.outcome, found.record) == (MATCH, ee)


@pytest.mark.parametrize(
    ("records", "outcome"),
    [
        # RFC 7671 section 9: of one usage and selector only the strongest digest counts.
        ([record(3, 1, 1, GOOD[0]), record(3, 1, 2, ROOT.der)], MISMATCH),
        ([record(3, 1, 1, ROOT.der), record(3, 1, 2, GOOD[0])], MATCH),
        ([record(2, 0, 1, MIDDLE.der), record(2, 0, 2, zoo.OTHER.der)], MISMATCH),
        # Any of several of that strength is enough.
        ([record(3, 1, 2, ROOT.der), record(3, 1, 2, GOOD[0]), record(3, 1, 1, ROOT.der)], MATCH),
        # Another selector, another usage: they have their own strongest.
        ([record(3, 0, 1, GOOD[0]), record(3, 1, 2, ROOT.der)], MATCH),
        ([record(3, 1, 1, GOOD[0]), record(2, 1, 2, ROOT.der)], MATCH),
        ([record(2, 1, 1, MIDDLE.der), record(3, 1, 2, ROOT.der)], NAMED),
        # Exact data is no digest: it counts beside one, and does not outdo one.
        ([record(3, 1, 0, GOOD[0]), record(3, 1, 2, ROOT.der)], MATCH),
        ([record(3, 1, 0, ROOT.der), record(3, 1, 1, GOOD[0])], MATCH),
        # What cannot be used outdoes nothing (RFC 7672 section 2.2).
        (
            [
                record(3, 1, 1, GOOD[0]),
                Tlsa(usage=3, selector=1, matching_type=2, data=bytes(32)),
                Tlsa(usage=3, selector=1, matching_type=3, data=bytes(64)),
            ],
            MATCH,
        ),
    ],
)
def test_which_digests_count(records: list[Tlsa], outcome: DaneMatchOutcome) -> None:
    assert match(records, GOOD, at=NOW).outcome is outcome
    assert match(records[::-1], GOOD, at=NOW).outcome is outcome


@pytest.mark.parametrize(
    "other",
    [
        record(1, 1, 1, GOOD[0]),  # PKIX-EE: RFC 7672 section 3.1.3
        record(0, 0, 1, ROOT.der),  # PKIX-TA
        Tlsa(usage=3, selector=9, matching_type=1, data=bytes(32)),  # an unknown selector
        Tlsa(usage=3, selector=1, matching_type=9, data=bytes(32)),  # an unknown matching type
        Tlsa(usage=3, selector=1, matching_type=1, data=bytes(20)),  # too short
    ],
)
def test_records_that_cannot_be_used_change_nothing_beside_usable_ones(other: Tlsa) -> None:
    """RFC 7672 section 2.2: one usable record makes authentication mandatory."""
    good, stale = record(3, 1, 1, GOOD[0]), record(3, 1, 1, ROOT.der)
    assert match([other], GOOD, at=NOW).outcome is UNUSABLE
    assert match([other, good], GOOD, at=NOW).outcome is MATCH
    assert match([other, stale], GOOD, at=NOW).outcome is MISMATCH


def test_no_chain_is_a_mismatch_and_no_usable_record_says_nothing() -> None:
    assert match([record(3, 1, 1, GOOD[0])], ()).outcome is MISMATCH
    assert match([], GOOD).outcome is UNUSABLE
    assert match([record(1, 1, 1, GOOD[0]), record(0, 0, 1, ROOT.der)], GOOD).outcome is UNUSABLE


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ((3, 1, 1, bytes(32)), True),
        ((3, 1, 2, bytes(64)), True),
        ((2, 0, 1, bytes(32)), True),
        ((3, 0, 0, GOOD[0]), True),
        ((3, 1, 0, spki(GOOD[0])), True),
        ((0, 0, 1, bytes(32)), False),  # PKIX-TA: RFC 7672 section 3.1.3
        ((1, 1, 1, bytes(32)), False),  # PKIX-EE
        ((4, 1, 1, bytes(32)), False),
        ((255, 1, 1, bytes(32)), False),  # private use
        ((3, 2, 1, bytes(32)), False),
        ((3, 255, 1, bytes(32)), False),
        ((3, 1, 3, bytes(32)), False),
        ((3, 1, 255, bytes(32)), False),
        ((3, 1, 1, bytes(20)), False),  # a SHA-1 digest
        ((3, 1, 1, bytes(64)), False),  # a SHA-512 digest under the number of SHA-256
        ((3, 1, 2, bytes(32)), False),
        ((3, 1, 1, b""), False),
        ((3, 1, 0, b""), False),
        ((3, 0, 0, bytes(32)), False),  # a digest under the number of the whole certificate
        ((3, 0, 0, spki(GOOD[0])), False),  # a key under the number of the certificate
        ((3, 1, 0, bytes(32)), False),
    ],
)
def test_which_records_are_usable(fields: tuple[int, int, int, bytes], outcome: bool) -> None:
    usage, selector, matching_type, data = fields
    assert (
        usable(Tlsa(usage=usage, selector=selector, matching_type=matching_type, data=data))
        is outcome
    )


RECORDS = st.builds(
    Tlsa,
    usage=st.integers(0, 4),
    selector=st.integers(0, 2),
    matching_type=st.integers(0, 3),
    data=st.binary(max_size=64)
    | st.sampled_from([GOOD[0], MIDDLE.der, spki(MIDDLE.der), b"\x30\0"]),
)


@given(
    st.lists(RECORDS, max_size=4),
    st.lists(st.sampled_from(WITH_ROOT) | st.binary(max_size=20), max_size=4),
)
def test_no_records_and_no_chain_raise(records: list[Tlsa], chain: list[bytes]) -> None:
    found = match(records, chain, at=NOW)
    assert (found.outcome is UNUSABLE) == (not any(map(usable, records)))
    assert (found.record is not None) == (found.outcome in (MATCH, NAMED))


def test_the_wrapped_key_is_a_certificate() -> None:
    """What stands around a bare key is read by the strict library as well."""
    wrapped = anchor_of_key(der.outline(MIDDLE.der).subject, spki(MIDDLE.der))
    assert x509.load_der_x509_certificate(wrapped).subject == MIDDLE.certificate.subject
