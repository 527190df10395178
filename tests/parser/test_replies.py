"""Tests of automatic replies and disposition notifications."""

import pytest

from bounced.model import Action, Kind, RecipientFacts, Reply
from bounced.parser.report import read_report
from tests.parser.compose import message, multipart, part

FROM = "From: Max <max@firma.de>"


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied (vacation)",
        "X-Autoreply: yes",
        "Precedence: auto_reply",
        "Preference: auto_reply",
        "Subject: Out of Office: Protokoll",
        "Subject: Automatic reply: Protokoll",
        "Subject: AutoReply",
        "Subject: Abwesenheitsnotiz: Protokoll",
        "Subject: Automatische Antwort: Protokoll",
        "Subject: Ich bin im Urlaub",
        "Subject: =?utf-8?q?R=C3=A9ponse_automatique_=3A_Protokoll?=",
        "Subject: Reponse automatique",
        "Subject: =?utf-8?q?Respuesta_autom=C3=A1tica=3A_x?=",
        "Subject: Risposta automatica: x",
        "Subject: Automatisch antwoord: x",
        "Subject: =?utf-8?q?Automatyczna_odpowied=C5=BA=3A_x?=",
        "Subject: =?utf-8?q?Resposta_autom=C3=A1tica=3A_x?=",
        "Subject: =?utf-8?b?6Ieq5YuV5b+c562U?=",
        "Subject: =?utf-8?b?6Ieq5Yqo5Zue5aSN?=",
        "Subject: =?utf-8?b?0JDQstGC0L7QvNCw0YLQuNGH0LXRgdC60LjQuSDQvtGC0LLQtdGC?=",
    ],
)
def test_an_automatic_reply_tells_whose_it_is(header: str) -> None:
    found = read_report(message(FROM, "Return-Path: <>", header, body="I cannot be reached."))
    assert (found.kind, found.recipients) == (
        Kind.AUTO_REPLY,
        (RecipientFacts(final_recipient="max@firma.de"),),
    )


@pytest.mark.parametrize(
    ("sender", "text", "expected"),
    [
        ("noreply@firma.de", "The inbox max@firma.de is closed.", ["max@firma.de"]),
        ("noreply@firma.de", "Write to a@b.de or c@d.de.", ["noreply@firma.de"]),
        ("", "Write to a@b.de.", ["a@b.de"]),
        ("", "Nobody.", []),
    ],
)
def test_a_reply_from_no_reply_may_name_one_address(
    sender: str, text: str, expected: list[str]
) -> None:
    raw = message(f"From: {sender}", "Auto-Submitted: auto-replied", body=text)
    assert [each.recipient for each in read_report(raw).recipients] == expected


@pytest.mark.parametrize(
    "subject",
    ["Re: Out of Office: Protokoll", "Protokoll: Urlaub", "Ordner", "Automatik im Keller"],
)
def test_a_persons_mail_is_no_automatic_reply(subject: str) -> None:
    found = read_report(message(FROM, f"Subject: {subject}", body="Hallo"))
    assert (found.kind, found.recipients) == (Kind.UNRECOGNIZED, ())


def disposition(fields: str, text: str = "The mail was refused: no.", subject: str = "x") -> bytes:
    return multipart(
        part("text/plain", text),
        part("message/disposition-notification", fields),
        header=(FROM, f"Subject: {subject}"),
        kind="report; report-type=disposition-notification",
    )


REFUSED = (
    "Final-Recipient: rfc822; max@firma.de\nOriginal-Recipient: rfc822; alle@firma.de\n"
    "Disposition: automatic-action/MDN-sent-automatically; deleted\n"
)


def test_a_sieve_reject_is_a_failure() -> None:
    found = read_report(disposition(REFUSED))
    assert (found.kind, found.recipients) == (
        Kind.FREEFORM,
        (
            RecipientFacts(
                final_recipient="max@firma.de",
                original_recipient="alle@firma.de",
                action=Action.FAILED,
                replies=(Reply("The mail was refused: no.", "part 1, line 1"),),
            ),
        ),
    )


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(
            disposition(
                "Final-Recipient: rfc822; max@firma.de\n"
                "Disposition: manual-action/MDN-sent-manually; displayed\n"
            ),
            id="read receipt",
        ),
        pytest.param(disposition(REFUSED, subject="Not read: Protokoll"), id="unread, by subject"),
        pytest.param(
            disposition(REFUSED, text="Your message was deleted without being read."),
            id="unread, by text",
        ),
        pytest.param(disposition("Final-Recipient: rfc822; max@firma.de\n"), id="no disposition"),
        pytest.param(
            disposition(f"{REFUSED}X-MSExch-Correlation-Key: a==\n"), id="unread, by Exchange"
        ),
        *(
            pytest.param(disposition(REFUSED, subject=f"{word}: x"), id=f"unread, {word}")
            for word in ("Nieprzeczytane", "Não lida", "Не прочтено", "未開封", "未读", "Ej läst")
        ),
        *(
            pytest.param(disposition(REFUSED, text=text), id=f"unread, {text}")
            for text in (
                "Wiadomość została usunięta bez przeczytania.",
                "A mensagem foi excluída sem ser lida.",
                "Сообщение было удалено без прочтения.",
                "メッセージは開封されずに削除されました。",
            )
        ),
    ],
)
def test_other_dispositions_list_nobody(raw: bytes) -> None:
    found = read_report(raw)
    assert (found.kind, found.recipients, found.notes) == (Kind.DISPOSITION, (), ())


def test_a_refusal_without_recipient_is_noted() -> None:
    found = read_report(disposition("Disposition: automatic-action; processed/rejected\n"))
    assert (found.kind, found.recipients, found.notes) == (
        Kind.DISPOSITION,
        (),
        ("the refusal names no recipient",),
    )
