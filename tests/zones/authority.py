"""Zones as files of NSD: the root, the top-level domains and ours, delegated as in the real world.

RFC 1035 §5 (zone files), RFC 1034 §4.2 (delegation).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

AUTHORITY = "127.0.0.2"
"""Serves every zone."""
STRANGER = "127.0.0.3"
"""Serves none of them: a delegation to it is lame."""
NOBODY = "127.0.0.4"
"""Where nothing listens."""
SILENCE = "127.0.0.5"
"""Takes every question and answers none."""
RESOLVER = "127.0.0.53"

_SOA = "SOA ns. hostmaster. 1 3600 600 86400 60"
_TTL_S = 60
_SERVER = """\
server:
  ip-address: {address}
  port: 53
  username: ""
  zonesdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  xfrdfile: ""
  xfrdir: "{folder}"
  pidfile: ""
  database: ""
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""
_RESOLVER = """\
server:
  interface: {address}
  access-control: 127.0.0.0/8 allow
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  root-hints: "{folder}/hints"
  do-not-query-localhost: no
  do-ip6: no
  infra-host-ttl: 1
  {open}
remote-control:
  control-enable: no
"""
_CLOSED_BY_DEFAULT = ("test", "2.0.192.in-addr.arpa", "100.51.198.in-addr.arpa")
"""Zones that Unbound denies unless told otherwise (RFC 6761 §6.2, RFC 6303 §4.3)."""


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone with the delegation that leads to it."""

    origin: str
    records: tuple[str, ...] = ()
    """Lines of a zone file; names without a final dot lie below the origin."""
    nameservers: tuple[str, ...] = ()
    """Names that the parent gives, each with a final dot; empty: one below the origin, with glue."""
    address: str = AUTHORITY
    """Where the glue of that one leads."""
    absent: bool = False
    """Delegated, and not served by anybody."""


def write_zones(folder: Path, zones: Sequence[Zone]) -> None:
    """Write the zones with all that leads to them, and the configuration of both servers."""
    served = {zone.origin: _write_apex(zone) for zone in zones if not zone.absent}
    for zone in zones:
        parent = zone.origin.partition(".")[2]
        if parent not in served:
            served[parent] = _write_apex(Zone(parent))
        served[parent] += _write_delegation(zone)
    tops = sorted(origin for origin in served if "." not in origin and origin)
    served[""] = _write_apex(Zone("")) + "".join(_write_delegation(Zone(top)) for top in tops)
    served[""] += _write_reverse()
    config = _SERVER.format(address=AUTHORITY, folder=folder)
    for number, (origin, text) in enumerate(served.items()):
        (folder / f"{number}.zone").write_text(text, "ascii")
        config += f'zone:\n  name: "{origin}."\n  zonefile: "{number}.zone"\n'
    (folder / "authority.conf").write_text(config)
    stranger = _SERVER.format(address=STRANGER, folder=folder)
    stranger = stranger.replace("zone.list", "stranger.list")
    (folder / "elsewhere.zone").write_text(_write_apex(Zone("elsewhere")))
    stranger += 'zone:\n  name: "elsewhere."\n  zonefile: "elsewhere.zone"\n'
    (folder / "stranger.conf").write_text(stranger)
    (folder / "hints").write_text(f". 3600000 NS ns.\nns. 3600000 A {AUTHORITY}\n")
    opened = "\n  ".join(f'local-zone: "{zone}." nodefault' for zone in _CLOSED_BY_DEFAULT)
    resolver = _RESOLVER.format(address=RESOLVER, folder=folder, open=opened)
    (folder / "resolver.conf").write_text(resolver)


def replace_records(zone: Zone, name: str, rdtype: str, value: str, *, spf: bool) -> Zone:
    """Return the zone as its owner makes it who follows the advice.

    Beside a CNAME nothing else may stand (RFC 1034 §3.6.2); with `spf`, records of SPF go.
    """
    going = {"TXT"} if spf else {"TXT", "CNAME", "A"}
    kept = tuple(line for line in zone.records if not _goes(zone, line, name, going, spf=spf))
    return Zone(
        zone.origin,
        (*kept, f"{name}. {rdtype} {value}"),
        zone.nameservers,
        zone.address,
        zone.absent,
    )


def _goes(zone: Zone, line: str, name: str, going: set[str], *, spf: bool) -> bool:
    owner, rdtype, rdata = line.split(None, 2)
    if _qualify(owner, zone.origin) != name or rdtype not in going:
        return False
    return not spf or "v=spf1" in rdata.replace('" "', "").lower()


def _qualify(owner: str, origin: str) -> str:
    if owner == "@":
        return origin
    return owner.rstrip(".") if owner.endswith(".") else f"{owner}.{origin}"


def _write_apex(zone: Zone) -> str:
    top = f"{zone.origin}." if zone.origin else "."
    own = f"ns.{zone.origin}." if zone.origin else "ns."
    lines = [f"$ORIGIN {top}", f"$TTL {_TTL_S}", f"@ {_SOA}"]
    lines += [f"@ NS {name}" for name in zone.nameservers or (own,)]
    if not zone.nameservers:
        lines.append(f"{own} A {zone.address}")
    return "\n".join([*lines, *zone.records, ""])


def _write_delegation(zone: Zone) -> str:
    if zone.nameservers:
        return _join(f"{zone.origin}. NS {name}" for name in zone.nameservers)
    own = f"ns.{zone.origin}."
    return _join((f"{zone.origin}. NS {own}", f"{own} A {zone.address}"))


def _write_reverse() -> str:
    """Name one address in reverse, for `ptr` (RFC 7208 §5.5)."""
    return "10.2.0.192.in-addr.arpa. PTR out1.sender.test.\n"


def _join(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
