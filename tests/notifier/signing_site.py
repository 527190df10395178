"""Certificates for signing mail, made for one test, and the judgement of openssl."""

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SENDER = "protokolle@baudoku.example"
DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(microsecond=0)
"""Openssl looks at the clock itself."""

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Site:
    """The files of one sender, and of the authority over its authority."""

    certificate_file: Path
    key_file: Path
    ca_file: Path


def make_key(kind: str = "ec") -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def make_site(
    folder: Path,
    kind: str = "ec",
    *,
    addresses: Sequence[str] = (SENDER,),
    in_subject: bool = False,
    begins_at: datetime = TODAY - 30 * DAY,
    ends_at: datetime = TODAY + 300 * DAY,
    purposes: Iterable[x509.ObjectIdentifier] | None = (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
) -> Site:
    """Make a root, an authority under it, and a certificate; the root stands in no chain."""
    root_key, authority_key, key = make_key(), make_key(), make_key(kind)
    root = _issue("Root", root_key, "Root", root_key, ca=True)
    authority = _issue("Authority", authority_key, "Root", root_key, ca=True)
    own = _issue(
        "Baudoku",
        key,
        "Authority",
        authority_key,
        addresses=addresses,
        in_subject=in_subject,
        span=(begins_at, ends_at),
        purposes=purposes,
    )
    site = Site(folder / "mail.pem", folder / "mail.key", folder / "root.pem")
    site.certificate_file.write_bytes(_write(own) + _write(authority))
    site.key_file.write_bytes(write_key(key))
    site.ca_file.write_bytes(_write(root))
    return site


def write_key(key: Key, passphrase: bytes | None = None) -> bytes:
    secret = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)


def verify(wire: bytes, site: Site, folder: Path) -> tuple[bool, bytes, str]:
    """Have openssl judge a mail: is it right, what was signed, what it says."""
    (folder / "mail.eml").write_bytes(wire)
    content = folder / "content"
    done = subprocess.run(
        [
            *("openssl", "cms", "-verify"),
            *("-in", folder / "mail.eml", "-CAfile", site.ca_file, "-out", content),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode == 0, content.read_bytes() if content.exists() else b"", done.stderr


def make_digest() -> EmailMessage:
    """Return a mail with all that a notice may have: two forms of text, and a list."""
    mail = EmailMessage()
    mail["From"] = f"Baudoku <{SENDER}>"
    mail["To"] = "jürgen@bergerbau.example"
    mail["Subject"] = "Ihre Baubesprechung erreichte zwölf Empfänger nicht"
    mail["Message-ID"] = "<0123456789abcdef.k2x7@bounce.baudoku.example>"
    text = "Guten Tag,\n\nFrom now on: prüfen Sie die Adresse. \n.\n" + "lang " * 60 + "\n"
    mail.set_content(text, charset="utf-8", cte="quoted-printable")
    mail.add_alternative(f"<p>{text}</p>\n", subtype="html", cte="quoted-printable")
    mail.add_attachment(
        "Adresse;Grund\nmax@gmial.com;Domain unbekannt – prüfen\n".encode("utf-8-sig"),
        maintype="text",
        subtype="csv",
        filename="Empfänger.csv",
    )
    mail["Content-Language"] = "de"
    mail.set_boundary("=_0123456789abcdef")
    return mail


def _issue(
    name: str,
    key: Key,
    issuer: str,
    issuer_key: Key,
    *,
    ca: bool = False,
    addresses: Sequence[str] = (),
    in_subject: bool = False,
    span: tuple[datetime, datetime] = (TODAY - 365 * DAY, TODAY + 365 * DAY),
    purposes: Iterable[x509.ObjectIdentifier] | None = None,
) -> x509.Certificate:
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if in_subject:
        subject += [x509.NameAttribute(NameOID.EMAIL_ADDRESS, one) for one in addresses]
    builder = x509.CertificateBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        x509.Name(subject),
        key.public_key(),
        x509.random_serial_number(),
        *span,
    ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if addresses and not in_subject:
        names = [x509.RFC822Name(address) for address in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if purposes is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(issuer_key, SHA256())


def _write(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
