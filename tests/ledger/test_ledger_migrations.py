"""The migrations and the schema that the code works on are one and the same, to the CHECK."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from bounced.ledger import engine, sends
from bounced.ledger.engine import Ledger, newest_version
from bounced.ledger.reports import Finding
from bounced.ledger.schema import metadata
from bounced.model import Category, ConfigError, LedgerError, Reason, Send, Verdict
from tests.ledger.office import (
    AUTHOR,
    DAY,
    HOUR,
    MAILBOX_FULL,
    RECIPIENT,
    START,
    Office,
    bounce,
)

OPS = Verdict(Category.POLICY, Reason.RELAY_DENIED)
OTHER = "eva@kunde.example"
SEND = Send("00000000000000aa", AUTHOR, (RECIPIENT, OTHER), START)
_OBJECTS = """
SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_autoindex%' ORDER BY name
"""
_COMMA = re.compile(r",(?![^()]*\))")
_COLUMNS = """
SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2
"""
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2
"""
_INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"


def describe_sqlite(connection: Connection) -> dict[str, object]:
    """Return each table as the sorted parts of its CREATE statement, each index as it stands.

    A column that was added later stands behind the constraints.
    """
    found: dict[str, object] = {}
    for name, sql in connection.execute(text(_OBJECTS)):
        head, _, body = sql.partition("(")
        parts = sorted(" ".join(part.split()) for part in _COMMA.split(body.strip()[:-1]))
        found[name] = (head.strip(), parts) if sql.startswith("CREATE TABLE") else sql
    return found


def describe_postgresql(connection: Connection) -> list[tuple[object, ...]]:
    statements = (_COLUMNS, _CONSTRAINTS, _INDEXES)
    return sorted(
        (tuple(row) for statement in statements for row in connection.execute(text(statement))),
        key=repr,
    )


def compare(url: Callable[[str], str], describe: Callable[[Connection], Any]) -> None:
    migrated, created = Ledger(url("migrated")), Ledger(url("created"))
    migrated.upgrade()
    created.write(metadata.create_all)
    migrated.write(lambda connection: connection.execute(text("DROP TABLE alembic_version")))
    expected, actual = created.read(describe), migrated.read(describe)
    migrated.close()
    created.close()
    assert expected == actual
    assert "at_most_three" in str(actual)
    assert "uq_notices_open" in str(actual)


def test_migrations_create_the_schema_of_the_code_on_sqlite(tmp_path: Path) -> None:
    compare(lambda name: f"sqlite:///{tmp_path / name}.db", describe_sqlite)


def test_migrations_create_the_schema_of_the_code_on_postgresql(
    make_bare_postgres_url: Callable[[], str],
) -> None:
    compare(lambda _: make_bare_postgres_url(), describe_postgresql)


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Return a database without a schema, on each kind."""
    if request.param == "sqlite":
        opened = Ledger(f"sqlite:///{tmp_path / 'bare.db'}")
    else:
        opened = Ledger(request.getfixturevalue("make_bare_postgres_url")())
    yield opened
    opened.close()


def test_an_empty_database_is_prepared(bare: Ledger) -> None:
    assert bare.find_version() is None
    bare.prepare()
    assert bare.find_version() == newest_version()
    bare.prepare()


def downgrade_to_the_fourth(ledger: Ledger) -> None:
    """Undo the fifth revision by hand, rows kept."""
    run_all(
        ledger,
        "DROP INDEX ix_cases_undiagnosed",
        "DROP INDEX ix_cases_refused",
        *(
            f"ALTER TABLE reports DROP COLUMN {name}"
            for name in ("mail_from_domain", "signatures")
        ),
        *(f"ALTER TABLE cases DROP COLUMN {name}" for name in ("diagnosis", "checked_at")),
        "ALTER TABLE slots DROP COLUMN diagnosis",
        "UPDATE alembic_version SET version_num = '0004'",
    )


def downgrade_to_the_third(ledger: Ledger) -> None:
    """Undo the fourth revision by hand, rows kept."""
    downgrade_to_the_fourth(ledger)
    run_all(
        ledger,
        "DROP INDEX ix_sends_unlearned",
        "DROP INDEX ix_reports_token_id",
        "DROP INDEX ix_cases_unadvised",
        "DROP INDEX ix_notices_author_settled_at",
        "ALTER TABLE sends DROP COLUMN learned",
        *(
            f"ALTER TABLE cases DROP COLUMN {name}"
            for name in ("suggestion", "advised_at", "closed_why", "corrected_to")
        ),
        "ALTER TABLE notices DROP COLUMN why",
        "ALTER TABLE slots DROP COLUMN suggestion",
        "DROP TABLE authors",
        "DROP TABLE reached",
        "DROP TABLE webhooks",
        "UPDATE alembic_version SET version_num = '0003'",
    )


def downgrade_to_the_second(ledger: Ledger) -> None:
    """Undo the third revision by hand, rows kept."""
    downgrade_to_the_third(ledger)
    run_all(
        ledger,
        "DROP INDEX uq_sends_key",
        "DROP INDEX ix_cases_subject",
        *(f"ALTER TABLE sends DROP COLUMN {name}" for name in ("key", "digest", "return_path")),
        "ALTER TABLE cases DROP COLUMN reset_at",
        "DROP TABLE events",
        "DROP TABLE event_counter",
        "UPDATE alembic_version SET version_num = '0002'",
    )


def downgrade_to_the_first(ledger: Ledger) -> None:
    """Undo the second revision by hand, rows kept."""
    downgrade_to_the_second(ledger)
    run_all(
        ledger,
        "DROP INDEX ix_strikes_notice",
        "DROP INDEX ix_failures_strike",
        "DROP INDEX ix_failures_cluster",
        *(f"ALTER TABLE failures DROP COLUMN {name}" for name in ("strike", "subject", "cluster")),
        *(
            f"ALTER TABLE strikes DROP COLUMN {name}"
            for name in ("quiet", "withdrawn", "told_case")
        ),
        "DROP TABLE text_clusters",
        "DROP TABLE replays",
        "UPDATE alembic_version SET version_num = '0001'",
    )


def run_all(ledger: Ledger, *statements: str) -> None:
    def work(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement))

    ledger.write(work)


@pytest.mark.parametrize(
    "downgrade",
    [
        pytest.param(downgrade_to_the_first, id="first"),
        pytest.param(downgrade_to_the_second, id="second"),
        pytest.param(downgrade_to_the_third, id="third"),
    ],
)
def test_rows_of_an_older_schema_are_kept(
    bare: Ledger, downgrade: Callable[[Ledger], None]
) -> None:
    bare.prepare()
    office = Office(bare)
    bare.write(lambda connection: sends.register(connection, SEND))
    office.fail("a")
    office.fail("c", registered=SEND)
    office.move(HOUR)
    office.send_due()
    office.fail("b", verdict=MAILBOX_FULL)
    added = {"authors", "reached", "webhooks", "events", "event_counter", "text_clusters"}
    kept = metadata.tables.keys() - added - {"replays"}
    # Not there in any of them; a replay finds it out.
    run_all(bare, "UPDATE reports SET mail_from_domain = NULL")
    before = office.dump(*kept)
    downgrade(bare)
    bare.upgrade()
    after = office.dump(*before)
    assert after == before


@pytest.mark.parametrize(
    ("findings", "named"),
    [
        pytest.param([bounce("a"), bounce("a", at=START + HOUR)], [True, True], id="double"),
        pytest.param([bounce("a"), bounce("b", OTHER)], [True, True], id="recipients"),
        pytest.param(
            [bounce("a"), bounce("a", at=START + HOUR), bounce("b", at=START + DAY)],
            [False, True, True],
            id="double-where-another-send-failed-too",
        ),
        pytest.param(
            [
                bounce("a", registered=SEND),
                bounce("a", OTHER, registered=SEND),
                bounce("a", at=START + HOUR, registered=SEND),
                bounce("b", at=START + DAY),
            ],
            [True, True, True, True],
            id="double-of-a-registered-send",
        ),
        pytest.param([bounce("a", verdict=OPS)], [False], id="not-counted"),
    ],
)
def test_what_a_failure_counts_for_is_found_where_there_is_no_doubt(
    bare: Ledger, findings: list[Finding], named: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.prepare()
    office = Office(bare)
    findings = [
        replace(finding, arrival=replace(finding.arrival, report=f"r{number}"))
        for number, finding in enumerate(findings)
    ]
    office.receive(*findings)
    before = office.dump("failures")["failures"]
    downgrade_to_the_first(bare)
    revision = ScriptDirectory.from_config(engine._alembic_config()).get_revision("0002")
    monkeypatch.setattr(revision.module, "_ROWS", 1)
    bare.upgrade()
    expected = [
        row if known else (*row[:-3], None, None, None)
        for row, known in zip(before, named, strict=True)
    ]
    assert office.dump("failures")["failures"] == expected


def test_a_newer_schema_is_refused_and_bounced_to_be_updated(bare: Ledger) -> None:
    bare.prepare()
    bare.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(ConfigError, match=r"schema 9999, .* this is an older bounced: update it"):
        bare.prepare()
    with pytest.raises(ConfigError, match="this is an older bounced: update it"):
        bare.upgrade()


def test_an_old_schema_names_the_command_that_upgrades_it(
    bare: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.prepare()
    monkeypatch.setattr(engine, "newest_version", lambda: "9999")
    with pytest.raises(
        ConfigError,
        match=rf"schema {newest_version()}, this version needs 9999: run `bounced db upgrade`",
    ):
        bare.prepare()


def test_a_failed_upgrade_leaves_nothing_behind(bare: Ledger) -> None:
    bare.write(lambda c: c.execute(text("CREATE TABLE strikes (in_the_way INTEGER)")))
    with pytest.raises(LedgerError, match="strikes"):
        bare.prepare()
    assert bare.find_version() is None


def prepare_at_once(url: str) -> None:
    nodes = [Ledger(url) for _ in range(6)]
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(Ledger.prepare, nodes))
    for node in nodes:
        node.close()


def test_several_nodes_may_prepare_one_postgresql_at_once(
    make_bare_postgres_url: Callable[[], str],
) -> None:
    prepare_at_once(make_bare_postgres_url())


def test_a_command_may_open_a_new_file_while_a_daemon_does(tmp_path: Path) -> None:
    for number in range(8):
        prepare_at_once(f"sqlite:///{tmp_path / str(number)}.db")


def test_a_new_revision_can_be_drafted_from_the_template(tmp_path: Path) -> None:
    folder = Path(engine.__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", f"{folder / 'versions'};{tmp_path}")
    config.set_main_option("path_separator", ";")
    command.revision(config, message="The next schema", rev_id="9999", version_path=str(tmp_path))
    (draft,) = tmp_path.glob("*.py")
    namespace: dict[str, Any] = {}
    exec(compile(draft.read_text(), draft, "exec"), namespace)
    assert (namespace["__doc__"], namespace["down_revision"]) == (
        "The next schema.",
        newest_version(),
    )
