"""Domain lists in, the ``domains`` table out."""

from __future__ import annotations

import gzip
import io
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.protocol import names
from crawler.records import Domain
from crawler.snapshot import files, lists, parts
from crawler.snapshot.list_staging import reason_for
from crawler.snapshot.lists import REASONS, ListError, ListSummary
from crawler.snapshot.sharding import shard_of, visit_order
from crawler.snapshot.store import Archive, ScanFolder
from crawler.snapshot.suffixes import Suffixes
from tests.snapshot.samples import SCAN

SUFFIXES = Suffixes.bundled()


@pytest.fixture
def folder(tmp_path: Path) -> ScanFolder:
    return Archive(tmp_path / "archive").create_scan(SCAN)


def write(tmp_path: Path, name: str, content: str | bytes) -> str:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def ingest(folder: ScanFolder, *sources: str, **options: Any) -> ListSummary:
    given_ = {"scan_id": SCAN, "seed": 1, "suffixes": SUFFIXES, **options}
    with folder.lock():
        return lists.ingest(sources, folder, **given_)


def rows(folder: ScanFolder) -> list[Domain]:
    return parts.read_all(folder.parts(Domain), Domain)


def test_a_name_is_taken_apart(tmp_path: Path, folder: ScanFolder) -> None:
    ingest(folder, write(tmp_path, "top.csv", "7,www.Example.co.uk.\n"))
    assert rows(folder) == [
        Domain(
            scan_id=SCAN,
            domain="www.example.co.uk",
            rank=7,
            list="top",
            tld="uk",
            public_suffix="co.uk",
            registrable_domain="example.co.uk",
            original="www.Example.co.uk.",
        )
    ]


def test_a_public_suffix_is_a_name_like_any_other(tmp_path: Path, folder: ScanFolder) -> None:
    ingest(folder, write(tmp_path, "l", "co.uk\ncom\n"))
    found = {row.domain: (row.public_suffix, row.registrable_domain) for row in rows(folder)}
    assert found == {"co.uk": ("co.uk", None), "com": ("com", None)}


def test_an_internationalised_name_keeps_what_was_written(
    tmp_path: Path, folder: ScanFolder
) -> None:
    ingest(folder, write(tmp_path, "l", "BÜCHER.de\nxn--mnchen-3ya.de\n"))
    found = {row.domain: row.original for row in rows(folder)}
    assert found == {"xn--bcher-kva.de": "BÜCHER.de", "xn--mnchen-3ya.de": None}


REJECTED = [
    ("https://a.example/", "url"),
    ("someone@a.example", "e-mail-address"),
    ("*.a.example", "wildcard"),
    ("192.0.2.1", "ip-address"),
    ("2001:db8::1", "ip-address"),
    ("a..example", "empty-label"),
    (".a.example", "empty-label"),
    ("a" * 64 + ".example", "label-too-long"),
    (".".join(["a" * 49] * 5) + ".aaaa", "name-too-long"),  # 254 octets as text
    ("a.exam\x00ple", "control-character"),
    ("a.\x1b[31m.example", "control-character"),
    ("a b.example", "bad-character"),
    ("a.example/path", "bad-character"),
    (b"caf\xe9.example", "not-utf-8"),
    (".", "empty"),
    ("x" * 70_000, "line-too-long"),
]


@pytest.mark.parametrize(("line", "reason"), REJECTED, ids=[reason for _, reason in REJECTED])
def test_p12_rejected_by_reason(
    tmp_path: Path, folder: ScanFolder, line: str | bytes, reason: str
) -> None:
    octets = line.encode() if isinstance(line, str) else line
    summary = ingest(folder, write(tmp_path, "l.txt", b"good.example\n" + octets + b"\n"))
    assert ({reason: 1}, 1) == (summary.rejected, summary.accepted)
    ((example,),) = summary.examples.values()
    assert example.startswith("l:2: ")
    assert example.isprintable()
    assert len(example) < 500


@pytest.mark.parametrize(
    "content",
    [
        "a.example\nb.example\n",
        "a.example\r\nb.example\r\n",
        "\ufeffa.example\nb.example",
        "A.EXAMPLE.\n\n# c\n b.example\t\n",
        "a.example\nA.example\nb.example\na.example.\n",
        "1,a.example\n2,b.example\n",
    ],
    ids=[
        "plain",
        "CRLF",
        "byte order mark, no final newline",
        "case, dot, blanks",
        "repeated",
        "CSV",
    ],
)
def test_p12_spellings_of_one_list(tmp_path: Path, folder: ScanFolder, content: str) -> None:
    ingest(folder, write(tmp_path, "l", content))
    assert {row.domain for row in rows(folder)} == {"a.example", "b.example"}


def test_a_lists_first_examples_are_kept_without_anybodys_mailbox(
    tmp_path: Path, folder: ScanFolder
) -> None:
    lines = "".join(f"person{n}@example.com\n" for n in range(9))
    summary = ingest(folder, write(tmp_path, "l", f"a.example\n{lines}"))
    assert summary.rejected == {"e-mail-address": 9}
    assert summary.examples == {
        "e-mail-address": tuple(f"l:{n}: …@example.com" for n in range(2, 7))
    }


def test_the_first_list_decides_rank_list_and_tags(tmp_path: Path, folder: ScanFolder) -> None:
    first = write(tmp_path, "first.csv", "domain,tags\nboth.example,x\n")
    second = write(tmp_path, "second.csv.gz", gzip.compress(b"1,both.example\n2,new.example\n"))
    summary = ingest(folder, first, second)
    found = {row.domain: (row.list, row.rank, row.tags) for row in rows(folder)}
    assert found == {"both.example": ("first", None, ("x",)), "new.example": ("second", 2, ())}
    assert (summary.accepted, summary.duplicates) == (2, 1)
    assert summary.names == ("first", "second")
    assert summary.sha256 == (files.sha256(Path(first)), files.sha256(Path(second)))
    assert summary.combined_sha256 == lists.fingerprint([first, second])
    assert summary.sizes == (Path(first).stat().st_size, Path(second).stat().st_size)


def test_far_apart_occurrences_of_a_name_are_one(tmp_path: Path, folder: ScanFolder) -> None:
    """Further apart than anything is buffered; the first one's rank stays."""
    many = "".join(f"{n},{n % 110_000}.example\n" for n in range(1, 250_001))
    summary = ingest(folder, write(tmp_path, "l.csv", many), shard_size=200_000)
    assert (summary.accepted, summary.duplicates) == (110_000, 140_000)
    assert max(row.rank or 0 for row in rows(folder)) == 110_000


@pytest.mark.parametrize("shard_size", [1, 7, 100, 50_000])
def test_names_stand_in_their_shard_in_seeded_order(
    tmp_path: Path, folder: ScanFolder, shard_size: int
) -> None:
    source = write(tmp_path, "l", "".join(f"{n}.example\n" for n in range(100)))
    summary = ingest(folder, source, seed="s", shard_size=shard_size)
    assert -(-100 // shard_size) == summary.shards == len(summary.shard_rows)
    for shard in range(summary.shards):
        found = [r.domain for r in folder.read(Domain, lists.domains_unit(shard))]
        assert sorted(found, key=lambda name: visit_order("s", name)) == found
        assert {shard} >= {shard_of(name, summary.shards) for name in found}
        assert summary.shard_rows[shard] == len(found)
        assert folder.done(lists.domains_unit(shard))
    assert len(rows(folder)) == 100


def test_the_same_lists_and_seed_give_the_same_octets(tmp_path: Path) -> None:
    source = write(tmp_path, "l", "".join(f"{n}.example\n" for n in range(500)))
    made = []
    for run in ("one", "two"):
        folder = Archive(tmp_path / run).create_scan(SCAN)
        ingest(folder, source, shard_size=100)
        made.append([files.sha256(path) for path in folder.parts(Domain)])
    assert made[0] == made[1]


def test_a_second_call_only_says_what_the_first_one_did(tmp_path: Path, folder: ScanFolder) -> None:
    summary = ingest(folder, write(tmp_path, "l", "a.example\nx@y\n"))
    assert summary == ingest(folder, str(tmp_path / "gone"))


def test_standard_input_is_a_list(folder: ScanFolder) -> None:
    summary = ingest(folder, "-", stdin=io.BytesIO(gzip.compress(b"1,a.example\n")))
    assert summary.names == ("stdin",)
    assert [(row.domain, row.rank, row.list) for row in rows(folder)] == [("a.example", 1, "stdin")]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("tranco_ABC1-1m.csv.zip", "tranco_ABC1-1m"),
        ("top-1m.csv", "top-1m"),
        ("com.zone.gz", "com"),
        ("info.zone.tar", "info"),
        ("customers", "customers"),
        ("example.com", "example.com"),
        ("202610.csv.gz", "202610"),
        (".csv", ".csv"),
    ],
)
def test_a_list_is_named_by_its_file(
    tmp_path: Path, folder: ScanFolder, file: str, name: str
) -> None:
    assert ingest(folder, write(tmp_path, file, "a.example\n")).names == (name,)


def test_a_given_name_replaces_the_files(tmp_path: Path, folder: ScanFolder) -> None:
    ingest(folder, write(tmp_path, "x.csv", "a.example\n"), list_name="tranco")
    assert [row.list for row in rows(folder)] == ["tranco"]


UNUSABLE = {
    "empty": (b"", "holds no domain"),
    "only comments": (b"# nothing\n", "holds no domain"),
    "no name in any line": (b"<html>\n<body>\n", "most often: bad-character, 2 lines"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0", "no usable domain"),
    "cut short": (gzip.compress(b"a.example\n" * 1000)[:-20], "fetch it again"),
    "UTF-16": ("a.example\n".encode("utf-16"), "UTF-8"),
}


@pytest.mark.parametrize(("content", "sentence"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_list_is_named_with_a_remedy(
    tmp_path: Path, folder: ScanFolder, content: bytes, sentence: str
) -> None:
    source = write(tmp_path, "bad.list", content)
    with pytest.raises(ListError, match=sentence) as raised:
        ingest(folder, source)
    assert str(raised.value).startswith(source)
    assert "\n" not in str(raised.value)
    assert folder.parts(Domain) == []
    assert not (folder.work / "ingest").exists()


def test_a_missing_list_is_named(tmp_path: Path, folder: ScanFolder) -> None:
    for call in (lambda p: ingest(folder, p), lambda p: lists.fingerprint([p])):
        with pytest.raises(ListError, match="No such file"):
            call(str(tmp_path / "gone.csv"))
    with pytest.raises(ListError, match="directory"):
        ingest(folder, str(tmp_path))


def test_a_failed_list_can_be_given_again(tmp_path: Path, folder: ScanFolder) -> None:
    with pytest.raises(ListError):
        ingest(folder, write(tmp_path, "l", ""))
    assert ingest(folder, write(tmp_path, "l", "a.example\n")).accepted == 1


_FULL_DISK = """
import resource, sys
from crawler.snapshot import lists, store, suffixes
folder = store.ScanFolder(__import__("pathlib").Path(sys.argv[1]))
with folder.lock():
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
    try:
        lists.ingest([sys.argv[2]], folder, scan_id="s1", seed=1, shard_size=40_000,
                     suffixes=suffixes.Suffixes.bundled())
    except OSError as error:
        sys.exit(f"OSError: {error}")
"""


@pytest.mark.parametrize("limit", [100, 4000, 200_000])
def test_a_full_disk_leaves_a_scan_that_can_be_gone_on_with(
    tmp_path: Path, folder: ScanFolder, limit: int
) -> None:
    """While staging, or while writing the parts; nothing half-written has a final name."""
    source = write(tmp_path, "l", "".join(f"{n * 7919:x}.example\n" for n in range(60_000)))
    ran = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(folder.path), source, str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    assert "OSError" in ran.stderr
    for path in folder.path.glob("*/part-*"):
        parts.read_rows(path, Domain)
    assert ingest(folder, source, shard_size=40_000).accepted == 60_000
    assert len(rows(folder)) == 60_000


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=80))
def test_p12_every_line_is_accepted_or_has_a_reason(text: str) -> None:
    """Whatever the text: a name in normal form, or one of the closed list of reasons."""
    try:
        names.normalise(text)
    except names.InvalidName as invalid:
        reason = reason_for(text, invalid.reason)
        known = reason in REASONS
    else:
        known = True
    assert known


def test_the_disposable_mail_domains_are_all_accepted(tmp_path: Path, folder: ScanFolder) -> None:
    """A real list of ten thousand mail domains, as its package publishes it."""
    published = pytest.importorskip("disposable_email_domains").blocklist
    summary = ingest(folder, write(tmp_path, "disposable.txt", "\n".join(published)))
    assert (len(published), 0, {}) == (summary.accepted, summary.duplicates, summary.rejected)
    assert {row.domain for row in rows(folder)} == published


@pytest.mark.soak
def test_p12_ten_million_names_need_no_more_memory_than_one_million(tmp_path: Path) -> None:
    """Under 400 MB, measured by the kernel."""
    source = tmp_path / "l.csv"
    with source.open("w") as out:
        out.writelines(f"{n},{n * 2654435761 % 2**40:x}.example\n" for n in range(1, 10_000_001))
    program = _FULL_DISK.replace("resource.setrlimit", "0 and resource.setrlimit")
    folder = Archive(tmp_path / "archive").create_scan(SCAN)
    subprocess.run([sys.executable, "-c", program, str(folder.path), str(source), "0"], check=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 400 * 1024
