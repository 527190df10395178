from dataclasses import replace
from datetime import timedelta

import pytest

from bounced.ledger.records import Entry
from bounced.model import Reason
from bounced.notifier.view import CaseView, NoticeView, ProtocolView, build_view
from bounced.words.catalogue import load_words
from tests.notifier.building_site import (
    LINDENHOF,
    SENT_AT,
    SETTINGS,
    SINGLE,
    make_case,
    make_notice,
    make_strike,
)

WORDS = load_words(None)["en"]
TITLE = "Neubau Lindenhof – Baubesprechung Nr. 14 (BV-2026-014)"


def view(*entries: Entry) -> NoticeView:
    return build_view(make_notice(*entries), WORDS, SETTINGS)


def list_cases(shown: NoticeView) -> list[CaseView]:
    return [case for section in shown.sections for group in section.groups for case in group.cases]


def test_a_case_says_everything_that_is_known_of_it() -> None:
    [case] = list_cases(view(*SINGLE))
    assert case == CaseView(
        subject="max.huber@gmial.com",
        number="notice 2 of 3",
        protocols=(
            ProtocolView(
                title=TITLE,
                url="https://baudoku.example/p/8f3a",
                when="Sent: Friday, 20 November 2026, 14:03",
                recipients=(),
                more_recipients=None,
            ),
        ),
        more_protocols=None,
        total="Not delivered so far: 2 documents",
        reply_label="The exact words of the mail server mx1.relay.example",
        reply="550 5.1.2 <max.huber@gmial.com>: Recipient address rejected: Domain not found",
    )


def test_a_case_of_which_little_is_known_says_that() -> None:
    strike = replace(
        make_strike("a@kunde.example", remote_mta=None),
        title=" \n",
        reference=None,
        url="ftp://x",
        sent_at=None,
    )
    [case] = list_cases(view(make_case(Reason.UNKNOWN, strike)))
    assert case.reply is None
    assert case.total is None
    assert case.protocols == (
        ProtocolView(
            title="no subject",
            url=None,
            when="Failed: Friday, 20 November 2026, 14:05",
            recipients=(),
            more_recipients=None,
        ),
    )


def test_a_domain_counts_emails_because_one_document_goes_to_many() -> None:
    strikes = [make_strike(f"{local}@kunde.example") for local in "ab"]
    [case] = list_cases(view(make_case(Reason.DKIM, *strikes, total=5)))
    assert case.total == "Refused so far: 5 emails"


@pytest.mark.parametrize(
    ("title", "reference", "shown"),
    [
        ("Besprechung 14", "2026-14", "Besprechung 14 (2026-14)"),
        ("Besprechung 2026-14", "2026-14", "Besprechung 2026-14"),
        ("[bv-7] Abnahme", "BV-7", "[bv-7] Abnahme"),
        ("Abnahme 2014", "14", "Abnahme 2014 (14)"),
        ("Abnahme (Rohbau", "(Rohbau", "Abnahme (Rohbau"),
        ("Abnahme", "", "Abnahme"),
        ("Abnahme", None, "Abnahme"),
    ],
)
def test_the_reference_stands_beside_a_title_that_lacks_it(
    title: str, reference: str | None, shown: str
) -> None:
    strike = make_strike("a@kunde.example", title=title, reference=reference)
    [case] = list_cases(view(make_case(Reason.USER_UNKNOWN, strike)))
    assert [protocol.title for protocol in case.protocols] == [shown]


def test_cases_stand_by_category_then_reason_then_address() -> None:
    shown = view(
        make_case(Reason.UNKNOWN, make_strike("u@kunde.example")),
        make_case(Reason.MOVED, make_strike("m@kunde.example")),
        make_case(Reason.USER_UNKNOWN, make_strike("Z@kunde.example")),
        make_case(Reason.SPF, make_strike("s@kunde.example")),
        make_case(Reason.USER_UNKNOWN, make_strike("a@kunde.example")),
        make_case(Reason.USER_UNKNOWN, make_strike("f@kunde.example", forwarded=True)),
    )
    outline = [
        (section.heading, [(group.heading, len(group.cases)) for group in section.groups])
        for section in shown.sections
    ]
    assert outline == [
        (
            "Addresses that are not right",
            [
                ("These addresses do not exist", 2),
                ("m@kunde.example is no longer in use", 1),
                ("Forwarding from f@kunde.example failed", 1),
            ],
        ),
        (
            "Sender not verified",
            [("The check of the sender (SPF) failed", 1)],
        ),
        ("No clear reason", [("The document could not be delivered", 1)]),
    ]
    assert [case.subject for case in list_cases(shown)][:2] == [
        "a@kunde.example",
        "Z@kunde.example",
    ]


def test_a_protocol_that_all_cases_share_is_told_once() -> None:
    later = make_strike("b@kunde.example", sent_at=SENT_AT + timedelta(seconds=40))
    shown = view(
        make_case(Reason.USER_UNKNOWN, make_strike("a@kunde.example")),
        make_case(Reason.SPF, later),
    )
    assert shown.subject == f"Not delivered to 2 recipients: {TITLE}"
    assert shown.intro == "2 recipients did not receive this document:"
    assert shown.common is not None
    assert shown.common.title == TITLE
    address, domain = list_cases(shown)
    assert address.protocols == ()
    assert domain.protocols[0].recipients == ("b@kunde.example",)


def test_protocols_of_the_same_title_on_two_days_are_two() -> None:
    shown = view(
        make_case(Reason.USER_UNKNOWN, make_strike("a@kunde.example")),
        make_case(
            Reason.USER_UNKNOWN,
            make_strike("b@kunde.example", sent_at=SENT_AT + timedelta(days=1)),
        ),
    )
    assert shown.common is None
    assert shown.subject == "Documents not delivered to 2 recipients"
    assert [len(case.protocols) for case in list_cases(shown)] == [1, 1]


@pytest.mark.parametrize(
    ("count", "shown", "more"),
    [(10, 10, None), (11, 10, "and one more document"), (25, 10, "and 15 more documents")],
)
def test_ten_protocols_of_a_case_are_listed_newest_first(
    count: int, shown: int, more: str | None
) -> None:
    strikes = [make_strike("a@kunde.example", title=f"Nr. {count - n}") for n in range(count)]
    found = view(make_case(Reason.USER_UNKNOWN, *strikes))
    [case] = list_cases(found)
    assert [p.title for p in case.protocols] == [
        f"Nr. {count - n} (BV-2026-014)" for n in range(shown)
    ]
    assert case.more_protocols == more
    assert found.intro.startswith(f"{count} documents that you sent to a@kunde.example")


@pytest.mark.parametrize(
    ("count", "more"),
    [(200, None), (201, "and one more recipient"), (240, "and 40 more recipients")],
)
def test_a_domain_names_everyone_who_did_not_get_the_protocol(
    count: int, more: str | None
) -> None:
    strikes = [make_strike(f"{n:03}@kunde.example") for n in range(count)]
    found = view(make_case(Reason.DKIM, *strikes, strikes[0]))
    [case] = list_cases(found)
    [protocol] = case.protocols
    assert protocol.recipients == tuple(f"{n:03}@kunde.example" for n in range(min(count, 200)))
    assert protocol.more_recipients == more
    assert found.intro.startswith(f"{count} recipients did not receive")


@pytest.mark.parametrize(("cases", "limit"), [(1, 500), (5, 500), (6, 160)])
def test_the_servers_words_are_cut_shorter_in_a_digest(cases: int, limit: int) -> None:
    entries = [
        make_case(Reason.USER_UNKNOWN, make_strike(f"{n}@kunde.example", "x" * 4000))
        for n in range(cases)
    ]
    assert {len(case.reply or "") for case in list_cases(view(*entries))} == {limit}


def make_one(reason: Reason, number: int) -> Entry:
    return make_case(reason, make_strike(f"{reason.value}@kunde.example"), number=number)


@pytest.mark.parametrize(
    ("entries", "closings"),
    [
        (
            [make_one(Reason.USER_UNKNOWN, 1)],
            ["You will receive at most 3 notices about this address"],
        ),
        ([make_one(Reason.USER_UNKNOWN, 3)], ["This is the last notice about this address."]),
        ([make_one(Reason.SPF, 2)], ["You will receive at most 3 notices about this domain"]),
        ([make_one(Reason.SPF, 3)], ["This is the last notice about this domain."]),
        (
            [make_one(Reason.SPF, 1), make_one(Reason.MOVED, 2)],
            ["You will receive at most 3 notices about each of these cases"],
        ),
        (
            [make_one(Reason.SPF, 1), make_one(Reason.MOVED, 3)],
            [
                "You will receive at most 3 notices about each of these cases",
                "Where it says “the last”, you will receive no further notice",
            ],
        ),
        (
            [make_one(Reason.SPF, 3), make_one(Reason.MOVED, 3)],
            ["Where it says “the last”, you will receive no further notice"],
        ),
    ],
)
def test_the_closing_says_what_happens_next(entries: list[Entry], closings: list[str]) -> None:
    found = view(*entries).closing
    assert len(found) == len(closings)
    assert all(text.startswith(start) for text, start in zip(found, closings, strict=True))


def test_the_last_notice_of_a_case_says_so_beside_the_case() -> None:
    shown = view(make_one(Reason.SPF, 1), make_one(Reason.MOVED, 3))
    assert [case.number for case in list_cases(shown)] == [
        "notice 3 of 3, the last",
        "notice 1 of 3",
    ]


def test_the_title_is_cut_to_a_subject_line() -> None:
    strikes = [
        replace(LINDENHOF, recipient=f"{n}@kunde.example", title="lang " * 90) for n in "ab"
    ]
    shown = view(*(make_case(Reason.USER_UNKNOWN, strike) for strike in strikes))
    assert len(shown.subject) <= len("Not delivered to 2 recipients: ") + 60
