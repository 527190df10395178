"""What is kept back of the disk is really taken, and given when it is needed."""

from __future__ import annotations

from pathlib import Path

from bounced.watch.reserve import Reserve

KIB = 1024


def test_what_is_kept_takes_its_place_on_the_disk(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "bounced.db")
    assert reserve.size == 0
    reserve.keep(64 * KIB)
    (file,) = tmp_path.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("bounced.db.reserve", 0o600)
    assert file.stat().st_blocks * 512 >= reserve.size == 64 * KIB
    reserve.keep(128 * KIB)
    assert reserve.size == 128 * KIB


def test_what_is_given_is_gone(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "bounced.db")
    reserve.keep(KIB)
    reserve.give()
    reserve.give()
    assert list(tmp_path.iterdir()) == []
    assert reserve.size == 0


def test_where_there_is_no_room_nothing_is_kept(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "bounced.db")
    reserve.keep(2**60)
    assert list(tmp_path.iterdir()) == []
