"""What a notice says of a sender domain: the advice, with records that survive the mail."""

from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from zoneinfo import ZoneInfo

import pytest

from bounced.advisor.spf.mend import find_records, read_records
from bounced.advisor.spf.merge import insert_terms, join_records
from bounced.advisor.spf.terms import parse_term, write_record, write_value
from bounced.diagnosis import DnsRecord, Fix
from bounced.ledger.records import ClaimedNotice, Entry, MendedDomain
from bounced.model import Reason
from bounced.notifier.diagnoses import list_diagnoses
from bounced.notifier.telling import build_view
from bounced.notifier.view import GroupView
from bounced.words.catalogue import load_words
from tests.notifier.building_site import (
    SENT_AT,
    SETTINGS,
    make_case,
    make_composer,
    make_link,
    make_notice,
    make_strike,
)

WORDS = load_words(None)
COMPOSER = make_composer(links=make_link)
DIAGNOSES = list_diagnoses(SENT_AT)
NO_RECORD = {"crowded-spf", "overfull-spf", "no-record"}
"""Whose SPF record is to be changed, though nobody can say how."""
HOSTILE = (
    "v=spf1 ~all\r\nBcc: x@evil.example\r\n\r\n<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>\u202e',
    '=HYPERLINK("https://evil.example")\0',
    "x" * 65536,
)


def make_domain(name: str, *, number: int = 1, subject: str = "") -> Entry:
    """Return a case with the diagnosis of this name."""
    reason, diagnosis = DIAGNOSES[name]
    strike = make_strike("petra@kunde.example", "550 5.7.1 refused")
    case = make_case(reason, strike, number=number)
    subject = subject or diagnosis.domain
    return replace(
        case,
        case=f"{name} {subject}",
        subject=subject,
        diagnosis=replace(diagnosis, domain=subject),
    )


def with_records(*records: DnsRecord) -> Entry:
    entry = make_domain("merge-spf")
    assert entry.diagnosis is not None
    return replace(entry, diagnosis=replace(entry.diagnosis, records=records))


def compose(notice: ClaimedNotice) -> EmailMessage:
    """Compose with links, and read the bytes back as the author's mail program does."""
    raw = COMPOSER.compose(notice).as_bytes()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 78
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def read_part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def read_cells(html: str) -> list[str]:
    return re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", html)


def list_groups(*entries: Entry) -> list[GroupView]:
    view = build_view(make_notice(*entries), WORDS["de"], SETTINGS, None)
    return [group for section in view.sections for group in section.groups]


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_long_record_stands_on_one_line_in_both_parts(language: str) -> None:
    entry = make_domain("merge-spf")
    assert entry.diagnosis is not None
    [record] = entry.diagnosis.records
    assert len(record.value) > 255
    mail = compose(make_notice(entry, language=language))
    label = {"de": "Wert:           ", "en": "Value:         "}[language]
    assert f"\n  {label}{record.value}\n" in read_part(mail, "plain")
    cells = read_cells(read_part(mail, "html").replace("&#34;", '"'))
    assert [record.name, "@", record.type, record.value, record.replaces] == cells[1::2]


def test_records_are_an_aligned_list() -> None:
    text = read_part(compose(make_notice(make_domain("several-spf"))), "plain")
    assert (
        """\
  Dieser Eintrag sagt, welche Server E-Mails im Namen der Domain
  verschicken dürfen (SPF):

  Name:           bergerbau.example
  Name bei IONOS: @
  Typ:            TXT
  Wert:           v=spf1 a mx include:spf.post.example include:spf.example.com ~all
  Ersetzt:        v=spf1 a mx include:spf.post.example ~all
  Ersetzt:        v=spf1 a ~all

  Dieser Eintrag sagt, was mit E-Mails geschehen soll, die sich nicht
  ausweisen (DMARC). So, wie er hier steht, verbietet er nichts:

  Name:           _dmarc.bergerbau.example
  Name bei IONOS: _dmarc
  Typ:            TXT
  Wert:           v=DMARC1; p=none; rua=mailto:dmarc@example.com

Bis ein Eintrag überall gilt"""
        in text
    )


@pytest.mark.parametrize("name", DIAGNOSES)
def test_hoster_and_day_of_the_look_stand_below_the_records(name: str) -> None:
    entry = make_domain(name)
    assert entry.diagnosis is not None
    text = " ".join(read_part(compose(make_notice(entry)), "plain").split())
    is_checked = name not in {"not-checked", "use-our-address"}
    assert ("Einträge geprüft: Freitag, 20. November 2026, 14:03 Uhr" in text) is is_checked
    is_to_publish = bool(entry.diagnosis.records) or name in NO_RECORD
    assert ("Das DNS Ihrer Domain liegt bei IONOS: „Domains & SSL“" in text) is is_to_publish


def test_each_domain_has_its_own_advice() -> None:
    groups = list_groups(
        make_domain("publish-dkim", subject="a.example"),
        make_domain("publish-dkim", subject="b.example"),
        make_domain("return-path-cname", subject="c.example"),
        make_case(Reason.USER_UNKNOWN, make_strike("x@kunde.example")),
        make_case(Reason.USER_UNKNOWN, make_strike("y@kunde.example")),
    )
    assert [
        (len(group.batches), [record.type for record in group.advice.records])
        if group.advice
        else len(group.batches)
        for group in groups
    ] == [2, (1, ["CNAME"] * 3), (1, ["CNAME"] * 3), (1, ["CNAME"])]
    for group, domain in zip(groups[1:], ("a.example", "b.example", "c.example"), strict=True):
        assert domain in group.explanation
        assert group.advice is not None
        assert (group.explanation, group.action) == (group.advice.explanation, group.advice.action)


def test_the_letter_to_the_web_host_stands_on_the_page_only() -> None:
    notice = make_notice(make_domain("publish-dkim"))
    mail = compose(notice)
    [group] = list_groups(*notice.entries)
    assert group.advice is not None
    closing = str(group.advice.message).splitlines()[-1]
    for part in ("plain", "html"):
        text = " ".join(read_part(mail, part).split())
        assert closing not in text
        assert "Einträge kopieren, mit fertiger Nachricht an Ihren Webhoster" in text


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("publish-spf", "Copy the records, with a message ready for your web host"),
        ("crowded-spf", "Go to the message ready for your web host"),
        ("no-record", "Report that it has been put right"),
        ("use-our-address", "Report that it has been put right"),
        ("not-checked", "Report that it has been put right"),
        ("ours", "See the details"),
    ],
)
def test_a_domains_link_says_what_its_page_offers(name: str, label: str) -> None:
    view = build_view(make_notice(make_domain(name)), WORDS["en"], SETTINGS, make_link)
    [case] = view.sections[0].groups[0].batches[0].cases
    assert case.link is not None
    assert case.link.label == label


def test_from_which_address_of_ours_he_may_send_is_named() -> None:
    notice = make_notice(make_domain("use-our-address"))
    for address, said in (("post@baudoku.example", True), ("", False)):
        view = build_view(notice, WORDS["de"], SETTINGS, None, from_address=address)
        action = view.sections[0].groups[0].action
        assert ("mit unserer Absenderadresse post@baudoku.example." in action) is said


@pytest.mark.parametrize(("name", "is_asked"), [("publish-dkim", True), ("ours", False)])
def test_the_last_notice_asks_nothing_of_him_where_the_fault_is_ours(
    name: str, *, is_asked: bool
) -> None:
    notice = make_notice(make_domain(name, number=3))
    [closing] = build_view(notice, WORDS["de"], SETTINGS, None).closing
    assert closing.startswith("Dies ist der letzte Hinweis zu dieser Domain.")
    assert ("möglichst bald in Ordnung bringen" in closing) is is_asked


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_a_domain_that_is_in_order_by_now_is_told_before_the_closing(kind: str) -> None:
    notice = make_notice(make_case(Reason.CONTENT, make_strike("planung@amt.example")))
    mended = replace(
        notice,
        mended=tuple(
            MendedDomain(domain, SENT_AT) for domain in ("firma.example", "xn--mller-kva.example")
        ),
    )
    text = " ".join(re.sub("<[^>]*>", " ", read_part(compose(mended), kind)).split())
    ending = (
        "Was mit diesem Absender abgewiesen wurde, verschicken Sie bitte noch einmal, falls das "
        "noch nicht geschehen ist."
    )
    when = WORDS["de"].say_time(SENT_AT, ZoneInfo(SETTINGS.timezone))
    middle = f"sind in Ordnung; das hat unsere Prüfung am {when} ergeben."
    assert (
        f"Die Einträge für firma.example {middle} {ending} "
        f"Die Einträge für müller.example {middle} {ending} "
        "Zu dieser Adresse erhalten Sie höchstens 3 Hinweise."
    ) in text
    assert "in Ordnung" not in read_part(compose(notice), kind)


def test_a_domain_that_was_refused_again_is_not_said_to_be_in_order() -> None:
    notice = make_notice(make_domain("publish-dkim"))
    view = build_view(
        replace(
            notice,
            mended=(
                MendedDomain("bergerbau.example", SENT_AT),
                MendedDomain("b.example", SENT_AT),
            ),
        ),
        WORDS["de"],
        SETTINGS,
        None,
    )
    assert [line.split()[3] for line in view.mended] == ["b.example"]


def test_nothing_of_a_forwarders_target_is_told_by_the_advice() -> None:
    strike = make_strike("buero@elektro.example", "550 <x@target.example> SPF", forwarded=True)
    for name in DIAGNOSES:
        entry = make_domain(name)
        assert entry.diagnosis is not None
        diagnosis = replace(entry.diagnosis, mail_from_domain="srs.target.example")
        mail = compose(make_notice(replace(entry, strikes=(strike,), diagnosis=diagnosis)))
        for kind in ("plain", "html"):
            assert "target" not in read_part(mail, kind)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_record_does_no_harm_in_any_part(text: str) -> None:
    replaced = with_records(DnsRecord("bergerbau.example", "TXT", "v=spf1 ~all", replaces=text))
    proposed = with_records(DnsRecord("bergerbau.example", "TXT", text))
    crowd = [make_case(Reason.EXPIRED, make_strike(f"{n}@kunde.example")) for n in range(501)]
    for entries in ([replaced], [proposed], [replaced, *crowd]):
        mail = compose(make_notice(*entries))
        assert mail["Bcc"] is None
        assert not re.search("<(script|img)", read_part(mail, "html"))
        for part in mail.walk():
            if not part.is_multipart():
                content = part.get_content()
                assert not re.search("[\u202e\0]|x{2000}", content)
                assert not re.search(r"^\s*(Bcc|=HYPER)", content, re.MULTILINE)


def test_a_hostile_record_to_publish_is_not_shown_at_all() -> None:
    entry = with_records(DnsRecord("bergerbau.example", "TXT", HOSTILE[0]))
    assert "evil" not in read_part(compose(make_notice(entry)), "plain")


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("name", DIAGNOSES)
def test_the_mail_about_a_domain_is_one_column_with_a_table_a_record(
    name: str, language: str
) -> None:
    entry = make_domain(name)
    assert entry.diagnosis is not None
    html = read_part(compose(make_notice(entry, language=language)), "html")
    assert html.count("<table") == len(entry.diagnosis.records)
    assert not re.search(r"(?<!border-)(color|background)\s*:|url\(|<img|<script", html)


def test_a_case_that_nobody_has_looked_into_says_so() -> None:
    entry = replace(make_domain("publish-dkim"), diagnosis=None)
    text = " ".join(read_part(compose(make_notice(entry)), "plain").split())
    assert "konnte nicht geprüft werden" in text
    assert "CNAME" not in text


def test_the_same_advice_gives_the_same_bytes_at_every_attempt() -> None:
    notice = make_notice(make_domain("several-spf"), make_domain("ours", subject="b.example"))
    again = replace(notice, attempts=2, entries=tuple(reversed(notice.entries)))
    composer = make_composer()
    assert composer.compose(again).as_bytes() == composer.compose(notice).as_bytes()


@pytest.mark.parametrize("name", [name for name in DIAGNOSES if name.endswith("-spf")])
def test_the_spf_records_of_the_examples_are_what_would_be_proposed(name: str) -> None:
    ours = parse_term("include:spf.example.com")
    assert ours is not None
    for record in DIAGNOSES[name][1].records[:1]:
        texts = (record.replaces or "v=spf1 ?all").splitlines()
        assert find_records(texts) == tuple(texts)
        joined = join_records(read_records(texts).records)
        terms = tuple(term for term in joined if "lapsed" not in term.argument)
        assert record.value == write_value(write_record(insert_terms(terms, (ours,))))


def test_every_fix_has_its_example() -> None:
    assert {diagnosis.fix for _, diagnosis in DIAGNOSES.values()} == set(Fix)
