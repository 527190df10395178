"""Never blame the recipient for the sender's fault (DESIGN §4): what forbids `bad-address`.

A receiver that speaks of spam, of a block list, of SPF, DKIM or DMARC, of reputation, quota,
size or the network, or of the sender's own account, has not said that the address is wrong,
whatever its status code is. The guard stands in code, not in the rule tables, so that no rule,
ours or a site's, can step round it.
"""

from __future__ import annotations

import re

from bounced.model import Reason
from bounced.parser.phrase import Phrase, PhraseIndex

# Parts of words, folded, wherever they stand: `spam` also forbids in `Spamverdacht`.
EXCUSING_PARTS = (
    *("spam", "unsolicited", "junk", "phish", "malware", "bulk mail"),
    *("blacklist", "black list", "black-list", "blocklist", "block list", "block-list"),
    *("blocked using", "block-listed", "denylist", "dnsbl", "reputation", "greylist", "graylist"),
    *("dkim", "dmarc", "sender id", "reverse dns", "rdns", "unauthenticated"),
    *("quota", "over limit", "exceed", "too large", "too big", "mailbox full", "mailbox is full"),
    *("out of storage", "storage limit", "rate limit", "timed out", "timeout", "time out"),
    *("connection refused", "temporar"),
    *("sender address rejected", "sender rejected", "sender verif", "invalid sender"),
    *("connection lost", "connection reset", "no route to host", "host unreachable"),
    *("server unreachable", "destination unreachable", "lookup failure", "dns failure"),
    *("directory unavailable", "ip blocked", "blocked ip", "poor standing", "spoof", "overload"),
    *("suspicious", "again later", "forged"),
    # German
    *("unerwuenscht", "massenmail", "werbemail", "schadsoftware", "schadcode", "trojaner"),
    *("sperrliste", "blockliste", "negativliste", "schwarze liste", "schwarzen liste"),
    *(
        "schlechten ruf",
        "grauliste",
        "graue liste",
        "kontingent",
        "speicherplatz",
        "speicherlimit",
    ),
    *("plattenplatz", "postfach voll", "ist voll", "ueberfuellt", "zu gross", "groesse"),
    *("netzwerk", "temporaer", "voruebergehend", "zeitueberschreitung", "ueberlast"),
    *("rueckwaertsaufloesung", "absenderadresse", "absenderdomain"),
    *("netzfehler", "spaeter erneut", "spaeter noch einmal", "faelschung", "gefaelscht"),
    "verzeichnisdienst",
    # French
    *("indesirable", "non sollicit", "pourriel", "hameconnage", "listes noires", "liste noire"),
    *("liste grise", "boite pleine", "est pleine", "saturee", "trop volumineux", "reseau"),
    *("injoignable", "connexion refusee", "delai d'attente", "adresse de l'expediteur"),
    *("plus de place", "espace disque", "depasse la limite", "delai depasse", "temporairement"),
    *("usurpation", "usurpe", "malveillant", "panne dns", "plus tard"),
    # Spanish, Portuguese, Catalan
    *(
        "no desead",
        "no solicitad",
        "correo basura",
        "lista negra",
        "listas negras",
        "llista negra",
    ),
    *("lista gris", "lista de bloque", "cuota", "reputacion", "tamano", "demasiado grande"),
    *("buzon lleno", "esta llen", "sin espacio", "almacenamiento", "conexion rechazada"),
    *("tiempo de espera", "direccion del remitente", "indesejad", "nao solicitad"),
    *("lista cinza", "reputacao", "tamanho", "caixa cheia", "esta cheia", "lotada", "sem espaco"),
    *("armazenamento", "muito grande", "tempo limite", "endereco do remetente"),
    *("falta de espaci", "falta de espaco", "temporalmente", "tiempo agotado", "suplantacion"),
    *("servidor no disponible", "servidor indisponivel", "mas tarde", "mais tarde", "malicios"),
    "falsificad",
    # Italian, Romanian
    *(
        "indesiderat",
        "non desiderat",
        "lista nera",
        "liste nere",
        "lista di blocco",
        "reputazione",
    ),
    *("lista grigia", "casella piena", "e piena", "spazio esaurito", "archiviazione"),
    *("indirizzo del mittente", "lista neagra", "nedorit"),
    *("mancanza di spazio", "troppo grande", "temporaneamente", "piu tardi", "contraffatt"),
    "malevol",
    # Dutch
    *("ongewenst", "zwarte lijst", "blokkeerlijst", "reputatie", "te groot", "postbus vol"),
    *("postvak vol", "mailbox vol", "quotum", "opslagruimte", "opslaglimiet", "maximale grootte"),
    *("tijdelijk", "netwerk", "afzender geblokkeerd", "onbekende afzender", "ongeldige afzender"),
    *("vervalst", "later opnieuw"),
    # Swedish, Danish, Norwegian; servers write them with and without marks
    *("skraeppost", "skrappost", "soppelpost", "soeppelpost", "oonskad", "oenskad", "uonsket"),
    *("svartlist", "svart lista", "sortlist", "sort liste", "svartelist", "spaerrlist"),
    *("daligt rykte", "darligt omdomme", "kvot", "lagringsutrymme", "lagringsgr", "lagerplads"),
    *("lagringsplass", "er fuld", "er full", "aer full", "ar full", "foer stor", "for stor"),
    *("maxstorlek", "storrelsesgr", "tillfaellig", "tillfallig", "midlertidig", "naetverk"),
    *("natverk", "netvaerk", "nettverk", "avsaendare", "avsandare", "afsender", "avsender"),
    *("utrymme", "blockerad ip", "blokeret ip", "blokkert ip", "igen senare", "igen senere"),
    # Finnish, Estonian, Latvian, Lithuanian
    *("roskaposti", "estolist", "mustalla listalla", "ei-toivottu", "kiintio", "tallennustila"),
    *("levytila", "taeynnae", "taynna", "liian suuri", "liian iso", "enimmaeiskoko"),
    *("tilapaei", "tilapai", "vaeliaikai", "valiaikai", "tuntematon laehettaejae"),
    *("raempspost", "rampspost", "mustas nimekirjas", "ajuti", "melnaja sarakst"),
    *("juodajame saras", "slamst"),
    # Polish, Czech, Slovak, Hungarian
    *("niechcian", "czarnej liscie", "przepelnion", "reputacj", "zbyt duz", "rozmiar"),
    *("przekroczon", "brak miejsca", "tymczasow", "jest pelna", "cerne listin", "cernem seznam"),
    *("ciernej listin", "nevyzadan", "nevyziadan", "preplnen", "prekrocen", "prilis velk"),
    *(
        "docasn",
        "feketelist",
        "tiltolist",
        "keretlen",
        "megtelt",
        "betelt",
        "tul nagy",
        "atmeneti",
    ),
    *("braku miejsca", "blad sieci", "sfalszowan", "nedostatek mista", "nedostatok miesta"),
    *("chyba site", "chyba siete", "spojeni", "zkuste to pozdeji", "halozati"),
    # Turkish, Greek
    *("kara liste", "istenmeyen", "kutusu dolu", "kotasi", "cok bueyuek", "cok buyuk", "gecici"),
    *("ανεπιθύμητ", "μαύρη λίστα", "πλήρες", "προσωριν"),
    *("yer kalmadi", "baglanti kop", "baglanti hata", "baglanti kuru", "ag hatasi"),
    # Russian, Ukrainian, Bulgarian
    *("спам", "нежелательн", "черный список", "черном списке", "черного списка", "серые списки"),
    *("квот", "репутац", "переполнен", "размер", "слишком больш", "временн", "таймаут"),
    *("чорному списку", "чорний список", "небажан", "переповнен", "перевищен", "розмір"),
    *("тимчасов", "черния списък", "препълнен"),
    *("нет места", "нехватк", "недостаточно места", "место закончилось", "сетев", "ошибка сети"),
    *("подделк", "поддельн", "немає місця", "бракує місця", "мереж", "підробк"),
    "проверку подлинности",
    # Japanese
    *("迷惑メール", "スパム", "容量", "ブラックリスト", "受信拒否リスト", "サイズ", "評価"),
    *("いっぱい", "一杯", "満杯", "一時的", "逆引き", "なりすまし", "タイムアウト"),
    *("接続", "ネットワーク", "再試行", "詐称"),
    # Chinese
    *(
        "垃圾",
        "黑名单",
        "黑名單",
        "灰名单",
        "信誉",
        "信譽",
        "已满",
        "已滿",
        "空间不足",
        "空間不足",
    ),
    *("大小", "网络", "網路", "频率", "頻率", "超时", "逾時", "暂时", "暫時", "超限"),
    *("连接", "連線", "伪造", "偽造", "稍后", "稍後"),
    # Korean
    *(
        "스팸",
        "블랙리스트",
        "차단 목록",
        "평판",
        "용량",
        "가득",
        "꽉 차",
        "초과",
        "크기",
        "일시적",
    ),
    "네트워크",
    *("나중에", "위조", "연결"),
    # Thai, Vietnamese, Indonesian
    *("สแปม", "เต็ม", "ชั่วคราว", "thu rac", "danh sach den", "da day", "tam thoi"),
    *("daftar hitam", "sementara", "kuota"),
)

# Whole words, too short or too common to be looked for inside others.
EXCUSING_WORDS = (
    *("spf", "rbl", "rbls", "uribl", "surbl", "ptr", "size", "cota", "taille", "dimension"),
    *("dimensione", "dimensioni", "reklama", "reklame", "reclame", "publicidad", "publicidade"),
)

# Scripts without spaces run on behind a Latin word. A scanner signs in a footer as "antivirus",
# and a receiver sends people to their "network administrator": neither excuses anybody.
_WORDS = re.compile(
    rf"(?<![a-z0-9])(?:{'|'.join(EXCUSING_WORDS)}|network(?! (?:admin|operator)))(?![a-z0-9])"
    r"|(?<!anti)(?<!anti[- ])virus"
)

# "Your account does not exist": the sender's own mailbox, address or domain, not the recipient's.
# "Your message" is no such thing, nor are "your address book" and "your addressee". Where one word
# means "your" and "his", as Spanish `su`, a new address of his is spared.
_SENDERS_OWN = re.compile(
    r"\b(?:"
    # German, Dutch, Swedish, Danish, Norwegian
    r"(?:ihre?|deine?) (?:eigenes? )?(?:e-?mail-?|mail-?|benutzer)?"
    r"(?:adresse|konto|postfach|account|mailbox|domaene|domain)\b"
    r"|von (?:der|dem) sie senden\b"
    r"|(?:uw|je|jouw) (?:e-?mail-?|mail)?(?:adres|account|mailbox|postvak|postbus|domein)\b"
    r"|(?:din|dit|ditt|deres|ert?|jeres) (?:e-?mail-?|e-?post-?|mail-?)?"
    r"(?:adresse?|konto|brevlaa?da|postkasse|postboks|mailboks|domaene?|domene)\b"
    r"|(?:konto|adresse|postkasse|mailboks|postboks|domaen|domen)e?[nt] (?:din|ditt?|deres)\b"
    # French, Catalan, Spanish, Portuguese, Italian, Romanian
    r"|votre (?:adresse|compte|boite|domaine)\b|(?:el|la) (?:vostre|vostra) (?:compte|adreca)\b"
    r"|(?<!cambiado )(?<!cambio )(?:su|tu) (?:cuenta|direccion|buzon|casilla|dominio)\b"
    r"|(?:sua|tua|seu|teu) (?:conta|caixa|dominio|endereco)\b"
    r"|(?<!cambiato )(?:il|la) (?:suo|tuo|vostro|sua|tua|vostra) "
    r"(?:indirizzo|account|casella|dominio)\b"
    r"|(?:adresa|contul|domeniul) (?:dvs|dumneavoastra|ta|tau)\b"
    # Finnish, Estonian, Latvian, Lithuanian
    r"|(?:(?:saehkoe|sahko)?posti)?(?:osoitteesi|tilisi|laatikkosi)\b|verkkotunnuksesi\b"
    r"|(?:teie|jusu) (?:konto|aadress|postkast|domeen|konts|adrese|pastkaste|domens|paskyra"
    r"|adresas|domenas)\b"
    # Polish, Czech, Slovak, Hungarian, Turkish
    r"|(?:twoj[ae]?|wasz[ae]?|panstwa) (?:konto|domena|adres|skrzynka)\b"
    r"|(?:vas[ae]?|tvuj|tvoje|tvoja) (?:e-?mailov[aey] )?(?:ucet|konto|domena|adresa|schranka)\b"
    r"|az oen (?:e-?mail[ -]?|felhasznaloi )?(?:fiokj|cime|postafiokj|domainj|tartomany)"
    r"|(?:hesabiniz|adresiniz|alan adiniz|kutunuz)"
    # Greek, Russian, Ukrainian, Bulgarian
    r"|(?:λογαριασμόσ|διεύθυνσ[ηή]|τομέασ|γραμματοκιβώτιό) σασ\b"
    r"|(?:ваш[аеу]?|твой) (?:(?:почтов|электронн|поштов|електронн)\w\w? )?"
    r"(?:аккаунт|акаунт|домен|ящик|адреса?|логин|учетная запись|обліковий запис|скринька)\b"
    r"|вашият? (?:акаунт|адрес|домейн|профил)\b"
    # Vietnamese, Indonesian
    r"|(?:tai khoan|dia chi|ten mien) cua ban\b|(?:akun|domain|alamat) anda\b"
    r")"
    # Scripts without spaces
    r"|(?:あなた|お客様|貴社|貴方|御社)の(?:電子)?(?:メール ?)?"
    r"(?:アドレス(?!帳)|アカウント|ドメイン|メールボックス)"
    r"|(?:您|你|贵方|贵公司|貴公司)的?(?:电子|電子)?(?:邮件|郵件)?"
    r"(?:[账帐][号户]|邮箱|信箱|域名|網域|帳[號戶]|地址(?![簿薄]))"
    r"|(?:귀하|당신|고객님|귀사)의 (?:이?메일 ?)?(?:계정|주소(?!록)|도메인|메일함|사서함)"
    r"|(?:บัญชี|โดเมน)ของคุณ"
)

_PARTS = PhraseIndex(Phrase(part, head=False, tail=False) for part in EXCUSING_PARTS)

# A domain that refuses all mail may say so in its banner already (RFC 7504 §3).
_BEFORE_RECIPIENT = frozenset({"CONNECT", "EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL FROM"})
_SAID_EARLY = Reason.NOT_ACCEPTING


def find_excuse(words: str) -> str | None:
    """Return one of the words (a view's) that forbids `bad-address`; total."""
    parts = _PARTS.find_all(words)
    if parts:
        return min(parts, key=lambda part: (parts[part].start, part.text)).text
    found = _WORDS.search(words) or _SENDERS_OWN.search(words)
    return found[0] if found else None


def answers_too_early(command: str | None, reason: Reason) -> bool:
    """Tell whether a reply to this command cannot speak of the recipient."""
    return reason is not _SAID_EARLY and command in _BEFORE_RECIPIENT
