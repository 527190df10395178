"""What a sending application imports to call the HTTP API; needs the extra `client`.

It imports nothing else of the daemon, and works as a copied folder.
"""

from bounced.client.session import MAX_PER_CALL, AsyncClient, Client
from bounced.client.wire import (
    ApiError,
    Case,
    ConflictError,
    Event,
    EventPage,
    FieldFault,
    InvalidError,
    Send,
    SendRegistered,
    Standing,
    UnauthorizedError,
    UnavailableError,
)

__all__ = [
    "MAX_PER_CALL",
    "ApiError",
    "AsyncClient",
    "Case",
    "Client",
    "ConflictError",
    "Event",
    "EventPage",
    "FieldFault",
    "InvalidError",
    "Send",
    "SendRegistered",
    "Standing",
    "UnauthorizedError",
    "UnavailableError",
]
