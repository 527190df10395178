"""Opens sessions with the relay: connection, TLS, login, and what is to be mended where one fails.

RFC 5321 §3.1, RFC 3207 (STARTTLS), RFC 8314 (implicit TLS), RFC 8996 (no TLS before 1.2),
RFC 4954 (AUTH), RFC 4616 (PLAIN), RFC 2195 (CRAM-MD5). LOGIN and XOAUTH2 are their makers' own.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from contextlib import ExitStack, suppress
from pathlib import Path

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPResponse,
    SMTPResponseException,
)

from bounced.config import RelaySettings
from bounced.model import ConfigError, SendError
from bounced.words.cleaning import clean

COMMAND_TIMEOUT_S = 60.0
PROBE_TIMEOUT_S = 10.0
"""Somebody sits before the terminal."""
QUIT_TIMEOUT_S = 2.0
"""Nothing depends on the reply to QUIT."""
MAX_DETAIL_CHARS = 500

_ENCRYPTED = ("plain", "login", "cram-md5")
"""Over TLS the plain password comes first: relays keep it hashed, which CRAM-MD5 cannot use."""
_CLEAR = ("cram-md5", "plain", "login")
_NAME_FAULTS = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH."""
_TIME_FAULTS = frozenset({9, 10})
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED."""


_NO_TLS = "WRONG_VERSION_NUMBER"
"""What OpenSSL calls a greeting in clear."""


class SessionMaker:
    """Opens sessions, each greeted, encrypted and logged in as the settings want it."""

    def __init__(
        self,
        settings: RelaySettings,
        *,
        password: str | None = None,
        hostname: str = "",
        tls_context: ssl.SSLContext | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> None:
        """Take the relay and how to reach it; raises ConfigError naming `relay.ca_file`.

        `hostname` is our name in EHLO (default: what the system calls itself); `timeout_s` holds
        for connecting and for every command. Of `xoauth2` the password is a token that another
        program renews: its file is read at each login.
        """
        self._settings = settings
        self._password = password
        self._hostname = hostname or None
        self._timeout_s = timeout_s
        self._tls_context = tls_context or _make_context(settings.ca_file)

    async def open(self) -> SMTP:
        """Return a session that is ready for MAIL.

        Raises SendError saying how far it came, and which key of the configuration may mend it.
        """
        client = self._make_client()
        with ExitStack() as stack:
            stack.callback(hang_up, client)
            try:
                await self._prepare(client)
            except (SendError, SMTPException, OSError, UnicodeError) as error:
                where = f"{self._settings.host}:{self._settings.port}"
                raise SendError(f"no session with {where}: {self._explain(error)}") from None
            stack.pop_all()
        return client

    async def _prepare(self, client: SMTP) -> None:
        await client.connect()  # UnicodeError: the host is none that DNS could know
        await client.ehlo()
        if self._settings.security == "starttls":
            if not client.supports_extension("starttls"):
                raise SendError(
                    "it offers no STARTTLS, which relay.security = 'starttls' demands; "
                    "port 465 wants 'tls'"
                )
            await client.starttls()
            await client.ehlo()
        if self._settings.username:
            await self._login(client)

    def _make_client(self) -> SMTP:
        """Return a client that begins TLS by itself only where it is the first thing said."""
        return SMTP(
            hostname=self._settings.host,
            port=self._settings.port,
            local_hostname=self._hostname,
            timeout=self._timeout_s,
            use_tls=self._settings.security == "tls",
            start_tls=False,
            tls_context=self._tls_context,
        )

    async def _login(self, client: SMTP) -> None:
        """Log in by one mechanism: a second try with the same password may lock the account."""
        mechanism = self._choose_mechanism(client)
        secret = self._read_secret()
        try:
            await _authenticate(client, mechanism, self._settings.username, secret)
        except SMTPResponseException as error:
            said = show_reply(error.code, _hide(error.message, self._settings.username, secret))
            raise SendError(
                f"relay.username and relay.password_file do not log in ({mechanism}): {said}"
            ) from None

    def _choose_mechanism(self, client: SMTP) -> str:
        wanted, offered = self._settings.authentication, client.server_auth_methods
        order: tuple[str, ...] = (wanted,)
        if wanted == "auto":
            order = _CLEAR if self._settings.security == "none" else _ENCRYPTED
        choice = [mechanism for mechanism in order if mechanism in offered]
        if choice:
            return choice[0]
        names = clean(", ".join(offered), MAX_DETAIL_CHARS) or "no login at all"
        raise SendError(f"relay.authentication is {wanted!r}, and it offers {names}")

    def _read_secret(self) -> str:
        path = self._settings.password_file
        if self._settings.authentication != "xoauth2" or path is None:
            return self._password or ""
        try:
            return path.read_text(encoding="ascii").split()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            why = error.strerror if isinstance(error, OSError) else "holds no token"
            raise SendError(f"relay.password_file: {path}: {why}") from None

    def _explain(self, error: SendError | SMTPException | OSError | UnicodeError) -> str:
        """Return what went wrong, and for TLS which key to look at."""
        # The library names the relay too.
        said = describe(error).replace(
            f" to {self._settings.host} on port {self._settings.port}", ""
        )
        cause = error if isinstance(error, ssl.SSLError) else error.__cause__
        if isinstance(cause, ssl.SSLError) and cause.reason == _NO_TLS:
            return (
                f"{said}; it does not begin with TLS, which relay.security = "
                f"{self._settings.security!r} demands; port 587 wants 'starttls'"
            )
        if not isinstance(cause, ssl.SSLCertVerificationError):
            return said
        if cause.verify_code in _NAME_FAULTS:
            return f"{said}; relay.host must be a name that stands in the certificate"
        if cause.verify_code in _TIME_FAULTS:
            return f"{said}; the relay's certificate must be renewed, or a clock is wrong"
        named = self._settings.ca_file or "none; name a file with the authority's certificate"
        return f"{said}; relay.ca_file is {named}"


async def probe(settings: RelaySettings, *, password: str | None = None) -> str:
    """Open a session, ask for a sign of life and leave; return what was found in words.

    Raises SendError where there is no session, ConfigError where a file cannot be used.
    """
    maker = SessionMaker(settings, password=password, timeout_s=PROBE_TIMEOUT_S)
    client = await maker.open()
    try:
        await client.noop()
        tls = client.get_transport_info("ssl_object")
    except (SMTPException, OSError) as error:
        raise SendError(f"{settings.host}:{settings.port}: {describe(error)}") from None
    finally:
        await leave(client)
    login = f"logged in as {settings.username}" if settings.username else "no login"
    secrecy = tls.version() if tls else "in clear"
    return f"{settings.host}:{settings.port} answers, {secrecy}, {login}"


async def leave(client: SMTP) -> None:
    """Say QUIT, wait for the reply, though not for long, and see the connection closed; total."""
    transport = client.transport
    try:
        with suppress(SMTPException, OSError):
            await client.quit(timeout=QUIT_TIMEOUT_S)
    finally:
        client.close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()  # nothing is left to be said, not even by TLS
            await asyncio.sleep(0)


def hang_up(client: SMTP) -> None:
    """Say QUIT and leave, without waiting for a reply that nothing depends on; total."""
    if client.protocol is not None and client.is_connected:
        client.protocol.write(b"QUIT\r\n")
    client.close()


def show_reply(code: int, text: str) -> str:
    """Return a reply as one clean line."""
    is_reply = code > 0  # else aiosmtplib found none in what came, and says so
    return clean(f"{code} {text}" if is_reply else text, MAX_DETAIL_CHARS)


def describe(error: Exception) -> str:
    """Return an error of wire or library as one clean line; total."""
    if isinstance(error, SMTPResponseException):
        return show_reply(error.code, error.message)
    return clean(str(error) or type(error).__name__, MAX_DETAIL_CHARS)


def _make_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ConfigError(f"relay.ca_file: {ca_file}: no certificate in PEM form") from None
    except OSError as error:
        raise ConfigError(f"relay.ca_file: {ca_file}: cannot be read: {error.strerror}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        # The relay's own certificate may stand there as well as its authority's; and a private
        # authority rarely makes certificates as strictly as Python 3.13 wants them.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


async def _authenticate(client: SMTP, mechanism: str, username: str, secret: str) -> SMTPResponse:
    match mechanism:
        case "plain":
            return await client.auth_plain(username, secret)
        case "login":
            return await client.auth_login(username, secret)
        case "cram-md5":
            return await client.auth_crammd5(username, secret)
        case _:
            return await client.auth_xoauth2(username, secret)


def _hide(text: str, username: str, secret: str) -> str:
    """Take out what a relay repeats of the login: some show the line that they refuse."""
    lines = [f"user={username}\1auth=Bearer {secret}\1\1", f"\0{username}\0{secret}", secret]
    encoded = [base64.b64encode(line.encode()).decode() for line in lines]
    for form in (*encoded, secret):  # the longest first, of which the others may be parts
        text = text.replace(form, "…") if form else text
    return text
