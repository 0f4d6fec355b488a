"""Which MX hosts does a domain name?

RFC 5321 section 5.1 (order of preference) and RFC 7505 (the null MX).  The implicit MX of a
domain without MX records is left to the caller: it takes knowing how the lookup ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crawler.protocol import names
from crawler.records import MxHost

ROOT: Final = ""
"""The target of a null MX: the root, as our names are written without a final dot."""

PROBLEMS: Final = (
    "not-a-host-name",  # a target that no host can have: an address, an underscore, a wildcard
    "root-among-others",  # RFC 7505 section 3: a null MX "MUST NOT" have other MX RRs beside it
    "null-mx-preference",  # RFC 7505 section 3: "a preference number of 0"
)
"""What may be wrong with a set of MX records, in the order in which it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MxAnswer:
    """A domain's MX records, read."""

    hosts: tuple[MxHost, ...]
    """Every record by preference, then by host; the facts, so the root is among them."""
    null_mx: bool
    """The only record points at the root: the domain takes no mail (RFC 7505 section 3)."""
    problems: tuple[str, ...]
    """Words of ``PROBLEMS``."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """The distinct hosts that a sender may try, best preference first; never the root."""
        return tuple(dict.fromkeys(mx.host for mx in self.hosts if mx.host != ROOT))


def read(records: Sequence[tuple[int, str]]) -> MxAnswer:
    """The MX *records*, each (preference, target), as hosts in normal form.

    Never raises.  A target that is no DNS name of ours is kept in lower case, so that it can
    be seen.  Records that are equal once normalised are one.  The order within a preference
    is by name: a sender's is random (RFC 5321 section 5.1), a snapshot's must not be.
    """
    pairs = sorted({(preference, _target(target)) for preference, target in records})
    targets = {target for _, target in pairs}
    null_mx = len(pairs) == 1 and targets == {ROOT}
    found = {
        "not-a-host-name": any(names.host_problem(target) for target in targets - {ROOT}),
        "root-among-others": ROOT in targets and not null_mx,
        # It is still a null MX: whatever its preference, there is no host to prefer it to.
        "null-mx-preference": null_mx and pairs[0][0] != 0,
    }
    return MxAnswer(
        hosts=tuple(MxHost(preference=preference, host=target) for preference, target in pairs),
        null_mx=null_mx,
        problems=tuple(word for word in PROBLEMS if found[word]),
    )


def _target(text: str) -> str:
    try:
        return names.normalise(text)
    except names.InvalidName:
        pass
    # A dot after an odd number of backslashes is an octet of the last label, not the root (RFC
    # 1035 section 5.1); without it the rest would be no name, and could not be looked up.
    name = text.lower()
    bare = name.removesuffix(".")
    escaped = (len(bare) - len(bare.rstrip("\\"))) % 2
    return name if escaped else bare
