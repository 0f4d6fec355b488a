"""Is this a DNS name, in which one form do we write it, and which names are asked about it?

Everywhere else a name is a ``str`` that has passed ``normalise``: lower-case A-labels, no final
dot.  Two names are then equal when their strings are (RFC 1035 section 2.3.3).

RFC 1035 section 2.3.4 (sizes), RFC 1123 section 2.1 (host names), RFC 5890 and UTS 46 (names
that are not ASCII).  Whether a name is a registrable domain is left to the public suffix list,
and whether it exists to the DNS.
"""

from __future__ import annotations

import re
from typing import Final

import idna

LABEL_MAX: Final = 63  # RFC 1035 section 2.3.4: "labels: 63 octets or less"

# RFC 1035 section 2.3.4: "names: 255 octets or less", on the wire.  A length octet before each
# label and the root's one take two more octets than the dots between the labels: 253 as text.
NAME_MAX: Final = 253

# The longest text that is handed to UTS 46.  Mapping may shorten a name (it drops ignorable
# characters and composes sequences), so the limit is not NAME_MAX, but nobody writes more.
_UNICODE_MAX: Final = 4 * NAME_MAX

# Letters, digits and hyphens are host names; the underscore is for names that must never be
# hosts, such as "_mta-sts" (RFC 8552).  Wilder octets are legal in the DNS (RFC 2181 section
# 11), but no name that this survey asks for has them.
_LABEL: Final = re.compile(r"[a-z0-9_-]+")

# RFC 1123 section 2.1: "a valid host name can never have the dotted-decimal form #.#.#.#".
_DOTTED_DECIMAL: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_NAME: Final = re.compile(
    rf"(?!{_DOTTED_DECIMAL.pattern}\Z)[a-z0-9_-]{{1,63}}(?:\.[a-z0-9_-]{{1,63}})*+"
)
_OTHER_ADDRESS: Final = re.compile(r"\[.*\]|[0-9a-f.]*+(?::[0-9a-f.]*+){2,}+", re.DOTALL)

REASONS: Final = (
    "empty",
    "empty-label",
    "label-too-long",
    "name-too-long",
    "bad-character",
    "ip-address",
)
"""Why a text is no name: every value of ``InvalidName.reason``."""

HOST_PROBLEMS: Final = (*REASONS, "underscore", "hyphen-at-edge")
"""Why a text is no host name: every value of ``host_problem``."""


class InvalidName(ValueError):
    """A text that is no DNS name; ``reason`` is one of ``REASONS``."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text[:NAME_MAX]!r} is no DNS name: {reason}")
        self.reason: Final = reason


def normalise(text: str) -> str:
    """The one form in which we write the name *text*: lower-case A-labels, no final dot.

    One final dot (the root, as in zone files) is dropped; U-labels become A-labels by UTS 46
    (non-transitional) and IDNA 2008; A-labels that are already there are not decoded, since
    the DNS does not either.  Raises ``InvalidName`` for everything else, white space included.
    """
    # isascii comes first: lower() turns the Kelvin sign into an ASCII letter.
    name = text.lower().removesuffix(".") if text.isascii() else _to_ascii(text)
    if len(name) <= NAME_MAX and _NAME.fullmatch(name):
        return name
    raise InvalidName(text, _reason(name))


def _reason(name: str) -> str:
    """Why the ASCII text *name* did not pass; the first reason that holds, most telling first."""
    if not name:
        return "empty"
    if _DOTTED_DECIMAL.fullmatch(name) or _OTHER_ADDRESS.fullmatch(name):
        return "ip-address"
    if len(name) > NAME_MAX:
        return "name-too-long"
    labels = name.split(".")
    if "" in labels:
        return "empty-label"
    if not all(_LABEL.fullmatch(label) for label in labels):
        return "bad-character"
    return "label-too-long"


def _to_ascii(text: str) -> str:
    """*text* with its U-labels as A-labels (RFC 5891 section 5), after the mapping of UTS 46."""
    if len(text) > _UNICODE_MAX:
        raise InvalidName(text, "name-too-long")
    try:
        # The mapping also turns the ideographic full stops into dots (UTS 46 section 4).
        mapped = idna.uts46_remap(text, std3_rules=False)
    except idna.IDNAError:
        raise InvalidName(text, "bad-character") from None
    # Label by label, because the library would also refuse our underscores.
    return ".".join(_a_label(text, label) for label in mapped.split(".")).removesuffix(".")


def _a_label(text: str, label: str) -> str:
    if label.isascii():
        return label.lower()
    try:
        return idna.alabel(label).decode("ascii").lower()
    except idna.IDNAError:
        # The A-label that it would have, whether or not IDNA 2008 permits it.
        too_long = len(b"xn--" + label.encode("punycode")) > LABEL_MAX
        raise InvalidName(text, "label-too-long" if too_long else "bad-character") from None


def host_problem(text: str) -> str | None:
    """Why *text* is no host name, as one of ``HOST_PROBLEMS``, or None when it is one.

    A host name is a DNS name of letters, digits and hyphens, no label of which begins or ends
    with a hyphen (RFC 952, RFC 1123 section 2.1; the ``Domain`` of RFC 5321 section 4.1.2).
    """
    try:
        name = normalise(text)
    except InvalidName as invalid:
        return invalid.reason
    if "_" in name:
        return "underscore"
    dotted = f".{name}."
    if ".-" in dotted or "-." in dotted:
        return "hyphen-at-edge"
    return None


def parent(name: str) -> str:
    """*name* without its leftmost label; empty (the root) for a top-level domain."""
    return name.partition(".")[2]


def is_at_or_below(name: str, ancestor: str) -> bool:
    """Is *name* the name *ancestor*, or below it in the tree?  Everything is below the root."""
    return ancestor == "" or name == ancestor or name.endswith(f".{ancestor}")


# A name built below can outgrow NAME_MAX when it is built on one that nearly fills it.  Such a
# name cannot exist; whoever encodes it finds out.


def policy_host(domain: str) -> str:
    """The Policy Host of a Policy Domain (RFC 8461 section 3.2)."""
    return f"mta-sts.{domain}"


def sts_qname(domain: str) -> str:
    """Where the MTA-STS TXT record of a Policy Domain lives (RFC 8461 section 3.1)."""
    return f"_mta-sts.{domain}"


def tlsrpt_qname(domain: str) -> str:
    """Where the TLSRPT TXT record of a Policy Domain lives (RFC 8460 section 3)."""
    return f"_smtp._tls.{domain}"


def tlsa_qname(host: str, port: int = 25) -> str:
    """Where the TLSA records of a TCP service live (RFC 6698 section 3; 25 by RFC 7672 2.2)."""
    return f"_{port}._tcp.{host}"
