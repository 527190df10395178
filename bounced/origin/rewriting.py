"""What relays put around a local part on its way: BATV and SRS, taken off again.

Sources: draft-levine-smtp-batv; Meng Weng Wong and Shevek, "The Sender Rewriting Scheme" (the
form that libsrs2, postsrsd and Exim write).
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Actually, some senders put the tag behind the address (seen: mavetju.org, 2008-05-22), and some
# tags have nine hex digits instead of ten (seen: Cisco's appliances).
_BATV_TAG = r"[0-9a-f]{9,10}"
_BATV = re.compile(
    rf"prvs=(?:{_BATV_TAG}=(?P<after>.+)|(?P<before>.+)={_BATV_TAG})", re.ASCII | re.IGNORECASE
)
# `SRS0=hash=time=domain=local part`; the second forwarder keeps what stands behind `SRS0` and
# writes `SRS1=hash=first forwarder=` before it. The first separator may be `=`, `-` or `+`.
_SRS = re.compile(
    r"(?:SRS1[=+-][^=]+=[^=]+=|SRS0)[=+-][^=]+=[^=]+=(?P<domain>[^=]+)=(?P<local_part>.+)",
    re.ASCII | re.IGNORECASE,
)


class Rewritten(NamedTuple):
    """The address that a forwarder replaced by its own."""

    local_part: str
    domain: str


def drop_batv(local_part: str) -> str:
    """Return the local part without the tag that BATV put around it; total."""
    match = _BATV.fullmatch(local_part)
    return (match["after"] or match["before"]) if match else local_part


def read_srs(local_part: str) -> Rewritten | None:
    """Read the address inside a rewritten one; total.

    The hash is the forwarder's secret and stays unchecked: what is inside must prove itself.
    """
    match = _SRS.fullmatch(local_part)
    return Rewritten(match["local_part"], match["domain"]) if match else None
