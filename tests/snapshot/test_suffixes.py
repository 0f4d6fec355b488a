"""Public suffixes: the library's answers, the bundled list, and one saved beside a scan."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from publicsuffixlist import PublicSuffixList

from crawler.snapshot.suffixes import Suffixes

SUFFIXES = Suffixes.bundled()

VECTORS = [
    # name, public suffix, registrable domain
    ("example.com", "com", "example.com"),
    ("a.b.example.com", "com", "example.com"),
    ("com", "com", None),
    ("example.co.uk", "co.uk", "example.co.uk"),
    ("co.uk", "co.uk", None),
    ("a.b.github.io", "github.io", "b.github.io"),  # the private section counts
    ("b.a.ck", "a.ck", "b.a.ck"),  # *.ck
    ("a.ck", "a.ck", None),
    ("www.ck", "ck", "www.ck"),  # !www.ck
    ("x.www.ck", "ck", "www.ck"),
    ("xn--85x722f.xn--55qx5d.cn", "xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"),  # a U-label rule
    ("example.local", "local", "example.local"),  # no rule: the default rule "*"
    ("_dmarc.example.com", "com", "example.com"),
]


@pytest.mark.parametrize(("name", "suffix", "registrable"), VECTORS)
def test_vectors(name: str, suffix: str, registrable: str | None) -> None:
    assert (suffix, registrable) == (SUFFIXES.public_suffix(name), SUFFIXES.registrable(name))


def test_the_root_has_no_suffix() -> None:
    assert SUFFIXES.public_suffix("") is None
    assert SUFFIXES.registrable("") is None


def test_the_shortcut_agrees_with_the_library_on_every_rule_of_the_list() -> None:
    """Each rule as a name, one and two labels below it, and its parent."""
    library = PublicSuffixList(SUFFIXES.data)
    for line in SUFFIXES.data.decode().splitlines():
        rule = line.partition(" ")[0]
        if not rule or rule.startswith("//"):
            continue
        bare = rule.removeprefix("!").removeprefix("*.").encode("idna").decode()
        for name in (bare, f"a.{bare}", f"b.a.{bare}", bare.partition(".")[2] or bare):
            assert library.publicsuffix(name) == SUFFIXES.public_suffix(name), name
            assert library.privatesuffix(name) == SUFFIXES.registrable(name), name


def test_the_saved_list_is_the_same_list(tmp_path: Path) -> None:
    (tmp_path / "psl.dat").write_bytes(SUFFIXES.data)
    saved = Suffixes.load(tmp_path / "psl.dat")
    assert (SUFFIXES.version, SUFFIXES.data) == (saved.version, saved.data)


def test_the_version_is_the_lists_own() -> None:
    data = files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text()
    assert f"// VERSION: {SUFFIXES.version}\n" in data


def test_a_list_without_a_version_is_named_by_its_hash() -> None:
    assert Suffixes(b"com\n").version.startswith("sha256:")
