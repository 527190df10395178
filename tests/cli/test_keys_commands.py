"""`bounced keys` and `bounced sign`: two keys at most, written whole, and a path the door takes."""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bounced.keyfile import read_keys
from bounced.ledger import sends
from bounced.ledger.engine import Ledger
from bounced.model import Send
from bounced.origin.admission import Accepted, AdmissionSettings, Door, judge_recipient
from tests.cli.conftest import CommandLine

AUTHOR, RECIPIENT = "anna@bau.example", "max@kunde.example"
SECRET = "00112233445566778899aabbccddeeff"
SIGN = ("sign", "--author", AUTHOR, "--recipient", RECIPIENT)


@pytest.fixture
def keys(config: Path) -> Path:
    return config.with_name("bounced.keys")


def list_ids(bounced: CommandLine) -> list[tuple[str, str]]:
    rows = bounced("keys", "list", "--json").rows
    return [(row["key"], row["state"]) for row in rows]


def test_the_first_key_makes_the_file_for_its_owner_alone(
    bounced: CommandLine, keys: Path
) -> None:
    outcome = bounced("keys", "new")
    assert outcome.out.splitlines()[0] == f"{keys}: signing with key 'a'"
    assert '"operator_acted"' in outcome.err
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert list_ids(bounced) == [("a", "signing")]


def test_a_new_key_signs_and_the_old_one_is_still_accepted(
    bounced: CommandLine, keys: Path
) -> None:
    bounced("keys", "new")
    outcome = bounced("keys", "new")
    assert outcome.out == f"{keys}: signing with key 'b'\n"
    assert list_ids(bounced) == [("b", "signing"), ("a", "previous")]


def test_a_third_active_key_is_refused(bounced: CommandLine, keys: Path) -> None:
    bounced("keys", "new")
    bounced("keys", "new")
    before = keys.read_text()
    outcome = bounced("keys", "new")
    assert (outcome.code, outcome.complaints) == (
        65,
        [
            (
                f"bounced: {keys}: two keys are active; end the older one first: "
                "`bounced keys retire a`"
            )
        ],
    )
    assert keys.read_text() == before


def test_a_retired_key_stays_to_open_what_it_signed(bounced: CommandLine, keys: Path) -> None:
    bounced("keys", "new")
    bounced("keys", "new")
    done = bounced("keys", "retire", "a").out.splitlines()
    assert done == [f"{keys}: 'a' signs no more", "signing with key 'b'"]
    assert list_ids(bounced) == [("b", "signing"), ("a", "retired")]


def test_a_next_key_signs_when_the_present_one_is_retired(
    bounced: CommandLine, keys: Path
) -> None:
    bounced("keys", "new")
    assert bounced("keys", "new", "--next").out.splitlines() == [
        f"{keys}: signing with key 'a'",
        "key 'b' is accepted from now on, and signs when 'a' is",
        "retired: `bounced keys retire a`",
    ]
    assert list_ids(bounced) == [("a", "signing"), ("b", "next")]
    done = bounced("keys", "retire", "a").out.splitlines()
    assert done == [f"{keys}: 'a' signs no more", "signing with key 'b'"]
    assert list_ids(bounced) == [("a", "retired"), ("b", "signing")]
    bounced("keys", "new", "--next")
    assert [key for key, _ in list_ids(bounced)] == ["b", "c", "a"]


def test_the_first_key_cannot_be_the_next(bounced: CommandLine, keys: Path) -> None:
    outcome = bounced("keys", "new", "--next")
    complaint = f"bounced: {keys}: no key signs yet: `bounced keys new` first"
    assert (outcome.code, outcome.complaints, keys.exists()) == (65, [complaint], False)


@pytest.mark.parametrize("how", [(), ("--leaked",)])
def test_going_back_to_the_older_key_is_told(
    bounced: CommandLine, keys: Path, how: tuple[str, ...]
) -> None:
    bounced("keys", "new")
    bounced("keys", "new")
    outcome = bounced("keys", "retire", "b", *how)
    assert outcome.out.splitlines()[1] == "signing with key 'a'"
    complaint = (
        "bounced: 'a' is older than 'b': if you meant to end the older one, `bounced keys new`, "
        "then `bounced keys retire a`"
    )
    assert outcome.complaints == [complaint]


def test_the_older_of_two_active_keys_is_named_where_the_newer_waits(
    bounced: CommandLine, keys: Path
) -> None:
    keys.write_text(f"c 2026-01-01 active {SECRET}\na 2026-02-01 active {SECRET}\n")
    assert list_ids(bounced) == [("c", "signing"), ("a", "next")]
    assert "`bounced keys retire c`" in bounced("keys", "new").err
    assert bounced("keys", "retire", "c").complaints == []


def test_a_leaked_key_is_deleted(bounced: CommandLine, keys: Path) -> None:
    bounced("keys", "new")
    bounced("keys", "new")
    done = bounced("keys", "retire", "a", "--leaked")
    assert done.out.splitlines() == [f"{keys}: 'a' is deleted", "signing with key 'b'"]
    assert '"keys retire --leaked"' in done.err
    assert list_ids(bounced) == [("b", "signing")]


def test_a_key_is_retired_once(bounced: CommandLine, keys: Path) -> None:
    """A second retirement would believe a thief for longer."""
    keys.write_text(f"b 2026-01-01 active {SECRET}\na 2026-01-01 retired {SECRET} 2026-01-02\n")
    outcome = bounced("keys", "retire", "a")
    complaint = f"bounced: {keys}: 'a' was retired on 2026-01-02"
    assert (outcome.code, outcome.complaints) == (65, [complaint])


def test_a_key_that_was_retired_without_a_day_gets_one(bounced: CommandLine, keys: Path) -> None:
    keys.write_text(f"b 2026-01-01 active {SECRET}\na 2026-01-01 retired {SECRET}\n")
    assert bounced("keys", "retire", "a").code == 0
    assert read_keys(keys).keys[1].retired_on == datetime.now(UTC).date()


def test_the_list_tells_until_when_a_key_is_accepted(bounced: CommandLine, keys: Path) -> None:
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=age) for age in (15, 16)]
    keys.write_text(
        f"d 2026-01-01 active {SECRET}\nc 2026-01-01 retired {SECRET}\n"
        f"b 2026-01-01 retired {SECRET} {days[0]}\na 2026-01-01 retired {SECRET} {days[1]}\n"
    )
    rows = [tuple(row.values()) for row in bounced("keys", "list", "--json").rows]
    assert rows == [
        ("d", "2026-01-01", "signing", None, None, False),
        ("c", "2026-01-01", "retired", None, None, False),
        ("b", "2026-01-01", "retired", str(days[0]), str(today), False),
        ("a", "2026-01-01", "retired", str(days[1]), str(today - timedelta(1)), True),
    ]
    table = bounced("keys", "list").out
    assert re.search(r"key +created on +state +retired on +accepted until +deletable", table)


@pytest.mark.parametrize(
    ("key_id", "complaint"),
    [
        ("a", "'a' is the only active key: `bounced keys new` first"),
        ("x", "no key 'x'; `bounced keys list` shows them"),
    ],
)
def test_the_last_active_key_and_one_that_is_none_are_not_retired(
    bounced: CommandLine, keys: Path, key_id: str, complaint: str
) -> None:
    bounced("keys", "new")
    outcome = bounced("keys", "retire", key_id)
    assert (outcome.code, outcome.complaints) == (65, [f"bounced: {keys}: {complaint}"])
    assert list_ids(bounced) == [("a", "signing")]


def test_no_secret_is_shown(bounced: CommandLine, keys: Path) -> None:
    bounced("keys", "new")
    secret = read_keys(keys).signing.secret.hex()
    shown = [bounced("keys", "list"), bounced("keys", "list", "--json"), bounced("keys", "new")]
    assert [outcome for outcome in shown if secret in outcome.out + outcome.err] == []
    assert "signing" in shown[0].out


def test_a_replaced_file_keeps_its_owner(bounced: CommandLine, keys: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    bounced("keys", "new")
    os.chown(keys, 4711, 4712)
    bounced("keys", "new")
    found = keys.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (4711, 4712, 0o600)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    bounced: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "keys").mkdir()
    bounced.configure(f'[return_path]\nkeys_file = "{tmp_path}/absent/bounced.keys"\n')
    outcome = bounced("keys", "new")
    assert outcome.code == 78
    assert f"{tmp_path}/absent/bounced.keys: cannot be written: No such file" in outcome.err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a 2026-01-01 active zz\n", "line 1: the secret is not hexadecimal"),
        ("", "no active signing key: make one with `bounced keys new`"),
        ("ä", "cannot be read: not ASCII"),
    ],
)
def test_a_broken_file_is_named_with_its_line(
    bounced: CommandLine, keys: Path, text: str, complaint: str
) -> None:
    keys.write_text(text)
    outcome = bounced("keys", "list")
    assert (outcome.code, outcome.complaints) == (78, [f"bounced: {keys}: {complaint}"])


def test_a_configured_file_that_is_missing_is_told_and_not_made(
    bounced: CommandLine, tmp_path: Path
) -> None:
    bounced.configure(f'[return_path]\nkeys_file = "{tmp_path}/own.keys"\n')
    outcome = bounced(*SIGN)
    assert (outcome.code, outcome.complaints) == (
        78,
        [
            (
                f"bounced: return_path.keys_file: {tmp_path}/own.keys: no such file; "
                "make one with `bounced keys new`"
            )
        ],
    )
    bounced("keys", "new")
    assert bounced(*SIGN).code == 0


def test_a_signed_path_is_taken_at_the_door_and_its_send_is_registered(
    bounced: CommandLine, keys: Path, sqlite_url: str
) -> None:
    more = ("--reference", "7", "--title", "Protokoll 7", "--url", "https://x.example/7")
    (row,) = bounced(*SIGN, "--recipient", "eva@kunde.example", *more, "--language", "en",
                     "--json").rows  # fmt: skip
    judged = judge_recipient(
        row["return_path"],
        "",
        from_own_relay=False,
        settings=AdmissionSettings(domains=("bounce.example.com",)),
        ring=read_keys(keys),
        today=int(datetime.now(UTC).timestamp()) // 86_400,
    )
    assert isinstance(judged, Accepted)
    assert judged.door is Door.TOKEN
    assert judged.token is not None
    assert judged.token.hex_id == row["send"]
    ledger = Ledger(sqlite_url)
    found = ledger.read(lambda connection: sends.find(connection, [row["send"]]))[row["send"]]
    ledger.close()
    assert found == Send(
        send=row["send"],
        author=AUTHOR,
        recipients=(RECIPIENT, "eva@kunde.example"),
        registered_at=found.registered_at,
        reference="7",
        title="Protokoll 7",
        url="https://x.example/7",
        language="en",
    )


def test_signing_beside_no_database_says_that_a_new_one_is_made(bounced: CommandLine) -> None:
    assert "is this the daemon's own database?" in bounced(*SIGN).err
    assert bounced(*SIGN).err == ""


def test_without_json_only_the_path_is_printed(bounced: CommandLine) -> None:
    outcome = bounced(*SIGN)
    assert outcome.out.endswith("@bounce.example.com\n")
    assert len(outcome.out) == 31 + len("@bounce.example.com\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("sign", "--author", AUTHOR),
        ("sign", "--recipient", RECIPIENT),
        ("sign", "--author", "Anna <anna@bau.example>", "--recipient", RECIPIENT),
        ("sign", "--author", AUTHOR, "--recipient", "nobody"),
        (*SIGN, "--language", "French"),
        (*SIGN, "--url", "javascript:alert(1)"),
    ],
)
def test_what_cannot_be_signed_is_a_usage_error(
    bounced: CommandLine, arguments: tuple[str, ...]
) -> None:
    outcome = bounced(*arguments)
    assert outcome.code == 64
    assert outcome.out == ""
    assert "Usage: bounced sign" in outcome.err
