"""Composes the mail to an author: headers and parts, the same bytes at every attempt.

RFC 5322 (form), RFC 2046 §5.1.4 (text and HTML as alternatives), RFC 2045 §6.7 (quoted-printable),
RFC 3834 §5 (Auto-Submitted), RFC 3282 (Content-Language), RFC 2369 §3.2 (List-Unsubscribe),
RFC 2183 (the attached list). X-Auto-Response-Suppress is Microsoft's (MS-OXCMAIL §2.2.3.2.14).
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from email import policy
from email.charset import BASE64, Charset
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bounced.config import NoticeSettings
from bounced.ledger.records import ClaimedNotice, Entry
from bounced.model import ConfigError, split_address
from bounced.notifier.listing import make_list
from bounced.notifier.render import HTML, TEXT, Renderer
from bounced.notifier.samples import list_samples
from bounced.notifier.smime import Signer
from bounced.notifier.telling import Links, build_view
from bounced.notifier.view import NoticeView
from bounced.words.catalogue import Words, choose_language, load_words
from bounced.words.cleaning import MAX_ADDRESS_CHARS, clean, to_a_labels

MAX_NAME_CHARS = 60
MAX_SUBJECT_CHARS = 200
SAMPLE_LINK = "https://bounces.example.com/n/preview"

_TEXT_TYPES = {
    subtype: policy.SMTP.header_factory("Content-Type", f'text/{subtype}; charset="utf-8"')
    for subtype in ("plain", "html", "csv")
}
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")
_NO_DOMAIN_CHARACTERS = re.compile(r"[^A-Za-z0-9._:\[\]-]")


class Composer:
    """Turns claimed notices into mails, by the words and templates read at its making."""

    def __init__(
        self,
        templates_directory: Path | None,
        settings: NoticeSettings,
        *,
        fallback_sender: str,
        from_address: str = "",
        links: Links | None = None,
        signer: Signer | None = None,
    ) -> None:
        """Read words and templates; raises ConfigError naming the file and what is wrong.

        `fallback_sender` stands in From as long as `notices.sender` is not set; without `links`
        mails have none to pages of ours, without `signer` no signature. `from_address` is
        `advice.from_address`: what authors are told to send from who have no domain of their own.
        """
        if templates_directory and not templates_directory.is_dir():
            raise ConfigError(
                f"notices.templates_directory: {templates_directory}: no such folder"
            )
        self._settings = settings
        self._from_address = from_address
        self._links = links
        self._signer = signer
        self._zone = ZoneInfo(settings.timezone)
        self.words = load_words(templates_directory)
        _check_language(settings.language, self.words)
        self._renderer = Renderer(templates_directory)
        sender = settings.sender or fallback_sender
        name = clean(settings.application_name, MAX_NAME_CHARS)
        # Folded once: they are the same in every mail.
        self._from = _fold_address("From", _make_address(sender, name))
        self._reply_to = _fold_address("Reply-To", _make_address(settings.reply_to or sender))

    def compose(
        self, notice: ClaimedNotice, *, links: Links | None = None, mark: str = ""
    ) -> EmailMessage:
        """Return the mail; total for any texts in the notice, whose envelope is not its matter.

        `links` stand for those of its making, `mark` stands before the subject. Raises ConfigError
        where a site's template cannot be rendered, which `check` finds before.
        """
        words = choose_language(notice.language, self.words, self._settings.language)
        view = build_view(
            notice,
            words,
            self._settings,
            links or self._links,
            from_address=self._from_address,
        )
        message = self._put_together(notice, view, words, mark)
        return self._signer.sign(message) if self._signer else message

    def check(self) -> None:
        """Compose samples of every reason in every language; raises ConfigError at a fault.

        With links that lead nowhere, whether or not mails have some: what templates make of them
        is looked at, not how they are sealed.
        """
        for language in self.words:
            for sample in list_samples(language):
                self.compose(sample, links=_link_nowhere)

    def _put_together(
        self, notice: ClaimedNotice, view: NoticeView, words: Words, mark: str
    ) -> EmailMessage:
        boundary = _make_boundary(notice.message_id)
        message = self._begin(notice, view, words, mark)
        parts = (
            _make_text("plain", self._renderer.render(TEXT, view, words)),
            _make_text("html", self._renderer.render(HTML, view, words)),
        )
        if view.list_note is None:
            return _join(message, "alternative", boundary, parts)
        listed = _make_text("csv", make_list(notice, words, self._settings))
        listed.add_header("Content-Disposition", "attachment", filename=words.say("list.file"))
        body = _join(EmailMessage(policy.SMTP), "alternative", f"{boundary}.1", parts)
        return _join(message, "mixed", boundary, (body, listed))

    def _begin(
        self, notice: ClaimedNotice, view: NoticeView, words: Words, mark: str
    ) -> EmailMessage:
        """Return the header fields, each folded already: the library's own way is slow."""
        message = EmailMessage(policy.SMTP)
        fields = {
            "From": self._from,
            "Reply-To": self._reply_to,
            "To": _fold_address("To", _make_address(notice.author)),
            "Subject": _fold_subject(f"{mark} {view.subject}"),
            "Date": format_datetime(notice.claimed_at.astimezone(self._zone)),
            "Message-ID": f"<{notice.message_id}>",
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "OOF, AutoReply, RN, NRN",
            "MIME-Version": "1.0",
            "Content-Language": words.language,
        }
        for name, value in fields.items():
            message.set_raw(name, value)
        if view.settings is not None:
            # To the page that asks, without List-Unsubscribe-Post (RFC 8058): mail programs and
            # scanners press that button unasked, and nobody would hear of his bounces any more.
            message.set_raw("List-Unsubscribe", _Url(f"<{view.settings.url}>"))
        return message


class _Url(str):
    """The one field of a URL, written as it is: the library would encode a long one."""

    __slots__ = ()
    name = "List-Unsubscribe"

    def fold(self, *, policy: EmailPolicy) -> str:
        """Return the whole field, as the library asks for it."""
        return f"{self.name}: {self}{policy.linesep}"


def _link_nowhere(_notice: ClaimedNotice, _entry: Entry | None) -> str:
    return SAMPLE_LINK


def _check_language(language: str, words: Mapping[str, Words]) -> None:
    if language not in words:
        known = ", ".join(words)
        raise ConfigError(
            f"notices.language: {language!r} has no catalogue; there is {known}; "
            "another is a file of its own in notices.templates_directory"
        )


def _make_address(address: str, name: str = "") -> Address:
    """Return the address for a header, unable to end its field or to name another mailbox.

    Nothing is left out of a domain, which would make it somebody else's.
    """
    local, domain = split_address(clean(address, MAX_ADDRESS_CHARS))
    return Address(name, local, _NO_DOMAIN_CHARACTERS.sub("_", to_a_labels(domain)))


def _fold_address(name: str, address: Address) -> str:
    """Return the field body; what is not plain is folded when its way (RFC 6531) is known."""
    text = str(address)
    if _PLAIN_ADDRESS.fullmatch(text):
        return text
    folded: str = policy.SMTP.header_factory(name, address)
    return folded


def _fold_subject(subject: str) -> str:
    """Return the field body, folded and encoded, so that it reads back as it is (RFC 2047).

    The policy's own folding would begin a long ASCII subject on the second line, and send a
    forged encoded word in plain text on as if it were ours.
    """
    text = clean(subject, MAX_SUBJECT_CHARS)
    if text.isascii() and "=?" not in text:
        return Header(text, header_name="Subject").encode()
    charset = Charset("utf-8")
    charset.header_encoding = BASE64  # to find the shorter costs four times as much
    return Header(text, charset, header_name="Subject").encode()


def _make_text(subtype: str, text: str) -> EmailMessage:
    part = EmailMessage(policy.SMTP)
    part.set_raw("Content-Type", _TEXT_TYPES[subtype])
    part.set_raw("Content-Transfer-Encoding", "quoted-printable")
    lines = text if text.endswith("\n") else f"{text}\n"
    part.set_payload(binascii.b2a_qp(lines.encode(), istext=True).decode("ascii"))
    return part


def _join(
    whole: EmailMessage, subtype: str, boundary: str, parts: Iterable[EmailMessage]
) -> EmailMessage:
    # Parsed once; of a plain text the library would ask anew at every turn.
    whole["Content-Type"] = f'multipart/{subtype}; boundary="{boundary}"'
    for part in parts:
        whole.attach(part)
    return whole


def _make_boundary(message_id: str) -> str:
    """Return a boundary that no quoted-printable line can hold: `=_` is not in its alphabet."""
    return f"=_{hashlib.sha256(message_id.encode()).hexdigest()[:32]}"
