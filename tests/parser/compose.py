"""Builds small messages for the tests of the parser."""


def message(*header: str, body: str = "") -> bytes:
    """Return a message of header lines and a body, lines ended by CRLF."""
    return "\r\n".join([*header, "", *body.split("\n")]).encode()


def part(kind: str, text: str, *header: str) -> str:
    """Return one part for `multipart`."""
    return "\n".join([f"Content-Type: {kind}", *header, "", text])


def multipart(*parts: str, header: tuple[str, ...] = (), kind: str = "mixed") -> bytes:
    """Return a multipart message."""
    body = "".join(f"--=b\n{each}\n" for each in parts) + "--=b--\n"
    return message(*header, f'Content-Type: multipart/{kind}; boundary="=b"', body=body)


def report(text: str, status: str, *more: str, header: tuple[str, ...] = ()) -> bytes:
    """Return a delivery status report of text part, status fields and further parts."""
    return multipart(
        part("text/plain", text),
        part("message/delivery-status", status),
        *more,
        header=header,
        kind="report; report-type=delivery-status",
    )
