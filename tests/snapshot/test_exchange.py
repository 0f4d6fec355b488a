"""Several files are exchanged together or not at all.  Crashes at each step are in ``crash``."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.snapshot import files
from crawler.snapshot.exchange import Exchange


@pytest.fixture
def old(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    for name in ("a", "deep/b"):
        (tmp_path / name).write_text("old")
    return tmp_path


def _content(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()
    }


def test_what_is_staged_takes_the_place_of_the_old_files(old: Path) -> None:
    exchange = Exchange(old, old / "new")
    with exchange.begin():
        files.flush(exchange.stage(old / "a"), b"1")
        files.flush(exchange.stage(old / "deep/b"), b"2")
        assert set(_content(old).values()) == {"old", "1", "2"}
    assert _content(old) == {"a": "1", "deep/b": "2"}


def test_an_error_leaves_everything_as_it_was(old: Path) -> None:
    def failing(exchange: Exchange) -> None:
        with exchange.begin():
            files.flush(exchange.stage(old / "a"), b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing(Exchange(old, old / "new"))
    assert _content(old) == {"a": "old", "deep/b": "old"}


def test_nothing_staged_is_nothing_done(old: Path) -> None:
    with Exchange(old, old / "new").begin():
        pass
    assert _content(old) == {"a": "old", "deep/b": "old"}


def test_what_was_decided_is_completed_and_what_was_not_is_forgotten(old: Path) -> None:
    (old / "new").mkdir()
    (old / "new" / "000001").write_text("2")  # the first has been renamed already
    Exchange(old, old / "new").recover()
    assert _content(old) == {"a": "old", "deep/b": "old"}
    (old / "new").mkdir()
    (old / "new" / "000001").write_text("2")
    (old / "new" / "decided.json").write_text('["a", "deep/b"]')
    Exchange(old, old / "new").recover()
    assert _content(old) == {"a": "old", "deep/b": "2"}
