"""The sentences of the notices: one catalogue a language, `templates/<language>.toml`.

A phrase is a text, or a table of texts by plural form (CLDR: one, few, many, other, ...). The
English catalogue is the measure: every other has the same phrases and no other placeholders. A
site's file of the same name is laid over ours, phrase by phrase.
"""

from __future__ import annotations

import difflib
import string
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from importlib import resources
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime
from babel.numbers import format_decimal

from bounced.model import ConfigError

MEASURE = "en"
PLURAL_FORMS = frozenset({"zero", "one", "two", "few", "many", "other"})

Forms = Mapping[str, str]
Phrases = dict[str, Forms]


@dataclass(frozen=True, slots=True)
class Words:
    """One language: its sentences, dates, numbers and plurals."""

    language: str
    locale: Locale
    phrases: Mapping[str, Forms]

    def say(self, key: str, /, count: int = 1, **values: object) -> str:
        """Return the phrase in the plural form for `count`, its placeholders filled in.

        Raises KeyError for a phrase or value that does not exist, which only a template can ask.
        """
        forms = self.phrases[key]
        form = forms.get(self.locale.plural_form(count), forms["other"])
        return form.format(count=format_decimal(count, locale=self.locale), **values)

    def say_time(self, at: datetime, zone: tzinfo) -> str:
        """Return the moment as it is written in this language, in the given time zone."""
        pattern = self.say("notice.date_time")
        return format_datetime(at.astimezone(zone), pattern, locale=self.locale)


def load_words(directory: Path | None) -> dict[str, Words]:
    """Read every language, the site's folder laid over ours.

    Raises ConfigError naming file and phrase.
    """
    ours = _read_ours()
    measure = ours[MEASURE]
    site = _read_site(directory) if directory else {}
    words = {}
    for language in sorted(ours.keys() | site.keys()):
        path, phrases = site.get(language, (f"{language}.toml", {}))
        locale = _find_locale(path, language)
        complete = ours.get(language, {}) | phrases
        _check_known(path, complete, measure)
        _check_complete(path, complete, measure)
        words[language] = Words(language, locale, complete)
        _check_pattern(path, words[language])
    return words


def choose_language(wanted: str | None, words: Mapping[str, Words], default: str) -> Words:
    """Return the first wanted language that we speak, else the default.

    `wanted` is the text of a Content-Language field (RFC 3282 §2), such as `de-CH, en`; total.
    """
    for tag in (wanted or "").split(","):
        language = tag.strip().partition("-")[0].lower()
        if language in words:
            return words[language]
    return words[default]


def _read_ours() -> dict[str, Phrases]:
    folder = resources.files("bounced.notifier") / "templates"
    return {
        file.name.removesuffix(".toml"): _read(file.name, file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }


def _read_site(directory: Path) -> dict[str, tuple[str, Phrases]]:
    found = {}
    for path in sorted(directory.glob("*.toml")):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        found[path.stem] = (str(path), _read(str(path), text))
    return found


def _read(path: str, text: str) -> Phrases:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    return dict(_flatten(path, "", tree))


def _flatten(path: str, prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, Forms]]:
    """Yield every phrase by its dotted key; a table of plural forms is one phrase."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, str):
            yield key, {"other": value}
        elif not isinstance(value, dict):
            raise ConfigError(f"{path}: {key}: a text is needed, or a table of plural forms")
        elif value.keys() & PLURAL_FORMS:
            yield key, _check_forms(path, key, value)
        else:
            yield from _flatten(path, f"{key}.", value)


def _check_forms(path: str, key: str, forms: Mapping[str, Any]) -> Forms:
    if "other" not in forms:
        raise ConfigError(f"{path}: {key}: the plural form 'other' is missing")
    for form, text in forms.items():
        if form not in PLURAL_FORMS or not isinstance(text, str):
            raise ConfigError(
                f"{path}: {key}.{form}: a plural form is one of "
                f"{', '.join(sorted(PLURAL_FORMS))}, and a text"
            )
    return forms


def _check_known(path: str, phrases: Phrases, measure: Phrases) -> None:
    for key, forms in phrases.items():
        if key not in measure:
            close = difflib.get_close_matches(key, measure, n=1, cutoff=0.0)
            raise ConfigError(f"{path}: {key}: unknown phrase; did you mean {close[0]}?")
        allowed = _find_placeholders(path, key, measure[key]) | {"count"}
        for name in sorted(_find_placeholders(path, key, forms) - allowed):
            known = ", ".join(f"{{{known}}}" for known in sorted(allowed))
            raise ConfigError(f"{path}: {key}: unknown placeholder {{{name}}}; there is {known}")


def _check_complete(path: str, phrases: Phrases, measure: Phrases) -> None:
    missing = [key for key in measure if key not in phrases]
    if missing:
        raise ConfigError(f"{path}: {len(missing)} phrases are missing, the first is {missing[0]}")


def _find_placeholders(path: str, key: str, forms: Forms) -> set[str]:
    """Return the names in braces of all forms; raises ConfigError for a lone brace."""
    try:
        fields = [field for text in forms.values() for field in string.Formatter().parse(text)]
    except ValueError as error:
        raise ConfigError(f"{path}: {key}: {error}; write {{{{ for a brace") from None
    return {
        f"{name}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}"
        for _, name, spec, conversion in fields
        if name is not None
    }


def _find_locale(path: str, language: str) -> Locale:
    try:
        return Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        raise ConfigError(f"{path}: {language!r} is no language known to Babel") from None


def _check_pattern(path: str, words: Words) -> None:
    try:
        words.say_time(datetime(2026, 11, 20, tzinfo=UTC), UTC)
    except (ValueError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path}: notice.date_time: not a date pattern: {error}") from None
