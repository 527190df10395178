"""Holds a report's human-readable part and what it says of an address; total."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from bounced.model import Reply
from bounced.parser.evidence import (
    drop_advice,
    find_server_words,
    make_reply,
    read_passage,
    says_something,
    split_glued,
)
from bounced.parser.mime import RETURNED_TYPES, Message
from bounced.parser.passages import Passage, find_passages
from bounced.parser.text import join_spaces, squash
from bounced.parser.transcript import Exchange, read_transcript
from bounced.parser.wrapping import find_afterword

MAX_WHOLE_TEXT = 1_500
MAX_REPLIES = 20
MAX_EXCHANGES = 200

_OPENSMTPD = "This is the MAILER-DAEMON, please DO NOT REPLY to this email."


@dataclass(frozen=True, slots=True)
class Answer:
    """One exchange of a session transcript, read."""

    reply: Reply
    words: str
    """Letters and digits of all that the server said, for comparison."""
    named: bool
    """Tells whether it was said to certain addresses."""


@dataclass(frozen=True, slots=True)
class HumanText:
    """One readable part, cut before the returned message if that is quoted in it."""

    part: int
    text: str
    passages: tuple[Passage, ...]
    by_address: Mapping[str, Sequence[Passage]]
    """The passages by lower-case address, and by that before redirection."""
    answers: tuple[Answer, ...]
    answers_by_address: Mapping[str, Sequence[Answer]]
    answers_by_host: Mapping[str | None, Sequence[Answer]]
    glued: bool
    """Tells whether the server that wrote it joins the lines of a reply without a space."""

    def find_passages(self, addresses: Iterable[str]) -> list[Passage]:
        """Return the passages on any of these lower-case addresses."""
        return [passage for name in addresses for passage in self.by_address.get(name, ())]

    def find_named(self, addresses: set[str]) -> list[Reply]:
        """Return what the part says of these (lower-case) addresses, the server's words first."""
        told = (answer for name in addresses for answer in self.answers_by_address.get(name, ()))
        answers = list(dict.fromkeys(answer.reply for answer in islice(told, MAX_REPLIES)))
        passages = self.find_passages(addresses)[:MAX_REPLIES]
        said = [drop_advice(read_passage(each.text, self._place(each.line))) for each in passages]
        added = [
            make_reply(afterword, self._place(each.line))
            for each in passages
            if (afterword := find_afterword(join_spaces(each.text)))
        ]
        return [reply for reply in (*answers, *said, *added) if reply is not None]

    def find_seams(self, replies: Iterable[Reply]) -> list[Reply]:
        """Return the replies anew whose lines this part's server joined without a space."""
        if not self.glued:
            return []
        return [apart for reply in replies if (apart := split_glued(reply)) is not None]

    def find_unnamed(self, host: str | None, *, only: bool) -> list[Reply]:
        """Return what this host answered without telling to whom.

        `only` tells that the report speaks of one recipient, so that an unknown host is his.
        """
        if only and host is None:
            heard: Sequence[Answer] = self.answers
        elif only:
            heard = tuple(
                a for a in self.answers if _fold_host(a.reply.host) in {None, _fold_host(host)}
            )
        else:
            heard = self.answers_by_host.get(_fold_host(host), ()) if host else ()
        answers = (answer.reply for answer in heard if only or not answer.named)
        return list(islice(answers, MAX_REPLIES))

    def find_begun(self, words: str) -> list[Reply]:
        """Return the one reply to nobody in particular that begins with these words, if it is one.

        Sendmail tells a recipient the first line only, and of a server that would not even greet
        not the name.
        """
        begun = [
            answer
            for answer in self.answers
            if not answer.named and answer.words.startswith(words)
        ]
        return [begun[0].reply] if len({answer.words for answer in begun}) == 1 else []

    def find_words(self, first: int = 0, end: int | None = None) -> list[Reply]:
        """Return what lines say that name nobody: from a server's reply on, then the whole.

        Better than nothing where nothing stands beside the address; `first` counts from 0.
        """
        text = "\n".join(self.text.split("\n")[first:end])[:MAX_WHOLE_TEXT]
        found = [drop_advice(read_passage(text, f"part {self.part}, line {first + 1}"))]
        if server := find_server_words(text):
            line = first + text.count("\n", 0, server[0]) + 1
            reply = make_reply(server[1], self._place(line))
            whole = found[0]
            found.insert(
                0, reply and whole and replace(reply, host=whole.host, command=whole.command)
            )
        return [reply for reply in found if reply and says_something(reply.text)]

    def _place(self, line: int) -> str:
        return f"part {self.part}, line {line}"


def _fold_host(host: str | None) -> str | None:
    return host and host.lower().rstrip(".")


def read_human_text(part: int, text: str) -> HumanText:
    """Read one readable part; total."""
    passages = tuple(find_passages(text))
    by_address: dict[str, list[Passage]] = {}
    for passage in passages:
        # Actually, Exim tells the address that it made of the recipient's, and of him only that.
        for name in {each.lower() for each in (passage.address, passage.original) if each}:
            by_address.setdefault(name, []).append(passage)
    answers: list[Answer] = []
    answers_by_address: defaultdict[str, list[Answer]] = defaultdict(list)
    answers_by_host: defaultdict[str | None, list[Answer]] = defaultdict(list)
    for exchange in read_transcript(text)[:MAX_EXCHANGES]:
        answer = _read_exchange(part, exchange)
        if answer is None:
            continue
        answers.append(answer)
        answers_by_host[_fold_host(exchange.host)].append(answer)
        for address in {each.lower() for each in exchange.addresses}:
            answers_by_address[address].append(answer)
    return HumanText(
        part,
        text,
        passages,
        by_address,
        tuple(answers),
        dict(answers_by_address),
        dict(answers_by_host),
        _OPENSMTPD in text,
    )


def _read_exchange(part: int, exchange: Exchange) -> Answer | None:
    where = f"part {part}, line {exchange.line}"
    reply = make_reply(exchange.text, where, host=exchange.host, command=exchange.command)
    if reply is None:
        return None
    return Answer(reply, squash(exchange.text), named=bool(exchange.addresses))


def find_human_texts(message: Message, without: Sequence[int] = ()) -> list[tuple[int, str]]:
    """Return number and text of the readable parts before the returned message.

    HTML counts only where there is no plain text; `without` names parts that are something else.
    """
    plain: list[tuple[int, str]] = []
    markup: list[tuple[int, str]] = []
    for part in message.parts:
        if part.content_type in RETURNED_TYPES:
            break
        if part.number in without or not part.text.strip():
            continue
        if part.content_type == "text/plain":
            plain.append((part.number, part.text))
        elif part.content_type == "text/html":
            markup.append((part.number, part.text))
    return plain or markup
