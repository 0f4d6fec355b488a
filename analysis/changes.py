"""What changed between two scans of an archive, and may their numbers be compared at all?

The SQL of ``queries/changes`` lays the scans side by side and counts.  Whether the difference is
one of the world is another question: a manifest says what a scan asked, from where and by which
rules, and where two scans differ in that, a warning names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.archive import PACKAGE, Archive
from analysis.scans import Scan
from analysis.tables import whole

Row = Mapping[str, Any]


class UnknownScan(LookupError):
    """The archive has no such scan, or several; the text says which there are."""


class Changes:
    """What two scans of an archive have not in common."""

    def __init__(self, archive: Archive, old: str, new: str) -> None:
        """Compare the scans whose ids are or begin with *old* and *new*."""
        self.old: Final = find_scan(archive, old)
        self.new: Final = find_scan(archive, new)
        if self.old == self.new:
            raise UnknownScan(f"{self.old.scan_id} is one scan; a comparison needs two")
        self.warnings: Final = tuple(incomparable(self.old, self.new))
        self._archive = archive
        scans = {"old": self.old.scan_id, "new": self.new.scan_id}
        archive.keep("change_counts", _sql("1-counts"), **scans)
        archive.keep("change_domains", _sql("2-domains"), **scans)
        archive.keep("change_findings", _sql("3-findings"))
        (self.lists,) = archive.query(_sql("lists")).records()
        """How many domains are on both lists, only on the newer and only on the older."""
        self.transitions: Final[Sequence[Row]] = archive.query(_sql("transitions")).records()
        self.findings: Final[Sequence[Row]] = archive.query(_sql("findings"), **scans).records()

    def domains(self) -> Iterator[Row]:
        """What changed for each domain, one by one; ask the archive nothing else meanwhile."""
        return self._archive.stream(_sql("domains"))


def find_scan(archive: Archive, wanted: str) -> Scan:
    """The scan whose id is *wanted*, or the only one whose id begins so."""
    exact = [scan for scan in archive.scans if scan.scan_id == wanted]
    found = exact or [scan for scan in archive.scans if wanted and scan.scan_id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    problem = "several scans begin with" if found else "there is no sealed scan"
    names = ", ".join(scan.scan_id for scan in found or archive.scans)
    raise UnknownScan(f"{problem} '{wanted}'; give one of {names}")


# --- may they be compared?


def incomparable(old: Scan, new: Scan) -> Iterator[str]:
    """Why a difference between the two scans need not be one of the world, sentence by sentence."""
    for scan in (old, new):
        if not scan.sealed or scan.partial:
            yield f"{scan.scan_id} was closed before all of its work was done"
    started = [str(scan.manifest.get("started_at", "")) for scan in (old, new)]
    if started[0] > started[1]:
        yield f"{old.scan_id}, given as the older scan, started after {new.scan_id}"
    for fact in _FACTS:
        values = [fact.value(scan.manifest) for scan in (old, new)]
        if None in values:
            yield f"whether the {fact.name} are the same was not recorded; {fact.means}"
        elif values[0] != values[1]:
            said = [fact.words(scan.manifest) for scan in (old, new)]
            yield f"the {fact.name} differ ({said[0]}, then {said[1]}); {fact.means}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """Something that two scans must have in common, or their numbers differ for that reason."""

    name: str
    value: Callable[[Row], Any]
    """What is compared; None when it was not recorded."""
    words: Callable[[Row], str]
    means: str
    """What may come of it."""


def _inside(manifest: Row, key: str, *inner: str) -> Any:
    """The first of the values *inner* under *key*, or None, whatever form the manifest has."""
    outer = manifest.get(key)
    if not isinstance(outer, Mapping):
        return None
    return next((outer[name] for name in inner if outer.get(name) not in (None, "", [])), None)


def _list(manifest: Row) -> Any:
    return _inside(manifest, "list", "combined_sha256", "sha256")


def _list_words(manifest: Row) -> str:
    names, accepted = (
        _inside(manifest, "list", "names", "name"),
        _inside(manifest, "list", "accepted"),
    )
    named = ", ".join(map(str, names)) if isinstance(names, list) else str(names or "a list")
    return f"{named} with {whole(accepted)} domains" if isinstance(accepted, int) else named


def _scope(manifest: Row) -> Any:
    scope = manifest.get("scope")
    # The seed picks the sample.
    sample = (manifest.get("sample_rate"), manifest.get("seed")) if scope == "sample" else ()
    return None if scope is None else (scope, *sample)


def _scope_words(manifest: Row) -> str:
    return " ".join(str(part) for part in _scope(manifest))


def _rules(manifest: Row) -> Any:
    return manifest.get("rules_version")


def _vantage(manifest: Row) -> Any:
    named = manifest.get("vantage")
    return named if isinstance(named, str) else _inside(manifest, "vantage", "name")


def _trust_store(manifest: Row) -> Any:
    return _inside(manifest, "trust_store", "sha256")


def _trust_store_words(manifest: Row) -> str:
    return f"{_inside(manifest, 'trust_store', 'name') or 'one'} {str(_trust_store(manifest))[:8]}"


_FACTS: Final = (
    _Fact(
        name="lists",
        value=_list,
        words=_list_words,
        means="compare no totals, only domains that are on both",
    ),
    _Fact(
        name="scopes",
        value=_scope,
        words=_scope_words,
        means="MX hosts and their findings may be there or not because they were asked or not",
    ),
    _Fact(
        name="rules versions",
        value=_rules,
        words=lambda manifest: str(_rules(manifest)),
        means="a finding may have come or gone with its rule; `sts-crawl assess` judges both by the "
        "same rules",
    ),
    _Fact(
        name="vantages",
        value=_vantage,
        words=lambda manifest: str(_vantage(manifest)),
        means="servers may answer each of them differently",
    ),
    _Fact(
        name="trust stores",
        value=_trust_store,
        words=_trust_store_words,
        means="a certificate may pass under one and not under the other",
    ),
)


def _sql(name: str) -> str:
    return (PACKAGE / "queries" / "changes" / f"{name}.sql").read_text("utf-8")
