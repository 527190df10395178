import mailbox
from email import message_from_bytes, policy
from pathlib import Path

from bounced.notifier.delivery import Abandoned, Deferred, Delivered, MaildirDelivery, Outcome
from tests.notifier.building_site import LAST, SINGLE, make_composer, make_notice

RETURN_PATH = "nabcdefgh@bounce.baudoku.example"


async def deliver(path: Path, *, answer: bool = True, other: bool = False) -> Outcome:
    async def before_data() -> bool:
        return answer

    notice = make_notice(*(LAST if other else SINGLE))
    mail = make_composer().compose(notice)
    if other:
        mail.replace_header("Message-ID", "<other@bounce.baudoku.example>")
    return await MaildirDelivery(path).deliver(
        mail, mail_from=RETURN_PATH, rcpt=notice.author, before_data=before_data
    )


async def test_a_notice_is_a_mail_in_new_with_its_envelope_on_top(tmp_path: Path) -> None:
    outcome = await deliver(tmp_path / "a" / "notices")
    assert outcome == Delivered(f"written to {tmp_path / 'a' / 'notices'}")
    [file] = (tmp_path / "a" / "notices" / "new").iterdir()
    content = file.read_bytes()
    assert b"\r" not in content
    mail = message_from_bytes(content, policy=policy.default)
    assert list(mail.items())[:2] == [
        ("Return-Path", f"<{RETURN_PATH}>"),
        ("Delivered-To", "anna.berger@bergerbau.example"),
    ]
    del mail["Return-Path"], mail["Delivered-To"]
    assert (
        mail.as_bytes(policy=policy.SMTP)
        == make_composer().compose(make_notice(*SINGLE)).as_bytes()
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "a" / "notices" / "tmp").iterdir()) == []


async def test_mail_programs_find_every_notice(tmp_path: Path) -> None:
    await deliver(tmp_path)
    await deliver(tmp_path, other=True)
    box = mailbox.Maildir(tmp_path, create=False)
    assert {mail["Content-Language"] for mail in box} == {"de"}
    assert len(box) == 2


async def test_a_second_attempt_makes_no_second_mail(tmp_path: Path) -> None:
    await deliver(tmp_path)
    await deliver(tmp_path)
    assert len(list((tmp_path / "new").iterdir())) == 1


async def test_a_second_attempt_finds_a_mail_that_was_read_since(tmp_path: Path) -> None:
    await deliver(tmp_path)
    [file] = (tmp_path / "new").iterdir()
    file.rename(tmp_path / "cur" / f"{file.name}:2,S")
    assert isinstance(await deliver(tmp_path), Delivered)
    assert list((tmp_path / "new").iterdir()) == []


async def test_the_rest_of_an_attempt_that_died_is_overwritten(tmp_path: Path) -> None:
    await deliver(tmp_path)
    [file] = (tmp_path / "new").iterdir()
    file.unlink()
    (tmp_path / "tmp" / file.name).write_bytes(b"x" * 100_000)
    await deliver(tmp_path)
    assert b"xxx" not in file.read_bytes()


async def test_nothing_is_written_when_before_data_says_no(tmp_path: Path) -> None:
    assert await deliver(tmp_path / "notices", answer=False) == Abandoned()
    assert not (tmp_path / "notices").exists()


async def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("in the way")
    assert await deliver(path) == Deferred(f"{path}: Not a directory")
