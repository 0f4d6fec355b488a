"""What is asked: TXT at ``_mta-sts.<domain>`` and MX at the domain, as every client wants it.

Each client reads its questions from a file, so that nobody pays for making them up.  This module
is imported by the clients that are Python and therefore imports nothing that is slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TYPES = ("TXT", "MX")


def read_list(path: Path) -> list[str]:
    """The domains of a list of lines ``rank,domain``."""
    return [line.partition(",")[2] for line in path.read_text().splitlines()]


def name_of(domain: str, rdtype: str) -> str:
    """The name at which *domain* is asked for records of *rdtype*."""
    return f"_mta-sts.{domain}" if rdtype == "TXT" else domain


@dataclass(frozen=True)
class Workload:
    """The first *domains* of the world, *repeat* times over; its files are made when wanted."""

    folder: Path
    domains: int
    repeat: int = 1

    @property
    def questions(self) -> int:
        """How many questions that is."""
        return len(TYPES) * self.domains * self.repeat

    @property
    def listed(self) -> Path:
        """The domains once, as a ranked list."""
        path = self.folder / f"domains-{self.domains}.csv"
        return self._file(path, (f"{rank},{d}" for rank, d in enumerate(self._domains(), start=1)))

    @property
    def pairs(self) -> Path:
        """The questions once, ``name TYPE`` a line, those of a domain one after the other."""
        path = self.folder / f"pairs-{self.domains}.txt"
        lines = (f"{name_of(d, rdtype)} {rdtype}" for d in self._domains() for rdtype in TYPES)
        return self._file(path, lines)

    def of_type(self, rdtype: str) -> Path:
        """The names of one type as often as they are asked, for a client that asks one type."""
        path = self.folder / f"{rdtype.lower()}-{self.domains}x{self.repeat}.txt"
        asked = [name_of(domain, rdtype) for domain in self._domains()]
        return self._file(path, (name for _ in range(self.repeat) for name in asked))

    def _domains(self) -> list[str]:
        return read_list(self.folder / "domains.csv")[: self.domains]

    @staticmethod
    def _file(path: Path, lines: Iterator[str]) -> Path:
        if not path.exists():
            path.write_text("".join(f"{line}\n" for line in lines))
        return path
