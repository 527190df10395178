"""Verdicts: the order of witnesses, the known traps, the guard, explanations."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bounced.parser
from bounced.model import (
    UNKNOWN_VERDICT,
    Action,
    Category,
    Reason,
    RecipientFacts,
    Reply,
    Verdict,
)
from bounced.parser.classify import MAX_REPLIES, Candidate, Explanation, classify, explain
from bounced.parser.folding import MAX_TEXT_CHARS
from bounced.parser.rule import Example, Stage
from bounced.parser.rulecheck import build_facts
from bounced.parser.ruleset import parse_enhanced, parse_leading_code, parse_rules

FOLDER = Path(bounced.parser.__file__).parent / "rules"
FILES = {path.name: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.toml"))}
RULES = parse_rules(FILES)


def make_table(stage: str, identity: str, category: str, reason: str, keys: str) -> dict[str, str]:
    text = (
        f'stage = "{stage}"\n[[rule]]\nid = "{identity}"\ncategory = "{category}"\n'
        f'reason = "{reason}"\nsource = "none"\n{keys}\nexamples = ["550 x"]\n'
    )
    return {identity: text}


FEW_FILES = {
    **make_table("language", "dmarc", "auth-failure", "dmarc", 'words = ["dmarc"]'),
    **make_table("language", "junk", "spam-rejection", "content", 'words = ["spam"]'),
    **make_table("language", "full", "mailbox-full", "mailbox-full", 'words = ["over quota"]'),
    **make_table(
        *("language", "unknown-user", "bad-address", "user-unknown"),
        'words = ["user unknown", "mailbox not found", "Empfänger unbekannt"]',
    ),
    **make_table("status", "wrong", "bad-address", "user-unknown", 'status = ["5.1.1"]'),
    **make_table("status", "naked", "auth-failure", "unauthenticated", 'status = ["5.7.26"]'),
}
FEW = parse_rules(FEW_FILES)


def say(
    text: str,
    where: str = "part 2, Diagnostic-Code",
    *,
    host: str | None = None,
    command: str | None = None,
) -> Reply:
    code, status = parse_leading_code(text), parse_enhanced(text)
    return Reply(text, where, code, status, host, command)


def facts(*replies: Reply, status: str | None = None) -> RecipientFacts:
    return RecipientFacts(
        final_recipient="max@firma.example", action=Action.FAILED, status=status, replies=replies
    )


def judge(text: str, *, status: str | None = None, command: str | None = None) -> str:
    verdict = classify(facts(say(text, command=command), status=status), RULES)
    return f"{verdict.category}/{verdict.reason}"


TRAPS = [
    (
        "Gmail's 5.7.27 is SPF, not a null MX",
        "550-5.7.27 This mail has been blocked because the sender is unauthenticated. 550-5.7.27 Gmail requires all senders to authenticate with SPF 550 5.7.27 - gsmtp",
        "auth-failure/spf",
    ),
    (
        "Gmail's 5.7.30 is DKIM, not REQUIRETLS",
        "550-5.7.30 This mail has been blocked because DKIM does not pass. 550 5.7.30 - gsmtp",
        "auth-failure/dkim",
    ),
    (
        "Gmail's 5.7.26",
        "550-5.7.26 This mail has been blocked because the sender is unauthenticated. 550 5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.",
        "auth-failure/unauthenticated",
    ),
    (
        "Gmail's 5.7.26 by policy",
        "550-5.7.26 Unauthenticated email from firma.example is not accepted due to domain's DMARC policy.",
        "auth-failure/dmarc",
    ),
    (
        "Gmail's 5.7.24",
        "550 5.7.24 The SPF record of the sending domain has one or more suspicious entries.",
        "auth-failure/spf",
    ),
    (
        "Gmail's 4.7.23 is a PTR record, not SPF",
        "421 4.7.23 The sending IP address for this message doesn't have a PTR record",
        "policy/reverse-dns",
    ),
    (
        "Gmail's 4.7.32",
        "421 4.7.32 Your email has been rate limited because there is no DMARC alignment",
        "auth-failure/dmarc",
    ),
    (
        "Gmail speaks of spam where a header is wrong",
        "550-5.7.1 This message is not RFC 5322 compliant because it has duplicate headers. To reduce the amount of spam sent to Gmail, this message has been blocked.",
        "policy/format",
    ),
    (
        "Microsoft's 5.7.509",
        "550 5.7.509 Access denied, sending domain firma.example does not pass DMARC verification and has a DMARC policy of reject.",
        "auth-failure/dmarc",
    ),
    (
        "Microsoft's 5.7.515",
        "550 5.7.515 Access denied, sending domain firma.example doesn't meet the required authentication level.",
        "auth-failure/unauthenticated",
    ),
    (
        "Microsoft's 5.7.23",
        "550 5.7.23 The message was rejected because of Sender Policy Framework violation",
        "auth-failure/spf",
    ),
    (
        "Microsoft's 5.4.1 is an unknown recipient",
        "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
        "bad-address/user-unknown",
    ),
    (
        "access denied with 5.7.1 is not",
        "554 5.7.1 <max@firma.example>: Recipient address rejected: Access denied",
        "policy/not-permitted",
    ),
    (
        "Comcast's 5.2.0 is DMARC",
        "550 5.2.0 Message rejected due to DMARC. Please see http://postmaster.comcast.net/smtp-error-codes.php#DM000001",
        "auth-failure/dmarc",
    ),
    (
        "AOL's 521 5.2.1 is DMARC",
        "521 5.2.1 : AOL will not accept delivery of this message.",
        "auth-failure/dmarc",
    ),
    (
        "SMTP AUTH is a matter of permission",
        "530 5.7.0 Authentication required",
        "policy/not-permitted",
    ),
    (
        "SMTP AUTH refused for a relay",
        "550 5.7.1 Relaying denied. Proper authentication required.",
        "policy/relay-denied",
    ),
    (
        "a failed callout is about the sender",
        "550-Verification failed for <info@firma.example> 550-No Such User Here 550 Sender verify failed",
        "policy/format",
    ),
    (
        "an unknown sender domain is about the sender",
        "550 5.1.8 <info@firma.example>: Sender address rejected: Domain not found",
        "policy/format",
    ),
    (
        "an unknown sender is about the sender",
        "550 5.1.1 Sender unknown: user unknown",
        "policy/format",
    ),
    ("5.7.1 alone says nothing", "550 5.7.1 refused", "unknown/unknown"),
    ("5.0.0 alone says nothing", "550 5.0.0 refused", "unknown/unknown"),
    ("550 alone says nothing", "550 no", "unknown/unknown"),
    (
        "GMX: mailbox unavailable",
        "550-Requested action not taken: mailbox unavailable 550 For explanation visit https://postmaster.gmx.net/en/case?c=r1601",
        "bad-address/user-unknown",
    ),
    (
        "GMX: mailbox unavailable heads a policy refusal",
        "550-Requested action not taken: mailbox unavailable 550-Reject due to policy restrictions. 550 For explanation visit https://postmaster.gmx.net/",
        "policy/not-permitted",
    ),
    (
        "GMX: mailbox unavailable heads SPF",
        "550-Requested action not taken: mailbox unavailable 550 Reject due to SPF policy.",
        "auth-failure/spf",
    ),
    (
        "mailbox unavailable with 450 is busy",
        "450 Requested mail action not taken: mailbox unavailable",
        "system/system-trouble",
    ),
    (
        "a closed group",
        "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required",
        "policy/not-permitted",
    ),
    ("a closed group by code", "550 5.7.124 refused", "policy/not-permitted"),
    (
        "a closed mailbox",
        "550 5.7.134 RESOLVER.RST.SenderNotAuthenticatedForMailbox; authentication required",
        "policy/not-permitted",
    ),
    (
        "restricted senders",
        "550 5.7.129 RESOLVER.RST.RestrictedToRecipientsPermission; not authorized",
        "policy/not-permitted",
    ),
    (
        "missing reverse DNS",
        "450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.7]",
        "policy/reverse-dns",
    ),
    (
        "a temporary lookup failure is no unknown domain",
        "Host or domain name not found. Name service error for name=firma.example type=MX: Host not found, try again",
        "system/unreachable",
    ),
    (
        "a domain without mail",
        "Domain firma.example does not accept mail (nullMX)",
        "bad-address/not-accepting",
    ),
    (
        "a server that takes no mail from us",
        "554 mx.firma.example does not accept mail from 192.0.2.7",
        "policy/not-permitted",
    ),
    (
        "over quota beats the words about the user",
        "550 5.1.1 user unknown or over quota",
        "mailbox-full/mailbox-full",
    ),
    (
        "a host named spam is no spam",
        "550 5.1.1 user unknown, says spam.firma.example",
        "bad-address/user-unknown",
    ),
    (
        "a wrapped unknown address error tells nothing",
        "5.1.0 - Unknown address error 550-'5.7.1 go away'",
        "unknown/unknown",
    ),
]


@pytest.mark.parametrize(("text", "told"), [t[1:] for t in TRAPS], ids=[t[0] for t in TRAPS])
def test_known_traps(text: str, told: str) -> None:
    assert judge(text) == told


def test_words_beat_the_status_code_of_the_same_reply() -> None:
    assert judge("550 5.1.1 rejected as spam") == "spam-rejection/content"
    assert judge("550 5.0.0 Empfänger unbekannt", status="5.0.0") == "bad-address/user-unknown"
    assert judge("550 5.7.0 over quota") == "mailbox-full/mailbox-full"


def test_failed_with_a_temporary_code_is_expiry_unless_words_tell_the_cause() -> None:
    assert judge("refused", status="4.2.0") == "system/expired"
    assert judge("450 refused") == "system/expired"
    assert judge("554 IP address is block listed", status="4.0.0") == "spam-rejection/block-list"
    assert judge("450 4.1.1 user unknown", status="4.1.1") == "bad-address/user-unknown"


def test_a_mere_status_is_vetoed_by_an_excuse_in_any_reply() -> None:
    code = say("550 5.1.1 refused")
    human = say("Our network has seen the message.", "part 1, line 3")
    assert classify(facts(code, status="5.1.1"), RULES).reason is Reason.USER_UNKNOWN
    heard = facts(code, human, status="5.1.1")
    assert classify(heard, RULES) == UNKNOWN_VERDICT


def test_without_any_reply_the_status_field_speaks() -> None:
    assert classify(facts(status="5.1.1"), RULES) == Verdict(
        Category.BAD_ADDRESS,
        Reason.USER_UNKNOWN,
        "status-user-unknown",
        "5.1.1",
        "Status field",
    )


def test_without_anything_the_verdict_is_unknown() -> None:
    assert classify(facts(), RULES) == UNKNOWN_VERDICT
    assert explain(facts(), RULES) == Explanation(UNKNOWN_VERDICT, ())


def test_a_verdict_carries_the_exact_words_and_their_place() -> None:
    reply = say("550 5.1.1 <max@firma.example>:  Empfänger  UNBEKANNT")
    assert classify(facts(reply), FEW) == Verdict(
        Category.BAD_ADDRESS,
        Reason.USER_UNKNOWN,
        "unknown-user",
        "Empfänger  UNBEKANNT",
        "part 2, Diagnostic-Code",
    )


def test_a_link_is_evidence_as_written() -> None:
    verdict = classify(facts(say("554 see https://WWW.spamhaus.org/query/ip/192.0.2.7.")), RULES)
    assert (verdict.rule, verdict.evidence) == (
        "spamhaus",
        "https://WWW.spamhaus.org/query/ip/192.0.2.7",
    )


def test_a_code_is_evidence_where_the_reply_tells_it() -> None:
    verdict = classify(facts(say("451 refused")), RULES)
    assert (verdict.rule, verdict.evidence, verdict.where) == (
        "code-temporary",
        "451",
        "part 2, Diagnostic-Code",
    )


def test_an_earlier_stage_of_a_later_reply_beats_a_later_stage_of_an_earlier_reply() -> None:
    code = say("550 5.1.1 refused", "part 2, Diagnostic-Code")
    words = say("554 rejected as spam", "part 1, line 4")
    verdict = classify(facts(code, words), RULES)
    assert (verdict.category, verdict.where) == (Category.SPAM_REJECTION, "part 1, line 4")


def test_within_a_stage_the_more_decisive_reply_speaks() -> None:
    first = say("550 user unknown", "part 2, Diagnostic-Code")
    second = say("552 quota exceeded", "part 1, line 4")
    assert classify(facts(first, second), RULES).reason is Reason.USER_UNKNOWN
    assert classify(facts(second, first), RULES).reason is Reason.MAILBOX_FULL


def test_replies_beyond_the_limit_are_not_heard() -> None:
    replies = [say("550 no")] * MAX_REPLIES
    assert classify(facts(*replies, say("550 user unknown")), RULES) == UNKNOWN_VERDICT


@pytest.mark.parametrize("command", ["CONNECT", "EHLO", "MAIL FROM"])
def test_a_reply_before_rcpt_blames_no_recipient(command: str) -> None:
    assert judge("550 no such domain firma.example", command=command) == "unknown/unknown"
    assert judge("550 no such domain firma.example") == "bad-address/domain-unknown"


HOSTILE = [
    *(
        "a",
        ".",
        "@",
        ":",
        "5",
        "<",
        '"',
        "ü",
        "宛先",
        "a.",
        "a@",
        "a-",
        "1:",
        "x.de ",
        "a@b.de ",
        "550-",
    ),
    *("adresse ", "adresse unbekannt. ", "after 1", "id=", "user unknow ", "mailbox ful "),
    " ".join(sorted(phrase.text for rule in RULES.rules for phrase in rule.words)),
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:8] for text in HOSTILE])
def test_a_hostile_text_gets_a_verdict_whose_evidence_stands_in_it(text: str) -> None:
    reply = Reply((text * MAX_TEXT_CHARS)[: 2 * MAX_TEXT_CHARS], "x")
    verdict = classify(facts(reply, status="5.1.1"), RULES)
    assert (
        verdict.evidence is None
        or verdict.evidence in (reply.text, "5.1.1")
        or (verdict.evidence in reply.text)
    )


HOSTED = """
stage = "receiver"
[[rule]]
id = "site-host"
category = "policy"
reason = "not-permitted"
source = "our postmaster"
words = ["user unknown"]
hosts = ["firma.example"]
commands = ["DATA"]
codes = [550]
examples = [{text = "550 user unknown", host = "mx.firma.example", command = "DATA"}]
"""


def test_a_site_rule_is_tried_before_ours() -> None:
    rules = parse_rules(
        {"site.toml": HOSTED.replace('hosts = ["firma.example"]', ""), **FEW_FILES}
    )
    reply = say("550 user unknown", command="DATA")
    assert classify(facts(reply), FEW).rule == "unknown-user"
    assert classify(facts(reply), rules).rule == "site-host"


def test_a_site_rule_of_the_same_stage_wins_by_standing_first() -> None:
    site = HOSTED.replace("receiver", "language").replace('hosts = ["firma.example"]', "")
    rules = parse_rules({"site.toml": site, **FEW_FILES})
    assert classify(facts(say("550 user unknown", command="DATA")), rules).rule == "site-host"


@pytest.mark.parametrize(
    ("host", "remote_mta", "reporting_mta"),
    [
        ("MX.firma.example.", None, None),
        (None, "mx.firma.example", None),
        ("mx.other.example", "mx.firma.example", None),
        (None, None, "firma.example"),
    ],
)
def test_a_host_is_known_from_the_reply_or_the_report(
    host: str | None, remote_mta: str | None, reporting_mta: str | None
) -> None:
    rules = parse_rules({"site.toml": HOSTED})
    heard = facts(say("550 user unknown", host=host, command="DATA"))
    heard = replace(heard, remote_mta=remote_mta)
    assert classify(heard, rules, reporting_mta=reporting_mta).rule == "site-host"


@pytest.mark.parametrize(
    "reply",
    [
        say("550 user unknown", command="DATA"),
        say("550 user unknown", host="mx.firma.example"),
        say("551 user unknown", host="mx.firma.example", command="DATA"),
    ],
)
def test_every_structured_key_must_agree(reply: Reply) -> None:
    assert classify(facts(reply), parse_rules({"site.toml": HOSTED})) == UNKNOWN_VERDICT


def test_an_explanation_tells_what_won_and_why_the_rest_lost() -> None:
    first = say("550 5.1.1 user unknown", "part 2, Diagnostic-Code")
    second = say("552 over quota, mailbox not found", "part 1, line 4")
    told = explain(facts(first, second), FEW)
    assert told.verdict == classify(facts(first, second), FEW)
    full = (Stage.LANGUAGE, Category.MAILBOX_FULL, Reason.MAILBOX_FULL)
    language = (Stage.LANGUAGE, Category.BAD_ADDRESS, Reason.USER_UNKNOWN)
    status = (Stage.STATUS, Category.BAD_ADDRESS, Reason.USER_UNKNOWN)
    veto = "guard: never bad-address where the reply says 'quota'"
    assert told.candidates == (
        Candidate("unknown-user", *language, "user unknown", first.where, 0, (10, 22), None),
        Candidate(
            "full",
            *full,
            "over quota",
            second.where,
            1,
            (4, 14),
            f"{first.where} is more decisive",
        ),
        Candidate(
            "unknown-user",
            *language,
            "mailbox not found",
            second.where,
            1,
            (16, 33),
            veto,
            vetoed=True,
        ),
        Candidate("wrong", *status, "5.1.1", first.where, 0, (4, 9), veto, vetoed=True),
    )


def test_an_explanation_tells_of_stages_and_of_order() -> None:
    told = explain(facts(say("550 5.7.26 DMARC policy: spam")), FEW)
    assert [(candidate.rule, candidate.lost) for candidate in told.candidates] == [
        ("dmarc", None),
        ("junk", "stands behind dmarc"),
        ("naked", "stage language is heard before stage status"),
    ]


def test_an_explanation_tells_why_no_rule_spoke() -> None:
    told = explain(facts(say("550 user unknown", command="MAIL FROM")), FEW)
    assert told.verdict == UNKNOWN_VERDICT
    assert [candidate.lost for candidate in told.candidates] == [
        "guard: a reply to MAIL FROM cannot know the recipient"
    ]


def test_an_explanation_tells_where_the_winner_matched_again() -> None:
    told = explain(facts(say("550 user unknown"), say("user unknown", "part 1, line 4")), FEW)
    assert [(each.reply, each.lost) for each in told.candidates] == [
        (0, None),
        (1, "said already in part 2, Diagnostic-Code"),
    ]


BLAMED = [
    example
    for rule in RULES.rules
    if rule.category is Category.BAD_ADDRESS and rule.stage is not Stage.CODE
    for example in rule.examples
]
EXCUSES = [
    *("spam", "SPAM", "unsolicited mail", "block list", "blacklist", "SPF", "DKIM", "DMARC"),
    *(
        "poor reputation",
        "quota",
        "size",
        "network",
        "Spamverdacht",
        "Sperrliste",
        "Speicherplatz",
    ),
    *(
        "liste noire",
        "lista negra",
        "cuota",
        "reputación",
        "迷惑メール",
        "垃圾邮件",
        "спам",
        "квота",
    ),
]


@given(st.sampled_from(BLAMED), st.sampled_from(EXCUSES), st.integers(0, 40))
def test_no_text_that_excuses_the_recipient_is_a_bad_address(
    example: Example, excuse: str, place: int
) -> None:
    words = example.text.split(" ")
    words.insert(place, excuse)
    verdict = classify(build_facts(replace(example, text=" ".join(words))), RULES)
    assert verdict.category is not Category.BAD_ADDRESS


@given(st.text(), st.text(), st.sampled_from([None, "5.1.1", "4.0.0"]))
def test_any_facts_get_a_verdict(text: str, host: str, status: str | None) -> None:
    heard = facts(Reply(text, "x", host=host), status=status)
    told = explain(heard, RULES, reporting_mta=host)
    assert told.verdict == classify(heard, RULES, reporting_mta=host)
    assert (told.verdict.evidence or "") in (text if told.verdict.where == "x" else str(status))
