"""Packings: whatever a list comes in, its lines come out, in constant memory."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from crawler.snapshot import list_sources
from crawler.snapshot.list_sources import BLOCK, MAX_LINE, READ_ERRORS, ListError

TEXT = b"one.example\ntwo.example\n"


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read(tmp_path: Path, data: bytes) -> list[list[str]]:
    path = tmp_path / "list"
    path.write_bytes(data)
    return [list(list_sources.lines(s)) for s in list_sources.open_streams(path, tmp_path)]


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "gzip of two members": lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:]),
    "zstd": zstandard.compress,
    "zstd of two frames": lambda data: zstandard.compress(data[:5]) + zstandard.compress(data[5:]),
    "bzip2": bz2.compress,
    "zip": lambda data: zipped(a=data),
    "tar": lambda data: tarred(a=data),
    "tar.gz": lambda data: gzip.compress(tarred(a=data)),
    "gzip in a zip": lambda data: zipped(a=gzip.compress(data)),
    "zip in a gzip": lambda data: gzip.compress(zipped(a=data)),
}


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS)
def test_every_packing_is_told_by_its_octets(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    assert read(tmp_path, pack(TEXT)) == [["one.example", "two.example"]]


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS)
def test_an_empty_list_has_no_lines(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    assert read(tmp_path, pack(b"")) == [[]]


def test_each_file_of_an_archive_is_a_list_of_its_own(tmp_path: Path) -> None:
    members = {"a.txt": b"a.example", "__MACOSX/._a.txt": b"\0\0", "b.txt": b"b.example\n"}
    assert read(tmp_path, zipped(**members)) == [["a.example"], ["b.example"]]
    assert read(tmp_path, tarred(x=b"a.example", y=b"")) == [["a.example"], []]


@pytest.mark.parametrize(
    "damaged",
    [
        gzip.compress(TEXT * 100)[:-9],
        gzip.compress(TEXT)[:-1],
        zstandard.compress(TEXT * 100)[:-5],
        bz2.compress(TEXT)[:-5],
        zipped(a=TEXT)[:-30],
        tarred(a=TEXT * 100)[:600],
        gzip.compress(TEXT)[:-8] + b"\0" * 8,
    ],
    ids=["gzip", "gzip's length", "zstd", "bzip2", "zip", "tar", "gzip's checksum"],
)
def test_what_was_cut_short_is_not_taken_for_whole(tmp_path: Path, damaged: bytes) -> None:
    with pytest.raises(READ_ERRORS) as raised:
        read(tmp_path, damaged)
    assert "fetch it again" in str(list_sources.failure(raised.value))


def test_an_archive_inside_archives_ends(tmp_path: Path) -> None:
    data = TEXT
    for _ in range(5):
        data = gzip.compress(data)
    with pytest.raises(ListError, match="unpack it"):
        read(tmp_path, data)


def test_utf16_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="UTF-8"):
        read(tmp_path, "a.example\r\n".encode("utf-16"))


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),  # no final newline
        (b"a\r\nb\r", ["a", "b"]),
        (b"\xef\xbb\xbfa\n", ["a"]),  # byte order mark
        (b"\xef\xbb", ["\udcef\udcbb"]),
        ("a\u2028b\x0bc\x0cd\x85e\n".encode(), ["a\u2028b\x0bc\x0cd\x85e"]),  # one line each
        (b"a\rb\n", ["a\rb"]),
        (b"caf\xe9\n", ["caf\udce9"]),  # Latin-1
        (b"\n\na\n", ["", "", "a"]),
    ],
)
def test_lines(tmp_path: Path, data: bytes, lines: list[str]) -> None:
    assert read(tmp_path, data) == [lines]


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17])
def test_lines_are_whole_across_blocks(tmp_path: Path, size: int) -> None:
    line = b"a" * 30 + "é".encode()
    data = (line + b"\r\n") * (size // 34 + 1)
    (lines,) = read(tmp_path, data)
    assert {line.decode()} == set(lines)
    assert len(data) // 34 == len(lines)


def test_p12_a_line_without_end_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    (lines,) = read(tmp_path, b"x" * (3 * BLOCK) + b"\na.example\n")
    assert lines[1:] == ["a.example"]
    assert MAX_LINE < len(lines[0]) <= BLOCK + MAX_LINE + 1


@pytest.mark.parametrize(
    ("pack", "filler"),
    [
        (gzip.compress, b"\0"),
        (zstandard.compress, b"\0"),
        (bz2.compress, b"\0"),
        (gzip.compress, b"\n"),
        (zstandard.compress, 999 * b"a" + b"\n"),
    ],
)
def test_p12_a_bomb_costs_no_memory(
    tmp_path: Path, pack: Callable[[bytes], bytes], filler: bytes
) -> None:
    """60 MB out of a few kB, in the memory of some blocks."""
    path = tmp_path / "bomb"
    path.write_bytes(pack(filler * (60 * BLOCK // len(filler))))
    tracemalloc.start()
    try:
        for stream in list_sources.open_streams(path, tmp_path):
            for _ in list_sources.lines(stream):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The costliest block is one million empty lines: a list of as many pointers.
    assert peak < 40 * BLOCK
