"""What is asked of whom, as every client wants it written down.

Of names: TXT at ``_mta-sts.<domain>`` and MX at the domain.  Of hosts: one conversation each, at
the address beside the name.  Each client reads its work from a file, so that nobody pays for
making it up.  This module is imported by the clients that are Python and therefore imports
nothing that is slow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TYPES = ("TXT", "MX")


def read_list(path: Path) -> list[str]:
    """The domains of a list of lines ``rank,domain``."""
    return [line.partition(",")[2] for line in path.read_text().splitlines()]


def read_hosts(path: Path) -> list[tuple[str, str]]:
    """The addresses and names of a list of lines ``address,host``."""
    lines = (line.partition(",") for line in path.read_text().splitlines())
    return [(address, host) for address, _, host in lines]


def name_of(domain: str, rdtype: str) -> str:
    """The name at which *domain* is asked for records of *rdtype*."""
    return f"_mta-sts.{domain}" if rdtype == "TXT" else domain


@dataclass(frozen=True)
class Workload:
    """The first *size* lines of a list of the world, *repeat* times over; files are made when
    wanted.  *folder* holds the lists.
    """

    folder: Path
    size: int
    repeat: int = 1

    @property
    def times(self) -> int:
        """How many lines that is."""
        return self.size * self.repeat

    @property
    def questions(self) -> int:
        """How many questions, where the lines are domains."""
        return len(TYPES) * self.times

    @property
    def listed(self) -> Path:
        """The domains once, as a ranked list."""
        path = self.folder / f"domains-{self.size}.csv"
        return self._file(path, (f"{rank},{d}" for rank, d in enumerate(self._domains(), start=1)))

    @property
    def pairs(self) -> Path:
        """The questions once, ``name TYPE`` a line, those of a domain one after the other."""
        path = self.folder / f"pairs-{self.size}.txt"
        lines = (f"{name_of(d, rdtype)} {rdtype}" for d in self._domains() for rdtype in TYPES)
        return self._file(path, lines)

    def of_type(self, rdtype: str) -> Path:
        """The names of one type as often as they are asked, for a client that asks one type."""
        path = self.folder / f"{rdtype.lower()}-{self.size}x{self.repeat}.txt"
        asked = [name_of(domain, rdtype) for domain in self._domains()]
        return self._file(path, asked * self.repeat)

    def hosts(self, kind: str) -> Path:
        """The hosts of the list *kind*, ``address,host``, as often as they are contacted."""
        path = self.folder / f"{kind}-{self.size}x{self.repeat}.csv"
        lines = (self.folder / f"{kind}.csv").read_text().splitlines()[: self.size]
        return self._file(path, lines * self.repeat)

    def _domains(self) -> list[str]:
        return read_list(self.folder / "domains.csv")[: self.size]

    @staticmethod
    def _file(path: Path, lines: Iterable[str]) -> Path:
        if not path.exists():
            path.write_text("".join(f"{line}\n" for line in lines))
        return path
