"""The sentences that authors read: one gettext catalogue a language, `<language>.po` beside this.

A phrase is named by its key, such as `notice.greeting`; plurals are gettext's. The English
catalogue is the measure: every other has the same phrases and no other placeholders. A site's
file of the same name is laid over ours, phrase by phrase.
"""

from __future__ import annotations

import difflib
import gettext
import io
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from importlib import resources
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.numbers import format_decimal

from bounced.model import ConfigError

MEASURE = "en"

_TEXT = re.compile(r'(msg\S+ )?"([^"\\]|\\.)*"')
"""A line of a catalogue that holds text: one string, every quote inside it escaped."""
_CHECKED = ("notice.", "subject.", "page.")
_DISPENSABLE = frozenset({"application", "count", "number", "of", "title"})
"""What a site may leave out; without another placeholder nobody knows what is spoken of."""

Forms = tuple[str, ...]
Phrases = Mapping[str, Forms]


@dataclass(frozen=True, slots=True)
class Words:
    """One language: its sentences, dates, numbers and plurals."""

    language: str
    locale: Locale
    phrases: Phrases
    """Every phrase with its plural forms; one form where the number does not matter."""
    translations: gettext.GNUTranslations

    def say(self, key: str, /, count: int = 1, **values: object) -> str:
        """Return the phrase in the plural form for `count`, its placeholders filled in.

        Raises KeyError for a phrase or value that does not exist, which only a template can ask.
        """
        forms = self.phrases[key]
        form = forms[0] if len(forms) == 1 else self.translations.ngettext(key, key, count)
        if "{count" in form:  # formatting a number takes longer than all the rest
            values["count"] = format_decimal(count, locale=self.locale)
        return form.format(**values)

    def say_time(self, at: datetime, zone: tzinfo) -> str:
        """Return the moment as it is written in this language, in the given time zone."""
        pattern = self.say("notice.date_time")
        return format_datetime(at.astimezone(zone), pattern, locale=self.locale)


@dataclass(frozen=True, slots=True)
class _File:
    """One catalogue as it was read."""

    path: str
    catalog: Catalog
    phrases: Phrases


def load_words(directory: Path | None) -> dict[str, Words]:
    """Read every language, the site's folder laid over ours.

    Raises ConfigError naming file and phrase.
    """
    ours = _read_ours()
    measure = ours[MEASURE].phrases
    site = _read_site(directory) if directory else {}
    return {
        language: _combine(language, ours.get(language), site.get(language), measure)
        for language in sorted(ours.keys() | site.keys())
    }


def choose_language(wanted: str | None, words: Mapping[str, Words], default: str) -> Words:
    """Return the first wanted language that we speak, else the default.

    `wanted` is the text of a Content-Language field (RFC 3282 §2), such as `de-CH, en`; total.
    """
    for tag in (wanted or "").split(","):
        language = tag.strip().partition("-")[0].lower()
        if language in words:
            return words[language]
    return words[default]


def _combine(language: str, ours: _File | None, site: _File | None, measure: Phrases) -> Words:
    """Return a language's words: the site's phrases, then ours."""
    files = [file for file in (site, ours) if file is not None]
    path = files[0].path
    phrases = dict(ours.phrases if ours else {}) | dict(site.phrases if site else {})
    _check_known(path, phrases, measure)
    if site:
        _check_kept(path, site.phrases, ours.phrases if ours else measure)
    _check_complete(path, phrases, measure)
    translations, *fallbacks = (_compile(file.catalog) for file in files)
    for fallback in fallbacks:
        translations.add_fallback(fallback)
    words = Words(language, _find_locale(path, language), phrases, translations)
    _check_pattern(path, words)
    return words


def _compile(catalog: Catalog) -> gettext.GNUTranslations:
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _read_ours() -> dict[str, _File]:
    folder = resources.files("bounced.words")
    return {
        file.name.removesuffix(".po"): _read(file.name, file.name, file.read_bytes())
        for file in folder.iterdir()
        if file.name.endswith(".po")
    }


def _read_site(directory: Path) -> dict[str, _File]:
    for path in sorted(directory.glob("*.toml")):
        raise ConfigError(f"{path}: phrases stand in gettext catalogues: name it {path.stem}.po")
    found = {}
    for path in sorted(directory.glob("*.po")):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        found[path.stem] = _read(str(path), path.name, content)
    return found


def _read(path: str, name: str, content: bytes) -> _File:
    locale = _find_locale(path, name.removesuffix(".po"))
    try:
        _check_quotes(path, content.decode("utf-8"))
        # The plural rule is the language's own: a site's few phrases need no header.
        catalog = read_po(io.BytesIO(content), locale=locale, charset="utf-8", abort_invalid=True)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None
    except PoFileError as error:
        raise ConfigError(
            f"{path}, line {error.lineno + 1}: not a gettext catalogue: {error}"
        ) from None
    except ValueError as error:  # a header that is none
        raise ConfigError(f"{path}: not a gettext catalogue: {error}") from None
    return _File(path, catalog, dict(_list_phrases(path, catalog)))


def _check_quotes(path: str, text: str) -> None:
    """Refuse a string that does not end with its line, which Babel would cut instead."""
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith(("msg", '"')) and not _TEXT.fullmatch(stripped):
            raise ConfigError(
                f"{path}, line {number}: not a gettext catalogue: "
                'a text stands between two quotes; write \\" for one inside it'
            )


def _list_phrases(path: str, catalog: Catalog) -> Iterable[tuple[str, Forms]]:
    for message in catalog:
        if not message.id or message.fuzzy:
            continue
        key = message.id if isinstance(message.id, str) else message.id[0]
        forms = (message.string,) if isinstance(message.string, str) else message.string or ()
        wanted = catalog.num_plurals if message.pluralizable else 1
        if not all(forms) or len(forms) != wanted:
            missing = f"{wanted} texts are needed" if wanted > 1 else "a text is needed"
            raise ConfigError(f"{path}, line {message.lineno}: {key}: {missing}")
        yield key, tuple(forms)


def _check_known(path: str, phrases: Phrases, measure: Phrases) -> None:
    for key, forms in phrases.items():
        if key not in measure:
            close = difflib.get_close_matches(key, measure, n=1, cutoff=0.0)
            raise ConfigError(f"{path}: {key}: unknown phrase; did you mean {close[0]}?")
        allowed = _find_placeholders(path, key, measure[key]) | {"count"}
        for name in sorted(_find_placeholders(path, key, forms) - allowed):
            known = ", ".join(f"{{{known}}}" for known in sorted(allowed))
            raise ConfigError(f"{path}: {key}: unknown placeholder {{{name}}}; there is {known}")


def _check_kept(path: str, phrases: Phrases, ours: Phrases) -> None:
    """Refuse a site's phrase that no longer says what it is about."""
    for key, forms in phrases.items():
        if key.startswith(_CHECKED):
            needed = _find_placeholders(path, key, ours[key]) - _DISPENSABLE
            for name in sorted(needed - _find_placeholders(path, key, forms)):
                raise ConfigError(f"{path}: {key}: the placeholder {{{name}}} is missing")


def _check_complete(path: str, phrases: Phrases, measure: Phrases) -> None:
    missing = [key for key in measure if key not in phrases]
    if missing:
        raise ConfigError(f"{path}: {len(missing)} phrases are missing, the first is {missing[0]}")


def _find_placeholders(path: str, key: str, forms: Forms) -> set[str]:
    """Return the names in braces of all forms; raises ConfigError for a lone brace."""
    try:
        fields = [field for text in forms for field in string.Formatter().parse(text)]
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
