"""The page of a domain's case says who finds out that it is mended, and how it ended."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from bounced.diagnosis import Diagnosis
from tests.ledger.office import SPF
from tests.web.conftest import PAGES, House
from tests.web.diagnoses import (
    ASK_RECEIVER,
    MERGE_SPF,
    NEW,
    NOT_CHECKED,
    OURS,
    PUBLISH_DKIM,
    UNSIGNED,
    USE_OUR_ADDRESS,
)
from tests.web.told import CONFIRM, find_heading, follow, list_forms, read, tell

OURS_MENDED = "Ist der Fehler behoben, verschicken Sie bitte noch einmal, was abgewiesen wurde."


@pytest.mark.parametrize(
    ("diagnosis", "expected", "watched"),
    [
        (None, "Wenn Sie das erledigt haben, sagen Sie uns hier Bescheid.", False),
        (NOT_CHECKED, "Wenn Sie das erledigt haben, sagen Sie uns hier Bescheid.", False),
        (USE_OUR_ADDRESS, "Wenn Sie das erledigt haben, sagen Sie uns hier Bescheid.", False),
        (ASK_RECEIVER, "Wenn Sie das erledigt haben, sagen Sie uns hier Bescheid.", False),
        (PUBLISH_DKIM, "Wenn die Einträge für bau.example stimmen", True),
        (MERGE_SPF, "Wenn die Einträge für bau.example stimmen", True),
    ],
)
@pytest.mark.parametrize("language", ["de", "en"])
async def test_it_is_promised_to_look_every_day_only_where_dns_shows_it(
    sqlite_house: House,
    sqlite_client: httpx2.AsyncClient,
    diagnosis: Diagnosis | None,
    expected: str,
    language: str,
    *,
    watched: bool,
) -> None:
    told = tell(sqlite_house, verdict=SPF, diagnosis=diagnosis)
    answer = await sqlite_client.get(f"{told.page}?language={language}")
    said = read(answer)
    assert ("jeden Tag nach" in said or "We also look ourselves every day" in said) is watched
    assert (expected in said) is (language == "de")
    assert list_forms(answer) == [CONFIRM]
    assert not re.search(r"page\.|advice\.|[{}]", re.sub("<script>.*</script>", "", said))


@pytest.mark.parametrize(
    ("diagnosis", "check_interval", "expected"),
    [
        (OURS, timedelta(days=1), "Wir sehen jeden Tag nach."),
        (OURS, timedelta(hours=6), "Wir sehen regelmäßig nach."),
        (OURS, None, "Antworten Sie einfach auf unseren Hinweis."),
        (UNSIGNED, timedelta(days=1), "Antworten Sie einfach auf unseren Hinweis."),
    ],
)
async def test_of_what_only_we_can_mend_the_author_is_asked_nothing(
    sqlite_house: House,
    sqlite_client: httpx2.AsyncClient,
    diagnosis: Diagnosis,
    check_interval: timedelta | None,
    expected: str,
) -> None:
    """And where DNS never shows that it is mended, nobody promises that the page will say so."""
    sqlite_house.pages = replace(PAGES, check_interval=check_interval)
    answer = await sqlite_client.get(tell(sqlite_house, verdict=SPF, diagnosis=diagnosis).page)
    said = read(answer)
    assert list_forms(answer) == []
    assert "Ist der Fehler behoben?" not in said
    assert f"Sie brauchen uns nichts zu melden. {OURS_MENDED}" in said.partition("<details>")[0]
    assert re.findall(
        r"Wir sehen \w+(?: \w+)? nach\.|Antworten Sie einfach auf unseren[^<]*", said
    ) == [expected]


@pytest.mark.parametrize(
    ("check_interval", "expected"),
    [(timedelta(hours=6), ["Wir sehen auch selbst regelmäßig nach"]), (None, [])],
)
async def test_no_other_look_at_dns_is_promised_than_the_configured_one(
    sqlite_house: House,
    sqlite_client: httpx2.AsyncClient,
    check_interval: timedelta | None,
    expected: list[str],
) -> None:
    sqlite_house.pages = replace(PAGES, check_interval=check_interval)
    answer = await sqlite_client.get(tell(sqlite_house, verdict=SPF, diagnosis=MERGE_SPF).page)
    assert re.findall("Wir sehen[^:]*nach", read(answer)) == expected
    assert list_forms(answer) == [CONFIRM]


@pytest.mark.parametrize("language", ["de", "en"])
async def test_a_case_that_dns_has_closed_says_since_when_all_is_well(
    house: House, client: httpx2.AsyncClient, language: str
) -> None:
    told = tell(house, verdict=SPF, diagnosis=MERGE_SPF)
    told.pass_dns()
    answer = await client.get(f"{told.page}?language={language}")
    expected = {
        "de": ("bau.example ist in Ordnung", "Unsere Prüfung am Sonntag, 22. November 2026"),
        "en": ("bau.example is in order", "Our check on Sunday, 22 November 2026"),
    }
    heading, text = expected[language]
    assert find_heading(answer) == heading
    assert text in read(answer)
    assert not list_forms(answer)
    assert NEW not in read(answer)


async def test_nobody_is_thanked_for_what_dns_has_shown(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house, verdict=SPF, diagnosis=MERGE_SPF)
    told.pass_dns()
    assert told.find_case()[1] == "dns-passed"
    assert "Danke" not in read(await sqlite_client.get(f"{told.page}?done=dns-passed"))


async def test_what_is_settled_needs_no_advice(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house, verdict=SPF, diagnosis=MERGE_SPF)
    answer = await follow(sqlite_client, told.page, CONFIRM)
    assert find_heading(answer) == "Der Fehler gilt als behoben"
    assert not re.search("spf1|script", answer.text)
