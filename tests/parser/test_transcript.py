"""Tests of reading SMTP dialogues inside reports."""

import pytest

from bounced.parser.transcript import Exchange, read_transcript


def test_sendmails_answers_have_host_command_and_addressee() -> None:
    text = """... while talking to mx.one.de.:
>>> DATA
<<< 550-5.7.1 not
<<< 550 5.7.1 wanted
550 5.1.1 <a@one.de>... User unknown
<<< 554 5.5.1 Error: no valid recipients
... while talking to mx.two.de.:
>>> RCPT To:<b@two.de>
<<< 452 4.2.2 full
<b@two.de>... Deferred

>>> MAIL From:<s@x.de>
<<< 501 no
"""
    assert read_transcript(text) == [
        Exchange("550-5.7.1 not\n550 5.7.1 wanted", 3, "mx.one.de", "RCPT TO", ("a@one.de",)),
        Exchange("452 4.2.2 full", 9, "mx.two.de", "RCPT TO", ("b@two.de",)),
        Exchange("501 no", 13, "mx.two.de", "MAIL FROM"),
    ]


def test_a_banner_answers_the_connection() -> None:
    text = "... while talking to mx.one.de.:\n<<< 554 go away\n>>> QUIT"
    assert read_transcript(text) == [Exchange("554 go away", 2, "mx.one.de", "CONNECT")]


def test_couriers_dialogue_is_headed_by_the_host() -> None:
    text = """<a@one.de>:
     mx.one.de [192.0.2.1]:
 >>> DATA
 <<< 550-5.7.1 not
 <<< 550 5.7.1 wanted
"""
    assert read_transcript(text) == [
        Exchange("550-5.7.1 not\n550 5.7.1 wanted", 4, "mx.one.de", "DATA")
    ]


def test_two_answers_in_a_row_are_two() -> None:
    assert read_transcript("<<< 550 a\n<<< 551 b") == [
        Exchange("550 a", 1),
        Exchange("551 b", 2),
    ]


def test_mdaemons_arrows_are_read() -> None:
    text = "Wed 10:00: --> RCPT To:<a@b.de>\nWed 10:00: <-- 550 no\nWed 10:00: --> QUIT"
    assert read_transcript(text) == [Exchange("550 no", 2, None, "RCPT TO", ("a@b.de",))]


def test_an_answer_cut_off_at_the_end_is_kept() -> None:
    assert read_transcript("<<< 550-a") == [Exchange("550-a", 1)]


def test_other_text_holds_no_dialogue() -> None:
    assert read_transcript("<a@b.de>: 550 no") == []


def test_what_the_local_mailer_printed_is_an_answer() -> None:
    text = """   ----- Transcript of session follows -----
mail.local: unknown user: max
550 5.1.1 <max@one.de>... User unknown
"""
    assert read_transcript(text) == [
        Exchange("mail.local: unknown user: max", 2, addresses=("max@one.de",))
    ]


@pytest.mark.parametrize("end", ["\n\nWarning", ""])
def test_sendmails_own_words_are_no_answer(end: str) -> None:
    text = f"   ----- Transcript of session follows -----\n<max@one.de>... Deferred{end}"
    assert read_transcript(text) == []


def test_what_stopped_mdaemon_is_its_last_event() -> None:
    text = """Failed address: a@one.de

--- Session Transcript ---
 Mon 2026-03-09 11:40:21: [4411:1] *  To: a@one.de
 Mon 2026-03-09 11:40:21: [4411:1] Resolving MX records for [one.de] (DNS Server: 192.0.2.1)...
 Mon 2026-03-09 11:40:22: [4411:1] *  Name server reports domain name unknown
--- End Transcript ---
"""
    assert read_transcript(text) == [Exchange("Name server reports domain name unknown", 6)]
    assert read_transcript("--- Session Transcript ---\n--- End Transcript ---") == []
