"""What a domain's page shows of its diagnosis, to the author and to whoever runs DNS; pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from bounced.diagnosis import Diagnosis, Fix
from bounced.ledger.authors import PageCase
from bounced.web.pages.settings import PageSettings
from bounced.words.advice import AdviceView, tell_advice
from bounced.words.catalogue import Words
from bounced.words.cleaning import clean

MAX_MAILTO_CHARS = 1800
"""Mail programs on Windows take no longer link."""
MAX_DETAIL_CHARS = 1000
MAX_FINDINGS = 50

_OF_AUTHOR = frozenset(
    {
        Fix.PUBLISH_SPF,
        Fix.MERGE_SPF,
        Fix.PUBLISH_DKIM,
        Fix.RETURN_PATH_CNAME,
        Fix.PUBLISH_DMARC,
    }
)
"""What he publishes in DNS, so that our daily look finds it there."""


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One thing that was looked at, in English."""

    check: str
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class AdvicePart:
    """The part of the page that says what is to be done."""

    told: AdviceView
    mailto: str | None
    """Opens a mail with the message; None: there is no message, or it is too long for a link."""
    findings: tuple[FindingLine, ...]
    is_watched: bool
    """Whether we find out by ourselves that it is done."""
    hint: str
    """Key of the phrase beside the button that says that it is done."""

    @property
    def can_copy(self) -> bool:
        """Tell whether there is anything to copy."""
        return bool(self.told.records or self.told.message)


def build_advice(
    case: PageCase, words: Words, settings: PageSettings, *, domain: str, application: str
) -> AdvicePart:
    """Return the part for a domain's case; `domain` and `application` as the page names them."""
    diagnosis = case.diagnosis
    fix = diagnosis.fix if diagnosis else Fix.NOT_CHECKED
    told = tell_advice(
        diagnosis,
        case.entry.reason,
        words,
        application=application,
        from_address=settings.from_address,
        zone=settings.zone,
    )
    subject = words.say("page.message.subject", domain=domain)
    return AdvicePart(
        told,
        make_mailto(subject, told.message) if told.message else None,
        _list_findings(diagnosis) if diagnosis else (),
        is_watched=fix in _OF_AUTHOR or fix is Fix.OURS,
        hint=_find_hint(fix),
    )


def make_mailto(subject: str, text: str) -> str | None:
    """Return the link that opens a mail of this text (RFC 6068 §5), None if it is too long."""
    body = "\r\n".join(text.splitlines())
    link = f"mailto:?subject={quote(subject, safe='')}&body={quote(body, safe='')}"
    return link if len(link) <= MAX_MAILTO_CHARS else None


def _find_hint(fix: Fix) -> str:
    if fix in _OF_AUTHOR:
        return "page.mended.hint"
    return "page.mended.hint_ours" if fix is Fix.OURS else "page.mended.hint_other"


def _list_findings(diagnosis: Diagnosis) -> tuple[FindingLine, ...]:
    return tuple(
        FindingLine(each.check.value, each.state.value, clean(each.detail, MAX_DETAIL_CHARS))
        for each in diagnosis.findings[:MAX_FINDINGS]
    )
