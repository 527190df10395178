"""Finds a whole report inside another message: attached, pasted as source, quoted in a forward.

Actually, OCN's relay wraps Postfix's report into one text; people forward reports by hand.
"""

import re

from bounced.parser.headers import decode_words
from bounced.parser.mime import Message, read_message
from bounced.parser.signs import has_forward_title, is_answer, is_from_system
from bounced.parser.wording import DAEMON, DELAYED, FAILED_SUBJECT

_ATTACHED = ("message/rfc822", "message/global")
_WRITTEN = ("text/plain", "text/html")
_REPORT = re.compile(
    r"^Content-Type[ \t]*:[ \t]*multipart/report\b.*(?:\n[ \t].*){0,4}",
    re.MULTILINE | re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"^.{0,60}(?:begin forwarded message|forwarded message|weitergeleitete nachricht"
    r"|message transféré|mensaje reenviado|messaggio inoltrato|doorgestuurd bericht"
    r"|mensagem encaminhada|wiadomość przekazana|пересылаемое сообщение|転送メッセージ"
    r"|转发的邮件)",
    re.MULTILINE | re.IGNORECASE,
)
# What mail programs write over a mail that they forward as text, in the reader's language.
_SENDER = re.compile(
    r"[ \t*]{0,4}(?:from|von|de|expéditeur|remitente|da|mittente|van|od|nadawca|от|от кого|från"
    r"|fra|差出人|发件人|寄件者)[ *]{0,3}[:\uff1a][ \t*]{0,4}(\S.{0,300})",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"(?:> ?)?[ \t*]{0,4}(?:subject|betreff|objet|asunto|oggetto|onderwerp|temat|assunto|тема"
    r"|ämne|emne|件名|主题|主旨)[ *]{0,3}[:\uff1a][ \t*]{0,4}(\S.{0,300})",
    re.IGNORECASE,
)
_FIELD = re.compile(r"[^:\uff1a]{1,30}[:\uff1a]")
_MAX_LINES = 2_000
_MAX_FIELD_LINES = 12
_LINES_ABOVE = 4
_QUOTED_RECIPIENT = re.compile(r"^> ?Final-Recipient[ \t]*:", re.MULTILINE | re.IGNORECASE)
_MARK = re.compile(r"^> ?", re.MULTILINE)
_HEADER = re.compile(r"^(?:From |[\w-]{2,40}[ \t]*:)", re.MULTILINE)
_MAX_HEADER_CHARS = 20_000


def find_forwarded(message: Message) -> Message | None:
    """Return the bounce that a person passed on, attached or as text below his own; total.

    Its title and sender are those of a mail system; whether it reads as one is for others to say.
    """
    if _is_only_answer(message):
        return None
    titled = has_forward_title(message)
    for part in message.parts:
        inner = None
        if part.content_type in _WRITTEN and (titled or _FORWARDED.search(part.text)):
            inner = _find_inline(part.text)
        if part.content_type in _ATTACHED:
            inner = read_message(part.text.lstrip().encode("utf-8", "replace"))
        if inner and _comes_from_system(inner):
            return inner
    return None


def _is_only_answer(message: Message) -> bool:
    """Tell whether a person answers and forwards nothing: what he quotes is no news to us.

    Actually, mail programs write In-Reply-To over a forward, too, and Exchange over its reports.
    """
    return is_answer(message) and not (has_forward_title(message) or is_from_system(message))


def _comes_from_system(inner: Message) -> bool:
    sender, title = decode_words(inner.fields.first("from") or ""), inner.subject()
    titled = FAILED_SUBJECT.search(title) or DELAYED.search(title)
    return titled is not None and DAEMON.search(sender) is not None


def _find_inline(text: str) -> Message | None:
    """Return the mail that stands in a text below the fields that a mail program wrote over it."""
    lines = text.split("\n", _MAX_LINES)
    for number, line in enumerate(lines):
        mark = _MARK.match(line)
        sender = _SENDER.match(line, mark.end() if mark else 0)
        if not sender or not DAEMON.search(sender[1]):
            continue
        subject, end = _read_head(lines, number)
        if subject:
            header = f"From: {sender[1]}\nSubject: {subject}\n\n"
            body = "\n".join(lines[end:])
            body = _MARK.sub("", body) if mark else body
            return read_message((header + body).encode("utf-8", "replace"))
    return None


def _read_head(lines: list[str], number: int) -> tuple[str | None, int]:
    """Return the subject among the fields around the sender's, and the line behind them all.

    Actually, Thunderbird writes it above the sender, and HTML may leave a line empty between.
    """
    above = (_SUBJECT.match(line) for line in lines[max(0, number - _LINES_ABOVE) : number])
    subject = next((found[1] for found in above if found), None)
    for position in range(number, min(len(lines), number + _MAX_FIELD_LINES)):
        line = _MARK.sub("", lines[position]).strip()
        if found := _SUBJECT.match(line):
            subject = found[1]
        elif (not line and subject) or (line and not _FIELD.match(line)):
            return subject, position
    return subject, number + _MAX_FIELD_LINES


def find_embedded(message: Message) -> Message | None:
    """Return the report that `message` holds as a whole, or None; total."""
    if _is_only_answer(message):
        return None
    for part in message.parts:
        attached = part.content_type in _ATTACHED
        found = _REPORT.search(part.text)
        if found and (attached or part.content_type == "text/plain"):
            # The header begins behind the last empty line; an attachment begins with it.
            start = part.text.rfind(
                "\n\n", max(0, found.start() - _MAX_HEADER_CHARS), found.start()
            )
            header = _HEADER.search(part.text, max(0, start))
            assert header is not None  # the Content-Type itself, at the latest
            return read_message(part.text[header.start() :].encode("utf-8", "replace"))
        if part.content_type == "text/plain" and _QUOTED_RECIPIENT.search(part.text):
            begin = _FORWARDED.search(part.text)
            if begin:
                own = _MARK.sub("", part.text[begin.end() :].partition("\n")[2]).lstrip()
                return read_message(own.encode("utf-8", "replace"))
    return None
