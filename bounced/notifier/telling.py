"""Turns a claimed notice into what its mail shows: grouped, cut to size, in one language; pure.

Cases stand by category, then by reason, so that forty of them share one explanation. Where many
have one reason, each is a line below the protocol that it shares with others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from zoneinfo import ZoneInfo

from bounced.config import NoticeSettings
from bounced.diagnosis import Fix
from bounced.ledger.records import ClaimedNotice, Entry
from bounced.model import Category, Reason, domain_key, split_address
from bounced.notifier.grouping import (
    choose_shown,
    count_recipients,
    find_group_key,
    find_kind,
    find_suggestion,
    find_words_key,
    has_hidden_target,
    name_subject,
    show_subject,
    sort_entries,
)
from bounced.notifier.protocols import MAX_RECIPIENTS, Protocols
from bounced.notifier.replies import MAX_SEEN_CHARS, fold_reply, mask_reply
from bounced.notifier.view import (
    BatchView,
    CaseView,
    GroupView,
    LinkView,
    NoticeView,
    ProtocolView,
    ReplyView,
    SectionView,
)
from bounced.words.advice import AdviceView, tell_advice
from bounced.words.catalogue import Words
from bounced.words.cleaning import clean, clean_domain, clean_own_domain, clean_url
from bounced.words.naming import MAX_TITLE_CHARS

MAX_PROTOCOLS = 10
"""Protocols shown of one case."""
MAX_SUBJECT_TITLE_CHARS = 60
MAX_REPLY_CHARS = 500
MAX_REPLY_CHARS_IN_DIGEST = 160
DIGEST_CASES = 6
"""From this many cases on, the servers' words are cut shorter."""
OVERVIEW_CASES = 10
"""From this many cases on, their reasons are counted at the top."""
COMPACT_CASES = 8
"""From this many addresses with one reason on, each is one line."""

Links = Callable[[ClaimedNotice, Entry | None], str]
"""The URL of the page of one case; for None, of the author's settings."""


def build_view(
    notice: ClaimedNotice,
    words: Words,
    settings: NoticeSettings,
    links: Links | None,
    *,
    from_address: str = "",
) -> NoticeView:
    """Return what the mail shows; total for any texts in the notice, which has an entry.

    `from_address` is what `tell_advice` takes.
    """
    return _Teller(notice, words, settings, links, from_address).tell()


@dataclass(frozen=True, slots=True)
class _Reply:
    """A server's words as one case shows them, and as they are compared with others."""

    words: str
    common: str


_UNSAID = _Reply("", "")


class _Teller:
    """What every part of one view needs at hand."""

    def __init__(
        self,
        notice: ClaimedNotice,
        words: Words,
        settings: NoticeSettings,
        links: Links | None,
        from_address: str,
    ) -> None:
        self._notice = notice
        self._entries = sort_entries(notice.entries)
        self._shown = choose_shown(self._entries)
        self._words = words
        self._links = links
        self._from_address = from_address
        self._zone = ZoneInfo(settings.timezone)
        self._protocols = Protocols(words, settings)
        self._application_url = clean_url(settings.application_url)
        self._application = clean(settings.application_name, MAX_TITLE_CHARS) or words.say(
            "notice.application"
        )
        self._own_domains = tuple(
            split_address(address)[1]
            for address in (notice.author, notice.message_id, settings.sender)
        )
        self._common = self._find_common()
        self._marked: list[LinkView] = []

    def tell(self) -> NoticeView:
        return NoticeView(
            subject=self._tell_subject(),
            intro=self._tell_intro(),
            common=self._common,
            overview=tuple(self._tell_overview()),
            list_note=self._tell_list_note(),
            sections=tuple(
                self._tell_section(category, list(entries))
                for category, entries in groupby(self._shown, key=lambda entry: entry.category)
            ),
            mended=tuple(self._tell_mended()),
            closing=tuple(self._tell_closing()),
            automatic=self._words.say("notice.automatic", application=self._application),
            application_url=self._application_url,
            settings=self._tell_link(None, "notice.settings"),
            marked=tuple(self._marked),
        )

    def _find_common(self) -> ProtocolView | None:
        """Return the one protocol that several cases have in common."""
        strikes = [strike for entry in self._entries for strike in entry.strikes]
        if len(self._entries) == 1:
            return None
        if len({self._protocols.find_key(strike) for strike in strikes}) > 1:
            return None
        return self._protocols.tell(strikes, with_recipients=False)

    def _tell_subject(self) -> str:
        if len(self._entries) == 1:
            entry = self._entries[0]
            return self._words.say(
                f"subject.{find_kind(entry)}",
                count=len(self._protocols.group(entry.strikes)),
                number=entry.number,
                of=entry.max_notices,
                **name_subject(entry),
            )
        count = count_recipients(self._entries)
        name = self._protocols.name(self._entries[0].strikes[0]) if self._common else ""
        if not name:
            return self._words.say("subject.several", count=count)
        title = clean(name, MAX_SUBJECT_TITLE_CHARS)
        return self._words.say("subject.common", count=count, title=title)

    def _tell_intro(self) -> str:
        if len(self._entries) > 1:
            key = "intro.common" if self._common else "intro.several"
            return self._words.say(key, count=count_recipients(self._entries))
        entry = self._entries[0]
        kind = find_kind(entry)
        count = (
            count_recipients(self._entries)
            if kind == "domain"
            else len(self._protocols.group(entry.strikes))
        )
        return self._words.say(f"intro.{kind}", count=count, **name_subject(entry))

    def _tell_overview(self) -> Iterable[str]:
        counts = Counter(find_words_key(entry).removeprefix("reason.") for entry in self._entries)
        if len(self._entries) >= OVERVIEW_CASES and len(counts) > 1:
            for reason, count in counts.most_common():
                yield self._words.say(f"overview.{reason}", count=count)

    def _tell_list_note(self) -> str | None:
        file = self._words.say("list.file")
        if len(self._shown) < len(self._entries):
            return self._words.say(
                "list.cases", count=len(self._entries), shown=len(self._shown), file=file
            )
        if any(self._leaves_out_recipients(entry) for entry in self._shown):
            return self._words.say("list.recipients", file=file)
        return None

    def _leaves_out_recipients(self, entry: Entry) -> bool:
        return find_kind(entry) == "domain" and (
            count_recipients([entry]) > MAX_RECIPIENTS
            or len(self._protocols.group(entry.strikes)) > MAX_PROTOCOLS
        )

    def _tell_mended(self) -> Iterable[str]:
        """Return a sentence for each domain that is in order, unless it was refused since."""
        refused = {domain_key(entry.subject) for entry in self._entries}
        for each in self._notice.mended:
            if domain_key(each.domain) not in refused:
                when = self._words.say_time(each.mended_at, self._zone)
                domain = clean_own_domain(each.domain)
                yield self._words.say("notice.mended", domain=domain, when=when)

    def _tell_closing(self) -> Iterable[str]:
        kind = find_kind(self._entries[0]) if len(self._entries) == 1 else "several"
        if not all(entry.last for entry in self._entries):
            of = max(entry.max_notices for entry in self._entries)
            yield self._words.say(f"closing.{kind}", of=of)
        if any(entry.last for entry in self._entries):
            is_ours = len(self._entries) == 1 and _is_ours(self._entries[0])
            yield self._words.say(f"closing.{'ours' if is_ours else kind}_last")

    def _tell_section(self, category: Category, entries: Sequence[Entry]) -> SectionView:
        return SectionView(
            heading=self._words.say(f"category.{category.value}"),
            groups=tuple(
                self._tell_group(key, list(group))
                for (key, _), group in groupby(entries, find_group_key)
            ),
        )

    def _tell_group(self, key: str, entries: Sequence[Entry]) -> GroupView:
        compact = len(entries) >= COMPACT_CASES and find_kind(entries[0]) == "address"
        count = len(entries)
        advice = self._tell_advice(entries[0])
        replies = {entry.case: self._find_reply(entry) for entry in entries}
        counts = Counter(reply.common for reply in replies.values() if reply.common)
        shared = {text: n for text, n in counts.most_common() if n > 1} if compact else {}
        own = {case: reply for case, reply in replies.items() if reply.common not in shared}
        return GroupView(
            heading=self._words.say(f"{key}.heading", count=count, **name_subject(entries[0])),
            explanation=advice.explanation
            if advice
            else self._words.say(f"{key}.explanation", count=count),
            action=advice.action if advice else self._words.say(f"{key}.action", count=count),
            advice=advice,
            compact=compact,
            batches=tuple(
                self._tell_batch(batch, own, compact=compact)
                for batch in self._batch(entries, compact=compact)
            ),
            replies=tuple(
                ReplyView(self._words.say("notice.reply_same", count=n), self._cut(text))
                for text, n in shared.items()
            ),
        )

    def _tell_advice(self, entry: Entry) -> AdviceView | None:
        if find_kind(entry) != "domain":
            return None
        return tell_advice(
            entry.diagnosis,
            entry.reason,
            self._words,
            application=self._application,
            from_address=self._from_address,
            zone=self._zone,
        )

    def _batch(self, entries: Sequence[Entry], *, compact: bool) -> Iterable[Sequence[Entry]]:
        """Return the entries one by one; where they are many, those of the same protocols."""
        if not compact:
            return [[entry] for entry in entries]
        batches: dict[object, list[Entry]] = {}
        for entry in entries:
            key = frozenset(self._protocols.find_key(strike) for strike in entry.strikes)
            batches.setdefault(key, []).append(entry)
        return batches.values()

    def _tell_batch(
        self, entries: Sequence[Entry], replies: dict[str, _Reply], *, compact: bool
    ) -> BatchView:
        is_domain = find_kind(entries[0]) == "domain"
        groups = self._protocols.group(entries[0].strikes)
        shown = groups[:MAX_PROTOCOLS] if is_domain or self._common is None else []
        more = len(groups) - len(shown) if shown else 0
        return BatchView(
            protocols=tuple(
                self._protocols.tell(group, with_recipients=is_domain) for group in shown
            ),
            more_protocols=self._words.say("notice.more_protocols", count=more) if more else None,
            cases=tuple(
                self._tell_case(entry, replies.get(entry.case, _UNSAID), compact=compact)
                for entry in entries
            ),
        )

    def _tell_case(self, entry: Entry, reply: _Reply, *, compact: bool) -> CaseView:
        kind = find_kind(entry)
        return CaseView(
            subject=show_subject(entry),
            number=self._words.say(
                "notice.number_last" if entry.last else "notice.number",
                number=entry.number,
                of=entry.max_notices,
            ),
            suggestion=self._tell_suggestion(entry),
            link=self._tell_link(entry, self._find_label(entry, compact=compact), marked=compact),
            total=self._words.say(f"total.{kind}", count=entry.strikes_total)
            if entry.strikes_total > len(entry.strikes) and not compact
            else None,
            reply=ReplyView(self._name_server(entry), self._cut(reply.words))
            if reply.words
            else None,
        )

    def _find_label(self, entry: Entry, *, compact: bool) -> str:
        """Return the key of what the case's link offers."""
        advice = self._tell_advice(entry)
        if advice is not None and advice.records:
            return "notice.see_records"
        if advice is not None and advice.message:
            return "notice.see_message"
        if find_kind(entry) == "domain":
            return "notice.see_details" if _is_ours(entry) else "notice.fix_domain"
        offer = "fix" if entry.category is Category.BAD_ADDRESS else "change"
        return f"notice.{offer}_{'short' if compact else 'address'}"

    def _tell_suggestion(self, entry: Entry) -> str | None:
        meant = find_suggestion(entry)
        return self._words.say("notice.suggestion", address=meant) if meant else None

    def _tell_link(
        self, entry: Entry | None, label: str, *, marked: bool = False
    ) -> LinkView | None:
        if self._links is None:
            return None
        mark = f"[{len(self._marked) + 1}]" if marked else ""
        link = LinkView(self._words.say(label), self._links(self._notice, entry), mark)
        if marked:
            self._marked.append(link)
        return link

    def _name_server(self, entry: Entry) -> str:
        server = clean_domain(entry.strikes[0].remote_mta or "")
        return self._words.say("notice.reply_from" if server else "notice.reply", server=server)

    def _find_reply(self, entry: Entry) -> _Reply:
        """Return the server's words, unless they would give a forwarder's target away."""
        said = entry.strikes[0].reply
        if has_hidden_target(entry) or not said:
            return _UNSAID
        addresses = [entry.subject, self._notice.author, *(s.recipient for s in entry.strikes)]
        domains = [*self._own_domains, *(split_address(s.recipient)[1] for s in entry.strikes)]
        # The new address is what the server wants its sender to know (RFC 5321 §3.4).
        words = (
            clean(said, MAX_SEEN_CHARS)
            if entry.reason is Reason.MOVED
            else mask_reply(said, addresses, domains, all_domains=find_kind(entry) == "domain")
        )
        return _Reply(words, fold_reply(words, addresses))

    def _cut(self, text: str) -> str:
        is_digest = len(self._entries) >= DIGEST_CASES
        return clean(text, MAX_REPLY_CHARS_IN_DIGEST if is_digest else MAX_REPLY_CHARS)


def _is_ours(entry: Entry) -> bool:
    """Tell whether there is nothing that the author could put right."""
    return entry.diagnosis is not None and entry.diagnosis.fix is Fix.OURS
