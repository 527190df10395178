"""`bounced classify`: sources, the JSON form of DESIGN §8, exit codes."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import CommandLine
from tests.processor.mails import AUTHOR, RECIPIENT, SPAM, VACATION, make_bounce, make_delay


def write(path: Path, raw: bytes) -> str:
    path.write_bytes(raw)
    return str(path)


def make_mbox(*raws: bytes) -> bytes:
    return b"".join(b"From MAILER-DAEMON\n" + raw.replace(b"\r\n", b"\n") + b"\n" for raw in raws)


def test_one_object_a_message_with_every_key_of_the_design(
    bounced: CommandLine, tmp_path: Path
) -> None:
    source = write(tmp_path / "1.eml", make_bounce())
    outcome = bounced("classify", "--json", source)
    assert outcome.code == 0
    (row,) = outcome.rows
    (recipient,) = row["recipients"]
    assert recipient.pop("rule")
    assert row == {
        "source": source,
        "kind": "delivery-status",
        "reporting_mta": "relay.app.example",
        "message_id": None,
        "recipients": [
            {
                "recipient": RECIPIENT,
                "original_recipient": None,
                "final_recipient": RECIPIENT,
                "action": "failed",
                "status": "5.1.1",
                "smtp_code": 550,
                "remote_mta": None,
                "diagnostic_code": "smtp; 550 5.1.1 User unknown",
                "category": "bad-address",
                "reason": "user-unknown",
                "evidence": "User unknown",
            }
        ],
    }


def test_verdicts_are_null_unless_the_recipient_failed(
    bounced: CommandLine, tmp_path: Path
) -> None:
    outcome = bounced(
        "classify",
        "--json",
        write(tmp_path / "delay.eml", make_delay()),
        write(tmp_path / "vacation.eml", VACATION),
        write(tmp_path / "spam.eml", SPAM),
    )
    delay, vacation, spam = outcome.rows
    assert [(r["action"], r["category"], r["reason"]) for r in delay["recipients"]] == [
        ("delayed", None, None)
    ]
    assert vacation["kind"] == "auto-reply"
    assert [(r["recipient"], r["action"], r["category"]) for r in vacation["recipients"]] == [
        ("paula@kunde.example", None, None)
    ]
    assert (spam["kind"], spam["recipients"]) == ("unrecognized", [])


def test_messages_of_a_mailbox_are_numbered_in_their_order(
    bounced: CommandLine, tmp_path: Path
) -> None:
    mbox = write(tmp_path / "mbox", make_mbox(make_bounce(1, "a@x.example"), SPAM))
    maildir = tmp_path / "maildir"
    for name in ("new", "cur"):
        (maildir / name).mkdir(parents=True)
    write(maildir / "cur" / "1.host:2,S", make_bounce(2, "b@x.example"))
    write(maildir / "new" / "2.host", make_bounce(3, "c@x.example"))
    rows = bounced("classify", "--json", mbox, str(maildir)).rows
    assert [(row["source"], [r["recipient"] for r in row["recipients"]]) for row in rows] == [
        (f"{mbox}#1", ["a@x.example"]),
        (f"{mbox}#2", []),
        (f"{maildir}#1", ["b@x.example"]),
        (f"{maildir}#2", ["c@x.example"]),
    ]


def test_a_folder_of_messages_is_a_source(bounced: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "2.eml", make_bounce(2, "b@x.example"))
    write(folder / "1.eml", make_bounce(1, "a@x.example"))
    rows = bounced("classify", "--json", str(folder)).rows
    assert [(row["source"], row["recipients"][0]["recipient"]) for row in rows] == [
        (f"{folder}#1", "a@x.example"),
        (f"{folder}#2", "b@x.example"),
    ]


def test_standard_input_is_a_source(bounced: CommandLine) -> None:
    outcome = bounced("classify", "--json", "-", stdin=make_bounce())
    assert [row["source"] for row in outcome.rows] == ["-"]


def test_what_cannot_be_read_is_told_and_the_others_are_still_printed(
    bounced: CommandLine, tmp_path: Path
) -> None:
    absent, empty = str(tmp_path / "absent"), tmp_path / "empty"
    empty.mkdir()
    outcome = bounced(
        "classify", "--json", absent, str(empty), write(tmp_path / "1.eml", make_bounce())
    )
    assert outcome.code == 65
    assert len(outcome.rows) == 1
    assert outcome.complaints == [
        f"bounced: {absent}: No such file or directory",
        f"bounced: {empty}: neither a Maildir nor a folder with files in it",
    ]


def test_people_get_a_table(bounced: CommandLine, tmp_path: Path) -> None:
    outcome = bounced("classify", write(tmp_path / "1.eml", make_bounce()))
    assert outcome.code == 0
    for part in ("1.eml", RECIPIENT, "bad-address", "user-unknown", "User unknown"):
        assert part in outcome.out
    assert outcome.err == ""


def test_nothing_is_stored(bounced: CommandLine, tmp_path: Path) -> None:
    bounced("classify", write(tmp_path / "1.eml", make_bounce()))
    assert bounced("reports", "list", "--json").rows == []


def test_a_faulty_rule_file_is_named(bounced: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    write(tmp_path / "rules" / "site.toml", b'stage = "nonsense"\n')
    bounced.configure(f'[rules]\ndirectories = ["{tmp_path}/rules"]\n')
    outcome = bounced("classify", write(tmp_path / "1.eml", make_bounce()))
    assert outcome.code == 78
    assert "site.toml: stage: 'nonsense' is not known" in outcome.err


def test_the_configured_author_header_is_not_needed_to_classify(
    bounced: CommandLine, tmp_path: Path
) -> None:
    raw = make_bounce().replace(AUTHOR.encode(), b"")
    (row,) = bounced("classify", "--json", write(tmp_path / "1.eml", raw)).rows
    assert row["recipients"][0]["category"] == "bad-address"
