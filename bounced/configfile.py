"""How a TOML file and the environment become the settings, and what is said of a mistake there.

Unknown sections, keys and variables are errors that name the nearest known one.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bounced.config import Settings, known_keys
from bounced.model import ConfigError

DEFAULT_PATH = Path("/etc/bounced/config.toml")
ENV_PREFIX = "BOUNCED__"
_ALIKE = 0.7
"""How alike a key must be to be meant, from 0 to 1."""


def find_config_file(option: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: `--config`, `$BOUNCED_CONFIG`, the default place, or none.

    Raises ConfigError when a file is named but missing.
    """
    named = option or (Path(environ["BOUNCED_CONFIG"]) if environ.get("BOUNCED_CONFIG") else None)
    if named is None:
        return DEFAULT_PATH if DEFAULT_PATH.is_file() else None
    if not named.is_file():
        raise ConfigError(f"{named}: no such configuration file")
    return named


def load_settings(path: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read file and environment into Settings; raises ConfigError naming file, key and mend."""
    tree = _read_toml(path) if path else {}
    origins = {
        (section, key): str(path)
        for section, table in tree.items()
        if isinstance(table, dict)
        for key in table
    }
    for section, key, text, variable in _read_environment(environ):
        table = tree.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = _parse_override(section, key, text, variable)
            origins[section, key] = variable
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        lines = [_describe(detail, origins, path) for detail in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _read_environment(environ: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Return (section, key, text, variable) of every override; raises ConfigError."""
    known = known_keys()
    names = [f"{ENV_PREFIX}{s}__{k}".upper() for s, keys in known.items() for k in keys]
    found = []
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENV_PREFIX):
            continue
        section, _, key = variable.removeprefix(ENV_PREFIX).lower().partition("__")
        if variable != variable.upper() or key not in known.get(section, []):
            raise ConfigError(
                f"environment: {variable} is unknown{_nearest(variable.upper(), names)}"
            )
        found.append((section, key, text, variable))
    return found


def _parse_override(section: str, key: str, text: str, variable: str) -> object:
    """Read a list as JSON, everything else as the text it is."""
    default = getattr(getattr(Settings(), section), key)
    if not isinstance(default, tuple):
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f'{variable}: not valid JSON: {error}; write ["a", "b"]') from None
    if not isinstance(value, list):
        raise ConfigError(f'{variable}: a list is needed: write ["a", "b"]')
    return value


def _describe(
    detail: ErrorDetails, origins: Mapping[tuple[str, str], str], path: Path | None
) -> str:
    """Turn one validation error into `file: section.key: what is wrong; mend`."""
    parts = [str(part) for part in detail["loc"]]
    section, key = parts[0] if parts else "", parts[1] if len(parts) > 1 else ""
    source = origins.get((section, key)) or str(path or "environment")
    name = ".".join(part for part in parts[:2] if part)
    if len(parts) > 2:  # noqa: PLR2004 - section, key, then the place in a list
        name += f"[{parts[2]}]" if parts[2].isdigit() else ""
    if detail["type"] == "extra_forbidden":
        if not key:
            return f"{source}: {name}: unknown section{_nearest(section, list(known_keys()))}"
        return f"{source}: {name}: unknown key{_nearest_key(section, key)}"
    if detail["type"] == "model_type":
        return f"{source}: {name}: this is a section: write [{name}], and its keys below"
    message = _say_fault(detail, section, key)
    return f"{source}: {name}: {message}" if name else f"{source}: {message}"


def _say_fault(detail: ErrorDetails, section: str, key: str) -> str:
    """Return what the value must be; our own checks say it themselves."""
    match detail["type"]:
        case "greater_than_equal" | "less_than_equal":
            needed = _describe_range(section, key)
        case "greater_than":
            needed = f"more than {detail['ctx']['gt']}"
        case "literal_error" | "enum":
            needed = detail["ctx"]["expected"]
        case "int_type" | "int_parsing" | "int_from_float":
            needed = "a whole number"
        case "bool_type" | "bool_parsing":
            needed = "true or false"
        case "string_type":
            needed = "a text in quotes"
        case "tuple_type":
            needed = f'a list: write ["{detail["input"]}"]'
        case _:
            return detail["msg"].removeprefix("Value error, ")
    return f"must be {needed}"


def _describe_range(section: str, key: str) -> str:
    """Return which numbers the key takes: `from 1 to 3`, `1 or more`."""
    field = type(getattr(Settings(), section)).model_fields[key]
    least = next(each.ge for each in field.metadata if hasattr(each, "ge"))
    most = next((each.le for each in field.metadata if hasattr(each, "le")), None)
    return f"{least} or more" if most is None else f"from {least} to {most}"


def _nearest_key(section: str, key: str) -> str:
    """Suggest a key of this section, or the same key of another."""
    known = known_keys()
    here = difflib.get_close_matches(key, known.get(section, []), n=1, cutoff=_ALIKE)
    there = {name: f"{other}.{name}" for other, names in known.items() for name in names}
    close = difflib.get_close_matches(key, there, n=1, cutoff=_ALIKE)
    if close and not here:
        return f"; did you mean {there[close[0]]}?"
    return _nearest(key, known.get(section, []))


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"; did you mean {close[0]}?" if close else ""
