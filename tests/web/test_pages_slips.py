"""From a slip at the edge of an address to the button that mends it."""

from __future__ import annotations

import httpx2
import pytest

from bounced.advisor.adviser import Adviser
from bounced.config import DnsSettings
from bounced.model import Category, Reason, Verdict
from bounced.notifier.grouping import find_suggestion, show_subject
from tests.ledger.office import AUTHOR, DAY, MINUTE, Office
from tests.web.conftest import NOON, House
from tests.web.told import Told, list_forms, read, tell

MEANT = "jo@web.de"
DOMAIN_UNKNOWN = Verdict(Category.BAD_ADDRESS, Reason.DOMAIN_UNKNOWN)


def open_office(house: House) -> Office:
    office = Office(house.ledger, now=NOON - DAY)
    office.ids = house.ids
    return office


async def advise(house: House, office: Office) -> None:
    settings = DnsSettings(enabled=False)
    await Adviser(house.ledger, house.writer, settings, clock=lambda: office.now).advise(
        office.now
    )


@pytest.mark.parametrize("typed", ["jo@web.de.", "<jo@web.de", "jo@web.de "])
async def test_one_click_mends_a_slip_at_the_edge_of_an_address(
    house: House, client: httpx2.AsyncClient, typed: str
) -> None:
    office = open_office(house)
    case = office.fail("1", typed, verdict=DOMAIN_UNKNOWN).case
    office.move(DAY)
    await advise(house, office)
    (notice,) = office.send_due()
    (entry,) = notice.entries
    assert (show_subject(entry), find_suggestion(entry)) == (typed.strip(), MEANT)
    told = Told(house, office, notice.notice, case)
    page = await client.get(told.page)
    assert typed.strip() in read(page)
    accept, *_ = list_forms(page)
    assert accept == {"action": "correct", "new_recipient": MEANT}
    assert (await client.post(told.page, data=accept)).status_code == 303
    assert told.find_case() == ("closed", "corrected", MEANT)
    office.move(DAY)
    office.fail("2", MEANT)
    assert told.find_case()[0] == "open"


async def test_what_failed_without_the_slip_too_is_not_suggested(sqlite_house: House) -> None:
    office = open_office(sqlite_house)
    office.fail("1", MEANT, verdict=DOMAIN_UNKNOWN)
    office.move(MINUTE)
    office.fail("2", f"{MEANT}.", verdict=DOMAIN_UNKNOWN)
    office.move(DAY)
    await advise(sqlite_house, office)
    (notice,) = office.send_due()
    assert [entry.suggestion for entry in notice.entries] == [None]


async def test_a_page_does_not_suggest_what_its_notice_was_about(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    """The case has found it since, in a later slip at its edge."""
    told = tell(sqlite_house, MEANT, suggestion=MEANT, author=AUTHOR)
    page = await sqlite_client.get(told.page)
    assert "Meinten Sie" not in read(page)
    assert {"action": "correct", "new_recipient": MEANT} not in list_forms(page)
