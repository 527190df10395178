"""Real mail servers make real bounces, and the daemon turns each into the right notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from bounced.model import Category, Reason
from tests.mta.daemon import AUTHOR_DOMAIN, LMTP_DOMAIN, Daemon
from tests.mta.exim import RunningExim
from tests.mta.postfix import RunningPostfix
from tests.mta.receiver import Receiver
from tests.mta.refusals import ALL, MAILBOX_FULL, UNKNOWN_DOMAIN, UNKNOWN_USER, Refusal
from tests.mta.story import Outcome, author_of, collect, plain_mail, sign_mail, submit

pytestmark = [pytest.mark.mta, pytest.mark.slow]

SEVERAL = (UNKNOWN_USER, MAILBOX_FULL, UNKNOWN_DOMAIN)


@dataclass(frozen=True)
class Story:
    """What came of every mail of this module that went through one server."""

    server: str
    outcomes: Mapping[str, Outcome]

    def expect(self, refusal: Refusal) -> tuple[Category, Reason]:
        """Return the verdict that this server's bounce allows."""
        if self.server == "exim" and refusal is UNKNOWN_DOMAIN:
            # Actually, Exim writes "Unrouteable address" and no word on what is wrong with it.
            return Category.BAD_ADDRESS, Reason.USER_UNKNOWN
        return refusal.category, refusal.reason


def _tell_story(server: str, port: int, daemon: Daemon, relay: Receiver) -> Story:
    """Send every mail of this module through one server."""
    mails = {each.name: sign_mail(daemon, author_of(server, each.name), [each]) for each in ALL}
    mails["several"] = sign_mail(daemon, author_of(server, "several"), SEVERAL)
    mails["plain"] = plain_mail(author_of(server, "plain"), UNKNOWN_USER)
    for mail in mails.values():
        submit(port, mail)
    outcomes = collect(daemon, relay, [mail.author for mail in mails.values()])
    return Story(server, {name: outcomes[mail.author] for name, mail in mails.items()})


@pytest.fixture(scope="module")
def postfix_story(postfix: RunningPostfix, daemon: Daemon, relay: Receiver) -> Story:
    return _tell_story("postfix", postfix.port, daemon, relay)


@pytest.fixture(scope="module")
def exim_story(exim: RunningExim, daemon: Daemon, relay: Receiver) -> Story:
    return _tell_story("exim", exim.port, daemon, relay)


@pytest.fixture(params=["postfix_story", "exim_story"])
def story(request: pytest.FixtureRequest) -> Story:
    told: Story = request.getfixturevalue(request.param)
    return told


def _case_subject(refusal: Refusal) -> str:
    return AUTHOR_DOMAIN if refusal.category is Category.AUTH_FAILURE else refusal.recipient


@pytest.mark.parametrize("refusal", ALL, ids=lambda refusal: refusal.name)
def test_a_refusal_is_counted_with_the_right_verdict(story: Story, refusal: Refusal) -> None:
    outcome = story.outcomes[refusal.name]
    (report,) = outcome.reports
    (case,) = outcome.cases
    verdict = story.expect(refusal)

    assert outcome.verdicts == {refusal.recipient: verdict}
    assert (report["kind"], report["trust"], report["origin_source"]) == (
        "delivery-status",
        "signed",
        "send",
    )
    assert (case["subject"], case["category"], case["reason"], case["strikes"]) == (
        _case_subject(refusal),
        *verdict,
        1,
    )


@pytest.mark.parametrize("refusal", ALL, ids=lambda refusal: refusal.name)
def test_the_author_gets_one_notice_that_names_the_address(story: Story, refusal: Refusal) -> None:
    (notice,) = story.outcomes[refusal.name].notices
    text = notice.get_body(("plain",))

    assert text is not None
    assert refusal.recipient in text.get_content()


def test_recipients_of_one_send_fail_in_one_envelope(story: Story) -> None:
    outcome = story.outcomes["several"]
    (notice,) = outcome.notices
    text = notice.get_body(("plain",))

    assert outcome.verdicts == {each.recipient: story.expect(each) for each in SEVERAL}
    assert {case["subject"] for case in outcome.cases} == {each.recipient for each in SEVERAL}
    assert text is not None
    assert [each.recipient for each in SEVERAL if each.recipient not in text.get_content()] == []


def test_without_a_token_the_author_header_of_the_returned_mail_tells(story: Story) -> None:
    outcome = story.outcomes["plain"]
    (report,) = outcome.reports
    (case,) = outcome.cases

    assert (report["trust"], report["origin_source"]) == ("relay", "author-header")
    assert (case["subject"], case["category"]) == (UNKNOWN_USER.recipient, Category.BAD_ADDRESS)
    assert len(outcome.notices) == 1


def test_postfix_delivers_its_bounces_over_lmtp(
    postfix: RunningPostfix, daemon: Daemon, relay: Receiver
) -> None:
    author = author_of("postfix", "lmtp")
    submit(postfix.port, plain_mail(author, MAILBOX_FULL, domain=LMTP_DOMAIN))

    outcome = collect(daemon, relay, [author])[author]

    assert outcome.verdicts == {
        MAILBOX_FULL.recipient: (MAILBOX_FULL.category, MAILBOX_FULL.reason)
    }
    assert "relay=127.0.0.1[127.0.0.1]:" in postfix.log.read_text()
