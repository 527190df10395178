"""How much memory the messages that are coming in may take together."""

from __future__ import annotations

FREE = 64 * 1024
"""Bytes of each message that are not counted, so that a bounce of usual size always finds room."""


class MessageMemory:
    """What all messages hold at this moment, beyond the part that is free."""

    def __init__(self) -> None:
        self.held = 0

    def count_free(self, limit: int) -> int:
        """Return how large one more message may be, in bytes, when `limit` holds for all."""
        return max(0, limit - self.held) + FREE

    def open_share(self, limit: int) -> Share:
        """Begin a message, while `limit` bytes hold for all."""
        return Share(self, limit)


class Share:
    """What one message holds, from its first byte to the end of its commit."""

    def __init__(self, memory: MessageMemory, limit: int) -> None:
        self._memory = memory
        self._limit = limit
        self._held = 0

    def grow(self, size: int) -> bool:
        """Make room for a message of `size` bytes in all; False: there is none."""
        more = size - FREE - self._held
        if more <= 0:
            return True
        if self._memory.held + more > self._limit:
            return False
        self._memory.held += more
        self._held += more
        return True

    def release(self) -> None:
        """Give everything back; once is enough."""
        self._memory.held -= self._held
        self._held = 0
