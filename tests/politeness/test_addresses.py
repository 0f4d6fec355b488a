"""No address that a DNS record can hold leads the crawler into a place it must not contact."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.politeness import addresses
from crawler.politeness.addresses import embedded_ipv4, nat64_prefix, refusal
from crawler.politeness.destination import prefix_of

NOBODY: frozenset[str] = frozenset()

# The address, and a word of the reason.
REFUSED = [
    ("S01", "127.0.0.1", "loopback"),
    ("S01", "127.255.255.254", "loopback"),
    ("S02", "0.0.0.0", "this network"),
    ("S02", "0.1.2.3", "this network"),
    ("S03", "10.0.0.1", "private"),
    ("S04", "172.16.0.1", "private"),
    ("S04", "172.31.255.255", "private"),
    ("S05", "192.168.1.1", "private"),
    ("S06", "169.254.169.254", "link local"),
    ("S07", "100.64.0.1", "shared"),
    ("S07", "100.127.255.255", "shared"),
    ("S08", "192.0.0.1", "protocol assignments"),
    ("S08", "192.0.0.9", "protocol assignments"),
    ("S09", "198.18.0.1", "benchmarking"),
    ("S09", "198.19.255.255", "benchmarking"),
    ("S10", "240.0.0.1", "reserved"),
    ("S11", "224.0.0.1", "multicast"),
    ("S11", "239.255.255.255", "multicast"),
    ("S12", "255.255.255.255", "broadcast"),
    ("other", "192.0.2.1", "documentation"),
    ("other", "198.51.100.1", "documentation"),
    ("other", "203.0.113.1", "documentation"),
    ("other", "192.88.99.1", "6to4"),
    ("other", "192.31.196.1", "AS112"),
    ("other", "192.52.193.1", "AMT"),
    ("other", "192.175.48.1", "AS112"),
    ("S13", "::1", "loopback"),
    ("S13", "::", "unspecified"),
    ("S13", "fe80::1", "link local"),
    ("S13", "fe80::1%1", "zone"),
    ("S13", "fc00::1", "unique local"),
    ("S13", "fd00:ec2::254", "unique local"),
    ("S13", "ff02::1", "multicast"),
    ("S13", "ff0e::1", "multicast"),
    ("S13", "2001:db8::1", "documentation"),
    ("S13", "3fff::1", "documentation"),
    ("S13", "5f00::1", "segment routing"),
    ("S13", "100::1", "discard"),
    ("S13", "100:0:0:1::1", "dummy"),
    ("S13", "fec0::1", "site local"),
    ("other", "2001:2::1", "benchmarking"),
    ("other", "2001:20::1", "ORCHID"),
    ("other", "2620:4f:8000::1", "AS112"),
    ("other", "4000::1", "outside global unicast"),
    # Addresses that carry another one: refused whatever it is, and it is named.
    ("S14", "::ffff:127.0.0.1", "carries 127.0.0.1"),
    ("S14", "::ffff:8.8.8.8", "carries 8.8.8.8"),
    ("S16", "64:ff9b::7f00:1", "carries 127.0.0.1"),
    ("S16", "64:ff9b::a9fe:a9fe", "carries 169.254.169.254"),
    ("S16", "64:ff9b:1::7f00:1", "carries 127.0.0.1"),
    ("K4", "2002:7f00:1::", "carries 127.0.0.1"),
    ("K4", "::127.0.0.1", "carries 127.0.0.1"),
    ("K4", "2001:0:4136:e378:8000:63bf:80ff:fffe", "carries 127.0.0.1"),
]


@pytest.mark.parametrize(
    ("address", "word"), [r[1:] for r in REFUSED], ids=[f"{r[0]} {r[1]}" for r in REFUSED]
)
def test_special_use_is_refused_by_name(address: str, word: str) -> None:
    reason = refusal(address, (), NOBODY)
    assert reason is not None
    assert word in reason


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "9.255.255.255",  # the neighbours of each range are public
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2001:db7:ffff::1",
        "2003::1",
        "2606:4700::1111",
        "3ffe::1",
    ],
)
def test_public_addresses_may_be_dialled(address: str) -> None:
    assert refusal(address, (), NOBODY) is None


@given(st.ip_addresses())
def test_whatever_python_calls_not_global_is_refused(address: IPv4Address | IPv6Address) -> None:
    """The interpreter's own tables, from another hand, never know of a range that ours lack."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert refusal(str(address), (), NOBODY) is not None


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_found(inner: IPv4Address) -> None:
    bits = int(inner)
    for outer in (
        0xFFFF << 32 | bits,
        0x0064FF9B << 96 | bits,
        0x2002 << 112 | bits << 80,
        0x20010000 << 96 | (bits ^ 0xFFFFFFFF),
        bits,
    ):
        if outer > 1:  # the unspecified address and loopback carry nothing
            assert embedded_ipv4(IPv6Address(outer)) == inner


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f.0.0.1", "127.0.0.1\0", "::g"])
def test_what_is_no_address_is_our_mistake(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        refusal(text, (), NOBODY)


def test_s20_our_own_interfaces_are_refused() -> None:
    own = frozenset({"8.8.8.8", "2606:4700::1"})
    assert "our own" in str(refusal("8.8.8.8", (), own))
    assert "our own" in str(refusal("2606:4700:0:0::1", (), own)), "in any spelling"


def test_a_closed_world_has_its_addresses_and_no_others() -> None:
    """Loopback may be dialled there, our own addresses too, and the public Internet may not."""
    allow = [ip_network("127.0.0.0/8")]
    assert refusal("127.1.2.3", allow, frozenset({"127.1.2.3"})) is None
    assert refusal("8.8.8.8", allow, NOBODY) == "not in [net] allow_addresses"
    assert refusal("::ffff:127.0.0.1", allow, NOBODY) is not None
    assert refusal("::1", allow, NOBODY) is not None


FIB_TRIE = """\
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.2
              /32 host LOCAL
"""
IF_INET6 = (
    "20010db8000000000000000000000002 04 40 00 82     eth0\n" + "0" * 31 + "1 01 80 10 80 lo\n"
)


def test_s20_the_system_s_lists_of_our_addresses_are_read() -> None:
    assert list(addresses.ipv4_of_fib_trie(FIB_TRIE)) == ["127.0.0.1", "192.0.2.2"]
    assert list(addresses.ipv6_of_if_inet6(IF_INET6)) == ["2001:db8::2", "::1"]


def test_s20_this_machine_knows_its_loopback_address() -> None:
    assert "127.0.0.1" in addresses.own_addresses()


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("127.1.2.3", "127.1.2.0/24"),
        ("2001:db8:0:1:ffff::1", "2001:db8:0:1::/64"),
        ("::1", "::/64"),
    ],
)
def test_the_prefix_of_an_address(address: str, prefix: str) -> None:
    assert prefix_of(address) == prefix


@given(st.ip_addresses())
def test_an_address_is_in_its_prefix(address: IPv4Address | IPv6Address) -> None:
    network = ip_network(prefix_of(str(address)))
    assert ip_address(str(address)) in network
    assert network.prefixlen == (24 if address.version == 4 else 64)


@pytest.mark.parametrize(
    ("synthesised", "prefix"),
    [
        # RFC 6052 section 2.4, with 192.0.0.170 in place of its example
        ("2001:db8:c000:aa::", "2001:db8::/32"),
        ("2001:db8:1c0:0:aa::", "2001:db8:100::/40"),
        ("2001:db8:122:c000:0:aa00::", "2001:db8:122::/48"),
        ("2001:db8:122:3c0:0:aa::", "2001:db8:122:300::/56"),
        ("2001:db8:122:344:c0:0:aa00::", "2001:db8:122:344::/64"),
        ("2001:db8:122:344::c000:aa", "2001:db8:122:344::/96"),
        ("64:ff9b::192.0.0.171", "64:ff9b::/96"),
        ("2606:4700::1111", None),  # an address of the name's own
    ],
)
def test_s16_a_made_up_address_gives_the_prefix_away(synthesised: str, prefix: str | None) -> None:
    """RFC 7050 section 3."""
    assert nat64_prefix(synthesised) == (None if prefix is None else ip_network(prefix))


@pytest.mark.parametrize("inner", ["10.0.0.1", "169.254.169.254", "8.8.8.8"])
def test_s16_nothing_behind_this_network_s_nat64_is_dialled(inner: str) -> None:
    nat64 = (IPv6Network("2a00:1234:64::/96"),)
    address = str(IPv6Address(int(nat64[0].network_address) | int(IPv4Address(inner))))
    assert (
        refusal(address, (), frozenset(), nat64) == f"{nat64[0]} is this network's NAT64, RFC 7050"
    )
    assert refusal(address, (), frozenset()) is None
