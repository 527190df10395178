"""Authors who were told of something, and the links that their notices have."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

import httpx2
from sqlalchemy import select, update

from bounced.diagnosis import Diagnosis, write_diagnosis
from bounced.ledger import rounds, schema
from bounced.model import Verdict
from bounced.origin.link import seal_link
from bounced.origin.token import find_day
from tests.ledger.office import AUTHOR, DAY, USER_UNKNOWN, Office
from tests.web.conftest import NOON, House
from tests.web.diagnoses import PASSED

WRONG = "max.muster@gmial.example"
RIGHT = "max.muster@gmail.example"
CORRECT = {"action": "correct", "new_recipient": RIGHT}
CONFIRM = {"action": "confirm"}
DECLINE = {"action": "decline", "confirm": "yes"}
RESUME = {"action": "resume"}
LEDGER = ("cases", "notices", "slots", "strikes", "authors", "webhooks", "events")


@dataclass(frozen=True, slots=True)
class Told:
    """A notice of one case."""

    house: House
    office: Office
    notice: str
    case: str

    @property
    def page(self) -> str:
        """Return the path of the case's page."""
        return self._seal(self.case)

    @property
    def settings(self) -> str:
        """Return the path of the page of the author's settings."""
        return self._seal(None)

    def find_case(self) -> tuple[str, str | None, str | None]:
        """Return state, how it was closed, and the new address."""
        (row,) = self.office.dump("cases")["cases"]
        case = dict(zip(schema.cases.c.keys(), row, strict=True))
        return case["state"], case["closed_why"], case["corrected_to"]

    def diagnose(self, diagnosis: Diagnosis) -> None:
        """Let DNS have said something of the case's domain since."""
        kept = update(schema.cases).values(diagnosis=write_diagnosis(diagnosis))
        self.house.ledger.write(lambda connection: connection.execute(kept))

    def pass_dns(self) -> None:
        """Let the daily look at DNS have closed the case at noon."""
        query = select(schema.cases.c.last_strike_at).where(schema.cases.c.case == self.case)
        mended = self.house.ledger.write(
            lambda connection: rounds.mend(
                connection,
                self.case,
                NOON,
                last_strike_at=connection.execute(query).scalar_one(),
                diagnosis=PASSED,
                settings=self.office.settings,
                new_id=self.office.new_id,
            )
        )
        assert mended is not None

    def _seal(self, case: str | None) -> str:
        key, day = self.house.ring.signing, find_day(NOON)
        return f"/n/{seal_link(self.notice, case, day, key)}"


def tell(
    house: House,
    recipient: str = WRONG,
    *,
    verdict: Verdict = USER_UNKNOWN,
    author: str = AUTHOR,
    sends: int = 1,
    suggestion: str | None = None,
    diagnosis: Diagnosis | None = None,
) -> Told:
    """Let some protocols of an author fail, the day before, and tell him."""
    office = Office(house.ledger, now=NOON - DAY)
    office.ids = house.ids
    for number in range(sends):
        case = office.fail(f"{number + 1}", recipient, verdict=verdict, author=author).case
    office.move(DAY)
    (notice,) = office.send_due()
    if suggestion:
        house.ledger.write(lambda c: c.execute(update(schema.cases).values(suggestion=suggestion)))
    told = Told(house, office, notice.notice, case)
    if diagnosis:
        told.diagnose(diagnosis)
    return told


async def follow(client: httpx2.AsyncClient, path: str, data: dict[str, str]) -> httpx2.Response:
    """Send a form and go where the answer leads."""
    answer = await client.post(path, data=data)
    assert answer.status_code == 303
    return await client.get(str(answer.url.join(answer.headers["location"])))


def read(answer: httpx2.Response) -> str:
    """Return what a page says, in one line."""
    body = answer.text.partition("<body>")[2]
    return " ".join(html.unescape(re.sub(r"<wbr>|</?span[^>]*>", "", body)).split())


def find_heading(answer: httpx2.Response) -> str:
    match = re.search(r"<h1>(.*?)</h1>", read(answer))
    assert match is not None
    return match[1]


def list_forms(answer: httpx2.Response) -> list[dict[str, str]]:
    """Return the fields of each form, in the order of the page."""
    forms = re.findall(r"<form.*?</form>", answer.text, re.DOTALL)
    field = re.compile(r'name="(.*?)" value="(.*?)"')
    return [{name: html.unescape(value) for name, value in field.findall(form)} for form in forms]
