"""A dispatcher over a real ledger, by a clock that is moved; the relay is made up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage

from bounced.config import NoticeSettings, RelaySettings
from bounced.ledger.engine import Ledger
from bounced.ledger.writer import Writer
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import Abandoned, BeforeData, Deferred, Delivered, Outcome, Refused
from bounced.notifier.dispatcher import Dispatcher, DispatcherSettings
from bounced.origin.admission import AdmissionSettings
from bounced.origin.token import Key, KeyRing
from tests.ledger.office import DOMAIN, MINUTE, START, Office

SECOND = timedelta(seconds=1)
WINDOW = 15 * MINUTE
DOWN = Deferred("no session", relay_down=True)
SENDER = "protocols@app.example"
RING = KeyRing((Key("a", bytes(32), START.date()),))
NOTICES = NoticeSettings(sender=SENDER)
COMPOSER = Composer(None, NOTICES, fallback_sender="post@app.example")
"""Keeps nothing of what it composes; to make one takes longer than most tests."""


@dataclass
class FakeRelay:
    """Answers as it is told, and notes what arrived at whose mailbox, and when."""

    clock: Callable[[], datetime]
    answers: dict[str, Outcome] = field(default_factory=dict)
    """By author; "" stands for everyone."""
    tried: list[tuple[datetime, str]] = field(default_factory=list)
    arrived: list[tuple[datetime, str]] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    """What happens during an attempt."""

    async def deliver(
        self, message: EmailMessage, *, mail_from: str, rcpt: str, before_data: BeforeData
    ) -> Outcome:
        assert (message["To"], mail_from.partition("@")[2]) == (rcpt, DOMAIN)
        self.tried.append((self.clock(), rcpt))
        self.meanwhile()
        answer = self.answers.get(rcpt) or self.answers.get("") or Delivered("250 ok")
        if isinstance(answer, Deferred | Refused):
            return answer
        if not await before_data():
            return Abandoned()
        if isinstance(answer, Delivered):
            self.arrived.append((self.clock(), rcpt))
        return answer

    async def close(self) -> None:
        """Nothing is kept."""


@dataclass
class House:
    """An office, its dispatcher and its relay, all by the office's clock."""

    office: Office
    dispatcher: Dispatcher
    relay: FakeRelay

    def configure(self, *, relay: FakeRelay | None = None, **notices: object) -> None:
        """Change settings of notices, as a reload does; a new relay comes with one."""
        settings = self.dispatcher.settings
        self.relay = relay or self.relay
        self.dispatcher.settings = replace(
            settings,
            notices=NoticeSettings.model_validate({"sender": SENDER} | notices),
            delivery=self.relay,
        )

    async def send_at(self, at: datetime) -> list[str]:
        """Let the clock stand there for one beat; return whose notices arrived."""
        self.office.now = at
        before = len(self.relay.arrived)
        await self.dispatcher.send_due(at)
        return [author for _, author in self.relay.arrived[before:]]

    async def beat(self, span: timedelta, *, step: timedelta = 10 * SECOND) -> None:
        """Let time pass, a beat every step."""
        end = self.office.now + span
        while self.office.now < end:
            await self.send_at(self.office.now + step)

    def fail(self, *authors: str, at: datetime = START) -> None:
        self.office.now = at
        for author in authors:
            self.office.fail(f"{at}", author=author)

    def list_states(self) -> list[str]:
        return sorted(row["state"] for row in self.office.list_notices())


def name_authors(number: int) -> list[str]:
    return [f"a{index:02}@bau.example" for index in range(number)]


@asynccontextmanager
async def open_house(ledger: Ledger) -> AsyncIterator[House]:
    office = Office(ledger)
    relay = FakeRelay(lambda: office.now)
    settings = DispatcherSettings(
        NOTICES,
        office.settings,
        AdmissionSettings(domains=(DOMAIN,)),
        lambda: RING,
        COMPOSER,
        relay,
        RelaySettings(max_connections=2, give_up="2d"),
    )
    writer = Writer(ledger)
    dispatcher = Dispatcher(writer, settings, clock=lambda: office.now, new_id=office.new_id)
    yield House(office, dispatcher, relay)
    writer.stop()
