"""A list of customers' domains: whatever stands on it is asked about, in the snapshot's spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.customer_list import BadList, normalise, read
from crawler.protocol import names


def listed(folder: Path, content: bytes) -> list[tuple[int, str, str]]:
    """What a list with *content* names."""
    path = folder / "list"
    path.write_bytes(content)
    return [(x.place, x.listed, x.domain) for x in read(path)]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"a.example\nB.Example.\n", [(1, "a.example", "a.example"), (2, "B.Example.", "b.example")]),
        (b"# mine\n\n a.example # the first\r\n", [(3, "a.example", "a.example")]),
        (b"\xef\xbb\xbfa.example", [(1, "a.example", "a.example")]),  # a byte order mark
        (b"id,Domain\n7,a.example\n", [(2, "a.example", "a.example")]),
        (b'name;domain\n"x;y";a.example\n', [(2, "a.example", "a.example")]),
        (b"\xef\xbb\xbfdomain\tname\na.example\tx\n", [(2, "a.example", "a.example")]),
        (b"1,a.example\n2,b.example\n", [(1, "a.example", "a.example"), (2, "b.example", "b.example")]),
        (b"a.example,gold\n", [(1, "a.example", "a.example")]),
        (b"origin,rank\nhttps://a.example,1000\n", [(2, "a.example", "a.example")]),
        ("bücher.example\n".encode(), [(1, "bücher.example", "xn--bcher-kva.example")]),
        (b"a.example\n\"stray,\nb.example\n", [
            (1, "a.example", "a.example"), (2, '"stray,'[1:], "stray,"), (3, "b.example", "b.example"),
        ]),  # a stray quote spoils one line
        (b"not a name\n", [(1, "not a name", "not a name")]),  # kept, to be named as not known
        (b"x" * 5000, [(1, "x" * 1000, "x" * 1000)]),
    ],
)  # fmt: skip
def test_lists_are_read(tmp_path: Path, content: bytes, found: list[tuple[int, str, str]]) -> None:
    """Plain text and CSV, with the line, the name as written and the name as asked."""
    assert listed(tmp_path, content) == found


@pytest.mark.parametrize(
    "text",
    [
        "example.com", "EXAMPLE.com.", "_x.Example", "Bücher.example", "faß.example",
        "ΒΌΛΟΣ.example", "例え。テスト", "xn--bcher-kva.example", "_x.ÄÖ.example", "K.example",
    ],
)  # fmt: skip
def test_names_are_spelt_as_in_a_snapshot(text: str) -> None:
    """The crawler's own normal form, which this package cannot ask for."""
    assert normalise(text) == names.normalise(text)


@pytest.mark.parametrize("text", ["", "a..b", "\u2603" * 70, "\ud800x", "ä" * 2000, "א0.1٠"])
def test_what_is_no_name_does_not_stop_the_list(text: str) -> None:
    """It is only not found in the scan."""
    assert isinstance(normalise(text), str)


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n", b"PAR1\x15\x04\xff\xfe", b"domain\n"])
def test_a_list_without_a_domain_is_refused(tmp_path: Path, content: bytes) -> None:
    """With what to give instead."""
    with pytest.raises(BadList, match=r"one (domain )?a line"):
        listed(tmp_path, content)
