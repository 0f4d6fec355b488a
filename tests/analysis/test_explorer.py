"""The interactive page: the plain one, the data that SQL returned, and a script that only shows them."""

from __future__ import annotations

import csv
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from click.testing import CliRunner

from analysis import explorer, page
from analysis.archive import Archive, open_archive
from analysis.catalogue import find
from analysis.cli import main
from analysis.explorer import ROWS, Room, tables
from analysis.figures import FIGURES, Figure
from analysis.report import build_report
from analysis.tables import percent, plain, to_csv, visible
from tests.analysis import hostile as hostile_text
from tests.analysis.archive_fixture import KINDS, SCANS, Kind, write_archive
from tests.analysis.browser import Rows, needs_browser, open_page

HOSTILE = (
    *KINDS,
    Kind(name="a", count=(9, 9), tld="</script><script>alert(1)</script>"),
    Kind(name="b", count=(8, 8), tld="<!--<script>"),
    Kind(name="c", count=(7, 7), tld="constructor"),
    Kind(name="d", count=(6, 6), tld="\N{RIGHT-TO-LEFT OVERRIDE}moc"),
    Kind(name="e", count=(5, 5), tld="\"'&amp;\N{LINE SEPARATOR}"),
)


def figure(name: str) -> Figure:
    (found,) = [one for one in FIGURES if one.name == name]
    return found


SOME = tuple(
    map(
        figure,
        ("adoption-by-tld", "health", "components", "mta-software", "misconfigured-by-policy-host"),
    )
)
"""Of each kind one: groups alone, classes, classes with a choice, rows of one name, groups alone by default."""


@pytest.fixture(scope="module")
def built(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interactive page of the planted archive."""
    out = tmp_path_factory.mktemp("interactive")
    return build_report(archive, out, interactive=True, figures=SOME)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive in which strangers chose the names."""
    with open_archive(write_archive(tmp_path_factory.mktemp("hostile"), HOSTILE)) as opened:
        yield opened


@pytest.fixture(scope="module")
def hostile(strangers: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its interactive page, with one figure."""
    out = tmp_path_factory.mktemp("page")
    return build_report(strangers, out, interactive=True, figures=SOME[:1])


def scripts(html: str) -> list[tuple[str, str]]:
    """The attributes and the text of each script element, in order."""
    return re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL)


def data_of(path: Path) -> dict[str, Any]:
    """What the script reads."""
    (_, text), _ = scripts(path.read_text("utf-8"))
    value: dict[str, Any] = json.loads(text)
    return value


def unpacked(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a packed table, as its reader is told to read them."""
    texts = table["texts"]
    return [
        {
            column: texts[column][cell] if column in texts and cell is not None else cell
            for column, cell in zip(table["columns"], row, strict=True)
        }
        for row in table["rows"]
    ]


def as_packed(value: Any) -> Any:
    """A value of a query as it reads on the page: numbers as they are."""
    value = plain(value)
    return visible(value) if isinstance(value, str) else value


# --- the data ------------------------------------------------------------------------------


def test_the_data_are_what_sql_returned(built: Path, archive: Archive) -> None:
    """Every row of every breakdown of every figure, number by number, and no other."""
    compared = 0
    for name, explored in data_of(built)["figures"].items():
        for table in explored["tables"]:
            result = find(explored["question"]).ask(archive, table["by"])
            assert table["columns"] == list(result.columns), name
            expected = [
                [str(v) if c in table["texts"] and v is not None else v for c, v in row.items()]
                for row in ({c: as_packed(v) for c, v in row.items()} for row in result.records())
            ]
            found = [list(row.values()) for row in unpacked(table)]
            assert sorted(found, key=repr) == sorted(expected, key=repr), (name, table["by"])
            compared += len(found)
    assert compared > 300


def test_every_breakdown_of_the_catalogue_is_offered(built: Path) -> None:
    """The figure's own first; those that only a command line needs are left to it."""
    explored = data_of(built)["figures"]
    assert [t["by"] for t in explored["health"]["tables"]] == list(explorer.BREAKDOWNS)
    own = [t["by"] for t in explored["misconfigured-by-policy-host"]["tables"]]
    assert own == ["policy-host", "tld", "rank", "mx-operator"]
    assert {one.name for one in SOME} | {"over-time"} == set(explored)


@pytest.mark.parametrize("one", FIGURES, ids=lambda one: one.name)
def test_the_dimensions_tell_every_row_from_every_other(archive: Archive, one: Figure) -> None:
    """Otherwise one choice of the controls would show two shares of the same name."""
    by = find(one.question).grouping(one.by)
    answer = explorer.table(find(one.question).ask(archive, by), by, one, Room(scans=SCANS))
    keys = [tuple(row[c] for c in answer.dimensions) for row in answer.rows]
    assert len(keys) == len(set(keys))


def test_what_a_reader_looks_up_has_every_measure_in_order(built: Path) -> None:
    """Of each group in both scans, beside everybody."""
    data = data_of(built)
    for table in data["look-up"]["tables"]:
        measures = {row["measure"] for row in unpacked(table)}
        assert measures == set(data["measures"])
    (com,) = [
        row
        for table in data["look-up"]["tables"]
        for row in unpacked(table)
        if row.get("tld") == "se" and row["measure"] == "adopted" and row["scan_id"] == SCANS[1]
    ]
    assert (com["n"], com["of_n"]) == (8, 78)


# --- how much of it ------------------------------------------------------------------------


def test_the_largest_groups_have_room(archive: Archive) -> None:
    """In all scans, whole, and the page says how many there are."""
    (_, *others) = tables(archive, figure("health"), Room(scans=SCANS, rows=8))
    (by_tld,) = [table for table in others if table.by == "tld"]
    kept = {row["tld"] for row in by_tld.rows}
    everything = [
        r for r in find("health").ask(archive, "tld").records() if r["scan_id"] == SCANS[1]
    ]
    largest = max(everything, key=lambda row: int(row["of_n"]))["tld"]
    assert kept == {largest}
    assert len(by_tld.rows) <= 8
    assert by_tld.groups == len({row["tld"] for row in everything})
    assert {row["scan_id"] for row in by_tld.rows} == set(SCANS)


def test_the_first_classes_have_room(archive: Archive) -> None:
    """The same ones in every scan, those that lead in the newest; the page says that there are more."""
    whole, *_ = tables(archive, figure("mx-operators"), Room(scans=SCANS, labels=2))
    rows = find("mx-operators").ask(archive).records()
    newest = [row["operator"] for row in rows if row["scan_id"] == SCANS[1]]
    assert {row["operator"] for row in whole.rows} == set(newest[:2])
    assert whole.first == 2 < len({row["operator"] for row in rows})


def test_a_scan_without_room_is_left_out(archive: Archive) -> None:
    """The newest ones are asked for."""
    for table in tables(archive, figure("health"), Room(scans=SCANS[-1:])):
        assert {row["scan_id"] for row in table.rows} == {SCANS[-1]}


def test_no_breakdown_is_longer_than_there_is_room(hostile: Path) -> None:
    """Which bounds the page."""
    data = data_of(hostile)
    for explored in data["figures"].values():
        assert all(len(table["rows"]) <= ROWS for table in explored["tables"])
    assert hostile.stat().st_size < 3_000_000


def test_an_empty_scan_has_an_interactive_page(empty_archive: Archive, tmp_path: Path) -> None:
    """With nothing in it."""
    data = data_of(build_report(empty_archive, tmp_path, interactive=True, figures=SOME[:1]))
    assert not any(table["rows"] for table in data["figures"]["adoption-by-tld"]["tables"])


@pytest.mark.soak
def test_the_command_makes_the_page_even_of_empty_scans(empty: Path, tmp_path: Path) -> None:
    """With every figure, and nothing in it."""
    ended = CliRunner().invoke(main, ["build", str(empty), "--out", str(tmp_path), "--interactive"])
    assert ended.exit_code == 0
    data = data_of(tmp_path / "index.html")
    assert {one.name for one in FIGURES} < set(data["figures"])
    assert not any(table["rows"] for table in data["figures"]["health"]["tables"])


# --- the page ------------------------------------------------------------------------------


def test_without_its_script_it_is_the_plain_page(
    hostile: Path, strangers: Archive, tmp_path: Path
) -> None:
    """Word for word and drawing for drawing; what the script fills is hidden until it does."""
    bare = re.sub(r"<script.*?</script>\n", "", hostile.read_text("utf-8"), flags=re.DOTALL)
    bare = re.sub(r'<li hidden><a href="#look-up">.*?</li>\n', "", bare)
    bare = re.sub(r'<section id="look-up" hidden>.*?</section>\n\n', "", bare, flags=re.DOTALL)
    wanted = build_report(strangers, tmp_path, figures=SOME[:1]).read_text("utf-8")
    different = (r"<style>.*?</style>", r'content="default-src[^"]*"')
    for pattern in different:
        bare, wanted = (re.sub(pattern, "", text, flags=re.DOTALL) for text in (bare, wanted))
    assert bare == wanted


def test_the_policy_lets_this_script_in_and_no_other(hostile: Path) -> None:
    """By its hash; no text can become code or markup, and nothing can be sent anywhere."""
    html = hostile.read_text("utf-8")
    (kind, _), (plain_kind, text) = scripts(html)
    assert (kind, plain_kind) == (' type="application/json" id="data"', "")
    digest = b64encode(sha256(text.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    stated = {d.split()[0]: d.split()[1:] for d in policy.replace("&#39;", "'").split(";")}
    assert stated["script-src"] == [f"'sha256-{digest}'"]
    assert stated["default-src"] == ["'none'"]
    assert stated["require-trusted-types-for"] == ["'script'"]
    assert stated["trusted-types"] == ["'none'"]
    assert "unsafe" not in policy


def test_the_script_makes_no_code_and_asks_nobody() -> None:
    """Text becomes text nodes; nothing is fetched."""
    script = page.script(*explorer.SCRIPT)
    acts = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\(|XMLHttp|import\(|WebSocket|sendBeacon|localStorage|cookie"
    assert re.findall(acts, script) == []
    assert re.findall(r"https?://[^\"' ]+", script) == ["http://www.w3.org/2000/svg"]


def test_hostile_names_stay_in_the_data(hostile: Path) -> None:
    """None ends the script element, hides or reverses anything."""
    html = hostile.read_text("utf-8")
    assert len(scripts(html)) == 2
    assert html.count("<script") == 2
    assert "<!--" not in html
    assert hostile_text.unprintable(html.replace("\N{NO-BREAK SPACE}", " ")) == []
    tlds = {
        row["tld"] for row in unpacked(data_of(hostile)["figures"]["adoption-by-tld"]["tables"][0])
    }
    assert {visible(kind.tld) for kind in HOSTILE[-5:]} < tlds


# --- in a browser --------------------------------------------------------------------------


@needs_browser
def test_the_address_picks_a_breakdown(built: Path, archive: Archive) -> None:
    """The rows of the state in the fragment, and their numbers as the plain page writes them."""
    opened = open_page(built, "#health?by=tld&over=tld&health=right&sort=-n")
    assert opened.console == ""
    expected = [
        [row["tld"], "", percent(row["share"]), _interval(row), str(row["n"]), str(row["of_n"])]
        for row in find("health").ask(archive, "tld").records()
        if row["scan_id"] == SCANS[1] and row["health"] == "right"
    ]
    expected.sort(key=lambda cells: -int(cells[4]))
    assert len(expected) > 1
    _, *shown = Rows(_bars(opened.html, "health"), "here").rows
    assert shown == expected


@needs_browser
def test_a_reader_chooses_sorts_finds_and_takes_the_rows_away(
    built: Path, archive: Archive, tmp_path: Path
) -> None:
    """By the controls; the CSV is what is on show, with every column, as the command writes it."""
    reader = """
        const place = document.getElementById("health");
        const at = (key) => place.querySelector(`[data-key="${key}"]`);
        const choose = (key, value) => {
          at(key).focus();
          at(key).value = value;
          at(key).dispatchEvent(new Event("change"));
        };
        choose("by", "tld");
        const focused = document.activeElement.dataset.key;
        choose("health", "right");
        at("sort:share").click();
        const sorted = at("sort:share").parentElement.getAttribute("aria-sort");
        const given = URL.createObjectURL;
        URL.createObjectURL = (blob) => {
          blob.text().then((csv) => {
            document.body.textContent = JSON.stringify({ focused, sorted, csv, hash: location.hash });
          });
          return given(blob);
        };
        at("csv").click();
    """
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", built.read_text("utf-8"))
    driven = tmp_path / "driven.html"
    driven.write_text(html.replace("</body>", f"<script>{{{reader}}}</script></body>"), "utf-8")
    (found,) = re.findall(r"<body>(.*)</body>", open_page(driven).html, re.DOTALL)
    told = json.loads(unescape(found))
    result = find("health").ask(archive, "tld")
    right = [
        row for row in result.records() if row["scan_id"] == SCANS[1] and row["health"] == "right"
    ]
    right.sort(key=lambda row: -row["share"])
    assert len(right) > 1
    assert _read(told["csv"]) == _read(to_csv(result.columns, right))
    anchor, _, state = told["hash"].partition("?")
    assert anchor == "#health"
    assert dict(parse_qsl(state)) == {"by": "tld", "health": "right", "sort": "-share"}
    assert (told["focused"], told["sorted"]) == ("by", "descending")


@needs_browser
def test_a_hostile_name_is_looked_up_and_does_nothing(hostile: Path) -> None:
    """It is shown as it is, beside everybody."""
    opened = open_page(hostile, "#look-up?by=tld&name=constructor")
    assert opened.console == ""
    head, adopted, *_ = Rows(opened.html, "look-up").rows
    assert head[1:] == ["constructor", f"constructor, {SCANS[0]}", "Everybody"]
    assert adopted[1].startswith("0 %0 of 7 domains measured")
    assert opened.html.count("<script") == 2
    assert (
        hostile_text.Page(re.sub(r"<script.*?</script>", "", opened.html, flags=re.DOTALL)).faults
        == []
    )


@needs_browser
def test_a_share_reads_the_same_with_and_without_the_script(tmp_path: Path) -> None:
    """Rounded from the decimals that mean it, half to even, as the tables round."""
    shares = [n / m for m in (1, 3, 7, 8, 16, 32, 64, 80, 125, 160, 1000) for n in range(m + 1)]
    shares += [n / 10**6 for n in range(0, 10**6, 997)]
    shares += [d * 10.0**-e for e in range(2, 12) for d in (1, 1.25, 1.35, 9.95, 9.96, 9.99, 5)]
    shares += [0.9996, 0.99949, 0.00995, 0.009996, -0.188, -0.0625]
    written = page.script("explorer/text.js")
    (tmp_path / "page.html").write_text(
        f"<!doctype html><body><script>{written}\n"
        f"document.body.textContent = JSON.stringify({json.dumps(shares)}.map(percent));</script>"
    )
    html = open_page(tmp_path / "page.html").html
    (found,) = re.findall(r"<body>(.*)</body>", html, re.DOTALL)
    assert json.loads(found) == [percent(share) for share in shares]


def _interval(row: dict[str, Any]) -> str:
    return f"{percent(row['low']).removesuffix(' %')}–{percent(row['high'])}"


def _read(text: str) -> list[list[str | float]]:
    """The cells of a CSV; a number is the same however many digits say it."""
    return [[_number(cell) for cell in row] for row in csv.reader(StringIO(text))]


def _number(cell: str) -> str | float:
    try:
        return float(cell)
    except ValueError:
        return cell


def _bars(html: str, figure: str) -> str:
    """The table that the script has made in a figure, for a reader of rows."""
    mine = html.partition(f'<figure id="{figure}">')[2].partition("</figure>")[0]
    rows = mine.partition('<table class="bars">')[2].partition("</table>")[0]
    return f'<table id="here">{rows}</table>'
