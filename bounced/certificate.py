"""What a certificate file says: whose it is, and until when; not whether anybody trusts it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from bounced.model import ConfigError

WARN_BEFORE = timedelta(days=14)
"""How long before the end of a certificate it is spoken of."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that a server shows, the first one of its file."""

    file: Path
    names: tuple[str, ...]
    ends_at: datetime

    def is_ending(self, now: datetime) -> bool:
        """Tell whether it ends within WARN_BEFORE, or has ended."""
        return self.ends_at - now < WARN_BEFORE

    def describe(self, now: datetime) -> str:
        """Return file, names, last day and whole days left; negative: has ended."""
        days = (self.ends_at - now) // timedelta(days=1)
        names = ", ".join(self.names) or "no name"
        return f"{self.file}: {names}, valid until {self.ends_at:%Y-%m-%d}, days left: {days}"


def read_certificate(file: Path) -> Certificate:
    """Read the first certificate of a PEM file; raises ConfigError naming the file."""
    try:
        certificate = x509.load_pem_x509_certificates(file.read_bytes())[0]
        names = _list_names(certificate)
    except OSError as error:
        raise ConfigError(
            f"smtp.tls_certificate_file: {file}: cannot be read: {error.strerror}"
        ) from None
    except ValueError:  # also of an extension that cannot be read
        raise ConfigError(
            f"smtp.tls_certificate_file: {file}: no certificate in PEM form: begin it with the "
            "server's own certificate, then those that lead to its authority"
        ) from None
    return Certificate(file, names, certificate.not_valid_after_utc)


def _list_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the host names, or the common name of a certificate that has none."""
    try:
        extension = certificate.extensions.get_extension_for_oid(
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME
        )
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(attribute.value) for attribute in common)
    assert isinstance(extension.value, x509.SubjectAlternativeName)
    return tuple(extension.value.get_values_for_type(x509.DNSName))
