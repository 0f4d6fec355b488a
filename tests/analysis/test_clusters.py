"""The headline with and without what domains share, and the clusters that moved it, by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analysis.archive import Archive, open_archive
from tests.analysis.archive_fixture import GOOGLE, OWN, Shown, write_archive
from tests.analysis.asking import ask, counts
from tests.analysis.test_providers import bad, good, kind

ITS_OWN = Shown(body="policy of {domain}")
KINDS = (
    # A registrar parks 120 names on one address, which answers all of them alike: all are bad.
    kind("parked", 120, bad("tls"), ipv4="192.0.2.120", policy_host=Shown(body="park"), mx=OWN),
    # Sixty unrelated owners took the same text from their mail operator's manual: all are right.
    kind("manual", 60, good(), ipv4="203.0.113.{number}", policy_host=Shown(body="G"), mx=GOOGLE),
    # Customers of a host, each with its own name and text there; three are bad.
    kind("client", 30, good(), ipv4="198.51.100.{number}", alias="x.host.example", policy_host=ITS_OWN, mx=OWN),
    kind("bad-client", 3, bad("http"), ipv4="198.18.1.{number}", alias="y.host.example", policy_host=ITS_OWN, mx=OWN),
    # Nobody's.
    kind("single", 40, good(), ipv4="198.18.2.{number}", policy_host=ITS_OWN, mx=OWN),
    kind("bad-single", 20, bad("http"), ipv4="198.18.3.{number}", policy_host=ITS_OWN, mx=OWN),
    kind("other", 50),
)  # fmt: skip


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The scan of ``KINDS``: 273 adopters, of whom 143 are misconfigured."""
    with open_archive(write_archive(tmp_path_factory.mktemp("clusters"), KINDS)) as opened:
        yield opened


def test_the_headline_without_clusters(clusters: Archive) -> None:
    """More than half are misconfigured, but without one registrar only 23 of 153 are."""
    found = counts(ask(clusters, "without-clusters"), "shared", "larger_than")
    assert found[None, None] == (143, 273, 0)
    assert found["policy body", 10] == (23, 93, 120 + 60)
    assert found["policy body", 100] == (23, 153, 120)
    assert found["policy body", 500] == (143, 273, 0)
    assert found["policy address", 10] == found["policy address", 100] == (23, 153, 120)
    assert found["alias target", 10] == (140, 240, 33)
    assert found["alias target", 50] == (143, 273, 0)
    assert found["MX operator", 50] == (143, 213, 60)
    assert found["MX operator", 100] == (143, 273, 0)
    assert len(found) == 1 + 4 * 6


def test_the_clusters_that_moved_it(clusters: Archive) -> None:
    """By name, with an example, those that move it most first; up and down."""
    rows = ask(clusters, "clusters")
    assert [(r["shared"], r["n"], r["of_n"], r["moves"]) for r in rows] == [
        ("policy address", 120, 120, pytest.approx(143 / 273 - 23 / 153)),
        ("policy body", 120, 120, pytest.approx(143 / 273 - 23 / 153)),
        ("MX operator", 0, 60, pytest.approx(143 / 273 - 143 / 213)),
        ("policy body", 0, 60, pytest.approx(143 / 273 - 143 / 213)),
        ("alias target", 3, 33, pytest.approx(143 / 273 - 140 / 240)),
    ]
    assert [r["cluster"] for r in rows if r["shared"] != "policy body"] == [
        "192.0.2.120",
        "Google",
        "host.example",
    ]
    assert rows[0]["example"] == "parked-0.com"
    assert rows[0]["headline"] == pytest.approx(143 / 273)
    assert rows[0]["without"] == pytest.approx(23 / 153)


def test_regrouped_without_clusters(clusters: Archive) -> None:
    """The size of a cluster is that in the whole scan, however the adopters are grouped."""
    found = counts(ask(clusters, "without-clusters", "rank"), "rank_band", "shared", "larger_than")
    assert found["no rank", "policy body", 100] == (23, 153, 120)
