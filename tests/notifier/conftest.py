"""A dispatcher on an empty ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bounced.ledger.engine import Ledger
from tests.notifier.house import House, open_house


@pytest.fixture
async def house(ledger: Ledger) -> AsyncIterator[House]:
    """Return a dispatcher on an empty ledger, once on each database."""
    async with open_house(ledger) as opened:
        yield opened
