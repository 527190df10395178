"""Signs a notice by S/MIME, so that its author's mail program shows who wrote it.

RFC 8551 (multipart/signed, detached signature), RFC 1847 §2.1 (its form), RFC 8550 §3 (whose
address a certificate names), RFC 5280 §4.2.1.12 (what a certificate is for).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    PKCS7Options,
    PKCS7SignatureBuilder,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bounced.certificate import WARN_BEFORE
from bounced.model import ConfigError, recipient_key

_FORM = policy.SMTP.clone(cte_type="7bit")
"""A relay that recodes 8-bit text would break the signature."""
_OPTIONS = (PKCS7Options.DetachedSignature, PKCS7Options.Binary)  # the lines end in CRLF already
_FROM_LINE = re.compile(r"^From ", re.MULTILINE)
_CERTIFICATE_KEY = "notices.smime_certificate_file"
_KEY_KEY = "notices.smime_key_file"

_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate, those that it stands on, and its key."""

    file: Path
    chain: tuple[x509.Certificate, ...]
    """Ours comes first."""
    key: _PrivateKey

    @classmethod
    def load(cls, certificate_file: Path, key_file: Path) -> Signer:
        """Read both files; raises ConfigError naming key, file and what is wrong."""
        chain, key = _read_chain(certificate_file), _read_key(key_file)
        if chain[0].public_key() != key.public_key():
            raise ConfigError(
                f"{_KEY_KEY}: {key_file}: not the key of {certificate_file}, whose first "
                "certificate must be the one that it belongs to"
            )
        return cls(certificate_file, tuple(chain), key)

    def sign(self, message: EmailMessage) -> EmailMessage:
        """Return the message with its content signed; its own header fields stay outside."""
        content = _make_content(message)
        builder = PKCS7SignatureBuilder().set_data(content.as_bytes())
        builder = builder.add_signer(self.chain[0], self.key, SHA256())
        for certificate in self.chain[1:]:
            builder = builder.add_certificate(certificate)
        signed = EmailMessage(policy=message.policy)
        for name, value in message.raw_items():
            if not _is_of_content(name):
                signed.set_raw(name, value)
        signed.add_header(
            "Content-Type",
            "multipart/signed",
            protocol="application/pkcs7-signature",
            micalg="sha-256",
            boundary=_make_boundary(message),
        )
        signed.attach(content)
        signed.attach(_make_signature_part(builder.sign(Encoding.DER, _OPTIONS)))
        return signed

    def list_faults(self, sender: str, now: datetime) -> list[str]:
        """Say why mail programs would not believe signatures under mails from `sender`; total.

        Nobody can tell from here whether they trust the authority.
        """
        own, where = self.chain[0], f"{_CERTIFICATE_KEY}: {self.file}"
        faults = []
        if own.not_valid_after_utc <= now:
            faults.append(f"{where}: ended on {own.not_valid_after_utc:%Y-%m-%d}; renew it")
        elif own.not_valid_after_utc - now < WARN_BEFORE:
            faults.append(f"{where}: ends on {own.not_valid_after_utc:%Y-%m-%d}; renew it")
        if own.not_valid_before_utc > now:
            faults.append(f"{where}: valid from {own.not_valid_before_utc:%Y-%m-%d} only")
        addresses = _list_addresses(own)
        if recipient_key(sender) not in {recipient_key(address) for address in addresses}:
            named = ", ".join(addresses) or "no address"
            faults.append(f"{where}: is for {named}, and not for notices.sender, {sender}")
        if not _is_for_mail(own):
            faults.append(f"{where}: is not made for signing mail (emailProtection)")
        return faults


def _read_chain(file: Path) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(file.read_bytes())
        for certificate in chain:
            _ = certificate.extensions, certificate.subject, certificate.public_key()  # read now
    except OSError as error:
        raise ConfigError(
            f"{_CERTIFICATE_KEY}: {file}: cannot be read: {error.strerror}"
        ) from None
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
        raise ConfigError(
            f"{_CERTIFICATE_KEY}: {file}: no certificate in PEM form: begin it with your own, "
            "then those that lead to its authority"
        ) from None
    return chain


def _read_key(file: Path) -> _PrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"{_KEY_KEY}: {file}: cannot be read: {error.strerror}") from None
    except TypeError:
        raise ConfigError(
            f"{_KEY_KEY}: {file}: has a passphrase, which nobody can type at a start; "
            "take it off with `openssl pkey`"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{_KEY_KEY}: {file}: no private key in PEM form") from None
    if not isinstance(key, _PrivateKey):
        raise ConfigError(f"{_KEY_KEY}: {file}: S/MIME takes RSA and elliptic curves (ECDSA) only")
    return key


def _make_content(message: EmailMessage) -> EmailMessage:
    """Return what is signed: the content with its own fields, in the form of the wire.

    Read from that form, so that it is written again as it was, whatever the policy.
    """
    content = message_from_bytes(message.as_bytes(policy=_FORM), policy=_FORM)
    for name in content.keys():  # noqa: SIM118 - a message is no dict, and repeats names
        if not _is_of_content(name):
            del content[name]
    for leaf in content.walk():
        _protect_from_lines(leaf)
    return content


def _protect_from_lines(part: EmailMessage) -> None:
    """Encode `From ` where a line begins, which mailboxes change into `>From ` (RFC 4155)."""
    text = part.get_payload()
    if isinstance(text, str) and part["Content-Transfer-Encoding"] == "quoted-printable":
        part.set_payload(_FROM_LINE.sub("=46rom ", text))


def _is_of_content(name: str) -> bool:
    return name.lower().startswith("content-")


def _make_boundary(message: EmailMessage) -> str:
    """Return a boundary that differs from the one within."""
    return f"{message.get_boundary() or '=_'}.signed"


def _make_signature_part(signature: bytes) -> EmailMessage:
    """Return the signature under the names of RFC 8551 §3.2.1, which old programs go by."""
    part = EmailMessage(policy=_FORM)
    part.set_content(
        signature,
        maintype="application",
        subtype="pkcs7-signature",
        disposition="attachment",
        filename="smime.p7s",
        params={"name": "smime.p7s"},
    )
    del part["MIME-Version"]  # the whole has it
    return part


def _list_addresses(certificate: x509.Certificate) -> list[str]:
    """Return the addresses that it names; before RFC 8550 they stood in the subject."""
    names = certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
    addresses = [str(name.value) for name in names]
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return addresses
    return [*found.value.get_values_for_type(x509.RFC822Name), *addresses]


def _is_for_mail(certificate: x509.Certificate) -> bool:
    """Tell whether it may sign mail; one that does not say what it is for may."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return True
    return not {
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    }.isdisjoint(found.value)
