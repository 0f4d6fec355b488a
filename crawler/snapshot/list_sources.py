"""A file that holds a domain list -> numbered lines, or a Parquet file: whatever it is packed in.

Packings are told by their first octets, not by the file's name, and may be nested: gzip, zstd and
bzip2 streams, zip and tar archives (every file in them is a list of its own).  Everything
streams, so a decompression bomb costs time, not memory; a line longer than ``MAX_LINE`` is cut,
for the caller to reject.  What the lines mean is left to ``list_formats``.
"""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

import pyarrow as pa

MAX_LINE: Final = 64 * 1024
"""Octets of a line that are looked at: no domain with its tags comes near."""

BLOCK: Final = 1 << 20
"""Octets read at a time."""

_MAX_NESTING: Final = 4  # .csv.gz in a .zip is 2; an archive that holds itself is endless

_CODECS: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_TAR_MAGIC: Final = (257, b"ustar")
_HEAD: Final = 512  # enough to see every magic above


class ListError(ValueError):
    """A domain list cannot be used; the text is one sentence that names the file and the remedy."""


class _Rejoined(io.RawIOBase):
    """The octets already taken from a stream, then the rest of it; it cannot seek."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._head:
            taken, self._head = self._head[:size], self._head[size:]
            return taken
        return self._rest.read(size)


def open_streams(path: Path, scratch: Path) -> Iterator[IO[bytes]]:
    """The lists in a file, unpacked: streams of text, or seekable streams of Parquet.

    *scratch* is a folder for what cannot be read in one go (a zip inside a gzip).  Each stream
    is to be read to its end, and its errors to be taken through ``failure``.
    """
    with path.open("rb") as file:
        yield from _unpack(file, scratch, _MAX_NESTING)


def is_parquet(stream: IO[bytes]) -> bool:
    """Whether a stream of ``open_streams`` is Parquet, and so can seek."""
    if not stream.seekable():
        return False
    magic = stream.read(4)
    stream.seek(0)
    return magic == b"PAR1"


def _unpack(stream: IO[bytes], scratch: Path, nesting: int) -> Iterator[IO[bytes]]:
    head = _read_up_to(stream, _HEAD)
    packed = _codec(head) or _archive(head)
    if packed and nesting == 0:
        raise ListError("is packed more than four times over; unpack it")
    if codec := _codec(head):
        inner = pa.CompressedInputStream(pa.PythonFile(_from_start(stream, head), "r"), codec)
        yield from _unpack(_Rejoined(b"", inner), scratch, nesting - 1)  # type: ignore[arg-type]
    elif _archive(head) == "tar":
        yield from _tar_members(_from_start(stream, head), scratch, nesting - 1)
    elif _archive(head) == "zip":
        with _seekable(stream, head, scratch) as file:
            yield from _zip_members(file, scratch, nesting - 1)
    elif head.startswith(b"PAR1"):
        with _seekable(stream, head, scratch) as file:
            yield file
    elif head.startswith(_UTF16):
        raise ListError("is UTF-16; save it as UTF-8")
    else:
        yield cast("IO[bytes]", _Rejoined(head, stream))


def _codec(head: bytes) -> str | None:
    return next((codec for magic, codec in _CODECS.items() if head.startswith(magic)), None)


def _archive(head: bytes) -> str | None:
    offset, magic = _TAR_MAGIC
    if head[offset : offset + len(magic)] == magic:
        return "tar"
    return "zip" if head.startswith(b"PK\x03\x04") else None


def _read_up_to(stream: IO[bytes], size: int) -> bytes:
    """*size* octets, or fewer only at the end of the stream."""
    taken = b""
    while len(taken) < size and (more := stream.read(size - len(taken))):
        taken += more
    return taken


def _from_start(stream: IO[bytes], head: bytes) -> IO[bytes]:
    return cast("IO[bytes]", _Rejoined(head, stream))


def _seekable(stream: IO[bytes], head: bytes, scratch: Path) -> IO[bytes]:
    """The stream from its start, in a form that can seek; copied to disk when it cannot."""
    if stream.seekable():
        stream.seek(0)
        return stream
    spool = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - handed to the caller
    spool.write(head)
    shutil.copyfileobj(stream, spool, BLOCK)
    spool.seek(0)
    return cast("IO[bytes]", spool)


def _tar_members(stream: IO[bytes], scratch: Path, nesting: int) -> Iterator[IO[bytes]]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.isreg() and (content := archive.extractfile(member)):
                yield from _unpack(_from_start(content, b""), scratch, nesting)


def _zip_members(file: IO[bytes], scratch: Path, nesting: int) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            # macOS puts a shadow beside every file.
            if not member.is_dir() and not member.filename.startswith("__MACOSX/"):
                with archive.open(member) as content:
                    yield from _unpack(_from_start(content, b""), scratch, nesting)


def lines(stream: IO[bytes]) -> Iterator[str]:
    """The lines of a text without their ends (LF or CRLF), UTF-8, a byte order mark dropped.

    Octets that are not UTF-8 come as lone surrogates (PEP 383).  Of a line over ``MAX_LINE``
    octets at least the first ``MAX_LINE`` + 1 are there.
    """
    carry = _read_up_to(stream, len(_UTF8_BOM)).removeprefix(_UTF8_BOM)
    while chunk := stream.read(BLOCK):
        whole, newline, rest = chunk.rpartition(b"\n")
        if newline:
            yield from _split(carry + whole)
            carry = rest
        else:
            carry = (carry + rest)[: MAX_LINE + 1]
    if carry:
        yield from _split(carry)


def _split(text: bytes) -> list[str]:
    # Not splitlines(): it would also split at U+2028, form feeds and the like.
    return (
        text.decode("utf-8", "surrogateescape").replace("\r\n", "\n").removesuffix("\r").split("\n")
    )


# What reading a damaged or unreadable file raises, by who reads it; anything else is our mistake.
READ_ERRORS: Final = (OSError, EOFError, pa.ArrowInvalid, zipfile.BadZipFile, tarfile.TarError)


def failure(error: Exception) -> ListError:
    """A ``READ_ERRORS`` exception as the sentence's end that follows the file's name."""
    if isinstance(error, OSError) and error.strerror:
        return ListError(f"cannot be read ({error.strerror}); check the path and its permissions")
    return ListError("is damaged or was cut short; fetch it again")
