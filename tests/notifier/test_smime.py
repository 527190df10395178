from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from bounced.model import ConfigError
from bounced.notifier.delivery import Delivered, MaildirDelivery
from bounced.notifier.smime import Signer
from tests.notifier.building_site import SINGLE, make_composer, make_notice
from tests.notifier.relay import run_relay
from tests.notifier.sending import AUTHOR, RETURN_PATH, Gate, make_delivery
from tests.notifier.signing_site import (
    DAY,
    SENDER,
    TODAY,
    Site,
    make_digest,
    make_key,
    make_site,
    verify,
    write_key,
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(tmp_path)


def load(site: Site) -> Signer:
    return Signer.load(site.certificate_file, site.key_file)


def make_notice_mail() -> EmailMessage:
    return make_composer().compose(make_notice(*SINGLE))


@pytest.mark.parametrize("kind", ["rsa", "ec"])
@pytest.mark.parametrize("form", [policy.SMTP, policy.SMTPUTF8, policy.default])
@pytest.mark.parametrize("make", [make_digest, make_notice_mail])
def test_openssl_verifies_the_signature_in_every_form_of_the_wire(
    tmp_path: Path, kind: str, form: policy.EmailPolicy, make: Callable[[], EmailMessage]
) -> None:
    site = make_site(tmp_path, kind)
    wire = load(site).sign(make()).as_bytes(policy=form)
    right, content, said = verify(wire, site, tmp_path)
    assert right, said
    assert content.isascii()
    assert content.replace(b"\r\n", b"\n") in wire.replace(b"\r\n", b"\n")


def test_what_is_signed_reads_as_what_was_composed(tmp_path: Path, site: Site) -> None:
    mail = make_digest()
    signed = message_from_bytes(load(site).sign(mail).as_bytes(), policy=policy.default)
    assert signed.get_content_type() == "multipart/signed"
    assert signed["Content-Type"].params["micalg"] == "sha-256"
    assert signed["Content-Type"].params["protocol"] == "application/pkcs7-signature"
    outside = [(name, value) for name, value in signed.items() if name != "Content-Type"]
    before = [(name, value) for name, value in mail.items() if "Content" not in name]
    assert sorted(outside) == sorted(before)
    content, signature = signed.iter_parts()
    assert signature.get_content_type() == "application/pkcs7-signature"
    assert signature.get_filename() == "smime.p7s"
    assert content["Content-Language"] == "de"
    assert [part.get_content() for part in content.walk() if not part.is_multipart()] == [
        part.get_content() for part in mail.walk() if not part.is_multipart()
    ]
    assert [part.get_filename() for part in content.iter_attachments()] == ["Empfänger.csv"]


def test_signing_leaves_the_mail_as_it_was(site: Site) -> None:
    mail = make_digest()
    before = mail.as_bytes()
    load(site).sign(mail)
    assert mail.as_bytes() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Sie die Adresse", b"Sie der Adresse"),
        (b"Content-Language: de", b"Content-Language: en"),
        (b"text/csv", b"text/foo"),
    ],
)
def test_a_mail_that_was_tampered_with_fails(
    tmp_path: Path, site: Site, old: bytes, new: bytes
) -> None:
    wire = load(site).sign(make_digest()).as_bytes()
    assert old in wire
    right, _, said = verify(wire.replace(old, new), site, tmp_path)
    assert not right
    assert "verif" in said


def test_a_mailbox_that_changes_from_lines_does_not_break_the_signature(
    tmp_path: Path, site: Site
) -> None:
    wire = load(site).sign(make_digest()).as_bytes()
    assert b"\nFrom " not in wire
    assert b"\n=46rom now on" in wire
    right, content, said = verify(wire, site, tmp_path)
    assert right, said
    inner = message_from_bytes(content, policy=policy.default)
    body = inner.get_body(("plain",))
    assert body is not None
    assert "\nFrom now on" in body.get_content()


def test_text_of_eight_bits_is_signed_in_a_form_that_no_relay_recodes(
    tmp_path: Path, site: Site
) -> None:
    mail = EmailMessage(policy=policy.SMTP)
    mail.set_content("Prüfen Sie die Adresse.\n", cte="8bit")
    wire = load(site).sign(mail).as_bytes()
    right, content, said = verify(wire, site, tmp_path)
    assert right, said
    assert content.isascii()
    assert message_from_bytes(content, policy=policy.default).get_content() == mail.get_content()


@pytest.mark.parametrize("author", [AUTHOR, "jürgen@bergerbau.example"])
async def test_the_signature_survives_the_trip_by_smtp(
    tmp_path: Path, site: Site, author: str
) -> None:
    mail = make_digest()
    mail.replace_header("To", author)
    async with run_relay(smtputf8=True) as relay:
        delivery = make_delivery(relay.port)
        outcome = await delivery.deliver(
            load(site).sign(mail), mail_from=RETURN_PATH, rcpt=author, before_data=Gate()
        )
        await delivery.close()
    assert isinstance(outcome, Delivered)
    right, _, said = verify(relay.contents[0], site, tmp_path)
    assert right, said


async def test_the_signature_survives_the_maildir(tmp_path: Path, site: Site) -> None:
    box = tmp_path / "notices"
    await MaildirDelivery(box).deliver(
        load(site).sign(make_digest()), mail_from=RETURN_PATH, rcpt=AUTHOR, before_data=Gate()
    )
    [file] = (box / "new").iterdir()
    right, _, said = verify(file.read_bytes(), site, tmp_path)
    assert right, said


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, site: Site) -> None:
    site.key_file.write_bytes(write_key(make_key()))
    assert _complain(site) == (
        f"notices.smime_key_file: {site.key_file}: not the key of {site.certificate_file}, whose "
        "first certificate must be the one that it belongs to"
    )


def test_a_key_with_a_passphrase_is_refused(site: Site) -> None:
    site.key_file.write_bytes(write_key(make_key(), b"secret"))
    assert _complain(site) == (
        f"notices.smime_key_file: {site.key_file}: has a passphrase, which nobody can type at a "
        "start; take it off with `openssl pkey`"
    )


def test_a_key_of_a_kind_that_mail_programs_do_not_know_is_refused(site: Site) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    site.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert _complain(site) == (
        f"notices.smime_key_file: {site.key_file}: S/MIME takes RSA and elliptic curves (ECDSA) "
        "only"
    )


@pytest.mark.parametrize("name", ["smime_certificate_file", "smime_key_file"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "in PEM form"),
        (b"nothing", "in PEM form"),
    ],
)
def test_a_file_that_holds_nothing_is_named_with_its_key(
    site: Site, name: str, content: bytes | None, why: str
) -> None:
    path = site.key_file if name == "smime_key_file" else site.certificate_file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    said = _complain(site)
    assert said.startswith(f"notices.{name}: {path}: ")
    assert why in said


def _complain(site: Site) -> str:
    with pytest.raises(ConfigError) as caught:
        load(site)
    return str(caught.value)


@pytest.mark.parametrize("in_subject", [False, True])
def test_a_good_certificate_of_the_sender_has_no_faults(
    tmp_path: Path, *, in_subject: bool
) -> None:
    site = make_site(tmp_path, in_subject=in_subject)
    assert load(site).list_faults("Protokolle@Baudoku.example", TODAY) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"ends_at": TODAY - DAY}, f"ended on {TODAY - DAY:%Y-%m-%d}; renew it"),
        ({"ends_at": TODAY + 13 * DAY}, f"ends on {TODAY + 13 * DAY:%Y-%m-%d}; renew it"),
        ({"begins_at": TODAY + DAY}, f"valid from {TODAY + DAY:%Y-%m-%d} only"),
        (
            {"addresses": ("a@b.example", "c@d.example")},
            f"is for a@b.example, c@d.example, and not for notices.sender, {SENDER}",
        ),
        ({"addresses": ()}, f"is for no address, and not for notices.sender, {SENDER}"),
        (
            {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
            "is not made for signing mail (emailProtection)",
        ),
    ],
)
def test_what_mail_programs_would_not_believe_is_said(
    tmp_path: Path, changes: dict[str, object], fault: str
) -> None:
    site = make_site(tmp_path, **changes)  # type: ignore[arg-type] # the table's own names
    faults = load(site).list_faults(SENDER, TODAY)
    assert faults == [f"notices.smime_certificate_file: {site.certificate_file}: {fault}"]


def test_a_certificate_that_does_not_say_what_it_is_for_will_do(tmp_path: Path) -> None:
    assert load(make_site(tmp_path, purposes=None)).list_faults(SENDER, TODAY) == []
