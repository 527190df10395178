"""How our terms come into a record, and several records into one; pure.

RFC 7208 §3.2 (one record), §5.1 and §6.1 (what stands behind `all` is not looked at).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bounced.advisor.spf.terms import Term, Terms

_ALL_BY_MILDNESS = "?~-"
"""`+all` is never taken over: together with another record it permitted nobody so far."""

SPARED = "'-all' became '~all': what was left out may mean a server that sends mail"
"""What `spare` has done, for people."""


def insert_terms(terms: Terms, ours: Terms, *, first: bool = False) -> Terms:
    """Put our terms before `all`, else before redirect=, else at the end; or before everything.

    One that stands there already, and takes effect, keeps its place and gets our qualifier.
    """
    own = {term.mechanism for term in ours}
    if first:
        return *ours, *(term for term in terms if term.mechanism not in own)
    end = find_end(terms)
    kept: list[Term] = []
    standing: set[str] = set()
    for term in terms[:end]:
        if term.mechanism not in own:
            kept.append(term)
        elif term.mechanism not in standing:
            standing.add(term.mechanism)
            kept.append(next(each for each in ours if each.mechanism == term.mechanism))
    kept += [term for term in ours if term.mechanism not in standing]
    return *kept, *(term for term in terms[end:] if term.mechanism not in own)


def find_end(terms: Terms) -> int:
    """Return where a term that is to take effect goes at the latest."""
    names = [term.name for term in terms]
    for name in ("all", "redirect"):
        if name in names:
            return names.index(name)
    return len(terms)


def join_records(records: Sequence[Terms]) -> Terms:
    """Make one record of several: their terms in order, without doubles, the mildest `all`."""
    terms = [term for record in records for term in record]
    ends = {term.qualifier for term in terms if term.name == "all"}
    directives = [term for term in terms if term.qualifier and term.name != "all"]
    redirects = [term for term in terms if term.name == "redirect"]
    others = [term for term in terms if not term.qualifier and term.name != "redirect"]
    if ends or len({term.mechanism for term in redirects}) > 1:
        # Beside `all`, or a second one, a redirect= is not looked at (RFC 7208 §6.1).
        directives += [_make_include(term) for term in redirects]
        redirects = []
    end = [_make_all(ends)] if ends else []
    return drop_repeated(drop_doubles((*directives, *end, *redirects, *others)))


def soften(terms: Terms) -> Terms:
    """Return the terms with `?all` for `+all`, of a record that permitted nobody so far."""
    return tuple(
        Term("?all", "?", "all") if term.name == "all" and term.qualifier == "+" else term
        for term in terms
    )


def spare(terms: Iterable[Term]) -> Terms:
    """Put `~all` for `-all`, for a record from which something was left out.

    Where that stands, receivers find an error and refuse nobody for certain (RFC 7208 §8.4,
    §8.5, §8.7). It may mean a server of his, which `-all` would have refused from now on.
    """
    soft = Term("~all", "~", "all")
    return tuple(soft if term.name == "all" and term.qualifier == "-" else term for term in terms)


def drop_doubles(terms: Terms) -> Terms:
    """Leave out directives that stood before: the first one decides (RFC 7208 §4.6.2)."""
    seen: set[str] = set()
    kept = []
    for term in terms:
        if not term.qualifier or term.mechanism not in seen:
            kept.append(term)
        seen.add(term.mechanism)
    return tuple(kept)


def drop_repeated(terms: Terms) -> Terms:
    """Leave out every redirect= and exp= but the first (RFC 7208 §6), and doubles of others."""
    seen: set[str] = set()
    kept = []
    for term in terms:
        key = term.name if term.name in {"redirect", "exp"} else term.mechanism
        if term.qualifier or key not in seen:
            kept.append(term)
        if not term.qualifier:
            seen.add(key)
    return tuple(kept)


def _make_include(redirect: Term) -> Term:
    return Term(f"include:{redirect.argument}", "+", "include", redirect.argument)


def _make_all(qualifiers: set[str]) -> Term:
    mildest = next((each for each in _ALL_BY_MILDNESS if each in qualifiers), "?")
    return Term(f"{mildest}all", mildest, "all")
