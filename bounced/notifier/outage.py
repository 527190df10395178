"""Whether the relay is there, and when it is asked again: pauses that grow while it is not."""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=5)


class Outage:
    """What is known of the relay; there is no outage until it is noted."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE
        self._until: datetime | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether the relay was not there when it was last asked."""
        return self._until is not None

    def find_end(self, now: datetime) -> datetime | None:
        """Return when the pause ends that `now` lies in; None: the relay may be asked.

        A pause that seems longer than any was begun by a clock that was ahead.
        """
        if self._until is None or not now < self._until <= now + LONGEST_PAUSE:
            return None
        return self._until

    def note_down(self, now: datetime) -> datetime:
        """Begin a pause, longer than the one before; return when it ends.

        Whoever finds the relay gone during a pause had asked before it began.
        """
        running = self.find_end(now)
        if running is not None:
            return running
        self._until = now + self._pause
        self._pause = min(LONGEST_PAUSE, self._pause * 2)
        return self._until

    def note_up(self) -> None:
        """End the outage: the relay has answered."""
        self._pause, self._until = FIRST_PAUSE, None
