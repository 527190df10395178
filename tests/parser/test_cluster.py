"""Unknown texts: what differs from mail to mail goes, what was said stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.model import RecipientFacts, Reply
from bounced.parser.cluster import MAX_CHARS, find_cluster, level
from bounced.parser.folding import MAX_TEXT_CHARS


@pytest.mark.parametrize(
    ("text", "levelled"),
    [
        ("550 5.0.0 Xyzzy plugh", "xyzzy plugh"),
        ("550-Xyzzy\n550 PLUGH!", "xyzzy plugh"),
        ("554 <max@kunde.example>: Xyzzy", "<address> xyzzy"),
        ("host mx1.kunde.example[192.0.2.7] said: xyzzy", "host <host> said xyzzy"),
        ("Xyzzy, see https://help.example/x?id=77.", "xyzzy see <url>"),
        ("xyzzy (queue id 4TxQ2b0J7Kz3) at 12:07:33 +0200", "xyzzy queue id <id> at <id>"),
        ('mailbox "jdoe" is xyzzy', "mailbox <id> is xyzzy"),
        ("mailbox <jdoe> is xyzzy", "mailbox <id> is xyzzy"),
        ('the mailbox "has a plugh" today', "the mailbox has a plugh today"),
        ("Empfänger ist Xyzzy", "empfaenger ist xyzzy"),
        ("错误代码554，无法识别", "错误代码 <id> ，无法识别"),
        ("550 5.0.0", ""),
        ("", ""),
        (f"xyzzy {'QUJD' * 20}", "xyzzy <id>"),
        ("xyzzy at mail.kunde.photography", "xyzzy at <host>"),
    ],
)
def test_a_text_is_levelled(text: str, levelled: str) -> None:
    assert level(text) == levelled


@pytest.mark.parametrize(
    ("recipient", "text", "levelled"),
    [
        ("m.muster@kunde.example", "xyzzy for m.muster.", "xyzzy for <address>"),
        ("M.Muster@kunde.example", "xyzzy for m.muster", "xyzzy for <address>"),
        ("anna@kunde.example", "xyzzy for Susanna", "xyzzy for susanna"),
        ("mail@kunde.example", "this mail is xyzzy", "this mail is xyzzy"),
        ("al@kunde.example", "al is xyzzy", "al is xyzzy"),
        ("max@kunde.photography", "kunde.photography is xyzzy", "<host> is xyzzy"),
    ],
)
def test_the_recipient_is_no_part_of_the_text(recipient: str, text: str, levelled: str) -> None:
    facts = RecipientFacts(final_recipient=recipient, replies=(Reply(text, "x"),))
    assert find_cluster(facts).text == levelled


def test_the_decisive_text_makes_the_cluster() -> None:
    alone = RecipientFacts(replies=(Reply("xyzzy", "x"),))
    beside = RecipientFacts(replies=(Reply("Xyzzy!", "y", smtp_code=550), Reply("plugh", "x")))
    other = RecipientFacts(replies=(Reply("plugh", "x"),))
    assert find_cluster(alone) == find_cluster(beside)
    assert find_cluster(alone).cluster != find_cluster(other).cluster


def test_where_nothing_is_said_all_share_one_cluster() -> None:
    silent = [RecipientFacts(status="5.0.0"), RecipientFacts(replies=(Reply("550 5.0.0", "x"),))]
    assert {find_cluster(facts).text for facts in silent} == {""}
    assert len({find_cluster(facts).cluster for facts in silent}) == 1


MARKS = "<>()[]{}\"'`.,:;@=+-/_ \n#|05aäß东х\u0130\u0661"
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=MARKS, max_size=60),
    st.lists(
        st.sampled_from(
            ["550", "5.1.1", "<address>", "<id>", "a@b.de", ".b.de", "::1", "size=5", "http://x"]
        )
        | st.text(alphabet=MARKS, max_size=4),
        max_size=12,
    ).map("".join),
)


@given(text=TEXTS)
def test_levelling_is_total_and_idempotent(text: str) -> None:
    once = level(text)
    assert level(once) == once
    assert len(once) <= MAX_CHARS


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAME = st.from_regex(r"[a-z]{2}[a-z0-9]{2,9}([._-][a-z0-9]{2,9})?", fullmatch=True).map(
    lambda name: f"q{name}"  # no word of the templates
)
HOST = st.lists(LABEL, min_size=1, max_size=3).map(lambda labels: ".".join((*labels, "example")))
QUEUE_ID = st.from_regex(r"[0-9][0-9A-Za-z]{9,14}", fullmatch=True)
TEMPLATES = [
    "550 5.0.0 <{name}@{host}>: Xyzzy plugh (in reply to RCPT TO command)",
    "host {host}[{ip}] said: 554 Xyzzy {id} plugh",
    "Xyzzy plugh for {name}, ref. {id}; see https://{host}/{id}",
    'Delivery to "{name}" on {ip} is xyzzy: {id}',
]


@pytest.mark.parametrize("template", TEMPLATES)
@given(data=st.data())
def test_recipient_host_and_ids_do_not_change_the_cluster(
    template: str, data: st.DataObject
) -> None:
    def fill() -> RecipientFacts:
        name, host = data.draw(NAME), data.draw(HOST)
        ip = data.draw(st.ip_addresses())
        text = template.format(name=name, host=host, ip=ip, id=data.draw(QUEUE_ID))
        return RecipientFacts(final_recipient=f"{name}@{host}", replies=(Reply(text, "x"),))

    assert find_cluster(fill()) == find_cluster(fill())


@pytest.mark.parametrize("part", ["a", "a.", "<", '"a', "1", "@", "a@", ":", "a-", "东"])
def test_a_long_text_of_one_kind_is_levelled(part: str) -> None:
    assert len(level(part * MAX_TEXT_CHARS, names=["aaa"], hosts=["a.a"])) <= MAX_CHARS
