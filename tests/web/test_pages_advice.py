"""The page of a domain's case says what mends it, ready to be copied and sent on."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TypeAlias
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest
from sqlalchemy import update

from bounced.diagnosis import (
    Check,
    Diagnosis,
    DiagnosisFinding,
    DnsRecord,
    State,
    write_diagnosis,
)
from bounced.ledger import schema
from bounced.web.pages.advice import MAX_MAILTO_CHARS, make_mailto
from bounced.words.advice import AdviceView, tell_advice
from tests.ledger.office import SPF
from tests.web.conftest import PAGES, House
from tests.web.diagnoses import (
    ASK_RECEIVER,
    DMARC,
    MERGE_SPF,
    NEW,
    NOT_CHECKED,
    OLD,
    OURS,
    PUBLISH_DKIM,
    USE_OUR_ADDRESS,
)
from tests.web.told import CONFIRM, list_forms, read, tell

Element: TypeAlias = tuple[str, tuple[str, ...]]
"""A tag and the names of its attributes."""


class Outline(HTMLParser):
    """What a browser makes of a page: its elements, and the text of those with an id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.attributes: list[dict[str, str | None]] = []
        self.texts: dict[str, str] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element; the text of the one with an id follows."""
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.attributes.append({"": tag, **dict(attrs)})
        self._open = self.attributes[-1].get("id") or ""

    def handle_endtag(self, _tag: str) -> None:
        """Note that the text ends."""
        self._open = ""

    def handle_data(self, data: str) -> None:
        """Note the text of the element that is open."""
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + data


def find_mailto(answer: httpx2.Response) -> str | None:
    links = [one["href"] for one in Outline(answer.text).attributes if "href" in one]
    return next((link for link in links if link and link.startswith("mailto:")), None)


def advise(diagnosis: Diagnosis) -> AdviceView:
    """Return what the words have for it."""
    return tell_advice(
        diagnosis,
        SPF.reason,
        PAGES.words["de"],
        application=PAGES.application,
        from_address="",
        zone=PAGES.zone,
    )


async def test_the_page_of_a_domain_shows_each_record_to_be_copied(
    house: House, client: httpx2.AsyncClient
) -> None:
    told = tell(house, verdict=SPF, diagnosis=MERGE_SPF)
    answer = await client.get(told.page)
    texts = Outline(answer.text).texts
    kinds = ("name-", "short-", "value-")
    assert {key: text for key, text in texts.items() if key.startswith(kinds)} == {
        "name-1": "bau.example",
        "short-label-1": "Name bei IONOS",
        "short-1": "@",
        "value-1": NEW,
        "name-2": DMARC.name,
        "short-label-2": "Name bei IONOS",
        "short-2": "_dmarc",
        "value-2": DMARC.value,
    }
    said, words = read(answer), advise(MERGE_SPF)
    assert words.hoster
    assert "IONOS" in words.hoster
    for text in (
        words.explanation,
        "Was zu tun ist",
        words.action,
        words.records[0].purpose,
        "Eintrag 1 von 2",
        "<dt>Typ</dt> <dd><code>TXT</code></dd>",
        f"<dt>Ersetzt</dt> <dd><del><code>{OLD}</code></del> </dd>",
        words.hint,
        words.hoster,
        words.checked,
        "Das können Sie so an Ihren Webhoster oder Ihre IT schicken",
        "Wir sehen auch selbst jeden Tag nach",
    ):
        assert text
        assert text in said
    assert list_forms(answer) == [CONFIRM]


async def test_the_page_says_what_dns_said_last_not_what_the_notice_told(
    house: House, client: httpx2.AsyncClient
) -> None:
    told = tell(house, verdict=SPF, diagnosis=MERGE_SPF)
    sent = update(schema.slots).values(diagnosis=write_diagnosis(MERGE_SPF))
    house.ledger.write(lambda connection: connection.execute(sent))
    told.diagnose(PUBLISH_DKIM)
    texts = Outline((await client.get(told.page)).text).texts
    assert texts["value-3"] == "s3.dkim.bautagebuch.example"


async def test_the_letter_stands_there_and_opens_as_a_mail(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    answer = await sqlite_client.get(tell(sqlite_house, verdict=SPF, diagnosis=MERGE_SPF).page)
    message = advise(MERGE_SPF).message
    assert message
    assert NEW in message
    assert Outline(answer.text).texts["message"] == message
    link = urlsplit(find_mailto(answer) or "")
    assert (link.scheme, link.path) == ("mailto", "")
    assert parse_qs(link.query, strict_parsing=True) == {
        "subject": ["DNS-Einträge für bau.example"],
        "body": ["\r\n".join(message.splitlines())],
    }
    assert "+" not in link.query  # a blank only in forms (RFC 6068 §5)


async def test_a_letter_without_a_record_can_be_sent_on_too(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    finding = DiagnosisFinding(Check.SPF, State.BROKEN, f"bau.example TXT {OLD}")
    crowded = replace(MERGE_SPF, records=(), findings=(finding,), lookups_before=11)
    answer = await sqlite_client.get(tell(sqlite_house, verdict=SPF, diagnosis=crowded).page)
    message = advise(crowded).message
    assert message
    assert OLD in message
    outline = Outline(answer.text)
    assert outline.texts["message"] == message
    assert find_mailto(answer)
    buttons = [one["data-copies"] for one in outline.attributes if one.get("type") == "button"]
    assert buttons == ["message"]
    assert "<script>" in answer.text


async def test_a_letter_too_long_for_a_link_can_still_be_copied(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    many = tuple(
        DnsRecord(f"s{n}._domainkey.bau.example", "CNAME", "k.example") for n in range(30)
    )
    diagnosis = replace(PUBLISH_DKIM, records=many)
    answer = await sqlite_client.get(tell(sqlite_house, verdict=SPF, diagnosis=diagnosis).page)
    assert find_mailto(answer) is None
    assert Outline(answer.text).texts["message"] == advise(diagnosis).message


def test_a_mail_link_is_as_long_as_mail_programs_take() -> None:
    room = MAX_MAILTO_CHARS - len("mailto:?subject=S&body=")
    assert make_mailto("S", "x" * room) == f"mailto:?subject=S&body={'x' * room}"
    assert make_mailto("S", "x" * (room + 1)) is None
    assert make_mailto("S", "ü" * (room // 6 + 1)) is None
    assert make_mailto("&body=", "a&b=c\n#?d") == (
        f"mailto:?subject={quote('&body=')}&body=a%26b%3Dc%0D%0A%23%3Fd"
    )


async def test_details_for_whoever_runs_dns_are_folded_away_in_english(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    answer = await sqlite_client.get(tell(sqlite_house, verdict=SPF, diagnosis=MERGE_SPF).page)
    (details,) = re.findall(r"<details>.*?</details>", read(answer))
    assert details == (
        "<details> <summary>Einzelheiten für Ihre IT (auf Englisch)</summary> "
        '<ul lang="en"> '
        f"<li>spf: fail <code>bau.example TXT {OLD}: 192.0.2.1 fails</code></li> "
        "<li>dmarc: missing <code>_dmarc.bau.example: no policy</code></li> "
        "</ul> </details>"
    )


async def test_only_our_script_runs_and_only_where_there_is_something_to_copy(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house, verdict=SPF, diagnosis=PUBLISH_DKIM)
    answer = await sqlite_client.get(told.page)
    style, script = (
        re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL) for tag in ("style", "script")
    )
    hashes = [
        base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in style + script
    ]
    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert not re.search(
        r"<img|<link|<iframe|\son\w+=|\sstyle=|src=|url\(|eval|fetch", answer.text
    )
    for other in (NOT_CHECKED, OURS, USE_OUR_ADDRESS, ASK_RECEIVER):
        told.diagnose(other)
        plain = await sqlite_client.get(told.page)
        assert "script" not in plain.text + plain.headers["content-security-policy"]


async def test_every_button_that_copies_waits_for_the_script_and_knows_what_it_copies(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    answer = await sqlite_client.get(tell(sqlite_house, verdict=SPF, diagnosis=MERGE_SPF).page)
    outline = Outline(answer.text)
    ids = [one["id"] for one in outline.attributes if "id" in one]
    assert len(ids) == len(set(ids))
    buttons = [one for one in outline.attributes if one.get("type") == "button"]
    assert all("hidden" in one and one["data-copied"] == "Kopiert" for one in buttons)
    assert [one["data-copies"] for one in buttons] == [
        "name-1",
        "short-1",
        "value-1",
        "name-2",
        "short-2",
        "value-2",
        "message",
    ]
    described = " ".join(one.get("aria-describedby") or "" for one in buttons).split()
    assert set(described) == {"record-1", "short-label-1", "record-2", "short-label-2"}
    assert set(described) <= set(ids)


async def test_a_hoster_who_takes_whole_names_gets_no_other(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    diagnosis = replace(MERGE_SPF, hoster="all-inkl")
    answer = await sqlite_client.get(tell(sqlite_house, verdict=SPF, diagnosis=diagnosis).page)
    assert "short-" not in answer.text


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        (f"v=spf1 ip4:192.0.2.1 {'x' * 177}", None),
        (f"v=spf1 ip4:192.0.2.1 {'x' * 180}", "Den bisherigen Eintrag zeigen"),
        (f"{'x' * 101}\n{'y' * 100}", "Die 2 bisherigen Einträge zeigen"),
    ],
)
async def test_what_goes_is_folded_away_where_it_is_long(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, old: str, expected: str | None
) -> None:
    diagnosis = replace(MERGE_SPF, records=(DnsRecord("bau.example", "TXT", NEW, old),))
    answer = await sqlite_client.get(tell(sqlite_house, verdict=SPF, diagnosis=diagnosis).page)
    shown = " ".join(f"<del><code>{line}</code></del>" for line in old.splitlines())
    if expected:
        shown = f"<details> <summary>{expected}</summary> {shown} </details>"
    assert f"<dt>Ersetzt</dt> <dd>{shown}" in read(answer)


@pytest.mark.parametrize("diagnosis", [None, NOT_CHECKED])
async def test_dns_that_did_not_answer_is_not_read_as_a_missing_record(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, diagnosis: Diagnosis | None
) -> None:
    said = read(await sqlite_client.get(tell(sqlite_house, verdict=SPF, diagnosis=diagnosis).page))
    assert "konnte nicht geprüft werden" in said
    assert " geprüft: " not in said
    assert "Eintrag 1" not in said


async def test_a_freemail_author_is_told_our_address_where_there_is_one(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    told = tell(sqlite_house, verdict=SPF, diagnosis=USE_OUR_ADDRESS)
    assert "protokolle@bautagebuch.example" not in read(await sqlite_client.get(told.page))
    sqlite_house.pages = replace(PAGES, from_address="protokolle@bautagebuch.example")
    assert "protokolle@bautagebuch.example" in read(await sqlite_client.get(told.page))


async def test_a_domain_with_umlauts_is_shown_as_its_owner_writes_it(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    domain = "xn--mller-kva.example"
    told = tell(sqlite_house, verdict=SPF, author=f"anna@{domain}")
    told.diagnose(replace(MERGE_SPF, domain=domain, records=(DnsRecord(domain, "TXT", NEW),)))
    answer = await sqlite_client.get(told.page)
    assert Outline(answer.text).texts["name-1"] == domain
    said = re.sub(r"<(code|pre)[^>]*>.*?</\1>|mailto:[^\"]*", "", read(answer))
    assert "Wenn die Einträge für müller.example stimmen" in said
    assert domain not in said


async def test_the_page_of_an_address_shows_no_dns(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient
) -> None:
    answer = await sqlite_client.get(tell(sqlite_house, diagnosis=MERGE_SPF).page)
    assert "spf1" not in answer.text


SHOWN = (
    'x"><script>alert(1)</script><img src=x onerror=alert(1)>',
    "</pre></code></script><!-- ' onclick='x",
    "javascript:alert(1)//{{ 7 * 7 }}&quot;&lt;",
    "mailto:x@example.com?bcc=y&body=z",
)
LEFT_OUT = (
    "a\0b\x1b[31m\u202e\u2066lave\u200b\r\n\r\nBcc: x@example.com\u2028y",
    "b\u00e4u \ufdfd \ufffe",
    "x" * 65_536,
    "\u202e" * 65_536,
)


@pytest.mark.parametrize("text", [*SHOWN, *LEFT_OUT], ids=range(len(SHOWN + LEFT_OUT)))
async def test_what_a_zone_says_is_text(
    sqlite_house: House, sqlite_client: httpx2.AsyncClient, text: str
) -> None:
    """The page has the elements and attributes of a harmless zone's; values are whole or gone."""
    told = tell(sqlite_house, verdict=SPF, diagnosis=put(text))
    answer = await sqlite_client.get(told.page)
    told.diagnose(put("harmless" if text in SHOWN else "harmle\u00df"))
    harmless = Outline((await sqlite_client.get(told.page)).text)
    outline = Outline(answer.text)
    assert outline.elements == harmless.elements
    assert outline.texts.get("value-1") == (text if text in SHOWN else None)
    assert not re.search("[\0\x1b\u202e\u2066\u200b\u2028\r]|49&", answer.text)
    assert len(answer.text) < 70_000
    link = find_mailto(answer)
    assert (link is not None) is (text in SHOWN)
    assert link is None or set(parse_qs(link.partition("?")[2])) == {"subject", "body"}


def put(text: str) -> Diagnosis:
    """Return a diagnosis that says it wherever it can have come from a zone."""
    return replace(
        MERGE_SPF,
        mail_from_domain=text,
        findings=tuple(replace(each, detail=text) for each in MERGE_SPF.findings * 50),
        records=(DnsRecord("bau.example", "TXT", text, text.splitlines()[0]),),
    )
