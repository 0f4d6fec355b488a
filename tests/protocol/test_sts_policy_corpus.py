"""The policy files of the corpus: 469 that people published, and what is wrong with the odd ones.

The corpus lies beside the project and is not part of it; where it is absent, this skips.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from crawler.protocol import sts_policy
from crawler.protocol.sts_policy import StsPolicy

# Every file that is no policy by the ABNF of RFC 8461 section 3.2, with what is told of it.  A
# name that begins with H is an earlier version.
NO_POLICY: list[tuple[str, str, str]] = [
    # An empty line, mostly a second line end at the end.  Deployed senders skip it: lenient.
    ("0071 0117 0129 0137 0154 0198", "blank-line", "at the end"),
    ("H0113 H0151 H0197 H0202", "blank-line", "at the end"),
    ("H0223 H0224", "blank-line", "at the beginning"),
    # Copied with its indentation from a page or a script.
    ("0005 0097 H0150 H0177", "whitespace", "every line is indented"),
    ("H0031 H0032", "whitespace", "every line but the first is indented"),
    ("H0038", "whitespace mx-bad", "every line is indented, and the mx end in a dot"),
    # What an editor put before it.
    ("H0048 H0049 H0050 H0051 H0052", "bom", "a UTF-8 byte order mark"),
    ("H0053", "bom", "UTF-16"),
    ("H0214 H0215", "blank-line malformed-line version mode max-age mx-bad", "an RTF document"),
    (
        "0029 0058 0106",
        "blank-line malformed-line unknown-key",
        "Jekyll front matter, served as is",
    ),
    ("0134", "blank-line malformed-line unknown-key", "front matter and comments"),
    ("0195", "malformed-line unknown-key", "front matter without an empty line"),
    # What is there instead of it, or after it.
    ("H0033 H0210", "blank-line version mode max-age", "one line end"),
    ("H0084", "malformed-line version mode max-age", "the letter a"),
    (
        "0002",
        "non-ascii blank-line malformed-line version mode max-age",
        "prose: no policy applies",
    ),
    ("H0072", "malformed-line", "npm, a command that ended up in the file"),
    ("H0227", "malformed-line", "a remark after the policy"),
    ("H0228", "max-age duplicate-key", "two policies run together: max_age: 86400version: STSv1"),
    # mx
    ("0078 H0117 H0119", "mx-bad", "the root alone"),
    ("H0034 H0035 H0036 H0037 H0167 H0194", "mx-bad", "a final dot"),
    ("0139", "malformed-line mx-bad", "an empty mx with a YAML list below it"),
    ("0162", "malformed-line mx-bad", "alt*.google.com, and a comment"),
    ("H0207", "mx-bad", "alt*.google.com"),
    ("H0020", "mx-bad", "://google.com"),
    ("H0023 H0024 H0025 H0026 H0027", "mx-bad", "Priority 5: before the host"),
    ("H0137", "mx-bad", "two hosts on one line"),
    ("H0201", "mx-bad", "a placeholder in angle brackets"),
    # mode
    ("0192 H0062 H0073", "mode", "enforced"),
    ("H0145 H0226", "mode", "test"),
    ("H0059 H0060", "mode", "[testing]"),
    ("H0225", "blank-line malformed-line mode", "enforced, and a comment after an empty line"),
    # max_age
    ("H0013", "max-age", "max_age: enforce"),
    ("H0040", "max-age", "a comment after the number"),
    ("H0112", "blank-line max-age", "604,800"),
    ("H0222", "malformed-line max-age", "max_age=604800"),
    # version
    ("H0242 H0243", "version", "STLS1"),
    ("H0104", "version unknown-key", "eversion: STSv1"),
    # A template, more or less filled in.
    ("0174 H0054 H0077", "malformed-line mode max-age mx-bad", "with its comments"),
    ("H0042", "mode max-age mx-bad", "with its comments"),
    ("H0078 H0079 H0080", "mode mx-bad", "with most of its comments"),
    ("H0041", "mode max-age", "[testing], and a comment after the number"),
    ("H0120", "mode max-age mx-bad", "everything in square brackets"),
]


@pytest.fixture(scope="module")
def policies(corpus: Path) -> dict[str, StsPolicy]:
    files = [*corpus.glob("policies/*.txt"), *corpus.glob("policies_history/*.txt")]
    return {file.stem: sts_policy.parse(file.read_bytes()) for file in sorted(files)}


def test_every_file_that_is_no_policy_says_why(policies: dict[str, StsPolicy]) -> None:
    expected = {name: words for names, words, _ in NO_POLICY for name in names.split()}
    found = {
        name: " ".join(policy.problems)
        for name, policy in policies.items()
        if policy.outcome == "syntax"
    }
    assert found == {name: " ".join(in_order(words)) for name, words in expected.items()}


def in_order(words: str) -> list[str]:
    return sorted(words.split(), key=sts_policy.PROBLEMS.index)


def test_the_lenient_verdict_forgives_the_empty_lines(policies: dict[str, StsPolicy]) -> None:
    forgiven = {
        name for name, policy in policies.items() if policy.lenient and policy.outcome == "syntax"
    }
    assert forgiven == {
        name for names, words, _ in NO_POLICY if words == "blank-line" for name in names.split()
    }


def test_what_is_unusual_in_a_policy_does_not_invalidate_it(
    policies: dict[str, StsPolicy],
) -> None:
    unusual = {
        name: policy.problems
        for name, policy in policies.items()
        if policy.outcome == "valid" and policy.problems
    }
    assert unusual == {"H0152": ("unknown-key",)}  # ms: for mx:, beside three right ones
    assert policies["H0152"].extensions == (("ms", "mail.alecdawson.com"),)


def test_white_space_after_the_colon_and_at_the_end_of_a_line_is_in_the_grammar(
    corpus: Path, policies: dict[str, StsPolicy]
) -> None:
    """RFC 8461 section 3.2: ":" *WSP, and sts-policy-field *WSP."""
    tables = [corpus / "policies.tsv", corpus / "policies_history.tsv"]
    rows = [row.split("\t") for table in tables for row in table.read_text("utf-8").splitlines()]
    for flag in ("tab-after-colon", "many-spaces-after-colon", "trailing-space", "crlf"):
        flagged = [row[0] for row in rows if {flag} <= set(row[-1].split()) <= {flag, "lf"}]
        assert flagged
        told = {word for name in flagged for word in policies[name].problems}
        assert not told & {"whitespace", "line-end"}, flag


@pytest.mark.parametrize(
    ("earlier", "files", "valid", "lenient", "modes", "shortest"),
    [
        (False, 221, 202, 208, {"enforce": 130, "testing": 63, "none": 9}, 300),
        (True, 248, 184, 190, {"enforce": 69, "testing": 107, "none": 8}, 30),
    ],
)
def test_the_counts_of_the_corpus(
    policies: dict[str, StsPolicy],
    earlier: bool,
    files: int,
    valid: int,
    lenient: int,
    modes: dict[str, int],
    shortest: int,
) -> None:
    chosen = [each for name, each in policies.items() if name.startswith("H") is earlier]
    good = [each for each in chosen if each.outcome == "valid"]
    ages = [each.max_age for each in good if each.max_age is not None]
    assert (len(chosen), len(good), sum(each.lenient for each in chosen)) == (files, valid, lenient)
    assert Counter(str(each.mode) for each in good) == modes
    assert (len(ages), min(ages), median(ages), max(ages)) == (valid, shortest, 604_800, 31_557_600)
    assert all(each.mx for each in good if each.mode != "none")
