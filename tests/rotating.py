"""Changes of key files by processes of their own, killed at random moments or at once with others.

Run as `python -m tests.rotating killed|together FOLDER`.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import sys
import time
from datetime import date
from pathlib import Path

from bounced.keyfile import change_keys
from bounced.origin.token import Key, KeyRing

KEY_IDS = "abcdefghijklmnopqrstuvwxyz234567"
DAY = date(2026, 11, 1)
ROUNDS = 60
LATEST_KILL_S = 0.04
WRITERS = 4


def rotate(path: Path, key_id: str) -> None:
    """Let a new key sign, and retire the others."""
    key = Key(key_id, secrets.token_bytes(32), DAY)

    def change(found: KeyRing | None) -> KeyRing:
        olds = found.keys if found else ()
        ended = (Key(old.key_id, old.secret, DAY, active=False) for old in olds)
        return KeyRing((key, *ended))

    change_keys(path, change)


def rotate_until_killed(folder: Path) -> None:
    """Kill a process that rotates, once a round; each round has a folder of its own.

    `signed` holds the keys that were told as signing, a key id each.
    """
    for number in range(ROUNDS):
        own = folder / str(number)
        own.mkdir()
        rotate(own / "bounced.keys", KEY_IDS[0])
        child = os.fork()
        if child == 0:
            _rotate_on(own)
        time.sleep(random.uniform(0, LATEST_KILL_S))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def rotate_together(folder: Path) -> None:
    """Let several processes add keys to one file at once."""
    children = []
    for writer in range(WRITERS):
        child = os.fork()
        if child == 0:
            for key_id in KEY_IDS[writer::WRITERS]:
                rotate(folder / "bounced.keys", key_id)
            os._exit(0)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(codes))


def _rotate_on(folder: Path) -> None:
    """Rotate as long as there are ids, then wait for the end."""
    told = os.open(folder / "signed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for key_id in KEY_IDS[1:]:
        rotate(folder / "bounced.keys", key_id)
        os.write(told, key_id.encode())
    signal.pause()


if __name__ == "__main__":
    {"killed": rotate_until_killed, "together": rotate_together}[sys.argv[1]](Path(sys.argv[2]))
