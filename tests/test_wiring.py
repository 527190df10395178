"""What each room is told of the settings."""

from __future__ import annotations

import ipaddress
from datetime import timedelta

import pytest

from bounced.advisor.diagnose import Means
from bounced.config import AdviceSettings, Settings
from bounced.ledger.policy import PolicySettings
from bounced.model import Category
from bounced.origin.admission import AdmissionSettings
from bounced.origin.resolve import OriginSettings, TrustMode
from bounced.parser.report import HeaderNames
from bounced.wiring import (
    make_admission,
    make_header_names,
    make_means,
    make_origin,
    make_policy,
)

SETTINGS = Settings.model_validate(
    {
        "smtp": {
            "own_relays": ["192.0.2.0/24"],
            "trust": "signed",
            "senders_allowed": ["@own.example"],
        },
        "return_path": {
            "domains": ["b.example"],
            "mailboxes": ["x"],
            "prefix": "p+",
            "ttl": "36h",
        },
        "authors": {
            "domains": ["bau.example"],
            "own_domains": ["Bücher.example"],
            "author_header": "X-Author",
        },
        "ledger": {"max_age": "3d"},
        "notices": {
            "sender": "post@bau.example",
            "max_notices": 2,
            "digest_window": "1m",
            "min_interval": "2h",
            "min_interval_auth": "3h",
            "categories": ["bad-address"],
        },
        "relay": {"host": "relay.example"},
    }
)


def test_the_door() -> None:
    assert make_admission(SETTINGS) == AdmissionSettings(
        domains=("b.example",),
        mailboxes=("x",),
        prefix="p+",
        ttl_days=2,
        senders_allowed=("@own.example",),
    )


@pytest.mark.parametrize(("ttl", "days"), [("1s", 1), ("24h", 1), ("25h", 2), ("14d", 14)])
def test_a_token_lives_at_least_as_long_as_configured(ttl: str, days: int) -> None:
    settings = Settings.model_validate({"return_path": {"ttl": ttl}})
    assert make_admission(settings).ttl_days == days


def test_the_judgement_of_origin() -> None:
    assert make_origin(SETTINGS) == OriginSettings(
        own_relays=(ipaddress.ip_network("192.0.2.0/24"),),
        trust=TrustMode.SIGNED,
        author_domains=("bau.example",),
    )


def test_counting_and_rhythm() -> None:
    assert make_policy(SETTINGS) == PolicySettings(
        max_age=timedelta(days=3),
        return_domains=frozenset({"b.example"}),
        max_notices=2,
        digest_window=timedelta(minutes=1),
        min_interval=timedelta(hours=2),
        min_interval_auth=timedelta(hours=3),
        categories=frozenset({Category.BAD_ADDRESS}),
        own_domains=frozenset({"xn--bcher-kva.example"}),
        first_round=1,
    )


def test_without_a_relay_it_is_a_rehearsal() -> None:
    assert make_policy(Settings()).first_round == 0


def test_the_headers_of_the_returned_message() -> None:
    assert make_header_names(SETTINGS) == HeaderNames(
        author="X-Author", reference="X-Protocol-Id", language="Content-Language"
    )


def test_what_we_are_is_read_from_the_configuration() -> None:
    settings = Settings.model_validate(
        {
            "authors": {"own_domains": ["App.example"]},
            "return_path": {"domains": ["bounce.app.example", "b.app.example"]},
            "advice": {"spf_include": "_spf.app.example"},
        }
    )
    assert make_means(settings) == Means(
        AdviceSettings.model_validate({"spf_include": "_spf.app.example"}),
        frozenset({"app.example"}),
        frozenset({"bounce.app.example", "b.app.example"}),
    )
