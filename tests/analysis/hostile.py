"""An archive in which strangers chose every name and every text, and what no output may have of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS: Final = (
    "=HYPERLINK(1)",
    "\t@SUM(1)",
    "\uff1d1+1",
    "\x1b[2J\x9b31m\x07\x7f",
    "\x00\u202e\u2066\u2028\ufeff",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; DROP TABLE domains; --",
    "[bold red]{{7*7}}[/]",
    "a\r\nb,\nc",
)

CHOSEN: Final = frozenset(
    [
        "domain",
        "tld",
        "public_suffix",
        "registrable_domain",
        "original",
        "tags",
        "list",
        "cname_chain",
        "error",
        "qname",
        "hosts",
        "host",
        "content_type",
        "location",
        "headers",
        "body",
        "records",
        "banner",
        "ehlo",
        "ehlo_tls",
        "ehlo_rejection",
        "starttls_reply",
        "plaintext_after_starttls",
        "quit_reply",
        "refusal_enhanced",
        "subject",
        "common_name",
        "names",
        "issuer",
        "serial",
        "key",
        "signature",
        "parse_error",
        "webpki_error",
        "mx",
        "policy_mx",
        "problems",
        "record_id",
        "dane_names",
    ]
)
"""Columns whose text a stranger has a say in; those of a closed list of words are not."""


def poison(archive: Path) -> Path:
    """Put one of ``TEXTS`` before half the texts of the ``CHOSEN`` columns, or behind the octets; the
    same to equal ones.
    """
    for scan in archive.glob("scan=*"):
        manifest = json.loads((scan / "manifest.json").read_text("utf-8"))
        for table in manifest["tables"].values():
            for part in table["parts"]:
                path = scan / part["path"]
                read = pq.ParquetFile(path).read()
                rows = [
                    {k: _poisoned(v) if k in CHOSEN else v for k, v in row.items()}
                    for row in read.to_pylist()
                ]
                pq.write_table(pa.Table.from_pylist(rows, schema=read.schema), path)
                octets = path.read_bytes()
                part |= {"size": len(octets), "sha256": sha256(octets).hexdigest()}
        (scan / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return archive


def _poisoned(value: Any) -> Any:
    match value:
        case str():
            return _poison_for(value.encode()) + value
        case bytes():
            return value + _poison_for(value).encode()
        case list():
            return [_poisoned(item) for item in value]
        case dict():
            return {k: _poisoned(v) for k, v in value.items()}
    return value


def _poison_for(octets: bytes) -> str:
    number = crc32(octets) % (2 * len(TEXTS))
    return TEXTS[number] if number < len(TEXTS) else ""


# --- what is wrong with an output ----------------------------------------------------------


def unprintable(text: str) -> list[str]:
    """The lines with something that a terminal might obey or hide."""
    return [line for line in text.split("\n") if not line.isprintable()]


def formulas(text: str) -> list[str]:
    """The cells of a CSV that a spreadsheet might run, numbers aside."""
    cells = (cell for row in csv.reader(text.splitlines()) for cell in row)
    return [c for c in cells if c.lstrip()[:1] in tuple("=+-@＝＋－＠") and not _is_number(c)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == ""
    return True


class Page(HTMLParser):
    """What a page would do beside showing text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what runs, and what leads to where a stranger says."""
        if tag in ("script", "iframe", "object", "embed", "base", "form"):
            self.faults.append(tag)
        self.faults += [
            f"{tag} {k}={v}" for k, v in attrs if k.startswith("on") or _leads_away(k, v)
        ]


def _leads_away(attribute: str, value: str | None) -> bool:
    ours = ("#", "figures/", "data:image/png;base64,", "https://www.rfc-editor.org/rfc/")
    return attribute in ("href", "src") and not (value or "").startswith(ours)


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a value read from JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (*texts_of(key), *texts_of(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
