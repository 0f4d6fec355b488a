"""The mail provider's view: every customer of the list, what to change, since when, and exit codes."""

from __future__ import annotations

import csv
import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analysis.archive import PACKAGE
from analysis.cli import main
from crawler.vocabulary import SenderOutcome
from tests.analysis.customer_fixture import (
    DOMAINS,
    FIRST,
    SECOND,
    THIRD,
    Planted,
    write_customer_scan,
    write_customers,
)


def run(archive: Path, *options: str, stdin: str = "", **environment: str) -> Result:
    """Run ``sts-report customers`` as its user does."""
    arguments = ["customers", str(archive), *options]
    return CliRunner().invoke(main, arguments, input=stdin, env=environment)


def asked(archive: Path, *names: str) -> dict[str, dict[str, Any]]:
    """The JSON of the domains *names*, or of all that publish, by domain."""
    options = ("--list", "-") if names else ()
    ended = run(archive, *options, "--format", "json", stdin="\n".join(names))
    return {row["domain"]: row for row in json.loads(ended.stdout)["customers"]}


def since(row: dict[str, Any]) -> dict[str, str]:
    """The scan since which each finding of a domain stands."""
    return {finding["id"]: finding["since"]["scan_id"] for finding in row["findings"]}


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted customers in three scans."""
    return write_customers(tmp_path_factory.mktemp("provider"))


# --- what is said


def test_every_verdict(provider: Path) -> None:
    """By the gravest finding; without a list, all that publish anything."""
    rows = asked(provider)
    assert {domain: row["verdict"] for domain, row in rows.items()} == {
        "expired.example": "broken",
        "moved.example": "broken",
        "named.example": "broken",
        "hostile.example": "broken",
        "passed-over.example": "broken",
        "flapping.example": "warning",
        "xn--bcher-kva.example": "warning",
        "-leading.example": "fine",
        "good.example": "fine",
    }
    # Refused mail comes before mail without protection, and then the alphabet decides.
    assert list(rows)[:6] == [
        "expired.example", "moved.example", "named.example", "hostile.example",
        "passed-over.example", "flapping.example",
    ]  # fmt: skip


def test_a_list_is_answered_in_full(provider: Path) -> None:
    """However a name is written, and whether or not the scan knows it."""
    names = ("Quiet.Example.", "BÜCHER.example", "nobody.example", "lost.example", "no name")
    rows = asked(provider, *names, "quiet.example")
    assert {(row["listed"], domain, row["verdict"]) for domain, row in rows.items()} == {
        ("Quiet.Example.", "quiet.example", "absent"),
        ("BÜCHER.example", "xn--bcher-kva.example", "warning"),
        ("nobody.example", "nobody.example", "not-in-scan"),
        ("lost.example", "lost.example", "unmeasured"),
        ("no name", "no name", "not-in-scan"),
    }
    assert rows["nobody.example"]["sender"] is None
    assert rows["quiet.example"]["sender_outcome"] == "absent"


def test_a_finding_stands_since_the_first_of_an_unbroken_run(provider: Path) -> None:
    """A scan without it is a break; one that did not ask about the domain is none."""
    rows = asked(provider)
    assert since(rows["expired.example"]) == {"mx-cert-any": SECOND, "mx-cert-expired": SECOND}
    assert since(rows["flapping.example"]) == {"rpt-missing": THIRD}
    assert since(rows["passed-over.example"]) == {"http-3xx": FIRST}
    assert since(rows["xn--bcher-kva.example"]) == {"rpt-missing": FIRST}
    firsts = {
        finding["since"]["first_scan"]
        for row in rows.values()
        for finding in row["findings"]
        if finding["since"]["scan_id"] == FIRST
    }
    assert firsts == {True}


def test_findings_come_by_severity_with_their_sentence(provider: Path) -> None:
    """One that the scan's catalogue does not describe comes last and says so."""
    findings = asked(provider)["hostile.example"]["findings"]
    assert [(f["id"], f["severity"]) for f in findings] == [
        ("txt-bad-id", "no-policy"),
        ("pol-mode", "no-policy"),
        ("not-in-the-catalogue", None),
    ]
    assert findings[0]["sentence"] == "What txt-bad-id is."
    assert findings[0]["fix"] == "Repair txt-bad-id."
    assert findings[2]["places"] == []


def test_the_exact_place_is_named(provider: Path) -> None:
    """The record, the line of the file, the host with its address and certificate."""
    rows = asked(provider)
    places = {
        finding["id"]: finding["places"] for row in rows.values() for finding in row["findings"]
    }
    assert places["mx-cert-expired"] == [
        {
            "what": "MX host",
            "where": "old.example at 192.0.2.1, port 25",
            "seen": [
                "does not pass: expired",
                "issued for old.example",
                "valid from 2025-12-06 00:00 UTC to 2026-01-25 00:00 UTC",
                "issued by CN=Lab",
            ],
        }
    ]
    assert [place["seen"] for place in places["mxm-some"]] == [
        ["line 3: mx: *.example"],
        ["10 mx.example", "20 a.b.example  (no mx line)"],
    ]
    assert places["rpt-missing"][0]["where"] == "_smtp._tls.xn--bcher-kva.example"
    assert places["rpt-missing"][0]["seen"] == ["no such name"]
    (name,) = places["mx-cert-name"]
    assert name["where"].startswith("wrong.example at 192.0.2.1")


def test_a_broken_outcome_without_a_described_finding_is_broken(tmp_path: Path) -> None:
    """The verdict does not hang on the catalogue being complete."""
    planted = Planted(domain="a.example", findings=((), (), ("unheard-of",)), sender="refused")
    assert asked(write_customers(tmp_path, (planted,)))["a.example"]["verdict"] == "broken"


def test_every_word_is_explained() -> None:
    """Each verdict, and each outcome of the vocabulary."""
    with (PACKAGE / "reference" / "customer_words.csv").open(encoding="utf-8", newline="") as file:
        known = {(row["column"], row["word"]) for row in csv.DictReader(file)}
    assert {word for column, word in known if column == "sender"} == set(SenderOutcome)
    said = (PACKAGE / "CUSTOMERS.md").read_text("utf-8")
    verdicts = {word for column, word in known if column == "customer_verdict"}
    assert {word for word in verdicts if f"| `{word}` |" not in said} == set()


# --- exit codes


@pytest.mark.parametrize(
    ("names", "code", "format_"),
    [
        (("good.example", "expired.example"), 1, "table"),
        (("good.example", "expired.example"), 1, "csv"),
        (("good.example", "expired.example"), 1, "json"),
        (("good.example", "expired.example"), 1, "html"),
        (("passed-over.example",), 1, "json"),  # fail-open counts as well
        (("good.example", "flapping.example"), 0, "table"),  # a warning breaks nothing
        (("lost.example",), 0, "html"),  # nor does what was not measured
        (("nobody.example", "quiet.example"), 0, "csv"),
    ],
)
def test_the_exit_code_says_whether_a_customer_is_broken(
    provider: Path, names: tuple[str, ...], code: int, format_: str
) -> None:
    """In every format, for cron."""
    ended = run(provider, "--list", "-", "--format", format_, stdin="\n".join(names))
    assert ended.exit_code == code, ended.stderr
    assert all(name in ended.stdout for name in names)
    assert f"{len(names)} domain" in ended.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--list", "{tmp}/none"), "No such file or directory"),
        (("--list", "{tmp}/empty"), "names no domain"),
        (("--list", "{tmp}/binary"), "is not text"),
        (("--format", "pdf"), "is not one of"),
    ],
)
def test_a_wrong_call_says_so(
    provider: Path, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    """Exit code 2 and one sentence; nothing on standard output."""
    (tmp_path / "empty").write_bytes(b"# nobody\n")
    (tmp_path / "binary").write_bytes(b"\x00\xff\xfe")
    ended = run(provider, *(option.format(tmp=tmp_path) for option in options))
    assert ended.exit_code == 2, ended.stderr
    assert says in ended.stderr
    assert ended.stdout == ""


def test_an_unsealed_scan_is_not_asked(tmp_path: Path) -> None:
    """The newest sealed one is."""
    write_customers(tmp_path)
    (tmp_path / f"scan={THIRD}" / "manifest.json").unlink()
    assert since(asked(tmp_path)["expired.example"]) == {
        "mx-cert-any": SECOND,
        "mx-cert-expired": SECOND,
    }
    assert "moved.example" not in asked(tmp_path)


# --- formats


def test_the_formats_are_documented(provider: Path) -> None:
    """Each key of the JSON and each column of the CSV stands in CUSTOMERS.md."""
    said = (PACKAGE / "CUSTOMERS.md").read_text("utf-8")
    answer = json.loads(run(provider, "--format", "json").stdout)
    header = run(provider, "--format", "csv").stdout.partition("\n")[0].split(",")

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return {*value, *(key for item in value.values() for key in keys(item))}
        return {key for item in value for key in keys(item)} if isinstance(value, list) else set()

    assert {key for key in {*keys(answer), *header} if f"`{key}`" not in said} == set()
    assert sum(answer["counts"].values()) == answer["domains"] == len(answer["customers"])


def test_csv_has_a_row_for_each_finding(provider: Path) -> None:
    """And one for a domain without; nothing in it is a formula or an escape sequence."""
    text = run(provider, "--format", "csv").stdout
    rows = list(csv.DictReader(StringIO(text)))
    assert "\x1b" not in text
    assert not any(cell.startswith(tuple("=+-@\t\r")) for row in rows for cell in row.values())
    found = {(row["domain"], row["finding"]) for row in rows}
    assert ("good.example", "") in found
    assert ("'-leading.example", "pol-none") in found
    (expired,) = (row for row in rows if row["finding"] == "mx-cert-expired")
    assert expired["where"] == "MX host old.example at 192.0.2.1, port 25"
    assert expired["since_scan"] == SECOND


def test_json_escapes_what_does_not_print(provider: Path) -> None:
    """Places are for people; a terminal that shows the file does not obey them."""
    assert "\x1b" not in run(provider, "--format", "json").stdout


def test_the_table_is_plain_in_a_file(provider: Path) -> None:
    """No colour and no escape sequence, one line for each sentence, no blanks at line ends."""
    table = run(provider).stdout
    assert "\x1b" not in table
    assert not any(line != line.rstrip() for line in table.splitlines())
    lines = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]
    assert ["expired.example", "Broken", "Senders that check cannot deliver mail to this domain at all."] in lines  # fmt: skip
    assert ["mx-cert-expired", "refused", "What mx-cert-expired is. (since 2026-02-05)"] in lines
    assert ["→ Repair mx-cert-expired."] in lines
    # What two findings of a domain share is shown once.
    assert table.count("old.example at 192.0.2.1") == 1


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
        self.text += data


@pytest.fixture(scope="session")
def page(provider: Path) -> str:
    """The page of the planted customers, one unknown name among them."""
    names = [planted.domain for planted in DOMAINS] + ["<img src=x onerror=alert(1)>.example"]
    return run(provider, "--list", "-", "--format", "html", stdin="\n".join(names)).stdout


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    """No script, no image, no sheet; addresses on the network only as links to standards."""
    allowed = re.compile(r"(#|https://www\.rfc-editor\.org/rfc/)")
    for tag, attributes in Page(page).tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") or name in {"style", "src"} for name in attributes)
        if tag == "a":
            assert allowed.match(attributes.get("href") or "")


def test_the_policy_lets_only_the_style_in(page: str) -> None:
    """The hash in the Content-Security-Policy is that of the style as it stands on the page."""
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    (policy,) = [
        a["content"] for t, a in Page(page).tags if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert f"style-src 'sha256-{digest}'" in policy


def test_hostile_text_is_only_text(page: str) -> None:
    """Of records, policies, certificates, redirects and the list itself."""
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    text = Page(page).text
    assert r"TXT record _mta-sts.hostile.example" in text
    assert r'"v=STSv1; id=\"" "\x1b]0;x\x07<script>alert(1)</script>"' in text
    assert r"line 2: mode: <script>alert(1)</script>\x1b[2J\xff" in text
    assert "issued for x0.<script>alert(1)</script>" in text
    assert "<img src=x onerror=alert(1)>.example" in text


def test_the_page_names_every_domain_once(page: str) -> None:
    """Under its verdict, with what a sender does."""
    text = Page(page).text
    for planted in DOMAINS:
        assert len(re.findall(rf"(?<![\w.-]){re.escape(planted.domain)}\s", text)) >= 1
    headings = re.findall(r'<section id="([a-z-]+)">', page)
    assert headings == [
        "first", "broken", "warning", "unmeasured", "not-in-scan", "absent", "fine", "method"
    ]  # fmt: skip
    assert text.count("What mx-cert-expired is.") == 1
    assert "since the first scan, 2026-01-05" in text


def test_nobody_to_tell_about(empty: Path) -> None:
    """A scan of an empty list makes every format, and nothing is broken."""
    for format_ in ("table", "csv", "json", "html"):
        ended = run(empty, "--format", format_)
        assert ended.exit_code == 0, ended.stderr
    assert json.loads(run(empty, "--format", "json").stdout)["customers"] == []


def test_an_older_scan_without_tables_is_asked(tmp_path: Path) -> None:
    """What it did not keep is said not to be known; its findings stand."""
    write_customer_scan(tmp_path, 0, DOMAINS)
    manifest_path = tmp_path / f"scan={FIRST}" / "manifest.json"
    manifest = json.loads(manifest_path.read_text("utf-8"))
    kept = {"assessments", "findings_catalogue", "domains"}
    manifest["tables"] = {k: v for k, v in manifest["tables"].items() if k in kept}
    manifest_path.write_text(json.dumps(manifest), "utf-8")
    (finding,) = asked(tmp_path)["passed-over.example"]["findings"]
    assert finding["places"][0]["seen"] == ["not fetched"]
