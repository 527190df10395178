"""Which refused domains DNS is asked about, what is kept of its answer, and who hears of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from bounced.diagnosis import (
    Check,
    Diagnosis,
    DiagnosisFinding,
    DnsRecord,
    Fix,
    Identity,
    State,
    write_diagnosis,
)
from bounced.ledger import authors, diagnoses, entries, outbox, rounds, schema
from bounced.ledger.diagnoses import RefusedDomain
from bounced.ledger.policy import find_case_id
from bounced.ledger.records import ClaimedNotice, MendedDomain, NoticeState
from bounced.ledger.reports import Finding
from bounced.model import Category, Reason, Signature, TokenType, Verdict
from tests.ledger.office import (
    AUTHOR,
    DAY,
    HOUR,
    MAILBOX_FULL,
    MINUTE,
    RECIPIENT,
    SPF,
    START,
    Office,
    bounce,
)

DOMAIN = "bau.example"
CASE = find_case_id(AUTHOR, DOMAIN)
DMARC = Verdict(Category.AUTH_FAILURE, Reason.DMARC)
QUIET = 180 * DAY
SIGNATURES = (Signature("bau.example", "s1"), Signature("app.example", "x._domainkey.y"))


def diagnosis(fix: Fix = Fix.PUBLISH_SPF, at: datetime = START) -> Diagnosis:
    return Diagnosis(
        domain=DOMAIN,
        mail_from_domain=DOMAIN,
        checked_at=at,
        identity=Identity.MAIL_FROM,
        fix=fix,
        freemail=False,
        findings=(DiagnosisFinding(Check.SPF, State.MISSING, "bau.example: no SPF record"),),
        records=(DnsRecord(DOMAIN, "TXT", 'v=spf1 include:"ü" ~all', "v=spf1 -all"),),
    )


def refuse(send: str, office: Office, verdict: Verdict = SPF, **returned: Any) -> Finding:
    """Return the report of a mail that was refused for its sender domain."""
    found = bounce(send, verdict=verdict, at=office.now)
    assert found.report.returned is not None
    changed = replace(found.report.returned, **returned)
    return replace(found, report=replace(found.report, returned=changed))


def find(office: Office, limit: int = 10, **more: Any) -> list[RefusedDomain]:
    named = {"asked_before": office.now} | more
    return office.ledger.read(lambda c: diagnoses.find_undiagnosed(c, limit, **named))


def find_to_check(office: Office, limit: int = 10, **more: Any) -> list[RefusedDomain]:
    named = {"checked_before": office.now - DAY, "refused_since": office.now - QUIET} | more
    return office.ledger.read(lambda c: diagnoses.find_to_check(c, limit, **named))


def store(
    office: Office, case: RefusedDomain, fix: Fix = Fix.PUBLISH_SPF, *, is_final: bool = True
) -> bool:
    said = diagnosis(fix, office.now)
    return office.ledger.write(
        lambda c: diagnoses.store(c, case, said, office.now, is_final=is_final)
    )


def store_check(office: Office, case: RefusedDomain, said: Diagnosis | None) -> bool:
    return office.ledger.write(lambda c: diagnoses.store_check(c, case, said, office.now))


def mend(office: Office, case: RefusedDomain) -> Any:
    return office.ledger.write(
        lambda c: rounds.mend(
            c,
            case.case,
            office.now,
            last_strike_at=case.last_strike_at,
            diagnosis=diagnosis(Fix.NONE, office.now),
            settings=office.settings,
            new_id=office.new_id,
        )
    )


def look(office: Office, fix: Fix = Fix.PUBLISH_SPF) -> RefusedDomain:
    """Look into the one domain that waits."""
    (case,) = find(office)
    office.move(MINUTE)
    assert store(office, case, fix)
    return case


def tell(office: Office) -> ClaimedNotice:
    """Let the window pass, send the one notice."""
    office.move(15 * MINUTE)
    (sent,) = office.send_due()
    return sent


def read_case(office: Office) -> Any:
    query = select(schema.cases).where(schema.cases.c.case == CASE)
    return office.ledger.read(lambda c: c.execute(query).one())


def test_a_refused_domain_comes_with_what_its_latest_mail_tells(office: Office) -> None:
    office.receive(refuse("a", office))
    office.move(MINUTE)
    office.receive(
        refuse("b", office, DMARC, return_path="x@Bounces.Bau.example.", signatures=SIGNATURES)
    )
    assert find(office) == [
        RefusedDomain(
            case=CASE,
            author=AUTHOR,
            domain=DOMAIN,
            reason=Reason.DMARC,
            last_strike_at=office.now,
            mail_from_domain="bounces.bau.example",
            recipient_domain="kunde.example",
            signatures=SIGNATURES,
            reply="smtp; 550 5.1.1 no such user",
            forwarded=False,
            diagnosis=None,
        )
    ]


@pytest.mark.parametrize(
    ("return_path", "expected"),
    [
        pytest.param("b@app.example", "app.example", id="of the mail"),
        pytest.param("", "bounce.example.com", id="null"),
        pytest.param(None, "bounce.example.com", id="not told"),
        pytest.param("mailer-daemon", "bounce.example.com", id="without a domain"),
        pytest.param(
            "SRS0=x=y=bau.example=anna@fwd.example", "bounce.example.com", id="rewritten"
        ),
        pytest.param("srs1+x@fwd.example", "bounce.example.com", id="rewritten twice"),
        pytest.param("srsteam@bau.example", "bau.example", id="only looks rewritten"),
        pytest.param("b@Müller.example", "xn--mller-kva.example", id="in A-labels"),
    ],
)
def test_the_mail_from_domain_is_that_of_the_mail_else_of_the_reports_recipient(
    office: Office, return_path: str | None, expected: str
) -> None:
    office.receive(refuse("a", office, return_path=return_path))
    (case,) = find(office)
    assert case.mail_from_domain == expected


def test_the_mail_from_domain_is_our_tokens_whatever_the_report_says(office: Office) -> None:
    found = refuse("a", office, return_path="b@app.example")
    arrival = replace(found.arrival, token_type=TokenType.SEND, token_id="0" * 16)
    office.receive(replace(found, arrival=arrival))
    (case,) = find(office)
    assert case.mail_from_domain == "bounce.example.com"


def test_of_a_report_from_a_file_the_mail_from_domain_is_not_known(office: Office) -> None:
    found = refuse("a", office)
    office.receive(replace(found, arrival=replace(found.arrival, envelope_recipient="")))
    (case,) = find(office)
    assert case.mail_from_domain is None


def test_a_forwarder_shows(office: Office) -> None:
    found = refuse("a", office, DMARC)
    (facts,) = found.report.recipients
    facts = replace(facts, original_recipient=RECIPIENT, final_recipient="max@heim.example")
    office.receive(replace(found, report=replace(found.report, recipients=(facts,))))
    (case,) = find(office)
    assert case.forwarded


def test_a_domain_is_looked_into_once_for_each_strike(office: Office) -> None:
    office.fail("a", verdict=SPF)
    look(office)
    assert find(office) == []
    office.move(MINUTE)
    office.fail("b", verdict=SPF)
    (again,) = find(office)
    assert again.diagnosis == diagnosis(at=START + MINUTE)


def test_where_dns_failed_the_domain_is_looked_into_again(office: Office) -> None:
    office.fail("a", verdict=SPF)
    (case,) = find(office)
    assert store(office, case, Fix.NOT_CHECKED, is_final=False)
    (again,) = find(office)
    assert again == replace(case, diagnosis=diagnosis(Fix.NOT_CHECKED))
    assert store(office, again)
    assert find(office) == []


def test_only_sender_domains_of_open_cases_are_looked_into(office: Office) -> None:
    office.fail("a")
    office.fail("b", "voll@kunde.example", verdict=MAILBOX_FULL)
    office.fail("c", verdict=SPF)
    office.close(CASE)
    assert find(office) == []


def test_a_domain_that_was_told_of_before_dns_answered_is_looked_into_later(
    office: Office,
) -> None:
    office.fail("a", verdict=SPF)
    sent = tell(office)
    (case,) = find(office)
    assert store(office, case)
    assert find(office) == []
    page = office.ledger.read(lambda c: authors.read_page(c, sent.notice, CASE))
    assert page is not None
    assert page.case is not None
    assert page.case.entry.diagnosis is None
    assert page.case.diagnosis == diagnosis(at=office.now)


def test_what_is_due_first_is_looked_into_first(office: Office) -> None:
    for name in ("c", "a", "b"):
        office.fail("x", verdict=SPF, author=f"x@{name}.example")
        office.move(MINUTE)
    assert [case.domain for case in find(office)] == ["c.example", "a.example", "b.example"]
    assert [case.domain for case in find(office, 2)] == ["c.example", "a.example"]
    first = find_case_id("x@c.example", "c.example")
    assert [case.domain for case in find(office, 1, without={first})] == ["a.example"]


def test_what_dns_failed_for_comes_after_what_nobody_has_asked_about(office: Office) -> None:
    """Also after what is due later, or of which nobody is to be told."""
    for name in ("b", "a"):
        office.fail("x", verdict=SPF, author=f"x@{name}.example")
        (case,) = find(office, 1)
        assert store(office, case, Fix.NOT_CHECKED, is_final=False)
        office.move(MINUTE)
    office.configure(max_notices=0)
    office.fail("x", verdict=SPF, author="x@c.example")
    found = [case.domain for case in find(office)]
    assert found == ["c.example", "b.example", "a.example"]
    found = [case.domain for case in find(office, asked_before=office.now - 2 * MINUTE)]
    assert found == ["c.example", "b.example"]


def test_a_strike_from_a_clock_that_is_ahead_is_looked_into_once(office: Office) -> None:
    office.fail("a", verdict=SPF)
    (case,) = find(office)
    office.move(-5 * MINUTE)
    assert store(office, case)
    assert find(office) == []


def test_what_is_still_to_be_looked_into_is_not_looked_at_for_the_day(office: Office) -> None:
    office.fail("a", verdict=SPF)
    look(office)
    office.move(2 * DAY)
    assert len(find_to_check(office)) == 1
    office.fail("b", verdict=SPF)
    assert find_to_check(office) == []


def test_a_case_knows_what_its_author_was_told_so_far(office: Office) -> None:
    said = []
    for name, fix in (("a", Fix.PUBLISH_SPF), ("b", Fix.ASK_RECEIVER)):
        office.fail(name, verdict=SPF)
        look(office, fix)
        said.append(diagnosis(fix, office.now))
        tell(office)
        office.move(7 * DAY)
    (case,) = find_to_check(office)
    assert case.told == tuple(reversed(said))
    assert mend(office, case) is not None
    office.move(QUIET)
    office.fail("c", verdict=SPF)
    (again,) = find(office)
    assert again.told == case.told


def test_a_case_that_changed_while_dns_was_asked_keeps_what_it_has(office: Office) -> None:
    office.fail("a", verdict=SPF)
    (case,) = find(office)
    office.move(MINUTE)
    office.fail("b", verdict=SPF)
    assert not store(office, case)
    (again,) = find(office)
    office.close(CASE)
    assert not store(office, again)
    assert read_case(office).diagnosis is None


def test_the_notice_has_what_dns_had_said_when_it_was_claimed(office: Office) -> None:
    office.fail("a", verdict=SPF)
    case = look(office)
    office.fail("b")
    sent = tell(office)
    said = diagnosis(at=START + MINUTE)
    told = {entry.subject: entry.diagnosis for entry in sent.entries}
    assert told == {DOMAIN: said, RECIPIENT: None}
    office.move(2 * DAY)
    assert store_check(office, case, diagnosis(Fix.MERGE_SPF, office.now))
    assert office.ledger.read(lambda c: entries.read_notice(c, sent.notice)) == sent
    page = office.ledger.read(lambda c: authors.read_page(c, sent.notice, CASE))
    assert page is not None
    assert page.case is not None
    assert page.case.entry.diagnosis == said
    assert page.case.diagnosis == diagnosis(Fix.MERGE_SPF, office.now)


def test_a_notice_that_is_due_before_dns_has_answered_goes_without(office: Office) -> None:
    office.fail("a", verdict=SPF)
    (entry,) = tell(office).entries
    assert entry.diagnosis is None


def test_what_dns_said_before_the_last_strike_is_not_told_for_it(office: Office) -> None:
    office.fail("a", verdict=SPF)
    look(office)
    tell(office)
    office.move(7 * DAY)
    office.fail("b", verdict=DMARC)
    (entry,) = tell(office).entries
    assert (entry.reason, entry.diagnosis) == (Reason.DMARC, None)


def test_that_dns_could_not_be_asked_is_told(office: Office) -> None:
    office.fail("a", verdict=SPF)
    (case,) = find(office)
    store(office, case, Fix.NOT_CHECKED, is_final=False)
    (entry,) = tell(office).entries
    assert entry.diagnosis == diagnosis(Fix.NOT_CHECKED)


def test_a_refused_domain_is_looked_at_again_after_a_day(office: Office) -> None:
    office.fail("a", verdict=SPF)
    case = look(office)
    tell(office)
    assert find_to_check(office) == []
    office.move(DAY)
    said = diagnosis(at=START + MINUTE)
    assert find_to_check(office) == [replace(case, diagnosis=said, told=(said,))]
    assert store_check(office, case, None)
    assert find_to_check(office) == []
    assert read_case(office).diagnosis == write_diagnosis(diagnosis(at=START + MINUTE))


def test_the_domain_that_was_looked_at_longest_ago_is_looked_at_first(office: Office) -> None:
    for name in ("b", "a", "c"):
        office.fail("x", verdict=SPF, author=f"x@{name}.example")
        look(office)
    office.move(2 * DAY)
    assert [case.domain for case in find_to_check(office, 2)] == ["b.example", "a.example"]


def test_a_domain_is_looked_at_as_long_as_its_case_is_not_quiet(office: Office) -> None:
    office.fail("a", verdict=SPF)
    look(office)
    office.move(QUIET - MINUTE - MINUTE)
    assert len(find_to_check(office)) == 1
    office.move(MINUTE)
    assert find_to_check(office) == []


def test_what_is_closed_or_was_never_looked_into_is_not_looked_at(office: Office) -> None:
    office.fail("a", verdict=SPF)
    case = look(office)
    office.close(CASE)
    office.fail("b", verdict=SPF, author="b@other.example")
    office.move(2 * DAY)
    assert find_to_check(office) == []
    assert not store_check(office, case, diagnosis())


def test_a_used_up_case_is_looked_at_too(office: Office) -> None:
    office.configure(max_notices=1)
    office.fail("a", verdict=SPF)
    look(office)
    tell(office)
    assert read_case(office).state == "exhausted"
    office.move(2 * DAY)
    (case,) = find_to_check(office)
    assert mend(office, case) is not None


def test_a_mended_domain_closes_its_case_and_the_application_hears_of_it(office: Office) -> None:
    office.fail("a", verdict=SPF)
    case = look(office)
    tell(office)
    office.move(DAY)
    row = mend(office, case)
    assert (row.case, row.author, row.subject, row.round) == (CASE, AUTHOR, DOMAIN, 2)
    after = read_case(office)
    assert (after.state, after.closed_why, after.closed_at) == ("closed", "dns-passed", office.now)
    assert (after.round, after.notices, after.strikes, after.due_at) == (2, 0, 0, None)
    assert after.diagnosis == write_diagnosis(diagnosis(Fix.NONE, office.now))
    *_, event = outbox.read_events(office.ledger, 0, 100)[0]
    assert (event.at, event.event, event.body) == (
        office.now,
        "case_closed",
        {"case": CASE, "author": AUTHOR, "subject": DOMAIN, "round": 2, "why": "dns-passed"},
    )
    assert mend(office, case) is None


def test_what_was_still_to_be_told_of_a_mended_domain_is_told_no_more(office: Office) -> None:
    office.fail("a", verdict=SPF)
    case = look(office)
    assert mend(office, case) is not None
    office.move(HOUR)
    assert (office.send_due(), office.list_notices()) == ([], [])
    office.fail("b", verdict=SPF)
    (entry,) = tell(office).entries
    assert [strike.title for strike in entry.strikes] == ["Protokoll b"]


def test_a_mended_domain_that_fails_again_has_three_new_notices(office: Office) -> None:
    told = []
    for _ in range(2):
        for name in ("a", "b", "c", "d"):
            office.fail(f"{name}{office.now}", verdict=SPF)
            office.move(15 * MINUTE)
            told += [entry.number for sent in office.send_due() for entry in sent.entries]
            office.move(7 * DAY)
        set_diagnosis(office)
        (case,) = find_to_check(office)
        mend(office, case)
        office.move(HOUR)
    assert told == [1, 2, 3, 1, 2, 3]


def set_diagnosis(office: Office) -> None:
    """Write down what DNS said, though nobody is to be told of the case."""
    said = {
        "diagnosis": write_diagnosis(diagnosis()),
        "checked_at": START,
        "advised_at": office.now,
    }
    office.ledger.write(lambda c: c.execute(schema.cases.update().values(said)))


def test_a_case_is_not_closed_while_a_notice_of_it_is_on_its_way(office: Office) -> None:
    office.fail("a", verdict=SPF)
    case = look(office)
    office.move(HOUR)
    claimed = office.claim()
    assert claimed is not None
    assert mend(office, case) is None
    assert read_case(office).state == "open"
    office.start_data(claimed)
    office.settle(claimed)
    assert mend(office, case) is not None


def test_a_case_that_failed_again_while_dns_was_asked_is_not_closed(office: Office) -> None:
    office.fail("a", verdict=SPF)
    case = look(office)
    office.fail("b", verdict=SPF)
    assert mend(office, case) is None
    assert read_case(office).state == "open"


def mend_told(office: Office) -> MendedDomain:
    """Tell of a refused domain, then find it mended; return that."""
    office.fail(f"a{office.now}", verdict=SPF)
    case = look(office)
    tell(office)
    office.move(7 * DAY)
    assert mend(office, case) is not None
    mended = MendedDomain(DOMAIN, office.now)
    office.move(HOUR)
    return mended


def test_the_next_notice_says_that_a_domain_is_in_order(office: Office) -> None:
    mended = mend_told(office)
    office.fail("b")
    assert tell(office).mended == (mended,)
    office.move(2 * DAY)
    office.fail("c")
    assert tell(office).mended == ()


def test_every_attempt_and_every_reader_of_a_notice_has_the_same_domains(office: Office) -> None:
    mended = mend_told(office)
    office.fail("b")
    office.move(HOUR)
    claimed = office.claim()
    assert claimed is not None
    office.defer(claimed, office.now + HOUR)
    office.move(MINUTE)
    office.fail("c", verdict=SPF)
    office.move(HOUR)
    again = office.claim()
    assert again is not None
    assert (again.notice, again.mended) == (claimed.notice, (mended,))
    office.start_data(again)
    office.settle(again)
    read = office.ledger.read(lambda c: entries.read_notice(c, claimed.notice))
    assert read is not None
    assert read.mended == (mended,)


def test_after_a_notice_that_never_arrived_the_next_one_says_it(office: Office) -> None:
    mended = mend_told(office)
    office.fail("b")
    office.move(HOUR)
    for state, expected in (
        (NoticeState.FAILED, (mended,)),
        (NoticeState.OUTCOME_UNKNOWN, (mended,)),
        (NoticeState.SENT, ()),
    ):
        claimed = office.claim()
        assert claimed is not None
        assert claimed.mended == expected
        office.start_data(claimed)
        office.settle(claimed, state)
        office.move(2 * DAY)
        office.fail(f"b{office.now}")
        office.move(HOUR)


def test_a_domain_that_is_mended_while_a_notice_is_on_its_way_stands_in_the_next(
    office: Office,
) -> None:
    office.fail("a", verdict=SPF)
    case = look(office)
    tell(office)
    office.move(DAY)
    office.fail("b")
    office.move(HOUR)
    claimed = office.claim()
    assert claimed is not None
    office.move(MINUTE)
    mended_at = office.now
    assert mend(office, case) is not None
    office.start_data(claimed)
    office.move(MINUTE)
    office.settle(claimed)
    assert claimed.mended == ()
    office.move(2 * DAY)
    office.fail("c")
    assert tell(office).mended == (MendedDomain(DOMAIN, mended_at),)


def test_what_has_failed_again_by_then_is_not_said_to_be_in_order(office: Office) -> None:
    mend_told(office)
    office.fail("b", verdict=SPF)
    office.fail("c")
    assert tell(office).mended == ()


def test_what_an_author_or_operator_closed_is_not_said_to_be_in_order(office: Office) -> None:
    office.fail("a", verdict=SPF)
    look(office)
    tell(office)
    office.close(CASE)
    office.fail("b")
    assert tell(office).mended == ()


def test_another_author_hears_nothing_of_it(office: Office) -> None:
    mend_told(office)
    office.fail("b", author="ben@other.example")
    assert tell(office).mended == ()


def test_a_domain_mended_in_the_rehearsal_stays_closed_when_it_ends(office: Office) -> None:
    office.configure(first_round=0)
    office.fail("a", verdict=SPF)
    assert mend(office, look(office)) is not None
    office.configure(first_round=1)
    assert office.leave_rehearsal() == 0
    office.move(HOUR)
    assert (read_case(office).state, office.send_due()) == ("closed", [])


def test_the_diagnosis_goes_along_out_of_the_rehearsal(office: Office) -> None:
    office.configure(first_round=0)
    office.fail("a", verdict=SPF)
    look(office)
    tell(office)
    office.configure(first_round=1)
    assert office.leave_rehearsal() == 1
    said = office.ledger.read(lambda c: diagnoses.find_diagnosis(c, CASE))
    assert said == diagnosis(at=START + MINUTE)


def test_a_report_judged_anew_keeps_the_diagnosis_and_what_it_was_asked_by(
    office: Office,
) -> None:
    found = refuse("a", office, signatures=SIGNATURES)
    office.receive(found)
    look(office)
    office.move(DAY)
    office.receive(found)
    (case,) = find_to_check(office, checked_before=office.now)
    assert (case.signatures, case.diagnosis) == (SIGNATURES, diagnosis(at=START + MINUTE))


def test_a_failure_judged_to_be_none_of_the_domain_takes_the_case_along(office: Office) -> None:
    found = refuse("a", office)
    office.receive(found)
    look(office)
    office.receive(replace(found, verdicts=(MAILBOX_FULL,)))
    assert office.ledger.read(lambda c: diagnoses.find_diagnosis(c, CASE)) is None
    assert [case["subject"] for case in office.list_cases()] == [RECIPIENT]
