"""How much memory the messages that are coming in may take, together and from one client."""

from __future__ import annotations

import collections

from bounced.config import SmtpSettings
from bounced.listener.client import Client

FREE = 64 * 1024
"""Bytes of each message that are not counted, so that a bounce of usual size always finds room."""
_PARTS = 4
"""One of them is the most that a stranger can take, and one is left to own relays."""


class MessageMemory:
    """What all messages hold at this moment, beyond the part that is free."""

    def __init__(self) -> None:
        self.held = 0
        self._held_by_strangers = 0
        self._by_stranger: collections.Counter[str] = collections.Counter()

    def count_free(self, client: Client, settings: SmtpSettings) -> int:
        """Return how large one more message of the client may be, in bytes."""
        return max(0, self._count_room(client, settings)) + FREE

    def open_share(self, client: Client, settings: SmtpSettings) -> Share:
        """Begin a message of the client."""
        return Share(self, client, settings)

    def take(self, size: int, client: Client, settings: SmtpSettings) -> bool:
        """Count `size` bytes more; False: there is no room for them."""
        if size > self._count_room(client, settings):
            return False
        self._count(size, client)
        return True

    def give_back(self, size: int, client: Client) -> None:
        """Count `size` bytes less."""
        self._count(-size, client)

    def _count(self, more: int, client: Client) -> None:
        self.held += more
        if client.own_relay:
            return
        self._held_by_strangers += more
        self._by_stranger[client.group] += more
        if not self._by_stranger[client.group]:
            del self._by_stranger[client.group]

    def _count_room(self, client: Client, settings: SmtpSettings) -> int:
        limit, largest = settings.max_message_memory, settings.max_message
        room = limit - self.held
        if client.own_relay:
            return room
        part = limit // _PARTS  # unless that is too little for the largest message
        own = max(part, largest) - self._by_stranger[client.group]
        together = max(limit - part, largest) - self._held_by_strangers
        return min(room, own, together)


class Share:
    """What one message holds, from its first byte to the end of its commit."""

    def __init__(self, memory: MessageMemory, client: Client, settings: SmtpSettings) -> None:
        self._memory = memory
        self._client = client
        self._settings = settings
        self._held = 0

    def grow(self, size: int) -> bool:
        """Make room for a message of `size` bytes in all; False: there is none."""
        more = size - FREE - self._held
        if more <= 0:
            return True
        if not self._memory.take(more, self._client, self._settings):
            return False
        self._held += more
        return True

    def release(self) -> None:
        """Give everything back; once is enough."""
        self._memory.give_back(self._held, self._client)
        self._held = 0
