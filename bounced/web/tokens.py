"""Who may use the API: a file of named bearer tokens, looked at anew at each use (RFC 6750)."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from pathlib import Path

from bounced.logs import Event, emit
from bounced.model import ConfigError
from bounced.stamp import find_stamp

MIN_TOKEN_CHARACTERS = 20

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What may follow `Bearer` (RFC 6750 §2.1)."""
_HASHED = "sha256:"
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """One token that the API takes, known by its digest only."""

    name: str
    digest: bytes = field(repr=False)
    """SHA-256 of the token."""


class TokenFile:
    """The tokens of a file as it stands now: a line that is removed ends its token at once."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises ConfigError."""
        self._path = path
        self._stamp = find_stamp(path)
        self._tokens = read_tokens(path)

    def find_name(self, presented: str) -> str | None:
        """Return the name of the token that was presented; None: it is none of ours.

        Compares with every token in constant time.
        """
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).digest()
        name = None
        for token in self._read_anew():
            if hmac.compare_digest(digest, token.digest):
                name = token.name
        return name

    def _read_anew(self) -> tuple[AccessToken, ...]:
        """Read the file again where it has changed; a broken one is said once, the old stays.

        Who takes the file away shuts the API.
        """
        stamp = find_stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._tokens = read_tokens(self._path)
            except ConfigError as error:
                if stamp is None:
                    self._tokens = ()
                emit(Event.CONFIG_REJECTED, why=str(error))
        return self._tokens


def read_tokens(path: Path) -> tuple[AccessToken, ...]:
    """Read a file of tokens; raises ConfigError naming file, line and mend."""
    try:
        return parse_tokens(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise ConfigError(f"http.tokens_file: {path}: cannot be read: {reason}") from None
    except ConfigError as error:
        raise ConfigError(f"http.tokens_file: {path}: {error}") from None


def parse_tokens(text: str) -> tuple[AccessToken, ...]:
    """Parse `name token` or `name sha256:hex`, one a line, # comments.

    Raises ConfigError naming line and mend; its text never holds a token.
    """
    found: dict[str, AccessToken] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        try:
            token = _parse_line(fields)
        except ValueError as error:
            raise ConfigError(f"line {number}: {error}") from None
        if token.name in found:
            raise ConfigError(f"line {number}: the name {token.name!r} is taken: choose another")
        found[token.name] = token
    return tuple(found.values())


def _parse_line(fields: list[str]) -> AccessToken:
    if len(fields) != 2:  # noqa: PLR2004 - name and token
        raise ValueError("write a name and a token: shop 2f6c...")
    name, secret = fields
    if not _NAME.fullmatch(name):
        raise ValueError("the name takes 1 to 64 letters, digits or . _ -")
    if secret.startswith(_HASHED):
        if not _HASH.fullmatch(secret.removeprefix(_HASHED)):
            raise ValueError("sha256: takes 64 hex digits in lower case: make them by sha256sum")
        return AccessToken(name, bytes.fromhex(secret.removeprefix(_HASHED)))
    if len(secret) < MIN_TOKEN_CHARACTERS or not _TOKEN.fullmatch(secret):
        raise ValueError(
            f"a token takes {MIN_TOKEN_CHARACTERS} or more letters, digits or - . _ ~ + /: "
            "make one by `openssl rand -hex 32`"
        )
    return AccessToken(name, hashlib.sha256(secret.encode()).digest())
