"""Renders the templates, a site's before ours, in a sandbox; finds the line of a fault."""

from __future__ import annotations

import difflib
import textwrap
import traceback
from pathlib import Path

from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateSyntaxError,
    select_autoescape,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bounced.model import ConfigError
from bounced.notifier.view import NoticeView
from bounced.words.catalogue import Words

TEXT = "notice.txt.j2"
HTML = "notice.html.j2"
WIDTH = 72
"""Columns of the text part, so that a quoted copy stays within RFC 5322's 78."""

_ALIKE = 0.8
"""How alike a file's name must be to one of ours to be a slip, from 0 to 1."""
NO_BREAK_SPACE = "\u00a0"

_FAULTS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a site's template can raise; UndefinedError and SecurityError are TemplateErrors."""


class Renderer:
    """The two templates, read once."""

    def __init__(self, directory: Path | None) -> None:
        """Read the templates; raises ConfigError naming file and line of a syntax error."""
        ours = PackageLoader("bounced.notifier", "templates")
        site = [FileSystemLoader(directory)] if directory else []
        if directory:
            _refuse_slips(directory)
        self._environment = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([*site, ours]),
            autoescape=select_autoescape(["html.j2"], default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters["keep_together"] = keep_together
        self._environment.filters["wrap"] = wrap
        self._environment.filters["underline"] = underline
        self._templates = {name: self._read(name) for name in (TEXT, HTML)}

    def render(self, name: str, view: NoticeView, words: Words) -> str:
        """Return the part; raises ConfigError naming file and line of a site's mistake."""
        template = self._templates[name]
        try:
            return template.render(notice=view, say=words.say, language=words.language)
        except TemplateSyntaxError as error:  # in a file that the template includes
            raise _describe_syntax(error) from None
        except _FAULTS as error:
            line = _find_line(error, template)
            raise ConfigError(
                f"{template.filename}, line {line}: {type(error).__name__}: {error}"
            ) from None

    def _read(self, name: str) -> Template:
        try:
            return self._environment.get_template(name)
        except TemplateSyntaxError as error:
            raise _describe_syntax(error) from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{name}: not UTF-8: {error.reason} at byte {error.start}") from None
        except OSError as error:
            raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from None


def keep_together(text: str) -> str:
    """Return the text with no-break spaces, so that it stands on one line."""
    return text.replace(" ", NO_BREAK_SPACE)


def wrap(text: str, indent: int = 0, hang: int = 0) -> str:
    """Break the text into lines of WIDTH columns, never inside a word, an address or a URL.

    Lines after the first stand `hang` columns further in.
    A no-break space does its work and becomes a plain one, which every mail program can show.
    """
    margin = " " * indent
    if len(margin) + len(text) <= WIDTH and text.isprintable():
        return f"{margin}{text}".rstrip().replace(NO_BREAK_SPACE, " ")
    filled = textwrap.fill(
        text,
        WIDTH,
        initial_indent=margin,
        subsequent_indent=margin + " " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(NO_BREAK_SPACE, " ")


def underline(text: str, mark: str) -> str:
    """Return the text with a line of marks below, as long as its longest line."""
    return f"{text}\n{mark * max(len(line) for line in text.split(chr(10)))}"


def _refuse_slips(directory: Path) -> None:
    """Raise ConfigError for a template that would never be read, its name being nearly ours.

    Where ours is there too, it may be meant to be included.
    """
    for path in sorted(directory.glob("*.j2")):
        meant = difflib.get_close_matches(path.name, (TEXT, HTML), n=1, cutoff=_ALIKE)
        if meant and not (directory / meant[0]).exists():
            raise ConfigError(f"{path}: no template has this name; did you mean {meant[0]}?")


def _describe_syntax(error: TemplateSyntaxError) -> ConfigError:
    return ConfigError(f"{error.filename or error.name}, line {error.lineno}: {error.message}")


def _find_line(error: Exception, template: Template) -> int | None:
    """Return the last line of the template on the way to the error; Jinja maps its frames."""
    frames = traceback.extract_tb(error.__traceback__)
    return next(
        (frame.lineno for frame in reversed(frames) if frame.filename == template.filename), None
    )
