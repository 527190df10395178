import csv
import re
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.policy import EmailPolicy
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bounced.config import NoticeSettings
from bounced.ledger.records import ClaimedNotice, Entry, EntryStrike
from bounced.model import ConfigError, Reason
from bounced.notifier.examples import list_examples
from bounced.notifier.samples import list_samples
from bounced.notifier.telling import Links
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
    make_link,
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
    """Return the words, without what only one of the parts shows.

    The text part has rules, list marks and the URLs of links, with a colon before or a mark.
    """
    return [
        word.rstrip(":")
        for word in re.sub(r"^ *- ", "", text, flags=re.MULTILINE).split()
        if not re.fullmatch(r"[-=]{2,}|https?://\S+|\[[0-9]+\]", word)
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


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("links", [make_link, None], ids=["links", "no links"])
def test_both_parts_say_the_same_in_every_sample(language: str, links: Links | None) -> None:
    notices = [*list_samples(language), *list_examples(language).values()]
    composer = make_composer(links=links)
    for notice in notices:
        mail = composer.compose(notice)
        text, html = read_part(mail, "plain"), Page(read_part(mail, "html"))
        assert to_words(text) == to_words(html.text)
        assert sorted(re.findall(r"https?://\S+", text)) == sorted(filter(None, html.links))


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
    older = replace(secret, forwarded=False)
    for reason in EVERY_REASON:
        case = make_case(reason, secret, older, suggestion="privat@target.example")
        turned = replace(case, strikes=(older, secret))
        for notice in (
            make_notice(case),
            make_notice(turned),
            make_notice(*(replace(case, case=f"{n}") for n in range(501))),
        ):
            for part in compose(notice).walk():
                if not part.is_multipart():
                    assert "target" not in part.get_content()


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


def make_crowd(count: int, *reasons: Reason) -> list[Entry]:
    """Return so many cases of one protocol, the reasons in turn."""
    return [
        make_case(
            reasons[n % len(reasons)],
            make_strike(f"vorname.nachname{n}@kunde{n % 50}.example", "550 no " * 200),
        )
        for n in range(count)
    ]


def test_two_hundred_cases_are_two_hundred_lines() -> None:
    entries = make_crowd(200, Reason.USER_UNKNOWN, Reason.MAILBOX_FULL)
    text = read_part(compose(make_notice(*entries)), "plain")
    assert text.count("Was Sie tun können:") == 2
    assert text.count(LINDENHOF.title or "") == 1
    assert text.count("gleich bei 100 Adressen") == 2
    assert len(text.splitlines()) < 200 + 60


def test_the_links_of_many_cases_stand_below_all_words() -> None:
    entries = make_crowd(40, Reason.USER_UNKNOWN)
    mail = make_composer(links=make_link).compose(make_notice(*entries))
    text = read_part(mail, "plain")
    listed = dict(re.findall(r"^\[([0-9]+)\] (\S+)$", text, re.MULTILINE))
    by_address = dict(re.findall(r"- (\S+) \(Hinweis 1 von 3\),\s+berichtigen \[([0-9]+)\]", text))
    assert len(by_address) == 40
    for entry in entries:
        assert listed[by_address[entry.subject]] == make_link(make_notice(), entry)
    assert text.index("[1] https") > text.index("Den nächsten")


def test_without_a_public_url_there_is_no_link() -> None:
    mail = compose(make_notice(*SINGLE))
    assert mail["List-Unsubscribe"] is None
    assert "berichtigen oder bestätigen" not in read_part(mail, "plain")
    assert Page(read_part(mail, "html")).links == [LINDENHOF.url, "https://baudoku.example/"]


@pytest.mark.parametrize("form", [policy.SMTP, policy.SMTPUTF8])
def test_the_page_to_unsubscribe_stands_whole_in_the_header(form: EmailPolicy) -> None:
    raw = make_composer(links=make_link).compose(make_notice(*SINGLE)).as_bytes(policy=form)
    url = make_link(make_notice(), None)
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in raw
    assert b"List-Unsubscribe-Post" not in raw


@pytest.mark.parametrize(
    ("language", "question"),
    [("de", "Meinten Sie max.huber@gmail.com?"), ("en", "Did you mean max.huber@gmail.com?")],
)
@pytest.mark.parametrize("others", [0, 40])
def test_a_suggestion_stands_beside_its_address(language: str, question: str, others: int) -> None:
    typo = make_case(Reason.DOMAIN_UNKNOWN, LINDENHOF, suggestion="max.huber@gmail.com")
    crowd = make_crowd(others, Reason.DOMAIN_UNKNOWN) if others else []
    mail = compose(make_notice(typo, *crowd, language=language))
    for part in ("plain", "html"):
        assert read_part(mail, part).count(question) == 1
    lines = [line.strip("- ") for line in read_part(mail, "plain").splitlines()]
    assert lines[lines.index(question) - 1].startswith("max.huber@gmial.com (")


def test_only_a_wrong_address_is_asked_about() -> None:
    full = make_case(Reason.MAILBOX_FULL, LINDENHOF, suggestion="max.huber@gmail.com")
    assert "gmail.com" not in read_part(compose(make_notice(full)), "plain")


def read_list(mail: EmailMessage, separator: str) -> list[list[str]]:
    [attached] = mail.iter_attachments()
    assert attached.get_content_type() == "text/csv"
    content = attached.get_content()
    assert isinstance(content, str)
    assert content.startswith("\ufeff")
    return list(csv.reader(content[1:].splitlines(), delimiter=separator))


@pytest.mark.parametrize(
    ("language", "separator", "note"),
    [
        ("de", ";", "Diese E-Mail zeigt die 200 dringendsten von 501 Fällen."),
        ("en", ",", "This email shows the 200 most urgent of 501 cases."),
    ],
)
def test_of_more_than_500_cases_the_most_urgent_are_shown_and_all_are_attached(
    language: str, separator: str, note: str
) -> None:
    entries = make_crowd(501, Reason.EXPIRED, Reason.USER_UNKNOWN)
    last = replace(entries[0], number=3)
    mail = compose(make_notice(*entries[1:], last, language=language))
    assert mail.get_content_type() == "multipart/mixed"
    text = read_part(mail, "plain")
    assert note in " ".join(text.split())
    shown = re.findall(r"^  (?:- )?(vorname\S+)", text, re.MULTILINE)
    assert len(shown) == 200
    assert last.subject in shown
    [_, *rows] = read_list(mail, separator)
    assert sorted(row[0] for row in rows) == sorted(entry.subject for entry in entries)
    assert "501" in mail["Subject"]
    assert mail.defects == []


def test_500_cases_are_all_shown_and_nothing_is_attached() -> None:
    mail = compose(make_notice(*make_crowd(500, Reason.EXPIRED)))
    assert mail.get_content_type() == "multipart/alternative"
    assert read_part(mail, "plain").count("\n  - vorname") == 500


def test_the_recipients_of_a_domain_that_the_mail_leaves_out_are_attached() -> None:
    strikes = [make_strike(f"{n:03}@kunde.example") for n in range(201)]
    mail = compose(make_notice(make_case(Reason.DKIM, *strikes)))
    assert "Alle Empfänger stehen in der angehängten Liste nicht-zugestellt.csv." in " ".join(
        read_part(mail, "plain").split()
    )
    [_, *rows] = read_list(mail, ";")
    assert [row[0] for row in rows] == [strike.recipient for strike in strikes]


def test_ten_thousand_cases_are_one_mail_of_less_than_2_mib() -> None:
    entries = make_crowd(10_000, Reason.USER_UNKNOWN, Reason.MAILBOX_FULL)
    raw = COMPOSER.compose(make_notice(*entries)).as_bytes()
    assert len(raw) < 2 * 2**20
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert "An 10.000 Empfänger nicht zugestellt" in mail["Subject"]
    assert len(read_list(mail, ";")) == 10_001


def test_a_list_says_everything_of_each_failure() -> None:
    typo = make_case(Reason.DOMAIN_UNKNOWN, LINDENHOF, suggestion="max.huber@gmail.com")
    notice = make_notice(typo, *make_crowd(500, Reason.EXPIRED))
    rows = read_list(compose(notice), ";")
    assert rows[:2] == [
        [
            *("Adresse", "Grund", "Hinweis", "Vielleicht gemeint", "Protokoll"),
            "Verschickt oder gescheitert",
        ],
        [
            "max.huber@gmial.com",
            "Die Domain gmial.com gibt es nicht",
            "Hinweis 1 von 3",
            "max.huber@gmail.com",
            "Neubau Lindenhof – Baubesprechung Nr. 14 (BV-2026-014)",
            "2026-11-20 14:03",
        ],
    ]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "\r+", "\u200b@"])
def test_no_cell_of_a_list_is_a_formula(sign: str) -> None:
    evil = make_strike(
        f'{sign}HYPERLINK("https://evil.example")@kunde.example', title=f"{sign}1+1"
    )
    crowd = make_crowd(500, Reason.EXPIRED)
    rows = read_list(compose(make_notice(make_case(Reason.USER_UNKNOWN, evil), *crowd)), ";")
    [row] = [row for row in rows if "HYPERLINK" in row[0]]
    assert row[0].startswith("'")
    assert row[4].startswith("'")
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_a_subject_line_is_shown_only_where_the_site_says_so() -> None:
    strike = make_strike("a@kunde.example", title="Kündigung Huber", title_from_subject=True)
    composer = make_composer(SETTINGS.model_copy(update={"quote_subject": False}))
    for notice in (
        make_notice(make_case(Reason.MOVED, strike)),
        make_notice(*(replace(e, strikes=(strike,)) for e in make_crowd(501, Reason.MOVED))),
    ):
        raw = composer.compose(notice).as_bytes()
        mail = message_from_bytes(raw, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        assert "Kündigung" not in mail["Subject"]
        for part in mail.walk():
            if not part.is_multipart():
                assert "Kündigung" not in part.get_content()
        assert "Betreff: BV-2026-014" in read_part(mail, "plain")
    bare = replace(strike, reference=None)
    mail = composer.compose(make_notice(make_case(Reason.MOVED, bare)))
    assert "Betreff: ohne Betreff" in read_part(mail, "plain")
    registered = replace(strike, title_from_subject=False)
    mail = composer.compose(make_notice(make_case(Reason.MOVED, registered)))
    assert "Kündigung Huber" in read_part(mail, "plain")


def test_a_configured_language_without_catalogue_is_named() -> None:
    with pytest.raises(ConfigError, match=r"notices\.language: 'fr' .* there is de, en"):
        make_composer(SETTINGS.model_copy(update={"language": "fr"}))
