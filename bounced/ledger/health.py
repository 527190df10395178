"""Whether the database itself is out of reach, and whether it can be written again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from bounced.ledger.schema import sends

_PROBE = "probe"


def is_lost(error: BaseException) -> bool:
    """Tell whether no statement at all would do: disk full, file damaged, server gone, locked."""
    if not isinstance(error, DBAPIError):
        return False
    # Actually, SQLite reports a damaged file by the bare DatabaseError.
    damaged = type(error) is DatabaseError
    return damaged or isinstance(error, OperationalError) or error.connection_invalidated


def describe_error(error: DBAPIError) -> str:
    """Return in one line what the database said, without the statement and its values."""
    return str(error.orig).strip().partition("\n")[0]


def probe(connection: Connection, now: datetime) -> None:
    """Write to the disk what leaves no trace; raises what keeps the database from being written.

    A mere UPDATE to the same value would not do: SQLite leaves such a page alone.
    """
    connection.execute(insert(sends).values(send=_PROBE, registered_at=now, author=""))
    connection.execute(delete(sends).where(sends.c.send == _PROBE))
