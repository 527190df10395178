"""How a mail is looked at or tried on somebody who asked for it; nothing comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from email.message import EmailMessage

from bounced.config import Settings
from bounced.ledger.records import ClaimedNotice, Entry
from bounced.model import SendError
from bounced.notifier.compose import Composer
from bounced.notifier.delivery import Abandoned, Delivered, Outcome
from bounced.notifier.telling import Links
from bounced.plan import make_delivery

MARK = "[Test]"
"""Stands before the subject."""


def link_nowhere(settings: Settings) -> Links | None:
    """Return links to the page that says that it is a preview; None where mails have no links."""
    base = settings.http.public_url

    def link(_notice: ClaimedNotice, _entry: Entry | None) -> str:
        return f"{base}/n/preview"

    return link if base else None


def send_test(
    settings: Settings,
    composer: Composer,
    notice: ClaimedNotice,
    address: str,
    *,
    now: datetime,
    new_id: str,
) -> str:
    """Send the mail of the notice, as a test, by the way that notices go.

    Returns what the relay said; raises SendError with its words. A bounce goes to the mailbox that
    authors answer to, for nothing here waits for it.
    """
    domain = settings.return_path.domains[0]
    sender = settings.notices.sender or f"postmaster@{domain}"
    tested = replace(notice, author=address, claimed_at=now, message_id=f"{new_id}.test@{domain}")
    message = composer.compose(tested, links=link_nowhere(settings), mark=MARK)
    outcome = asyncio.run(_deliver(settings, message, sender, address))
    match outcome:
        case Delivered():
            return outcome.reply
        case Abandoned():  # never: nobody else has a claim on it
            raise SendError(f"{address}: nothing was sent")
        case _:
            raise SendError(f"{address}: {outcome.detail}")


async def _deliver(
    settings: Settings, message: EmailMessage, sender: str, address: str
) -> Outcome:
    delivery = make_delivery(settings)
    try:
        return await delivery.deliver(message, mail_from=sender, rcpt=address, before_data=_go_on)
    finally:
        await delivery.close()


async def _go_on() -> bool:
    return True
