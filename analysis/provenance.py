"""Where the numbers come from: a scan's manifest, put into words.

Manifests outlive the software that wrote them, so nothing is taken for granted: a key that is
missing reads *not recorded*, and one in a form not known here is shown as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.scans import Scan
from analysis.tables import plain, whole

UNKNOWN: Final = "not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the page says about one scan."""

    scan_id: str
    facts: Sequence[tuple[str, str]]
    configuration: str
    """As JSON; empty when it was not recorded."""


def of(scan: Scan) -> Provenance:
    """The facts of *scan* that decide how far its numbers reach."""
    manifest = scan.manifest
    configuration = manifest.get("configuration")
    return Provenance(
        scan_id=scan.scan_id,
        facts=[
            (label, _read(manifest, keys, say))
            for label, keys, say in _FACTS
            if manifest.get(keys[0]) is not None or keys not in _SELDOM
        ],
        configuration=_json(configuration, indent=2) if configuration else "",
    )


def _read(manifest: Mapping[str, Any], keys: Sequence[str], say: Callable[[Any], str]) -> str:
    for key in keys:
        if manifest.get(key) not in (None, "", [], {}):
            return say(manifest[key])
    return UNKNOWN


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(plain(value), ensure_ascii=False, indent=indent, sort_keys=True)


def _words(value: Any) -> str:
    """A value in one line: lists by commas, mappings as ``key value``."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_words(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(item) for item in value) or "none"
    return whole(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _as_is(value: Any) -> str:
    return str(value)


def _names(value: Any) -> str:
    return (
        _words(value.get("names", value.get("name", UNKNOWN)))
        if isinstance(value, Mapping)
        else _words(value)
    )


def _list_size(value: Any) -> str:
    if not isinstance(value, Mapping):
        return UNKNOWN
    rejected = value.get("rejected") or {}
    parts = [f"{_words(value.get('accepted', UNKNOWN))} accepted"]
    if "duplicates" in value:
        parts.append(f"{_words(value['duplicates'])} duplicates")
    parts.append(f"rejected: {_words(rejected) if rejected else 'none'}")
    return "; ".join(parts)


def _list_hash(value: Any) -> str:
    if not isinstance(value, Mapping):
        return UNKNOWN
    return _words(value.get("combined_sha256", value.get("sha256", UNKNOWN)))


def _state(value: Any) -> str:
    return "closed before all of its work was done" if value == "partial" else str(value)


_Fact = tuple[str, Sequence[str], Callable[[Any], str]]
_SELDOM: Final = (("since",),)
"""What most scans have nothing to say of."""

_FACTS: Final[Sequence[_Fact]] = (
    # label              keys, the current one first                     in words
    ("Started", ("started_at",), _as_is),
    ("Ended", ("ended_at", "finished_at"), _as_is),
    ("State", ("state", "status"), _state),
    ("Domain list", ("list",), _names),
    ("Size of the list", ("list",), _list_size),
    ("SHA-256 of the list", ("list",), _list_hash),
    ("Scope", ("scope",), _words),
    ("Carries over from", ("since",), _as_is),
    ("Seed", ("seed",), _as_is),
    ("Resolvers", ("resolvers",), _words),
    ("Vantage", ("vantage",), _names),
    ("Software", ("software_version",), _as_is),
    ("Rules", ("rules_version",), _as_is),
    ("Schema", ("schema_version",), _as_is),
    ("Public suffix list", ("public_suffix_list", "public_suffix_list_version"), _words),
    ("Trust store", ("trust_store",), _words),
    ("OpenSSL", ("openssl",), _words),
)
