"""`bounced check`: what would run, and each thing that can be wrong."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from aiosmtpd.controller import Controller

from tests.cli.conftest import CommandLine


def change_schema(folder: Path, version: str) -> None:
    with closing(sqlite3.connect(folder / "bounced.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


def break_rules(folder: Path) -> str:
    (folder / "rules").mkdir()
    (folder / "rules" / "site.toml").write_text('stage = "nonsense"')
    return f'[rules]\ndirectories = ["{folder}/rules"]\n'


def lose_example(folder: Path) -> str:
    (folder / "rules").mkdir()
    (folder / "rules" / "site.toml").write_text(
        'stage = "code"\n[[rule]]\nid = "site-x"\ncategory = "policy"\nreason = "virus"\n'
        'source = "invented"\ncodes = [550]\n'
        'examples = [{ text = "550 5.1.1 User unknown" }]\n'
    )
    return f'[rules]\ndirectories = ["{folder}/rules"]\n'


def break_template(folder: Path) -> str:
    (folder / "templates").mkdir()
    (folder / "templates" / "notice.txt.j2").write_text("{{ no_such_thing }}")
    return f'[notices]\ntemplates_directory = "{folder}/templates"\n'


def make_old_schema(folder: Path) -> str:
    change_schema(folder, "0000")
    return ""


def break_database(folder: Path) -> str:
    (folder / "bounced.db").write_text("nonsense " * 200)
    return ""


def miss_folder(folder: Path) -> str:
    config = folder / "config.toml"
    config.write_text(config.read_text().replace(f"{folder}/bounced.db", f"{folder}/absent/b.db"))
    return ""


def miss_keys(folder: Path) -> str:
    return f'[return_path]\nkeys_file = "{folder}/absent.keys"\n'


def open_keys(folder: Path) -> str:
    (folder / "bounced.keys").write_text(f"a 2026-01-01 active {'ab' * 32}\n")
    (folder / "bounced.keys").chmod(0o644)
    return ""


WRONG: dict[str, tuple[Callable[[Path], str], str]] = {
    "rules": (break_rules, "wrong    rules: {folder}/rules/site.toml: stage: 'nonsense'"),
    "examples": (lose_example, "wrong    rules: {folder}/rules/site.toml: rule site-x: examples:"),
    "templates": (
        break_template,
        "wrong    templates: {folder}/templates/notice.txt.j2, line 1: UndefinedError",
    ),
    "schema": (
        make_old_schema,
        "wrong    database: database sqlite:///{folder}/bounced.db: schema",
    ),
    "database": (
        break_database,
        "wrong    database: database sqlite:///{folder}/bounced.db: file is not a database",
    ),
    "folder": (
        miss_folder,
        "wrong    database: database sqlite:///{folder}/absent/b.db: folder {folder}/absent does",
    ),
    "keys": (miss_keys, "wrong    keys: {folder}/absent.keys: cannot be read: No such file"),
    "key-mode": (
        open_keys,
        (
            "wrong    keys: {folder}/bounced.keys: everybody may read it; "
            "mend: chmod o= {folder}/bounced.keys"
        ),
    ),
}


def test_all_is_well_and_nothing_is_made(bounced: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bounced.db").unlink()
    before = sorted(tmp_path.iterdir())
    outcome = bounced("check")
    assert outcome.code == 0
    assert [line.split(":")[0] for line in outcome.out.splitlines()] == [
        "ok       configuration",
        "ok       rules",
        "ok       templates",
        "ok       database",
        "ok       keys",
        "ok       advice",
        "warning  relay.host is empty",
    ]
    assert sorted(tmp_path.iterdir()) == before


def test_files_that_are_not_there_yet_are_named_in_full(
    bounced: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = bounced.config.read_text()
    bounced.config.write_text(text.replace(f"sqlite:///{tmp_path}/bounced.db", "sqlite:///a.db"))
    monkeypatch.chdir(tmp_path)
    lines = bounced("check").out.splitlines()
    when = "no file yet; made at the first start"
    assert f"ok       database: sqlite:///{tmp_path}/a.db: {when}" in lines
    assert f"ok       keys: {tmp_path}/bounced.keys: {when}" in lines


def test_a_database_without_a_schema_is_called_empty(bounced: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bounced.db").write_bytes(b"")
    assert "empty; the schema is made at the first start" in bounced("check").out


def test_a_site_that_has_run_is_described(bounced: CommandLine, tmp_path: Path) -> None:
    bounced("keys", "new")
    out = bounced("check").out
    assert f"ok       keys: {tmp_path}/bounced.keys: a; a signs" in out
    assert f"ok       database: sqlite:///{tmp_path}/bounced.db, schema 0" in out


def test_quiet_hours_are_named_with_their_end(bounced: CommandLine) -> None:
    begin, end = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 2))
    bounced.configure(f'[notices]\ntimezone = "UTC"\nquiet_hours = "{begin:%H:%M}-{end:%H:%M}"\n')
    (line,) = (line for line in bounced("check").out.splitlines() if "due now" in line)
    assert line == f"ok       database: notices: 0 due now, quiet until {end:%Y-%m-%d %H:%M} UTC"


def test_a_fault_of_what_signs_is_told_once(bounced: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "absent.pem"
    bounced.configure(f'[notices]\nsmime_certificate_file = "{path}"\nsmime_key_file = "{path}"\n')
    wrong = [line for line in bounced("check").out.splitlines() if line.startswith("wrong")]
    assert [line.split(":")[0] for line in wrong] == ["wrong    smime"]


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named_and_the_rest_is_still_looked_at(
    bounced: CommandLine, tmp_path: Path, kind: str
) -> None:
    spoil, line = WRONG[kind]
    bounced.configure(spoil(tmp_path))
    outcome = bounced("check")
    assert outcome.code == 78
    assert line.format(folder=tmp_path) in outcome.out
    wrong = [line for line in outcome.out.splitlines() if line.startswith("wrong")]
    assert len({line.partition(":")[0] for line in wrong}) == 1
    assert "warning  relay.host is empty" in outcome.out


@pytest.mark.parametrize(
    ("version", "mend"), [("0000", "update it"), ("9999", "update it")], ids=["unknown", "newer"]
)
def test_a_schema_of_another_version_says_what_mends_it(
    bounced: CommandLine, tmp_path: Path, version: str, mend: str
) -> None:
    change_schema(tmp_path, version)
    assert mend in bounced("check").out


def configure_relay(bounced: CommandLine, port: int, more: str = "") -> None:
    text = bounced.config.read_text()
    bounced.config.write_text(
        text.replace("[relay]", f'[relay]\nhost = "127.0.0.1"\nport = {port}\n{more}')
        + '[notices]\nsender = "post@bau.example"\n'
    )


@pytest.fixture
def relay_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    relay = Controller(object(), hostname="127.0.0.1", port=port)
    relay.start()
    yield port
    relay.stop()


def test_a_relay_that_answers_is_well(bounced: CommandLine, relay_port: int) -> None:
    configure_relay(bounced, relay_port, 'security = "none"\n')
    outcome = bounced("check")
    assert f"ok       relay: 127.0.0.1:{relay_port}" in outcome.out
    assert outcome.code == 0


def test_a_relay_that_has_no_starttls_is_wrong(bounced: CommandLine, relay_port: int) -> None:
    configure_relay(bounced, relay_port)
    outcome = bounced("check")
    assert f"wrong    relay: no session with 127.0.0.1:{relay_port}: " in outcome.out
    assert outcome.code == 78


def test_a_relay_that_does_not_listen_is_wrong(bounced: CommandLine) -> None:
    configure_relay(bounced, 1)
    outcome = bounced("check")
    assert outcome.code == 78
    assert ("wrong    relay: no session with 127.0.0.1:1: ") in outcome.out


def test_a_missing_password_file_is_wrong(bounced: CommandLine, tmp_path: Path) -> None:
    more = f'username = "u"\npassword_file = "{tmp_path}/absent"\n'
    configure_relay(bounced, 1, more)
    assert (
        f"wrong    relay: relay.password_file: {tmp_path}/absent: cannot be read: No such file"
    ) in bounced("check").out


def test_a_password_file_that_everybody_may_read_is_wrong(
    bounced: CommandLine, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("x")
    password.chmod(0o644)
    configure_relay(bounced, 1, f'username = "u"\npassword_file = "{password}"\n')
    assert (
        f"wrong    relay: {password}: everybody may read it; mend: chmod o= {password}"
    ) in bounced("check").out


def test_keys_of_their_own_are_looked_at_where_the_database_cannot_be_had(
    bounced: CommandLine, tmp_path: Path
) -> None:
    open_keys(tmp_path)
    bounced.configure(f'[return_path]\nkeys_file = "{tmp_path}/bounced.keys"\n')
    miss_folder(tmp_path)
    keys = f"{tmp_path}/bounced.keys"
    assert f"wrong    keys: {keys}: everybody may read it; mend: chmod o= {keys}" in (
        bounced("check").out
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[smpt]\n", "smpt: unknown section; did you mean smtp?"),
        ("[ledger]\nmax_agee = 1\n", "ledger.max_agee: unknown key; did you mean max_age?"),
        ("[ledger]\nmax_age = 14\n", "ledger.max_age: 14 is no duration"),
        ("[[[", "not valid TOML"),
    ],
)
def test_a_broken_configuration_is_one_clear_line(
    bounced: CommandLine, text: str, complaint: str
) -> None:
    bounced.configure(text)
    outcome = bounced("check")
    assert outcome.code == 78
    (line,) = outcome.complaints
    assert line.startswith(f"bounced: {bounced.config}: ")
    assert complaint in line


def test_a_configuration_that_is_missing_is_named(bounced: CommandLine) -> None:
    bounced.config.unlink()
    outcome = bounced("check")
    assert (outcome.code, outcome.complaints) == (
        78,
        [f"bounced: {bounced.config}: no such configuration file"],
    )


def make_pair(folder: Path, days: int, mode: int = 0o640) -> str:
    """Write a certificate that ends in so many days, and an hour; returns the settings."""
    ends_at = datetime.now(UTC) + timedelta(days=days, hours=1)
    issued = trustme.CA().issue_cert("bounce.example.com", "mx.example.com", not_after=ends_at)
    issued.cert_chain_pems[0].write_to_path(folder / "tls.pem")
    issued.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.key").chmod(mode)
    return f'tls_certificate_file = "{folder}/tls.pem"\ntls_key_file = "{folder}/tls.key"\n'


def check_with_pair(bounced: CommandLine, settings: str) -> tuple[int, list[str]]:
    """Check the site with TLS; returns the exit code and what is said of it."""
    text = bounced.config.read_text().replace("[smtp]\n", f"[smtp]\n{settings}")
    bounced.config.write_text(text)
    outcome = bounced("check")
    return outcome.code, [line for line in outcome.out.splitlines() if " tls: " in line]


def test_a_certificate_is_named_with_its_last_day(bounced: CommandLine, tmp_path: Path) -> None:
    day = (datetime.now(UTC) + timedelta(days=30, hours=1)).date()
    pair = f"{tmp_path}/tls.pem: bounce.example.com, mx.example.com"
    assert check_with_pair(bounced, make_pair(tmp_path, 30)) == (
        0,
        [f"ok       tls: {pair}, valid until {day}, days left: 30"],
    )


@pytest.mark.parametrize(("days", "warned"), [(13, True), (14, False)])
def test_a_certificate_that_ends_within_fourteen_days_is_warned_of(
    bounced: CommandLine, tmp_path: Path, days: int, warned: bool
) -> None:
    code, (good, *warnings) = check_with_pair(bounced, make_pair(tmp_path, days))
    assert (code, good.endswith(f"days left: {days}")) == (0, True)
    assert warnings == [f"warning  tls: {tmp_path}/tls.pem: ends soon; renew it"] * warned


def test_a_certificate_that_has_ended_is_wrong(bounced: CommandLine, tmp_path: Path) -> None:
    code, lines = check_with_pair(bounced, make_pair(tmp_path, -1))
    assert code == 78
    assert [line.partition(": ended on ")[0] for line in lines] == [
        f"wrong    tls: smtp.tls_certificate_file: {tmp_path}/tls.pem"
    ]


@pytest.mark.parametrize(
    ("text", "mode", "outcome"),
    [
        (f"shop {'t' * 20}", 0o600, "ok       tokens: {path}: shop"),
        (
            f"shop {'t' * 20}",
            0o644,
            "wrong    tokens: {path}: everybody may read it; mend: chmod o= {path}",
        ),
        (
            "shop",
            0o600,
            (
                "wrong    tokens: http.tokens_file: {path}: line 1: "
                "write a name and a token: shop 2f6c..."
            ),
        ),
    ],
)
def test_the_tokens_of_the_api_are_named_and_their_file_is_looked_at(
    bounced: CommandLine, tmp_path: Path, text: str, mode: int, outcome: str
) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    path.chmod(mode)
    config = bounced.config.read_text()
    bounced.config.write_text(config.replace("[http]\n", f'[http]\ntokens_file = "{path}"\n'))
    lines = [line for line in bounced("check").out.splitlines() if " tokens: " in line]
    assert lines == [outcome.format(path=path)]


def test_a_tls_key_that_everybody_may_read_is_wrong(bounced: CommandLine, tmp_path: Path) -> None:
    key = f"{tmp_path}/tls.key"
    assert check_with_pair(bounced, make_pair(tmp_path, 30, mode=0o644)) == (
        78,
        [f"wrong    tls: {key}: everybody may read it; mend: chmod o= {key}"],
    )
