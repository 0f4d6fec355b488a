"""A release is described as it is: every file is read back and held against the words about it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from analysis.archive import Archive, open_archive
from analysis.catalogue import find, questions
from analysis.cli import main
from analysis.release import contents, describe, folder
from analysis.release.contents import slug
from analysis.release.folder import NotOurs, replaced
from analysis.scans import find_scans
from tests.analysis.archive_fixture import KINDS, SCANS
from tests.analysis.asking import FIRST


def export(archive: Path, out: Path, *more: str) -> Result:
    """Run the command as its user does."""
    return CliRunner().invoke(main, ["export", str(archive), "--out", str(out), *more])


@pytest.fixture(scope="module")
def release(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted archive, released with its evidence."""
    out = tmp_path_factory.mktemp("release") / "deep" / "out"
    done = export(planted, out, "--evidence", "--author", 'Ada "A." Person', "--license", "CC0-1.0")
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    return out


@pytest.fixture(scope="module")
def package(release: Path) -> Mapping[str, Any]:
    """Its data package."""
    read: Mapping[str, Any] = json.loads((release / "datapackage.json").read_text("utf-8"))
    return read


# --- a reader of Frictionless descriptors, of what they use here


def is_json(kind: type) -> Callable[[str], bool]:
    """Whether a cell is JSON of that kind."""
    return lambda cell: isinstance(json.loads(cell), kind)


CELLS: Mapping[str, Callable[[str], bool]] = {
    "string": lambda _: True,
    "integer": lambda cell: re.fullmatch(r"-?\d+", cell) is not None,
    "number": lambda cell: isinstance(float(cell), float),
    "boolean": lambda cell: cell in ("true", "false"),
    "array": is_json(list),
}

PARQUET: Mapping[str, Callable[[pa.DataType], bool]] = {
    "string": lambda t: pa.types.is_string(t) or pa.types.is_binary(t),
    "integer": pa.types.is_integer,
    "number": pa.types.is_floating,
    "boolean": pa.types.is_boolean,
    "datetime": pa.types.is_timestamp,
    "array": pa.types.is_list,
}


def files(release: Path, resource: Mapping[str, Any]) -> list[Path]:
    """The files of a resource."""
    path = resource["path"]
    return [release / p for p in ([path] if isinstance(path, str) else path)]


def rows_of(path: Path, fields: list[Mapping[str, str]]) -> Iterator[Mapping[str, Any]]:
    """The rows of a file, each held against the schema."""
    names = [field["name"] for field in fields]
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        assert table.column_names == names
        assert all(PARQUET[f["type"]](table.schema.field(f["name"]).type) for f in fields)
        yield from table.to_pylist()
        return
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        assert next(reader) == names
        for row in reader:
            assert len(row) == len(names), path
            for cell, field in zip(row, fields, strict=True):
                assert cell == "" or CELLS[field["type"]](cell), (path, field, cell)
            yield dict(zip(names, row, strict=True))


def test_every_resource_is_as_its_schema_says(release: Path, package: Mapping[str, Any]) -> None:
    """Header, types, size, hash, key; and no two share a name."""
    names = [resource["name"] for resource in package["resources"]]
    assert len(set(names)) == len(names)
    for resource in package["resources"]:
        assert re.fullmatch(r"[a-z0-9._-]+", resource["name"])
        schema = resource["schema"]
        found = [row for p in files(release, resource) for row in rows_of(p, schema["fields"])]
        if isinstance(resource["path"], str):
            content = files(release, resource)[0].read_bytes()
            assert resource["bytes"] == len(content)
            assert resource["hash"] == f"sha256:{sha256(content).hexdigest()}"
        if key := schema.get("primaryKey"):
            assert len({tuple(row[k] for k in key) for row in found}) == len(found) > 0


def test_every_column_is_explained(package: Mapping[str, Any]) -> None:
    """In the data package, and so in the dictionary that is made from the same."""
    assert not [
        (resource["name"], field["name"])
        for resource in package["resources"]
        for field in resource["schema"]["fields"]
        if not field.get("description")
    ]


def test_the_dictionary_names_every_file_and_column(
    release: Path, package: Mapping[str, Any]
) -> None:
    """With the same types."""
    text = (release / "DICTIONARY.md").read_text("utf-8")
    parts = {part.partition("\n")[0]: part for part in text.split("\n## ")[1:]}
    assert list(parts) == [resource["name"] for resource in package["resources"]]
    for resource in package["resources"]:
        part = parts[resource["name"]]
        assert all(f"`{p.relative_to(release)}`" in part for p in files(release, resource))
        for field in resource["schema"]["fields"]:
            assert f"| `{field['name']}` | {field['type']} | " in part


def test_the_sums_list_every_file(release: Path, package: Mapping[str, Any]) -> None:
    """And each is named in the package, is a manifest, or is one of the texts."""
    lines = (release / "SHA256SUMS").read_text("utf-8").splitlines()
    listed = {line[66:]: line[:64] for line in lines}
    there = {str(p.relative_to(release)): p for p in release.rglob("*") if p.is_file()}
    assert set(there) - {"SHA256SUMS"} == set(listed)
    assert all(sha256(there[n].read_bytes()).hexdigest() == digest for n, digest in listed.items())
    described = {
        str(p.relative_to(release)) for r in package["resources"] for p in files(release, r)
    }
    assert {name for name in set(listed) - described if not name.endswith("manifest.json")} == {
        "CITATION.cff", "DICTIONARY.md", "METHOD.md", "README.md", "datapackage.json",
        *(f"manifests/{scan}.json" for scan in SCANS),
    }  # fmt: skip


def test_aggregates_are_the_answers(release: Path, archive: Archive) -> None:
    """Every question has its file; one of them counted from the plan."""
    assert {p.stem for p in (release / "aggregates").iterdir()} == set(questions())
    with (release / "aggregates" / "adoption.csv").open(newline="") as lines:
        first, second = csv.DictReader(lines)
    assert [first[c] for c in ("scan_id", "n", "of_n", "left_out")] == [FIRST, "113", "383", "12"]
    assert float(second["share"]) == 112 / 372


def test_domains_are_those_that_were_planted(release: Path) -> None:
    """One row each, in the order of their names, with judgement, rank and attribution."""
    table = pq.read_table(release / "domains" / f"{FIRST}.parquet")
    rows = {row["domain"]: row for row in table.to_pylist()}
    assert len(rows) == table.num_rows == sum(kind.count[0] for kind in KINDS)
    assert list(rows) == sorted(rows)
    one = rows["protected-3.com"]
    assert (one["rank"], one["rank_band"], one["sender_outcome"]) == (4, "1 to 100", "protected")
    assert (one["mx_operator"], one["policy_provider"]) == ("Google", "PowerDMARC")
    assert table.schema.field("sender_outcome").metadata[b"doc"]


def test_the_evidence_is_an_archive(release: Path) -> None:
    """It answers as the archive does."""
    with open_archive(release / "evidence") as again:
        rows = find("adoption").ask(again).records()
    assert [(row["n"], row["of_n"]) for row in rows] == [(113, 383), (112, 372)]


def test_the_citation_and_the_readme_say_who_and_what(
    release: Path, package: Mapping[str, Any]
) -> None:
    """In the form of CFF 1.2.0: message, title, authors and type; a quote in a name does no harm."""
    lines = (release / "CITATION.cff").read_text("utf-8").splitlines()
    assert lines[0] == "cff-version: 1.2.0"
    said = dict(line.split(": ", 1) for line in lines if not line.startswith((" ", "authors")))
    assert said["type"] == "dataset"
    assert (
        json.loads(said["title"]) == package["title"] == f"MTA-STS census, {SCANS[0]} to {SCANS[1]}"
    )
    assert json.loads(said["date-released"]) == SCANS[1]
    assert json.loads(said["license"]) == "CC0-1.0"
    assert lines[lines.index("authors:") + 1] == '  - name: "Ada \\"A.\\" Person"'
    assert package["contributors"] == [{"title": 'Ada "A." Person', "role": "author"}]
    text = (release / "README.md").read_text("utf-8")
    assert all(f"| `{scan}` | {scan}T06:00:00+00:00 | adopters | 1 |" in text for scan in SCANS)
    assert "Ada" in text
    assert "CC0-1.0" in text


def test_without_names_the_contact_of_the_scan_is_cited(planted: Path) -> None:
    """Or nobody in particular, where the manifest does not say."""
    scan = find_scans(planted)[0]
    said = {"configuration": {"identity": {"contact": "research@example.org"}}}
    with_contact = type(scan)(scan_id="x", folder=scan.folder, manifest=said)
    assert describe.credit((), None, [scan, with_contact]).authors == (
        "The operators of research@example.org",
    )
    assert describe.credit((), None, [scan]).authors == ("The operators of the scans",)


# --- the same again, and what is not ours


def small(archive: Archive, out: Path) -> Mapping[str, str]:
    """A release of three questions without evidence; its hashes."""
    with replaced(out) as made:
        asked = [find(name) for name in ("rank-weighted", "estimates", "concentration")]
        resources = contents.write(archive, made, asked, evidence=False)
        credited = describe.credit((), None, archive.scans)
        describe.write(made, resources, archive.scans, credited, Path(__file__))
    return folder.digests(out)


def test_a_release_is_the_same_every_time_and_replaces_itself(
    archive: Archive, tmp_path: Path
) -> None:
    """To the last octet, in another folder or over the first; nothing is left beside it."""
    first = small(archive, tmp_path / "one")
    assert len(first) == 3 + 2 + 2 + 2 + 5
    assert small(archive, tmp_path / "two") == first
    assert small(archive, tmp_path / "one") == first
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A release of one file."""
    with replaced(tmp_path / "out") as made:
        (made / "README.md").write_text("one")
    return tmp_path / "out"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    """Somebody has made it for this."""
    with replaced(tmp_path) as made:
        (made / "README.md").write_text("one")
    assert {p.name for p in tmp_path.iterdir()} == {"README.md", "SHA256SUMS"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda out: (out / "notes.txt").write_text("mine"),
        lambda out: (out / "README.md").write_text("my own words"),
        lambda out: (out / "link").symlink_to(out / "README.md"),
        lambda out: (out / "dangling").symlink_to("/nowhere"),
        lambda out: (out / "SHA256SUMS").write_text("nonsense\n"),
        lambda out: (out / "SHA256SUMS").unlink(),
    ],
)
def test_a_folder_that_is_not_ours_is_left_as_it_is(
    ours: Path, spoil: Callable[[Path], Any]
) -> None:
    """Refused by name, before anything is written; the way out is said."""
    spoil(ours)
    before = {p.name: p.is_symlink() or p.read_bytes() for p in ours.iterdir()}
    taken = replaced(ours)
    with pytest.raises(NotOurs, match="give a new or empty folder"):
        taken.__enter__()
    assert {p.name: p.is_symlink() or p.read_bytes() for p in ours.iterdir()} == before


def test_a_release_that_fails_leaves_the_old_one(ours: Path) -> None:
    """And nothing of itself."""
    taken = replaced(ours)
    (taken.__enter__() / "README.md").write_text("two")
    assert not taken.__exit__(OSError, OSError("the disk is full"), None)
    assert (ours / "README.md").read_text() == "one"
    assert [p.name for p in ours.parent.iterdir()] == ["out"]


def test_the_command_refuses_a_strange_folder(planted: Path, tmp_path: Path) -> None:
    """Exit code 2, as for every wrong call."""
    (tmp_path / "thesis.tex").write_text("x")
    refused = export(planted, tmp_path)
    assert refused.exit_code == 2
    assert "is not empty and no release" in refused.stderr


def test_names_of_scans_may_differ_in_case_alone() -> None:
    """A data package has lower-case names, and each once."""
    assert slug("Tranco 2026/Q1") == "tranco-2026-q1"
    scans = [type("S", (), {"scan_id": name})() for name in ("A", "a", "a-2", "b")]
    assert list(contents._names(scans)) == ["a", "a-2", "a-2-2", "b"]
