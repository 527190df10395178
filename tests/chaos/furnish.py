"""How a site is configured, and its database prepared, before anything happens there."""

from __future__ import annotations

from pathlib import Path

from bounced.config import Settings
from bounced.configfile import load_settings
from bounced.keyfile import change_keys
from bounced.ledger.engine import Ledger
from bounced.origin.token import Key, KeyRing
from bounced.plan import make_plan
from tests.chaos.life import Home
from tests.ledger.office import START

_CONFIG = """\
[return_path]
keys_file = "{folder}/bounced.keys"
[database]
url = "{url}"
[notices]
sender = "support@app.example"
[relay]
host = "127.0.0.1"
port = {port}
security = "none"
"""


def furnish(folder: Path, url: str, port: int) -> Home:
    """Make what every daemon works with, on a prepared database."""
    config = folder / "config.toml"
    config.write_text(_CONFIG.format(folder=folder, url=url, port=port))
    settings: Settings = load_settings(config, {})
    key = Key("a", bytes(32), START.date())
    change_keys(folder / "bounced.keys", lambda found: found or KeyRing((key,)))
    ledger = Ledger(url)
    ledger.prepare()
    plan = make_plan(settings, ledger.file)
    ledger.close()
    return Home(ledger, settings, plan)
