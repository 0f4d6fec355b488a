"""Chains are judged as senders see them, every reason is named, and nothing hangs or raises."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from cryptography.x509 import verification
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import crypto

from crawler.protocol import path
from crawler.protocol.certificate import printable
from crawler.protocol.chain import PROBLEMS, ChainJudge, Verdict
from crawler.vocabulary import CertificateProblem as P
from tests.protocol import zoo
from tests.protocol.zoo import DAY, HOST, NOW

JUDGE = ChainJudge(zoo.ROOTS)
GOOD = zoo.zoo()["good"].chain


@pytest.mark.parametrize("name", zoo.zoo())
def test_every_animal_of_the_zoo(name: str) -> None:
    """Every reason, OpenSSL's first failure, and whether the stricter verifier agrees."""
    animal = zoo.zoo()[name]
    verdict = JUDGE.judge(animal.chain, HOST, NOW)
    assert verdict.problems == animal.problems
    assert (verdict.openssl_code, verdict.openssl_depth) == (animal.code, animal.depth)
    if animal.webpki is not None:
        assert (verdict.webpki_error is None) == animal.webpki


def test_the_zoo_is_large_enough_to_be_called_one() -> None:
    assert len(zoo.zoo()) >= 60
    shown = {problem for animal in zoo.zoo().values() for problem in animal.problems}
    assert shown == set(P)


def test_no_chain_is_no_verdict() -> None:
    assert JUDGE.judge((), HOST, NOW) == Verdict()


def test_a_trusted_certificate_may_be_presented_itself() -> None:
    """A host whose own certificate is an anchor passes: trust needs no further reason."""
    own = zoo.leaf(issuer=None)
    assert ChainJudge(zoo.pem(own)).judge((own,), HOST, NOW).problems == ()


def test_an_anchor_that_is_not_self_signed_ends_no_path() -> None:
    """OpenSSL's default, without PARTIAL_CHAIN, on every version of Python."""
    verdict = ChainJudge(zoo.pem(zoo.MIDDLE.der)).judge(GOOD, HOST, NOW)
    assert verdict.openssl_code == 2
    assert verdict.problems == (P.MISSING_INTERMEDIATE,)


def test_strictness_beyond_the_default_is_off() -> None:
    """Without key identifiers and keyUsage X509_STRICT (Python 3.13's default) says no."""
    root = zoo.plain("Plain Root", None)
    leaf = zoo.plain(HOST, root, names=[HOST])
    verdict = ChainJudge(zoo.pem(root.der)).judge((leaf.der,), HOST, NOW)
    assert (verdict.problems, verdict.openssl_code) == ((), 0)
    assert verdict.webpki_error is not None


# Missing intermediate or unknown issuer.


def without_url() -> bytes:
    return zoo.leaf(aia=False)


def test_a_lone_leaf_that_names_no_source_has_an_unknown_issuer() -> None:
    assert JUDGE.judge((without_url(),), HOST, NOW).problems == (P.UNKNOWN_ISSUER,)


def test_an_intermediate_seen_elsewhere_makes_it_a_missing_one() -> None:
    judge = ChainJudge(zoo.ROOTS, known_intermediates=[zoo.MIDDLE.der, zoo.OTHER.der, b"junk"])
    assert judge.judge((without_url(),), HOST, NOW).problems == (P.MISSING_INTERMEDIATE,)


def test_a_known_issuer_that_leads_nowhere_outweighs_a_url() -> None:
    """A private CA's leaf may carry a URL; that its CA is known and untrusted settles it."""
    lone = zoo.leaf(issuer=zoo.STRANGER, aia=True)
    judge = ChainJudge(zoo.ROOTS, known_intermediates=[zoo.STRANGER.der])
    assert JUDGE.judge((lone,), HOST, NOW).problems == (P.MISSING_INTERMEDIATE,)
    assert judge.judge((lone,), HOST, NOW).problems == (P.UNKNOWN_ISSUER,)


def test_two_intermediates_may_be_missing() -> None:
    deep = zoo.authority("Zoo Deep", zoo.MIDDLE, aia=False)
    judge = ChainJudge(zoo.ROOTS, known_intermediates=[deep.der, zoo.MIDDLE.der])
    lone = zoo.leaf(issuer=deep, aia=False)
    assert judge.judge((lone,), HOST, NOW).problems == (P.MISSING_INTERMEDIATE,)


def test_what_is_known_makes_no_chain_pass() -> None:
    judge = ChainJudge(zoo.ROOTS, known_intermediates=[zoo.MIDDLE.der])
    assert judge.judge(GOOD[:1], HOST, NOW).openssl_code == 20


# Time.


def test_the_verdict_is_that_of_the_time_asked_about() -> None:
    """One chain over its life, in an order that would show a stale memory."""
    expected = {
        NOW - 31 * DAY: (P.NOT_YET_VALID,),
        NOW: (),
        NOW + 61 * DAY: (P.EXPIRED,),
        NOW - 3 * 365 * DAY: (P.NOT_YET_VALID,),
        NOW + 9 * 365 * DAY: (P.EXPIRED,),
        NOW + DAY: (),
    }
    judge = ChainJudge(zoo.ROOTS)
    for _ in range(2):
        for at, problems in expected.items():
            assert judge.judge(GOOD, HOST, at).problems == problems


@pytest.mark.parametrize("seconds", [-1, 0, 1])
@pytest.mark.parametrize("end", [-30 * DAY, 60 * DAY])
def test_memory_changes_nothing_at_the_very_edge(end: timedelta, seconds: int) -> None:
    """A judge that has seen the second before and after says what a fresh one says."""
    at = NOW + end + timedelta(seconds=seconds, microseconds=500)
    used = ChainJudge(zoo.ROOTS)
    for other in (-2, -1, 0, 1, 2):
        used.judge(GOOD, HOST, NOW + end + timedelta(seconds=other))
    assert used.judge(GOOD, HOST, at) == ChainJudge(zoo.ROOTS).judge(GOOD, HOST, at)


def test_a_second_before_the_end_it_passes_and_a_second_after_it_has_expired() -> None:
    last = NOW + 60 * DAY
    assert P.EXPIRED in JUDGE.judge(GOOD, HOST, last + timedelta(seconds=1)).problems
    assert JUDGE.judge(GOOD, HOST, last - timedelta(seconds=1)).problems == ()


def test_a_time_without_a_zone_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="zone"):
        JUDGE.judge(GOOD, HOST, datetime(2025, 6, 1))


def test_the_zone_of_the_time_does_not_matter() -> None:
    """An hour after the end of the validity, written as a time of day before it."""
    at = (NOW + 60 * DAY + timedelta(hours=1)).astimezone(timezone(timedelta(hours=-12)))
    assert JUDGE.judge(GOOD, HOST, at).problems == (P.EXPIRED,)
    early = (NOW - 30 * DAY - timedelta(hours=1)).astimezone(timezone(timedelta(hours=12)))
    assert JUDGE.judge(GOOD, HOST, early).problems == (P.NOT_YET_VALID,)


@given(st.datetimes(timezones=st.just(UTC)))
@settings(deadline=None, max_examples=30)
def test_any_time_can_be_asked_about(at: datetime) -> None:
    verdict = JUDGE.judge(GOOD, HOST, at)
    assert (verdict.problems == ()) == (NOW - 30 * DAY <= at < NOW + 60 * DAY)


def test_a_known_verdict_comes_back_in_microseconds() -> None:
    """The fastest of many, so that a busy machine does not matter."""
    JUDGE.judge(GOOD, HOST, NOW)
    fastest = 1.0
    for n in range(200):
        started = time.perf_counter()
        JUDGE.judge(GOOD, HOST, NOW + timedelta(seconds=n))
        fastest = min(fastest, time.perf_counter() - started)
    assert fastest < 100e-6


WILD = [
    (zoo.leaf(names), zoo.MIDDLE.der)
    for names in (
        "*.example.com",
        ("*.example.com", "mx.example.com", "*.mail.example.com"),
        ("mx.example.com", "a.example.com"),
        ("*.com", "*.example.com"),
        ("*.example.com", "a b"),  # an entry that is no name
    )
]
WILD.append((zoo.leaf("*.example.com", end=-DAY), zoo.MIDDLE.der))
LABELS = st.sampled_from(
    ["mx", "a", "customer-com", "-mx", "mx-", "_dmarc", "m*", "*", "b\xfc", "x" * 63, "x" * 64]
)


@given(
    st.sampled_from(WILD),
    st.lists(
        st.builds(
            "{}.{}".format,
            LABELS,
            st.sampled_from(["example.com", "mail.example.com", "com", ".example.com"])
            | st.integers(200, 260).map(lambda n: ("y" * 49 + ".") * (n // 50) + "example.com"),
        )
        | LABELS,
        min_size=2,
        max_size=4,
    ),
)
@settings(max_examples=60)
def test_hosts_under_one_wildcard_are_judged_alike_and_as_if_alone(
    chain: tuple[bytes, ...], hosts: list[str]
) -> None:
    """What the judge remembers of one host under a wildcard is what it would find for the next."""
    judge = ChainJudge(zoo.ROOTS)
    for host in hosts:
        alone = ChainJudge(zoo.ROOTS).judge(chain, host, NOW)
        assert judge.judge(chain, host, NOW) == alone
        assert alone.webpki_error == webpki(chain, host)


def webpki(chain: tuple[bytes, ...], host: str) -> str | None:
    """The verifier's own complaint about this very host."""
    leaf, *others = map(x509.load_der_x509_certificate, chain)
    store = verification.Store(x509.load_pem_x509_certificates(zoo.ROOTS))
    try:
        builder = verification.PolicyBuilder().store(store).time(NOW.replace(tzinfo=None))
        builder.build_server_verifier(x509.DNSName(host)).verify(leaf, others)
    except (verification.VerificationError, ValueError) as error:
        return printable(str(error).partition(" (encountered processing")[0])
    return None


# What is done to us.


@pytest.mark.parametrize("count", [2, 3, 10, 15, 60])
def test_k8_h16_pathological_chains_are_judged_within_a_second(count: int) -> None:
    """An unbounded verifier gave no answer in ten minutes."""
    started = time.perf_counter()
    verdict = ChainJudge(zoo.ROOTS).judge(zoo.pathological(count), HOST, NOW)
    assert time.perf_counter() - started < 1
    assert P.UNKNOWN_ISSUER in verdict.problems
    assert verdict.webpki_error is not None


def test_certificates_beyond_the_cap_are_not_looked_at() -> None:
    padding = tuple(zoo.authority(f"Padding {n}").der for n in range(20))
    late = (GOOD[0], *padding, GOOD[1])
    assert JUDGE.judge(late, HOST, NOW).problems == (P.MISSING_INTERMEDIATE,)
    patient = ChainJudge(zoo.ROOTS, max_certificates=40)
    assert patient.judge(late, HOST, NOW).problems == ()


def test_a_host_that_is_no_host_name_is_a_mismatch() -> None:
    for host in ("", "_x.example.com", "mx.example.com\0", "*.example.com", "bücher.example.com"):
        assert JUDGE.judge(GOOD, host, NOW).problems == (P.NAME_MISMATCH,)


MUTANTS = [GOOD, zoo.zoo()["RSA-PSS"].chain, zoo.zoo()["name permitted"].chain]


@given(st.sampled_from(MUTANTS), st.integers(0, 1), st.data())
@settings(deadline=None)
def test_no_mutant_raises_or_passes(
    chain: tuple[bytes, bytes], which: int, data: st.DataObject
) -> None:
    """One octet of one certificate changed: every octet is signed, or is the signature."""
    octets = bytearray(chain[which])
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    mutated = [bytes(octets) if n == which else c for n, c in enumerate(chain)]
    assert JUDGE.judge(mutated, HOST, NOW).problems != ()


@given(st.lists(st.binary(max_size=40) | st.sampled_from(GOOD), max_size=4))
@settings(deadline=None)
def test_no_octets_raise(chain: list[bytes]) -> None:
    JUDGE.judge(chain, HOST, NOW)


def test_the_order_of_presenting_does_not_matter() -> None:
    """RFC 8446 section 4.4.2: "implementations SHOULD be prepared to handle" any order."""
    leaf, *others = zoo.zoo()["cross-signed, one expired"].chain
    verdicts = set()
    for seed in range(6):
        random.Random(seed).shuffle(others)
        verdicts.add(JUDGE.judge((leaf, *others), HOST, NOW).problems)
    assert verdicts == {()}


# Trust anchors.


def test_roots_that_cannot_be_read_are_our_mistake() -> None:
    for pem in (b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(ValueError, match="no trust anchor"):
            ChainJudge(pem)


def test_one_bad_anchor_spoils_no_other() -> None:
    bad = b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"
    judge = ChainJudge(bad + b"# a comment\n" + zoo.ROOTS + zoo.ROOTS)
    assert judge.judge(GOOD, HOST, NOW).problems == ()


# Against OpenSSL.


def test_the_table_uses_openssls_numbers() -> None:
    lib = Binding().lib
    named = {
        lib.X509_V_ERR_CERT_SIGNATURE_FAILURE: P.UNKNOWN_ISSUER,
        lib.X509_V_ERR_CERT_NOT_YET_VALID: P.NOT_YET_VALID,
        lib.X509_V_ERR_CERT_HAS_EXPIRED: P.EXPIRED,
        lib.X509_V_ERR_INVALID_PURPOSE: P.WRONG_PURPOSE,
        lib.X509_V_ERR_KEYUSAGE_NO_CERTSIGN: P.WRONG_PURPOSE,
        lib.X509_V_ERR_PERMITTED_VIOLATION: P.NAME_CONSTRAINT,
        lib.X509_V_ERR_EXCLUDED_VIOLATION: P.NAME_CONSTRAINT,
        lib.X509_V_ERR_INVALID_CA: P.WRONG_PURPOSE,
    }
    assert {code: PROBLEMS[code] for code in named} == named


@pytest.mark.parametrize("name", zoo.zoo())
def test_the_purpose_rule_is_openssls(name: str) -> None:
    """Where OpenSSL, given its own purpose, finds fault with it, so do we, and nowhere else."""
    lib = Binding().lib
    leaf, *others = (path.link(c) for c in zoo.zoo()[name].chain)
    if leaf.openssl is None:
        return
    store = crypto.X509Store()
    store.set_time(NOW)
    lib.X509_STORE_set_purpose(store._store, lib.X509_PURPOSE_SSL_SERVER)
    for root in (zoo.ROOT, zoo.SECOND_ROOT):
        store.add_cert(crypto.X509.from_cryptography(root.certificate))
    pool = [o.openssl for o in others if o.openssl is not None]
    context = crypto.X509StoreContext(store, leaf.openssl, pool)
    verdict = JUDGE.judge(zoo.zoo()[name].chain, HOST, NOW)
    theirs = (0, None)
    try:
        context.verify_certificate()
    except crypto.X509StoreContextError as error:
        theirs = tuple(error.errors[:2])
    assert (verdict.openssl_code, verdict.openssl_depth) == theirs
