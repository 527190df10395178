"""Registration: a mail's author, recipients and reference for a signed return path (DESIGN §6)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bounced.ledger import sends
from bounced.ledger.sends import KeyedSend, KeyTakenError
from bounced.model import Send, TokenType
from bounced.origin.admission import (
    Accepted,
    AdmissionSettings,
    Door,
    build_return_path,
    judge_recipient,
)
from bounced.origin.token import KeyRing, find_day, seal
from bounced.web.api import Api
from bounced.web.problem import Fault, Problem
from bounced.web.schema import RegisteredSend, SendRequest, SendsAnswer, SendsRequest


async def register(api: Api, asked: SendsRequest, _caller: str) -> SendsAnswer:
    """Register sends, all or none; a key that stands with the same body gets the same answer.

    Where that answer's return path is taken no more, the same send gets another one.
    """
    now, (admission, ring) = api.clock(), api.admission()

    def work(connection: Connection) -> list[KeyedSend]:
        stored = sends.register_all(connection, drawn)
        return [
            one
            if one.return_path == new.return_path or _is_taken(one, now, admission, ring)
            else _renew(connection, one, now, admission, ring)
            for one, new in zip(stored, drawn, strict=True)
        ]

    # Beside the loop: a thousand would hold it up for 50 ms.
    drawn = await asyncio.to_thread(
        lambda: [_draw(entry, api.new_id(), now, admission, ring) for entry in asked.sends]
    )
    try:
        stored = await api.write(work)
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
        _seal(send, now, admission, ring),
    )


def _seal(send: str, now: datetime, admission: AdmissionSettings, ring: KeyRing) -> str:
    token = seal(TokenType.SEND, bytes.fromhex(send), find_day(now), ring.signing)
    return build_return_path(token, admission)


def _is_taken(one: KeyedSend, now: datetime, admission: AdmissionSettings, ring: KeyRing) -> bool:
    """Tell whether a bounce to a send's return path would come in today."""
    judged = judge_recipient(
        one.return_path,
        "",
        from_own_relay=False,
        settings=admission,
        ring=ring,
        today=find_day(now),
    )
    return isinstance(judged, Accepted) and judged.door is Door.TOKEN


def _renew(
    connection: Connection,
    one: KeyedSend,
    now: datetime,
    admission: AdmissionSettings,
    ring: KeyRing,
) -> KeyedSend:
    return_path = _seal(one.send.send, now, admission, ring)
    sends.renew(connection, one.send.send, return_path)
    return replace(one, return_path=return_path)
