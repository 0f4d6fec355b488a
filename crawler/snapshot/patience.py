"""Asking a store again that does not answer, and not one that refuses.

The pauses grow, and are drawn at random, so that many machines do not come back at once.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from crawler.snapshot.store import StoreError

T = TypeVar("T")

PATIENCE: Final = 120.0
"""Seconds; see ``Patience``.  A restarted server is back by then, and a job's grace not yet over."""

WORTH_A_WORD: Final = 0.5
"""Seconds of silence that nobody needs to know of."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 10.0
"""Seconds between two attempts, doubled each time."""

_TRANSIENT: Final = frozenset({408, 425, 429})
"""Besides everything from 500 on."""

_STATUS: Final = re.compile(r"\bstatus (?:code: )?(\d{3})\b")
_NO: Final = re.compile(r"ACCESS_DENIED|NO_SUCH_BUCKET|NOT_FOUND|ACCESS_KEY|SIGNATURE|TOKEN")
"""What ``pyarrow`` writes in place of a status that it knows the meaning of."""


class StorageError(StoreError):
    """The store did not answer for too long; everything is still on this machine's disk."""


class Patience:
    """Asks again what a store does not answer, until it has been silent for so many *seconds*.

    All requests share the silence: when one has waited it out, the others do not wait once more.
    *say* is told of it.
    """

    def __init__(self, store: str, seconds: float, say: Callable[[str], object]) -> None:
        self._store = store
        self._seconds = seconds
        self._say = say
        self._silent_since: float | None = None
        self._told = False
        self._changing = threading.Lock()

    def __call__(self, request: Callable[[], T]) -> T:
        """The answer.  Raises ``StorageError`` after the silence, ``StoreError`` when refused."""
        pauses = _pauses()
        while True:
            try:
                answer = request()
            except Exception as error:
                if (kind := _kind(error)) is None:
                    raise
                said = str(error).partition("\n")[0].strip()
                if kind == "refused":
                    raise StoreError(f"{self._store} refuses: {said}") from error
                if self._silence(said) >= self._seconds:
                    raise StorageError(
                        f"{self._store} has not answered for {self._seconds:g} s ({said}); what it "
                        "lacks is kept on this machine, and the same command goes on with that"
                    ) from error
            else:
                self._silent_since = None
                return answer
            time.sleep(next(pauses))

    def _silence(self, said: str) -> float:
        """How long it has been silent; says so, once, when that is worth a word."""
        with self._changing:
            now = time.monotonic()
            since = self._silent_since
            if since is None:
                since = self._silent_since = now
                self._told = False
            if now - since >= WORTH_A_WORD and not self._told:
                self._told = True
                self._say(
                    f"{self._store} does not answer ({said}); asking again for "
                    f"{self._seconds:g} s at the most"
                )
            return now - since


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1)  # noqa: S311 - nobody gains from guessing it
        pause = min(2 * pause, LONGEST_PAUSE)


def _kind(error: Exception) -> str | None:
    """Whether the store was ``silent`` or has ``refused``; None for what is not of the store."""
    if not ((isinstance(error, OSError) and error.errno is None) or _is_of_client(error)):
        return None
    if (stated := status(error)) is not None:
        silent = stated >= 500 or stated in _TRANSIENT
    else:
        silent = _NO.search(str(error)) is None
    return "silent" if silent else "refused"


def status(error: Exception) -> int | None:
    """The status by which a store has said no, where the error states it."""
    stated = _STATUS.search(str(error))
    return int(stated[1]) if stated else None


def _is_of_client(error: Exception) -> bool:
    return type(error).__module__.startswith("obstore")
