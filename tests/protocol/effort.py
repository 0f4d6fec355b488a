"""How much work a pure function does: counted where that is enough, timed where it is not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def calls(function: Callable[[T], object], argument: T) -> int:
    """How many calls, of Python and of C, one call takes: the same number on every machine."""
    count = 0

    def tally(*_: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(tally)
    try:
        function(argument)
    finally:
        sys.setprofile(before)
    return count


def lines(function: Callable[[T], object], argument: T) -> int:
    """How many lines of Python run: loops count, what C does by itself does not."""
    count = 0

    def tally(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return tally

    before = sys.gettrace()
    sys.settrace(tally)
    try:
        function(argument)
    finally:
        sys.settrace(before)
    return count


def seconds(function: Callable[[T], object], argument: T, *, times: int = 5) -> float:
    """How long the processor takes, at best; other programs are not counted."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        function(argument)
        best = min(best, time.process_time() - began)
    return best
