"""Who runs a domain's DNS, and where in his menus its owner changes records."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

from bounced.model import domain_key
from bounced.suffixes import is_organizational_domain


@dataclass(frozen=True, slots=True)
class Hoster:
    """One entry of hosters.toml."""

    key: str
    name: str
    name_servers: tuple[str, ...]
    """Patterns of shell form, lower case, without a dot at the end."""
    ways: tuple[tuple[str, str], ...]
    """Language → way through his menus; empty: not known for sure."""
    short_names: bool
    """His form takes a name without the domain at its end."""


@cache  # the table comes with the package
def read_hosters() -> tuple[Hoster, ...]:
    """Read the table that comes with the package."""
    text = resources.files("bounced.words").joinpath("hosters.toml").read_text("utf-8")
    return tuple(
        Hoster(
            key=each["key"],
            name=each["name"],
            name_servers=tuple(each["name_servers"]),
            ways=tuple(
                (language, each[language]) for language in ("de", "en") if language in each
            ),
            short_names=each.get("short_names", False),
        )
        for each in tomllib.loads(text)["hosters"]
    )


def find_hoster_key(name_servers: Iterable[str]) -> str | None:
    """Return the key of the hoster whose servers all of these are; total.

    A zone with another's server beside them may be run by that other.
    """
    found = {_find_key(domain_key(server)) for server in name_servers}
    return found.pop() if len(found) == 1 else None


def find_hoster(key: str | None) -> Hoster | None:
    """Return the hoster of this key; total."""
    return next((each for each in read_hosters() if each.key == key), None)


def find_hoster_text(key: str | None, language: str) -> str | None:
    """Return the hoster and the way through his menus as one line; total.

    `IONOS: „Domains & SSL“ > Zahnrad neben der Domain > „DNS“`; the name alone where the way is
    not known; a language without words gets English.
    """
    hoster = find_hoster(key)
    if hoster is None:
        return None
    ways = dict(hoster.ways)
    way = ways.get(language) or ways.get("en")
    return f"{hoster.name}: {way}" if way else hoster.name


def shorten_name(name: str, domain: str) -> str | None:
    """Return the name as a form takes it that adds the domain itself, `@` for the domain; total.

    None: the name is not below the domain, or the domain lies below another, in whose zone its
    records may be kept.
    """
    if not is_organizational_domain(domain):
        return None
    if name == domain:
        return "@"
    return name.removesuffix(f".{domain}") if name.endswith(f".{domain}") else None


def _find_key(server: str) -> str | None:
    return next(
        (
            hoster.key
            for hoster in read_hosters()
            for pattern in hoster.name_servers
            if fnmatchcase(server, pattern)
        ),
        None,
    )
