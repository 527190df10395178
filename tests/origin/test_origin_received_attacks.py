"""Received fields: what a client can make a server write, and what it cannot hide by it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.origin.received import read_clients


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(
            "from [127.0.0.1] (mx.example.net [192.0.2.7]) by r; x", id="literal as HELO"
        ),
        pytest.param("from 127.0.0.1 (unknown [192.0.2.7]) by r; x", id="address as HELO"),
        pytest.param(
            "from localhost (localhost [192.0.2.7]) by r; x", id="reverse name localhost"
        ),
        pytest.param("from x (127.0.0.1 [192.0.2.7]) by r; x", id="address as reverse name"),
        pytest.param(
            'from x (x [192.0.2.7]) (Client CN "localhost [127.0.0.1]") by r; x', id="certificate"
        ),
        pytest.param(
            "from x (x [192.0.2.7]) (Authenticated sender: a [127.0.0.1]) by r; x", id="login"
        ),
        pytest.param(
            "from mx.example.net ([192.0.2.7] helo=[127.0.0.1]) by r with esmtp (Exim 4.96); x",
            id="literal as HELO to Exim",
        ),
        pytest.param(
            "from [192.0.2.7] (helo=[127.0.0.1]) by r with esmtp (Exim 4.96); x",
            id="literal as HELO to Exim, no reverse name",
        ),
        pytest.param(
            "from [192.0.2.7] (helo=localhost ident=[127.0.0.1]) by r with esmtp (Exim 4.96); x",
            id="address as ident to Exim",
        ),
        pytest.param(
            "from x ([127.0.0.1]@mx.example.net [192.0.2.7]) by r; x", id="ident to Sendmail"
        ),
        pytest.param(
            "from unknown (HELO [127.0.0.1]) (192.0.2.7) by r with SMTP; x", id="HELO to qmail"
        ),
        pytest.param(
            "from localhost (HELO localhost) ([local]@192.0.2.7) by r with SMTP; x",
            id="local socket as ident to qmail",
        ),
        pytest.param(
            "from [127.0.0.1] (192.0.2.7) by EX with Microsoft SMTP Server; x", id="Exchange"
        ),
        pytest.param("from [192.0.2.7] (127.0.0.1) by r (chasquid) with ESMTPS; x", id="chasquid"),
        pytest.param(
            "from [192.0.2.7] ([127.0.0.1]) by r (chasquid) with ESMTPS; x", id="chasquid 2"
        ),
        pytest.param(
            "from localhost (localhost) (x [192.0.2.7]) by r with SMTP; x", id="HELO as comment"
        ),
        pytest.param(
            "from x ([127.0.0.1] helo=x@mx.example.net [192.0.2.7]) by r; x", id="long ident"
        ),
        pytest.param("from x ([127.0.0.1] helo=x@[192.0.2.7]) by r; x", id="ident, no host"),
        pytest.param(
            "from x (helo=y@mx.example.net [192.0.2.7]) by r with local; x",
            id="Exim's word as ident",
        ),
        pytest.param(
            "from x ([127.0.0.1]) by y (z [192.0.2.7]) by r with SMTP; x", id="own by clause"
        ),
        pytest.param(
            "from x by y with local (z [192.0.2.7]) by r with SMTP; x", id="own with clause"
        ),
        pytest.param(
            "from [192.0.2.7] ([local]) by r (chasquid) with ESMTPS; x", id="local as HELO"
        ),
        # What the servers wrote for hostile names, with `helo_accept_junk_hosts` and ident in Exim
        # and with AllowBogusHELO in Sendmail.
        pytest.param(
            "from x?[127.0.0.1]??by?x?with?local?? (localhost [192.0.2.7]) by r (Postfix) with"
            " ESMTP id 1; x",
            id="Postfix under attack",
        ),
        pytest.param(
            "from by (evil.example [192.0.2.7]) by r (Postfix) with ESMTP id 1; x",
            id="`by` as HELO",
        ),
        pytest.param(
            "from [192.0.2.7] (helo=x) by r with local ( ident=x) by r with smtp (Exim 4.96)"
            " (envelope-from <a@example.com>) id 1xUyTc-0003G4-20 for m@customer.example; x",
            id="Exim under attack",
        ),
        pytest.param(
            "from [192.0.2.7] (helo=x@[127.0.0.1] ident=x) by r with smtp (Exim 4.96) id 1; x",
            id="address behind an at sign as HELO to Exim",
        ),
        pytest.param(
            "from [192.0.2.7] (helo=x) id ( ident=x) by r with smtp (Exim 4.96) id 1; x",
            id="id clause as HELO to Exim",
        ),
        pytest.param("from evil.example ([192.0.2.7] helo=a", id="CR as HELO to Exim"),
        pytest.param(
            "from evil.example ([192.0.2.7] helo=[127.0.0.1] ident=[127.0.0.1] helo=x)() by r"
            " with smtp (Exim 4.96) id 1; x",
            id="parentheses as ident to Exim",
        ),
        pytest.param(
            "from IPv6:::1 (local@[192.0.2.7]) by r (8.17.1/8.17.1) with SMTP id 1; x",
            id="Sendmail under attack",
        ),
        pytest.param(
            "from localhost (ab@localhost [192.0.2.7] (may be forged)) by r (8.17.1/8.17.1) with"
            " ESMTP id 1; x",
            id="reverse name localhost to Sendmail",
        ),
        pytest.param(
            "from [IPv6:::1] (<unknown> [192.0.2.7]) by r (OpenSMTPD) with ESMTP id 1; x",
            id="OpenSMTPD under attack",
        ),
    ],
)
def test_a_client_cannot_pass_for_an_own_host(field: str) -> None:
    """The client's words (HELO, reverse name, ident, login) never hide its address 192.0.2.7."""
    clients = read_clients(field)
    assert clients is None or ip_address("192.0.2.7") in clients


@pytest.mark.parametrize(
    "piece", ["(", "helo=a", "(helo=a ", "x@", "[1", "1.", "from (", "a)", "(x [1.1.1.1] helo="]
)
def test_a_hostile_field_vouches_for_no_local_client(piece: str) -> None:
    field = ("from x (" + piece * 2_000)[:1_990] + ") by r"
    assert read_clients(field) != ()


@given(
    st.text(
        alphabet=st.characters(codec="ascii", exclude_characters=" \t\r\n\v\f()\\\x1c\x1d\x1e\x1f")
    )
)
def test_no_helo_changes_what_postfix_stamped(helo: str) -> None:
    """Postfix replaces blanks and parentheses in the HELO name; all else may stand there."""
    clients = read_clients(f"from {helo} (mx.example.net [192.0.2.7]) by r (Postfix) id 1; x")
    assert clients is None or clients == (ip_address("192.0.2.7"),)
