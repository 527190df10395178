"""What a domain's page shows of its diagnosis, to the author and to whoever runs DNS; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from bounced.diagnosis import SHOWN_BY, Diagnosis, Fix, is_watched
from bounced.ledger.authors import PageCase
from bounced.web.pages.settings import PageSettings
from bounced.words.advice import AdviceView, tell_advice
from bounced.words.catalogue import Words
from bounced.words.cleaning import clean

MAX_MAILTO_CHARS = 1800
"""Mail programs on Windows take no longer link."""
MAX_DETAIL_CHARS = 1000
MAX_FINDINGS = 50

MAX_OLD_CHARS = 200
"""Above that what goes is folded away: on a telephone it would push what comes out of sight."""
_DAY = timedelta(days=1)


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
    hints: tuple[str, ...]
    """Who finds out that it is mended, and what then."""
    is_ours: bool
    """Whether only we can mend it, so that the author has nothing to say about it."""

    @property
    def can_copy(self) -> bool:
        """Tell whether there is anything to copy."""
        return bool(self.told.records or self.told.message)


def build_advice(
    case: PageCase, words: Words, settings: PageSettings, *, domain: str, application: str
) -> AdvicePart:
    """Return the part for a domain's case; `domain` and `application` as the page names them."""
    diagnosis = case.diagnosis
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
        hints=tuple(_tell_hints(diagnosis, words, settings.check_interval, domain)),
        is_ours=diagnosis is not None and diagnosis.fix is Fix.OURS,
    )


def make_mailto(subject: str, text: str) -> str | None:
    """Return the link that opens a mail of this text (RFC 6068 §5), None if it is too long."""
    body = "\r\n".join(text.splitlines())
    link = f"mailto:?subject={quote(subject, safe='')}&body={quote(body, safe='')}"
    return link if len(link) <= MAX_MAILTO_CHARS else None


def is_endless(texts: Iterable[str]) -> bool:
    """Tell whether what goes is better folded away."""
    return sum(map(len, texts)) > MAX_OLD_CHARS


def _tell_hints(
    diagnosis: Diagnosis | None, words: Words, check_interval: timedelta | None, domain: str
) -> Iterator[str]:
    fix = diagnosis.fix if diagnosis else Fix.NOT_CHECKED
    kind = "ours" if fix is Fix.OURS else "records" if fix in SHOWN_BY else "other"
    yield words.say(f"page.mended.hint_{kind}", domain=domain)
    if diagnosis and is_watched(diagnosis) and check_interval:
        often = words.say("page.watched.daily" if check_interval == _DAY else "page.watched.often")
        yield words.say(f"page.watched.{kind}", often=often)
    elif fix is Fix.OURS:
        yield words.say("page.watched.not")


def _list_findings(diagnosis: Diagnosis) -> tuple[FindingLine, ...]:
    return tuple(
        FindingLine(each.check.value, each.state.value, clean(each.detail, MAX_DETAIL_CHARS))
        for each in diagnosis.findings[:MAX_FINDINGS]
    )
