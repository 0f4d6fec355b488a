"""The commands as a user meets them: what they print, how they end, what they leave behind."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from crawler.cli import main
from crawler.snapshot.store import Archive


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demonstration of 60 domains, scanned once for this module."""
    folder = tmp_path_factory.mktemp("demo")
    result = run("demo", "--out", str(folder), "--domains", "60")
    assert result.exit_code == 0, result.output
    return folder


def run(*arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(main, list(arguments), **more)


def scan_in(folder: Path, source: str = "list.txt", archive: str = "archive") -> Result:
    """Scan a list of *folder* with the configuration that lies there."""
    return run(
        "scan",
        str(folder / source),
        "--out",
        str(folder / archive),
        "--config",
        str(folder / "scan.toml"),
    )


def test_demo_compares_itself_with_the_truth(tmp_path: Path) -> None:
    result = run("demo", "--out", str(tmp_path), "--domains", "40")
    assert result.exit_code == 0
    assert "40 of 40 domains agree with the truth" in result.stderr
    assert Path(result.stdout.strip()).joinpath("manifest.json").is_file()


def test_a_sealed_scan_says_so_and_is_left_alone(demo: Path) -> None:
    (folder,) = (demo / "archive").iterdir()
    before = (folder / "manifest.json").read_bytes()
    scan_id = folder.name.removeprefix("scan=")
    arguments = ["scan", str(demo / "lab" / "domains.csv"), "--out", str(demo / "archive")]
    result = run(*arguments, "--config", str(demo / "lab" / "lab.toml"), "--scan-id", scan_id)
    assert result.exit_code == 0
    assert "sealed already" in result.stderr
    assert (folder / "manifest.json").read_bytes() == before


def test_judging_again_gives_every_judged_row_again(demo: Path) -> None:
    (folder,) = (demo / "archive").iterdir()
    judged = ("assessments", "policy_verdicts", "mail_verdicts", "findings_catalogue")

    def rows() -> dict[str, list[dict[str, Any]]]:
        return {t: sorted(pq.read_table(folder / t).to_pylist(), key=str) for t in judged}

    before = rows()
    assert all(before.values())
    result = run("assess", str(demo / "archive"), "--scan-id", folder.name.removeprefix("scan="))
    assert result.exit_code == 0, result.output
    assert rows() == before
    assert not (folder / "_work").exists()


def test_k7_the_manifest_names_what_the_scan_rests_on(demo: Path) -> None:
    (folder,) = (demo / "archive").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["state"] == "sealed"
    assert manifest["list"]["accepted"] == manifest["tables"]["domains"]["rows"] == 60
    assert manifest["closed_world"] is True
    roots = (folder / "trust-roots.pem").read_bytes()
    assert manifest["trust_store"]["sha256"] == sha256(roots).hexdigest()
    assert manifest["openssl"]["measuring"] == manifest["openssl"]["judging"]
    assert manifest["openssl"]["judging"].startswith("OpenSSL ")
    (resolver,) = manifest["resolver_health"]
    assert [resolver["resolver"]] == manifest["resolvers"]
    lookups = [manifest["tables"][f"{kind}_lookups"]["rows"] for kind in ("txt", "mx")]
    assert resolver["sent"] >= resolver["answered"] >= sum(lookups) // 2
    assert {"trust-roots.pem", "public_suffix_list.dat"} <= {f["path"] for f in manifest["files"]}


CONFIG = '[net]\nallow_addresses = ["127.0.0.0/8"]\n[dns]\nresolvers = ["127.0.0.1:9"]\n'


@pytest.mark.parametrize(
    ("toml", "names"),
    [
        ("[dns]\nresolver = []\n", ["unknown key 'resolver'", "[dns]", "resolvers"]),
        ("[dnss]\n", ["unknown table [dnss]"]),
        ("[dns]\nqueries_per_second = 0\n", ["queries_per_second", "above 0"]),
        ("[dns]\nresolvers = []\n", ["resolvers is empty"]),
        ("[dns]\nresolvers = ['ns.example']\n", ["must be an address"]),
        ("[dns]\nattempts = inf\n", ["[dns] attempts", "not a whole number"]),
        ("[dns]\nattempts = 2.7\n", ["[dns] attempts", "not a whole number"]),
        ("[dns]\nqueries_per_second = inf\n", ["queries_per_second", "not a number"]),
        ("[net]\nsmtp_port = 70000\n", ["[net] smtp_port", "at most 65535"]),
        ("[vantage]\ncanaries = ['mx.example:0']\n", ["scan.toml: [vantage] canaries"]),
        ("[retry]\ndelay = 'soon'\n", ["delay", "not a duration"]),
        ("not toml", ["--config"]),
        ("", ["[identity]", "ehlo_name", "contact", "url"]),
        (CONFIG + "[politeness]\nopt_out = 'none.txt'\n", ["none.txt"]),
        (CONFIG.replace("[dns]", "trust_roots = 'none.pem'\n[dns]"), ["trust_roots", "none.pem"]),
    ],
    ids=lambda value: value.splitlines()[-1][:30] if isinstance(value, str) and value else "",
)
def test_a_bad_configuration_is_one_sentence_and_writes_nothing(
    tmp_path: Path, toml: str, names: list[str]
) -> None:
    (tmp_path / "scan.toml").write_text(toml)
    (tmp_path / "list.txt").write_text("example.com\n")
    result = scan_in(tmp_path)
    assert result.exit_code == 2, result.output
    assert all(name in result.stderr for name in names), result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "archive").exists()


def test_a_configuration_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "scan.toml").write_text(CONFIG, "utf-8-sig")
    result = scan_in(tmp_path, "none.txt")
    assert "none.txt cannot be read" in result.stderr


def test_a_list_that_cannot_be_read_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "scan.toml").write_text(CONFIG)
    result = scan_in(tmp_path, "none.txt")
    assert result.exit_code == 2
    assert "none.txt" in result.stderr
    assert not (tmp_path / "archive").exists()


def test_a_resolver_that_does_not_answer_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "scan.toml").write_text(CONFIG + 'timeout = "50ms"\n')
    (tmp_path / "list.txt").write_text("example.com\n")
    result = scan_in(tmp_path)
    assert result.exit_code == 1
    assert "none answers" in result.stderr
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize("scope", ["some", "sample", "sample:0", "sample:2", "all:1"])
def test_a_scope_that_is_none(tmp_path: Path, scope: str) -> None:
    result = run("scan", "-", "--out", str(tmp_path / "archive"), "--scope", scope)
    assert result.exit_code == 2
    assert "sample:RATE" in result.output


@pytest.mark.parametrize("share", ["4/4", "1", "-1/4", "a/b", "0/0", "1/4/8"])
def test_a_share_that_is_none(tmp_path: Path, share: str) -> None:
    result = run("scan", "-", "--out", str(tmp_path / "archive"), "--shard", share)
    assert result.exit_code == 2
    assert "I from 0 to N-1" in result.output


def test_workers_of_nobody(tmp_path: Path) -> None:
    result = run("scan", "-", "--out", str(tmp_path / "archive"), "--workers", "2")
    assert result.exit_code == 2
    assert "--workers needs --executor processes or ray" in result.output


def test_sealing_what_is_not_there_or_has_not_begun(tmp_path: Path) -> None:
    Archive(tmp_path).create_scan("s")
    missing = run("seal", str(tmp_path), "--scan-id", "t")
    assert (missing.exit_code, "it holds: s" in missing.stderr) == (2, True)
    empty = run("seal", str(tmp_path), "--scan-id", "s")
    assert (empty.exit_code, "has not read its list" in empty.stderr) == (2, True)


def test_purging_what_holds_no_scan_is_not_taken_for_done(tmp_path: Path) -> None:
    (tmp_path / "opt-out.txt").write_text("example.com\n")
    result = run("purge", str(tmp_path), "--opt-out", str(tmp_path / "opt-out.txt"))
    assert (result.exit_code, "holds no scan" in result.stderr) == (2, True)


def test_an_archive_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "scan.toml").write_text(CONFIG)
    (tmp_path / "list.txt").write_text("example.com\n")
    result = scan_in(tmp_path, archive="list.txt")
    assert result.exit_code == 2
    assert "is a file" in result.stderr


@pytest.mark.parametrize("how", [["--export"], []])
def test_a_lab_in_a_place_that_is_a_file(tmp_path: Path, how: list[str]) -> None:
    (tmp_path / "list.txt").write_text("example.com\n")
    result = run("lab", "--dir", str(tmp_path / "list.txt"), "--domains", "1", *how)
    assert (result.exit_code, "list.txt" in result.stderr) == (1, True), result.output


def test_check_of_something_that_is_no_domain() -> None:
    result = run("check", "not a domain")
    assert result.exit_code == 2
    assert "example.com" in result.stderr


def test_check_of_the_public_internet_says_who_asks() -> None:
    result = run("check", "example.com", env={"STS_DNS_RESOLVERS": "127.0.0.1:9"})
    assert result.exit_code == 2
    assert "[identity] ehlo_name, contact, url not set" in result.stderr


def test_every_command_explains_itself_and_stands_in_the_readme() -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text()
    for name, command in main.commands.items():
        assert command.help, name
        assert name in readme, name
