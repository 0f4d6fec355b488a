"""Whole files or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.snapshot import files


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        files.write(tmp_path / "f", content)
        assert content == (tmp_path / "f").read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    """The target is a folder, which no rename of a file can replace."""
    (tmp_path / "f").mkdir()
    with pytest.raises(IsADirectoryError):
        files.write(tmp_path / "f", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    made = files.make_folder(tmp_path / "a" / "b")
    assert made == files.make_folder(tmp_path / "a" / "b")
    assert made.is_dir()


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    files.write(tmp_path / "f", b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert empty == files.sha256(tmp_path / "f")
