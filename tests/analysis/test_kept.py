"""What several questions need is made once, and their answers do not show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.archive import Archive, open_archive
from analysis.catalogue import find
from analysis.kept import KEPT, leads_to

DEFINITIONS = {
    "adopters": "CREATE VIEW adopters AS SELECT * FROM judged WHERE adopter;",
    "answers": "CREATE VIEW answers AS SELECT * FROM (mx_lookups SEMI JOIN adopters USING (domain));",
    "named": "SELECT * FROM query_table(answers)",
    "histories": "CREATE VIEW histories AS SELECT * FROM named('answers');",
}


def tables(archive: Archive) -> set[str]:
    """What has been made so far."""
    rows = archive.query("select table_name from duckdb_tables() where schema_name = 'kept'")
    return {row["table_name"] for row in rows.records()}


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select 1 from judged", ()),
        ("select count(*) as adopters from judged -- taken from adopters", ()),
        ("select 'adopters' from judged", ()),
        ("from adopters", ("adopters",)),
        ("select 1 from judged semi join (select domain from adopters) using (domain)", ("adopters",)),
        ('SELECT 1 FROM (judged ANTI JOIN "adopters" USING (domain))', ("adopters",)),
        ("from answers", ("adopters",)),
        ("with h as (from histories) from h join histories", ("adopters", "histories")),
    ],
)  # fmt: skip
def test_a_query_leads_to_what_it_reads_at_any_remove(sql: str, names: tuple[str, ...]) -> None:
    """Through views and table macros; a column, a word of text or a remark is no reading."""
    assert leads_to(sql, DEFINITIONS) == names


def test_what_is_kept_are_views(archive: Archive) -> None:
    """No name is left over from a view that is gone."""
    views = archive.query("select view_name from duckdb_views() where not internal").records()
    assert {row["view_name"] for row in views} >= KEPT


def test_only_what_a_question_leads_to_is_made(planted: Path) -> None:
    """Most need nothing of the kind; what one has made the next one finds."""
    with open_archive(planted) as archive:
        find("health").ask(archive)
        assert not tables(archive)
        find("mx-tls").ask(archive)
        assert tables(archive) == {"adopters", "adopter_mx_lookups"}
        find("caching-sender").ask(archive)
        assert tables(archive) == {
            "adopters",
            "adopter_mx_lookups",
            "histories",
            "sender_caches",
        }
        find("split-responsibility").ask(archive)
        assert tables(archive) == {name for name in KEPT if not name.startswith("vantage_")}
        find("vantage-agreement").ask(archive)
        assert tables(archive) == KEPT


@pytest.mark.parametrize("name", ["clusters", "fix-rates", "mx-operators", "policy-hosts"])
def test_answers_do_not_show_what_was_kept(planted: Path, name: str) -> None:
    """The views themselves give the same rows."""
    with open_archive(planted) as archive:
        question = find(name)
        unkept = archive.query(question.sql).named("stratum", None)
        assert not tables(archive)
        assert question.ask(archive).records() == unkept.records()
        assert tables(archive)
