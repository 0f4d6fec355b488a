"""The page: complete, self-contained, and unmoved by what strangers called their domains."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from shutil import copytree
from xml.etree import ElementTree

import pytest

from analysis.archive import open_archive
from analysis.figures import FIGURES
from analysis.report import build_report
from tests.analysis import hostile as hostile_text
from tests.analysis.archive_fixture import KINDS, Kind, write_archive
from tests.analysis.hostile import poison

HOSTILE = (
    *KINDS,
    Kind(name="x", count=(3, 3), tld="<script>alert(1)</script>"),
    Kind(name="y", count=(2, 2), tld="=HYPERLINK(1)"),
    Kind(name="z", count=(2, 2), tld='"><img src=x onerror=alert(1)>'),
)


class Page(HTMLParser):
    """What the page consists of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text += data.replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Build the page of an archive in a new folder."""

    def build_page(archive: Path) -> Path:
        with open_archive(archive) as opened:
            return build_report(opened, tmp_path_factory.mktemp("page"))

    return build_page


@pytest.fixture(scope="module")
def hostile(build: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an archive in which strangers chose every name."""
    archive = write_archive(tmp_path_factory.mktemp("hostile"), HOSTILE, closed_world=True)
    return build(poison(archive))


def test_the_first_screen_answers_in_words(build: Callable[[Path], Path], planted: Path) -> None:
    """How many, how many right, what goes wrong, what senders do, each with its denominator."""
    text = Page(build(planted).read_text("utf-8")).text
    assert "Of 372 domains that could be measured, 112 publish an MTA-STS record: 30.1 %." in text
    assert "68 have everything right (60.7 %) and 35 are misconfigured (31.2 %)" in text
    assert "23 domains, 20.5 %" in text
    assert "delivers to 48 over verified encryption or not at all (42.9 %)" in text
    assert "In the scan before, 29.5 % had adopted it" in text
    assert "A laboratory" not in text


def test_each_figure_has_its_files(hostile: Path) -> None:
    """A CSV beside each, and a drawing in two formats; every link leads to a file."""
    folder = hostile.parent / "figures"
    for figure in FIGURES:
        assert (folder / f"{figure.name}.csv").is_file()
        assert (folder / f"{figure.name}.svg").read_text("utf-8").startswith("<svg")
        assert (folder / f"{figure.name}.png").read_bytes().startswith(b"\x89PNG")
    for tag, attributes in Page(hostile.read_text("utf-8")).tags:
        href = attributes.get("href") or ""
        if tag == "a" and href.startswith("figures/"):
            assert (hostile.parent / href).is_file()


def test_one_vantage_has_no_section_about_several(hostile: Path) -> None:
    page = hostile.read_text("utf-8")
    assert 'id="quality"' in page
    assert 'id="vantages"' not in page


def test_the_page_needs_nothing_from_outside(hostile: Path) -> None:
    """No script, no image, no sheet; addresses on the network only as links to standards."""
    page = Page(hostile.read_text("utf-8"))
    allowed = re.compile(r"(#|figures/|https://www\.rfc-editor\.org/rfc/)")
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") or name in {"style", "src"} for name in attributes)
        if tag == "a":
            assert allowed.match(attributes.get("href") or "")
        assert not any(
            "http" in (v or "") for k, v in attributes.items() if k != "href" and k != "http-equiv"
        )


def test_the_policy_lets_only_the_style_in(hostile: Path) -> None:
    """The hash in the Content-Security-Policy is that of the style as it stands on the page."""
    html = hostile.read_text("utf-8")
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    (policy,) = [
        a["content"] for t, a in Page(html).tags if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert f"style-src 'sha256-{digest}'" in policy


def test_hostile_names_are_only_text(hostile: Path) -> None:
    """On the page, in every drawing and in every CSV."""
    html = hostile.read_text("utf-8")
    assert "&lt;script&gt;" in html
    assert hostile_text.Page(html).faults == []
    assert hostile_text.unprintable(html.replace("\N{NO-BREAK SPACE}", " ")) == []
    drawings = {path.stem: path.read_text("utf-8") for path in hostile.parent.rglob("*.svg")}
    tables = {path.stem: path.read_text("utf-8") for path in hostile.parent.rglob("*.csv")}
    assert "HYPERLINK" in "".join(drawings.values())
    assert "'=HYPERLINK(1)" in tables["adoption-by-tld"]
    for name, drawing in drawings.items():
        assert ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg", name
        assert "<script" not in drawing, name
    for name, table in tables.items():
        assert hostile_text.unprintable(table) == [], name
        assert hostile_text.formulas(table) == [], name


def test_a_laboratory_says_so(hostile: Path) -> None:
    """Made-up numbers must not be taken for the Internet's."""
    assert "A laboratory." in Page(hostile.read_text("utf-8")).text


def test_provenance_is_read_defensively(
    tmp_path: Path, build: Callable[[Path], Path], empty: Path
) -> None:
    """A manifest without most of its keys still makes a page, which says what is not recorded."""
    archive = copytree(empty, tmp_path / "archive")
    for manifest in archive.glob("*/manifest.json"):
        text = manifest.read_text("utf-8")
        manifest.write_text(
            re.sub(r'"(list|seed|trust_store|started_at)"', r'"x-\1"', text), "utf-8"
        )
    assert "not recorded" in Page(build(archive).read_text("utf-8")).text


def test_an_empty_scan_makes_a_page(build: Callable[[Path], Path], empty: Path) -> None:
    """There is nothing to draw, and the page says so."""
    text = Page(build(empty).read_text("utf-8")).text
    assert "No domain of this scan has been judged." in text
    assert "There is nothing to draw" in text
