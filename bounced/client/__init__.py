"""What a sending application imports to call the HTTP API; needs the extra `client`.

It imports nothing else of the daemon, and works as a copied folder.
"""

from bounced.client.session import AsyncClient, Client
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
