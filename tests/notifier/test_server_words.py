import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.model import Reason
from bounced.notifier.replies import MAX_SEEN_CHARS, fold_reply, mask_reply
from tests.notifier.building_site import make_case, make_composer, make_notice, make_strike

OWN = "buero@elektro.example"
FORMS = (
    "550 5.1.1 <privat@target.example>: unknown",
    "550 privat@target.example unknown",
    "550 5.1.1 rfc822;privat@target.example... no",
    "550 'PRIVAT@Target.Example' rejected (privat@target.example.)",
    '550 "privat"@target.example rejected',
    "550 privat%40target.example, privat=40target.example",
    "550 privat&#64;target.example",
    "550 privat (at) target.example and privat[at]target.example",
    "550 pri\u200bvat@tar\u200bget.example",
    "550 privat＠target.example",
    "550 SRS0=hash=tt=target.example=privat@elektro.example",
    "550 owner+privat=target.example@lists.example",
    "550 <@target.example:privat@other.example>",
    "550 host mx.target.example[192.0.2.7] said: no such user privat@target.example",
    "550 privat@mail.target.example unknown at mx1.target.example",
    "550 mx.target.example: <privat@target.example!x> gone (target.example)",
    "550 <privat@target.example> at target-example.mail.protection.outlook.com",
    "550 " + " ".join(f"@{n}.x" for n in range(400)) + " privat@a.target.example b.target.example",
    "x" * (MAX_SEEN_CHARS - 4) + " privat@target.example",
    "<a@b.example>" * 305 + " 12345678901234567 privat@target.example",
)


@pytest.mark.parametrize("reply", FORMS)
def test_the_address_of_a_third_is_not_shown_in_any_form(reply: str) -> None:
    shown = mask_reply(reply, [OWN], ["elektro.example"], all_domains=False)
    assert "priv" not in shown.lower()
    assert "target" not in shown.lower()


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (f"550 <{OWN}>: unknown", f"550 <{OWN}>: unknown"),
        ("550 Buero@Elektro.EXAMPLE. unknown", "550 Buero@Elektro.EXAMPLE. unknown"),
        ("550 ask postmaster@elektro.example", "550 ask …@elektro.example"),
        ("550 see https://www.target.example/why", "550 see https://www.target.example/why"),
        ("550 hits=40.5 required=5", "550 hits=40.5 required=5"),
        ("550 5.7.1 refused @ 14:03", "550 5.7.1 refused @ 14:03"),
        ("550 two\r\nlines", "550 two lines"),
        ("550 a@mail.elektro.example by mx.elektro.example", "550 … by mx.elektro.example"),
        ("550 a@mx.praxis.co.uk by b.praxis.co.uk, relay.co.uk", "550 … by …, relay.co.uk"),
        ("550 a@co.uk by relay.co.uk", "550 … by relay.co.uk"),
        ("550 5.1.1 no a@5.1.1 and b@[192.0.2.1] 192.0.2.9", "550 5.1.1 no … and … 192.0.2.9"),
    ],
)
def test_of_the_rest_nothing_is_lost(reply: str, shown: str) -> None:
    assert mask_reply(reply, [OWN], ["elektro.example"], all_domains=False) == shown


def test_of_a_sender_that_was_not_accepted_the_domain_is_shown() -> None:
    reply = "550 5.7.23 SPF fail for s2x7ab@bounce.example.com"
    assert (
        mask_reply(reply, [OWN], [], all_domains=True)
        == "550 5.7.23 SPF fail for …@bounce.example.com"
    )


@given(st.text(max_size=300), st.booleans())
def test_any_reply_is_one_line(reply: str, all_domains: bool) -> None:
    shown = mask_reply(reply, [OWN], ["elektro.example"], all_domains=all_domains)
    assert len(shown.splitlines()) <= 1
    fold_reply(shown, [OWN, ""])


@pytest.mark.parametrize("letters", ["x", "=40", "%"])
def test_a_long_reply_without_spaces_keeps_its_beginning(letters: str) -> None:
    shown = mask_reply(letters * 4000, [OWN], [], all_domains=False)
    assert shown == (letters * 4000)[: len(shown)]
    assert len(shown) > MAX_SEEN_CHARS / 2


def test_the_new_address_that_a_server_tells_its_sender_is_shown() -> None:
    reply = "551 5.1.6 User not local; please try <buero@neu.example>"
    for reason, is_shown in ((Reason.MOVED, True), (Reason.USER_UNKNOWN, False)):
        mail = make_composer().compose(make_notice(make_case(reason, make_strike(OWN, reply))))
        text = mail.get_body(("plain",))
        assert text is not None
        assert ("buero@neu.example" in text.get_content()) is is_shown


def test_replies_about_different_addresses_are_folded_into_one() -> None:
    told = [f"m{number}@kunde.example" for number in range(1000)]
    replies = {f"550 5.1.1 <{address.upper()}> unknown, {'(' * 100}4Fx7Tq2Lz9" for address in told}
    assert len({fold_reply(reply, told) for reply in replies}) == 1


def test_of_two_addresses_the_longer_one_is_folded() -> None:
    assert (
        fold_reply("550 max@kunde.example.org", ["max@kunde.example", "max@kunde.example.org"])
        == "550 …"
    )
