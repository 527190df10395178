"""Registration: a mail's author, recipients and reference for a signed return path (DESIGN §6)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import datetime

from bounced.ledger import sends
from bounced.ledger.sends import KeyedSend, KeyTakenError
from bounced.model import Send, TokenType
from bounced.origin.admission import AdmissionSettings, build_return_path
from bounced.origin.token import KeyRing, seal
from bounced.web.api import Api
from bounced.web.problem import Fault, Problem
from bounced.web.schema import RegisteredSend, SendRequest, SendsAnswer, SendsRequest

_DAY_S = 86_400


async def register(api: Api, asked: SendsRequest, _caller: str) -> SendsAnswer:
    """Register sends, all or none; a key that stands with the same body gets the same answer."""
    now, (admission, ring) = api.clock(), api.admission()
    # Beside the loop: a thousand would hold it up for 50 ms.
    drawn = await asyncio.to_thread(
        lambda: [_draw(entry, api.new_id(), now, admission, ring) for entry in asked.sends]
    )
    try:
        stored = await api.write(lambda connection: sends.register_all(connection, drawn))
    except KeyTakenError as error:
        faults = [
            Fault(f"the key {asked.sends[i].key!r} stands for another body", "key", i)
            for i in error.positions
        ]
        raise Problem(
            409, "a key is registered with another body; nothing was registered", faults
        ) from None
    return SendsAnswer(
        sends=[
            RegisteredSend(key=one.key, send=one.send.send, return_path=one.return_path)
            for one in stored
        ]
    )


def find_digest(entry: SendRequest) -> str:
    """Return what tells one body from another: SHA-256, hex, of its canonical JSON.

    A key left out and a null are the same body, and so is any order of keys.
    """
    told = entry.model_dump(exclude_none=True)
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _draw(
    entry: SendRequest, send: str, now: datetime, admission: AdmissionSettings, ring: KeyRing
) -> KeyedSend:
    """Return what is registered if the key is new."""
    day = int(now.timestamp()) // _DAY_S
    token = seal(TokenType.SEND, bytes.fromhex(send), day, ring.signing)
    return KeyedSend(
        entry.key,
        find_digest(entry),
        Send(
            send=send,
            author=entry.author,
            recipients=tuple(entry.recipients),
            registered_at=now,
            reference=entry.reference,
            title=entry.title,
            url=entry.url,
            language=entry.language,
        ),
        build_return_path(token, admission),
    )
