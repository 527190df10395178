"""The closed list of reasons why a report does not count."""

from __future__ import annotations

from enum import StrEnum


class Why(StrEnum):
    """Why a report does not count; the `why` of `report_quarantined` and `origin_unresolved`."""

    CLIENT_NOT_OWN = "client-not-own-relay"
    """Unsigned, and the host that delivered it is no own relay."""
    RECEIVED_FROM_OUTSIDE = "received-from-outside"
    """Unsigned, and an own relay had it from a foreign host."""
    RETURNED_FROM_OUTSIDE = "returned-message-from-outside"
    """The mail that bounced came to our relay from a foreign host."""
    RECEIVED_UNREADABLE = "received-unreadable"
    """A Received field does not tell in any known form who the client was."""
    PASSED_ON = "passed-on"
    """Unsigned, and it stands inside or in the text of another message."""
    UNSIGNED = "unsigned"
    """`trust = "signed"`, and the return path carries no signature."""
    UNKNOWN_LOCAL_PART = "unknown-local-part"
    OPS_MAILBOX = "ops-mailbox"
    NOTICE_BOUNCED = "notice-bounced"
    PROBE = "probe"
    ORIGIN_UNRESOLVED = "origin-unresolved"
    """Trusted, but nothing tells the author."""
