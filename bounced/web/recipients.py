"""Addresses: what is known of them, and what the application has learned of them itself."""

from __future__ import annotations

from sqlalchemy import Connection

from bounced.ledger import addresses
from bounced.ledger.addresses import NoticeUnderWayError, Standing, UnknownSendError
from bounced.logs import Event, emit
from bounced.web.api import Api
from bounced.web.problem import Fault, Problem, make_unavailable
from bounced.web.schema import (
    CaseAnswer,
    CasesAnswer,
    CorrectedRequest,
    DeliveredRequest,
    LookupAnswer,
    LookupRequest,
    StandingAnswer,
)


async def look_up(api: Api, asked: LookupRequest, _caller: str) -> LookupAnswer:
    """Say what is known of each address, in the order asked."""
    found = await api.read(
        lambda ledger: ledger.read(
            lambda connection: addresses.look_up(connection, asked.recipients)
        )
    )
    return LookupAnswer(recipients=[_answer(standing) for standing in found])


async def correct(api: Api, asked: CorrectedRequest, caller: str) -> CasesAnswer:
    """Close the cases of an address that is used no more."""
    now = api.clock()

    def work(connection: Connection) -> list[addresses.ChangedCase]:
        return addresses.correct(
            connection,
            asked.recipient,
            now,
            author=asked.author,
            new_recipient=asked.new_recipient,
            new_id=api.new_id,
        )

    closed = await api.write(work)
    new = f", now {asked.new_recipient}" if asked.new_recipient else ""
    _tell("corrected", asked.recipient, f"token {caller}{new}")
    for case in closed:
        emit(
            Event.CASE_CLOSED,
            case=case.case,
            author=case.author,
            subject=case.subject,
            why="corrected",
        )
    return CasesAnswer(cases=len(closed))


async def prove_delivery(api: Api, asked: DeliveredRequest, caller: str) -> CasesAnswer:
    """Open the next round for the cases of a recipient who was reached."""
    now, policy = api.clock(), api.policy()

    def work(connection: Connection) -> list[addresses.ChangedCase]:
        return addresses.prove_delivery(
            connection,
            asked.recipient,
            now,
            author=asked.author,
            send=asked.send,
            settings=policy,
            new_id=api.new_id,
        )

    try:
        reset = await api.write(work)
    except UnknownSendError:
        fault = Fault("no send of this id to this recipient is registered", "send")
        raise Problem(404, "the send is not known", [fault]) from None
    except NoticeUnderWayError as error:
        raise make_unavailable(
            "a notice of the case is on its way just now", error.until - now
        ) from None
    _tell("delivered", asked.recipient, f"token {caller}")
    for case in reset:
        emit(
            Event.CASE_RESET,
            case=case.case,
            author=case.author,
            subject=case.subject,
            round=case.round,
            why="delivered",
        )
    return CasesAnswer(cases=len(reset))


def _tell(what: str, recipient: str, detail: str) -> None:
    emit(Event.OPERATOR_ACTED, action=f"api {what}", subject=recipient, detail=detail)


def _answer(standing: Standing) -> StandingAnswer:
    return StandingAnswer(
        recipient=standing.recipient,
        known_bad=standing.known_bad,
        cases=[
            CaseAnswer(
                case=case.case,
                author=case.author,
                category=case.category,
                reason=case.reason,
                state=case.state,
                strikes=case.strikes,
                notices=case.notices,
                last_strike_at=case.last_strike_at,
            )
            for case in standing.cases
        ],
    )
