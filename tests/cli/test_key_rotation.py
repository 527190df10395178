"""Rotation without a gap: no bounce is lost, and no key is, whoever is killed while he writes."""

from __future__ import annotations

import fcntl
import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bounced import logs
from bounced.config import LogSettings
from bounced.configfile import load_settings
from bounced.daemon import Daemon
from bounced.keyfile import read_keys
from bounced.ledger import queries
from bounced.model import TokenType
from bounced.origin.token import open_token, seal
from tests.cli.conftest import CommandLine
from tests.e2e.process import build_dsn, deliver
from tests.logcheck import Line, find_events
from tests.mta.network import wait_for
from tests.rotating import KEY_IDS, ROUNDS

AUTHOR = "anna@bau.example"
STORED = "250 2.0.0 Stored safely"
NOT_OURS = "550 5.7.1 This return path was not issued here or has expired"
DOMAIN = "bounce.example.com"
TODAY = int(datetime.now(UTC).timestamp()) // 86_400


class Site:
    """A daemon that listens, and its own command line."""

    def __init__(self, bounced: CommandLine, daemon: Daemon) -> None:
        self.bounced = bounced
        self.daemon = daemon
        self.keys = bounced.config.with_name("bounced.keys")

    def sign(self, number: int) -> str:
        """Register a send to recipient `number`; return its return path."""
        (row,) = self.bounced(
            "sign", "--author", AUTHOR, "--recipient", f"r{number}@kunde.example", "--json"
        ).rows
        return str(row["return_path"])

    async def bounce(self, number: int, rcpt: str) -> str:
        """Let the mail to recipient `number` come back; return the daemon's last reply."""
        host, _, port = self.daemon.listener.smtp[0].rpartition(":")
        now = datetime.now(UTC)
        raw = build_dsn(f"r{number}@kunde.example", f"m{number}@app", author=AUTHOR, now=now)
        reply = await deliver((host, int(port)), raw, rcpt)
        await self.daemon.processor.process_waiting()
        return reply

    def list_struck(self) -> set[str]:
        """Return who has a strike."""
        rows = self.daemon.ledger.read(queries.list_cases)
        return {row["subject"] for row in rows if row["strikes"] == 1}


@pytest.fixture
async def site(bounced: CommandLine) -> AsyncIterator[Site]:
    # The test's client is a stranger here, so that a report counts by its token or not at all.
    text = bounced.config.read_text().replace("[smtp]", '[smtp]\nown_relays = ["127.0.0.2/32"]')
    bounced.config.write_text(f'{text}[notices]\ndigest_window = "0s"\n')
    daemon = Daemon(load_settings(bounced.config, {}), config_path=bounced.config)
    await daemon.start(beat=False)
    yield Site(bounced, daemon)
    logs.configure(LogSettings(), io.StringIO())  # what the commands log to is closed by now
    await daemon.stop()


async def test_bounces_of_the_old_and_the_new_key_count_without_a_reload(
    site: Site, log: list[Line]
) -> None:
    first, second = site.sign(1), site.sign(2)
    site.bounced("keys", "new")
    third = site.sign(3)
    assert [path[:2] for path in (first, second, third)] == ["sa", "sa", "sb"]
    replies = [await site.bounce(3, third), await site.bounce(1, first)]
    site.bounced("keys", "retire", "a")
    replies.append(await site.bounce(2, second))
    assert replies == [STORED] * 3
    assert site.list_struck() == {f"r{number}@kunde.example" for number in (1, 2, 3)}
    loaded = [line for line in find_events(log, "config_loaded") if "rule_files" not in line]
    assert [(line["path"], line["keys"]) for line in loaded] == [(str(site.keys), 2)] * 2


async def test_a_next_key_is_accepted_before_it_signs(site: Site) -> None:
    site.bounced("keys", "new", "--next")
    key = read_keys(site.keys).find("b")
    assert key is not None
    assert site.sign(1).startswith("sa")
    path = f"{seal(TokenType.SEND, bytes(8), TODAY, key)}@{DOMAIN}"
    assert await site.bounce(1, path) == STORED
    site.bounced("keys", "retire", "a")
    assert site.sign(2).startswith("sb")


async def test_what_a_leaked_key_signed_is_refused_at_once(site: Site, log: list[Line]) -> None:
    path = site.sign(1)
    site.bounced("keys", "new")
    site.bounced("keys", "retire", "a", "--leaked")
    assert await site.bounce(1, path) == NOT_OURS
    assert [line["why"] for line in find_events(log, "smtp_refused")] == ["token-unknown-key"]
    assert site.list_struck() == set()


async def test_a_retired_key_signs_nothing_new_for_a_thief(site: Site, log: list[Line]) -> None:
    site.bounced("keys", "new")
    site.bounced("keys", "retire", "a")
    today, last_week = datetime.now(UTC).date(), datetime.now(UTC).date() - timedelta(days=7)
    text = site.keys.read_text()
    site.keys.write_text(text.replace(f" {today}\n", f" {last_week}\n"))
    key = read_keys(site.keys).keys[1]
    assert key.retired_on == last_week
    forged, old = (seal(TokenType.SEND, bytes(8), day, key) for day in (TODAY, TODAY - 7))
    replies = [await site.bounce(1, f"{token}@{DOMAIN}") for token in (forged, old)]
    assert replies == [NOT_OURS, STORED]
    assert [line["why"] for line in find_events(log, "smtp_refused")] == ["token-retired-key"]


async def test_a_notice_goes_out_under_the_new_key(site: Site) -> None:
    path = site.sign(1)
    await site.bounce(1, path)
    site.bounced("keys", "new")
    assert await site.daemon.dispatcher.send_due(datetime.now(UTC)) == 1
    (notice,) = (site.keys.parent / "notices" / "new").iterdir()
    assert notice.read_text().startswith("Return-Path: <nb")


async def test_a_reload_does_not_replace_keys_that_have_gone(site: Site, log: list[Line]) -> None:
    path = site.sign(1)
    site.keys.rename(site.keys.with_suffix(".away"))
    await site.daemon.reload(lambda: load_settings(site.bounced.config, {}))
    assert await site.bounce(1, path) == STORED
    assert not site.keys.exists()
    assert [line["why"] for line in find_events(log, "config_rejected")] == [
        f"{site.keys}: no such file; make one with `bounced keys new`",
        (
            f"{site.keys}: cannot be read: No such file or directory; "
            "the keys read before stay in use"
        ),
    ]


def run_rotating(how: str, folder: Path) -> None:
    subprocess.run((sys.executable, "-m", "tests.rotating", how, str(folder)), check=True)


def test_a_rotation_killed_at_any_moment_leaves_every_key_that_ever_signed(
    tmp_path: Path,
) -> None:
    run_rotating("killed", tmp_path)
    progress = []
    for folder in tmp_path.iterdir():
        ring = read_keys(folder / "bounced.keys")
        signed = folder / "signed"
        told = signed.read_text() if signed.exists() else ""
        for key_id in "a" + told:
            key = ring.find(key_id)
            assert key is not None
            token = seal(TokenType.SEND, bytes(8), TODAY, key)
            assert open_token(token, ring, today=TODAY, ttl_days=14)
        # The killed one may have written one key more than it could tell of.
        assert ring.signing.key_id in {KEY_IDS[len(told)], KEY_IDS[min(len(told) + 1, 31)]}
        progress.append(len(told))
    assert len(progress) == ROUNDS
    assert len(set(progress)) > 1


def test_writers_at_once_lose_no_key(tmp_path: Path) -> None:
    run_rotating("together", tmp_path)
    ring = read_keys(tmp_path / "bounced.keys")
    assert sorted(key.key_id for key in ring.keys) == sorted(KEY_IDS)


def test_of_two_new_keys_at_once_the_second_is_refused(
    bounced: CommandLine, tmp_path: Path
) -> None:
    """Both are made to wait before they read, so that neither has seen the other's key."""
    keys = tmp_path / "bounced.keys"
    bounced("keys", "new")
    quiet = subprocess.DEVNULL
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    command = (sys.executable, "-m", "bounced", "keys", "new", "--config", str(bounced.config))
    running = [subprocess.Popen(command, stdout=quiet, stderr=quiet) for _ in range(2)]
    waiting = f":{tmp_path.stat().st_ino} "
    wait_for(
        "two that wait",
        lambda: sum("->" in line and waiting in line for line in read_locks()) == 2,
    )
    os.close(folder)
    assert sorted(process.wait(20) for process in running) == [0, 65]
    assert [key.key_id for key in read_keys(keys).keys] == ["b", "a"]


def read_locks() -> list[str]:
    return Path("/proc/locks").read_text(encoding="ascii").splitlines()
