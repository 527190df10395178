"""What a link does: GET shows and never acts, for scanners open every link; POST acts, then shows.

The link is the author's only credential; whoever has it can close one case and stop his notices,
and undo both. No cookie; no script but one that copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bounced.ledger import authors
from bounced.ledger.addresses import ChangedCase
from bounced.ledger.authors import AuthorAction, PageCase, PageFacts
from bounced.ledger.records import CaseState, HeldWhy
from bounced.logs import Event, emit
from bounced.origin.link import Link, open_link
from bounced.origin.token import TokenFault, find_day
from bounced.web.api import Api
from bounced.web.body import read_form
from bounced.web.guard import RefusalLog
from bounced.web.pages.render import Renderer
from bounced.web.pages.settings import PageSettings
from bounced.web.pages.typed import Typed, judge_typed
from bounced.web.pages.view import build_case, build_settings, is_domain
from bounced.web.problem import Problem
from bounced.words.catalogue import Words, choose_language

PATH = "/n/"
"""What every link begins with, behind `http.public_url`."""
PREVIEW = "preview"
"""Stands in the links of a previewed notice, where a token would be."""


@dataclass(frozen=True, slots=True)
class _Visit:
    """Who came, by which link, and how the page speaks to him."""

    request: Request
    settings: PageSettings
    link: Link
    facts: PageFacts
    words: Words


class Pages:
    """Answers what is asked under PATH."""

    def __init__(self, api: Api, refusals: RefusalLog) -> None:
        self._api = api
        self._refusals = refusals
        self._renderer = Renderer()

    async def answer(self, request: Request) -> Response:
        """Answer GET with the page, POST by leading to the page that says what was done."""
        work = self._act if request.method == "POST" else self._show
        settings = self._api.pages()
        if settings is None:
            raise Problem(404, "there is nothing under this path")
        if request.path_params["token"] == PREVIEW:
            return self._apologize(settings, PREVIEW, 200)
        link = self._open(request, settings)
        if isinstance(link, TokenFault):
            expired = link is TokenFault.EXPIRED
            return self._apologize(settings, *(("expired", 410) if expired else ("unknown", 404)))
        try:
            facts = await self._read(link)
            if facts is None:  # signed by us, and gone since
                return self._apologize(settings, "expired", 410)
            wanted = f"{request.query_params.get('language', '')},{facts.language or ''}"
            words = choose_language(wanted, settings.words, settings.language)
            return await work(_Visit(request, settings, link, facts, words))
        except Problem as problem:
            return self._renderer.apologize(
                "failed", _order(settings), status=problem.status, headers=problem.headers
            )

    def apologize(self) -> Response:
        """Return the answer to a visit that a fault of ours broke off."""
        settings = self._api.pages()
        if settings is None:
            return Problem(500, "the request could not be worked on; the log says why").answer()
        return self._apologize(settings, "failed", 500)

    def _apologize(self, settings: PageSettings, key: str, status: int) -> Response:
        return self._renderer.apologize(key, _order(settings), status=status)

    def _open(self, request: Request, settings: PageSettings) -> Link | TokenFault:
        _, ring = self._api.admission()
        today = find_day(self._api.clock())
        link = open_link(
            request.path_params["token"], ring, today=today, ttl_days=settings.ttl_days
        )
        # An expired one is an author's who comes late.
        if isinstance(link, TokenFault) and link is not TokenFault.EXPIRED:
            self._refusals.note(request, f"link-{link.value}")
        return link

    async def _read(self, link: Link) -> PageFacts | None:
        return await self._api.read(
            lambda ledger: ledger.read(
                lambda connection: authors.read_page(connection, link.notice, link.case)
            )
        )

    async def _show(self, visit: _Visit) -> Response:
        if visit.facts.case is None or "settings" in visit.request.query_params:
            view = build_settings(
                visit.facts,
                visit.words,
                done=visit.request.query_params.get("done", ""),
                has_case=visit.facts.case is not None,
            )
            return self._renderer.render(view, visit.words, visit.settings)
        return self._show_case(visit, visit.facts.case, Typed())

    def _show_case(self, visit: _Visit, case: PageCase, typed: Typed) -> Response:
        done = visit.request.query_params.get("done", "")
        view = build_case(
            case,
            visit.words,
            visit.settings,
            declined=visit.facts.declined,
            done=done,
            typed=typed,
        )
        status = 422 if typed.fault else 200
        return self._renderer.render(view, visit.words, visit.settings, status=status)

    async def _act(self, visit: _Visit) -> Response:
        form = await read_form(visit.request, within=self._api.body_timeout)
        case = visit.facts.case
        match form.get("action"):
            case "correct" if case is not None and not is_domain(case):
                return await self._correct(visit, case, form.get("new_recipient", ""))
            case "confirm" if case is not None:
                return await self._confirm(visit, case)
            case "decline" if form.get("confirm") == "yes":
                return await self._silence(visit, AuthorAction.DECLINED)
            case "decline":
                return _lead_on(visit, settings="1")
            case "resume":
                return await self._silence(visit, AuthorAction.RESUMED)
        return _lead_on(visit)

    async def _correct(self, visit: _Visit, case: PageCase, text: str) -> Response:
        typed = judge_typed(text, case.entry.recipient)
        if typed.fault and case.state is not CaseState.CLOSED:
            return self._show_case(visit, case, typed)

        def work(connection: Connection) -> ChangedCase | None:
            return authors.correct_case(
                connection,
                case.entry.case,
                typed.text,
                self._api.clock(),
                webhook=visit.settings.webhook,
                new_id=self._api.new_id,
            )

        if not typed.fault:
            _tell(await self._api.write(work), AuthorAction.CORRECTED, new_recipient=typed.text)
        return _lead_on(visit, done=AuthorAction.CORRECTED.value)

    async def _confirm(self, visit: _Visit, case: PageCase) -> Response:
        def work(connection: Connection) -> ChangedCase | None:
            return authors.confirm_case(
                connection,
                case.entry.case,
                self._api.clock(),
                webhook=visit.settings.webhook,
                new_id=self._api.new_id,
            )

        _tell(await self._api.write(work), AuthorAction.CONFIRMED)
        return _lead_on(visit, done=AuthorAction.CONFIRMED.value)

    async def _silence(self, visit: _Visit, action: AuthorAction) -> Response:
        """Stop an author's notices, or send them again."""
        act = authors.decline if action is AuthorAction.DECLINED else authors.resume

        def work(connection: Connection) -> bool:
            return act(
                connection,
                visit.facts.author,
                self._api.clock(),
                webhook=visit.settings.webhook,
                new_id=self._api.new_id,
            )

        if await self._api.write(work):
            emit(Event.AUTHOR_ACTED, author=visit.facts.author, action=action.value)
            _tell_silence(visit.facts.author, action)
        return _lead_on(visit, settings="1", done=action.value)


def _tell_silence(author: str, action: AuthorAction) -> None:
    """Log that an author gets no notices any more, or gets them again."""
    if action is AuthorAction.DECLINED:
        emit(Event.AUTHOR_SILENCED, author=author, why=HeldWhy.DECLINED.value)
    else:
        emit(Event.AUTHOR_RESET, author=author, why="author")


def _tell(closed: ChangedCase | None, action: AuthorAction, **more: str) -> None:
    """Log what an author did; None: it had been done before."""
    if closed is None:
        return
    emit(
        Event.AUTHOR_ACTED,
        author=closed.author,
        action=action.value,
        case=closed.case,
        subject=closed.subject,
        **more,
    )
    emit(
        Event.CASE_CLOSED,
        case=closed.case,
        author=closed.author,
        subject=closed.subject,
        why=action.value,
    )


def _lead_on(visit: _Visit, **query: str) -> Response:
    """Lead to the page by GET (RFC 9110 §15.4.4), so that reloading it repeats nothing."""
    asked = urlencode({"language": visit.words.language, **query})
    return RedirectResponse(f"?{asked}", 303)


def _order(settings: PageSettings) -> list[Words]:
    """Return every language, the default one first."""
    return sorted(settings.words.values(), key=lambda words: words.language != settings.language)
