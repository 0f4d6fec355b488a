"""The commands ``sts-report list | ask | build | customers | diff | export | sql``.

Data goes to standard output and everything else to standard error.  Exit codes: 0 ok, 1 failure
(for ``customers``: or a domain is broken), 2 the command was called wrongly, an archive that is none
included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from analysis import change_formats, customer_formats, customer_list, population, tables
from analysis.archive import PACKAGE, Archive, BadQuery, Result, open_archive
from analysis.catalogue import (
    GROUPINGS,
    SECTIONS,
    CannotGroup,
    UnknownQuestion,
    find,
    questions,
)
from analysis.changes import Changes, UnknownScan
from analysis.customer_list import BadList
from analysis.customers import Customers
from analysis.population import BadPopulation
from analysis.release import contents, describe
from analysis.release.folder import NotOurs, replaced
from analysis.remote import is_remote
from analysis.scans import ArchiveError, NotAnArchive

_PIPE_WIDTH: Final = 1000
"""Columns of a table that goes to a file: nothing is folded there."""


class WrongCall(click.ClickException):
    """The command was called wrongly: one sentence, exit code 2."""

    exit_code = 2


format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="How the rows are written; shares are fractions of 1 except in the table.",
)


class _Archive(click.ParamType[Path | str]):
    """A folder, or the ``s3://`` address of one in an object store."""

    name = "archive"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Path | str:
        return value if is_remote(value) else Path(value)


archive_argument = click.argument("archive", type=_Archive())
unsealed_option = click.option(
    "--unsealed", is_flag=True, help="Read scans that are not finished as well."
)
vantage_option = click.option(
    "--vantage", metavar="NAME", help="Read only the scans that were made from this vantage."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("mta-sts-census"), prog_name="sts-report")
def main() -> None:
    """Ask an archive of MTA-STS scans, and make a page of the answers.

    ARCHIVE is the folder that `sts-crawl scan --out` wrote, or an address s3://BUCKET/PREFIX, whose
    scans are copied into $STS_STORAGE_CACHE (default: ~/.cache/mta-sts-census) and kept there.
    """


@main.command("list")
@format_option
def list_questions(format_: str) -> None:
    """Show the questions that the catalogue answers."""
    rows = [
        {
            "section": SECTIONS[question.folder],
            "name": question.name,
            "question": question.question,
            "denominator": question.denominator,
            "by": " ".join(question.groupings),
        }
        for question in questions().values()
    ]
    if format_ == "table":
        _print_catalogue(_console())
    else:
        _write(Result.of(rows), format_)


@main.command()
@click.argument("question")
@archive_argument
@click.option("--by", type=click.Choice(list(GROUPINGS)), help="Group the answer by this.")
@click.option(
    "--population",
    "population_",
    type=click.Path(path_type=Path),
    help="For 'estimates', when the list is a sample of something larger: CSV with the columns "
    "stratum and domains, the strata named as --by names them; '-' is standard input.",
)
@format_option
@unsealed_option
@vantage_option
def ask(
    question: str,
    archive: Path | str,
    by: str | None,
    population_: Path | None,
    format_: str,
    unsealed: bool,
    vantage: str | None,
) -> None:
    """Answer QUESTION from ARCHIVE, with n, of_n, share and its 95 % interval."""
    with _reporting_errors():
        asked = find(question)
        asked.grouping(by)
        if population_ is not None and question != "estimates":
            raise WrongCall(f"'{question}' takes no --population; 'estimates' does")
        sizes = None if population_ is None else population.read(population_)
        with open_archive(archive, unsealed=unsealed, vantage=vantage) as opened:
            _say_scans(opened)
            if sizes is not None:
                population.load(opened, sizes, asked, by)
            result = asked.ask(opened, by)
        click.echo(f"{asked.question}\nof_n: {asked.denominator}", err=True)
        _write(result, format_)


@main.command()
@archive_argument
@click.argument("sql")
@format_option
@unsealed_option
def sql(archive: Path | str, sql: str, format_: str, unsealed: bool) -> None:
    """Run one SELECT over the tables and views of ARCHIVE; `show tables` names them.

    SQL may be "-" for standard input.  Nothing can be written, and no other file be read.
    """
    with _reporting_errors():
        text = _standard_input() if sql == "-" else sql
        with open_archive(archive, unsealed=unsealed) as opened:
            result = opened.query_from_outside(text)
        _write(result, format_)


@main.command()
@archive_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for index.html and its figures; made if need be.",
)
@click.option(
    "--interactive",
    is_flag=True,
    help="Let readers break down, sort, filter and look up on the page; it then has a script and its "
    "data in it, a few megabytes at most, and needs as little network as before.",
)
@unsealed_option
@vantage_option
def build(
    archive: Path | str, out: Path, interactive: bool, unsealed: bool, vantage: str | None
) -> None:
    """Make a page of ARCHIVE that opens offline, with a CSV, SVG and PNG beside each figure."""
    with _reporting_errors():
        with _needing_the_extra():
            from analysis.report import build_report
        with open_archive(archive, unsealed=unsealed, vantage=vantage) as opened:
            _say_scans(opened)
            page = build_report(opened, out, interactive=interactive)
        click.echo(f"open {page}", err=True)


@main.command("customers")
@archive_argument
@click.option(
    "--list",
    "list_",
    type=click.Path(path_type=Path),
    help="Domains, one a line or CSV with a column 'domain'; '-' is standard input.  "
    "Without it: all that publish anything.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "json", "html"]),
    default="table",
    show_default=True,
    help="How the domains are written.",
)
@vantage_option
def customers_command(
    archive: Path | str, list_: Path | None, format_: str, vantage: str | None
) -> None:
    """Say of each domain of a mail provider what is wrong, where, since when, and what to change.

    The newest sealed scan of ARCHIVE answers.  Exit code: 1 when a domain is broken, that is when
    senders refuse its mail (in mode testing: would refuse it) or find no policy that they can use;
    0 when none is.
    """
    with _reporting_errors(), open_archive(archive, vantage=vantage) as opened:
        listed = None if list_ is None else customer_list.read(list_)
        answer = Customers(opened, listed)
        click.echo(customer_formats.summary(answer), err=True)
        _write_customers(answer, format_)
        broken = answer.broken
    sys.exit(1 if broken else 0)


def _write_customers(answer: Customers, format_: str) -> None:
    with click.open_file("-", "w", encoding="utf-8") as out:
        match format_:
            case "csv":
                customer_formats.write_csv(answer, out)
            case "json":
                customer_formats.write_json(answer, out)
            case "html":
                with _needing_the_extra():
                    from analysis.customer_page import write_html
                write_html(answer, out)
            case _:
                customer_formats.print_table(answer, _console())


@main.command("diff")
@archive_argument
@click.argument("old")
@click.argument("new")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="Counts as a table, the domains that changed as CSV, or both as JSON.",
)
def diff_command(archive: Path | str, old: str, new: str, format_: str) -> None:
    """Say what changed from the scan OLD to the scan NEW of ARCHIVE.

    A scan is named by its id or the beginning of it.  Where the scans differ in what they asked,
    from where or by which rules, a warning says so: the numbers are then not comparable.

    \b
    A domain's state is the first that applies:
      not listed   it is not on the list of that scan
      unmeasured   its record, or the policy behind it, could not be measured
      none         it has no record; removed, when it had one in OLD
      broken       senders refuse its mail, or find no policy that they can use
      enforce, testing, off   the mode of its policy; off is mode none

    \b
    A finding is counted under one of these for each domain:
      listed, unlisted   the domain is only on the list of NEW, or only on that of OLD
      stays              both scans have it
      removed            gone with the domain's record
      unknown            the scan that lacks it did not get to see what it is about
      appeared, fixed    only NEW has it, or only OLD
    """  # noqa: D301 - click wants the control character
    with _reporting_errors(), open_archive(archive) as opened:
        changes = Changes(opened, old, new)
        for warning in changes.warnings:
            click.echo(f"Not comparable: {warning}.", err=True)
        with click.open_file("-", "w", encoding="utf-8") as out:
            match format_:
                case "csv":
                    change_formats.write_csv(changes, out)
                case "json":
                    change_formats.write_json(changes, out)
                case _:
                    change_formats.print_tables(changes, _console())


@main.command("export")
@archive_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the release: new, empty, or an earlier release, which is replaced.",
)
@click.option("--evidence", is_flag=True, help="Put the scans themselves into it as well.")
@click.option("--author", multiple=True, help="Whom to cite; may be given several times.")
@click.option("--license", "license_", help="SPDX identifier of the terms, such as CC-BY-4.0.")
def export_command(
    archive: Path, out: Path, evidence: bool, author: tuple[str, ...], license_: str | None
) -> None:
    """Write a release folder of ARCHIVE: tables, data dictionary, data package, citation, checksums.

    It names domains: `sts-crawl purge` takes out who has opted out, before.
    """
    with _reporting_errors():
        with open_archive(archive) as opened, replaced(out) as made:
            _say_scans(opened)
            resources = contents.write(opened, made, questions().values(), evidence=evidence)
            credited = describe.credit(author, license_, opened.scans)
            describe.write(made, resources, opened.scans, credited, PACKAGE / "METHOD.md")
        click.echo(f"{len(resources)} tables in {out}; see {out / 'README.md'}", err=True)


@contextmanager
def _needing_the_extra() -> Iterator[None]:
    """Say how to install what a page is made with, where it is missing."""
    try:
        yield
    except ImportError as error:
        raise click.ClickException(
            f"the page needs {error.name}: install the extra, mta-sts-census[report]"
        ) from error


@contextmanager
def _reporting_errors() -> Iterator[None]:
    """Turn what can go wrong into one sentence on standard error and an exit code."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has seen enough; no news for anybody
    except (
        NotAnArchive,
        BadQuery,
        UnknownQuestion,
        CannotGroup,
        BadList,
        BadPopulation,
        NotOurs,
        UnknownScan,
    ) as error:
        raise WrongCall(str(error.args[0])) from error
    except (ArchiveError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _standard_input() -> str:
    try:
        with click.open_file("-", encoding="utf-8-sig", errors="strict") as given:
            return str(given.read())
    except UnicodeDecodeError as error:
        raise BadQuery("standard input is not text in UTF-8") from error


def _write(result: Result, format_: str) -> None:
    if format_ == "parquet":
        if sys.stdout.isatty():
            raise WrongCall("Parquet is not for a terminal; send it to a file with >")
        sys.stdout.buffer.write(result.parquet())
        return
    writers: dict[str, Callable[[Result], Any]] = {
        "table": lambda r: tables.print_table(_console(), r.columns, r.records()),
        "csv": lambda r: click.echo(tables.to_csv(r.columns, r.records()), nl=False),
        "json": lambda r: click.echo(tables.to_json(r.records()), nl=False),
    }
    writers[format_](result)


def _console() -> Console:
    """Standard output; as wide as it likes when no person is watching."""
    return Console(
        soft_wrap=False, highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH
    )


def _print_catalogue(console: Console) -> None:
    width = max(map(len, questions())) + 2
    for folder, title in SECTIONS.items():
        console.print(f"[bold]{title}[/bold]")
        for question in questions().values():
            if question.folder == folder:
                console.print(f"  {question.name:<{width}}{question.question}")
                console.print(f"  {'':<{width}}--by {' | '.join(question.groupings)}", style="dim")
        console.print()


def _say_scans(archive: Archive) -> None:
    names = ", ".join(scan.scan_id for scan in archive.scans)
    click.echo(f"{len(archive.scans)} scan{'s'[: len(archive.scans) != 1]}: {names}", err=True)
    if len(archive.vantages) > 1:
        click.echo(
            f"{len(archive.vantages)} vantages: {', '.join(archive.vantages)}; changes are told of "
            f"{archive.scans[-1].vantage}'s scans (--vantage picks another's)",
            err=True,
        )
