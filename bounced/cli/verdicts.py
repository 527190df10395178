"""How a verdict is shown with its reasons: the words that decided, and what lost and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from bounced.cli.output import print_lines, show
from bounced.model import RecipientFacts, Reply, Verdict
from bounced.parser.classify import Candidate, Explanation

_DECISIVE = "bold reverse"
_NAME = "bold"
_ROOM = 400
"""Characters shown around the words that decided, where a text is long; --json has all."""
_INDENT = 2


def print_replies(facts: RecipientFacts, explained: Explanation | None) -> None:
    """Print what was said, with its place; the words that decided are marked in their sentence."""
    winner = _find_winner(explained)
    for number, reply in enumerate(facts.replies):
        marked = winner.stands_at if winner and winner.reply == number else None
        print_lines([Text(_tell_speaker(reply))], indent=_INDENT)
        print_lines([_mark(reply.text, marked)], indent=2 * _INDENT)


def print_verdict(explained: Explanation) -> None:
    """Print the verdict, what decided, and the rules that matched and lost."""
    print_lines(_tell_verdict(explained), indent=_INDENT, hang=_INDENT)
    losers = [candidate for candidate in explained.candidates if candidate.lost is not None]
    if losers:
        print_lines([Text("matched too, and lost")], indent=_INDENT)
        print_lines(map(_tell_loser, losers), indent=2 * _INDENT, hang=_INDENT)


def describe_verdict(verdict: Verdict | None) -> dict[str, Any]:
    """Return a verdict as JSON; every value is null where there is none."""
    return {
        "category": verdict.category.value if verdict else None,
        "reason": verdict.reason.value if verdict else None,
        "rule": verdict.rule if verdict else None,
        "evidence": verdict.evidence if verdict else None,
        "where": verdict.where if verdict else None,
    }


def describe_replies(replies: Sequence[Reply]) -> list[dict[str, Any]]:
    """Return what was said as JSON."""
    return [
        {
            "text": reply.text,
            "where": reply.where,
            "smtp_code": reply.smtp_code,
            "status": reply.status,
            "host": reply.host,
            "command": reply.command,
        }
        for reply in replies
    ]


def describe_candidates(explained: Explanation | None) -> list[dict[str, Any]]:
    """Return every rule that matched as JSON, the winner first."""
    return [
        {
            "rule": candidate.rule,
            "stage": candidate.stage.value,
            "category": candidate.category.value,
            "reason": candidate.reason.value,
            "evidence": candidate.evidence,
            "where": candidate.where,
            "reply": candidate.reply,
            "stands_at": candidate.stands_at,
            "lost": candidate.lost,
        }
        for candidate in (explained.candidates if explained else ())
    ]


def _find_winner(explained: Explanation | None) -> Candidate | None:
    candidates = explained.candidates if explained else ()
    return next((candidate for candidate in candidates if candidate.lost is None), None)


def _tell_speaker(reply: Reply) -> str:
    speaker = f" by {show(reply.host)}" if reply.host else ""
    command = f" to {reply.command}" if reply.command else ""
    return f"said{speaker}{command}, {show(reply.where)}:"


def _tell_verdict(explained: Explanation) -> Iterator[Text]:
    verdict, winner = explained.verdict, _find_winner(explained)
    if winner is None:
        why = (
            "the rules that match are forbidden"
            if explained.candidates
            else "no rule speaks of these words"
        )
        yield Text.assemble("verdict: ", ("unknown", _NAME), f"; {why}")
        return
    what = f"{verdict.category.value} / {verdict.reason.value}"
    rule = f", rule {winner.rule} (stage {winner.stage.value})"
    yield Text.assemble("verdict: ", (what, _NAME), rule)
    yield Text(f'decided by "{show(winner.evidence)}" in {show(winner.where)}')


def _tell_loser(candidate: Candidate) -> Text:
    about = f"{candidate.category.value} / {candidate.reason.value}"
    return Text(
        f'{candidate.rule} ({about}) by "{show(candidate.evidence)}": {show(candidate.lost)}'
    )


def _mark(text: str, marked: tuple[int, int] | None) -> Text:
    """Return a reply with the words that decided in their sentence, cut where it is long."""
    start, end = marked or (0, 0)
    first, last = max(0, start - _ROOM), end + _ROOM
    parts = [text[first:start], text[start:end], text[end:last]]
    before, words, behind = (show(part) for part in parts)
    left_out = len(text) - last
    return Text.assemble(
        "…" if first else "",
        before,
        (words, _DECISIVE),
        behind,
        f"… ({left_out:,} more characters)" if left_out > 0 else "",
    )
