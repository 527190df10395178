"""Received fields: whose stamp names which client, and which forms nobody knows."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.origin.received import read_clients

POSTFIX_LOCAL = "by relay.example.com (Postfix) id 4XyZ12; Fri, 20 Nov 2026 10:00:00 +0100 (CET)"
POSTFIX_PICKUP = "by relay.example.com (Postfix, from userid 1000) id 4XyZ15; x"


@pytest.mark.parametrize(
    ("field", "clients"),
    [
        pytest.param(
            "from helo.example (mx.example.net [192.0.2.7]) (using TLSv1.3 with cipher X (256/256"
            ' bits)) (Client CN "mx", Issuer "CA" (not verified)) by relay.example.com (Postfix)'
            " with ESMTPS id 4XyZ; Fri, 20 Nov 2026 10:00:00 +0100 (CET)",
            ["192.0.2.7"],
            id="Postfix",
        ),
        pytest.param(
            "from x (x [IPv6:2001:db8::1]) by r (Postfix) id 1; x", ["2001:db8::1"], id="IPv6"
        ),
        pytest.param(
            "from relay (unknown [10.0.0.5])\r\n\tby r (Postfix) with SMTP id 1; x",
            ["10.0.0.5"],
            id="Postfix, folded",
        ),
        pytest.param(
            "from mx.example.net ([192.0.2.7] helo=mail) by r with esmtp (Exim 4.96)"
            " (envelope-from <>) id 1abc-000-1x for b@example.com; x",
            ["192.0.2.7"],
            id="Exim",
        ),
        pytest.param(
            "from eggs.example ([2001:db8::10]:57566) by r with esmtps (TLS1.2) (Exim 4.90) id 1; x",
            ["2001:db8::10"],
            id="Exim with port",
        ),
        pytest.param(
            "from [192.0.2.7] (helo=mail.example.net) by r with esmtp (Exim 4.96) id 1; x",
            ["192.0.2.7"],
            id="Exim without reverse name",
        ),
        pytest.param(
            "from [192.0.2.7] (port=4711 helo=mail ident=root) by r with esmtp (Exim 4.96) id 1; x",
            ["192.0.2.7"],
            id="Exim with port and ident",
        ),
        pytest.param(
            "from [192.0.2.7] by r with smtp (Exim 4.96) id 1; x",
            ["192.0.2.7"],
            id="Exim, no HELO",
        ),
        pytest.param(
            "from x.example (root@host.example [192.0.2.7]) by r (8.17.1/8.17.1) with SMTP id 1; x",
            ["192.0.2.7"],
            id="Sendmail with ident",
        ),
        pytest.param(
            "from x.example (host.example [192.0.2.7] (may be forged)) by r (8.17.1/8.17.1) id 1; x",
            ["192.0.2.7"],
            id="Sendmail, may be forged",
        ),
        pytest.param(
            "from x.example ([192.0.2.7]) by r (8.17.1/8.17.1) with ESMTP id 1; x",
            ["192.0.2.7"],
            id="Sendmail without reverse name",
        ),
        pytest.param(
            "from x (<unknown> [2001:db8::2]) by r (OpenSMTPD) with ESMTP id 1; x",
            ["2001:db8::2"],
            id="OpenSMTPD",
        ),
        pytest.param(
            "from unknown (HELO mail.example.net) (192.0.2.7) by r with SMTP; 20 Nov 2026",
            ["192.0.2.7"],
            id="qmail",
        ),
        pytest.param(
            "from host.example (HELO x) (user@192.0.2.7) by r with ESMTPA; x",
            ["192.0.2.7"],
            id="qmail with user",
        ),
        pytest.param(
            "from EX1.corp.example (192.0.2.7) by EX2.corp.example (10.0.0.4) with Microsoft SMTP"
            " Server (version=TLS1_2) id 15.1.2; x",
            ["192.0.2.7"],
            id="Exchange",
        ),
        pytest.param(
            "from EX1 (fe80::1%12) by EX2 (fe80::2%11) with mapi id 15.00; x",
            ["fe80::1%12"],
            id="Exchange, link-local",
        ),
        pytest.param(
            "from app (unknown [IPv6:fe80::1%br-app.7]) by r (Postfix) with ESMTP id 1; x",
            ["fe80::1%br-app.7"],
            id="Postfix, link-local",
        ),
        pytest.param(
            "from mail.example.net ([192.0.2.7]) by lists.example (amavisd-new, port 10024) id 1; x",
            ["192.0.2.7"],
            id="amavis",
        ),
        pytest.param(
            "from mx.example.net (mx.example.net. [192.0.2.7]) by mx.google.com with ESMTPS id 1; x",
            ["192.0.2.7"],
            id="Google",
        ),
        pytest.param(
            "from imap (LHLO imap) (192.0.2.7) by imap with LMTP; x",
            ["192.0.2.7"],
            id="Zimbra LMTP",
        ),
        pytest.param(
            "from mail ([192.0.2.7] verified) by r (CommuniGate Pro SMTP 6.3) id 1; x",
            ["192.0.2.7"],
            id="CommuniGate",
        ),
        pytest.param(
            "from x (x [IPv6:::ffff:192.0.2.7]) by r (Postfix) id 1; x", ["192.0.2.7"], id="mapped"
        ),
        pytest.param(
            "from feed.de (mail.feed.de [192.0.2.7]) by r; x", ["192.0.2.7"], id="hexadecimal name"
        ),
        pytest.param("from ([192.0.2.7]) by r with SMTP; x", ["192.0.2.7"], id="no name"),
        pytest.param(
            "from [172.18.0.3] (app [192.0.2.7]) by r (Postfix) id 1; x",
            ["192.0.2.7"],
            id="literal as HELO before host and address",
        ),
        pytest.param(
            "from 192.0.2.7 (EHLO mail.example.net) (192.0.2.8) by r with SMTPS; x",
            ["192.0.2.8", "192.0.2.7"],
            id="either address may be the client's",
        ),
        pytest.param(
            "from localhost (localhost [127.0.0.1]) (uid 1000) by r with SMTP; x",
            ["127.0.0.1"],
            id="loopback",
        ),
        pytest.param(
            "from mail.example.net ([192.0.2.7]) by imap with LMTP id 1; x",
            ["192.0.2.7"],
            id="Dovecot LMTP over TCP",
        ),
    ],
)
def test_the_stamped_client_is_read(field: str, clients: list[str]) -> None:
    assert read_clients(field) == tuple(ip_address(text) for text in clients)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(POSTFIX_LOCAL, id="Postfix report"),
        pytest.param(POSTFIX_PICKUP, id="Postfix pickup"),
        pytest.param("BY relay.example.com", id="upper case"),
        pytest.param(
            "from root by r with local (Exim 4.96) (envelope-from <>) id 1; x", id="Exim"
        ),
        pytest.param(
            "from Debian-exim by r with local (Exim 4.96) id 1; x", id="Exim's own report"
        ),
        pytest.param("from u (helo=box) by r with local-esmtp (Exim 4.96) id 1; x", id="Exim -bs"),
        pytest.param("(from root@localhost) by r (8.17.1/8.17.1/Submit) id 1; x", id="Sendmail"),
        pytest.param(
            "from localhost (localhost) by r (8.17.1/8.17.1) id 1; x", id="Sendmail's own report"
        ),
        pytest.param(
            "from localhost (localhost) by r (8.11.6/8.11.6) with internal id 1; x",
            id="older Sendmail's own report",
        ),
        pytest.param(
            "from localhost (relay.example.com [local]) by r (OpenSMTPD) with ESMTPA id 1; x",
            id="OpenSMTPD",
        ),
        pytest.param("from r ([unix socket]) by r (Cyrus v2.4) with LMTPA; x", id="Cyrus"),
        pytest.param("from relay.example.com by r (Dovecot) with LMTP id 1; x", id="Dovecot"),
        pytest.param("(qmail 123 invoked for bounce); 20 Nov 2026", id="qmail's own report"),
        pytest.param("(qmail 123 invoked by uid 89); 20 Nov 2026", id="qmail-inject"),
        pytest.param("(qmail 123 invoked by alias); 20 Nov 2026", id="qmail alias"),
        pytest.param("(qmail 123 invoked from network); 20 Nov 2026", id="qmail-smtpd's queue"),
        pytest.param("(nullmailer pid 77 invoked by uid 1000); x", id="nullmailer"),
        pytest.param("(Haraka 5521 invoked for bounce); x", id="Haraka"),
        pytest.param(
            "from root (uid 0) (envelope-from r@h) id 1 by h (DragonFly ...); x", id="dma"
        ),
        pytest.param("from mail pickup service by WEB1 with Microsoft SMTPSVC; x", id="IIS"),
    ],
)
def test_a_stamp_without_a_client_is_local(field: str) -> None:
    assert read_clients(field) == ()


@pytest.mark.parametrize(
    "field",
    [
        pytest.param("", id="empty"),
        pytest.param(" \t", id="blank"),
        pytest.param("from", id="nothing behind from"),
        pytest.param("from x (x [192.0.2.7])", id="no by clause"),
        pytest.param("from localhost by r with SMTP id 1; x", id="HELO only"),
        pytest.param("from [127.0.0.1] by r with SMTP id 1; x", id="literal only"),
        pytest.param("from [127.0.0.1] (helo) by r with SMTP; x", id="comment without address"),
        pytest.param("from localhost (localhost) by r with ESMTP id 1; x", id="not Sendmail's"),
        pytest.param("from x (unknown [unknown]) by r (Postfix); x", id="unknown client"),
        pytest.param("from x (x [999.0.0.1]) by r; x", id="no address"),
        pytest.param("from x (dead.beef) by r; x", id="hexadecimal host"),
        pytest.param("from x y (z [10.0.0.5]) by r; x", id="two names"),
        pytest.param("from x (z [10.0.0.5] by r; x", id="open comment"),
        pytest.param("from x z [10.0.0.5]) by r; x", id="closed before opened"),
        pytest.param("from x (z [10.0.0.5]) by r (Postfix; x", id="open comment at the end"),
        pytest.param("from x (HELO y) by r with SMTP; x", id="HELO comment only"),
        pytest.param("from x (z [10.0.0.5]) by r; " + "x" * 2_000, id="too long"),
        pytest.param("(from u@host.example) by r; x", id="not localhost"),
        pytest.param("(qmail 123 invoked by magic); x", id="not qmail's"),
        pytest.param("id 1 by r; x", id="another clause first"),
    ],
)
def test_an_unknown_form_is_not_guessed(field: str) -> None:
    assert read_clients(field) is None


WORDS = [
    "from",
    "by",
    "with",
    "id",
    "(",
    ")",
    "[127.0.0.1]",
    "x",
    "helo=y",
    "local",
    "@",
    " ",
    "\\",
]


@given(st.text() | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_text_is_read_without_raising(field: str) -> None:
    clients = read_clients(field)
    assert clients is None or isinstance(clients, tuple)
