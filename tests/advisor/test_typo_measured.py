"""How often a suggestion is right: every single slip of 40 mail domains, and strangers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import permutations

import pytest

from bounced.advisor.providers import read_providers
from bounced.advisor.typo import Basis, Known, Suggestion, suggest
from bounced.model import Reason, domain_key, split_address
from tests.advisor.handwritten import PAIRS
from tests.advisor.strangers import COLLEAGUES, COMPANIES, UNHEARD_OF

PROVIDERS = read_providers()
NOBODY = Known(frozenset(), frozenset(), frozenset())
MAIL_DOMAINS = (
    *("gmx.de", "gmx.net", "gmx.at", "gmx.ch", "web.de", "t-online.de", "freenet.de", "arcor.de"),
    *("posteo.de", "mailbox.org", "outlook.de", "hotmail.de", "live.de", "yahoo.de", "aol.de"),
    *("kabelmail.de", "unitybox.de", "netcologne.de", "aon.at", "a1.net", "chello.at"),
    *("bluewin.ch", "hispeed.ch", "sunrise.ch", "gmail.com", "googlemail.com", "outlook.com"),
    *("hotmail.com", "live.com", "yahoo.com", "icloud.com", "me.com", "aol.com", "msn.com"),
    *("protonmail.com", "orange.fr", "wanadoo.fr", "laposte.net", "libero.it", "yahoo.co.uk"),
)
FIRMS = (
    *("bauamt-musterstadt.de", "architekten-nord.de", "holzbau-schuster.at", "praxis-am-markt.de"),
    *("ingenieurbuero-lindner.de", "stadtwerke-beispiel.de", "planwerk.ch", "elektro-kunz.com"),
    *("brandschutz24.de", "a-z-gebaeude.de", "k-und-p.de", "müller-bau.de", "kbs.de", "bahn.de"),
)
LOCAL_PARTS = (
    *("max.mustermann", "sekretariat", "buchhaltung", "bauleitung.nord", "m.schroeder"),
    *("christine.hartmann", "j.kaufmann", "verwaltung", "hausmeister", "empfang", "info"),
)
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.-"
MIN_PRECISION = 0.98


@pytest.mark.slow
def test_every_single_slip_of_forty_mail_domains_is_asked_for_rightly_or_not_at_all() -> None:
    assert len(MAIL_DOMAINS) == 40
    count = measure_domains(MAIL_DOMAINS, lambda _: NOBODY)
    assert count["wrong"] == 0
    assert precision(count) >= MIN_PRECISION
    assert recall(count) >= 0.65


@pytest.mark.slow
def test_what_the_author_knows_besides_misleads_nobody() -> None:
    known = Known(
        frozenset(map(domain_key, FIRMS)), frozenset({"gmx.com", "online.de"}), frozenset()
    )
    count = measure_domains(MAIL_DOMAINS[:12], lambda _: known)
    assert count["wrong"] == 0
    assert recall(count) >= 0.6


def test_every_single_slip_of_a_firm_that_the_author_reached_is_asked_for_rightly() -> None:
    count = measure_domains(
        FIRMS, lambda domain: Known(frozenset({domain_key(domain)}), frozenset(), frozenset())
    )
    assert precision(count) >= MIN_PRECISION
    assert recall(count) >= 0.7


def test_with_dns_a_domain_that_somebody_has_is_never_doubted() -> None:
    without = [domain for domain in sorted(UNHEARD_OF) if ask(f"max.muster@{domain}", NOBODY)]
    confirmed = [
        domain
        for domain in sorted(UNHEARD_OF)
        if confirm(ask(f"max.muster@{domain}", NOBODY), domain)
    ]
    assert without  # else the resolver was not needed, and this test shows nothing
    assert confirmed == []


@pytest.mark.parametrize("known", [(), tuple(sorted(PROVIDERS.services))])
def test_no_mail_service_is_ever_doubted(known: tuple[str, ...]) -> None:
    knowledge = Known(frozenset(known), frozenset(), frozenset())
    doubted = [d for d in sorted(PROVIDERS.services) if ask(f"max.muster@{d}", knowledge)]
    assert doubted == []


def test_no_mail_service_is_taken_for_another_that_the_author_knows() -> None:
    near = [
        (typed, known)
        for typed, known in permutations(sorted(PROVIDERS.services), 2)
        if abs(len(typed) - len(known)) <= 1
    ]
    assert len(near) > 10_000
    doubted = [
        pair
        for pair in near
        if ask(f"max@{pair[0]}", Known(frozenset({pair[1]}), frozenset(), frozenset()))
    ]
    assert doubted == []


def test_no_firm_is_taken_for_a_mail_service() -> None:
    assert len(set(COMPANIES)) >= 200
    for reason in (Reason.USER_UNKNOWN, Reason.DOMAIN_UNKNOWN, Reason.NOT_ACCEPTING):
        assert [name for name in COMPANIES if ask(f"info@{name}", NOBODY, reason)] == []


def test_no_firm_that_answers_is_taken_for_another_without_dns() -> None:
    for typed, known in permutations(COMPANIES[:160], 2):
        if abs(len(typed) - len(known)) > 1:
            continue
        found = ask(
            f"info@{typed}",
            Known(frozenset({known}), frozenset(), frozenset()),
            Reason.USER_UNKNOWN,
        )
        assert found is None or not found.holds_without_dns, (typed, known)


def test_no_colleague_is_taken_for_another() -> None:
    taken = {
        (left, found.address)
        for left in COLLEAGUES
        for stayed in COLLEAGUES
        if left != stayed
        and (found := ask(f"{left}@firma.example", _working(stayed), Reason.USER_UNKNOWN))
    }
    assert taken == set()


def test_every_single_slip_of_a_local_part_is_asked_for_rightly_or_not_at_all() -> None:
    count: Counter[str] = Counter()
    for local in LOCAL_PARTS:
        known = _working(local, "lager", "technik.sued")
        for typed in slips(local):  # most replace a letter, which makes Schreiner of Schreiber
            found = ask(f"{typed}@firma.example", known, Reason.USER_UNKNOWN)
            local_found = found if found and found.basis is Basis.LOCAL_PART else None
            count[judge(local_found, f"{local}@firma.example")] += 1
    assert count["wrong"] == 0
    assert recall(count) >= 0.2


def test_the_handwritten_pairs_are_right_altogether() -> None:
    assert len(PAIRS) >= 100
    asked = [(p, suggest(p.typed, p.reason, p.knowledge, PROVIDERS)) for p in PAIRS]
    wrong = [pair.typed for pair, found in asked if found and found.address != pair.expected]
    assert wrong == []


def measure_domains(domains: tuple[str, ...], known: Callable[[str], Known]) -> Counter[str]:
    """Type each domain with every single slip and judge what is suggested."""
    count: Counter[str] = Counter()
    for domain in domains:
        knowledge = known(domain)
        for typed in slips(domain):
            if typed in PROVIDERS.services:
                assert ask(f"max.muster@{typed}", knowledge) is None
                continue
            count[judge(ask(f"max.muster@{typed}", knowledge), f"max.muster@{domain}")] += 1
    return count


def slips(word: str) -> Iterator[str]:
    """Every insertion, deletion, replacement and swap, each result once."""
    found = set()
    for at in range(len(word) + 1):
        head, tail = word[:at], word[at:]
        found |= {head + c + tail for c in CHARACTERS}
        found |= {head + c + tail[1:] for c in CHARACTERS if tail}
        found |= {head + tail[1:], head + tail[1:2] + tail[:1] + tail[2:]}
    return iter(sorted(found - {word}))


def ask(address: str, known: Known, reason: Reason = Reason.DOMAIN_UNKNOWN) -> Suggestion | None:
    return suggest(address, reason, known, PROVIDERS)


def confirm(found: Suggestion | None, typed: str) -> bool:
    """Say what is told where DNS is asked: a resolver that knows every domain there is."""
    real = PROVIDERS.services | UNHEARD_OF | set(COMPANIES)
    return found is not None and typed not in real and split_address(found.address)[1] in real


def judge(found: Suggestion | None, expected: str) -> str:
    if found is None:
        return "nothing"
    return "right" if found.address == expected else "wrong"


def precision(count: Counter[str]) -> float:
    return count["right"] / (count["right"] + count["wrong"])


def recall(count: Counter[str]) -> float:
    return count["right"] / count.total()


def _working(*local_parts: str) -> Known:
    addresses = frozenset(f"{local}@firma.example" for local in local_parts)
    return Known(frozenset({"firma.example"}), frozenset(), addresses)
