"""Signatures of webhooks and the file that their secret stands in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bounced.model import ConfigError
from bounced.web.signing import parse_signing_secrets, read_signing_secrets, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
AT = datetime.fromtimestamp(1614265330, UTC)
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_signature_is_that_of_standard_webhooks() -> None:
    assert sign(ID, AT, BODY, parse_signing_secrets(SECRET)) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_two_secrets_sign_both() -> None:
    secrets = parse_signing_secrets(f"# new\nwhsec_{'A' * 32}\n\n{SECRET}  # old\n")
    first, second = sign(ID, AT, BODY, secrets)["webhook-signature"].split(" ")
    assert first.startswith("v1,")
    assert (first != second, second) == (True, SIGNATURE)


def test_the_prefix_may_be_missing() -> None:
    assert parse_signing_secrets(SECRET.removeprefix("whsec_")) == parse_signing_secrets(SECRET)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty: write whsec_ and what `openssl rand -base64 32` prints"),
        ("# none\n", "is empty: "),
        (f"{SECRET}\nwhsec_secret!", "line 2: no base64: "),
        ("whsec_c2hvcnQ=", "line 1: a secret has 24 to 64 bytes: "),
        ("A" * 88, "line 1: a secret has 24 to 64 bytes: "),
    ],
)
def test_a_bad_secret_is_refused_without_being_shown(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_signing_secrets(text)
    assert str(error.value).startswith(complaint)
    assert "secret!" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read: No such file or directory"),
        ("whsec_ä", "cannot be read: not ASCII"),
        ("", "is empty: "),
    ],
)
def test_a_bad_file_is_named_with_its_key(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as error:
        read_signing_secrets(path)
    assert str(error.value).startswith(f"webhook.secret_file: {path}: {complaint}")
