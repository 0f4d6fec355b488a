"""The words of a release: data package, data dictionary, citation file and README.

``datapackage.json`` follows Frictionless Data Package 1, ``CITATION.cff`` the Citation File Format
1.2.0.  Everything that they say comes from the resources and the manifests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from analysis.archive import Column
from analysis.release.contents import Resource, slug
from analysis.release.folder import sha256
from analysis.scans import Scan

NAME: Final = "mta-sts-census"
TITLE: Final = "MTA-STS census"
_MEDIA: Final = {
    "csv": {"format": "csv", "mediatype": "text/csv", "encoding": "utf-8"},
    "parquet": {"format": "parquet", "mediatype": "application/vnd.apache.parquet"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Whom to cite, and under which terms."""

    authors: tuple[str, ...]
    license: str | None
    """An SPDX identifier."""


def credit(authors: Sequence[str], license_: str | None, scans: Sequence[Scan]) -> Credit:
    """Those named, or else who the scans said they were."""
    said = [scan.manifest.get("configuration", {}).get("identity", {}) for scan in scans]
    contacts = [str(who["contact"]) for who in said if who.get("contact")]
    fallback = (
        (f"The operators of {contacts[-1]}",) if contacts else ("The operators of the scans",)
    )
    return Credit(authors=tuple(authors) or fallback, license=license_)


def write(
    out: Path, resources: Sequence[Resource], scans: Sequence[Scan], credited: Credit, method: Path
) -> None:
    """Write the words into the folder *out*, which has the tables."""
    package = _package(out, resources, scans, credited)
    texts = {
        "datapackage.json": json.dumps(package, ensure_ascii=False, indent=2) + "\n",
        "DICTIONARY.md": _dictionary(resources),
        "CITATION.cff": _citation(scans, credited),
        "README.md": _readme(resources, scans, credited),
        "METHOD.md": method.read_text("utf-8"),
    }
    for name, text in texts.items():
        (out / name).write_text(text, "utf-8")


# --- the data package


def _package(
    out: Path, resources: Sequence[Resource], scans: Sequence[Scan], credited: Credit
) -> Mapping[str, Any]:
    return {
        "profile": "data-package",
        "name": f"{NAME}-{slug(scans[-1].scan_id)}",
        "title": _title(scans),
        "version": scans[-1].scan_id,
        "created": _released(scans[-1]),
        "contributors": [{"title": author, "role": "author"} for author in credited.authors],
        **({"licenses": [{"name": credited.license}]} if credited.license else {}),
        "sources": [
            {"title": f"Scan {scan.scan_id}, started {scan.manifest.get('started_at', scan.day)}"}
            for scan in scans
        ],
        "resources": [_resource(out, resource) for resource in resources],
    }


def _resource(out: Path, resource: Resource) -> Mapping[str, Any]:
    files = [out / path for path in resource.paths]
    whole = len(files) == 1
    key = {"primaryKey": list(resource.primary_key)} if resource.primary_key else {}
    return {
        "profile": "tabular-data-resource"
        if resource.paths[0].endswith(".csv")
        else "data-resource",
        "name": resource.name,
        "title": resource.title,
        **({"description": resource.note} if resource.note else {}),
        "path": resource.paths[0] if whole else list(resource.paths),
        **_MEDIA[resource.paths[0].rpartition(".")[2]],
        # A hash is of one file; those of several are in SHA256SUMS.
        **(
            {"bytes": files[0].stat().st_size, "hash": f"sha256:{sha256(files[0])}"}
            if whole
            else {}
        ),
        "schema": {
            "fields": [_field(column) for column in resource.columns],
            "missingValues": [""],
            **key,
        },
    }


def _field(column: Column) -> Mapping[str, str]:
    said = {"description": column.meaning} if column.meaning else {}
    return {"name": column.name, "type": column.type, **said}


# --- for people


def _dictionary(resources: Iterable[Resource]) -> str:
    lines = [
        "# Data dictionary",
        "",
        "Types are those of Frictionless Table Schema. In CSV an empty field is null, booleans are `true`",
        "and `false`, lists are JSON, octets hexadecimal, and a text that a spreadsheet would take for a",
        "formula has an apostrophe in front.",
    ]
    for resource in resources:
        lines += [
            "",
            f"## {resource.name}",
            "",
            resource.title,
            *filter(None, (resource.note,)),
            "",
        ]
        lines += ["Files: " + ", ".join(f"`{path}`" for path in resource.paths), ""]
        lines += ["| column | type | meaning |", "|---|---|---|"]
        lines += [f"| `{c.name}` | {c.type} | {_cell(c.meaning)} |" for c in resource.columns]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _readme(resources: Sequence[Resource], scans: Sequence[Scan], credited: Credit) -> str:
    listed = "\n".join(
        f"| `{scan.scan_id}` | {scan.manifest.get('started_at', '')} | {scan.manifest.get('scope', '')} "
        f"| {scan.manifest.get('rules_version', '')} |"
        for scan in scans
    )
    evidence = (
        "`evidence/` holds the scans themselves; `sts-report` and `sts-crawl assess` read it as an archive.\n"
        if any(resource.name.startswith("evidence-") for resource in resources)
        else "The raw observations behind them are not part of this release.\n"
    )
    terms = f"Licence: {credited.license}.\n" if credited.license else ""
    return f"""# {_title(scans)}

Measurements of MTA-STS (RFC 8461) by mta-sts-census {version(NAME)}, released by
{", ".join(credited.authors)}. {terms}
`aggregates/` answers each question of the catalogue, with counts, denominators and intervals;
`domains/` has one row for each domain of each scan; `manifests/` says how each scan was made.
{evidence}
| scan | started | scope | rules |
|---|---|---|---|
{listed}

Columns: [DICTIONARY.md](DICTIONARY.md), for programs `datapackage.json` (Frictionless Data Package).
How the numbers are made and what they can bear: [METHOD.md](METHOD.md). How to cite:
[CITATION.cff](CITATION.cff). `sha256sum --check SHA256SUMS` tells whether all is as it was released.
"""


def _citation(scans: Sequence[Scan], credited: Credit) -> str:
    # A JSON string is a YAML string.
    authors = "".join(f"  - name: {_yaml(author)}\n" for author in credited.authors)
    return (
        "cff-version: 1.2.0\n"
        "message: If you use these data, please cite them as below.\n"
        "type: dataset\n"
        f"title: {_yaml(_title(scans))}\n"
        f"version: {_yaml(scans[-1].scan_id)}\n"
        f"date-released: {_yaml(_released(scans[-1])[:10])}\n"
        f"authors:\n{authors}"
        + (f"license: {_yaml(credited.license)}\n" if credited.license else "")
    )


def _yaml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _title(scans: Sequence[Scan]) -> str:
    first, last = scans[0].day, scans[-1].day
    laboratory = " of a laboratory" if any(scan.closed_world for scan in scans) else ""
    return f"{TITLE}{laboratory}, {first}" + ("" if first == last else f" to {last}")


def _released(scan: Scan) -> str:
    """When the newest scan ended: a release itself has no date, so that it can be made again."""
    return str(scan.manifest.get("ended_at") or scan.manifest.get("started_at") or scan.day)
