import re
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bounced.config import NoticeSettings
from bounced.ledger.records import ClaimedNotice, Entry, EntryStrike
from bounced.model import Reason
from tests.notifier.building_site import (
    DIGEST,
    DOMAIN,
    EVERY_REASON,
    LAST,
    LINDENHOF,
    SENT_AT,
    SETTINGS,
    SINGLE,
    make_case,
    make_composer,
    make_notice,
    make_strike,
)

GOLDEN = Path(__file__).parent / "golden"
COMPOSER = make_composer()
VOID = frozenset({"meta", "br"})
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=200)


def compose(notice: ClaimedNotice) -> EmailMessage:
    """Compose, and read the bytes back as the author's mail program does."""
    mail = message_from_bytes(COMPOSER.compose(notice).as_bytes(), policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def read_part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


class Page(HTMLParser):
    """Reads a page whose every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.links: list[str | None] = []
        self.tags: set[str] = set()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]
        if tag in VOID:
            self.text += "\n"
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "title" not in self.open:
            self.text += data


def to_words(text: str) -> list[str]:
    """Return the words, without what only one of the parts shows: rules, list marks, URLs."""
    return [
        word
        for word in re.sub(r"^ *- ", "", text, flags=re.MULTILINE).split()
        if not re.fullmatch(r"[-=]{2,}|https?://\S+", word)
    ]


@pytest.mark.parametrize(
    ("name", "language", "entries"),
    [
        ("single.de", "de", SINGLE),
        ("last.en", "en", LAST),
        ("domain.de", "de", DOMAIN),
        ("domain.en", "en", DOMAIN),
        ("digest.de", "de", DIGEST),
        ("digest.en", "en", DIGEST),
    ],
)
def test_the_mail_reads_as_agreed(name: str, language: str, entries: tuple[Entry, ...]) -> None:
    mail = compose(make_notice(*entries, language=language))
    fields = [f"{k}: {v}\n" for k, v in mail.items() if k not in {"MIME-Version", "Content-Type"}]
    shown = "".join(fields) + "\n" + read_part(mail, "plain")
    assert shown == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("reason", EVERY_REASON)
def test_every_reason_makes_a_mail_with_two_equal_parts(
    reason: Reason, number: int, language: str
) -> None:
    strike = make_strike("petra@kunde.example", "550 5.0.0 no")
    mail = compose(make_notice(make_case(reason, strike, number=number), language=language))
    text = read_part(mail, "plain")
    assert to_words(text) == to_words(Page(read_part(mail, "html")).text)
    assert not re.search(r"[{}]", text)
    assert str(number) in mail["Subject"]


@pytest.mark.parametrize("entries", [SINGLE, LAST, DOMAIN, DIGEST])
def test_the_page_is_one_column_that_loads_and_tracks_nothing(entries: tuple[Entry, ...]) -> None:
    html = read_part(compose(make_notice(*entries)), "html")
    page = Page(html)
    assert page.tags <= {
        *("html", "head", "meta", "title", "body", "div", "h1", "h2"),
        *("p", "br", "a", "ul", "li", "strong", "span"),
    }
    assert set(page.links) <= {"https://baudoku.example/", "https://baudoku.example/p/8f3a"}
    assert "url(" not in html
    assert not re.search(r"(?<!border-)(color|background)\s*:", html)
    assert '<html lang="de">' in html


def test_the_same_notice_gives_the_same_bytes_at_every_attempt() -> None:
    notice = make_notice(*DIGEST)
    again = replace(notice, claim="claim-2", attempts=7, entries=tuple(reversed(notice.entries)))
    assert make_composer().compose(again).as_bytes() == COMPOSER.compose(notice).as_bytes()


def test_the_headers_keep_other_robots_quiet_and_people_able_to_answer() -> None:
    mail = compose(make_notice(*SINGLE))
    assert mail.defects == []
    assert {name: str(value) for name, value in mail.items()} == {
        "From": "Baudoku <protokolle@baudoku.example>",
        "Reply-To": "hilfe@baudoku.example",
        "To": "anna.berger@bergerbau.example",
        "Subject": "Protokoll nicht zugestellt: max.huber@gmial.com (Hinweis 2 von 3)",
        "Date": "Fri, 20 Nov 2026 14:20:00 +0100",
        "Message-ID": "<0123456789abcdef.k2x7@bounce.baudoku.example>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply, RN, NRN",
        "MIME-Version": "1.0",
        "Content-Type": mail["Content-Type"],
        "Content-Language": "de",
    }
    assert mail.get_content_type() == "multipart/alternative"
    parts = [(p.get_content_type(), p["Content-Transfer-Encoding"]) for p in mail.iter_parts()]
    assert parts == [("text/plain", "quoted-printable"), ("text/html", "quoted-printable")]


@pytest.mark.parametrize(
    ("changes", "sender", "reply_to"),
    [
        (
            {},
            "bounced@bounce.example.com",
            "bounced@bounce.example.com",
        ),
        (
            {"sender": "post@baudoku.example"},
            "post@baudoku.example",
            "post@baudoku.example",
        ),
        (
            {"sender": "post@bäder.example", "application_name": "Bäder, Bau & Co\r\nBcc: x"},
            '"Bäder, Bau & Co Bcc: x" <post@xn--bder-loa.example>',
            "post@xn--bder-loa.example",
        ),
    ],
)
def test_sender_and_reply_to_come_from_the_settings(
    changes: dict[str, str], sender: str, reply_to: str
) -> None:
    composer = make_composer(NoticeSettings.model_validate(changes))
    raw = composer.compose(make_notice(*SINGLE)).as_bytes()
    mail = message_from_bytes(raw, policy=policy.default)
    assert (mail["From"], mail["Reply-To"]) == (sender, reply_to)


def test_without_an_application_name_the_sentences_still_read() -> None:
    composer = make_composer(NoticeSettings(sender="post@baudoku.example"))
    mail = composer.compose(make_notice(*DOMAIN))
    text = " ".join(read_part(mail, "plain").split())
    assert "über die die Protokollanwendung Ihre Protokolle verschickt" in text
    assert text.endswith("antworten Sie einfach auf diese E-Mail.")


def test_the_language_of_the_notice_wins_over_the_configured_one() -> None:
    settings = SETTINGS.model_copy(update={"language": "en"})
    composer = make_composer(settings)
    languages = {
        wanted: composer.compose(make_notice(*SINGLE, language=wanted))["Content-Language"]
        for wanted in (None, "de-AT", "fr")
    }
    assert languages == {None: "en", "de-AT": "de", "fr": "en"}


def test_a_forwarders_target_is_never_shown() -> None:
    secret = make_strike(
        "buero@elektro.example",
        "550 5.1.1 <privat@target.example>: unknown, said mx.target.example",
        remote_mta="mx.target.example",
        forwarded=True,
    )
    for reason in EVERY_REASON:
        assert b"target" not in COMPOSER.compose(make_notice(make_case(reason, secret))).as_bytes()


def test_hostile_text_stays_text() -> None:
    evil = make_strike(
        "<b>x</b>@evil.example",
        "550 <script>alert(1)</script> {{ 7*7 }} {subject}\r\n.\r\nQUIT\r\n",
        title='"><img src=x onerror=alert(1)>\r\nBcc: victim@example.net\r\n\r\nHello',
        reference="\u202egnp.exe {{ notice }}",
        url="javascript:alert(1)",
        remote_mta="<i>mx</i>\r\nX-Evil: 1",
    )
    mail = compose(make_notice(make_case(Reason.USER_UNKNOWN, evil)))
    page = Page(read_part(mail, "html"))
    assert page.links == ["https://baudoku.example/"]
    assert not page.tags & {"script", "img", "b", "i"}
    assert to_words(read_part(mail, "plain")) == to_words(page.text)
    assert "{{ 7*7 }} {subject} . QUIT" in " ".join(page.text.split())
    assert "\u202e" not in page.text
    assert mail["Bcc"] is None
    assert mail["X-Evil"] is None


def test_a_link_is_its_own_text_so_that_no_title_lends_it_another_name() -> None:
    strike = make_strike(
        "a@kunde.example", title="https://bank.example/", url="https://a.example/p"
    )
    mail = compose(make_notice(make_case(Reason.MOVED, strike)))
    assert '<a href="https://a.example/p">https://a.example/p</a>' in read_part(mail, "html")
    assert Page(read_part(mail, "html")).links == [
        "https://a.example/p",
        "https://baudoku.example/",
    ]


@pytest.mark.parametrize(
    ("domain", "shown"),
    [
        ("müller.example", "müller.example (xn--mller-kva.example)"),
        ("xn--mller-kva.example", "müller.example (xn--mller-kva.example)"),
        ("раураl.example", "xn--l-7sba6dbr.example"),
    ],
)
def test_a_domain_shows_what_it_is_wherever_it_stands(domain: str, shown: str) -> None:
    mail = compose(make_notice(make_case(Reason.USER_UNKNOWN, make_strike(f"info@{domain}"))))
    assert f"info@{shown} (" in mail["Subject"]
    for part in ("plain", "html"):
        text = " ".join(read_part(mail, part).split())
        assert text.count(shown) >= 2
        assert "раураl" not in text


def test_a_forged_encoded_word_in_a_title_is_not_decoded() -> None:
    strikes = [
        make_strike(f"{local}@kunde.example", title="=?utf-8?q?=E2=80=AEgnp=0D=0ABcc:_x?=")
        for local in ("a", "b")
    ]
    mail = compose(make_notice(*(make_case(Reason.MOVED, strike) for strike in strikes)))
    assert mail["Subject"].endswith(": =?utf-8?q?=E2=80=AEgnp=0D=0ABcc:_x?= (BV-2026-014)")


def test_a_long_subject_begins_on_its_first_line_and_reads_back_whole() -> None:
    strike = make_strike("a" * 60 + "@kunde.example")
    raw = COMPOSER.compose(make_notice(make_case(Reason.MOVED, strike))).as_bytes()
    mail = message_from_bytes(raw, policy=policy.default)
    assert b"\r\nSubject: Protokoll nicht zugestellt:" in raw
    assert mail["Subject"] == f"Protokoll nicht zugestellt: {strike.recipient} (Hinweis 1 von 3)"


def test_a_hostile_author_cannot_add_a_recipient() -> None:
    author = "anna@bergerbau.example\r\nBcc: x@y.example, <z@evil.example>,w@evil.example"
    mail = compose(replace(make_notice(*SINGLE), author=author))
    assert mail["Bcc"] is None
    assert len(mail["To"].addresses) == 1
    assert mail["To"].addresses[0].domain == "evil.example"


def make_any_notice() -> st.SearchStrategy[ClaimedNotice]:
    strikes = st.builds(
        EntryStrike,
        recipient=ANY_TEXT,
        failed_at=st.just(SENT_AT),
        title=st.none() | ANY_TEXT,
        sent_at=st.none() | st.just(SENT_AT - timedelta(days=1)),
        reference=st.none() | ANY_TEXT,
        url=st.none() | ANY_TEXT | ANY_TEXT.map("https://{}".format),
        reply=st.none() | ANY_TEXT,
        remote_mta=st.none() | ANY_TEXT,
        forwarded=st.booleans(),
    )
    entries = st.builds(
        lambda reason, strikes, subject: replace(make_case(reason, *strikes), subject=subject),
        st.sampled_from(EVERY_REASON),
        st.lists(strikes, min_size=1, max_size=3),
        ANY_TEXT,
    )
    return st.builds(
        lambda entries, author, language: replace(
            make_notice(*entries), author=author, language=language
        ),
        st.lists(entries, min_size=1, max_size=4),
        ANY_TEXT,
        st.none() | ANY_TEXT,
    )


@given(make_any_notice())
@settings(deadline=None, max_examples=60)
def test_any_texts_make_a_whole_mail(notice: ClaimedNotice) -> None:
    raw = COMPOSER.compose(notice).as_bytes()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert mail.keys() == compose(make_notice(*SINGLE)).keys()
    Page(read_part(mail, "html"))
    assert read_part(mail, "plain").endswith("https://baudoku.example/\n")


def test_lines_of_an_ordinary_mail_keep_within_78_columns() -> None:
    raw = COMPOSER.compose(make_notice(*DIGEST)).as_bytes()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 78
    text = read_part(compose(make_notice(*DIGEST)), "plain")
    assert max(len(line) for line in text.splitlines()) <= 72


@pytest.mark.parametrize("length", range(20, 45))
def test_the_count_of_a_notice_is_never_broken_over_two_lines(length: int) -> None:
    strike = make_strike("a" * length + "@kunde.example")
    mail = compose(make_notice(make_case(Reason.MOVED, strike, number=3)))
    assert "(Hinweis 3 von 3, der letzte)" in read_part(mail, "plain")
    assert "(Hinweis\u00a03\u00a0von\u00a03,\u00a0der\u00a0letzte)" in read_part(mail, "html")


def test_a_digest_of_forty_cases_stays_readable() -> None:
    entries = [
        make_case(reason, make_strike(f"{n}@kunde.example", "550 no " * 200))
        for reason in (Reason.USER_UNKNOWN, Reason.MAILBOX_FULL)
        for n in range(20)
    ]
    mail = compose(make_notice(*entries))
    text = read_part(mail, "plain")
    assert mail["Subject"].startswith("An 20 Empfänger nicht zugestellt: Neubau Lindenhof")
    assert text.count("Was Sie tun können:") == 2
    assert text.count(LINDENHOF.title or "") == 1
    assert len(text.splitlines()) < 40 * 8
