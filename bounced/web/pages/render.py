"""How a page becomes an answer: rendered, and so shut that nothing but itself can run or load.

Content-Security-Policy (CSP Level 3), Referrer-Policy, X-Robots-Tag; the style sheet, and the
script where there is something to copy, stand in the page and are allowed by their hashes, so that
a page is one answer.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from bounced.web.pages.advice import is_endless
from bounced.web.pages.settings import PageSettings
from bounced.web.pages.view import CaseView, SettingsView
from bounced.words.catalogue import Words
from bounced.words.cleaning import clean

CASE = "case.html.j2"
SETTINGS = "settings.html.j2"
APOLOGY = "apology.html.j2"
MAX_NAME_CHARS = 120

_ADDRESS = Markup('<span class="address">{}@<wbr>{}</span>')
_BLANKS = re.compile("( +)")


class Renderer:
    """The templates, the style sheet and the script, read once."""

    def __init__(self) -> None:
        style, script = _read("page.css"), _read("copy.js")
        self._environment = Environment(
            loader=PackageLoader("bounced.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals |= {"style": style, "script": script}
        self._environment.filters["foldable"] = make_foldable
        self._environment.tests["endless"] = is_endless
        self._headers = _make_headers(f"style-src {_digest(style)}")
        self._copying = _make_headers(f"style-src {_digest(style)}; script-src {_digest(script)}")

    def render(
        self,
        view: CaseView | SettingsView,
        words: Words,
        settings: PageSettings,
        *,
        status: int = 200,
    ) -> HTMLResponse:
        """Return the page of a case or of an author's settings."""
        template = CASE if isinstance(view, CaseView) else SETTINGS
        html = self._environment.get_template(template).render(
            page=view,
            say=words.say,
            language=words.language,
            languages=_name_languages(settings.words),
            application=clean(settings.application, MAX_NAME_CHARS),
        )
        headers = self._copying if _can_copy(view) else self._headers
        return HTMLResponse(html, status, headers | {"Content-Language": words.language})

    def apologize(
        self,
        key: str,
        spoken: Sequence[Words],
        *,
        status: int,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """Return the page `page.<key>` in every language: nobody knows who reads it."""
        html = self._environment.get_template(APOLOGY).render(
            key=key, spoken=spoken, language=spoken[0].language
        )
        said = ", ".join(words.language for words in spoken)
        return HTMLResponse(
            html, status, self._headers | {"Content-Language": said} | dict(headers or {})
        )


def make_foldable(text: str) -> Markup:
    """Return the text escaped, each address in it unbroken where it fits, else broken at its @."""
    return Markup().join(
        _ADDRESS.format(*word.rsplit("@", 1)) if "@" in word else word
        for word in _BLANKS.split(text)
    )


def _can_copy(view: CaseView | SettingsView) -> bool:
    return isinstance(view, CaseView) and view.advice is not None and view.advice.can_copy


def _read(name: str) -> str:
    return resources.files("bounced.web").joinpath("templates", name).read_text("utf-8")


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _make_headers(own: str) -> dict[str, str]:
    """Return the headers of a page that holds what `own` allows, and nothing else."""
    return {
        "Content-Security-Policy": f"default-src 'none'; {own}; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
    }


def _name_languages(languages: Mapping[str, Words]) -> list[tuple[str, str]]:
    """Return each language's code and the name that its speakers give it."""
    return [(code, words.locale.get_language_name() or code) for code, words in languages.items()]
