"""Writes docs/notices/: what the mails look like, from the examples, byte for byte repeatable."""

import sys
from email.message import EmailMessage
from pathlib import Path

from bounced.config import NoticeSettings
from bounced.ledger.records import ClaimedNotice, Entry
from bounced.notifier.compose import Composer
from bounced.notifier.examples import list_examples

SENDER = "protokolle@baudoku.example"
SETTINGS = NoticeSettings(
    sender=SENDER,
    reply_to="hilfe@baudoku.example",
    application_name="Baudoku",
    application_url="https://baudoku.example/",
)
ABOUT = {
    "single": "one wrong address, with a suggestion",
    "last": "the last notice of an address",
    "spam": "refused as spam",
    "digest": "everything at once",
    "forty": "forty addresses of one document",
    "two-hundred": "two hundred addresses",
    "publish-spf": "the author's domain has no SPF record",
    "merge-spf": "its SPF record does not name us, and is long",
    "lapsed-spf": "its SPF record names somebody who is gone",
    "several-spf": "it has two SPF records, and no DMARC record",
    "broken-spf": "its SPF record contains a mistake",
    "crowded-spf": "its SPF record can take nothing more",
    "overfull-spf": "its SPF record costs too many look-ups already",
    "no-record": "we can propose no SPF record",
    "publish-dkim": "keys are missing in its DNS",
    "replace-dkim": "another key stands where ours is to be",
    "return-path-cname": "its return path is ours",
    "return-path-dmarc": "its return path is ours, and a DMARC record is missing",
    "use-our-address": "the domain is a mail provider's",
    "no-means": "we have nothing to offer to the domain",
    "gone": "the domain does not exist",
    "publish-dmarc": "a DMARC record is missing",
    "broken-dmarc": "there are two DMARC records",
    "ask-receiver": "everything is in order, and the recipient refuses",
    "open-spf": "everything is in order, but its SPF record permits everybody",
    "ours": "the fault is ours",
    "not-checked": "DNS did not answer",
    "mended": "a domain has been in order since",
}
HEADER = """# What authors receive

Made by `make gallery` from `bounced/notifier/examples.py`; a test compares. Each mail has both parts,
equal in content. Links lead to nowhere.

| mail | Deutsch | English |
|---|---|---|
"""


def make_gallery() -> dict[str, str]:
    """Return the files by name."""
    composer = Composer(None, SETTINGS, fallback_sender="", from_address=SENDER, links=link)
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
