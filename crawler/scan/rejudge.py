"""Judging a sealed scan again: newer rules, the same observations, nobody contacted.

The new judged tables take the place of the old ones as a whole; until then the scan is what it
was.  What is judged with is what the scan keeps: its trust roots, its suffix list, its scope.
"""

from __future__ import annotations

from pathlib import Path

from crawler import config
from crawler.assessment.rules import RULES_VERSION
from crawler.scan.closing import SUFFIXES, TRUST_ROOTS, openssl_versions
from crawler.scan.judge import judge_scan
from crawler.scan.planning import planning
from crawler.scan.request import RequestError
from crawler.snapshot import manifest
from crawler.snapshot.archives import open_archive
from crawler.snapshot.damage import DamagedError
from crawler.snapshot.folder import SealedWork
from crawler.snapshot.manifest import Manifest
from crawler.snapshot.seal import Replacement
from crawler.snapshot.store import ScanFolder
from crawler.snapshot.suffixes import Suffixes
from crawler.vocabulary import Scope


def rejudge(archive: Path | str, scan_id: str) -> tuple[ScanFolder, Manifest]:
    """Judge a sealed scan with the rules of this version; the scan and its new manifest.

    Raises ``StoreError`` for a scan that does not exist, is worked on or is damaged, and
    ``RequestError`` for one that is not sealed.
    """
    folder = open_archive(archive).open_scan(scan_id)
    if not folder.sealed:
        raise RequestError(f"scan {scan_id} is not sealed; finish it with the scan command first")
    with folder.lock():
        _require_whole(folder)
        facts = folder.manifest().facts
        plan = planning(
            config.from_stated(facts["configuration"], f"manifest of scan {scan_id}"),
            seed=facts["seed"],
            scope=Scope(facts["scope"]),
            sample_rate=facts["sample_rate"],
            both_families=facts["both_families"],
        )
        suffixes = Suffixes.load(folder.path / SUFFIXES)
        roots = (folder.path / TRUST_ROOTS).read_bytes()
        with Replacement(folder) as replacement:
            work = SealedWork(folder, replacement, seed=facts["seed"])
            judge_scan(work, plan, roots, suffixes.registrable)
            # What measured stays what it was.
            openssl = {**openssl_versions(), "measuring": facts["openssl"]["measuring"]}
            new = replacement.finish({"rules_version": RULES_VERSION, "openssl": openssl})
    return folder, new


def _require_whole(folder: ScanFolder) -> None:
    """Raise unless every listed part is there as it was written: what is judged must be evidence."""
    lost = [p for p in manifest.verify(folder.path) if p.kind != "unlisted"]
    if lost:
        raise DamagedError(
            f"{folder.path / lost[0].path} is {lost[0].kind}; copy the scan again, then judge it "
            f"(files that are not as the manifest lists them: {len(lost)})"
        )
