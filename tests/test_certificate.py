"""What a certificate file says of its names and its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from bounced.certificate import Certificate, read_certificate

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def write(file: Path, common: list[str], alternative: list[str], ends_at: datetime) -> None:
    """Add a certificate to the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in common])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - 365 * DAY, ends_at)
    if alternative:
        names = x509.SubjectAlternativeName([x509.DNSName(text) for text in alternative])
        builder = builder.add_extension(names, critical=False)
    with file.open("ab") as stream:
        stream.write(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


@pytest.mark.parametrize(
    ("common", "alternative", "names"),
    [
        (["old.example"], ["a.example", "b.example"], ("a.example", "b.example")),
        (["old.example"], [], ("old.example",)),
        ([], [], ()),
    ],
)
def test_host_names_are_read_and_the_common_name_in_their_place(
    tmp_path: Path, common: list[str], alternative: list[str], names: tuple[str, ...]
) -> None:
    file = tmp_path / "certificate.pem"
    write(file, common, alternative, NOW + DAY)
    assert read_certificate(file) == Certificate(file, names, NOW + DAY)


def test_of_a_chain_the_first_certificate_counts(tmp_path: Path) -> None:
    file = tmp_path / "chain.pem"
    write(file, ["server.example"], [], NOW + 90 * DAY)
    write(file, ["authority.example"], [], NOW - DAY)
    assert read_certificate(file) == Certificate(file, ("server.example",), NOW + 90 * DAY)


@pytest.mark.parametrize(
    ("left", "ending"), [(14 * DAY, False), (14 * DAY - timedelta(seconds=1), True), (-DAY, True)]
)
def test_fourteen_days_before_its_end_it_is_ending(left: timedelta, ending: bool) -> None:
    assert Certificate(Path("c.pem"), (), NOW + left).is_ending(NOW) is ending


def test_it_is_described_in_one_line() -> None:
    certificate = Certificate(Path("/x/c.pem"), (), NOW + 3 * DAY)
    assert certificate.describe(NOW) == "/x/c.pem: no name, valid until 2026-11-24, days left: 3"
