"""The judgement at RCPT: who may enter, by which right, and what the others hear."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.model import TokenType
from bounced.origin.admission import (
    Accepted,
    Admission,
    AdmissionSettings,
    Door,
    Refusal,
    build_return_path,
    judge_recipient,
)
from bounced.origin.token import Key, KeyRing, Token, TokenFault, seal

TODAY = 20778
EPOCH = date(1970, 1, 1)
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
ID8 = bytes.fromhex("0123456789abcdef")
KEY = Key("a", bytes(range(32)), date(2026, 11, 1))
OLD = Key(
    "b", bytes(16), date(2026, 10, 1), active=False, retired_on=EPOCH + timedelta(days=TODAY - 2)
)
RING = KeyRing((KEY, OLD))
SETTINGS = AdmissionSettings(
    domains=("bounce.example.com", "bücher.example"),
    mailboxes=("bounces", "Returns"),
    senders_allowed=("mailer@old.example", "@partner.example"),
)
PLUS = replace(SETTINGS, prefix="Bounces+")

VALID = seal(TokenType.SEND, ID8, TODAY, KEY)
EXPIRED = seal(TokenType.SEND, ID8, TODAY - 15, KEY)
EARLY = seal(TokenType.SEND, ID8, TODAY + 2, KEY)
FORGED = VALID[:10] + ("a" if VALID[10] != "a" else "b") + VALID[11:]
FOREIGN_KEY = seal(TokenType.SEND, ID8, TODAY, replace(KEY, key_id="z"))
SPELLING = VALID[:-1] + ALPHABET[ALPHABET.index(VALID[-1]) + 1]
RETIRED = seal(TokenType.SEND, ID8, TODAY, OLD)
BAD_SHAPE = VALID[:-1] + "0"

BY_TOKEN = Accepted(Door.TOKEN, Token(TokenType.SEND, "a", ID8, TODAY))
BY_MAILBOX = Accepted(Door.MAILBOX)
FOR_OPS = Accepted(Door.OPS)
UNKNOWN = Accepted(Door.UNKNOWN_LOCAL_PART)


def judge(
    address: str,
    mail_from: str = "",
    *,
    relay: bool = False,
    settings: AdmissionSettings = SETTINGS,
) -> Admission:
    return judge_recipient(
        address, mail_from, from_own_relay=relay, settings=settings, ring=RING, today=TODAY
    )


@pytest.mark.parametrize(
    ("address", "stranger", "relay"),
    [
        pytest.param(f"{VALID}@bounce.example.com", BY_TOKEN, BY_TOKEN, id="token"),
        pytest.param(f"{VALID.upper()}@BOUNCE.example.COM.", BY_TOKEN, BY_TOKEN, id="case"),
        pytest.param(f"{VALID}@xn--bcher-kva.example", BY_TOKEN, BY_TOKEN, id="second domain"),
        pytest.param(f"{VALID}@BÜCHER.example", BY_TOKEN, BY_TOKEN, id="U-label"),
        pytest.param(f"prvs=1234abcdef={VALID}@bounce.example.com", BY_TOKEN, BY_TOKEN, id="BATV"),
        pytest.param(
            f"{EXPIRED}@bounce.example.com",
            Refusal.TOKEN_EXPIRED,
            Accepted(Door.TOKEN_EXPIRED),
            id="expired",
        ),
        pytest.param(
            f"{EARLY}@bounce.example.com",
            Refusal.TOKEN_FROM_THE_FUTURE,
            Accepted(Door.TOKEN_FROM_THE_FUTURE),
            id="early",
        ),
        pytest.param(
            f"{FORGED}@bounce.example.com",
            Refusal.TOKEN_FORGED,
            Accepted(Door.TOKEN_FORGED),
            id="forged",
        ),
        pytest.param(
            f"{FOREIGN_KEY}@bounce.example.com",
            Refusal.TOKEN_UNKNOWN_KEY,
            Accepted(Door.TOKEN_UNKNOWN_KEY),
            id="key",
        ),
        pytest.param(
            f"{BAD_SHAPE}@bounce.example.com",
            Refusal.TOKEN_MALFORMED,
            Accepted(Door.TOKEN_MALFORMED),
            id="malformed",
        ),
        pytest.param(
            f"{SPELLING}@bounce.example.com",
            Refusal.TOKEN_MALFORMED,
            Accepted(Door.TOKEN_MALFORMED),
            id="another spelling of the same bytes",
        ),
        pytest.param(
            f"{RETIRED}@bounce.example.com",
            Refusal.TOKEN_RETIRED_KEY,
            Accepted(Door.TOKEN_RETIRED_KEY),
            id="retired key",
        ),
        pytest.param(
            f"SRS0=HHHH=TT=bounce.example.com={VALID}@bounce.example.com",
            BY_TOKEN,
            BY_TOKEN,
            id="SRS",
        ),
        pytest.param(
            f"srs1=gggg=fwd.example==hhhh=tt=XN--BCHER-KVA.example={VALID.upper()}@bücher.example",
            BY_TOKEN,
            BY_TOKEN,
            id="SRS twice, case, another domain of ours",
        ),
        pytest.param(
            f"prvs=1234abcdef=SRS0=HHHH=TT=bounce.example.com=prvs=1234abcdef={VALID}"
            "@bounce.example.com",
            BY_TOKEN,
            BY_TOKEN,
            id="BATV, SRS, BATV",
        ),
        pytest.param(
            f"SRS0=HHHH=TT=bounce.example.com={FORGED}@bounce.example.com",
            Refusal.TOKEN_FORGED,
            Accepted(Door.TOKEN_FORGED),
            id="SRS, forged",
        ),
        pytest.param(
            "SRS0=HHHH=TT=bounce.example.com=bounces@bounce.example.com",
            BY_MAILBOX,
            BY_MAILBOX,
            id="mailbox, SRS",
        ),
        pytest.param(
            f"SRS0=HHHH=TT=example.com={VALID}@bounce.example.com",
            Refusal.UNKNOWN_MAILBOX,
            UNKNOWN,
            id="SRS of a foreign address",
        ),
        pytest.param(
            f"SRS0=HHHH=TT=bounce.example.com={VALID}@example.com",
            Refusal.FOREIGN_DOMAIN,
            Refusal.FOREIGN_DOMAIN,
            id="SRS at a forwarder",
        ),
        pytest.param(
            f"{VALID[:-1]}\u212a@bounce.example.com", Refusal.UNKNOWN_MAILBOX, UNKNOWN, id="Kelvin"
        ),
        pytest.param("bounces@bounce.example.com", BY_MAILBOX, BY_MAILBOX, id="mailbox"),
        pytest.param("RETURNS@bounce.example.com", BY_MAILBOX, BY_MAILBOX, id="mailbox, case"),
        pytest.param(
            "prvs=1234abcdef=bounces@bounce.example.com",
            BY_MAILBOX,
            BY_MAILBOX,
            id="mailbox, BATV",
        ),
        pytest.param("Postmaster@bounce.example.com", FOR_OPS, FOR_OPS, id="postmaster"),
        pytest.param("abuse@bounce.example.com", FOR_OPS, FOR_OPS, id="abuse"),
        pytest.param("Postmaster", FOR_OPS, FOR_OPS, id="bare postmaster"),
        pytest.param("max@bounce.example.com", Refusal.UNKNOWN_MAILBOX, UNKNOWN, id="unknown"),
        pytest.param("@bounce.example.com", Refusal.UNKNOWN_MAILBOX, UNKNOWN, id="no local part"),
        pytest.param(
            f"{VALID}@example.com", Refusal.FOREIGN_DOMAIN, Refusal.FOREIGN_DOMAIN, id="foreign"
        ),
        pytest.param(
            "postmaster@example.com",
            Refusal.FOREIGN_DOMAIN,
            Refusal.FOREIGN_DOMAIN,
            id="foreign ops",
        ),
        pytest.param(
            "bounces@[127.0.0.1]", Refusal.FOREIGN_DOMAIN, Refusal.FOREIGN_DOMAIN, id="literal"
        ),
        pytest.param(VALID, Refusal.FOREIGN_DOMAIN, Refusal.FOREIGN_DOMAIN, id="no domain"),
        pytest.param("", Refusal.FOREIGN_DOMAIN, Refusal.FOREIGN_DOMAIN, id="empty"),
    ],
)
def test_each_recipient_gets_its_judgement(
    address: str, stranger: Admission, relay: Admission
) -> None:
    assert (judge(address), judge(address, relay=True)) == (stranger, relay)


@pytest.mark.parametrize(
    ("mail_from", "expected"),
    [
        ("", BY_MAILBOX),
        ("mailer@old.example", BY_MAILBOX),
        ("Mailer@OLD.example", BY_MAILBOX),
        ("anyone@Partner.Example", BY_MAILBOX),
        ("other@old.example", Refusal.SENDER_NOT_NULL),
        ("anyone@sub.partner.example", Refusal.SENDER_NOT_NULL),
        ("@", Refusal.SENDER_NOT_NULL),
        ("partner.example", Refusal.SENDER_NOT_NULL),
    ],
)
def test_a_mailbox_takes_the_null_sender_and_the_allowed_ones(
    mail_from: str, expected: Admission
) -> None:
    assert judge("bounces@bounce.example.com", mail_from) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"{VALID}@bounce.example.com", BY_TOKEN),
        ("postmaster@bounce.example.com", FOR_OPS),
        ("max@bounce.example.com", Refusal.UNKNOWN_MAILBOX),
    ],
)
def test_elsewhere_any_sender_may_speak(address: str, expected: Admission) -> None:
    assert judge(address, "someone@elsewhere.example") == expected


def test_an_own_relay_is_never_refused_for_its_sender() -> None:
    admission = judge("bounces@bounce.example.com", "MAILER-DAEMON@elsewhere.example", relay=True)
    assert admission == BY_MAILBOX


@pytest.mark.parametrize(
    ("local_part", "expected"),
    [
        pytest.param(f"bounces+{VALID}", BY_TOKEN, id="prefix"),
        pytest.param(f"BOUNCES+{VALID.upper()}", BY_TOKEN, id="prefix, case"),
        pytest.param(f"prvs=1234abcdef=bounces+{VALID}", BY_TOKEN, id="prefix, BATV"),
        pytest.param(
            f"SRS0=HHHH=TT=bounce.example.com=bounces+{VALID}", BY_TOKEN, id="prefix, SRS"
        ),
        pytest.param(VALID, BY_TOKEN, id="from before the prefix"),
        pytest.param(f"bounces+{FORGED}", Refusal.TOKEN_FORGED, id="forged"),
        pytest.param("bounces+max", Refusal.TOKEN_MALFORMED, id="no token"),
        pytest.param("bounces+", Refusal.TOKEN_MALFORMED, id="nothing"),
        pytest.param("bounces", BY_MAILBOX, id="mailbox"),
        pytest.param(f"other+{VALID}", Refusal.UNKNOWN_MAILBOX, id="another prefix"),
    ],
)
def test_a_prefix_stands_before_the_token(local_part: str, expected: Admission) -> None:
    assert judge(f"{local_part}@bounce.example.com", settings=PLUS) == expected


@pytest.mark.parametrize("token_type", TokenType)
@pytest.mark.parametrize("relay", [True, False])
def test_notices_and_probes_come_back_by_their_tokens(
    token_type: TokenType, *, relay: bool
) -> None:
    address = build_return_path(seal(token_type, ID8, TODAY, KEY), SETTINGS)
    assert judge(address, relay=relay) == Accepted(Door.TOKEN, Token(token_type, "a", ID8, TODAY))


@pytest.mark.parametrize("settings", [SETTINGS, PLUS])
def test_a_built_return_path_is_let_in(settings: AdmissionSettings) -> None:
    address = build_return_path(VALID, settings)
    assert address == f"{settings.prefix}{VALID}@bounce.example.com"
    assert judge(address, settings=settings) == BY_TOKEN


@given(st.text(), st.text(), st.booleans())
def test_garbage_never_raises(local_part: str, mail_from: str, relay: bool) -> None:
    for domain in ("bounce.example.com", local_part):
        address = f"{local_part}@{domain}"
        admission = judge(address, mail_from, relay=relay, settings=PLUS)
        assert isinstance(admission, Accepted | Refusal)


@given(
    st.sampled_from(["{}", "prvs=1234abcdef={}", "SRS0=HHHH=TT=bounces.example.com={}"]),
    st.sampled_from([str, str.upper, str.title, str.swapcase]),
    st.sampled_from(TokenType),
    st.binary(min_size=8, max_size=8),
)
def test_a_path_that_relays_rewrite_and_fold_stays_within_a_local_part_and_is_let_in(
    form: str, fold: Callable[[str], str], token_type: TokenType, id8: bytes
) -> None:
    """A local part has 64 octets at most (RFC 5321 §4.5.3.1.1)."""
    settings = AdmissionSettings(domains=("bounces.example.com",))
    local_part = fold(form.format(seal(token_type, id8, TODAY, KEY)))
    assert len(local_part) <= 64
    admission = judge(f"{local_part}@bounces.example.com", settings=settings)
    assert admission == Accepted(Door.TOKEN, Token(token_type, "a", id8, TODAY))


def test_every_refusal_has_a_reply_with_its_enhanced_code() -> None:
    codes = {refusal: refusal.reply[:9] for refusal in Refusal}
    assert codes.pop(Refusal.UNKNOWN_MAILBOX) == "550 5.1.1"
    assert set(codes.values()) == {"550 5.7.1"}
    for refusal in Refusal:
        assert re.fullmatch(r"550 5\.[17]\.1 [ -~]{20,80}", refusal.reply)


def test_every_fault_of_a_token_has_a_refusal() -> None:
    faults = {Refusal(f"token-{fault}") for fault in TokenFault}
    assert {refusal.reply for refusal in faults} == {Refusal.TOKEN_FORGED.reply}
