"""Scenarios: the HTTP response (RFC 8461 section 3.3) and the policy file in it (section 3.2)."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Final

from crawler.lab.fragments import ENFORCE, RECORD, ids, no_policy, policy_text, scenario
from crawler.lab.scenario import Delivery, PolicyHost, Scenario, Truth
from crawler.vocabulary import Mode, PolicyOutcome, SenderOutcome

_HTTP, _SYNTAX = PolicyOutcome.HTTP, PolicyOutcome.SYNTAX
_HTML: Final = (
    "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>It works!</body></html>\n"
)
_BOM: Final = "\ufeff"


def _answering(name: str, why: str, host: PolicyHost, *findings: str) -> Scenario:
    """A Policy Host whose response is no policy."""
    return scenario(name, why, policy=host, truth=no_policy(_HTTP, "http-any", *findings))


RESPONSES: Final[tuple[Scenario, ...]] = (
    _answering(
        "http-404",
        "Two thirds of the HTTP errors: the file is not there.",
        PolicyHost(status=404, content_type="text/html", body=_HTML),
        "http-404",
    ),
    _answering(
        "http-301",
        "Redirects must not be followed; the right policy behind one does not count.",
        PolicyHost(
            status=301, body="", headers=(("Location", "https://www.{domain}/mta-sts.txt"),)
        ),
        "http-3xx",
    ),
    _answering(
        "http-403",
        "A CDN takes senders for bots.",
        PolicyHost(status=403, content_type="text/html", body=_HTML),
        "http-bot-wall",
    ),
    _answering(
        "http-429",
        "A CDN counts requests.",
        PolicyHost(status=429, body="slow down\n", headers=(("Retry-After", "3600"),)),
        "http-bot-wall",
    ),
    _answering(
        "http-500",
        "An error of the server.",
        PolicyHost(status=500, body="oops\n"),
    ),
    _answering(
        "http-204",
        "Success, but not 200: no policy.",
        PolicyHost(status=204, content_type=None),
    ),
    _answering(
        "http-no-answer",
        "TLS stands, and the request is never answered.",
        replace(ENFORCE, delivery=Delivery.NO_ANSWER),
        "http-slow",
    ),
    _answering(
        "http-dripped",
        "One octet at a time: each restarts a careless timeout.",
        replace(ENFORCE, delivery=Delivery.DRIPPED),
        "http-slow",
    ),
    _answering(
        "http-big",
        "A valid policy, and then more than 64 KiB of it: never a parsed prefix.",
        PolicyHost(
            body=policy_text(Mode.ENFORCE, "mx1.{domain}") + "x-padding: 0123456789\r\n" * 3200
        ),
        "http-big",
    ),
    _answering(
        "http-encoding",
        "Compressed though nobody asked for it.",
        PolicyHost(
            body=gzip.compress(b"version: STSv1\nmode: none\nmax_age: 86400\n", mtime=0),
            headers=(("Content-Encoding", "gzip"),),
        ),
        "http-encoding",
    ),
    _answering(
        "http-truncated",
        "Closed before the announced end: a policy cut short may still parse.",
        replace(ENFORCE, delivery=Delivery.CUT_SHORT),
        "http-truncated",
    ),
    scenario(
        "http-ctype-html",
        "The right text under the wrong media type: a sender should refuse it, most do not.",
        policy=replace(ENFORCE, content_type="text/html; charset=utf-8"),
        truth=Truth(findings=ids("http-ctype")),
    ),
    scenario(
        "http-ctype-none",
        "No media type at all.",
        policy=replace(ENFORCE, content_type=None),
        truth=Truth(findings=ids("http-ctype")),
    ),
    scenario(
        "http-html-200",
        "A page that greets everybody: 200, and no policy.",
        policy=PolicyHost(body=_HTML, content_type="text/html"),
        truth=no_policy(_SYNTAX, "http-ctype", "http-html-200", "pol-any"),
    ),
    scenario(
        "http-html-as-text",
        "The same page as text/plain: only the body tells.",
        policy=PolicyHost(body=_HTML),
        truth=no_policy(_SYNTAX, "http-html-200", "pol-any"),
    ),
    scenario(
        "http-bom",
        "Saved by an editor that puts a byte order mark in front.",
        policy=PolicyHost(body=_BOM + policy_text(Mode.ENFORCE, "mx1.{domain}")),
        truth=no_policy(_SYNTAX, "http-bom", "pol-any"),
    ),
)


def _invalid(name: str, why: str, body: str | bytes, *findings: str) -> Scenario:
    """A policy file that the grammar does not take."""
    return scenario(
        name, why, policy=PolicyHost(body=body), truth=no_policy(_SYNTAX, "pol-any", *findings)
    )


BODIES: Final[tuple[Scenario, ...]] = (
    _invalid("pol-empty", "Zero octets: a provider after the customer has left.", "", "pol-empty"),
    _invalid(
        "pol-version-missing",
        "The version line is not there.",
        "mode: enforce\nmx: mx1.{domain}\nmax_age: 604800\n",
        "pol-version",
    ),
    _invalid(
        "pol-version-case",
        "STSV1 is no version.",
        "version: STSV1\nmode: enforce\nmx: mx1.{domain}\nmax_age: 604800\n",
        "pol-version",
    ),
    _invalid(
        "pol-mode-missing",
        "Without a mode nobody knows what to do.",
        "version: STSv1\nmx: mx1.{domain}\nmax_age: 604800\n",
        "pol-mode",
    ),
    _invalid(
        "pol-mode-case",
        "Modes are case-sensitive.",
        "version: STSv1\nmode: Enforce\nmx: mx1.{domain}\nmax_age: 604800\n",
        "pol-mode",
    ),
    _invalid(
        "pol-mode-report",
        "A mode of an early draft.",
        "version: STSv1\nmode: report\nmx: mx1.{domain}\nmax_age: 604800\n",
        "pol-mode",
    ),
    _invalid(
        "pol-max-age-missing",
        "The max_age line is not there.",
        "version: STSv1\nmode: enforce\nmx: mx1.{domain}\n",
        "pol-max-age",
    ),
    _invalid(
        "pol-max-age-large",
        "More than a year (31557600 seconds).",
        "version: STSv1\nmode: enforce\nmx: mx1.{domain}\nmax_age: 99999999\n",
        "pol-max-age",
    ),
    _invalid(
        "pol-max-age-unit",
        "A unit after the number of seconds.",
        "version: STSv1\nmode: enforce\nmx: mx1.{domain}\nmax_age: 7d\n",
        "pol-max-age",
    ),
    _invalid(
        "pol-mx-missing",
        "Mode enforce without a single mx.",
        "version: STSv1\nmode: enforce\nmax_age: 604800\n",
        "pol-mx-missing",
    ),
    _invalid(
        "pol-mx-mail-address",
        "A mail address in place of a host.",
        "version: STSv1\nmode: enforce\nmx: postmaster@{domain}\nmax_age: 604800\n",
        "pol-mx-bad",
    ),
    _invalid(
        "pol-mx-trailing-dot",
        "A host name as zone files write it.",
        "version: STSv1\nmode: enforce\nmx: mx1.{domain}.\nmax_age: 604800\n",
        "pol-mx-bad",
    ),
    _invalid(
        "pol-mx-inner-wildcard",
        "A wildcard inside a label.",
        "version: STSv1\nmode: enforce\nmx: mx*.{domain}\nmax_age: 604800\n",
        "pol-mx-bad",
    ),
    _invalid(
        "pol-mx-comma-list",
        "Several hosts in one line.",
        "version: STSv1\nmode: enforce\nmx: mx1.{domain}, mx2.{domain}\nmax_age: 604800\n",
        "pol-mx-bad",
    ),
    _invalid(
        "pol-line-end-cr",
        "Bare carriage returns.",
        "version: STSv1\rmode: enforce\rmx: mx1.{domain}\rmax_age: 604800\r",
        "pol-line-end",
    ),
    scenario(
        "pol-blank-lines",
        "An empty line: outside the ABNF, and taken by most senders.",
        policy=PolicyHost(
            body="version: STSv1\nmode: enforce\n\nmx: mx1.{domain}\nmax_age: 604800\n"
        ),
        truth=no_policy(_SYNTAX, "pol-any", "pol-ws", policy_lenient=True),
    ),
    _invalid(
        "pol-space-before-colon",
        "A space before the colon.",
        "version: STSv1\nmode : enforce\nmx: mx1.{domain}\nmax_age: 604800\n",
        "pol-ws",
    ),
    _invalid(
        "pol-malformed-line",
        "A comment, which the format does not have.",
        "version: STSv1\nmode: enforce\n# our MX hosts\nmx: mx1.{domain}\nmax_age: 604800\n",
        "pol-line",
    ),
    _invalid(
        "pol-non-ascii",
        "Latin-1 in an extension, where only UTF-8 is taken.",
        b"version: STSv1\nmode: testing\nmx: mx1.lab\nmax_age: 604800\nx-note: caf\xe9\n",
        "pol-non-ascii",
    ),
    scenario(
        "pol-dup-key",
        "A key twice: all but the first are ignored.",
        policy=PolicyHost(
            body="version: STSv1\nmode: enforce\nmx: mx1.{domain}\nmax_age: 2592000\nmode: testing\n"
        ),
        truth=Truth(findings=ids("pol-dup-key")),
    ),
    scenario(
        "pol-unknown-key",
        "A key that nobody knows is no error.",
        policy=PolicyHost(
            body="version: STSv1\nmode: enforce\nmx: mx1.{domain}\nmax_age: 2592000\nx-note: hello\n"
        ),
        truth=Truth(findings=ids("pol-unknown-key")),
    ),
    scenario(
        "pol-max-age-short",
        "Enforced for one day: an attacker who can wait a day is let in.",
        policy=PolicyHost(body=policy_text(Mode.ENFORCE, "mx1.{domain}", max_age=86400)),
        truth=Truth(max_age=86400, findings=ids("pol-max-age-short")),
    ),
    scenario(
        "pol-max-age-short-testing",
        "Testing for one hour.",
        policy=PolicyHost(body=policy_text(Mode.TESTING, "mx1.{domain}", max_age=3600)),
        truth=Truth(
            mode=Mode.TESTING,
            max_age=3600,
            sender_outcome=SenderOutcome.TESTING,
            findings=ids("pol-max-age-short"),
        ),
    ),
    scenario(
        "pol-max-age-week-testing",
        "Testing for a week is what testing is for.",
        policy=PolicyHost(body=policy_text(Mode.TESTING, "mx1.{domain}", max_age=604800)),
        truth=Truth(mode=Mode.TESTING, max_age=604800, sender_outcome=SenderOutcome.TESTING),
    ),
    scenario(
        "pol-empty-managed",
        "A provider that empties the file of a customer who left, and keeps the aliases alive.",
        record=RECORD + "mta-sts CNAME {host_alias}.\n{host_alias}. A {provider}\n",
        host="",
        policy=PolicyHost(body=""),
        truth=no_policy(_SYNTAX, "pol-any", "pol-empty"),
    ),
)
