"""What relays put around a local part is taken off, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.origin.rewriting import Rewritten, drop_batv, read_srs

TOKEN = "saaerukz4jvpg66ujkrqpbkdfoil6my"
DOMAIN = "bounce.example.com"
INNER = Rewritten(TOKEN, DOMAIN)


@pytest.mark.parametrize(
    ("local_part", "expected"),
    [
        pytest.param(f"prvs=1234abcdef={TOKEN}", TOKEN, id="as drafted"),
        pytest.param(f"PRVS=1234ABCDEF={TOKEN.upper()}", TOKEN.upper(), id="upper case"),
        pytest.param(f"prvs=374a1453b={TOKEN}", TOKEN, id="nine digits"),
        pytest.param(f"prvs={TOKEN}=1234abcdef", TOKEN, id="tag behind"),
        pytest.param("prvs=1234abcdef=bounces+x=y", "bounces+x=y", id="equals sign inside"),
        pytest.param("prvs=1234abcdef=", "prvs=1234abcdef=", id="nothing behind"),
        pytest.param("prvs=xyz=bounces", "prvs=xyz=bounces", id="no tag"),
        pytest.param("bounces", "bounces", id="no BATV"),
        pytest.param("prv\u017f=1234abcdef=bounces", "prv\u017f=1234abcdef=bounces", id="long s"),
    ],
)
def test_a_batv_tag_is_dropped(local_part: str, expected: str) -> None:
    assert drop_batv(local_part) == expected


@pytest.mark.parametrize(
    ("local_part", "expected"),
    [
        pytest.param(f"SRS0=HHHH=TT={DOMAIN}={TOKEN}", INNER, id="SRS0"),
        pytest.param(f"SRS0+aB+/=7Q={DOMAIN}={TOKEN}", INNER, id="SRS0, plus, base64"),
        pytest.param(f"SRS0-HHHH=TT={DOMAIN}={TOKEN}", INNER, id="SRS0, hyphen"),
        pytest.param(
            f"srs0=hhhh=tt={DOMAIN.upper()}={TOKEN.upper()}",
            Rewritten(TOKEN.upper(), DOMAIN.upper()),
            id="another case",
        ),
        pytest.param(f"SRS1=GGGG=fwd.example==HHHH=TT={DOMAIN}={TOKEN}", INNER, id="SRS1"),
        pytest.param(f"SRS1+GGGG=fwd.example=-HHHH=TT={DOMAIN}={TOKEN}", INNER, id="SRS1, mixed"),
        pytest.param(
            f"SRS0=HHHH=TT={DOMAIN}=bounces+{TOKEN}",
            Rewritten(f"bounces+{TOKEN}", DOMAIN),
            id="prefix",
        ),
        pytest.param(
            f"SRS0=HHHH=TT={DOMAIN}=prvs=1234abcdef={TOKEN}",
            Rewritten(f"prvs=1234abcdef={TOKEN}", DOMAIN),
            id="BATV inside",
        ),
        pytest.param(f"SRS0=HHHH=TT={DOMAIN}=", None, id="nobody"),
        pytest.param(f"SRS0=HHHH=TT=={TOKEN}", None, id="no domain"),
        pytest.param(f"SRS0=HHHH={DOMAIN}={TOKEN}", None, id="no time"),
        pytest.param(f"SRS1=GGGG=fwd.example=HHHH=TT={DOMAIN}", None, id="SRS1, no separator"),
        pytest.param(f"SRS2=HHHH=TT={DOMAIN}={TOKEN}", None, id="no such scheme"),
        pytest.param(f"\u017fRS0=HHHH=TT={DOMAIN}={TOKEN}", None, id="long s"),
        pytest.param(TOKEN, None, id="not rewritten"),
    ],
)
def test_a_rewritten_address_is_read(local_part: str, expected: Rewritten | None) -> None:
    assert read_srs(local_part) == expected


def test_a_return_path_of_a_domain_up_to_19_stays_within_a_local_part() -> None:
    """A local part has 64 octets at most (RFC 5321 §4.5.3.1.1)."""
    domain = "bounces.example.com"
    rewritten = f"SRS0=HHHH=TT={domain}={TOKEN}"
    assert (len(domain), len(rewritten)) == (19, 64)
    assert read_srs(rewritten) == Rewritten(TOKEN, domain)


@given(st.text() | st.text("SRSPV01prvs=+-ab"))
def test_any_text_is_read_without_raising(text: str) -> None:
    assert drop_batv(text) in text
    found = read_srs(text)
    assert found is None or found.local_part in text
