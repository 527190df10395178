"""The table of hosters, and what is said of them."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from bounced.words.cleaning import clean
from bounced.words.hosters import find_hoster_key, find_hoster_text, read_hosters

TABLE = tomllib.loads(
    resources.files("bounced.words").joinpath("hosters.toml").read_text("utf-8")
)["hosters"]
KEYS = [each["key"] for each in TABLE]


def test_every_hoster_is_there_once_and_known_by_a_server() -> None:
    assert len(set(KEYS)) == len(KEYS) >= 30
    assert [each.key for each in read_hosters()] == KEYS
    assert all(each.name and each.name_servers for each in read_hosters())


def test_a_way_is_told_in_both_languages_with_its_source() -> None:
    told = {"de", "en", "source", "read"}
    assert {frozenset(told & each.keys()) for each in TABLE} == {frozenset(), frozenset(told)}
    assert all("de" in each for each in TABLE if "short_names" in each)
    assert all(each["source"].startswith("https://") for each in TABLE if "source" in each)


def test_no_pattern_is_another_hosters() -> None:
    patterns = [(each.key, pattern) for each in read_hosters() for pattern in each.name_servers]
    examples = [(key, pattern.replace("*", "1").replace("?", "1")) for key, pattern in patterns]
    assert [key for key, _ in examples] == [find_hoster_key([host]) for _, host in examples]


@pytest.mark.parametrize(
    ("name_servers", "key"),
    [
        (["ns1038.ui-dns.com.", "NS1031.UI-DNS.DE", "ns1090.ui-dns.org"], "ionos"),
        (["docks17.rzone.de", "shades03.rzone.de"], "strato"),
        (["ns5.kasserver.com", "ns6.kasserver.com"], "all-inkl"),
        (["ns1.first-ns.de", "robotns2.second-ns.de", "robotns3.second-ns.com"], "hetzner"),
        (["hydrogen.ns.hetzner.com", "oxygen.ns.hetzner.com", "helium.ns.hetzner.de"], "hetzner"),
        (["ns1.your-server.de", "ns.second-ns.com", "ns3.second-ns.de"], "hetzner"),
        (["root-dns.netcup.net", "second-dns.netcup.net", "third-dns.netcup.net"], "netcup"),
        (["ns1.hans.hosteurope.de", "ns2.hans.hosteurope.de"], "host-europe"),
        (["ns.namespace4you.de", "ns2.namespace4you.de"], "domainfactory"),
        (["ns.udag.de", "ns.udag.net", "ns.udag.org"], "united-domains"),
        (["ns.inwx.de", "ns2.inwx.de", "ns3.inwx.eu"], "inwx"),
        (["ns1.world4you.at", "ns2.world4you.at"], "world4you"),
        (["ns.hostpoint.ch", "ns2.hostpoint.ch", "ns3.hostpoint.ch"], "hostpoint"),
        (["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"], "cloudflare"),
        (["ns-1234.awsdns-56.org", "ns-890.awsdns-34.co.uk"], "route-53"),
        (["ns1.bdm.microsoftonline.com"], "microsoft-365"),
        (["ns43.domaincontrol.com", "ns44.domaincontrol.com"], "godaddy"),
        # A mail service's customers see another menu than those of the hoster behind it.
        (["ns-gmx.ui-dns.de", "ns-gmx.ui-dns.biz"], None),
        (["ns1.firma.test", "ns1.first-ns.de"], None),
        (["ns5.kasserver.com", "docks17.rzone.de"], None),
        (["notrzone.de", "rzone.de"], None),
        (["ns1038.ui-dns.com.firma.test"], None),
        (["", "\ud800", "x" * 70_000], None),
        ([], None),
    ],
)
def test_a_hoster_is_known_by_all_servers_of_a_zone(
    name_servers: list[str], key: str | None
) -> None:
    assert find_hoster_key(name_servers) == key


@pytest.mark.parametrize(
    ("key", "language", "text"),
    [
        (
            "ionos",
            "de",
            "IONOS: „Domains & SSL“ > Zahnrad neben der Domain > „DNS“",
        ),
        (
            "ionos",
            "en",
            "IONOS: “Domains & SSL” > gear beside the domain > “DNS”",
        ),
        (
            "all-inkl",
            "de",
            "ALL-INKL.COM: KAS (technische Verwaltung) > „Tools“ > „DNS-Einstellungen“ > Domain bearbeiten",
        ),
        (
            "all-inkl",
            "fr",
            "ALL-INKL.COM: KAS (technical administration) > “Tools” > “DNS-Einstellungen” > edit the domain",
        ),
        ("manitu", "de", "manitu"),
        ("nobody", "de", None),
        (None, "de", None),
    ],
)
def test_the_way_to_the_setting_is_one_line(
    key: str | None, language: str, text: str | None
) -> None:
    assert find_hoster_text(key, language) == text


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("language", ["de", "en"])
def test_every_line_is_clean_and_ends_without_a_stop(key: str, language: str) -> None:
    text = find_hoster_text(key, language)
    assert text is not None
    assert text == clean(text, 200)
    assert '"' not in text
    assert not text.endswith((".", ";"))
