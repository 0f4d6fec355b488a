"""Certificate chains to be judged, all different and all good, as a file.

``chains.csv`` has a chain a line: a name that its leaf carries, another one, and the certificates
in base64, leaf first.  Half are P-256 throughout, half RSA-2048.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from crawler.lab.load_pki import KeyKind, LoadAuthority

CHAINS = 2_000

KINDS: tuple[KeyKind, ...] = ("p256", "rsa2048")


@dataclass(frozen=True)
class Chain:
    """A line of the file."""

    host: str
    other_host: str
    ders: tuple[bytes, ...]


def export(folder: Path) -> None:
    """Write ``chains.csv``, and ``roots.pem`` by which they are good."""
    folder.mkdir(parents=True)
    authorities = [LoadAuthority(kind, datetime.now(UTC)) for kind in KINDS]
    (folder / "roots.pem").write_bytes(b"".join(a.roots_pem for a in authorities))
    with (folder / "chains.csv").open("w") as lines:
        for number in range(CHAINS):
            names = [f"mx{number}.judged.load", f"mail{number}.judged.load"]
            chain = authorities[number % len(authorities)].leaf(names)
            ders = (b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain)
            lines.write(",".join((*names, *ders)) + "\n")


def read(path: Path) -> list[Chain]:
    """The chains of such a file."""
    chains = []
    for line in path.read_text().splitlines():
        host, other, *ders = line.split(",")
        chains.append(Chain(host, other, tuple(map(b64decode, ders))))
    return chains
