from dataclasses import replace
from datetime import timedelta

import pytest

from bounced.ledger.records import ClaimedNotice, Entry
from bounced.model import Reason
from bounced.notifier.telling import build_view
from bounced.notifier.view import (
    BatchView,
    CaseView,
    LinkView,
    NoticeView,
    ProtocolView,
    ReplyView,
)
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
    return build_view(make_notice(*entries), WORDS, SETTINGS, None)


def list_batches(shown: NoticeView) -> list[BatchView]:
    return [
        batch for section in shown.sections for group in section.groups for batch in group.batches
    ]


def list_cases(shown: NoticeView) -> list[CaseView]:
    return [case for batch in list_batches(shown) for case in batch.cases]


def test_a_case_says_everything_that_is_known_of_it() -> None:
    [batch] = list_batches(view(*SINGLE))
    assert batch == BatchView(
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
        cases=(
            CaseView(
                subject="max.huber@gmial.com",
                number="notice 2 of 3",
                suggestion=None,
                link=None,
                total="Not delivered so far: 2 documents",
                reply=ReplyView(
                    "The exact words of the mail server mx1.relay.example",
                    "550 5.1.2 <max.huber@gmial.com>: Recipient address rejected: "
                    "Domain not found",
                ),
            ),
        ),
    )


def test_a_case_of_which_little_is_known_says_that() -> None:
    strike = replace(
        make_strike("a@kunde.example", remote_mta=None),
        title=" \n",
        url="ftp://x",
        sent_at=None,
    )
    [batch] = list_batches(view(make_case(Reason.UNKNOWN, strike)))
    assert batch.cases[0].reply is None
    assert batch.cases[0].total is None
    assert batch.protocols == (
        ProtocolView(
            title="BV-2026-014",
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
        ("", "2026-14", "2026-14"),
        ("", None, "no subject"),
        ("Abnahme", None, "Abnahme"),
    ],
)
def test_the_reference_stands_beside_a_title_that_lacks_it(
    title: str, reference: str | None, shown: str
) -> None:
    strike = make_strike("a@kunde.example", title=title, reference=reference)
    [batch] = list_batches(view(make_case(Reason.USER_UNKNOWN, strike)))
    assert [protocol.title for protocol in batch.protocols] == [shown]


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
        (section.heading, [(group.heading, len(group.batches)) for group in section.groups])
        for section in shown.sections
    ]
    assert outline == [
        (
            "Incorrect addresses",
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
    address, domain = list_batches(shown)
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
    assert [len(batch.protocols) for batch in list_batches(shown)] == [1, 1]


@pytest.mark.parametrize(
    ("count", "shown", "more"),
    [(10, 10, None), (11, 10, "and one more document"), (25, 10, "and 15 more documents")],
)
def test_ten_protocols_of_a_case_are_listed_newest_first(
    count: int, shown: int, more: str | None
) -> None:
    strikes = [make_strike("a@kunde.example", title=f"Nr. {count - n}") for n in range(count)]
    found = view(make_case(Reason.USER_UNKNOWN, *strikes))
    [batch] = list_batches(found)
    assert [p.title for p in batch.protocols] == [
        f"Nr. {count - n} (BV-2026-014)" for n in range(shown)
    ]
    assert batch.more_protocols == more
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
    [batch] = list_batches(found)
    [protocol] = batch.protocols
    assert protocol.recipients == tuple(f"{n:03}@kunde.example" for n in range(min(count, 200)))
    assert protocol.more_recipients == more
    assert found.intro.startswith(f"{count} recipients did not receive")


@pytest.mark.parametrize(("cases", "limit"), [(1, 500), (5, 500), (6, 160)])
def test_the_servers_words_are_cut_shorter_in_a_digest(cases: int, limit: int) -> None:
    entries = [
        make_case(Reason.USER_UNKNOWN, make_strike(f"{n}@kunde.example", "x" * 4000))
        for n in range(cases)
    ]
    assert {len(case.reply.words) for case in list_cases(view(*entries)) if case.reply} == {limit}


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


def make_crowd(count: int, reply: str = "550 5.1.1 <{address}>: unknown") -> list[Entry]:
    """Return so many cases of one reason, one after the other of two protocols."""
    return [
        make_case(
            Reason.USER_UNKNOWN,
            make_strike(
                f"{n:02}@kunde.example",
                reply.format(address=f"{n:02}@kunde.example", n=n),
                title=("Abnahme", "Begehung")[n % 2],
            ),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(("count", "compact"), [(7, False), (8, True)])
def test_from_eight_cases_of_one_reason_on_each_is_a_line(count: int, *, compact: bool) -> None:
    [section] = view(*make_crowd(count)).sections
    [group] = section.groups
    assert group.compact is compact
    assert len(group.batches) == (2 if compact else count)


def test_many_cases_stand_below_the_protocol_that_they_share() -> None:
    batches = list_batches(view(*make_crowd(20)))
    assert [
        (protocol.title, len(batch.cases)) for batch in batches for protocol in batch.protocols
    ] == [("Abnahme (BV-2026-014)", 10), ("Begehung (BV-2026-014)", 10)]


def list_replies(shown: NoticeView) -> list[ReplyView]:
    return [
        reply for section in shown.sections for group in section.groups for reply in group.replies
    ]


def test_equal_words_of_the_servers_are_told_once_for_many_addresses() -> None:
    odd = make_case(Reason.USER_UNKNOWN, make_strike("odd@kunde.example", "550 go away"))
    shown = view(*make_crowd(20), odd)
    assert list_replies(shown) == [
        ReplyView("The exact words, the same at 20 addresses", "550 5.1.1 <…>: unknown")
    ]
    assert [(case.subject, case.reply) for case in list_cases(shown) if case.reply] == [
        (
            "odd@kunde.example",
            ReplyView("The exact words of the mail server mx.kunde.example", "550 go away"),
        )
    ]


def test_words_that_differ_in_a_queue_id_only_are_equal() -> None:
    shown = view(*make_crowd(8, "550 5.1.1 unknown, id 4fZk2x{n:05}Qz9 on mx{n}.kunde.example"))
    assert [reply.words for reply in list_replies(shown)] == ["550 5.1.1 unknown, id … on …"]


@pytest.mark.parametrize(("count", "lines"), [(9, 0), (10, 2)])
def test_from_ten_cases_on_an_overview_counts_their_reasons(count: int, lines: int) -> None:
    full = make_case(Reason.MAILBOX_FULL, make_strike("full@kunde.example"))
    shown = view(full, *make_crowd(count - 1))
    assert shown.overview == ("9 addresses do not exist", "one mailbox is full")[:lines]


def test_cases_of_one_reason_need_no_overview() -> None:
    assert view(*make_crowd(40)).overview == ()


def test_the_overview_counts_what_the_mail_does_not_show() -> None:
    full = make_case(Reason.MAILBOX_FULL, make_strike("full@kunde.example"))
    shown = view(full, *make_crowd(1200))
    assert shown.overview == ("1,200 addresses do not exist", "one mailbox is full")


def link(notice: ClaimedNotice, entry: Entry | None) -> str:
    return f"{notice.notice} {entry.subject if entry else None}"


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        (Reason.MOVED, "Correct or confirm the address"),
        (Reason.CONTENT, "Confirm or change the address"),
        (Reason.SPF, "Report that it has been put right"),
    ],
)
def test_a_link_says_what_its_page_offers(reason: Reason, label: str) -> None:
    notice = make_notice(make_case(reason, make_strike("a@kunde.example")))
    shown = build_view(notice, WORDS, SETTINGS, link)
    [entry] = notice.entries
    [case] = list_cases(shown)
    assert case.link == LinkView(label, f"{notice.notice} {entry.subject}", "")
    assert shown.settings == LinkView("Stop receiving these notices", f"{notice.notice} None", "")
    assert shown.marked == ()
