"""Never blame the recipient for the sender's fault (DESIGN §4): what forbids `bad-address`.

A receiver that speaks of spam, of a block list, of SPF, DKIM or DMARC, of reputation, quota,
size or the network has not said that the address is wrong, whatever its status code is. The
guard stands in code, not in the rule tables, so that no rule, ours or a site's, can step round it.
"""

from __future__ import annotations

import re

from bounced.model import Reason

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
    # French
    *("indesirable", "non sollicit", "pourriel", "hameconnage", "listes noires", "liste noire"),
    *("liste grise", "boite pleine", "est pleine", "saturee", "trop volumineux", "reseau"),
    *("injoignable", "connexion refusee", "delai d'attente", "adresse de l'expediteur"),
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
    # Dutch
    *("ongewenst", "zwarte lijst", "blokkeerlijst", "reputatie", "te groot", "postbus vol"),
    *("postvak vol", "mailbox vol", "quotum", "opslagruimte", "opslaglimiet", "maximale grootte"),
    *("tijdelijk", "netwerk", "afzender geblokkeerd", "onbekende afzender", "ongeldige afzender"),
    # Swedish, Danish, Norwegian; servers write them with and without marks
    *("skraeppost", "skrappost", "soppelpost", "soeppelpost", "oonskad", "oenskad", "uonsket"),
    *("svartlist", "svart lista", "sortlist", "sort liste", "svartelist", "spaerrlist"),
    *("daligt rykte", "darligt omdomme", "kvot", "lagringsutrymme", "lagringsgr", "lagerplads"),
    *("lagringsplass", "er fuld", "er full", "aer full", "ar full", "foer stor", "for stor"),
    *("maxstorlek", "storrelsesgr", "tillfaellig", "tillfallig", "midlertidig", "naetverk"),
    *("natverk", "netvaerk", "nettverk", "avsaendare", "avsandare", "afsender", "avsender"),
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
    # Turkish, Greek
    *("kara liste", "istenmeyen", "kutusu dolu", "kotasi", "cok bueyuek", "cok buyuk", "gecici"),
    *("ανεπιθύμητ", "μαύρη λίστα", "πλήρες", "προσωριν"),
    # Russian, Ukrainian, Bulgarian
    *("спам", "нежелательн", "черный список", "черном списке", "черного списка", "серые списки"),
    *("квот", "репутац", "переполнен", "размер", "слишком больш", "временн", "таймаут"),
    *("чорному списку", "чорний список", "небажан", "переповнен", "перевищен", "розмір"),
    *("тимчасов", "черния списък", "препълнен"),
    # Japanese
    *("迷惑メール", "スパム", "容量", "ブラックリスト", "受信拒否リスト", "サイズ", "評価"),
    *("いっぱい", "一杯", "満杯", "一時的", "逆引き", "なりすまし", "タイムアウト"),
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
    # Thai, Vietnamese, Indonesian
    *("สแปม", "เต็ม", "ชั่วคราว", "thu rac", "danh sach den", "da day", "tam thoi"),
    *("daftar hitam", "sementara", "kuota"),
)

# Whole words, too short or too common to be looked for inside others.
EXCUSING_WORDS = (
    *("spf", "rbl", "rbls", "uribl", "surbl", "ptr", "size", "cota", "taille", "dimension"),
    *("dimensione", "dimensioni"),
)

# Scripts without spaces run on behind a Latin word. A scanner signs in a footer as "antivirus",
# and a receiver sends people to their "network administrator": neither excuses anybody.
_WORDS = re.compile(
    rf"(?<![a-z0-9])(?:{'|'.join(EXCUSING_WORDS)}|network(?! (?:admin|operator)))(?![a-z0-9])"
    r"|(?<!anti)(?<!anti[- ])virus"
)

# A domain that refuses all mail may say so in its banner already (RFC 7504 §3).
_BEFORE_RECIPIENT = frozenset({"CONNECT", "EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL FROM"})
_SAID_EARLY = Reason.NOT_ACCEPTING


def find_excuse(words: str) -> str | None:
    """Return one of the words (a view's) that forbids `bad-address`; total."""
    part = next((part for part in EXCUSING_PARTS if part in words), None)
    if part is None and (found := _WORDS.search(words)):
        return found[0]
    return part


def answers_too_early(command: str | None, reason: Reason) -> bool:
    """Tell whether a reply to this command cannot speak of the recipient."""
    return reason is not _SAID_EARLY and command in _BEFORE_RECIPIENT
