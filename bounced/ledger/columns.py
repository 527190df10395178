"""What the tables are made of, alike on any database: ids, times, texts, closed sets."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    String,
    Text,
    TextClause,
    TypeDecorator,
)

from bounced.ledger.records import clean_text

ID = String(16)
# SQLite counts rows by itself in a column that is declared INTEGER, and in no other.
COUNT = BigInteger().with_variant(Integer(), "sqlite")


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite keeps it naive, so the zone is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class's signature
        """Refuse naive times, turn the others into UTC."""
        if value is None:
            return None
        assert value.tzinfo is not None, "a naive time never reaches the ledger"
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class's signature
        """Return an aware UTC time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CleanText(TypeDecorator[str]):
    """Text as the world sends it: NUL and lone surrogates, which no database takes, replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base class's signature
        """Replace what cannot be stored by U+FFFD."""
        return None if value is None else clean_text(value)


def one_of(column: str, values: type[StrEnum], name: str) -> CheckConstraint:
    """Return the constraint that a column holds one of these values."""
    listed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


def partial_index(
    name: str, *columns: Column[Any], where: TextClause, unique: bool = False
) -> Index:
    """Return an index of the rows that `where` picks, on either database."""
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)
