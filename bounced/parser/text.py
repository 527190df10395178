"""Turns bytes of any charset, and HTML, into plain text without NUL or surrogates; total.

RFC 2045 §6 (transfer encodings), RFC 2046 §4.1 (text).
"""

import binascii
import html
import re

MAX_TEXT_BYTES = 128 * 1024
"""As much of one part is read as text; a server's words stand far before that."""

# Charsets seen in mail. Actually, not every codec of Python: `utf-7` and `unicode_escape` make
# surrogates, `punycode` takes quadratic time.
_CHARSET = re.compile(
    r"(?:us-ascii|ascii|utf-?8|iso-?8859-\d{1,2}|latin-?1|windows-125\d|cp\d{3,4}|koi8-[rut]"
    r"|gb2312|gbk|gb18030|big5|euc-?(?:jp|kr)|ks_c_5601-1987|shift[_-]jis|sjis"
    r"|iso-2022-(?:jp|kr)(?:-\d)?|utf-16(?:le|be)?)"
)
_SHIFT = b"\x1b$B"
"""How ISO-2022-JP (RFC 1468) begins Japanese letters; the escape stands in no other text."""
_TAG = re.compile(r"<([/!?]?[A-Za-z-]{1,20})(?=[\s/>-])[^<>]*+>")
_BREAKS = {
    "br",
    "p",
    "/p",
    "div",
    "/div",
    "tr",
    "/tr",
    "/td",
    "li",
    "/li",
    "hr",
    "/h1",
    "/h2",
    "/h3",
}
_HIDDEN = {"style", "script", "title"}
_NOISE = re.compile(r"[\W_]+")
_SPACES = re.compile(r"\s+")


def decode_bytes(data: bytes, charset: str | None = None, *, fallback: str | None = None) -> str:
    """Decode `data` by its declared charset, else UTF-8, `fallback`, Latin-1; total."""
    text = _decode(data, charset or "utf-8")
    if text is None or _SHIFT in data:
        # Actually, Domino and Exchange write status fields in the text part's charset, undeclared.
        guesses = ("iso-2022-jp",) if _SHIFT in data else ("utf-8", fallback or "utf-8")
        decoded = (_decode(data, guess) for guess in guesses)
        text = next((each for each in decoded if each is not None), text)
    if text is None:
        text = data.decode("latin-1")
    return text.replace("\0", "") if "\0" in text else text


def _decode(data: bytes, charset: str) -> str | None:
    name = charset.strip("\"' ").lower()
    try:
        return data.decode(name if _CHARSET.fullmatch(name) else "utf-8")
    except (UnicodeError, LookupError):
        return None


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding; what is broken is decoded as far as it goes; total."""
    match encoding.strip().lower():
        case "base64":
            return decode_base64(data)
        case "quoted-printable":
            return binascii.a2b_qp(data)
        case _:
            return data


def decode_base64(data: bytes) -> bytes:
    """Decode base64, skipping foreign characters and a broken last group; total."""
    letters = re.sub(rb"[^A-Za-z0-9+/]+", b"", data)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def strip_html(source: str) -> str:
    """Return the visible text of HTML, blocks on lines of their own; total and linear."""
    pieces: list[str] = []
    position = 0
    hidden = ""
    for tag in _TAG.finditer(source):
        if not hidden:
            pieces.append(_SPACES.sub(" ", source[position : tag.start()]))
        position = tag.end()
        name = tag[1].lower()
        if hidden:
            hidden = "" if name == f"/{hidden}" else hidden
        elif name in _HIDDEN:
            hidden = name
        elif name in _BREAKS:
            pieces.append("\n")
    if not hidden:
        pieces.append(_SPACES.sub(" ", source[position:]))
    text = html.unescape("".join(pieces)).replace("\xa0", " ").replace("\0", "")
    return "\n".join(line.strip() for line in text.split("\n"))


def squash(text: str) -> str:
    """Return only letters and digits, case-folded, so that two renderings can be compared."""
    return _NOISE.sub("", text).casefold()


def join_spaces(text: str) -> str:
    """Return `text` on one line with single spaces."""
    return " ".join(text.split())
