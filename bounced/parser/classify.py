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
from bounced.parser.folding import Alignment, View, read_view
from bounced.parser.guard import answers_too_early, find_excuse
from bounced.parser.phrase import Span
from bounced.parser.rule import STAGES, Findings, Rule, RuleSet, Stage

MAX_REPLIES = 8
"""As many texts of one recipient are heard; a report with more repeats itself."""
_MAX_EVIDENCE_CHARS = 300
_STATUS_FIELD = "Status field"
_REPLY_CODE = "reply code"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that matched, whether or not it decided."""

    rule: str
    stage: Stage
    category: Category
    reason: Reason
    evidence: str
    where: str
    reply: int
    """The number of the recipient's reply that it matched, from 0."""
    stands_at: tuple[int, int] | None
    """Start and end of the evidence in the reply's text; None where it stands in no text."""
    lost: str | None
    """Why it did not decide, in words; None for the rule that did."""
    vetoed: bool = False
    """Whether the guard forbids it whatever else matches."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict with everything that was considered, the winner first, in deciding order."""

    verdict: Verdict
    candidates: tuple[Candidate, ...]


class Texts:
    """What was read of the texts of one report: what a server said to many is read once."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._read: dict[str, _Text] = {}

    def read(self, text: str) -> _Text:
        """Return what is known of a text, read now or before."""
        if text not in self._read:
            self._read[text] = _Text(text, self._rules)
        return self._read[text]


def classify(
    facts: RecipientFacts,
    rules: RuleSet,
    *,
    reporting_mta: str | None = None,
    texts: Texts | None = None,
) -> Verdict:
    """Decide why this recipient, whose action is failed, failed; total.

    `texts` are those of the other recipients of the same report, made with the same rules.
    """
    hearing = _Hearing(facts, rules, reporting_mta, texts or Texts(rules))
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
    hearing = _Hearing(facts, rules, reporting_mta, Texts(rules))
    matches = [match for statement in hearing.statements for match in hearing.hear(statement)]
    matches.sort(key=lambda match: (match.veto is not None, match.rank))
    winner = matches[0] if matches and matches[0].veto is None else None
    return Explanation(
        winner.verdict if winner else UNKNOWN_VERDICT,
        tuple(match.tell(winner) for match in matches),
    )


class _Text:
    """A reply's text as rules and guard see it."""

    def __init__(self, text: str, rules: RuleSet) -> None:
        self._text = text
        self._rules = rules

    @cached_property
    def findings(self) -> Findings:
        return self._rules.find_phrases(self._view)

    @cached_property
    def alignment(self) -> Alignment:
        return Alignment(self._text)

    @cached_property
    def excuse(self) -> str | None:
        return find_excuse(self._view.words)

    @cached_property
    def _view(self) -> View:
        return read_view(self._text)


class _Statement:
    """One reply with its text as read and the codes that go with it."""

    def __init__(self, reply: Reply, text: _Text, facts: RecipientFacts, position: int) -> None:
        self.reply = reply
        self.text = text
        self.position = position
        self.smtp_code = reply.smtp_code or facts.smtp_code
        self.status = reply.status or facts.status


class _Match:
    """A rule that agrees with a statement, and what forbids it all the same."""

    def __init__(self, rule: Rule, statement: _Statement, span: Span, veto: str | None) -> None:
        self.rule = rule
        self.statement = statement
        self.veto = veto
        self._span = span

    @property
    def rank(self) -> tuple[int, int]:
        """Sort key of the deciding order; of one statement, earlier rules come first anyway."""
        return STAGES.index(self.rule.stage), self.statement.position

    @cached_property
    def stands_at(self) -> tuple[int, int] | None:
        """Where the words, the link or the code stand in the reply's text."""
        if self._span.linked:
            return self.statement.text.alignment.find_link(self._span.start)
        if self._span.end:
            return self.statement.text.alignment.find_words(self._span.start, self._span.end)
        at = self.statement.reply.text.find(self._code)
        return (at, at + len(self._code)) if at >= 0 else None

    @cached_property
    def evidence(self) -> str:
        """The exact text that the rule matched, else the code that it stands on."""
        if self.stands_at is None:
            return self._code
        return self.statement.reply.text[slice(*self.stands_at)][:_MAX_EVIDENCE_CHARS]

    @property
    def _code(self) -> str:
        return (self.rule.status and self.statement.status) or str(self.statement.smtp_code or "")

    @property
    def where(self) -> str:
        """The reply's place, or which of the report's codes decided where the text has none."""
        if self.stands_at:
            return self.statement.reply.where
        return _STATUS_FIELD if self.rule.status and self.statement.status else _REPLY_CODE

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
            self.statement.position,
            self.stands_at,
            self._tell_loss(winner),
            self.veto is not None,
        )

    def _tell_loss(self, winner: _Match | None) -> str | None:
        if self.veto is not None or winner is None:
            return self.veto
        if self is winner:
            return None
        if self.rule.stage is not winner.rule.stage:
            return f"stage {winner.rule.stage} is heard before stage {self.rule.stage}"
        if self.rule is winner.rule:
            return f"said already in {winner.where}"
        if self.statement is not winner.statement:
            return f"{winner.where} is more decisive"
        return f"stands behind {winner.rule.id}"


class _Hearing:
    """One recipient's statements before the rules."""

    def __init__(
        self, facts: RecipientFacts, rules: RuleSet, reporting_mta: str | None, texts: Texts
    ) -> None:
        replies = facts.replies[:MAX_REPLIES] or (Reply("", _STATUS_FIELD),)
        self.rules = rules
        self.statements = [
            _Statement(reply, texts.read(reply.text), facts, n) for n, reply in enumerate(replies)
        ]
        self.hosts = [
            host.lower().rstrip(".") for host in (facts.remote_mta, reporting_mta) if host
        ]

    def hear(self, statement: _Statement) -> Iterator[_Match]:
        """Yield the rules that match a statement in order, vetoed ones too."""
        reply = statement.reply
        findings = statement.text.findings
        hosts = [reply.host.lower().rstrip("."), *self.hosts] if reply.host else self.hosts
        for rule in self.rules.find_candidates(findings, statement.status):
            if (
                (not rule.codes or statement.smtp_code in rule.codes)
                and (not rule.commands or reply.command in rule.commands)
                and rule.match_status(statement.status)
                and rule.match_host(hosts)
            ):
                span = rule.match_phrases(findings)
                if span is not None:
                    yield _Match(rule, statement, span, self._find_veto(rule, statement))

    def _find_veto(self, rule: Rule, statement: _Statement) -> str | None:
        """Tell what forbids this verdict: words that excuse the recipient, or a reply too early.

        A mere code is vetoed by an excuse in any of the recipient's replies.
        """
        if rule.category is not Category.BAD_ADDRESS:
            return None
        if answers_too_early(statement.reply.command, rule.reason):
            return f"guard: a reply to {statement.reply.command} cannot know the recipient"
        worded = rule.stage in {Stage.RECEIVER, Stage.LANGUAGE}
        for heard in [statement] if worded else self.statements:
            if (excuse := heard.text.excuse) is not None:
                return f"guard: never bad-address where the reply says {excuse!r}"
        return None
