"""`bounced advise`: what is wrong with a domain as a sender of our mail, and what mends it."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from bounced.advisor.diagnose import Question, diagnose
from bounced.advisor.dns import Resolver
from bounced.cli.options import ConfigOption, Exit, InputError, JsonOption, LaterError, load
from bounced.cli.output import print_facts, print_json, print_lines, print_table, say, show
from bounced.config import Settings
from bounced.daemon import read_clock
from bounced.diagnosis import Diagnosis, DnsRecord, Fix
from bounced.model import ConfigError, Reason, domain_key, is_host_name
from bounced.suffixes import is_public_suffix
from bounced.wiring import make_means
from bounced.words.advice import AdviceView, tell_advice
from bounced.words.catalogue import Words, load_words


class Refused(StrEnum):
    """What a receiver can have said."""

    SPF = Reason.SPF.value
    DKIM = Reason.DKIM.value
    DMARC = Reason.DMARC.value
    UNAUTHENTICATED = Reason.UNAUTHENTICATED.value


def advise(
    who: Annotated[
        str,
        typer.Argument(
            metavar="DOMAIN|ADDRESS", help="The domain in From; an address stands for its domain."
        ),
    ],
    mail_from: Annotated[
        str | None,
        typer.Option(
            "--mail-from",
            metavar="DOMAIN",
            help="Domain of the return path [default: the first of return_path.domains].",
        ),
    ] = None,
    reason: Annotated[
        Refused | None,
        typer.Option("--reason", help="What a mail was refused for [default: nothing was]."),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language", metavar="CODE", help="Of the words [default: notices.language]."
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask DNS what is wrong with a sender domain, and say what mends it.

    Prints the words of the notices, the records to publish, and what was found.

    Exit code 0: everything is there; 1: there is something to do; 64: wrong usage; 65: that is no
    domain; 75: DNS could not be asked; 78: DNS is switched off (dns.enabled).
    """
    settings = load(config)
    words = _choose_words(settings, language)
    question = Question(
        domain=_read_sender(who),
        mail_from_domain=_read_domain(mail_from or settings.return_path.domains[0]),
        reason=Reason(reason.value) if reason else None,
    )
    diagnosis = asyncio.run(_diagnose(settings, question))
    if as_json:
        print_json(diagnosis.describe())
    else:
        _tell(diagnosis, _word(settings, words, diagnosis, question.reason))
    _exit(settings, diagnosis)


def _choose_words(settings: Settings, language: str | None) -> Words:
    words = load_words(settings.notices.templates_directory)
    chosen = language or settings.notices.language
    if chosen not in words:
        raise typer.BadParameter(f"--language {chosen}: there is {', '.join(words)}")
    return words[chosen]


def _read_sender(text: str) -> str:
    domain = _read_domain(text)
    if is_public_suffix(domain):
        raise InputError(f"{domain}: nobody can have addresses there, only in a domain below it")
    return domain


def _read_domain(text: str) -> str:
    domain = domain_key(text.rpartition("@")[2])
    if not is_host_name(domain):
        raise InputError(f"{text}: that is neither a domain nor an address")
    return domain


async def _diagnose(settings: Settings, question: Question) -> Diagnosis:
    resolver = Resolver(settings.dns, clock=read_clock) if settings.dns.enabled else None
    return await diagnose(question, make_means(settings), resolver, read_clock())


def _word(
    settings: Settings, words: Words, diagnosis: Diagnosis, reason: Reason | None
) -> AdviceView:
    return tell_advice(
        diagnosis,
        reason,
        words,
        application=settings.notices.application_name or words.say("notice.application"),
        from_address=settings.advice.from_address,
        zone=ZoneInfo(settings.notices.timezone),
    )


def _tell(diagnosis: Diagnosis, view: AdviceView) -> None:
    print_lines([Text(f"{show(diagnosis.domain)}: {diagnosis.fix.value}", "bold")])
    print_facts(
        {
            "mail_from": diagnosis.mail_from_domain,
            "failed": diagnosis.identity.value if diagnosis.identity else None,
            "SPF_look-ups": _tell_lookups(diagnosis),
            "asked_at_(UTC)": diagnosis.checked_at,
        },
        indent=2,
    )
    say()
    print_lines(Text(show(text)) for text in (view.explanation, view.action))
    for record in diagnosis.records:
        say()
        _print_record(record)
    if diagnosis.records:
        say()
        print_lines(Text(show(text)) for text in (view.hint, view.hoster) if text)
    say()
    print_table(
        "",
        ["looked at", "state", "found"],
        [(each.check.value, each.state.value, each.detail) for each in diagnosis.findings],
        fold={"found"},
    )


def _print_record(record: DnsRecord) -> None:
    """Print a record, each value whole on one line: a terminal's own wrapping copies away."""
    parts = {"name": [record.name], "type": [record.type], "value": [record.value]}
    parts["replaces"] = (record.replaces or "").splitlines()
    width = max(map(len, parts))
    for part, values in parts.items():
        for value in values:
            say(f"  {part:<{width}}  {show(value)}")


def _tell_lookups(diagnosis: Diagnosis) -> str | None:
    """RFC 7208 §4.6.4: above ten nobody reads on."""
    before, after = diagnosis.lookups_before, diagnosis.lookups_after
    if after is None or after == before:
        return None if before is None else f"{before} of 10"
    return f"{after} of 10" if before is None else f"{before} of 10, {after} with ours"


def _exit(settings: Settings, diagnosis: Diagnosis) -> None:
    if diagnosis.fix is Fix.NONE:
        return
    if diagnosis.fix is not Fix.NOT_CHECKED:
        raise typer.Exit(Exit.FOUND)
    if not settings.dns.enabled:
        raise ConfigError("dns.enabled is false: nothing can be looked up")
    raise LaterError(f"DNS could not be asked: nothing is said about {diagnosis.domain}")
