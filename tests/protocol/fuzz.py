"""Many damaged inputs from few good ones.

Hypothesis makes the inputs to begin with, and shrinks what fails; each is then damaged a few hundred
times over, which costs a hundredth of drawing another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

_ODD = bytes((0x00, 0x01, 0x09, 0x0A, 0x0D, 0x20, 0x3B, 0x3D, 0x7F, 0x80, 0xC0, 0xFE, 0xFF))
"""Octets that mean something to some reader, or are at the end of a range."""


def damaged(octets: bytes, count: int, rng: Random) -> Iterator[bytes]:
    """*octets* as they are, and *count* - 1 times with one to three blows."""
    yield octets
    for _ in range(count - 1):
        victim = bytearray(octets)
        for _ in range(rng.randint(1, 3)):
            _strike(victim, rng)
        yield bytes(victim)


def _strike(victim: bytearray, rng: Random) -> None:
    at = rng.randint(0, len(victim))
    blow = rng.randrange(6)
    if blow == 0:
        del victim[at:]
    elif blow == 1:
        del victim[at : at + rng.randint(1, 8)]
    elif blow == 2:
        victim[at:at] = bytes((rng.choice(_ODD),)) * rng.choice((1, 1, 2, 70))
    elif blow == 3:
        victim[at:at] = victim[at : at + rng.randint(1, 40)]
    elif at < len(victim):
        victim[at] = rng.choice(_ODD) if blow == 4 else victim[at] ^ 1 << rng.randrange(8)


def fuzz(
    good: st.SearchStrategy[Any],
    check: Callable[[bytes], object],
    *,
    examples: int,
    each: int,
    octets_of: Callable[[Any], bytes] = bytes,
) -> int:
    """Run *check*, which raises for what it finds wrong, over *examples* times *each* inputs, made
    of the *good* ones, as *octets_of* writes them.  Returns how many it were.
    """
    done = 0

    @settings(max_examples=examples, database=None)
    @given(good, st.integers(0, 2**32 - 1))
    def run(begin: Any, seed: int) -> None:
        nonlocal done
        for victim in damaged(octets_of(begin), each, Random(seed)):
            done += 1
            try:
                check(victim)
            except BaseException:
                note(f"the input: {victim!r}")
                raise

    run()
    return done
