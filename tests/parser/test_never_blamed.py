"""Sentences with words of a bad address that speak of the sender, the server or the way."""

import pytest

from bounced.model import Category
from bounced.parser.classify import classify
from bounced.parser.rule import Example
from bounced.parser.rulecheck import build_facts
from bounced.parser.ruleset import parse_enhanced, parse_leading_code
from tests.parser.test_rules_tables import RULES

SENDERS_OWN = [
    "550 Ihr Postfach existiert nicht",
    "550 Die Adresse, von der Sie senden, existiert nicht",
    "550 Votre adresse d'envoi n'existe pas",
    "550 Su cuenta no existe, no puede enviar",
    "550 Il suo indirizzo non è valido",
    "550 Sua conta foi desativada",
    "550 Uw account bestaat niet",
    "550 Ditt konto är avstängt",
    "550 Deres konto er lukket",
    "550 Kontoen din er stengt",
    "550 Tilisi on suljettu",
    "550 Teie konto on suletud",
    "550 Twoje konto zostało zablokowane",
    "550 Twoja domena nie istnieje",
    "550 Váš účet byl zablokován",
    "550 Az Ön fiókja letiltva",
    "550 Hesabınız kapatıldı",
    "550 Ο λογαριασμός σας έχει απενεργοποιηθεί",
    "550 Ваш аккаунт заблокирован",
    "550 Ваш домен не найден",
    "550 Ваш почтовый ящик не существует",
    "550 あなたのアカウントは無効です",
    "550 お客様のドメインが存在しません",
    "550 貴社のメールアドレスは登録されていません",
    "550 您的账号已被禁用",
    "550 您的域名不存在",
    "550 发信方用户不存在",
    "550 귀하의 계정이 정지되었습니다",
    "550 Akun Anda dinonaktifkan, akun tidak aktif",
]

EXCUSED = [
    "550 user unknown: directory unavailable",
    "550 user unknown: connection reset",
    "550 Empfänger unbekannt: Netzfehler",
    "450 Empfänger derzeit nicht bekannt, Verzeichnisdienst nicht erreichbar",
    "550 Nicht etwa unbekannter Benutzer: Ihr Server darf hier nicht einliefern",
    "550 Der Empfänger hat das Postfach für Externe geschlossen",
    "550 Lizenz des Empfängers abgelaufen",
    "550 ungültige Adresse im Kopf From",
    "550 utilisateur inconnu: plus de place",
    "550 usuario desconocido: tiempo agotado",
    "550 utente sconosciuto: mancanza di spazio",
    "550 Conta desativada por falta de espaço",
    "550 Te veel onbekende ontvangers",
    "550 okänd användare: otillräckligt utrymme",
    "550 ukendt bruger: blokeret IP",
    "550 Konto zawieszone z powodu braku miejsca",
    "550 uživatel neexistuje: nedostatek místa",
    "550 ismeretlen felhasználó: hálózati hiba",
    "550 kullanıcı bulunamadı: yer kalmadı",
    "550 Ящик отключён из-за нехватки места",
    "550 Пользователь не принимает письма с вашего IP",
    "550 宛先が見つかりませんでしたので後で再試行してください。ネットワーク障害",
    "550 宛先が存在しないか、または受信制限されています",
    "550 收件人不存在或您的IP被拒绝",
    "550 用户不存在于允许列表",
    "550 收件人不存在: 连接中断",
    "550 사용자를 찾을 수 없습니다: 나중에 다시",
]

OF_THE_RECIPIENT = [
    "550 Ihre Nachricht an max@example.de wurde nicht zugestellt: Adresse nicht gefunden",
    "550 Votre message n'a pas été remis : adresse inconnue",
    "550 Su mensaje no se entregó: la cuenta no existe",
    "550 El usuario ha cambiado su dirección",
    "550 Uw bericht is niet bezorgd: onbekende gebruiker",
    "550 Twoja wiadomość: odbiorca nieznany",
    "550 Ваше письмо не доставлено: пользователь не найден",
    "550 Ваш адресат не найден",
    "550 お客様のメールは配信できません。宛先が存在しません",
    "550 您的邮件无法送达：收件人不存在",
    "550 귀하의 메일: 수신자가 존재하지 않습니다",
]


def _classify(text: str) -> Category:
    example = Example(text=text, status=parse_enhanced(text), smtp_code=parse_leading_code(text))
    return classify(build_facts(example), RULES).category


@pytest.mark.parametrize("text", SENDERS_OWN)
def test_the_senders_own_account_is_no_bad_address(text: str) -> None:
    assert _classify(text) is not Category.BAD_ADDRESS


@pytest.mark.parametrize("text", EXCUSED)
def test_what_excuses_the_recipient_is_no_bad_address(text: str) -> None:
    assert _classify(text) is not Category.BAD_ADDRESS


@pytest.mark.parametrize("text", OF_THE_RECIPIENT)
def test_your_message_or_addressee_speaks_of_the_recipient(text: str) -> None:
    assert _classify(text) is Category.BAD_ADDRESS
