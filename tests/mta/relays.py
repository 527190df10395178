"""Four real relays that take mail from anybody, each a hop of one chain that ends at the daemon."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.mta.contentfilter import ContentFilter
from tests.mta.daemon import BOUNCE_DOMAIN, CHAIN_DOMAIN
from tests.mta.exim import Exim
from tests.mta.network import LOOPBACK, free_port, has_ipv6
from tests.mta.postfix import Postfix
from tests.mta.unpacked import OPENSMTPD, SENDMAIL, Unpacked

ALIAS = "info@relay.example.test"
"""An address whose mail Postfix sends on, outside."""
LIFETIME_S = 120

_EVERYBODY = "127.0.0.0/8"
_EXIM_ROUTER = f"""\
bounces:
  driver = manualroute
  domains = {BOUNCE_DOMAIN} : {CHAIN_DOMAIN}
  route_list = * BOUNCED_HOST
  self = send
  transport = bounced_smtp
"""
_POSTFIX_SERVICES = """\
{filtered}    inet  n  -  n  -  -  smtpd -o content_filter=smtp:[{address}]:{filter}
{back}    inet  n  -  n  -  -  smtpd
{piped}    inet  n  -  n  -  -  smtpd -o content_filter=script:dummy
script    unix  -  n  n  -  10  pipe flags=Rq user=nobody argv={script} -f ${{sender}} -- ${{recipient}}
"""
_IPV6_SERVICE = """\
[::1]:{ipv6}    inet  n  -  n  -  -  smtpd
"""
# As in Postfix' FILTER_README.
_SCRIPT = '#!/bin/sh\nexec /usr/sbin/sendmail -C {config} -G -i "$@"\n'


@dataclass(frozen=True)
class Entrance:
    """A port of a relay, and what happens behind it."""

    port: int
    stamps: int = 1
    """Received fields that our hosts put on a message from here on its straight way to us."""
    chain_stamps: int = 1
    """The same for a message that goes through the chain."""
    submission: Callable[..., list[str]] | None = None
    """Makes the command line of its sendmail(1)."""


@contextlib.contextmanager
def run_relays(
    resolver: str, mx_port: int, daemon_port: int, alias_target: str
) -> Iterator[Mapping[str, Entrance]]:
    """Start Sendmail → OpenSMTPD → content filter → Postfix → Exim → daemon; yields by name."""
    with contextlib.ExitStack() as stack:
        exim = stack.enter_context(_make_exim(resolver, mx_port, daemon_port).run())
        ports = {name: free_port() for name in ("filtered", "back", "piped", "ipv6")}
        ports["filter"] = stack.enter_context(ContentFilter(ports["back"]).run())
        server = _make_postfix(resolver, mx_port, daemon_port, exim.port, ports, alias_target)
        postfix = stack.enter_context(server.run())
        _write_script(postfix.folder)

        def unpacked(kind: Unpacked, next_port: int) -> Entrance:
            running = kind.run(mx_port, daemon_port, next_port, LIFETIME_S)
            started = stack.enter_context(running)
            assert started.port is not None
            return Entrance(started.port, submission=started.submission)

        opensmtpd = unpacked(OPENSMTPD, ports["filtered"])
        sendmail = unpacked(SENDMAIL, opensmtpd.port)
        yield {
            "exim": Entrance(exim.port, submission=exim.submission),
            "postfix": Entrance(postfix.port, 1, 2, postfix.submission),
            "filtered": Entrance(ports["filtered"], 3, 4),
            "piped": Entrance(ports["piped"], 2, 3),
            **({"ipv6": Entrance(ports["ipv6"], 1, 2)} if has_ipv6() else {}),
            "opensmtpd": Entrance(opensmtpd.port, 1, 5, opensmtpd.submission),
            "sendmail": Entrance(sendmail.port, 1, 6, sendmail.submission),
        }


def _make_exim(resolver: str, mx_port: int, daemon_port: int) -> Exim:
    settings = {
        "clients": _EVERYBODY,
        "acl": "",
        "router": _EXIM_ROUTER,
        "transport": "bounced_smtp:\n  driver = smtp\n",
    }
    return Exim(resolver, mx_port, BOUNCE_DOMAIN, daemon_port, settings)


def _make_postfix(  # noqa: PLR0917 - the ports around it
    resolver: str,
    mx_port: int,
    daemon_port: int,
    next_port: int,
    ports: Mapping[str, int],
    alias_target: str,
) -> Postfix:
    routes = (
        f"{{{BOUNCE_DOMAIN}=smtp:[{LOOPBACK}]:{daemon_port}}}, "
        f"{{{CHAIN_DOMAIN}=smtp:[{LOOPBACK}]:{next_port}}}"
    )
    local_part, _, domain = ALIAS.partition("@")
    settings = {
        "transport_maps": f"inline:{{ {routes} }}",
        "mynetworks": f"{_EVERYBODY} [::1]/128",
        "inet_protocols": "all" if has_ipv6() else "ipv4",
        "inet_interfaces": f"{LOOPBACK}, [::1]" if has_ipv6() else LOOPBACK,
        "mydestination": domain,
        "alias_maps": "texthash:${config_directory}/aliases",
        # What is larger comes back as its header alone.
        "bounce_size_limit": "10000",
    }
    listeners = {
        name: f"{LOOPBACK}:{port}" if name in {"filtered", "back", "piped"} else port
        for name, port in ports.items()
    }
    services = _POSTFIX_SERVICES + (_IPV6_SERVICE if has_ipv6() else "")
    return Postfix(
        resolver,
        mx_port,
        settings,
        {"aliases": f"{local_part} {alias_target}\n"},
        lambda folder: services.format(address=LOOPBACK, script=folder / "script", **listeners),
    )


def _write_script(folder: Path) -> None:
    script = folder / "script"
    script.write_text(_SCRIPT.format(config=folder / "config"))
    script.chmod(0o755)
