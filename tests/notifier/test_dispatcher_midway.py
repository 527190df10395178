"""What changes while the dispatcher sends: the configuration, an author's wish, the daemon ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from sqlalchemy import select

from bounced.ledger import authors, schema
from tests.ledger.office import HOUR, START
from tests.notifier.house import SECOND, WINDOW, FakeRelay, House, name_authors


@dataclass
class SilentRelay(FakeRelay):
    """Never answers."""

    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliver(self, *_: Any, rcpt: str, **__: Any) -> NoReturn:
        self.tried.append((self.clock(), rcpt))
        self.was_asked.set()
        await asyncio.Event().wait()
        raise AssertionError


async def test_what_was_not_tried_before_a_reload_goes_by_the_new_configuration(
    house: House,
) -> None:
    house.fail(*name_authors(40))

    def hold_at_the_third() -> None:
        if len(house.relay.tried) == 3:
            house.configure(mode="hold")

    house.relay.meanwhile = hold_at_the_third
    assert len(await house.send_at(START + WINDOW)) == 3
    await house.send_at(START + WINDOW + SECOND)
    assert house.list_states() == ["held"] * 32 + ["sent"] * 8, "eight had their slots before"


async def test_a_rehearsal_that_is_left_under_way_writes_no_more_and_the_relay_tells_the_rest(
    house: House,
) -> None:
    office, rehearsal, relay = house.office, house.relay, FakeRelay(lambda: house.office.now)
    office.configure(first_round=0)
    house.dispatcher.settings = replace(house.dispatcher.settings, policy=office.settings)
    house.fail(*name_authors(40))

    def leave_at_the_third() -> None:
        if len(rehearsal.tried) == 3:
            office.configure(first_round=1)
            office.leave_rehearsal()
            house.dispatcher.settings = replace(
                house.dispatcher.settings, policy=office.settings, delivery=relay
            )

    rehearsal.meanwhile = leave_at_the_third
    await house.send_at(START + WINDOW)
    rehearsed = {row["author"] for row in office.list_notices() if row["state"] == "sent"}
    for hours in range(1, 4):
        await house.send_at(START + hours * HOUR)
    assert len(rehearsal.tried) == 3
    told = [author for _, author in relay.arrived]
    assert sorted(told) == sorted(set(name_authors(40)) - rehearsed)
    slots = office.ledger.read(
        lambda c: c.execute(select(schema.slots.c.author).where(schema.slots.c.round == 1)).all()
    )
    assert sorted(slot.author for slot in slots) == sorted(told)


async def test_who_declines_after_his_notice_was_claimed_gets_none(house: House) -> None:
    office = house.office
    house.fail(*name_authors(8))

    def decline_at_the_first() -> None:
        if len(house.relay.tried) == 1:
            for author in name_authors(8):
                office.ledger.write(
                    lambda c, author=author: authors.decline(  # type: ignore[misc] # a lambda has no annotations
                        c, author, office.now, webhook=False, new_id=office.new_id
                    )
                )

    house.relay.meanwhile = decline_at_the_first
    assert await house.send_at(START + WINDOW) == []
    assert await house.send_at(START + HOUR) == []
    assert house.list_states() == ["failed"] * 8


async def test_a_daemon_that_ends_gives_back_what_it_had_not_tried(house: House) -> None:
    relay = SilentRelay(lambda: house.office.now)
    house.configure(relay=relay)
    house.fail(*name_authors(8))
    house.office.now = START + WINDOW
    run = asyncio.create_task(house.dispatcher.send_due(house.office.now))
    await relay.was_asked.wait()
    house.dispatcher.stop()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    tried = {author for _, author in relay.tried}
    rest = house.office.claim_some(8)
    assert sorted(notice.author for notice in rest) == sorted(set(name_authors(8)) - tried)
    assert {notice.attempts for notice in rest} == {1}
