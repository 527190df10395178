"""Tests of reading SMTP dialogues inside reports."""

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
        Exchange("550-5.7.1 not\n550 5.7.1 wanted", 3, "mx.one.de", "DATA", ("a@one.de",)),
        Exchange("452 4.2.2 full", 9, "mx.two.de", "RCPT TO", ("b@two.de",)),
        Exchange("501 no", 13, "mx.two.de", "MAIL FROM"),
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
