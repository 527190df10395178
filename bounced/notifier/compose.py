"""Composes the mail to an author: headers and both parts, the same bytes at every attempt.

RFC 5322 (form), RFC 2046 §5.1.4 (text and HTML as alternatives), RFC 3834 §5 (Auto-Submitted),
RFC 3282 (Content-Language). X-Auto-Response-Suppress is Microsoft's (MS-OXCMAIL §2.2.3.2.14).
"""

from __future__ import annotations

import hashlib
import re
from email import policy
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

from bounced.config import NoticeSettings
from bounced.ledger.records import ClaimedNotice
from bounced.model import ConfigError, split_address
from bounced.notifier.render import HTML, TEXT, Renderer
from bounced.notifier.samples import list_samples
from bounced.notifier.view import build_view
from bounced.words.catalogue import choose_language, load_words
from bounced.words.cleaning import MAX_ADDRESS_CHARS, clean, to_a_labels

MAX_NAME_CHARS = 60
MAX_SUBJECT_CHARS = 200

_NO_DOMAIN_CHARACTERS = re.compile(r"[^A-Za-z0-9._:\[\]-]")


class Composer:
    """Turns claimed notices into mails, by the words and templates read at its making."""

    def __init__(
        self, templates_directory: Path | None, settings: NoticeSettings, *, fallback_sender: str
    ) -> None:
        """Read words and templates; raises ConfigError naming the file and what is wrong.

        `fallback_sender` stands in From as long as `notices.sender` is not set.
        """
        if templates_directory and not templates_directory.is_dir():
            raise ConfigError(
                f"notices.templates_directory: {templates_directory}: no such folder"
            )
        self._settings = settings
        self._zone = ZoneInfo(settings.timezone)
        self._sender = settings.sender or fallback_sender
        self._words = load_words(templates_directory)
        self._renderer = Renderer(templates_directory)

    def compose(self, notice: ClaimedNotice) -> EmailMessage:
        """Return the mail; total for any texts in the notice, whose envelope is not its matter.

        Raises ConfigError where a site's template cannot be rendered, which `check` finds before.
        """
        words = choose_language(notice.language, self._words, self._settings.language)
        view = build_view(notice, words, self._settings)
        message = EmailMessage(policy=policy.SMTP)
        message["From"] = self._make_sender()
        message["Reply-To"] = _make_address(self._settings.reply_to or self._sender)
        message["To"] = _make_address(notice.author)
        message.set_raw("Subject", _fold_subject(view.subject))
        message["Date"] = notice.claimed_at.astimezone(self._zone)
        message["Message-ID"] = f"<{notice.message_id}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "OOF, AutoReply, RN, NRN"
        text = self._renderer.render(TEXT, view, words)
        message.set_content(text, charset="utf-8", cte="quoted-printable")
        html = self._renderer.render(HTML, view, words)
        message.add_alternative(html, subtype="html", charset="utf-8", cte="quoted-printable")
        message["Content-Language"] = words.language  # not before: add_alternative moves it down
        message.set_boundary(_make_boundary(notice.message_id))
        return message

    def check(self) -> None:
        """Compose samples of every reason in every language; raises ConfigError at a fault."""
        for language in self._words:
            for sample in list_samples(language):
                self.compose(sample)

    def _make_sender(self) -> Address:
        name = clean(self._settings.application_name, MAX_NAME_CHARS)
        return _make_address(self._sender, name)


def _make_address(address: str, name: str = "") -> Address:
    """Return the address for a header, unable to end its field or to name another mailbox.

    Nothing is left out of a domain, which would make it somebody else's.
    """
    local, domain = split_address(clean(address, MAX_ADDRESS_CHARS))
    return Address(name, local, _NO_DOMAIN_CHARACTERS.sub("_", to_a_labels(domain)))


def _fold_subject(subject: str) -> str:
    """Return the field body, folded and encoded, so that it reads back as it is (RFC 2047).

    The policy's own folding would begin a long ASCII subject on the second line, and send a
    forged encoded word in plain text on as if it were ours.
    """
    text = clean(subject, MAX_SUBJECT_CHARS)
    charset = "utf-8" if "=?" in text else None
    return Header(text, charset, header_name="Subject").encode()


def _make_boundary(message_id: str) -> str:
    """Return a boundary that no quoted-printable line can hold: `=_` is not in its alphabet."""
    return f"=_{hashlib.sha256(message_id.encode()).hexdigest()[:32]}"
