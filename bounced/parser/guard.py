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
    *("unerwuenscht", "sperrliste", "schwarze liste", "schwarzen liste", "kontingent"),
    *("postfach voll", "postfach ist voll", "speicherplatz", "zu gross", "groesse", "netzwerk"),
    # French
    *("indesirable", "liste noire", "boite pleine", "trop volumineux", "taille", "reseau"),
    # Spanish, Portuguese
    *("no deseado", "lista negra", "cuota", "reputacion", "tamano", "demasiado grande"),
    *("indesejad", "reputacao", "tamanho", "caixa cheia", "muito grande"),
    # Italian, Dutch, Polish
    *("indesiderat", "lista nera", "reputazione", "dimension", "casella piena"),
    *("ongewenst", "zwarte lijst", "te groot", "postbus vol", "mailbox vol"),
    *("niechcian", "czarnej liscie", "przepelnion", "reputacj", "zbyt duz"),
    # Russian
    *("спам", "черный список", "черном списке", "квот", "репутац", "переполнен", "размер"),
    # Japanese, Chinese
    *("迷惑メール", "スパム", "容量", "ブラックリスト", "サイズ", "評価"),
    *("垃圾", "黑名单", "黑名單", "信誉", "信譽", "已满", "已滿", "大小", "网络", "網路"),
)

# Whole words, too short to be looked for inside others.
EXCUSING_WORDS = ("spf", "rbl", "rbls", "uribl", "surbl", "ptr", "size", "network", "cota")

# A scanner signs in a footer as "antivirus", which excuses nobody.
_WORDS = re.compile(rf"\b(?:{'|'.join(EXCUSING_WORDS)})\b|(?<!anti)(?<!anti[- ])virus")

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
