from pathlib import Path

from tests.notifier.gallery import make_gallery

FOLDER = Path(__file__).parents[2] / "docs" / "notices"


def test_the_gallery_shows_the_mails_of_today() -> None:
    shown = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert shown == make_gallery(), "run `make gallery`"
