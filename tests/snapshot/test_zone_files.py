"""Master zone files: the delegations of both kinds that registries publish."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.snapshot.zone_files import delegations, looks_like_zone


def names(text: str, origin: str | None = None) -> list[str]:
    found = delegations(enumerate(text.split("\n"), 1), origin)
    return [name if reason is None else f"{reason}!" for _, name, reason in found]


CZDS = """\
com.\t900\tin\tsoa\ta.gtld-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400
com.\t172800\tin\tns\ta.gtld-servers.net.
com.\t86400\tin\tdnskey\t256 3 8 AwEAAbbX
com.\t86400\tin\tnsec3param\t1 0 0 -
alpha.com.\t172800\tin\tns\tns1.alpha.com.
alpha.com.\t172800\tin\tns\tns2.alpha.com.
alpha.com.\t86400\tin\tds\t12345 13 2 49FD
ns1.alpha.com.\t172800\tin\ta\t192.0.2.1
ns2.alpha.com.\t172800\tin\taaaa\t2001:db8::1
beta.com.\t172800\tin\tns\tns.example.net.
ck0pojmg874ljref7efn8430qvit8bsm.com.\t86400\tin\tnsec3\t1 1 0 - CK0Q ns soa rrsig
xn--85x722f.com.\t172800\tin\tns\tns.example.net.
com.\t900\tin\tsoa\ta.gtld-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400
"""

SE = """\
; <<>> DiG 9.18 <<>> axfr se. @zonedata.example
;; global options: +cmd
se.\t\t\t172800\tIN\tSOA\tcatcher-in-the-rye.nic.se. registry.iis.se. 1 1800 1800 2419200 7200
se.\t\t\t172800\tIN\tNS\ta.ns.se.
0-0.se.\t\t\t86400\tIN\tNS\tns1.example.se.
0-0.se.\t\t\t86400\tIN\tNS\tns2.example.se.
0-0.se.\t\t\t3600\tIN\tDS\t2371 13 2 ABCD
Alpha.SE.\t\t86400\tIN\tNS\tns1.example.se.
pp.se.\t\t\t86400\tIN\tTXT\t"a ; b ( ns" "quoted \\" ns"
sub.pp.se.\t\t86400\tIN\tNS\tns1.example.se. ; comment
"""

FULL = """\
$TTL 1d ; a day
$ORIGIN nu.
@   IN SOA ns.nic.nu. hostmaster.nic.nu. (
        2026112401 ; serial ( not a parenthesis
        1h 15m 4w 1h )
        NS  a.ns.nu.
\tIN NS b.ns.nu.
alpha   IN NS ns1.alpha
        IN NS ns2.alpha
        IN DS ( 1 13 2
        NS )
ns1.alpha A 192.0.2.1
beta 3600 NS ns.example.
gamma IN 1h NS ns.example.
delta ns ns.example.
$origin sub
eps NS ns.example.
zeta.nu. NS ns.example.
$ORIGIN nu.
eta A 192.0.2.1
    NS ns.example.
"two words" IN NS ns.example.
outside.example. IN NS ns.example.
"""


def test_czds() -> None:
    """One record per line, lower case, TABs; no apex, no glue, no DS, no NSEC3."""
    assert names(CZDS) == ["alpha.com", "beta.com", "xn--85x722f.com"]


def test_a_zone_transfer_as_dig_prints_it() -> None:
    assert names(SE) == ["0-0.se", "alpha.se", "sub.pp.se"]


def test_the_full_syntax() -> None:
    """Origins, relative and omitted owners, parentheses, either order of TTL and class."""
    assert names(FULL) == [
        "alpha.nu",
        "beta.nu",
        "gamma.nu",
        "delta.nu",
        "eps.sub.nu",
        "zeta.nu",
        "eta.nu",
        '"two words".nu',
    ]


def test_the_root_zone_delegates_top_level_domains() -> None:
    root = (
        ".\t86400\tIN\tSOA\ta.b. c.d. 1 2 3 4 5\n.\t518400\tIN\tNS\ta.b.\nse.\t172800\tIN\tNS\ta.\n"
    )
    assert names(root) == ["se"]


def test_relative_names_start_from_the_name_of_the_file() -> None:
    zone = "@ IN SOA a. b. 1 2 3 4 5\n@ IN NS a.\nalpha IN NS a.\n"
    assert names(zone, origin="li") == ["alpha.li"]


def test_without_an_origin_a_relative_name_is_refused() -> None:
    assert names("alpha IN NS a.\n    IN NS b.\nbeta.li. IN NS a.\n") == [
        "no-origin!",
        "no-origin!",
        "beta.li",
    ]


@pytest.mark.parametrize("line", ["$INCLUDE other.zone", "$GENERATE 1-9 a$ NS b.", "$WHAT"])
def test_a_directive_that_is_not_followed_is_reported(line: str) -> None:
    assert names(f"$ORIGIN se.\n{line}\nalpha NS a.\n") == ["directive!", "alpha.se"]


def test_line_numbers_are_those_of_the_file() -> None:
    found = list(delegations(enumerate(CZDS.split("\n"), 1), None))
    assert [(n, name) for n, name, _ in found[:2]] == [(5, "alpha.com"), (10, "beta.com")]


@pytest.mark.parametrize(
    ("line", "zone"),
    [
        ("se.\t172800\tIN\tSOA\ta. b. 1 2 3 4 5", True),
        ("@ IN SOA a. b. (", True),
        ("@ 1D SOA a. b. (", True),
        ("$ORIGIN se.", True),
        ("$TTL 3600", True),
        ("alpha.com.\t172800\tin\tns\tns1.alpha.com.", True),
        ("example.com", False),
        ("1,example.com", False),
        ("GlobalRank,TldRank,Domain,TLD", False),
        ("# example", False),
    ],
)
def test_zone_files_are_told_from_other_lists(line: str, zone: bool) -> None:
    assert zone == looks_like_zone([line])


@settings(deadline=None)  # the machine may be busy
@given(st.text(alphabet='ab.@$;()"\\ \t\n0nsiINS'))
def test_any_text_ends_in_names_or_reasons(text: str) -> None:
    names(text, origin="se")


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.sampled_from(CZDS.split("\n"))))
def test_the_shortcut_reads_a_line_as_the_full_reader_does(lines: list[str]) -> None:
    """A comment at the end of each line takes the way around the shortcut."""
    assert names("\n".join(lines)) == names("\n".join(f"{line} ; c" for line in lines))
