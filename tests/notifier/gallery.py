"""Writes docs/notices/: what the mails look like, from the examples, byte for byte repeatable."""

import sys
from email.message import EmailMessage
from pathlib import Path

from bounced.config import NoticeSettings
from bounced.ledger.records import ClaimedNotice, Entry
from bounced.notifier.compose import Composer
from bounced.notifier.examples import list_examples

SETTINGS = NoticeSettings(
    sender="protokolle@baudoku.example",
    reply_to="hilfe@baudoku.example",
    application_name="Baudoku",
    application_url="https://baudoku.example/",
)
ABOUT = {
    "single": "one wrong address, with a suggestion",
    "last": "the last notice of an address",
    "sender": "the author's domain is not verified",
    "spam": "refused as spam",
    "digest": "everything at once",
    "forty": "forty addresses of one document",
    "two-hundred": "two hundred addresses",
}
HEADER = """# What authors receive

Made by `make gallery` from `bounced/notifier/examples.py`; a test compares. Each mail has both parts,
equal in content. Links lead to nowhere.

| mail | Deutsch | English |
|---|---|---|
"""


def make_gallery() -> dict[str, str]:
    """Return the files by name."""
    composer = Composer(None, SETTINGS, fallback_sender="", links=link)
    files = {}
    for language in ("de", "en"):
        for name, notice in list_examples(language).items():
            mail = composer.compose(notice)
            fields = "".join(f"{key}: {mail[key]}\n" for key in ("From", "To", "Subject"))
            files[f"{name}.{language}.txt"] = f"{fields}\n{read_part(mail, 'plain')}"
            files[f"{name}.{language}.html"] = read_part(mail, "html")
    rows = (
        f"| {about} | "
        + " | ".join(
            f"[text]({name}.{language}.txt), [HTML]({name}.{language}.html)"
            for language in ("de", "en")
        )
        + " |\n"
        for name, about in ABOUT.items()
    )
    files["README.md"] = HEADER + "".join(rows)
    return files


def link(_notice: ClaimedNotice, entry: Entry | None) -> str:
    """Return a link as long as a real one, each case its own."""
    token = "preview" if entry is None else f"{entry.case:a>56}"
    return f"https://bounces.example.com/n/{token}"


def read_part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content


def main() -> None:
    """Write the files; those of another time go."""
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in make_gallery().items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
