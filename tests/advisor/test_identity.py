"""Which identity failed, and where SPF was looked at: by the words of real receivers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.advisor.identity import MOST_CHARS, Blame, Parties, read_blame
from bounced.diagnosis import Identity
from bounced.model import Reason

HIS = "firma.example"
OURS = "bounces.app.example"
AT_OURS = Blame(Identity.MAIL_FROM, OURS)
AT_HIS = Blame(Identity.MAIL_FROM, HIS)
AT_FROM = Blame(Identity.FROM, HIS)
MAIL = Parties(HIS, OURS, "kunde.example", frozenset({"app.example", OURS}))
UNKNOWN = replace(MAIL, mail_from_domain=None)

SPF = {
    "Gmail names the bounce domain": (
        (
            f"550-5.7.26 The MAIL FROM domain [{OURS}] has an SPF record with a hard fail policy "
            "(-all) but it fails to pass SPF checks with the ip: [192.0.2.7]."
        ),
        AT_OURS,
    ),
    "Gmail names the author's domain": (
        (
            f"550-5.7.26 The MAIL FROM domain [{HIS}] has an SPF record with a hard fail policy "
            "(-all) but it fails to pass SPF checks with the ip: [192.0.2.7]."
        ),
        AT_HIS,
    ),
    "Gmail names a forwarder": (
        (
            "550-5.7.26 The MAIL FROM domain [forwarder.example] has an SPF record with a hard fail "
            "policy (-all) but it fails to pass SPF checks with the ip: [192.0.2.7]."
        ),
        AT_OURS,
    ),
    "Gmail, bulk": (
        (
            "421-4.7.27 Your email has been rate limited because SPF authentication didn't pass for "
            "this message. Gmail requires all bulk email senders to authenticate with SPF."
        ),
        AT_OURS,
    ),
    "Gmail, suspicious entries": (
        "550-5.7.24 The SPF record of the sending domain has one or more suspicious entries.",
        AT_OURS,
    ),
    "Microsoft": (
        (
            "550 5.7.23 The message was rejected because of Sender Policy Framework violation -> 550 "
            "5.7.1 SPF check failed"
        ),
        AT_OURS,
    ),
    "Microsoft, Received-SPF words": (
        (
            f"550 5.7.1 Fail (protection.outlook.com: domain of {HIS} does not designate 192.0.2.7 as "
            f"permitted sender) receiver=protection.outlook.com; client-ip=192.0.2.7; helo=mail.app.example;"
        ),
        AT_FROM,
    ),
    "Exchange, Sender ID": ("550 5.7.1 Sender ID (PRA) Not Permitted", AT_FROM),
    "Sender ID": ("550 command rejected due to Sender ID validation failure.", AT_FROM),
    "Sender-ID, PRA": (
        f"550 5.7.1 Missing purported responsible address or Sender-ID fail: {HIS}",
        AT_FROM,
    ),
    "GMX": (
        (
            "550-Requested action not taken: mailbox unavailable 550-Reject due to SPF policy. 550 "
            "For explanation visit https://postmaster.gmx.net/en/case?c=r1108&i=ip&v=192.0.2.7"
        ),
        AT_OURS,
    ),
    "Postfix policyd-spf, MAIL FROM ours": (
        (
            "550 5.7.23 <max@kunde.example>: Recipient address rejected: Message rejected due to: SPF "
            f"fail - not authorized. Please see http://www.openspf.net/Why?s=mfrom;id=b1@{OURS};ip=1"
        ),
        AT_OURS,
    ),
    "Postfix policyd-spf, MAIL FROM his": (
        (
            "550 5.7.23 <max@kunde.example>: Recipient address rejected: Message rejected due to: SPF "
            f"fail - not authorized. Please see http://www.openspf.net/Why?s=mfrom;id=info@{HIS};ip=1"
        ),
        AT_HIS,
    ),
    "openspf.org, quoted": (
        f"550 Please see http://www.openspf.org/Why?id=x&s=mfrom&id=info%40{HIS}&ip=192.0.2.7",
        AT_HIS,
    ),
    "openspf.org, the parts in another order": (
        f"550 5.7.1 SPF: see http://www.openspf.org/Why?id=info%40{HIS}&ip=192.0.2.7&r=mx.example",
        AT_OURS,
    ),
    "openspf.org, HELO": (
        (
            "550 5.7.23 Message rejected due to: SPF fail - not authorized. Please see "
            "http://www.openspf.net/Why?s=helo;id=mail.app.example;ip=192.0.2.7;r=<UNKNOWN>"
        ),
        Blame(Identity.MAIL_FROM, "mail.app.example"),
    ),
    "openspf.org, scope PRA": (
        f"550 http://www.openspf.org/Why?scope=pra;identity=info@{HIS};ip=192.0.2.7",
        AT_FROM,
    ),
    "Mail::SPF, scope mfrom": (
        f"550 Please see http://www.openspf.org/Why?scope=mfrom;identity=info@{HIS};ip=192.0.2.7",
        AT_HIS,
    ),
    "HELO in words": (f"550 5.7.1 SPF failed for HELO {HIS}", AT_OURS),
    "Exim, his domain": (
        f"550-SPF-check failed: 550 {HIS} doesn't allow sending mails from 192.0.2.7",
        AT_FROM,
    ),
    "Exim, our domain": (
        f"550-SPF-check failed: 550 {OURS} doesn't allow sending mails from 192.0.2.7",
        AT_OURS,
    ),
    "Exim, host not allowed": (
        f"550 [SPF] 192.0.2.7 is not allowed to send mail from {HIS}.",
        AT_FROM,
    ),
    "a designated mailer": (f"550 192.0.2.1 is not a designated mailer for {HIS}", AT_FROM),
    "on behalf of": (f"550 5.7.1 192.0.2.7 may not send mail on behalf of {HIS} (SPF)", AT_FROM),
    "domain of an address": (
        f"550 5.7.1 domain of info@{HIS} does not designate 192.0.2.7 as permitted sender",
        AT_FROM,
    ),
    "validation failed for domain": (f"554 5.7.1 SPF validation failed for domain {HIS}", AT_FROM),
    "German, im Namen": (f"550 Server 192.0.2.7 darf nicht für {HIS} senden (SPF)", AT_FROM),
    "German, Eintrag": (
        f"550 Der Server 192.0.2.7 ist im SPF-Eintrag von {HIS} nicht enthalten",
        AT_FROM,
    ),
    "German, ours": (f"550 Der Server ist im SPF-Eintrag von {OURS} nicht enthalten", AT_OURS),
    "upper case": (f"554 INVALID IP FOR SENDING MAIL OF DOMAIN {HIS.upper()}", AT_FROM),
    "both are named": (
        f"550 5.7.1 SPF fail: {OURS} does not permit 192.0.2.7 (header from {HIS})",
        AT_OURS,
    ),
    "a colleague as recipient": (
        f"550 5.7.23 <kollege@{HIS}>: Recipient address rejected: SPF fail - not authorized",
        AT_OURS,
    ),
    "a colleague, bare": (f"550 5.7.1 kollege@{HIS}: rejected, SPF check failed", AT_OURS),
    "the receiving host below his domain": (f"550 5.7.1 mx1.{HIS}: SPF check failed", AT_OURS),
    "a link of the receiver": (f"550 5.7.1 SPF fail, see https://{HIS}/postmaster", AT_OURS),
    "Postfix, sender rejected": (
        f"550 5.7.23 <info@{HIS}>: Sender address rejected: SPF fail",
        AT_HIS,
    ),
    "Authentication-Results, MAIL FROM": (
        f"550 5.7.1 spf=fail (sender IP is 192.0.2.7) smtp.mailfrom=b1@{OURS}; header.from={HIS}",
        AT_OURS,
    ),
    "Authentication-Results, MAIL FROM his": (
        f"550 5.7.1 spf=fail smtp.mailfrom={HIS}; dkim=none",
        AT_HIS,
    ),
    "Authentication-Results, From only": (f"550 5.7.1 spf=fail header.from={HIS}", AT_FROM),
    "envelope-from": (f"550 5.7.1 SPF fail; envelope-from=<info@{HIS}>", AT_HIS),
    "Mimecast": (
        "550 SPF Sender Invalid - envelope rejected - https://community.mimecast.com/docs/DOC-1369",
        AT_OURS,
    ),
    "Proofpoint": ("550 5.1.0 0bcW1i00G0jifNx01bcmHa blocked by SPF", AT_OURS),
    "Barracuda": ("550 5.7.1 [BFD] Sender prohibited by SPF", AT_OURS),
    "rspamd": ("554 5.7.1 SPF -all fail", AT_OURS),
    "Cisco": ("550 #5.7.1 SPF unauthorized mail is prohibited.", AT_OURS),
    "a code alone": ("550 5.7.23 refused", AT_OURS),
    "nothing": (None, AT_OURS),
}

OTHERS = {
    "Gmail, neither": (
        Reason.UNAUTHENTICATED,
        (
            "550 5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail "
            "requires all senders to authenticate with either SPF or DKIM. DKIM = did not pass "
            f"SPF [{OURS}] with ip: [192.0.2.7] = did not pass - gsmtp"
        ),
        Blame(Identity.FROM, OURS),
    ),
    "Gmail, neither, MAIL FROM his": (
        Reason.UNAUTHENTICATED,
        (
            "550 5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM. DKIM = "
            f"did not pass SPF [{HIS}] with ip: [192.0.2.7] = did not pass - gsmtp"
        ),
        Blame(Identity.FROM, HIS),
    ),
    "Microsoft, neither": (
        Reason.UNAUTHENTICATED,
        (
            f"550 5.7.515 Access denied, sending domain {HIS} doesn't meet the required "
            "authentication level. The sender's domain in the 5322.From address doesn't meet the "
            "authentication requirements. Spf= Pass , Dkim= Fail , DMARC= None"
        ),
        Blame(Identity.FROM, OURS),
    ),
    "Yahoo, neither": (
        Reason.UNAUTHENTICATED,
        "550 5.7.9 This mail has been blocked because the sender failed authentication.",
        Blame(Identity.FROM, OURS),
    ),
    "Apple, neither": (
        Reason.UNAUTHENTICATED,
        "554 5.7.1 [HME1] This message was blocked for failing both SPF and DKIM checks.",
        Blame(Identity.FROM, OURS),
    ),
    "Gmail, DMARC": (
        Reason.DMARC,
        (
            f"550-5.7.26 Unauthenticated email from {HIS} is not accepted due to domain's DMARC "
            "policy."
        ),
        Blame(Identity.DMARC, OURS),
    ),
    "Microsoft, DMARC": (
        Reason.DMARC,
        (
            f"550 5.7.509 Access denied, sending domain {HIS} does not pass DMARC verification and "
            "has a DMARC policy of reject."
        ),
        Blame(Identity.DMARC, OURS),
    ),
    "OpenDMARC": (
        Reason.DMARC,
        f"550 5.7.1 rejected by DMARC policy for {HIS}",
        Blame(Identity.DMARC, OURS),
    ),
    "GMX, DMARC": (
        Reason.DMARC,
        "550-Reject due to DMARC policy. 550 For explanation visit https://postmaster.gmx.net/",
        Blame(Identity.DMARC, OURS),
    ),
    "DMARC with results": (
        Reason.DMARC,
        f"550 5.7.1 dmarc=fail (p=reject) header.from={HIS} smtp.mailfrom={HIS}",
        Blame(Identity.DMARC, HIS),
    ),
    "Gmail, DKIM": (
        Reason.DKIM,
        "550 5.7.30 Your email has been blocked because DKIM authentication didn't pass.",
        Blame(Identity.DKIM, OURS),
    ),
    "OpenDKIM": (
        Reason.DKIM,
        "550 5.7.0 bad DKIM signature data",
        Blame(Identity.DKIM, OURS),
    ),
}


@pytest.mark.parametrize(("reply", "blame"), SPF.values(), ids=SPF)
def test_spf_failed_for_mail_from_unless_the_receiver_says_from(
    reply: str | None, blame: Blame
) -> None:
    assert read_blame(Reason.SPF, reply, MAIL) == blame


@pytest.mark.parametrize(("reason", "reply", "blame"), OTHERS.values(), ids=OTHERS)
def test_what_else_failed_is_the_reasons_word(reason: Reason, reply: str, blame: Blame) -> None:
    assert read_blame(reason, reply, MAIL) == blame


def test_his_own_mail_from_that_is_named_is_mail_from() -> None:
    assert (
        read_blame(
            Reason.SPF, f"550 SPF failed for domain {HIS}", replace(MAIL, mail_from_domain=HIS)
        )
        == AT_HIS
    )


def test_an_unknown_mail_from_is_what_the_receiver_names() -> None:
    for named in (HIS, f"news.{HIS}", OURS, "mail.app.example"):
        reply = f"550 5.7.26 The MAIL FROM domain [{named}] has an SPF record"
        assert read_blame(Reason.SPF, reply, UNKNOWN) == Blame(Identity.MAIL_FROM, named)
    assert read_blame(Reason.SPF, None, UNKNOWN) == Blame(Identity.MAIL_FROM, None)


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.7.26 The MAIL FROM domain [forwarder.example] has an SPF record",
        f"550 5.7.23 SPF fail: mailfrom=SRS0=ab=cd={HIS}=info@forwarder.example",
        "550 5.7.1 See http://www.openspf.org/Why?s=helo;id=mx.forwarder.example;ip=192.0.2.7",
    ],
)
def test_a_strangers_server_is_never_taken_for_ours(reply: str) -> None:
    assert read_blame(Reason.SPF, reply, UNKNOWN) == Blame(Identity.MAIL_FROM, None)
    assert read_blame(Reason.SPF, reply, MAIL) == AT_OURS


@pytest.mark.parametrize(
    ("reply", "blame"),
    [
        (f"550 5.7.1 {HIS}: SPF check failed", AT_OURS),
        (f"550 5.7.1 <kollege@{HIS}>: refused by {HIS}, SPF check failed", AT_OURS),
        (f"550 5.7.1 domain of info@{HIS} does not designate 192.0.2.7", AT_FROM),
        (f"550 5.7.1 spf=fail header.from={HIS}", AT_FROM),
        (f"550-5.7.26 The MAIL FROM domain [{HIS}] has an SPF record", AT_HIS),
    ],
)
def test_to_a_colleague_the_bare_domain_is_the_receivers(reply: str, blame: Blame) -> None:
    """Author and recipient have one domain, and the receiver may speak of himself."""
    assert read_blame(Reason.SPF, reply, replace(MAIL, recipient_domain=HIS)) == blame


def test_where_nothing_was_refused_nothing_is_blamed() -> None:
    assert read_blame(None, None, MAIL) == Blame(None, OURS)


def test_a_domain_with_umlauts_is_recognized() -> None:
    blame = read_blame(
        Reason.SPF, "550 SPF of MÜLLER.example", replace(MAIL, domain="xn--mller-kva.example")
    )
    assert blame == Blame(Identity.FROM, "xn--mller-kva.example")


def test_what_stands_far_behind_is_not_read() -> None:
    reply = f"550 {'x' * MOST_CHARS} SPF of {HIS}"
    assert read_blame(Reason.SPF, reply, MAIL) == AT_OURS


_WORDS = f"spf s=mfrom;id= ? ; @ < > [ {HIS} {OURS} % %40 : of mailfrom= sender ü . helo".split()


@given(
    st.lists(st.one_of(st.sampled_from([*_WORDS, " "]), st.characters())).map("".join),
    st.sampled_from([Reason.SPF, Reason.DKIM, Reason.DMARC, Reason.UNAUTHENTICATED]),
)
def test_any_words_blame_one_domain(reply: str, reason: Reason) -> None:
    assert read_blame(reason, reply, MAIL).spf_domain is not None
