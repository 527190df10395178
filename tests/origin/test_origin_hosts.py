"""IP addresses of hosts: read, found in networks, and counted as one."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from bounced.origin.hosts import IPAddress, is_in, name_host, parse_address

OWN = (ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("10.0.0.0/24"))
LOCALHOST = ip_address("127.0.0.1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1", LOCALHOST),
        ("IPv6:2001:DB8::1", ip_address("2001:db8::1")),
        ("::ffff:127.0.0.1", LOCALHOST),
        ("::1", ip_address("::1")),
        ("", None),
        ("localhost", None),
        ("127.0.0.1:25", None),
        ("IPv6:", None),
    ],
)
def test_an_address_is_parsed(text: str, expected: IPAddress | None) -> None:
    assert parse_address(text) == expected


def test_an_address_is_own_by_its_network() -> None:
    addresses = ["127.9.9.9", "::1", "10.0.0.255", "10.0.1.0", "::2"]
    own = [is_in(ip_address(text), OWN) for text in addresses]
    assert own == [True, True, True, False, False]
    assert not is_in(LOCALHOST, ())


def test_a_link_local_address_is_own_whatever_its_zone() -> None:
    own = (*OWN, ip_network("fe80::/64"))
    addresses = ["fe80::1", "fe80::1%eth0", "fe80:0:0:1::1%eth0", "169.254.0.1"]
    assert [is_in(ip_address(text), own) for text in addresses] == [True, True, False, False]


def test_an_ipv6_site_counts_as_one_host() -> None:
    addresses = ["2001:db8:0:1::7", "2001:db8:0:1:ffff::", "2001:db8:0:2::7", "192.0.2.7"]
    names = {name_host(ip_address(text)) for text in addresses}
    assert names == {"2001:db8:0:1::/64", "2001:db8:0:2::/64", "192.0.2.7"}
