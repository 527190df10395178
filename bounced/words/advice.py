"""What an author is told of his domain: a diagnosis in plain words, for mail, page and command.

Names of records stay as they are (SPF, DKIM, DMARC, CNAME, TXT): the web host needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from bounced.diagnosis import Diagnosis, Fix
from bounced.model import Reason
from bounced.words.catalogue import Words
from bounced.words.cleaning import MAX_ADDRESS_CHARS, clean, clean_own_domain
from bounced.words.hosters import find_hoster_text
from bounced.words.letter import write_letter
from bounced.words.matter import PUBLISHED, Matter
from bounced.words.records import RecordView, count_replaced, list_left_out, show_records


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
    """A letter to whoever runs the DNS, lines parted by line feeds; None: nothing to ask for."""


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
    matter = Matter(diagnosis, reason)
    told = _Advice(matter, words, application, clean(from_address, MAX_ADDRESS_CHARS))
    if matter.is_gone:
        return AdviceView(
            " ".join((*refused, words.say("advice.gone.explanation", domain=told.domain))),
            words.say("advice.gone.action"),
            checked=told.tell_time(zone),
        )
    records = tuple(show_records(matter.records, diagnosis, words))
    return AdviceView(
        explanation=" ".join((*refused, *told.explain())),
        action=" ".join(told.recommend()),
        records=records,
        hint=told.tell_hint(records),
        hoster=told.find_hoster(),
        checked=told.tell_time(zone),
        message=write_letter(matter, words),
    )


class _Advice:
    """What every sentence about one diagnosis needs at hand."""

    def __init__(self, matter: Matter, words: Words, application: str, from_address: str) -> None:
        self._matter = matter
        self._words = words
        self._application = application
        self._from_address = from_address
        self.domain = clean_own_domain(matter.diagnosis.domain)

    def explain(self) -> Iterable[str]:
        matter, say = self._matter, self._words.say
        name = clean_own_domain(matter.spf_name)
        yield say(
            f"advice.{matter.variant}.explanation",
            count=count_replaced(matter.spf_record),
            domain=self.domain,
            name=name,
            application=self._application,
            lookups=matter.lookups,
        )
        if matter.is_full and matter.fix is not Fix.MERGE_SPF:
            yield say(
                f"advice.{matter.full_variant}.explanation",
                name=name,
                application=self._application,
                lookups=matter.lookups,
            )
        if matter.is_full and matter.present_spf:
            yield say("advice.present-spf.explanation", record=matter.present_spf)
        if matter.is_spf_explained:
            kind = "from" if name == self.domain else "return"
            yield say(f"advice.{kind}-domain.explanation", name=name)
        if matter.is_spf_idle:
            # Which domain it is, is not said: behind a forwarder it may be the forwarder's.
            yield say("advice.idle-spf.explanation", domain=self.domain)
        if matter.is_open:
            yield say("advice.plus-all.explanation")

    def recommend(self) -> Iterable[str]:
        if self._matter.is_open:
            yield self._words.say("advice.plus-all.action")
        if self._matter.fix not in PUBLISHED:
            yield from self._recommend_nothing()
        elif not self._matter.records:
            key = "crowded-spf" if self._matter.is_full else "no-record"
            yield self._words.say(f"advice.{key}.action")
        else:
            yield from self._recommend_records()
        if self._matter.is_full and self._matter.fix is not Fix.MERGE_SPF:
            yield self._words.say("advice.make-room.action")

    def tell_hint(self, records: Sequence[RecordView]) -> str | None:
        if not records:
            return None
        delay = self._words.say("advice.delay")
        if all(record.short_name for record in records):
            return delay
        return f"{self._words.say('advice.hint')} {delay}"

    def find_hoster(self) -> str | None:
        key = self._matter.diagnosis.hoster
        is_of_dns = self._matter.fix in PUBLISHED or self._matter.is_full
        if key is None or not is_of_dns:
            return None
        text = find_hoster_text(key, self._words.language)
        return self._words.say("advice.hoster", hoster=text) if text else None

    def tell_time(self, zone: tzinfo) -> str | None:
        if self._matter.diagnosis.freemail:
            return None
        when = self._words.say_time(self._matter.diagnosis.checked_at, zone)
        return self._words.say("advice.checked", when=when)

    def _recommend_nothing(self) -> Iterable[str]:
        """Return what he can do where he has nothing to publish."""
        say, fix = self._words.say, self._matter.fix
        match fix:
            case Fix.USE_OUR_ADDRESS if self._from_address:
                yield say("advice.our-address.action", from_address=self._from_address)
            case Fix.ASK_RECEIVER if self._matter.is_open:
                yield say("advice.open-spf.action")
            case Fix.NONE if self._matter.is_open:
                pass
            case _:
                yield say(f"advice.{fix.value}.action")
        if self._matter.reason and fix in {Fix.NONE, Fix.USE_OUR_ADDRESS}:
            yield say("advice.again.action")

    def _recommend_records(self) -> Iterable[str]:
        matter, say, fix = self._matter, self._words.say, self._matter.fix
        if fix in {Fix.MERGE_SPF, Fix.RETURN_PATH_CNAME}:
            key = fix.value
        else:
            key = "broken-dmarc" if matter.variant == "broken-dmarc" else "publish"
        yield say(f"advice.{key}.action", count=matter.count_meant)
        if gone := list_left_out(matter.spf_record):
            yield say("advice.left-out.action", terms=", ".join(gone))
        if matter.is_adding_besides:
            yield say("advice.besides.action")
        if matter.is_replacing_besides:
            yield say("advice.instead.action")
        if matter.reason:
            # A return path is one step of two, the other ours.
            key = "again-later" if fix is Fix.RETURN_PATH_CNAME else "resend"
            yield say(f"advice.{key}.action", count=len(matter.records))
