"""What an author is told of his domain: a diagnosis in plain words, for mail, page and command.

Names of records stay as they are (SPF, DKIM, DMARC, CNAME, TXT): the web host needs them. All that
DNS said is shown whole or not at all, for half a record does harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from bounced.diagnosis import Check, Diagnosis, DnsRecord, Fix, Identity, State
from bounced.model import Reason
from bounced.words.catalogue import Words
from bounced.words.cleaning import MAX_ADDRESS_CHARS, clean, clean_domain
from bounced.words.hosters import find_hoster_text

MAX_VALUE_CHARS = 4000
"""Far above what any zone needs: longer ones are no records that a person could publish."""
MAX_REPLACED = 10
MAX_REPLACED_CHARS = 1000
MAX_LOOKUPS = 10
"""RFC 7208 §4.6.4."""

_PUBLISHED = frozenset(
    {
        Fix.PUBLISH_SPF,
        Fix.MERGE_SPF,
        Fix.PUBLISH_DKIM,
        Fix.RETURN_PATH_CNAME,
        Fix.PUBLISH_DMARC,
    }
)
"""Fixes that are records to publish."""


@dataclass(frozen=True, slots=True)
class RecordView:
    """One record to publish; every text one clean line."""

    purpose: str | None
    """What it is for; None: the same as the record before."""
    name: str
    type: str
    value: str
    """As it is to be copied: ASCII, nothing left out."""
    replaces: tuple[str, ...]
    """What is there now and goes; cut where it is endless."""
    note: str | None
    """How a value in several strings is entered."""


@dataclass(frozen=True, slots=True)
class AdviceView:
    """What is wrong with a domain and what is to be done; every text but `message` one line."""

    explanation: str
    action: str
    records: tuple[RecordView, ...] = ()
    hint: str | None = None
    """How names are entered, and how long it takes; None without records."""
    hoster: str | None = None
    """Who runs the DNS, and where the setting is hidden there."""
    checked: str | None = None
    """When DNS was asked; None: it did not answer, or what it says is not the matter."""
    message: str | None = None
    """A letter to whoever runs the DNS, lines parted by line feeds; None without records."""


def tell_advice(
    diagnosis: Diagnosis | None,
    reason: Reason | None,
    words: Words,
    *,
    application: str,
    from_address: str,
    zone: tzinfo,
) -> AdviceView:
    """Return the advice in one language; total for whatever DNS said.

    Without a diagnosis nobody could look; without a reason nothing was refused. `application` is
    as `notice.application` has it, `from_address` as `advice.from_address`: "" is none.
    """
    refused = [words.say(f"reason.{reason.value}.explanation")] if reason else []
    if diagnosis is None or diagnosis.fix is Fix.NOT_CHECKED:
        found = words.say("advice.not-checked.explanation")
        action = words.say("advice.not-checked.action", application=application)
        return AdviceView(" ".join((*refused, found)), action)
    told = _Advice(diagnosis, reason, words, application, clean(from_address, MAX_ADDRESS_CHARS))
    return AdviceView(
        explanation=" ".join((*refused, *told.explain())),
        action=" ".join(told.recommend()),
        records=tuple(told.show_records()),
        hint=words.say("advice.hint") if told.records else None,
        hoster=told.find_hoster(),
        checked=told.tell_time(zone),
        message=told.write_message(),
    )


class _Advice:
    """What every sentence about one diagnosis needs at hand."""

    def __init__(
        self,
        diagnosis: Diagnosis,
        reason: Reason | None,
        words: Words,
        application: str,
        from_address: str,
    ) -> None:
        self._diagnosis = diagnosis
        self._reason = reason
        self._words = words
        self._application = application
        self._from_address = from_address
        self._domain = clean_domain(diagnosis.domain)
        is_whole = all(map(_is_showable, diagnosis.records))
        self.records: Sequence[DnsRecord] = diagnosis.records if is_whole else ()

    def explain(self) -> Iterable[str]:
        spf = self._find_spf()
        yield self._words.say(
            f"advice.{self._find_variant(spf)}.explanation",
            count=_count_replaced(spf),
            domain=self._domain,
            name=clean_domain(spf.name) if spf else self._domain,
            application=self._application,
            lookups=self._count_lookups(),
        )
        if self._is_spf_idle():
            # Which domain it is, is not said: behind a forwarder it may be the forwarder's.
            yield self._words.say("advice.idle-spf.explanation", domain=self._domain)

    def recommend(self) -> Iterable[str]:
        fix = self._diagnosis.fix
        if fix not in _PUBLISHED:
            is_named = fix is Fix.USE_OUR_ADDRESS and self._from_address
            key = "our-address" if is_named else fix.value
            yield self._words.say(f"advice.{key}.action", from_address=self._from_address)
        elif not self.records:
            key = "crowded-spf" if self._is_crowded() else "no-record"
            yield self._words.say(f"advice.{key}.action")
        else:
            key = fix.value if fix in {Fix.MERGE_SPF, Fix.RETURN_PATH_CNAME} else "publish"
            yield self._words.say(f"advice.{key}.action", count=self._count_meant())
            yield from self._name_besides()
            if fix is not Fix.RETURN_PATH_CNAME:  # which is one step of two, the other ours
                yield self._words.say("advice.resend.action")

    def show_records(self) -> Iterable[RecordView]:
        counts = Counter(map(_find_purpose, self.records))
        before = ""
        for record in self.records:
            purpose = _find_purpose(record)
            is_split = record.value.startswith('"')
            yield RecordView(
                purpose=self._words.say(f"advice.purpose.{purpose}", count=counts[purpose])
                if purpose != before
                else None,
                name=record.name,
                type=record.type,
                value=record.value,
                replaces=_show_replaced(record),
                note=self._words.say("advice.split") if is_split else None,
            )
            before = purpose

    def find_hoster(self) -> str | None:
        key = self._diagnosis.hoster
        if key is None or self._diagnosis.fix not in _PUBLISHED:
            return None
        text = find_hoster_text(key, self._words.language)
        return self._words.say("advice.hoster", hoster=text) if text else None

    def tell_time(self, zone: tzinfo) -> str | None:
        if self._diagnosis.freemail:
            return None
        when = self._words.say_time(self._diagnosis.checked_at, zone)
        return self._words.say("advice.checked", when=when)

    def write_message(self) -> str | None:
        if not self.records:
            return None
        ask = "replace" if self._diagnosis.fix is Fix.MERGE_SPF else "publish"
        asked = self._words.say(
            f"advice.message.{ask}", count=self._count_meant(), domain=self._domain
        )
        paragraphs = (
            self._words.say("notice.greeting"),
            " ".join((asked, *self._name_besides())),
            *("\n".join(self._list_lines(record)) for record in self.show_records()),
            self._words.say("advice.message.thanks"),
        )
        return "\n\n".join(paragraphs) + "\n"

    def _list_lines(self, record: RecordView) -> Iterable[str]:
        for part, value in (
            ("name", record.name),
            ("type", record.type),
            ("value", record.value),
            *(("replaces", each) for each in record.replaces),
        ):
            yield f"{self._words.say(f'advice.{part}')}: {value}"
        if record.note:
            yield f"({record.note})"

    def _find_variant(self, spf: DnsRecord | None) -> str:
        """Return what DNS has shown, as the words name it."""
        fix = self._diagnosis.fix
        if fix is Fix.USE_OUR_ADDRESS and not self._diagnosis.freemail:
            return "no-means"
        if fix is not Fix.MERGE_SPF:
            return fix.value
        if self._is_crowded():
            return "crowded-spf"
        if _count_replaced(spf) > 1:
            return "several-spf"
        states = {each.state for each in self._diagnosis.findings if each.check is Check.SPF}
        return "broken-spf" if State.BROKEN in states else fix.value

    def _find_spf(self) -> DnsRecord | None:
        return next((each for each in self.records if _find_purpose(each) == "spf"), None)

    def _count_meant(self) -> int:
        """Return how many records the request is about: those that go, or those that come."""
        is_merge = self._diagnosis.fix is Fix.MERGE_SPF
        return max(1, _count_replaced(self._find_spf())) if is_merge else len(self.records)

    def _name_besides(self) -> Iterable[str]:
        """Return a sentence where a record is to be added beside one that replaces others."""
        purposes = set(map(_find_purpose, self.records))
        if self._diagnosis.fix is Fix.MERGE_SPF and "dmarc" in purposes:
            yield self._words.say("advice.besides.action")

    def _count_lookups(self) -> int:
        return max(self._diagnosis.lookups_before or 0, self._diagnosis.lookups_after or 0)

    def _is_crowded(self) -> bool:
        """Tell whether the SPF record can take nothing more, and nothing could be offered."""
        is_spf = self._diagnosis.fix is Fix.MERGE_SPF
        return is_spf and not self.records and self._count_lookups() > MAX_LOOKUPS

    def _is_spf_idle(self) -> bool:
        """Tell whether an SPF record of his would be looked at by nobody (RFC 7208 §2.4)."""
        mail_from = self._diagnosis.mail_from_domain
        return (
            self._diagnosis.fix is Fix.PUBLISH_DKIM
            and self._reason is not Reason.DKIM
            and self._diagnosis.identity is not Identity.FROM
            and mail_from is not None
            and not _are_related(mail_from, self._diagnosis.domain)
        )


def _is_showable(record: DnsRecord) -> bool:
    """Tell whether a person can copy the record from where it is shown, and gets just that."""
    return all(
        text.isascii() and clean(text, MAX_VALUE_CHARS) == text
        for text in (record.name, record.type, record.value)
    )


def _find_purpose(record: DnsRecord) -> str:
    """Return what the record is for, as the words name it."""
    if record.name.startswith("_dmarc."):
        return "dmarc"
    if "._domainkey." in record.name:
        return "dkim"
    return "return-path" if record.type == "CNAME" else "spf"


def _count_replaced(record: DnsRecord | None) -> int:
    return len(record.replaces.splitlines()) if record and record.replaces else 0


def _show_replaced(record: DnsRecord) -> tuple[str, ...]:
    lines = (record.replaces or "").splitlines()[:MAX_REPLACED]
    cleaned = (clean(line, MAX_REPLACED_CHARS) for line in lines)
    return tuple(line for line in cleaned if line)


def _are_related(one: str, other: str) -> bool:
    """Tell whether one of the domains is the other or lies below it."""
    return f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}")
