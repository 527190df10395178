"""An archive on an empty ledger."""

from __future__ import annotations

import pytest

from bounced.ledger.engine import Ledger
from tests.processor.archive import Archive


@pytest.fixture
def archive(ledger: Ledger) -> Archive:
    """Return a site without rules, once on each database."""
    return Archive(ledger)
