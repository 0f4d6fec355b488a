"""Who runs policy hosts and MX hosts, and with what: one planted scan, counted by hand.

``PARTIES`` says who serves whom; ``ANSWERS`` says what hosts show.  The expected numbers are sums of
the ``count`` of their rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from analysis.archive import PACKAGE, Archive, open_archive
from crawler.protocol.mx_match import matches
from crawler.protocol.names import is_at_or_below
from tests.analysis.archive_fixture import GOOGLE, MICROSOFT, OWN, Kind, Shown, write_archive
from tests.analysis.asking import FIRST, ask, counts

REFERENCE = PACKAGE / "reference"
ATTRIBUTION = ("firms", "mail_operators", "mta_software", "policy_hosts", "policy_providers")


def good(hosts: int = 1, covered: int | None = None, **more: Any) -> dict[str, Any]:
    """A valid policy in mode enforce over so many MX hosts, of which some may not be covered."""
    covered = hosts if covered is None else covered
    return {
        "record_outcome": "valid",
        "policy_outcome": "valid",
        "policy_lenient": True,
        "mode": "enforce",
        "max_age": 1209600,
        "mx_total": hosts,
        "mx_covered": covered,
        "mx_passing": covered,
        "mx_failing": hosts - covered,
        "mx_unmeasured": 0,
        "misconfigured": covered < hosts,
        "sender_outcome": "protected",
        **more,
    }


def bad(policy_outcome: str, **more: Any) -> dict[str, Any]:
    """A valid record whose policy cannot be had."""
    return {
        "record_outcome": "valid",
        "policy_outcome": policy_outcome,
        "mx_total": 1,
        "misconfigured": True,
        "sender_outcome": "fail-open",
        **more,
    }


def kind(name: str, count: int, judged: dict[str, Any] | None = None, **more: Any) -> Kind:
    """A kind of which only the first scan has any."""
    return Kind(name=name, count=(count, 0), judged=judged or {}, **more)


def smtp(banner: str, *ehlo: str) -> Shown:
    """An MX host with that greeting."""
    return Shown(banner=banner, ehlo=ehlo)


PARTIES = (
    # One firm does both, and its name says so.
    kind(
        "tuta",
        60,
        good(),
        alias="mta-sts.tutanota.com",
        record_alias="_mta-sts.tutanota.de",
        mx=("mail.tutanota.de",),
    ),
    # Two firms, of which the policy one is known although it has few customers here.
    kind("split", 15, good(2), alias="x-com._mta.mta-sts.tech", mx=GOOGLE),
    kind("split-stale", 5, good(2, 1), alias="x-com._mta.mta-sts.tech", mx=GOOGLE),
    # Everything their own.
    kind("own", 12, good(), ipv4="203.0.113.{number}", mx=OWN),
    # A host for 55 that only its address gives away; the mail is their own.
    kind("shared", 55, good(), ipv4="192.0.2.55", mx=OWN),
    # On the same address, with the mail at a firm that has a name.
    kind("unnamed", 5, good(), ipv4="192.0.2.55", mx=GOOGLE),
    # 20 on one address: too many for one administrator, too few for a firm.  Their mail is with
    # somebody who serves 60 of the list.
    kind("between", 20, good(), ipv4="192.0.2.20", mx=("mx.hoster.example",)),
    kind("silent", 40, mx=("mx.hoster.example",)),
    # Four of one administrator.
    kind("few", 4, good(), ipv4="192.0.2.4", alias="x.small.example", mx=("mx.tiny.example",)),
    # Eight whose one administrator is known by an address and a suffix.
    kind("one", 8, good(), ipv4="95.111.215.165", mx=("mx.l.mxascen.com",)),
    # A platform is judged by its numbers like everybody.
    kind("page", 6, good(), ipv4="192.0.2.6", alias="x.github.io", mx=MICROSOFT),
    # Nothing at all is known of the policy host.
    kind("no-host", 1, bad("dns", mx_total=2), mx=GOOGLE),
)
ADOPTERS = 60 + 15 + 5 + 12 + 55 + 5 + 20 + 4 + 8 + 6 + 1


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The scan of ``PARTIES``."""
    with open_archive(write_archive(tmp_path_factory.mktemp("parties"), PARTIES)) as opened:
        yield opened


def test_the_managing_entity_and_what_it_rests_on(parties: Archive) -> None:
    """Lists first, then the domain's own name, then how many share a name or an address."""
    rows = ask(parties, "managing-entity")
    assert counts(rows, "endpoint", "entity", "basis") == {
        ("policy host", "third party", "known to work for others"): (80, ADOPTERS, 0),
        ("policy host", "third party", "shared by many"): (55 + 5, ADOPTERS, 0),
        ("policy host", "self", "shared by few"): (12 + 4, ADOPTERS, 0),
        ("policy host", "self", "known to own many domains"): (8, ADOPTERS, 0),
        ("policy host", "unclassified", "in between"): (20 + 6, ADOPTERS, 0),
        ("policy host", "unclassified", "no name or address known"): (1, ADOPTERS, 0),
        ("MX host", "third party", "known to work for others"): (60 + 21 + 5 + 6, ADOPTERS, 0),
        ("MX host", "third party", "shared by many"): (20, ADOPTERS, 0),
        ("MX host", "self", "below its own name"): (12 + 55, ADOPTERS, 0),
        ("MX host", "self", "shared by few"): (4, ADOPTERS, 0),
        ("MX host", "self", "known to own many domains"): (8, ADOPTERS, 0),
    }


def test_every_question_can_be_asked_by_entity(parties: Archive) -> None:
    """The 2025 study's two panels: the same numbers for self and for third parties."""
    found = counts(ask(parties, "misconfigured", "policy-entity"), "policy_entity")
    assert found == {"third party": (5, 140, 0), "self": (0, 24, 0), "unclassified": (1, 27, 0)}
    found = counts(ask(parties, "misconfigured", "mx-entity"), "mx_entity")
    assert found == {"third party": (6, 112, 0), "self": (0, 79, 0)}


def test_the_thresholds_are_shown_to_matter(parties: Archive) -> None:
    """The default row agrees with managing-entity; the lists and the thresholds move others."""
    rows = ask(parties, "entity-sensitivity")
    found = counts(
        [r for r in rows if r["endpoint"] == "policy host"],
        "third_party_from",
        "self_up_to",
        "lists",
        "entity",
    )
    assert found[50, 5, True, "third party"][0] == 140
    assert found[50, 5, True, "self"][0] == 24
    # Without the lists PowerDMARC's 20 share one address with Tuta's 60, so they stay; the eight
    # of one administrator become nobody's, as the six of the platform are.
    assert found[50, 5, False, "third party"][0] == 140
    assert found[50, 5, False, "self"][0] == 12 + 4
    assert found[20, 5, False, "third party"][0] == 140 + 20
    assert found[20, 9, False, "self"][0] == 12 + 4 + 8 + 6
    assert found[20, 1, False, "self"][0] == 12
    assert {of_n for _, of_n, _ in found.values()} == {ADOPTERS}


def test_concentration(parties: Archive) -> None:
    """Who shares no name or address is a party of its own, four that share are one; the index counts all."""
    rows = [r for r in ask(parties, "concentration") if r["endpoint"] == "policy host"]
    assert counts(rows, "largest") == {
        1: (60, 190, 1),
        3: (60 + 60 + 20, 190, 1),
        5: (60 + 60 + 20 + 20 + 8, 190, 1),
        10: (60 + 60 + 20 + 20 + 8 + 6 + 4 + 3, 190, 1),
        50: (190, 190, 1),
    }
    squares = 60**2 + 60**2 + 20**2 + 20**2 + 8**2 + 6**2 + 4**2 + 12
    assert {r["parties"] for r in rows} == {7 + 12}
    assert [r["hhi"] for r in rows] == [pytest.approx(squares / 190**2)] * len(rows)


def test_the_root_among_others_is_no_host(tmp_path: Path) -> None:
    """The next one is that which a sender tries first; beside nothing but itself there is none."""
    kinds = (
        kind("beside", 12, good(), mx=("", *GOOGLE)),
        kind("silent", 2, mx=("", *GOOGLE)),
        kind("twice", 3, good(0), mx=("", "")),
    )
    with open_archive(write_archive(tmp_path, kinds)) as opened:
        assert counts(ask(opened, "mx-operators"), "operator") == {"Google": (12, 12, 3)}
        assert counts(ask(opened, "adoption", "mx-operator"), "mx_operator") == {
            "Google": (12, 14, 0),
            "(no mail)": (3, 3, 0),
        }
        assert counts(ask(opened, "adoption-with-mx"), "scan_id") == {FIRST: (12, 14, 0)}


def test_an_address_is_known_though_nobody_could_ask_there(tmp_path: Path) -> None:
    """A policy host at an address that is not to be dialled, or that we failed to reach."""
    kinds = (kind("private", 3, bad("unmeasured"), ipv4="10.1.2.3"), kind("no-host", 2, bad("dns")))
    with open_archive(write_archive(tmp_path, kinds)) as opened:
        assert counts(ask(opened, "policy-hosts"), "provider") == {
            "(no alias)": (3, 5, 0),
            "(no address known)": (2, 5, 0),
        }


def test_split_responsibility(parties: Archive) -> None:
    """Patterns miss an MX host of 5 of the 20 whose policy and mail are with two firms."""
    assert counts(ask(parties, "split-responsibility"), "responsibility") == {
        "both, one firm": (0, 60, 0),
        "both, two firms": (5, 20, 0),
        "both, policy host unnamed": (0, 5, 0),
        "only the policy": (0, 55, 0),
        "neither": (0, 12 + 4 + 8, 0),
        "unclassified": (0, 20 + 6, 1),
    }


def test_every_class_of_responsibility_is_explained(parties: Archive) -> None:
    """reference/words.csv has a label and a meaning for each word of these answers."""
    known = {
        (row["column"], row["word"]) for row in parties.query("from reference_words").records()
    }
    for name, column in (("managing-entity", "basis"), ("split-responsibility", "responsibility")):
        assert {(column, row[column]) for row in ask(parties, name)} <= known


def test_policy_hosters_and_what_they_leave_behind(parties: Archive) -> None:
    """The published table's columns stand beside the count."""
    rows = {r["provider"]: r for r in ask(parties, "policy-hosts")}
    assert (rows["Tuta"]["n"], rows["Tuta"]["hosts_mail"]) == (60, "yes")
    assert rows["PowerDMARC"]["after_opt_out"] == (
        "name: NXDOMAIN; certificate: not renewed; policy: mode none"
    )
    assert (rows["GitHub Pages"]["kind"], rows["GitHub Pages"]["hosts_mail"]) == ("platform", None)


LETS_ENCRYPT = "CN=R10,O=Let's Encrypt,C=US"
ANSWERS = (
    # Postfix names itself, and its host has both families.
    kind(
        "postfix",
        10,
        good(),
        mx=OWN,
        ipv6="2001:db8::1",
        mail_ipv6="2001:db8::25",
        mail_host=smtp("220 mx.example ESMTP Postfix (Debian/GNU)"),
    ),
    # The greeting's name is not its software.
    kind(
        "decoy",
        4,
        good(),
        mx=OWN,
        policy_host=Shown(tls="TLSv1.2", days=5, content_type="text/plain; charset=UTF-8"),
        mail_host=smtp("220 exim.postfix.example ESMTP ready"),
    ),
    # A changed greeting, and extensions that only one software has; an issuer with a comma.
    kind(
        "changed",
        3,
        good(),
        mx=OWN,
        mail_ipv4=None,
        mail_ipv6="2001:db8::26",
        policy_host=Shown(issuer=r"CN=a\, b,O=Certs\, Inc.,C=US", days=-3),
        mail_host=smtp("220 mx.example ESMTP", "X-ANONYMOUSTLS", "SIZE"),
    ),
    # The same greeting: on their own premises, and in its maker's cloud.
    kind(
        "exchange",
        2,
        good(),
        mx=OWN,
        policy_host=Shown(issuer="CN=mta-sts", self_issued=True, days=3650),
        mail_host=smtp("220 mx.example Microsoft ESMTP MAIL Service ready at Monday"),
    ),
    kind(
        "cloud",
        5,
        good(),
        mx=MICROSOFT,
        policy_host=Shown(issuer="CN=An authority without an organisation"),
        mail_host=smtp("220 PAXP Microsoft ESMTP MAIL Service ready at Monday"),
    ),
    # Greets late or never.
    kind("greylisted", 2, good(mx_passing=0, mx_unmeasured=1), mx=OWN),
    # Answers that are no policy.
    kind("moved", 3, bad("http"), mx=(), policy_host=Shown(status=301, location="https://www.{domain}/")),
    kind("parked", 1, bad("http"), mx=(), policy_host=Shown(status=302, location="https://u@Park.Example:8443")),
    kind("slash", 1, bad("http"), mx=(), policy_host=Shown(status=308, location="/mta-sts.txt")),
    kind("nowhere", 1, bad("http"), mx=(), policy_host=Shown(status=302)),
    kind("html", 2, bad("syntax"), mx=(), policy_host=Shown(content_type="Text/HTML; x=1; Charset=\"utf-8\"")),
    kind("untyped", 1, bad("syntax"), mx=(), policy_host=Shown(content_type=None)),
    kind("closed", 2, bad("tcp"), mx=()),
    kind("no-host", 1, bad("dns"), mx=()),
    kind("unknown", 1, bad("unmeasured", misconfigured=False, sender_outcome="unmeasured"), mx=()),
)  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The scan of ``ANSWERS``."""
    with open_archive(write_archive(tmp_path_factory.mktemp("answers"), ANSWERS)) as opened:
        yield opened


def test_software(answers: Archive) -> None:
    """By MX host: 10 + 4 + 3 + 2 of their own, one of the cloud; two never greeted."""
    assert counts(ask(answers, "mta-software"), "software", "confidence") == {
        ("Postfix", "sure"): (10, 20, 2),
        ("(not told)", None): (4, 20, 2),
        ("Microsoft Exchange", "sure"): (3 + 2, 20, 2),
        ("Exchange Online", "sure"): (1, 20, 2),
    }


def test_issuers(answers: Archive) -> None:
    """The organisation, or the common name, of 35 policy hosts; two refused the connection."""
    found = counts(ask(answers, "issuers"), "endpoint", "issuer")
    assert {key[1]: value for key, value in found.items() if key[0] == "policy host"} == {
        "Let's Encrypt": (35 - 3 - 2 - 5, 35, 2),
        "Certs, Inc.": (3, 35, 2),
        "(itself)": (2, 35, 2),
        "An authority without an organisation": (5, 35, 2),
    }
    assert found["MX host", "Let's Encrypt"] == (20, 20, 2)


def test_days_left(answers: Archive) -> None:
    """From the moment a certificate was seen, in the order of time."""
    rows = [r for r in ask(answers, "certificate-days") if r["endpoint"] == "policy host"]
    assert [(r["days_left"], r["n"], r["of_n"], r["left_out"]) for r in rows] == [
        ("expired", 3, 35, 2),
        ("under 1 week", 4, 35, 2),
        ("8 weeks to 90 days", 35 - 3 - 4 - 2, 35, 2),
        ("398 days and more", 2, 35, 2),
    ]


def test_tls_versions(answers: Archive) -> None:
    """The newest first; without a handshake, left out."""
    assert counts(ask(answers, "tls-versions"), "endpoint", "tls_version") == {
        ("policy host", "TLSv1.3"): (31, 35, 2),
        ("policy host", "TLSv1.2"): (4, 35, 2),
        ("MX host", "TLSv1.3"): (20, 20, 2),
    }


def test_families(answers: Archive) -> None:
    """Policy host against MX hosts; a failed look-up is neither."""
    found = counts(ask(answers, "ip-families"), "policy_host", "mx_hosts")
    assert {key: n for key, (n, _, _) in found.items()} == {
        ("both", "both"): 10,
        ("IPv4", "IPv4"): 4 + 2 + 5 + 2,
        ("IPv4", "IPv6"): 3,
        ("IPv4", "unmeasured"): 3 + 1 + 1 + 1 + 2 + 1 + 2 + 1,
        ("none", "unmeasured"): 1,
    }


def test_http(answers: Archive) -> None:
    """Status, media type and redirects of the 35 that answered; four never did."""
    assert counts(ask(answers, "http-status"), "http_status") == {
        200: (29, 35, 4), 301: (3, 35, 4), 302: (2, 35, 4), 308: (1, 35, 4),
    }  # fmt: skip
    assert counts(ask(answers, "media-types"), "media_type", "charset") == {
        ("text/plain", None): (22, 29, 10),
        ("text/plain", "utf-8"): (4, 29, 10),
        ("text/html", "utf-8"): (2, 29, 10),
        ("(none)", None): (1, 29, 10),
    }
    assert counts(ask(answers, "redirects"), "http_status", "target") == {
        (None, "(not redirected)"): (29, 35, 0),
        (301, "(the domain or below it)"): (3, 35, 0),
        (302, "park.example"): (1, 35, 0),
        (302, "(none)"): (1, 35, 0),
        (308, "(the policy host)"): (1, 35, 0),
    }


PATTERNS = (
    kind("one-name", 5, good(policy_mx=("mx.a.example",))),
    kind("one-wild", 3, good(policy_mx=("*.a.example",))),
    kind("mixed", 2, good(policy_mx=("*.a.example", "mx.b.example"))),
    kind("many", 1, good(policy_mx=tuple(f"mx{n}.a.example" for n in range(7)))),
    kind("off", 4, good(mode="none", policy_mx=())),
    kind("unknown", 2, bad("unmeasured", misconfigured=False)),
    kind("broken", 2, bad("tls")),
    kind("bad-record", 1, good(record_outcome="syntax", record_id=None, policy_mx=("a.example",))),
    kind("epoch", 2, good(record_id="1700000000", policy_mx=("a.example",))),
    kind("word", 1, good(record_id="rev7", policy_mx=("a.example",))),
)


def test_patterns_and_ids(tmp_path: Path) -> None:
    """How many patterns and wildcards a policy has, and what its record's id looks like."""
    with open_archive(write_archive(tmp_path, PATTERNS)) as opened:
        assert counts(ask(opened, "mx-patterns"), "patterns", "wildcards") == {
            ("1", "none"): (5 + 1 + 2 + 1, 15, 2),
            ("1", "all"): (3, 15, 2),
            ("2", "some"): (2, 15, 2),
            ("6 and more", "none"): (1, 15, 2),
        }
        assert counts(ask(opened, "id-formats"), "format") == {
            "date and time": (5 + 3 + 2 + 1 + 4 + 2 + 2, 22, 1),
            "seconds since 1970": (2, 22, 1),
            "letters and digits": (1, 22, 1),
        }


@pytest.mark.parametrize(
    ("id_", "format_"),
    [
        ("20260131T120000", "date and time"),
        ("20260131120000Z", "date and time"),
        ("202601311200", "date and time"),  # no seconds
        ("20260131120000123", "date and time"),  # milliseconds behind it
        ("20260131", "date"),
        ("2026013101", "date"),  # with the day's count, as zone serials have
        ("20261331120000", "another number"),  # no thirteenth month
        ("1769860800", "seconds since 1970"),
        ("1769860800123", "milliseconds since 1970"),
        ("1", "another number"),
        ("deadbeef", "hexadecimal"),
        ("cafe", "letters and digits"),  # too short to be a hash
        ("v2", "letters and digits"),
    ],
)
def test_the_format_of_an_id(archive: Archive, id_: str, format_: str) -> None:
    """One id a row."""
    (row,) = archive.query("select id_format($id) as format", id=id_).records()
    assert row["format"] == format_


@pytest.mark.parametrize(
    ("banner", "text"),
    [
        (b"220 mx.example ESMTP Postfix\r\n", "esmtp postfix"),
        (b"220-mx.example ESMTP Exim\r\n220 no spam\r\n", "esmtp exim"),
        (b"220 postfix.example\r\n", ""),  # a name alone
        (b"220 ", ""),
        (b"220 mx.example \xff\xfe", "\\xff\\xfe"),  # octets that are no text
    ],
)
def test_the_text_of_a_greeting(archive: Archive, banner: bytes, text: str) -> None:
    """The host's own name takes no part."""
    (row,) = archive.query("select greeting_text($banner) as text", banner=banner).records()
    assert row["text"].strip().partition("\\x0d")[0] == text


NAMES = (
    "a.b.example",
    "b.example",
    "xb.example",
    "x.a.b.example",
    "example",
    "*.b.example",
)


def test_names_are_compared_as_the_crawler_compares_them(archive: Archive) -> None:
    """An mx pattern of an earlier scan covers a host exactly when the rules say so; likewise below."""
    pairs = [(one, other) for one in NAMES for other in NAMES]
    for one, other in pairs:
        (row,) = archive.query(
            "select covers($one, $other) as covers, at_or_below($other, $one) as below",
            one=one,
            other=other,
        ).records()
        if "*" not in other:  # a host has no wildcard
            assert row["covers"] is matches(one, other), (one, other)
            assert row["below"] is is_at_or_below(other, one), (one, other)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("mx1.mail.hoster.example", "hoster.example"),
        ("mx.hoster.co.uk", "hoster.co.uk"),
        ("hoster.co.uk", "hoster.co.uk"),
        ("co.uk", "co.uk"),
        ("mx.hoster.com.example", "com.example"),  # only countries have such second levels
        ("localhost", "localhost"),
    ],
)
def test_the_name_an_operator_would_register(archive: Archive, host: str, name: str) -> None:
    """Two labels, or three below a country's second level."""
    (row,) = archive.query("select operator_name($host) as name", host=host).records()
    assert row["name"] == name


@pytest.mark.parametrize(
    "host",
    ["", ".", "a", "a.b", "a.b.c.d", "mx.a.b.c.d", "mx.a.b.co.uk", "a..b", "x..y.com", "a.b.c.d.", ".a.b.c"],
)  # fmt: skip
def test_four_labels_tell_all_that_a_name_tells(archive: Archive, host: str) -> None:
    """Hosts that end alike are looked up once: suffix and registrable name are those of the ending."""
    (row,) = archive.query(
        "select $host as host, last_four_labels($host) as ending,"
        " operator_name(host) = operator_name(ending) as one_name,"
        " last_two_labels(host) = last_two_labels(ending) as one_look_up,"
        " list_bool_and([at_or_below(host, s) = at_or_below(ending, s)"
        "     for s in ['d', 'c.d', 'b.c.d', 'a.b.c.d', 'mx.a.b.c']]) as one_suffix",
        host=host,
    ).records()
    assert {row[key] for key in ("one_name", "one_look_up", "one_suffix")} == {True}
    assert host.endswith(row["ending"])


def test_the_attribution_lists_have_a_version() -> None:
    """Whoever changes a list adds a line to versions.csv: the hash of all of them, one after another."""
    content = b"".join((REFERENCE / f"{name}.csv").read_bytes() for name in ATTRIBUTION)
    with (REFERENCE / "versions.csv").open(newline="") as lines:
        versions = list(csv.DictReader(lines))
    assert versions[-1]["sha256"] == sha256(content).hexdigest()
    assert len({row["version"] for row in versions}) == len(versions)


@pytest.mark.parametrize(
    ("name", "kinds", "matched"),
    [
        (
            "mail_operators",
            {"mailbox", "filter", "hosting", "forwarding", "platform", "cluster"},
            {"suffix"},
        ),
        ("policy_hosts", {"managed", "platform", "registrar", "cluster"}, {"alias", "address"}),
        ("mta_software", {None}, {"greeting", "ehlo", "host"}),
    ],
)
def test_attribution_rows_say_how_they_match_and_why(
    name: str, kinds: set[str | None], matched: set[str]
) -> None:
    """Pattern, its type, a confidence and a source stand in every row, each pattern once."""
    with (REFERENCE / f"{name}.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row.get("kind") for row in rows} == kinds
    assert {row["matches"] for row in rows} == matched
    assert {row["confidence"] for row in rows} <= {"sure", "likely", "guess"}
    assert all(row["source"] and row["pattern"] == row["pattern"].lower() for row in rows)
    assert len({(row["pattern"], row["matches"]) for row in rows}) == len(rows)


def test_firms_are_those_of_names_in_the_lists() -> None:
    """A firm's row names a provider or operator that some list has."""
    known = set()
    for name, column in (("mail_operators", "operator"), ("policy_hosts", "provider")):
        with (REFERENCE / f"{name}.csv").open(newline="") as lines:
            known |= {row[column] for row in csv.DictReader(lines)}
    for name, column in (("firms", "name"), ("policy_providers", "provider")):
        with (REFERENCE / f"{name}.csv").open(newline="") as lines:
            assert {row[column] for row in csv.DictReader(lines)} <= known
