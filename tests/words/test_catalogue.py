import string
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bounced.model import REASONS, Category, ConfigError
from bounced.words.catalogue import Words, choose_language, load_words

WORDS = load_words(None)
NOON = datetime(2026, 11, 20, 13, 3, tzinfo=UTC)


def find_placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_german_and_english_are_spoken() -> None:
    assert sorted(WORDS) == ["de", "en"]


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_category_and_reason_has_its_words(language: str) -> None:
    expected = {f"category.{category.value}" for category in Category}
    for category, reasons in REASONS.items():
        # What to do about a sender domain is said by its diagnosis.
        action = [] if category is Category.AUTH_FAILURE else ["action"]
        for reason in reasons:
            for part in ("heading", "explanation", *action):
                expected.add(f"reason.{reason.value}.{part}")
    spoken = {key for key in WORDS[language].phrases if key.startswith(("category.", "reason."))}
    assert spoken == expected


def test_both_languages_have_the_same_phrases_with_the_same_placeholders() -> None:
    german, english = (
        {
            key: find_placeholders("".join(forms)) - {"count"}
            for key, forms in WORDS[language].phrases.items()
            if not key.endswith((".explanation", ".action"))
        }
        for language in ("de", "en")
    )
    assert german == english


@pytest.mark.parametrize("language", ["de", "en"])
def test_sentences_end_and_are_set_with_care(language: str) -> None:
    for key, forms in WORDS[language].phrases.items():
        for text in forms:
            assert text == text.strip()
            assert "  " not in text
            assert '"' not in text
            if key.endswith((".explanation", ".action")):
                assert text.endswith("."), key
            if key.endswith(".heading"):
                assert not text.endswith("."), key


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_application_never_begins_a_sentence(language: str) -> None:
    for forms in WORDS[language].phrases.values():
        for text in forms:
            assert not text.startswith("{application}")
            assert ". {application}" not in text
            assert "? {application}" not in text


@pytest.mark.parametrize(
    ("language", "count", "expected"),
    [
        ("de", 1, "und ein weiterer Empfänger"),
        ("de", 2, "und 2 weitere Empfänger"),
        ("de", 1200, "und 1.200 weitere Empfänger"),
        ("en", 1, "and one more recipient"),
        ("en", 1200, "and 1,200 more recipients"),
    ],
)
def test_numbers_and_plurals_follow_the_language(language: str, count: int, expected: str) -> None:
    assert WORDS[language].say("notice.more_recipients", count=count) == expected


@pytest.mark.parametrize(
    ("language", "zone", "expected"),
    [
        ("de", "Europe/Berlin", "Freitag, 20. November 2026, 14:03 Uhr"),
        ("de", "Asia/Tokyo", "Freitag, 20. November 2026, 22:03 Uhr"),
        ("en", "Europe/London", "Friday, 20 November 2026, 13:03"),
        ("en", "Pacific/Auckland", "Saturday, 21 November 2026, 02:03"),
    ],
)
def test_times_follow_language_and_zone(language: str, zone: str, expected: str) -> None:
    assert WORDS[language].say_time(NOON, ZoneInfo(zone)) == expected


def test_values_in_a_phrase_are_not_read_as_placeholders() -> None:
    said = WORDS["en"].say("subject.common", count=2, title="{count} {x.__class__}")
    assert said == "Not delivered to 2 recipients: {count} {x.__class__}"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, "de"),
        ("", "de"),
        ("en", "en"),
        ("EN-gb", "en"),
        ("de-CH", "de"),
        ("fr, en", "en"),
        (" fr ,\x00", "de"),
    ],
)
def test_the_first_language_that_we_speak_is_taken(wanted: str | None, expected: str) -> None:
    assert choose_language(wanted, WORDS, "de").language == expected


def make_phrase(key: str, text: str) -> str:
    return f'msgid "{key}"\nmsgstr "{text}"\n'


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_site_may_replace_a_single_sentence(tmp_path: Path) -> None:
    write(tmp_path, "de.po", 'msgid "notice.greeting"\nmsgstr "Grüß Gott,"\n')
    words = load_words(tmp_path)
    assert words["de"].say("notice.greeting") == "Grüß Gott,"
    assert words["de"].say("notice.todo") == "Was Sie tun können"
    assert words["en"].say("notice.greeting") == "Hello,"


def test_a_site_may_leave_out_what_is_not_the_matter(tmp_path: Path) -> None:
    phrases = {
        "notice.automatic": 'Von \\"Baudoku\\".',
        "subject.domain": "{domain}",
        "reason.user-unknown.action": "Fragen Sie nach.",
    }
    text = "".join(
        f'msgid "{key}"\nmsgid_plural "{key}"\nmsgstr[0] "{said}"\nmsgstr[1] "{said}"\n'
        if key.startswith("subject.")
        else make_phrase(key, said)
        for key, said in phrases.items()
    )
    write(tmp_path, "de.po", text)
    words = load_words(tmp_path)["de"]
    assert words.say("notice.automatic") == 'Von "Baudoku".'
    assert words.say("subject.domain", domain="bau.example") == "bau.example"


def test_a_further_language_is_one_complete_file(tmp_path: Path) -> None:
    whole = (Path(__file__).parents[2] / "bounced/words/en.po").read_text(encoding="utf-8")
    write(tmp_path, "nl.po", whole.replace('"Hello,"', '"Goedendag,"'))
    words = load_words(tmp_path)
    assert sorted(words) == ["de", "en", "nl"]
    assert words["nl"].say("notice.greeting") == "Goedendag,"
    assert words["nl"].say_time(NOON, UTC) == "vrijdag, 20 november 2026, 13:03"
    assert isinstance(choose_language("nl-BE", words, "de"), Words)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("de.po", "greeting\n", "de.po, line 1: not a gettext catalogue: "),
        ("de.po", 'msgid "notice.greeting"\nmsgstr ""\n', "notice.greeting: a text is needed"),
        (
            "de.po",
            make_phrase("notice.greting", "x"),
            "de.po: notice.greting: unknown phrase; did you mean notice.greeting?",
        ),
        (
            "de.po",
            make_phrase("notice.number", "{nubmer}"),
            "de.po: notice.number: unknown placeholder {nubmer}; there is {count}, {number}, {of}",
        ),
        (
            "de.po",
            make_phrase("notice.number", "{number.real}"),
            "de.po: notice.number: unknown placeholder {number.real}",
        ),
        (
            "de.po",
            make_phrase("notice.number", "{number:>9999}"),
            "de.po: notice.number: unknown placeholder {number:>9999}",
        ),
        ("de.po", make_phrase("notice.number", "a { b"), "de.po: notice.number: "),
        (
            "de.po",
            'msgid "notice.number"\nmsgid_plural "notice.number"\nmsgstr[0] "x"\n',
            "de.po, line 1: notice.number: 2 texts are needed",
        ),
        (
            "de.po",
            make_phrase("notice.date_time", "EEEEEEEEEEE 'x"),
            "de.po: notice.date_time: not a date pattern",
        ),
        (
            "fr.po",
            make_phrase("notice.greeting", "Bonjour,"),
            "phrases are missing, the first is ",
        ),
        (
            "de.po",
            '# mine\nmsgid "notice.greeting\nmsgstr "x"\n',
            "de.po, line 2: not a gettext catalogue: a text stands between two quotes",
        ),
        (
            "de.po",
            'msgid "notice.greeting"\nmsgstr "Guten "Tag""\n',
            "de.po, line 2: not a gettext catalogue: a text stands between two quotes",
        ),
        (
            "de.po",
            make_phrase("notice.suggestion", "Ein Tippfehler?"),
            "de.po: notice.suggestion: the placeholder {address} is missing",
        ),
        ("words.po", "", "words.po: 'words' is no language known to Babel"),
    ],
)
def test_a_sites_mistake_is_named_with_file_and_phrase(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(ConfigError) as caught:
        load_words(tmp_path)
    assert str(caught.value).startswith(str(path))
    assert complaint in str(caught.value)


def test_a_catalogue_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "de.po"
    path.write_bytes("greeting = 'Grüß'".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_words(tmp_path)


def test_a_catalogue_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "de.po").mkdir()
    with pytest.raises(ConfigError, match=r"de\.po: cannot be read"):
        load_words(tmp_path)
