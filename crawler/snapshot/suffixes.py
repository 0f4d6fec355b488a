"""Where registration ends and a domain's owner begins, by the Public Suffix List.

A thin layer over ``publicsuffixlist`` and the list it bundles (nothing is fetched): it adds the
list's version, the text that is saved beside a scan so that it can be judged again with the same
list, and a shortcut that makes a million look-ups cheap.  The algorithm, exceptions and implied
wildcard roots included, stays the library's: https://publicsuffix.org/list/.

Both sections of the list count, ICANN and private: a name below ``github.io`` has an owner of its
own.  A name under no rule falls to the default rule ``*``: its rightmost label.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from publicsuffixlist import PublicSuffixList

_VERSION = re.compile(rb"^//\s*VERSION:\s*(\S+)", re.MULTILINE)


class Suffixes:
    """One version of the Public Suffix List.  Names are in normal form (``protocol.names``)."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        """The list as it was read, to be saved with a scan."""
        stated = _VERSION.search(data)
        self.version = (
            stated[1].decode() if stated else f"sha256:{hashlib.sha256(data).hexdigest()}"
        )
        """The ``VERSION`` line of the list; of an older list without one, its SHA-256."""
        rules = list(_rules(data))
        bare = {rule: rule.removeprefix("!").removeprefix("*.") for rule in rules}
        # In A-labels already, which is what takes the library long.
        self._rules = PublicSuffixList("\n".join(rules), accept_encoded_idn=False)
        self._named = frozenset(bare.values())
        self._wildcard_parents = frozenset(n for rule, n in bare.items() if rule.startswith("*."))
        self._of_parent = lru_cache(maxsize=1 << 16)(self.public_suffix)

    @classmethod
    def bundled(cls) -> Suffixes:
        """The list that ``publicsuffixlist`` brings along."""
        return _read(files("publicsuffixlist").joinpath("public_suffix_list.dat").read_bytes())

    @classmethod
    def load(cls, path: Path) -> Suffixes:
        """The list in a ``.dat`` file, such as the one saved in a scan folder."""
        return _read(path.read_bytes())

    def public_suffix(self, name: str) -> str | None:
        """The longest matching rule's suffix of *name*; null only for the root."""
        _, _, parent = name.partition(".")
        # A rule as long as the name itself decides it; failing that, name and parent share theirs.
        if not parent or name in self._named or parent in self._wildcard_parents:
            suffix: str | None = self._rules.publicsuffix(name) if name else None
            return suffix
        return self._of_parent(parent)

    def registrable(self, name: str) -> str | None:
        """Public suffix plus one label; null when *name* is itself a public suffix."""
        return one_label_more(name, self.public_suffix(name))


def one_label_more(name: str, suffix: str | None) -> str | None:
    """The registrable domain of *name*, whose public suffix is *suffix*; null when they are equal."""
    if suffix is None or len(suffix) == len(name):
        return None
    label = name[: -len(suffix) - 1].rpartition(".")[2]
    return f"{label}.{suffix}"


@lru_cache(maxsize=2)
def _read(data: bytes) -> Suffixes:
    """A scan reads the list when it begins, for its domains and when it judges: it is the same one."""
    return Suffixes(data)


def _rules(data: bytes) -> Iterator[str]:
    """The rules of a list in A-labels, as names in normal form are; the list writes U-labels."""
    for line in data.decode().splitlines():
        rule = line.partition(" ")[0].strip().lower()
        if not rule or rule.startswith("//"):
            continue
        bare = rule.removeprefix("!")
        yield rule if rule.isascii() else rule[: -len(bare)] + bare.encode("idna").decode()
