"""Why a recipient failed: the rules heard in their stages, and the guard over `bad-address`.

DESIGN §7. An earlier stage over all replies settles the matter before the next stage is heard, so
that a receiver's own words beat every status code; within a stage the most decisive reply speaks
first, and of its rules the first. Total: any facts get a verdict, unknown where no rule speaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bounced.model import UNKNOWN_VERDICT, Category, Reason, RecipientFacts, Reply, Verdict
from bounced.parser.folding import View, quote_link, quote_words, read_view
from bounced.parser.guard import answers_too_early, find_excuse
from bounced.parser.rule import STAGES, Rule, RuleSet, Span, Stage

MAX_REPLIES = 8
"""As many texts of one recipient are heard; a report with more repeats itself."""
_MAX_EVIDENCE_CHARS = 300
_STATUS_FIELD = "Status field"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that matched, whether or not it decided."""

    rule: str
    stage: Stage
    category: Category
    reason: Reason
    evidence: str
    where: str
    lost: str | None
    """Why it did not decide, in words; None for the rule that did."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict with everything that was considered, the winner first, in deciding order."""

    verdict: Verdict
    candidates: tuple[Candidate, ...]


def classify(
    facts: RecipientFacts, rules: RuleSet, *, reporting_mta: str | None = None
) -> Verdict:
    """Decide why this recipient, whose action is failed, failed; total."""
    hearing = _Hearing(facts, rules, reporting_mta)
    best: _Match | None = None
    for statement in hearing.statements:
        match = next((match for match in hearing.hear(statement) if match.veto is None), None)
        if match and (best is None or match.rank < best.rank):
            best = match
        if best and best.rule.stage is Stage.RECEIVER:
            break
    return best.verdict if best else UNKNOWN_VERDICT


def explain(
    facts: RecipientFacts, rules: RuleSet, *, reporting_mta: str | None = None
) -> Explanation:
    """Decide as `classify` does and tell of every rule that matched what became of it; total."""
    hearing = _Hearing(facts, rules, reporting_mta)
    matches = [match for statement in hearing.statements for match in hearing.hear(statement)]
    matches.sort(key=lambda match: (match.veto is not None, match.rank))
    winner = matches[0] if matches and matches[0].veto is None else None
    return Explanation(
        winner.verdict if winner else UNKNOWN_VERDICT,
        tuple(match.tell(winner) for match in matches),
    )


class _Statement:
    """One reply with its view and the codes that go with it."""

    def __init__(self, reply: Reply, facts: RecipientFacts, position: int) -> None:
        self.reply = reply
        self.position = position
        self.smtp_code = reply.smtp_code or facts.smtp_code
        self.status = reply.status or facts.status

    @cached_property
    def view(self) -> View:
        return read_view(self.reply.text)

    @cached_property
    def excuse(self) -> str | None:
        return find_excuse(self.view.words)


@dataclass(frozen=True, slots=True)
class _Match:
    rule: Rule
    statement: _Statement
    span: Span
    veto: str | None

    @property
    def rank(self) -> tuple[int, int]:
        """Sort key of the deciding order; of one statement, earlier rules come first anyway."""
        return STAGES.index(self.rule.stage), self.statement.position

    @property
    def evidence(self) -> str:
        """The exact text that the rule matched, else the code that it stands on."""
        text = self.statement.reply.text
        if self.span.linked:
            return quote_link(text, self.span.start)[:_MAX_EVIDENCE_CHARS]
        if self.span.end:
            return quote_words(text, self.span.start, self.span.end)[:_MAX_EVIDENCE_CHARS]
        return (self.rule.status and self.statement.status) or str(self.statement.smtp_code or "")

    @property
    def where(self) -> str:
        """The reply's place, or the Status field where only that one told the code."""
        reply = self.statement.reply
        stands = self.span.end or self.evidence in reply.text
        return reply.where if stands else _STATUS_FIELD

    @property
    def verdict(self) -> Verdict:
        rule = self.rule
        return Verdict(rule.category, rule.reason, rule.id, self.evidence, self.where)

    def tell(self, winner: _Match | None) -> Candidate:
        rule = self.rule
        return Candidate(
            rule.id,
            rule.stage,
            rule.category,
            rule.reason,
            self.evidence,
            self.where,
            self._tell_loss(winner),
        )

    def _tell_loss(self, winner: _Match | None) -> str | None:
        if self.veto is not None or winner is None:
            return self.veto
        if self is winner:
            return None
        if self.rule.stage is not winner.rule.stage:
            return f"stage {winner.rule.stage} is heard before stage {self.rule.stage}"
        if self.statement is not winner.statement:
            return f"{winner.where} is more decisive"
        return f"stands behind {winner.rule.id}"


class _Hearing:
    """One recipient's statements before the rules."""

    def __init__(self, facts: RecipientFacts, rules: RuleSet, reporting_mta: str | None) -> None:
        replies = facts.replies[:MAX_REPLIES] or (Reply("", _STATUS_FIELD),)
        self.rules = rules
        self.statements = [_Statement(reply, facts, n) for n, reply in enumerate(replies)]
        self.hosts = [
            host.lower().rstrip(".") for host in (facts.remote_mta, reporting_mta) if host
        ]

    def hear(self, statement: _Statement) -> Iterator[_Match]:
        """Yield the rules that match a statement in order, vetoed ones too."""
        view = statement.view
        reply = statement.reply
        hosts = [reply.host.lower().rstrip("."), *self.hosts] if reply.host else self.hosts
        for rule, near in self.rules.find_candidates(view, statement.status):
            if (
                (not rule.codes or statement.smtp_code in rule.codes)
                and (not rule.commands or reply.command in rule.commands)
                and rule.match_status(statement.status)
                and rule.match_host(hosts)
            ):
                span = rule.match_words(view, near)
                if span is not None:
                    yield _Match(rule, statement, span, self._find_veto(rule, statement))

    def _find_veto(self, rule: Rule, statement: _Statement) -> str | None:
        """Tell what forbids this verdict: words that excuse the recipient, or a reply too early.

        A mere code is vetoed by an excuse in any of the recipient's replies.
        """
        if rule.category is not Category.BAD_ADDRESS:
            return None
        if answers_too_early(statement.reply.command, rule.reason):
            return f"a reply to {statement.reply.command} cannot know the recipient"
        worded = rule.stage in {Stage.RECEIVER, Stage.LANGUAGE}
        for heard in [statement] if worded else self.statements:
            if heard.excuse is not None:
                return f"never bad-address where the reply says {heard.excuse!r}"
        return None
