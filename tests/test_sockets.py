from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

from bounced.sockets import name_address


def test_a_socket_is_named_as_settings_write_it(tmp_path: Path) -> None:
    places: list[tuple[socket.AddressFamily, Any]] = [
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_INET6, ("::1", 0)),
        (socket.AF_UNIX, f"{tmp_path}/lmtp"),
        (socket.AF_UNIX, f"\0bounced-{os.getpid()}"),
    ]
    names = []
    for family, place in places:
        with socket.socket(family) as sock:
            sock.bind(place)
            names.append(re.sub(r":\d+$", ":PORT", name_address(sock)))
    assert names == [
        "127.0.0.1:PORT",
        "[::1]:PORT",
        f"unix:{tmp_path}/lmtp",
        f"unix:@bounced-{os.getpid()}",
    ]
