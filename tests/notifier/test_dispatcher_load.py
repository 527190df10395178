"""Many bounces at once: an author still gets one mail."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bounced.config import NoticeSettings, RelaySettings
from bounced.ledger.engine import Ledger
from bounced.ledger.writer import Writer
from bounced.notifier.compose import Composer
from bounced.notifier.dispatcher import Dispatcher, DispatcherSettings
from bounced.origin.admission import AdmissionSettings
from tests.ledger.office import AUTHOR, DOMAIN, START, Office, bounce
from tests.notifier.house import RING, WINDOW, FakeRelay

BOUNCES = 10_000
BATCH = 200


@pytest.mark.slow
async def test_ten_thousand_bounces_of_one_author_within_a_minute_are_one_mail(
    sqlite_url: str,
) -> None:
    office = Office(Ledger(sqlite_url))
    findings = [bounce("send", f"r{number}@kunde.example") for number in range(BOUNCES)]
    for start in range(0, BOUNCES, BATCH):
        office.receive(*findings[start : start + BATCH])
        office.move(timedelta(minutes=1) * BATCH / BOUNCES)
    notices = NoticeSettings(sender="protocols@app.example")
    relay = FakeRelay(lambda: office.now)
    settings = DispatcherSettings(
        notices,
        office.settings,
        AdmissionSettings(domains=(DOMAIN,)),
        lambda: RING,
        Composer(None, notices, fallback_sender="post@app.example"),
        relay,
        RelaySettings(),
    )
    writer = Writer(office.ledger)
    dispatcher = Dispatcher(writer, settings, clock=lambda: office.now, new_id=office.new_id)
    office.now = START + WINDOW
    await dispatcher.send_due(office.now)
    for _ in range(3):
        office.move(WINDOW)
        await dispatcher.send_due(office.now)
    writer.stop()
    cases = office.list_cases()
    office.ledger.close()
    assert [author for _, author in relay.arrived] == [AUTHOR]
    assert len(cases) == BOUNCES
    assert {(case["notices"], case["due_at"]) for case in cases} == {(1, None)}
