"""The letter to whoever runs a domain's DNS: what he is asked for, in his own terms; pure.

It speaks to him, so nothing in it is about "your web host", and every name is an A-label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bounced.diagnosis import Fix
from bounced.words.catalogue import Words
from bounced.words.cleaning import MAX_ADDRESS_CHARS, clean, to_a_labels
from bounced.words.matter import Matter
from bounced.words.records import RecordView, is_split, list_left_out, show_records


def write_letter(matter: Matter, words: Words) -> str | None:
    """Return the letter, lines parted by line feeds; None: there is nothing to ask for."""
    if matter.records:
        paragraphs = _ask_for_records(matter, words)
    elif matter.is_full:
        paragraphs = _ask_for_room(matter, words)
    else:
        return None
    whole = (words.say("notice.greeting"), *paragraphs, words.say("advice.message.thanks"))
    return "\n\n".join(whole) + "\n"


def _ask_for_records(matter: Matter, words: Words) -> Iterator[str]:
    yield " ".join(_ask(matter, words))
    for record in show_records(matter.records, matter.diagnosis, words):
        yield "\n".join(_list_lines(record, words))
    if any(map(is_split, matter.records)):
        yield words.say("advice.message.split")
    yield words.say("advice.message.names")


def _ask(matter: Matter, words: Words) -> Iterable[str]:
    if matter.fix is Fix.MERGE_SPF:
        key = "replace"
    else:
        key = "broken-dmarc" if matter.variant == "broken-dmarc" else "publish"
    yield words.say(
        f"advice.message.{key}", count=matter.count_meant, domain=_name(matter.diagnosis.domain)
    )
    if matter.is_adding_besides:
        yield words.say("advice.besides.action")
    if matter.is_replacing_besides:
        yield words.say("advice.message.instead")
    if gone := list_left_out(matter.spf_record):
        yield words.say("advice.left-out.action", terms=", ".join(gone))


def _ask_for_room(matter: Matter, words: Words) -> Iterator[str]:
    yield words.say(
        "advice.message.shorten", count=matter.lookups_left, name=_name(matter.spf_name)
    )
    if matter.present_spf:
        yield f"{words.say('advice.message.present')}\n{matter.present_spf}"


def _list_lines(record: RecordView, words: Words) -> Iterable[str]:
    for part, value in (
        ("name", record.name),
        ("type", record.type),
        ("value", record.value),
        *(("replaces", each) for each in record.replaces),
    ):
        yield f"{words.say(f'advice.{part}')}: {value}"


def _name(domain: str) -> str:
    return to_a_labels(clean(domain, MAX_ADDRESS_CHARS))
