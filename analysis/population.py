"""What the list of a scan is a sample of: how many domains each stratum of the population has.

A CSV with the columns ``stratum`` and ``domains``.  A stratum is named as the grouping of
``sts-report ask estimates --by`` names it (``com`` for ``--by tld``), and ``all`` without one.  The
list is then taken for a simple random sample of each stratum, which only who drew it can know.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from analysis.archive import Archive
from analysis.catalogue import GROUPINGS, Question
from analysis.tables import whole

_SIZE: Final = re.compile(r"0*[1-9][0-9]{0,14}", re.ASCII)
"""More digits are a slip, and shares of such a number would be inexact."""

_COLUMNS: Final = {"stratum": "varchar", "domains": "bigint"}
_FORM: Final = "give CSV with the columns stratum and domains, one stratum a line"


class BadPopulation(ValueError):
    """The population cannot be used: one sentence with the place and the remedy."""


def read(path: Path) -> Mapping[str, int]:
    """The size of each stratum of the file *path*, or of standard input for ``-``.

    Raises :class:`BadPopulation` naming the line that is none.
    """
    try:
        with click.open_file(str(path), encoding="utf-8-sig", errors="strict") as file:
            text = file.read()
        rows = list(csv.reader(text.splitlines(), strict=True))
    except OSError as error:
        raise BadPopulation(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadPopulation(f"{path} is not CSV in UTF-8 ({error}); {_FORM}") from error
    if not rows or [cell.strip() for cell in rows[0]] != list(_COLUMNS):
        raise BadPopulation(f"the first line of {path} is not 'stratum,domains'; {_FORM}")
    sizes: dict[str, int] = {}
    for place, row in enumerate(rows[1:], 2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != 2 or not _SIZE.fullmatch(cells[1]):
            raise BadPopulation(
                f"line {place} of {path} is not a stratum and a number from 1 on; {_FORM}"
            )
        if cells[0] in sizes:
            raise BadPopulation(f"line {place} of {path} names {cells[0]} again; name it once")
        sizes[cells[0]] = int(cells[1])
    if not sizes:
        raise BadPopulation(f"{path} names no stratum; {_FORM}")
    return sizes


def load(archive: Archive, sizes: Mapping[str, int], question: Question, by: str | None) -> None:
    """Let *sizes* be the population of *question*, asked of *archive* by *by*.

    Raises :class:`BadPopulation` for a stratum of which a scan lists more domains than it has.
    """
    archive.load("population", _COLUMNS, [{"stratum": s, "domains": n} for s, n in sizes.items()])
    archive.group_by(GROUPINGS[question.grouping(by)][0])
    excess = archive.query(
        "select scan_id, p.stratum, p.domains, count(*) as listed "
        "from subjects s join population p on p.stratum = s.stratum::varchar "
        "group by all having listed > p.domains order by scan_id, p.stratum limit 1"
    ).records()
    for row in excess:
        raise BadPopulation(
            f"the scan {row['scan_id']} lists {whole(row['listed'])} domains of {row['stratum']}, more "
            f"than the {whole(row['domains'])} of the population; state the size of what was sampled"
        )
