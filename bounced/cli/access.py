"""How commands read the ledger, and how they change it: in one transaction, told in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from bounced import logs
from bounced.cli.options import InputError, load, open_ledger
from bounced.config import Settings
from bounced.model import recipient_key

T = TypeVar("T")


def load_to_act(config: Path | None) -> Settings:
    """Read the settings for a command that changes something, which the log tells."""
    settings = load(config)
    logs.configure(settings.log)
    return settings


def read(config: Path | None, work: Callable[[Connection], T]) -> T:
    """Run one read transaction on the configured ledger."""
    with open_ledger(load(config)) as ledger:
        return ledger.read(work)


def write(settings: Settings, work: Callable[[Connection], T]) -> T:
    """Run one durable transaction."""
    with open_ledger(settings) as ledger:
        return ledger.write(work)


def to_key(address: str | None) -> str | None:
    """Return the form in which authors and subjects are stored."""
    return recipient_key(address) if address is not None else None


def only(rows: Sequence[T], name: str, what: str) -> T:
    """Return the row that was asked for by its id; raises InputError."""
    if not rows:
        raise InputError(f"{name}: no such {what}; `bounced {what}s list` shows them")
    return rows[0]
