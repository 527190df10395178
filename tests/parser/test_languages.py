"""Tests of reports, warnings, automatic replies and forwards in the languages of the senders.

Each text is written for these tests; only the fixed words of a known program are as it writes them.
"""

import pytest

from bounced.model import Action, Kind
from bounced.parser.report import read_report
from tests.parser.compose import message

TO = "To: us@app.test"
NULL = "Return-Path: <>"

FAILURES = {
    "German, Exchange": (
        "Unzustellbar: Protokoll",
        (
            "Fehler bei der Nachrichtenzustellung an folgende Empfänger oder Gruppen:\n\n{who}\nDie eingegebene "
            "E-Mail-Adresse konnte nicht gefunden werden. Überprüfen Sie die Adresse.\n"
        ),
    ),
    "French, Exchange": (
        "Non remis : Protocole",
        (
            "Échec de la remise à ces destinataires ou groupes :\n\n{who}\nL’adresse de messagerie que vous "
            "avez entrée est introuvable. Vérifiez l’adresse et renvoyez le message.\n"
        ),
    ),
    "Spanish, Exchange": (
        "No se puede entregar: Acta",
        (
            "No se pudo realizar la entrega a estos destinatarios o grupos:\n\n{who}\nNo se encontró la "
            "dirección de correo electrónico. Inténtelo de nuevo más tarde.\n"
        ),
    ),
    "Italian, Exchange": (
        "Non recapitabile: Verbale",
        (
            "Il recapito non è riuscito per i seguenti destinatari o gruppi:\n\n{who}\nL'indirizzo di posta "
            "elettronica immesso non è stato trovato.\n"
        ),
    ),
    "Dutch, Exchange": (
        "Onbestelbaar: Verslag",
        (
            "Het bezorgen bij de volgende ontvangers of groepen is mislukt:\n\n{who}\nHet e-mailadres dat u "
            "hebt ingevoerd, is niet gevonden.\n"
        ),
    ),
    "Polish, Exchange": (
        "Niedostarczalne: Protokół",
        (
            "Nie można dostarczyć wiadomości do następujących adresatów lub grup:\n\n{who}\nNie znaleziono "
            "wprowadzonego adresu e-mail.\n"
        ),
    ),
    "Portuguese, Exchange": (
        "Não é possível entregar: Ata",
        (
            "Falha na entrega a estes destinatários ou grupos:\n\n{who}\nO endereço de email inserido não "
            "foi encontrado.\n"
        ),
    ),
    "Russian, Exchange": (
        "Не удается доставить: Протокол",
        (
            "Сбой доставки следующим получателям или группам:\n\n{who}\nВведенный адрес электронной "
            "почты не найден.\n"
        ),
    ),
    "Japanese, Exchange": (
        "配信不能: 議事録",
        "次の受信者またはグループへの配信に失敗しました:\n\n{who}\n入力した電子メール アドレスが見つかりませんでした。\n",
    ),
    "Chinese, Exchange": (
        "未送达: 会议记录",
        "未能向以下收件人或组传递邮件:\n\n{who}\n找不到您输入的电子邮件地址。\n",
    ),
    "Turkish, Exchange": (
        "Teslim edilemedi: Tutanak",
        "Bu alıcılara veya gruplara teslim başarısız oldu:\n\n{who}\nE-posta adresi bulunamadı.\n",
    ),
    "Czech, Exchange": (
        "Nedoručitelné: Zápis",
        "Doručení těmto příjemcům nebo skupinám se nezdařilo:\n\n{who}\nZadaná adresa nebyla nalezena.\n",
    ),
    "Swedish, Exchange": (
        "Kan inte levereras: Protokoll",
        "Det gick inte att leverera till följande mottagare eller grupper:\n\n{who}\nAdressen hittades inte.\n",
    ),
    "German, Domino": (
        "ZUSTELLUNGSFEHLER: Benutzer nicht im Domino-Verzeichnis gefunden",
        (
            "Ihre Nachricht\n\n  Betreff: Protokoll\n\nkonnte nicht zugestellt werden an:\n\n  {who}\n\n"
            "wegen:\n\n  Benutzer nicht im Domino-Verzeichnis gefunden\n"
        ),
    ),
    "French, Postfix": (
        "Message non distribué, retourné à l'expéditeur",
        (
            "Votre message n'a pas pu être remis au destinataire suivant :\n\n<{who}>: host mx.test[192.0.2.1] "
            "said: 550 5.1.1 compte inconnu (in reply to RCPT TO command)\n"
        ),
    ),
    "Italian, Postfix": (
        "Messaggio non recapitato",
        "Il messaggio non è stato possibile consegnarlo a:\n\n<{who}>: 550 5.1.1 utente sconosciuto\n",
    ),
    "Spanish, Gmail": (
        "Delivery Status Notification (Failure)",
        (
            "** No se encontró la dirección **\n\nTu mensaje no se entregó a {who} porque no se encontró la "
            "dirección o esta no puede recibir correo.\n\nLa respuesta fue:\n550 5.1.1 no existe\n"
        ),
    ),
    "German, Gmail": (
        "Delivery Status Notification (Failure)",
        (
            "** Adresse nicht gefunden **\n\nDeine Nachricht wurde nicht an {who} zugestellt, weil die Adresse "
            "nicht gefunden wurde.\n\nDie Antwort lautet:\n550 5.1.1 unbekannt\n"
        ),
    ),
}


@pytest.mark.parametrize(("title", "text"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize(
    "sender", ["Microsoft Outlook <MicrosoftExchange329e@firma.test>", "postmaster@firma.test"]
)
def test_a_failure_is_read_in_any_language(title: str, text: str, sender: str) -> None:
    body = text.format(who="max@firma.test")
    found = read_report(message(NULL, f"From: {sender}", TO, f"Subject: {title}", body=body))
    assert (found.kind, [(each.recipient, each.action) for each in found.recipients]) == (
        Kind.FREEFORM,
        [("max@firma.test", Action.FAILED)],
    )


WARNINGS = {
    "German": (
        "Zustellung verzögert",
        "Die Nachricht konnte noch nicht zugestellt werden an:\n\n  {who}\n\nEs wird weiter versucht.\n",
    ),
    "German, unlike the title": (
        "Nachricht vom Mailserver",
        "Ihre Nachricht wurde noch nicht zugestellt. Weitere Zustellversuche folgen.\n\n  {who}\n",
    ),
    "German, in a queue": (
        "Hinweis zu Ihrer Nachricht",
        "Sie ist weiterhin in der Wiederholungswarteschlange und nicht zugestellt:\n\n  {who}\n",
    ),
    "German, so far": (
        "Hinweis zu Ihrer Nachricht",
        "Die Nachricht konnte bisher nicht zugestellt werden an:\n\n  {who}\n",
    ),
    "German, nothing to be done": (
        "Hinweis zu Ihrer Nachricht",
        "Nicht zugestellt:\n\n  {who}\n\nSie müssen die Nachricht nicht erneut senden.\n",
    ),
    "French": (
        "Avertissement : message non encore remis",
        "Votre message n'a pas encore pu être remis à :\n\n  {who}\n\nDe nouvelles tentatives suivront.\n",
    ),
    "Spanish": (
        "Aviso: su mensaje aún no ha sido entregado",
        "Todavía no se ha podido entregar a:\n\n  <{who}>\n\nSeguiremos intentándolo.\n",
    ),
    "Italian": (
        "Avviso: messaggio non ancora consegnato",
        "Il messaggio non è stato ancora consegnato a:\n\n  {who}\n\nSeguiranno ulteriori tentativi.\n",
    ),
    "Dutch": (
        "Waarschuwing: bezorging vertraagd",
        "Uw bericht is nog niet bezorgd bij:\n\n  {who}\n\nDit is slechts een waarschuwing.\n",
    ),
    "Portuguese": (
        "Aviso: atraso na entrega",
        "A sua mensagem ainda não foi entregue a:\n\n  {who}\n\nIsto é apenas um aviso.\n",
    ),
    "Polish": (
        "Ostrzeżenie: opóźnienie w dostarczeniu",
        "Wiadomość nie została jeszcze dostarczona do:\n\n  {who}\n\nNastąpią kolejne próby.\n",
    ),
    "Russian": (
        "Предупреждение: задержка доставки",
        "Сообщение пока не доставлено:\n\n  {who}\n\nПопытки будут продолжены.\n",
    ),
    "Japanese": (
        "配信遅延のお知らせ",
        "次の宛先にまだ配信されていません:\n\n  {who}\n\n引き続き再送します。\n",
    ),
    "Chinese": ("邮件延迟通知", "您的邮件尚未送达:\n\n  {who}\n\n系统将继续尝试。\n"),
    "English, in a queue": (
        "Warning: user unknown to remote? Message still queued",
        "Could not be delivered to:\n\n  {who}\n",
    ),
    "English": (
        "Delivery delayed: Minutes",
        "Delivery to these recipients has been delayed:\n\n{who}\n\nNothing is to be done.\n",
    ),
}


@pytest.mark.parametrize(("title", "text"), WARNINGS.values(), ids=WARNINGS)
def test_a_warning_is_no_failure_in_any_language(title: str, text: str) -> None:
    raw = message(
        NULL,
        "From: postmaster@isp.test",
        TO,
        f"Subject: {title}",
        body=text.format(who="max@firma.test"),
    )
    found = read_report(raw)
    assert (found.kind, [(each.recipient, each.action) for each in found.recipients]) == (
        Kind.FREEFORM,
        [("max@firma.test", Action.DELAYED)],
    )


ABSENCES = {
    "German": (
        "AW: Protokoll",
        "Ich bin im Urlaub und nicht erreichbar. In dringenden Fällen:\n\n{other}\n",
    ),
    "German, left": (
        "Protokoll",
        "Frau Huber ist nicht mehr bei uns tätig. Bitte wenden Sie sich an\n{other}.\n",
    ),
    "English": (
        "Re: Minutes",
        "I am out of the office and cannot be reached. Please write to\n\n{other}\n",
    ),
    "English, left": (
        "Minutes",
        "I no longer work for the company. Mail to this address is not delivered:\n{other}\n",
    ),
    "French": (
        "RE: Protocole",
        "Je suis en congés et votre message ne peut être lu. Contactez :\n\n{other}\n",
    ),
    "Spanish": ("RE: Acta", "Estoy fuera de la oficina. Para asuntos urgentes:\n\n{other}\n"),
    "Italian": (
        "R: Verbale",
        "Sono in ferie fino al 5 marzo. Per urgenze scrivere a\n\n{other}\n",
    ),
    "Dutch": ("Antw: Verslag", "Ik ben met vakantie en kan u niet beantwoorden:\n\n{other}\n"),
    "Polish": (
        "ODP: Protokół",
        "Jestem na urlopie. W pilnych sprawach proszę pisać:\n\n{other}\n",
    ),
    "Portuguese": ("RES: Ata", "Estou de férias. Em caso de urgência:\n\n{other}\n"),
    "Russian": ("Ответ: Протокол", "Я в отпуске до 5 марта. Срочные вопросы:\n\n{other}\n"),
    "Japanese": ("Re: 議事録", "休暇のため不在にしております。お急ぎの方はこちらへ:\n\n{other}\n"),
    "Chinese": ("回复: 会议记录", "我正在休假。紧急事务请联系:\n\n{other}\n"),
}


@pytest.mark.parametrize(("title", "text"), ABSENCES.values(), ids=ABSENCES)
@pytest.mark.parametrize(
    "mark", [NULL, "Auto-Submitted: auto-generated", "Auto-Submitted: auto-replied"]
)
def test_who_is_away_says_of_nobody_that_he_failed(title: str, text: str, mark: str) -> None:
    raw = message(
        mark,
        "From: Max <max@firma.test>",
        TO,
        f"Subject: {title}",
        body=text.format(other="eva@firma.test"),
    )
    found = read_report(raw)
    assert (found.kind, [(each.recipient, each.action) for each in found.recipients]) == (
        Kind.AUTO_REPLY,
        [("max@firma.test", None)],
    )


@pytest.mark.parametrize(
    "title", ["Nicht mehr im Unternehmen", "Ofis dışındayım", "Otomatik yanıt"]
)
def test_a_title_alone_may_tell_who_is_away(title: str) -> None:
    found = read_report(message("From: max@firma.test", TO, f"Subject: {title}", body="Merhaba"))
    assert (found.kind, [each.recipient for each in found.recipients]) == (
        Kind.AUTO_REPLY,
        ["max@firma.test"],
    )


ACKNOWLEDGEMENTS = [
    "[Ticket#2026] Ihre Anfrage ist eingegangen",
    "Eingangsbestätigung",
    "We have received your request #4711",
    "Votre demande a bien été reçue",
    "Hemos recibido su solicitud",
    "Abbiamo ricevuto la sua richiesta",
    "Wij hebben uw bericht ontvangen",
    "Potwierdzenie otrzymania wiadomości",
    "Recebemos a sua mensagem",
    "Ваше обращение зарегистрировано",
    "お問い合わせを受け付けました",
    "您的邮件已收到",
]


@pytest.mark.parametrize("title", ACKNOWLEDGEMENTS)
@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("Precedence: bulk", "4711"),
        ("X-A: b", "Dies ist eine automatisch erzeugte Nachricht."),
        ("X-A: b", "This is an automated message."),
    ],
)
def test_a_ticket_systems_answer_is_an_automatic_reply(title: str, mark: str, words: str) -> None:
    raw = message("From: support@firma.test", TO, f"Subject: {title}", mark, body=words)
    found = read_report(raw)
    assert (found.kind, [each.recipient for each in found.recipients]) == (
        Kind.AUTO_REPLY,
        ["support@firma.test"],
    )


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(("Subject: Ihre Anfrage ist eingegangen",), id="no mark of a machine"),
        pytest.param(
            (
                "Subject: Eingangsbestätigung",
                "Precedence: bulk",
                "List-Unsubscribe: <mailto:x@y.test>",
            ),
            id="newsletter",
        ),
        pytest.param(("Subject: Sommerfest", "Precedence: bulk"), id="other words"),
        pytest.param(("Subject: Sommerfest",), id="no mark, other words"),
    ],
)
def test_other_mail_is_no_ticket_systems_answer(header: tuple[str, ...]) -> None:
    found = read_report(message("From: support@firma.test", TO, *header, body="Guten Tag"))
    assert (found.kind, found.recipients) == (Kind.UNRECOGNIZED, ())
