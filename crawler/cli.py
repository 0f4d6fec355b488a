"""The command line: ``sts-crawl``, or ``python -m crawler``.

Data go to standard output, everything else to standard error.  Exit codes: 0 ok, 1 failure,
2 usage, 3 work remains (for ``check``: could not be measured), 130 interrupted after a
checkpoint.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import click
import trio
from rich.console import Console

from crawler import __version__, config, lab
from crawler.config import Config, ConfigError
from crawler.failures import INTERRUPTED, attempt, fail, run
from crawler.politeness.opt_out import OptOut, OptOutError
from crawler.protocol import names
from crawler.scan import check as check_
from crawler.scan import doctor as doctor_
from crawler.scan import rejudge
from crawler.scan.context import utc_now
from crawler.scan.machine import Health
from crawler.scan.progress import Progress
from crawler.scan.request import Executor, Request
from crawler.scan.run import Outcome, scan, seal_scan
from crawler.snapshot import purge
from crawler.snapshot.address import is_remote
from crawler.snapshot.archives import open_archive
from crawler.snapshot.patience import StorageError
from crawler.snapshot.share import Share
from crawler.snapshot.store import LockedError, StoreError
from crawler.vocabulary import Scope


def _load(path: Path | None) -> Config:
    """The effective configuration, or exit 2 with the key and the remedy."""
    try:
        if path is None:
            return config.load({}, environment=os.environ, base=Path.cwd(), source="environment")
        text = path.read_text("utf-8-sig")  # some editors of Windows write a byte order mark
        return config.load(
            tomllib.loads(text),
            environment=os.environ,
            base=path.parent.resolve(),
            source=str(path),
        )
    except ConfigError as error:
        fail(error, 2)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        fail(f"--config {path}: {error}", 2)


class _Archive(click.ParamType[Path | str]):
    """A folder, or the ``s3://`` address of one in an object store."""

    name = "archive"

    def __init__(self, *, exists: bool = False) -> None:
        self._folder = click.Path(path_type=Path, exists=exists, file_okay=not exists)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | str:
        return value if is_remote(value) else Path(self._folder.convert(value, param, ctx))


CONFIG = click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="TOML file of settings."
)


class _Commands(click.Group):
    """The commands; each may be stopped by Ctrl-C before it has anything to clear up."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            fail("stopped by SIGINT", INTERRUPTED)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="sts-crawl")
def main() -> None:
    """Measure MTA-STS: record, policy, MX coverage and certificates of a list of domains."""


# --- scan ----------------------------------------------------------------------------------


class _Scope(click.ParamType[tuple[Scope, float]]):
    """``adopters``, ``all`` or ``sample:RATE``."""

    name = "scope"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Scope, float]:
        word, colon, rate = str(value).partition(":")
        try:
            if word == Scope.SAMPLE and 0 < float(rate) <= 1:
                return Scope.SAMPLE, float(rate)
        except ValueError:
            pass
        if word in (Scope.ADOPTERS, Scope.ALL) and not colon:
            return Scope(word), 0.0
        raise click.BadParameter(
            f"{value!r} is not adopters, all or sample:RATE with a rate up to 1", ctx, param
        )


class _Shard(click.ParamType[Share]):
    """``I/N``: one of N shares, counted from 0."""

    name = "shard"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Share:
        if isinstance(value, Share):
            return value
        numbers = re.fullmatch(r"(\d{1,5})/(\d{1,5})", str(value))
        if numbers is not None and int(numbers[1]) < int(numbers[2]):
            return Share(int(numbers[1]), int(numbers[2]))
        raise click.BadParameter(
            f"{value!r} is not I/N with I from 0 to N-1, such as 0/4", ctx, param
        )


@main.command("scan")
@click.argument("lists", nargs=-1, required=True, metavar="LIST...")
@click.option(
    "--out",
    "archive",
    required=True,
    type=_Archive(),
    help="Archive: a folder, or s3://BUCKET/PREFIX (see crawler/scan/DISTRIBUTED.md).",
)
@CONFIG
@click.option(
    "--scope",
    type=_Scope(),
    default="adopters",
    show_default=True,
    help="Whose hosts are contacted: adopters, all, or sample:RATE.",
)
@click.option("--both-families", is_flag=True, help="Fetch each policy over IPv4 and IPv6.")
@click.option("--scan-id", help="Name of the scan; of an unsealed one: resume it.")
@click.option(
    "--executor",
    type=click.Choice(get_args(Executor)),
    default="local",
    show_default=True,
    help="Who probes: this process, processes of this machine, or actors of a Ray cluster.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Of --executor processes or ray; default: one for each core of this machine.",
)
@click.option(
    "--shard",
    "share",
    type=_Shard(),
    metavar="I/N",
    help="Run share I of N (from 0) only; see seal.  Exit code 3: others have to run first.",
)
@click.option(
    "--pass",
    "only",
    type=click.Choice(["names", "hosts", "policies", "mail"]),
    help="Run this pass only, if those before it are over.",
)
@click.option(
    "--since",
    metavar="SCAN",
    help="Ask DNS everything, but hold conversations only where something has changed since SCAN, was "
    "wrong or is due; carry over the rest.  latest: the newest sealed scan of that list.",
)
@click.option("--seed", help="Order of visits and sample; default: derived from the scan id.")
def scan_command(
    lists: tuple[str, ...],
    archive: Path | str,
    config_path: Path | None,
    scope: tuple[Scope, float],
    both_families: bool,
    scan_id: str | None,
    executor: Executor,
    workers: int | None,
    share: Share | None,
    only: str | None,
    since: str | None,
    seed: str | None,
) -> None:
    """Measure every domain of LIST (a file, or - for standard input) into a sealed snapshot.

    The same command resumes a scan that was interrupted.
    """
    if workers is not None and executor == "local":
        raise click.UsageError("--workers needs --executor processes or ray")
    request = Request(
        sources=lists,
        archive=archive,
        config=_load(config_path),
        scope=scope[0],
        sample_rate=scope[1],
        both_families=both_families,
        scan_id=scan_id,
        seed=seed,
        executor=executor,
        workers=workers or os.cpu_count() or 1,
        share=share,
        only=only,
        since=since,
    )
    progress = Progress()
    _announce(run(lambda: scan(request, progress)), progress)


def _announce(outcome: Outcome, progress: Progress) -> None:
    """The folder on standard output, the rest for people."""
    if outcome.manifest is None:
        progress.say(
            f"every shard of scan {outcome.folder.scan_id} is done; close it with sts-crawl seal"
        )
    elif outcome.already_sealed:
        progress.say(f"scan {outcome.folder.scan_id} is sealed already; nothing to do")
    else:
        tables = outcome.manifest.tables
        rows = ", ".join(f"{table.rows:,} {name}" for name, table in tables.items() if table.rows)
        progress.say(f"sealed scan {outcome.folder.scan_id}: {rows}")
    click.echo(outcome.folder.location)


@main.command("seal")
@click.argument("archive", type=_Archive(exists=True))
@click.option("--scan-id", required=True, help="The scan to close.")
def seal_command(archive: Path | str, scan_id: str) -> None:
    """Judge and seal a scan that was made by --shard runs; contacts nobody.

    Exit code 3: shards are missing, and are named.
    """
    progress = Progress()
    _announce(run(lambda: seal_scan(archive, scan_id, progress)), progress)


# --- check ---------------------------------------------------------------------------------


@main.command("check")
@click.argument("domains", nargs=-1, required=True, metavar="DOMAIN...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@CONFIG
def check_command(domains: tuple[str, ...], as_json: bool, config_path: Path | None) -> None:
    """Measure a few domains now and say what is wrong with them; writes no file.

    Exit code: 0 fine, 1 something is wrong with a domain, 3 could not be measured.
    """
    settings = _load(config_path)
    settings = config.with_retry_rounds(settings, 0)  # a person does not wait five minutes
    try:
        wanted = list(dict.fromkeys(names.normalise(domain) for domain in domains))
    except names.InvalidName as error:
        fail(f"{error}; give a domain name such as example.com", 2)

    async def measure() -> list[check_.Report]:
        doctor_.require_identity(settings)
        doctor_.require_resolver(await doctor_.check_resolvers(settings))
        return await check_.check(wanted, settings)

    reports = run(measure)
    console = Console(highlight=False)
    for report in reports:
        if as_json:
            click.echo(json.dumps(check_.as_json(report), sort_keys=True))
        else:
            check_.show(report, console)
    exits = {report.exit for report in reports}
    worst = (check_.Exit.WRONG, check_.Exit.UNMEASURED, check_.Exit.FINE)
    raise SystemExit(next(code for code in worst if code in exits))


# --- assess, doctor ------------------------------------------------------------------------


@main.command("assess")
@click.argument("archive", type=_Archive(exists=True))
@click.option("--scan-id", required=True, help="The sealed scan to judge.")
def assess_command(archive: Path | str, scan_id: str) -> None:
    """Judge a sealed scan again, with the rules of this version; contacts nobody."""
    folder, done = attempt(lambda: rejudge.rejudge(archive, scan_id))
    click.echo(f"judged {done.tables['assessments'].rows:,} domains again", err=True)
    click.echo(folder.location)


@main.command("purge")
@click.argument("archive", type=_Archive(exists=True))
@click.option(
    "--opt-out",
    "opt_out",
    required=True,
    type=click.Path(path_type=Path),
    help="File of domains, MX hosts, addresses and CIDRs to remove, as [politeness] opt_out.",
)
def purge_command(archive: Path | str, opt_out: Path) -> None:
    """Remove opted-out names and addresses from every scan of ARCHIVE, finished or not.

    Prints the folder of each scan that has changed.  Exit code: 1 when a scan cannot be purged, 3
    when one is being worked on and has to be purged once that has ended.
    """
    entries = attempt(lambda: OptOut(opt_out).current)
    opened = attempt(lambda: open_archive(archive, say=Progress().say))
    scans = purge.purge_archive(opened, entries, utc_now())
    worst, empty = 0, True
    while (done := attempt(lambda: next(scans, None))) is not None:
        empty = False
        folder, purged = done
        click.echo(f"scan {folder.scan_id}: {purged}", err=True)
        if isinstance(purged, (LockedError, StorageError)):
            worst = worst or 3
        elif isinstance(purged, StoreError):
            worst = 1
        elif purged:
            click.echo(folder.location)
    if empty:
        fail(f"{opened} holds no scan; give the folder that scan --out wrote", 2)
    raise SystemExit(worst)


@main.command("doctor")
@CONFIG
def doctor_command(config_path: Path | None) -> None:
    """Test this vantage: resolvers, identity, IPv6, port 25, limits.  Exit 1 when a scan must not start."""
    settings = _load(config_path)
    opt_out = _opt_out(settings)
    console = Console(highlight=False)
    checks = run(lambda: doctor_.examine(settings, opt_out))
    for check in checks:
        mark = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "fail": "[red]FAIL[/]"}
        console.print(mark[check.health], end=" ")
        console.print(f"{check.name}: {check.sentence}", markup=False, soft_wrap=True)
    raise SystemExit(any(check.health is Health.FAIL for check in checks))


def _opt_out(settings: Config) -> OptOut:
    try:
        return OptOut(settings.politeness.opt_out)
    except (OptOutError, OSError) as error:
        fail(error, 2)


# --- the lab -------------------------------------------------------------------------------


@main.command("lab")
@click.option(
    "--dir", "folder", required=True, type=click.Path(path_type=Path), help="Where to write."
)
@click.option(
    "--domains", default=2000, show_default=True, type=click.IntRange(1), help="How many."
)
@click.option("--seed", default=1, show_default=True, help="Decides everything in the world.")
@click.option(
    "--epoch", default=0, show_default=True, type=click.IntRange(0), help="The world's age."
)
@click.option("--export", is_flag=True, help="Write zone files and certificates; serve nothing.")
def lab_command(folder: Path, domains: int, seed: int, epoch: int, export: bool) -> None:
    """Serve an Internet on loopback whose truth is known, until Ctrl-C.

    Writes lab.toml (for --config), domains.csv and truth.parquet, then prints one line "ready".
    """
    if export:
        attempt(lambda: lab.export(folder, domains=domains, seed=seed, epoch=epoch))
        click.echo(folder)
        return

    async def serve() -> None:
        async with lab.open_world(folder, domains=domains, seed=seed, epoch=epoch) as world:
            for note in world.notes:
                click.echo(note, err=True)
            click.echo("ready")
            sys.stdout.flush()
            await trio.sleep_forever()

    try:
        run(serve)
    except KeyboardInterrupt:
        click.echo("lab stopped", err=True)


@main.command("demo")
@click.option(
    "--out", "folder", required=True, type=click.Path(path_type=Path), help="Where to write."
)
@click.option(
    "--domains", default=2000, show_default=True, type=click.IntRange(1), help="How many."
)
def demo_command(folder: Path, domains: int) -> None:
    """Scan the lab world and compare every judgement with the truth that was planted in it."""
    progress = Progress()

    async def demo() -> tuple[Outcome, lab.Agreement]:
        async with lab.open_world(folder / "lab", domains=domains) as world:
            request = Request(
                sources=(str(world.list_path),),
                archive=folder / "archive",
                config=_load(world.config_path),
            )
            outcome = await scan(request, progress)
        parts = sorted((outcome.folder.path / "assessments").glob("part-*.parquet"))
        return outcome, lab.compare(world.truth_path, parts)

    outcome, agreement = run(demo)
    _announce(outcome, progress)
    for line in agreement.lines():
        progress.say(line)
    raise SystemExit(0 if agreement.perfect else 1)
