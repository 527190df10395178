"""Tests of finding a report inside another message."""

import pytest

from bounced.model import Action, Kind
from bounced.parser.embedded import find_embedded
from bounced.parser.mime import read_message
from bounced.parser.report import read_report
from tests.parser.compose import message, multipart, part, report

STATUS = (
    "Reporting-MTA: dns; relay.test\n\nFinal-Recipient: rfc822; max@firma.de\nAction: failed\n"
    "Status: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n"
)
INNER = (
    report(
        "<max@firma.de>: no such user", STATUS, header=("Return-Path: <>", "From: MAILER-DAEMON")
    )
    .decode()
    .replace("\r\n", "\n")
    .replace("=b", "=inner")
)
SINGLE = f"From: MAILER-DAEMON\nSubject: failed\n\n{STATUS}Return-Path: <us@app.test>\nFrom: us@app.test\n"


def quote(text: str) -> str:
    return "".join(f"> {line}\n" for line in text.split("\n"))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(
            multipart(
                part("text/plain", "Please look."),
                part("message/rfc822", INNER),
                header=("Subject: Fwd",),
            ),
            id="attached by a person",
        ),
        pytest.param(
            message(
                "From: MAILER-DAEMON@relay.test",
                "Subject: Undelivered Mail",
                body=f"It could not be delivered.\n\n-----\nFrom MAILER-DAEMON Thu\n{INNER}",
            ),
            id="wrapped into one text by a relay",
        ),
        pytest.param(
            message("Subject: Fwd: failed", body=f"Begin forwarded message:\n\n{quote(SINGLE)}"),
            id="quoted in a forward",
        ),
    ],
)
def test_a_report_inside_another_message_is_read(raw: bytes) -> None:
    found = read_report(raw)
    (facts,) = found.recipients
    assert (found.kind, facts.recipient, facts.action, facts.status) == (
        Kind.DELIVERY_STATUS,
        "max@firma.de",
        Action.FAILED,
        "5.1.1",
    )
    assert "the report stands inside another message" in found.notes
    assert found.passed_on


def test_a_report_inside_another_message_shows_the_hosts_of_both() -> None:
    attached = f"Received: from evil by relay\n{INNER}"
    raw = multipart(
        part("text/plain", "Please approve."),
        part("message/rfc822", attached),
        header=("Subject: Approval", "Received: by lists"),
    )
    found = read_report(raw)
    assert (found.kind, found.received) == (
        Kind.DELIVERY_STATUS,
        ("by lists", "from evil by relay"),
    )


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(message("Subject: x", body="Hallo"), id="an ordinary mail"),
        pytest.param(
            message("Subject: Re: failed", body=f"On Monday you wrote:\n{quote(SINGLE)}"),
            id="an answer",
        ),
        pytest.param(
            multipart(part("message/rfc822", "Subject: x\nContent-Type: text/plain\n\nHallo")),
            id="an ordinary mail attached",
        ),
    ],
)
def test_other_mail_holds_no_report(raw: bytes) -> None:
    assert find_embedded(read_message(raw)) is None


def test_a_bounce_of_a_report_speaks_for_itself() -> None:
    raw = report(
        "<us@app.test>: no such user",
        STATUS.replace("max@firma.de", "us@app.test"),
        part("message/rfc822", INNER),
    )
    assert [facts.recipient for facts in read_report(raw).recipients] == ["us@app.test"]


def test_words_before_the_fields_of_a_single_text_are_read_too() -> None:
    raw = message(
        "From: MAILER-DAEMON",
        "Subject: failed",
        body=f"<max@firma.de>: mailbox is full\n\n{STATUS.replace('550 5.1.1 no such user', '')}"
        "Return-Path: <us@app.test>\nFrom: us@app.test\nTo: max@firma.de\n",
    )
    found = read_report(raw)
    assert [reply.text for facts in found.recipients for reply in facts.replies] == [
        "mailbox is full"
    ]
    assert found.returned is not None
    assert found.returned.return_path == "us@app.test"


DAEMON = "Mail Delivery System <MAILER-DAEMON@relay.test>"
TO = "To: us@app.test"
HEADS = {
    "English, Gmail": (
        "---------- Forwarded message ---------\nFrom: {daemon}\nDate: Mon, 9 Mar 2026\nSubject: {title}\n"
        "To: <eva@firma.test>\n\n\n"
    ),
    "German, Outlook": (
        "-----Ursprüngliche Nachricht-----\nVon: {daemon}\nGesendet: Montag, 9. März 2026\nAn: Eva\n"
        "Betreff: {title}\n\n"
    ),
    "German, Thunderbird": (
        "-------- Weitergeleitete Nachricht --------\nBetreff: \t{title}\nDatum: \tMon, 9 Mar 2026\n"
        "Von: \t{daemon}\nAn: \teva@firma.test\n\n"
    ),
    "French": "De : {daemon}\nEnvoyé : lundi 9 mars 2026\nÀ : Eva\nObjet : {title}\n\n",
    "Spanish": "De: {daemon}\nEnviado: lunes\nPara: Eva\nAsunto: {title}\n\n",
    "Italian": "Da: {daemon}\nInviato: lunedì\nA: Eva\nOggetto: {title}\n\n",
    "Dutch": "Van: {daemon}\nVerzonden: maandag\nAan: Eva\nOnderwerp: {title}\n\n",
    "Polish": "Od: {daemon}\nWysłano: poniedziałek\nDo: Eva\nTemat: {title}\n\n",
    "Portuguese": "De: {daemon}\nEnviado: segunda-feira\nPara: Eva\nAssunto: {title}\n\n",
    "Russian": "От: {daemon}\nОтправлено: понедельник\nКому: Eva\nТема: {title}\n\n",
    "Japanese": "差出人: {daemon}\n送信日時: 2026年3月9日\n宛先: Eva\n件名: {title}\n\n",
    "Chinese": "发件人：{daemon}\n发送时间：2026年3月9日\n收件人：Eva\n主题：{title}\n\n",
    "bold, fields apart": "*From:* {daemon}\n\n*Sent:* Monday\n\n*Subject:* {title}\n\n",
    "fields without an empty line below": "From: {daemon}\nSubject: {title}\n",
}
BOUNCE = "Es konnte nicht zugestellt werden:\n\n<max@firma.test>: 550 5.1.1 unbekannt\n"


def forward(
    head: str, *, title: str = "WG: Returned", daemon: str = DAEMON, mark: str = ""
) -> bytes:
    text = head.format(daemon=daemon, title="Undelivered Mail Returned to Sender") + BOUNCE
    quoted = "".join(f"{mark}{line}\n" for line in text.split("\n"))
    return message(
        f"From: eva@firma.test\r\nSubject: {title}", TO, body=f"Bitte prüfen.\n\n{quoted}"
    )


@pytest.mark.parametrize("mark", ["", "> "])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_bounce_that_a_person_passes_on_is_read(head: str, mark: str) -> None:
    found = read_report(forward(head, mark=mark))
    assert (found.kind, [(each.recipient, each.action) for each in found.recipients]) == (
        Kind.FREEFORM,
        [("max@firma.test", Action.FAILED)],
    )
    assert "the report stands inside another message" in found.notes


@pytest.mark.parametrize(
    ("title", "daemon"),
    [
        pytest.param("Returned", DAEMON, id="the line above tells that it is a forward"),
        pytest.param("WG: Returned\r\nIn-Reply-To: <a@app.test>", DAEMON, id="answers, too"),
        pytest.param("Fwd: x", "Mail Server <x@relay.test>", id="from a mail server"),
    ],
)
def test_a_forward_is_known_by_its_title_or_its_line(title: str, daemon: str) -> None:
    found = read_report(forward(HEADS["English, Gmail"], title=title, daemon=daemon))
    assert [each.recipient for each in found.recipients] == ["max@firma.test"]


def test_a_bounce_that_a_person_attaches_is_read() -> None:
    attached = f"From: {DAEMON}\nSubject: Mail delivery failed\n\n{BOUNCE}"
    raw = multipart(
        part("text/plain", "zur Kenntnis"),
        part("message/rfc822", attached),
        header=("From: eva@firma.test", TO, "Subject: Fwd: Mail delivery failed"),
    )
    found = read_report(raw)
    assert (found.kind, [each.recipient for each in found.recipients]) == (
        Kind.FREEFORM,
        ["max@firma.test"],
    )


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(forward(HEADS["French"], title="AW: Returned"), id="an answer"),
        pytest.param(
            forward(HEADS["English, Gmail"], title="Frage\r\nIn-Reply-To: <a@app.test>"),
            id="an answer by its fields",
        ),
        pytest.param(forward(HEADS["French"], title="Votre question"), id="only a quote"),
        pytest.param(
            multipart(
                part("text/plain", "hier"),
                part("message/rfc822", INNER),
                header=("Subject: Re: mail", "In-Reply-To: <a@app.test>"),
            ),
            id="an answer with a report attached",
        ),
        pytest.param(
            forward(HEADS["French"], daemon="Mail Server Shop <shop@shop.test>"), id="a shop"
        ),
        pytest.param(forward(HEADS["French"], daemon="Eva <eva@firma.test>"), id="of a person"),
        pytest.param(forward("From: {daemon}\nTo: Eva\n\n"), id="no title"),
        pytest.param(forward("From: {daemon}\n" + "X: y\n" * 20), id="no end of the fields"),
        pytest.param(
            multipart(
                part("application/pdf", ""),
                part("message/rfc822", f"From: {DAEMON}\nSubject: Hello\n\n{BOUNCE}"),
                header=("Subject: Fwd",),
            ),
            id="a daemon's other mail",
        ),
        pytest.param(
            multipart(
                part("message/rfc822", f"From: {DAEMON}\nSubject: Mail failed\n\nNobody.\n"),
                header=("Subject: Fwd",),
            ),
            id="names nobody",
        ),
    ],
)
def test_other_forwards_are_unrecognized(raw: bytes) -> None:
    found = read_report(raw)
    assert (found.kind, found.recipients) == (Kind.UNRECOGNIZED, ())
