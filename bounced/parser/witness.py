"""Asks flufl.bounce, one witness among others, which addresses a free-form bounce names; total."""

from email.message import Message as LibraryMessage

from bounced.parser.fields import find_addresses, is_address

MAX_LINES = 300
MAX_CHARACTERS = 16_000
_HEADERS = ("from", "to", "subject")


def ask_witness(headers: dict[str, str], text: str) -> tuple[tuple[str, ...], str | None]:
    """Return the addresses that flufl.bounce finds and that stand in `text`; a note if it fails.

    It gets a message built of a few headers and the report's own words, never the raw bytes: what
    it costs is bounded, and it cannot read the returned message.
    """
    shown = "\n".join(text[:MAX_CHARACTERS].split("\n")[:MAX_LINES])
    standing = {address.lower() for address in find_addresses(shown)}
    if not standing:
        return (), None
    from flufl.bounce import all_failures

    message = LibraryMessage()
    for name in _HEADERS:
        if name in headers:
            message[name] = " ".join(headers[name].split())
    message.set_payload(shown.encode("ascii", "replace").decode("ascii"))
    try:
        temporary, permanent = all_failures(message)
    except Exception as error:  # noqa: BLE001 -- it raises whatever a text makes it stumble over
        return (), f"flufl.bounce failed: {type(error).__name__}"
    said = sorted(_as_text(address) for address in {*temporary, *permanent})
    return tuple(a for a in said if is_address(a) and a.lower() in standing), None


def _as_text(address: bytes | str) -> str:
    text = address.decode("ascii", "replace") if isinstance(address, bytes) else address
    return text.strip("<> ")
