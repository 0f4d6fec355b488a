"""Where exactly is what a finding speaks of, and what stands there now?

``reference/finding_places.csv`` says for each finding what kind of thing it is about: a TXT record,
the policy file, an MX host.  Here the facts of one domain are picked and put into words.  Nothing
is judged: a pattern that points at a line of a policy only says where to look, after a rule has
said that something is wrong with it; where it points at nothing, the whole file is shown.

``pointer``  what a row of the CSV says, and what a place is
``dns``      records: TXT, addresses, MX, TLSA
``policy``   the Policy Host's answer, its certificate, the lines of its file
``mail``     MX hosts, address by address
``wording``  certificates, handshakes and octets in characters that print
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from analysis.places import dns, mail, policy
from analysis.places.pointer import Facts, Place, Pointer

KINDS: Final[Mapping[str, Callable[[Pointer, Facts], Iterable[Place]]]] = MappingProxyType(
    {
        # place in finding_places.csv
        "record": dns.record,
        "tlsrpt": dns.tlsrpt,
        "policy-name": dns.policy_name,
        "policy-answer": policy.answer,
        "policy-answers": policy.answers,
        "policy-certificate": policy.certificate,
        "policy-handshake": policy.handshake,
        "policy-file": policy.file,
        "mx-records": dns.mx_records,
        "mx-lines": policy.mx_lines,
        "mx-host": mail.host,
        "mx-handshake": mail.handshake,
        "mx-alias": mail.alias,
        "tlsa": dns.tlsa,
    }
)


def find(pointer: Pointer, facts: Facts) -> tuple[Place, ...]:
    """The places of the finding that *pointer* is of, from the *facts* of its domain."""
    kind = KINDS.get(pointer.place)
    return tuple(kind(pointer, facts)) if kind else ()
