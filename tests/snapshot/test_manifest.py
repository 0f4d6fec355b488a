"""The manifest says everything, comes back as it was, and finds what is not as it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crawler.records import TxtLookup
from crawler.snapshot import manifest, parts
from crawler.snapshot.manifest import Manifest, Problem
from crawler.snapshot.seal import seal
from crawler.snapshot.store import Archive
from tests.snapshot.samples import SCAN, facts, txt

PART = "txt_lookups/part-names-00000-r0.parquet"

PROMISED = {
    "scan_id", "started_at", "ended_at", "software_version", "configuration", "list", "seed",
    "resolvers", "resolver_health", "vantage", "public_suffix_list", "trust_store", "openssl", "rules_version",
    "tables", "state", "schema_version",
}  # fmt: skip
"""What the design promises of ``manifest.json``."""


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    folder = Archive(tmp_path).create_scan(SCAN)
    folder.commit("names-00000-r0", {TxtLookup: [txt(f"{n}.example") for n in range(50)]})
    folder.write_file("trust-roots.pem", b"pem")
    with folder.lock():
        seal(folder, facts(more={"control_sample": 0.01}))
    return folder.path


def test_it_states_what_the_design_promises(scan: Path) -> None:
    stated = json.loads((scan / "manifest.json").read_text())
    assert set(stated) >= PROMISED | {"control_sample"}
    assert stated["state"] == "sealed"
    assert datetime.fromisoformat(stated["started_at"]).tzinfo == UTC


def test_it_comes_back_as_it_was(scan: Path) -> None:
    read = manifest.read(scan)
    assert read == Manifest.from_json(read.to_json())


def test_a_fact_is_named_once() -> None:
    with pytest.raises(AssertionError, match="twice"):
        manifest.facts_as_json(facts(more={"seed": "2"}))


def test_a_fact_that_json_cannot_hold_is_our_mistake() -> None:
    with pytest.raises(TypeError, match="no place in a manifest"):
        manifest.facts_as_json(facts(more={"judge": object()}))


def test_an_untouched_scan_verifies(scan: Path) -> None:
    assert manifest.verify(scan) == []


def test_one_flipped_bit_is_found_wherever_it_is(scan: Path) -> None:
    content = (scan / PART).read_bytes()
    for position in range(0, len(content), 97):
        flipped = bytearray(content)
        flipped[position] ^= 1
        (scan / PART).write_bytes(flipped)
        assert manifest.verify(scan) == [Problem(path=PART, kind="changed")]


def test_what_is_missing_cut_or_added_is_found(scan: Path) -> None:
    parts.write(scan / "mx_lookups" / "part-more.parquet", TxtLookup, [])
    (scan / "trust-roots.pem").write_bytes(b"other")
    (scan / PART).unlink()
    assert manifest.verify(scan) == [
        Problem(path=PART, kind="missing"),
        Problem(path="trust-roots.pem", kind="changed"),
        Problem(path="mx_lookups/part-more.parquet", kind="unlisted"),
    ]


def test_an_unsealed_scan_has_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        manifest.read(Archive(tmp_path).create_scan(SCAN).path)
