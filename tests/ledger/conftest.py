"""An office on an empty ledger."""

from __future__ import annotations

import pytest

from bounced.ledger.engine import Ledger
from tests.ledger.office import Office


@pytest.fixture
def office(ledger: Ledger) -> Office:
    """Return an office on an empty ledger, once on each database."""
    return Office(ledger)
