"""How TLS is spoken here, and which pair of certificate and key is good enough to start with.

RFC 3207 for STARTTLS itself, RFC 8996 for the versions that are not offered.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from bounced.certificate import read_certificate
from bounced.config import SmtpSettings
from bounced.model import ConfigError


def load_tls(settings: SmtpSettings) -> ssl.SSLContext | None:
    """Read the pair that the settings name; None: they name none.

    Raises ConfigError where a file cannot be read, or the key is not the certificate's. One that
    has ended is taken: most senders do not look, and a bounce is better than none.
    """
    file, key_file = settings.tls_certificate_file, settings.tls_key_file
    if file is None or key_file is None:
        return None
    read_certificate(file)  # says what is wrong with it better than OpenSSL
    return _make_context(file, key_file)


def _make_context(file: Path, key_file: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)  # without compression
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # costs the server more than the client
    try:
        key_file.open("rb").close()  # OpenSSL does not say which of the two it cannot read
        # A key with a passphrase is refused; without this OpenSSL would ask on the terminal.
        context.load_cert_chain(file, key_file, password=bytes)
    except ssl.SSLError as error:
        raise ConfigError(f"smtp.tls_key_file: {key_file}: {_explain(error, file)}") from None
    except OSError as error:
        raise ConfigError(
            f"smtp.tls_key_file: {key_file}: cannot be read: {error.strerror}"
        ) from None
    return context


def _explain(error: ssl.SSLError, file: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"not the key of {file}: name the two that were made together"
    return "no private key in PEM form without a passphrase"
