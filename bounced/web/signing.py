"""How a webhook is signed, and what its secret looks like in a file; pure but for reading it.

Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from pathlib import Path

from bounced.model import ConfigError

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64
"""What Standard Webhooks recommends for a secret."""

Secrets = tuple[bytes, ...]
"""At least one; each signs, so that the application can change over in its own time."""


def sign(webhook: str, at: datetime, body: bytes, secrets: Secrets) -> dict[str, str]:
    """Return the headers that prove body, id and time of sending."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((webhook.encode(), timestamp.encode(), body))
    macs = (hmac.digest(secret, signed, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": webhook,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs),
    }


def read_signing_secrets(path: Path) -> Secrets:
    """Read a file of secrets; raises ConfigError naming file, line and mend."""
    try:
        return parse_signing_secrets(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise ConfigError(f"webhook.secret_file: {path}: cannot be read: {reason}") from None
    except ConfigError as error:
        raise ConfigError(f"webhook.secret_file: {path}: {error}") from None


def parse_signing_secrets(text: str) -> Secrets:
    """Parse `whsec_` and base64, one secret a line, # comments.

    Raises ConfigError naming line and mend; its text never holds a secret.
    """
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    secrets = [_parse_secret(line, number) for number, line in enumerate(lines, start=1) if line]
    if not secrets:
        raise ConfigError(f"is empty: {_MEND}")
    return tuple(secrets)


_MEND = f"write {PREFIX} and what `openssl rand -base64 32` prints"


def _parse_secret(line: str, number: int) -> bytes:
    try:
        secret = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ConfigError(f"line {number}: no base64: {_MEND}") from None
    if not MIN_BYTES <= len(secret) <= MAX_BYTES:
        raise ConfigError(f"line {number}: a secret has {MIN_BYTES} to {MAX_BYTES} bytes: {_MEND}")
    return secret
