"""How a reply's text is read as words and links, and how evidence is found again in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bounced.parser.folding import _NOISE, MAX_TEXT_CHARS, Alignment, View, fold, read_view


def quote_words(text: str, start: int, end: int) -> str:
    found = Alignment(text).find_words(start, end)
    assert found is not None
    return text[slice(*found)]


VIEWS = [
    ("case and white space", "User\tUNKNOWN \n here", View("user unknown here", "")),
    ("umlauts as two letters", "Empfänger groß", View("empfaenger gross", "")),
    ("accents", "Boîte pleine, rejeté", View("boite pleine, rejete", "")),
    ("accents written as marks", "rejete\u0301 e\u0301", View("rejete e", "")),
    ("typographic quotes", "doesn’t “exist”", View('doesn\'t "exist"', "")),
    ("reply code and enhanced code", "550 5.1.1 no", View("no", "")),
    (
        "codes of every line",
        "550-5.1.1 does not 550-5.1.1 exist 550 5.1.1 here",
        View("does not exist here", ""),
    ),
    ("code behind a bracket", "(max@x.de:550 5.4.1 Denied)", View("(<address>: denied)", "")),
    ("numbers that are no codes", "in 300 seconds, 50 hops", View("in 300 seconds, 50 hops", "")),
    ("address", "<spam@quota.example>: no", View("<address>: no", "")),
    ("quoted local part", '"spam"@x.de no', View("<address> no", "")),
    ("address literal", "max@[192.0.2.7] no", View("<address> no", "")),
    ("host and IP address", "mx.x.de[192.0.2.7]", View("<host>[<host>]", "mx.x.de 192.0.2.7")),
    ("IPv6", "[2001:db8::25] no", View("[<host>] no", "2001:db8::25")),
    ("version is no host", "sendmail 8.17.1, v1.2.3.4.5", View("sendmail 8.17.1, v1.2.3.4.5", "")),
    ("class name is no host", "RESOLVER.ADR.NotFound", View("resolver.adr.notfound", "")),
    ("two sentences are no host", "blocked.Please ask", View("blocked.please ask", "")),
    ("two sentences in small letters", "spam.please ask", View("spam.please ask", "")),
    ("A-label", "mx.xn--mnchen-3ya ok", View("<host> ok", "mx.xn--mnchen-3ya")),
    (
        "URL without its full stop",
        "see https://X.de/a?p=NoSuchUser.",
        View("see <url>.", "https://x.de/a?p=nosuchuser"),
    ),
    ("URL without scheme", "see x.de/spam now", View("see <url> now", "x.de/spam")),
    ("address before Chinese", "用户zhang@example.com不存在", View("用户<address>不存在", "")),
    ("address in Chinese", "<张三@例子.example> 不存在", View("<address> 不存在", "")),
    ("address with umlauts", "jörg@bücher.example no", View("<address> no", "")),
    (
        "URL before Chinese",
        "退信原因：550 详见http://X.cn/a?b。请",
        View("退信原因： 详见<url>。请", "http://x.cn/a?b"),
    ),
    ("address before dots", "max@x.example...User unknown", View("<address>...user unknown", "")),
    ("UTF-8 read as Latin-1", "EmpfÃ¤nger grÃ¶ÃŸer", View("empfaenger groesser", "")),
    ("size that tells nothing", "MAIL FROM:<a@x.de> SIZE=20", View("mail from:<address>", "")),
]


@pytest.mark.parametrize(("text", "view"), [row[1:] for row in VIEWS], ids=[v[0] for v in VIEWS])
def test_text_is_read_as_words_and_links(text: str, view: View) -> None:
    assert read_view(text) == view


@pytest.mark.parametrize(
    ("text", "phrase", "evidence"),
    [
        ("550 5.1.1 Empfänger  UNBEKANNT!", "empfaenger unbekannt", "Empfänger  UNBEKANNT"),
        ("550-5.7.1 no 550-5.7.1  entry", "no entry", "no 550-5.7.1  entry"),
        ("listed at <spam@x.de>, see", "listed at <address>", "listed at <spam@x.de>"),
        ("RESOLVER.ADR.NotFound; x", "resolver.adr.notfound", "RESOLVER.ADR.NotFound"),
        ("  großes Postfach", "sses", "ßes"),
        ("x \u0301 user unknown", "user unknown", "user unknown"),
        ("550 EmpfÃ¤nger unbekannt", "empfaenger unbekannt", "EmpfÃ¤nger unbekannt"),
        ("a@x.de EmpfÃ¤nger", "empfaenger", "EmpfÃ¤nger"),
    ],
)
def test_evidence_is_the_exact_text(text: str, phrase: str, evidence: str) -> None:
    start = read_view(text).words.index(phrase)
    assert quote_words(text, start, start + len(phrase)) == evidence


def test_a_span_that_begins_or_ends_in_a_space_is_quoted_without_it() -> None:
    assert quote_words("user   unknown here", 4, 13) == "unknown"


@pytest.mark.parametrize(("start", "end"), [(4, 5), (5, 5), (0, 0), (12, 12), (12, 20)])
def test_a_span_without_a_word_is_nowhere(start: int, end: int) -> None:
    assert Alignment("user unknown").find_words(start, end) is None


def test_a_link_is_found_whole_and_as_written() -> None:
    text = "550 x@mx.de mx.de see http://Spam.EXAMPLE/Ask?x. or www.x.de"
    links = read_view(text).links
    alignment = Alignment(text)
    first, last = alignment.find_link(links.index("spam.example"))
    assert text[first:last] == "http://Spam.EXAMPLE/Ask?x"
    first, last = alignment.find_link(links.index("www"))
    assert text[first:last] == "www.x.de"


def test_no_link_stands_behind_the_last() -> None:
    with pytest.raises(IndexError):
        Alignment("see x.de").find_link(5)


def test_text_is_cut() -> None:
    assert len(read_view("a " * MAX_TEXT_CHARS).words) == MAX_TEXT_CHARS - 1
    assert len(read_view("ŉ" * MAX_TEXT_CHARS).words) <= MAX_TEXT_CHARS


PIECES = st.sampled_from(
    [*" \t<>[]:.@-=", *"aÄßİŉ\u0301用ã¤", "550-", "5.1.1", "x.de", "a@b.c", "http://x/y", "SIZE=1"]
)


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_every_word_is_found_again_in_its_text(text: str) -> None:
    words = read_view(text).words
    for start, letter in enumerate(words):
        if letter != " ":
            quoted = quote_words(text, start, start + 1)
            # A broken umlaut becomes two letters together.
            read = fold(quoted) + fold(f"ã{quoted}")
            assert letter in read or _NOISE.fullmatch(quoted)
    assert Alignment(text).find_words(len(words), len(words) + 1) is None
