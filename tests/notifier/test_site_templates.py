from pathlib import Path
from typing import NoReturn

import pytest
from jinja2 import Environment, FileSystemLoader

from bounced import words as words_package
from bounced.config import NoticeSettings
from bounced.model import ConfigError
from bounced.notifier.compose import Composer
from bounced.notifier.render import HTML, TEXT, underline, wrap
from tests.notifier.building_site import SETTINGS, SINGLE, make_composer, make_notice


def make_site(directory: Path, settings: NoticeSettings = SETTINGS) -> Composer:
    return Composer(directory, settings, fallback_sender="bounced@bounce.example.com")


def test_our_own_templates_pass_their_check() -> None:
    make_composer().check()


def test_a_sites_template_stands_for_ours_and_the_other_stays(tmp_path: Path) -> None:
    (tmp_path / TEXT).write_text("{{ notice.intro | wrap }}\n{% include 'footer.j2' %}\n")
    (tmp_path / "footer.j2").write_text("Baudoku GmbH\n")
    composer = make_site(tmp_path)
    composer.check()
    mail = composer.compose(make_notice(*SINGLE))
    text, html = (part.get_content() for part in mail.iter_parts())
    assert text == (
        "ein Protokoll, das Sie an max.huber@gmial.com verschickt haben, ist dort\n"
        "nicht angekommen.\nBaudoku GmbH\n"
    )
    assert html == make_composer().compose(make_notice(*SINGLE)).get_body(("html",)).get_content()  # type: ignore[union-attr] # the page is there


def test_a_sites_page_is_escaped_as_ours_is(tmp_path: Path) -> None:
    (tmp_path / HTML).write_text("<p>{{ '<b>' }}</p>")
    mail = make_site(tmp_path).compose(make_notice(*SINGLE))
    assert list(mail.iter_parts())[1].get_content() == "<p>&lt;b&gt;</p>\n"


def test_a_further_language_is_one_file_and_serves_its_authors(tmp_path: Path) -> None:
    words = (Path(words_package.__file__).parent / "en.po").read_text(encoding="utf-8")
    (tmp_path / "nl.po").write_text(words.replace('"Hello,"', '"Goedendag,"'), encoding="utf-8")
    composer = make_site(tmp_path)
    composer.check()
    assert sorted(composer.words) == ["de", "en", "nl"]
    mail = composer.compose(make_notice(*SINGLE, language="nl-BE"))
    text, _ = (part.get_content() for part in mail.iter_parts())
    assert mail["Content-Language"] == "nl"
    assert text.startswith("Goedendag,\n")
    default = SETTINGS.model_copy(update={"language": "nl"})
    assert (
        make_site(tmp_path, default).compose(make_notice(*SINGLE, language="fr"))[
            "Content-Language"
        ]
        == "nl"
    )


def test_a_mistake_in_what_only_links_meet_is_found_without_a_public_url(tmp_path: Path) -> None:
    (tmp_path / TEXT).write_text("{% if notice.settings %}\n{{ oops }}{% endif %}")
    with pytest.raises(ConfigError, match=r"line 2: UndefinedError: 'oops' is undefined"):
        make_site(tmp_path).check()


def test_a_mistake_in_what_only_a_large_notice_meets_is_found(tmp_path: Path) -> None:
    (tmp_path / TEXT).write_text(
        "{% if notice.list_note and notice.marked %}{{ oops }}{% endif %}"
    )
    with pytest.raises(ConfigError, match=r"line 1: UndefinedError: 'oops' is undefined"):
        make_site(tmp_path).check()


@pytest.mark.parametrize("name", [TEXT, HTML])
@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("one\n{% if %}", "line 2: Expected an expression"),
        ("one\n\n{{ 1 | shout }}", "line 3: No filter named 'shout'"),
        ("one\n{{ notice.subjct }}", "line 2: UndefinedError: "),
        ("\n\n{% for case in notice.sections %}\n{{ case.gruops }}\n{% endfor %}", "line 4: "),
        ("{{ say('notice.nothing') }}", "line 1: KeyError: 'notice.nothing'"),
        ("{{ say('notice.number') }}", "line 1: KeyError: 'number'"),
        ("{{ 1 / 0 }}", "line 1: ZeroDivisionError: "),
        ("{{ notice + 1 }}", "line 1: TypeError: "),
        ("{{ 'x' | wrap('y') }}", "line 1: TypeError: "),
        ("{% include 'missing.j2' %}", "line 1: TemplateNotFound: missing.j2"),
        ("{{ say.__globals__ }}", "line 1: SecurityError: "),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "line 1: RecursionError: "),
    ],
)
def test_a_sites_mistake_is_named_with_file_and_line(
    tmp_path: Path, name: str, source: str, complaint: str
) -> None:
    (tmp_path / name).write_text(source)
    with pytest.raises(ConfigError) as caught:
        make_site(tmp_path).check()
    assert str(caught.value).startswith(f"{tmp_path / name}, {complaint}")


def test_a_mistake_that_only_some_notices_meet_is_found_by_the_check(tmp_path: Path) -> None:
    condition = "notice.closing | length > 1 and language == 'en'"
    (tmp_path / TEXT).write_text(f"{{% if {condition} %}}\n{{{{ oops }}}}\n{{% endif %}}")
    with pytest.raises(ConfigError, match=r"line 2: UndefinedError: 'oops' is undefined"):
        make_site(tmp_path).check()


def test_a_syntax_error_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / TEXT).write_text("{% include 'footer.j2' %}")
    (tmp_path / "footer.j2").write_text("\n{{ 1 +")
    with pytest.raises(ConfigError, match=r"footer\.j2, line 2: "):
        make_site(tmp_path).check()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("notices.txt.j2", TEXT), ("notice.text.j2", TEXT), ("notice.htm.j2", HTML)],
)
def test_a_template_whose_name_is_nearly_ours_is_refused(
    tmp_path: Path, name: str, meant: str
) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(ConfigError) as caught:
        make_site(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / name}: no template has this name; did you mean {meant}?"
    )


def test_what_a_template_includes_may_be_named_after_it(tmp_path: Path) -> None:
    (tmp_path / TEXT).write_text("{% include 'notice_' ~ language ~ '.txt.j2' %}\n")
    for language in ("de", "en"):
        (tmp_path / f"notice_{language}.txt.j2").write_text(language)
    make_site(tmp_path).check()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"notices\.templates_directory: .*: no such folder"):
        make_site(tmp_path / "missing")


def test_a_template_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / TEXT).write_bytes("Grüße".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"notice\.txt\.j2: not UTF-8"):
        make_site(tmp_path)


def test_a_template_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_loader: FileSystemLoader, _environment: Environment, name: str) -> NoReturn:
        raise PermissionError(13, "Permission denied", str(tmp_path / name))

    monkeypatch.setattr(FileSystemLoader, "get_source", refuse)
    with pytest.raises(ConfigError, match=r"notice\.txt\.j2: cannot be read: Permission denied"):
        make_site(tmp_path)


def test_words_are_never_broken() -> None:
    url = "https://baudoku.example/" + "x" * 80
    assert wrap(f"Siehe {url} im Netz", 2) == f"  Siehe\n  {url}\n  im Netz"


def test_a_heading_of_two_lines_is_underlined_by_the_longer() -> None:
    assert underline("ab\nabcd", "=") == "ab\nabcd\n===="
