"""The arguments of MAIL and RCPT (RFC 5321 §4.1.1.2, §4.1.1.3), read without email's parser."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bounced.listener import replies
from bounced.model import split_address

MAX_LOCAL_PART = 256
"""Characters; RFC 5321 §4.5.3.1.1 says 64, but rewritten return paths grow longer."""
MAX_DOMAIN = 255
"""Characters (RFC 5321 §4.5.3.1.2)."""

_PATH = re.compile(
    r"""
    (?P<keyword>FROM|TO):\ *<
    (?:@[^\s<>":]+:)?       # a source route is read and ignored (RFC 5321 Appendix C)
    (?P<address>(?:[^\s<>"]|"(?:[^"\\]|\\.)*")*)
    >(?P<parameters>(?:\ .*)?)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PARAMETER = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]*)(?:=(?P<value>[!-<>-~]+))?", re.IGNORECASE)
_MAIL_PARAMETERS = {
    "SIZE": re.compile(r"[0-9]{1,20}"),  # RFC 1870 §3
    "BODY": re.compile(r"7BIT|8BITMIME", re.IGNORECASE),  # RFC 6152 §2
    "SMTPUTF8": re.compile(r""),  # RFC 6531 §3.4: takes no value
}
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # invalid UTF-8 arrives as lone surrogates


@dataclass(frozen=True, slots=True)
class Refused:
    """The argument cannot be used."""

    why: str
    """For the log."""
    reply: str


def read_sender(argument: str | None, max_message: int, free: int) -> str | Refused:
    """Read the argument of MAIL; "" is the null sender; total.

    A message that is declared larger than `max_message` bytes is refused for good, one larger than
    the `free` ones for now.
    """
    path = _PATH.fullmatch(argument or "")
    if path is None or path["keyword"].upper() != "FROM":
        return Refused("syntax", replies.MAIL_SYNTAX)
    if not _is_fit(path["address"]):
        return Refused("malformed-address", replies.BAD_SENDER)
    return _refuse_parameters(path["parameters"], max_message, free) or path["address"]


def read_recipient(argument: str | None) -> str | Refused:
    """Read the argument of RCPT; we offer no extension that adds parameters to it. Total."""
    path = _PATH.fullmatch(argument or "")
    if path is None or path["keyword"].upper() != "TO":
        return Refused("syntax", replies.RCPT_SYNTAX)
    if not path["address"] or not _is_fit(path["address"]):
        return Refused("malformed-address", replies.BAD_RECIPIENT)
    if path["parameters"].strip():
        return Refused("parameter", replies.UNKNOWN_PARAMETER)
    return path["address"]


def _is_fit(address: str) -> bool:
    """Tell whether an address can be stored and shown: its lengths, no control characters."""
    local, domain = split_address(address)
    return (
        len(local) <= MAX_LOCAL_PART
        and len(domain) <= MAX_DOMAIN
        and _UNFIT.search(address) is None
    )


def _refuse_parameters(text: str, max_message: int, free: int) -> Refused | None:
    for word in text.split():
        parameter = _PARAMETER.fullmatch(word)
        if parameter is None:
            return Refused("parameter", replies.BAD_PARAMETER)
        name, value = parameter["name"].upper(), parameter["value"] or ""
        shape = _MAIL_PARAMETERS.get(name)
        if shape is None:
            return Refused("parameter", replies.UNKNOWN_PARAMETER)
        if not shape.fullmatch(value):
            return Refused("parameter", replies.BAD_PARAMETER)
        if name == "SIZE" and int(value) > min(max_message, free):
            return _refuse_size(int(value), max_message)
    return None


def _refuse_size(size: int, max_message: int) -> Refused:
    if size > max_message:
        return Refused("too-large", replies.TOO_LARGE)
    return Refused("memory", replies.NO_MEMORY)
