"""Who asks to be left alone is left alone: by any kind of entry, and while the scan runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.politeness.opt_out import OptOut, OptOutError, OptOutList

LIST = """\
# who asked, and when
example.com            # a domain and all below it
MX.Example.NET.        # an MX host, however it is written
bücher.example
*.wild.example
192.0.2.7
198.51.100.0/24
2001:db8:1::/48
::ffff:203.0.113.9
"""


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("example.com", "example.com"),
        ("a.example.com", "example.com"),
        ("mta-sts.example.com", "example.com"),
        ("_mta-sts.example.com", "example.com"),
        ("badexample.com", None),  # not on a label boundary
        ("com", None),
        ("example.com.org", None),
        ("mx.example.net", "mx.example.net"),
        ("example.net", None),  # an entry says nothing of the names above it
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("x.wild.example", "wild.example"),
    ],
)
def test_a_name_is_covered_by_itself_and_by_the_names_above_it(
    name: str, entry: str | None
) -> None:
    listed = OptOutList.parse(LIST)
    assert listed.entry_for_domain(name) == entry
    assert listed.entry_for_host(name) == entry


@pytest.mark.parametrize(
    ("address", "entry"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.8", None),
        ("198.51.100.255", "198.51.100.0/24"),
        ("198.51.101.0", None),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("2001:db8:2::", None),
        ("203.0.113.9", "203.0.113.9"),  # written as mapped
        ("::ffff:192.0.2.7", "192.0.2.7"),  # asked as mapped
        ("64:ff9b::c000:207", "192.0.2.7"),  # reached through NAT64
        ("2002:c000:207::1", "192.0.2.7"),  # or 6to4
    ],
)
def test_an_address_is_covered_in_every_spelling(address: str, entry: str | None) -> None:
    assert OptOutList.parse(LIST).entry_for_address(address) == entry


def test_host_bits_are_ignored_in_favour_of_who_opts_out() -> None:
    assert OptOutList.parse("192.0.2.1/24").entry_for_address("192.0.2.200") == "192.0.2.0/24"


@given(st.lists(st.ip_addresses()), st.ip_addresses())
def test_look_up_agrees_with_looking_through_the_list(entries: list[object], asked: object) -> None:
    listed = OptOutList.parse("\n".join(map(str, entries)))
    for entry in entries:
        assert listed.entry_for_address(str(entry)) is not None
    assert len(listed) <= len(entries)
    if listed.entry_for_address(str(asked)) == str(asked):
        # An IPv4-mapped entry is the IPv4 address.
        assert str(asked) in {str(getattr(e, "ipv4_mapped", None) or e) for e in entries}


@pytest.mark.parametrize(
    "line",
    [
        "https://example.com/",
        "user@example.com",
        "192.0.2.256",
        "192.0.2.0/33",
        "192.0.2",  # would be a name that never matches
        "a..b",
        "two words",
        "-",
        "*",
        "x" * 64,
        "AS64496",  # write its networks
        "fe80::1%eth0",
    ],
)
def test_a_line_that_is_no_entry_stops_the_start_and_is_named(line: str) -> None:
    with pytest.raises(OptOutError, match="list, line 2: "):
        OptOutList.parse(f"example.com\n{line}\n", "list")


def test_empty_lines_comments_and_a_byte_order_mark_are_no_entries() -> None:
    assert len(OptOutList.parse("\ufeff\n# nothing\n   # more\r\n\texample.com\r\n")) == 1


def test_two_lists_together_cover_what_each_covers() -> None:
    both = OptOutList.parse("a.example\n192.0.2.0/24") | OptOutList.parse("b.example\n192.0.3.0/24")
    assert both.entry_for_domain("a.example")
    assert both.entry_for_domain("b.example")
    assert both.entry_for_address("192.0.2.1")
    assert both.entry_for_address("192.0.3.1")


# The file.


@dataclass
class Clock:
    """A clock that the test moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, text: str) -> None:
    """Replace the file as an operator's tool does, so that no reader sees half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)


def test_without_a_file_nobody_has_opted_out() -> None:
    assert OptOut(None).entry_for_domain("example.com") is None


def test_a_late_opt_out_takes_effect_within_a_second(tmp_path: Path) -> None:
    path, clock = tmp_path / "opt-out", Clock()
    write(path, "a.example\n")
    opt_out = OptOut(path, clock=clock)
    assert opt_out.entry_for_domain("b.example") is None
    write(path, "a.example\nb.example\n192.0.2.0/24\n")
    clock.now = 0.9
    assert opt_out.entry_for_domain("b.example") is None, "the file is not looked at all the time"
    clock.now = 1.0
    assert opt_out.entry_for_domain("b.example") == "b.example"
    assert opt_out.entry_for_host("mx.b.example") == "b.example"
    assert opt_out.entry_for_address("192.0.2.1") == "192.0.2.0/24"


@pytest.mark.parametrize("text", [None, "", "c.example\n"])
def test_an_entry_once_read_holds_until_the_scan_ends(tmp_path: Path, text: str | None) -> None:
    """Whether the line was taken out, the file emptied, or the file removed."""
    path, clock = tmp_path / "opt-out", Clock()
    write(path, "a.example\n")
    opt_out = OptOut(path, clock=clock)
    path.unlink() if text is None else write(path, text)
    clock.now = 10
    assert opt_out.entry_for_domain("a.example") == "a.example"
    assert (opt_out.problem is None) == (text is not None)


def test_a_bad_line_does_not_keep_a_good_one_from_being_heard(tmp_path: Path) -> None:
    """Whoever opts out must not wait until somebody else's typing error is mended."""
    path, clock = tmp_path / "opt-out", Clock()
    write(path, "a.example\n")
    opt_out = OptOut(path, clock=clock)
    write(path, "not a name\nb.example\n")
    clock.now = 1
    assert opt_out.entry_for_domain("b.example") == "b.example"
    assert opt_out.problem is not None
    assert "line 1" in opt_out.problem
    write(path, "b.example\n")
    clock.now = 2
    assert opt_out.entry_for_domain("a.example") == "a.example"
    assert opt_out.problem is None


@pytest.mark.parametrize("content", [b"a..b\n", b"\xff\xfe\n", None])
def test_a_scan_does_not_start_in_doubt(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "opt-out"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptOutError, match="opt-out"):
        OptOut(path)


def test_half_a_line_does_not_hold_for_good(tmp_path: Path) -> None:
    """Whoever copies a list over the old one writes it bit by bit; it counts at once, in case that
    was all, but all of .co has not opted out.
    """
    path, clock = tmp_path / "opt-out", Clock()
    path.write_text("a.example\n")
    opt_out = OptOut(path, clock=clock)
    path.write_text("a.example\nb.example\nco")
    clock.now = 1
    assert opt_out.entry_for_domain("b.example") == "b.example"
    assert opt_out.entry_for_domain("another.co") == "co"
    path.write_text("a.example\nb.example\ncompany.example\nlast.example")
    clock.now = 2
    assert opt_out.entry_for_domain("company.example") == "company.example"
    assert opt_out.entry_for_domain("another.co") is None
    assert opt_out.entry_for_domain("last.example") == "last.example"
    clock.now = 3  # nothing has come after it, so that it is a whole line without its end
    assert opt_out.entry_for_domain("last.example") == "last.example"
    write(path, "")
    clock.now = 4
    assert opt_out.entry_for_domain("last.example") == "last.example"
    assert opt_out.entry_for_domain("another.co") is None
