"""When a domain or a local part that works is close enough to the one typed to be meant by it.

Distance alone is not enough: gmx.de and gmx.at, wep.de and web.de, m.huber and n.huber,
martin and martina are one slip apart and different people. Wrong advice sends a protocol to a
stranger, no advice costs a telephone call; so whatever two people may be called is no slip.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from rapidfuzz import process
from rapidfuzz.distance import OSA

from bounced.advisor.edit import Edit, find_edit
from bounced.advisor.names import can_change_places, is_umlaut_without_e, makes_another_name
from bounced.advisor.providers import Providers
from bounced.advisor.slips import spell_out
from bounced.model import domain_key

_SHORT_NAME_CHARS = 4
"""Nearly every name of this length is somebody's, under every ending."""
_LONG_NAME_CHARS = 7
"""With fewer letters, another first letter makes another word: cloud and icloud."""
_MIN_LOCAL_CHARS = 4
_MIN_SWAPPED_CHARS = 3
_MIN_DOUBLED_CHARS = 5
_LONG_PART_CHARS = 7
"""With fewer letters one more or another makes another family: Bauer and Brauer."""

_CUT_SHORT = frozenset({"co", "cm", "om"})
"""Countries that a `.com` ends in when a letter of it is missing."""
_ALIKE = (frozenset("0o"), frozenset("1l"), frozenset("1i"))
_DIGITS = frozenset("0123456789")
_SEPARATORS = frozenset(".-_ ")
_SEPARATOR = re.compile(r"[.\-_ ]")
_ACE = "xn--"
_STRAY = re.compile(r"^[.-]|[.-]$|[.-]\.|\.-")


def find_domain(typed: str, allowed: Collection[str], providers: Providers) -> str | None:
    """Return the only right domain that is one slip away, comparison form to comparison form.

    `allowed` may be suggested. None where there is none, where several are as near, or where the
    slip is one that makes another owner's name; total.
    """
    near = _find_near(typed, providers.services.union(allowed))
    # Nothing is left out as easily as a hyphen: tonline.de is t-online.de, not online.de.
    likely = {name for name in near if name.replace("-", "") == typed.replace("-", "")} or near
    if len(likely) != 1:
        return None
    right = likely.pop()
    slip = _is_slip(readable(typed), readable(right), providers)
    return right if slip and right in allowed else None


def has_rival(typed: str, meant: str, allowed: Collection[str], providers: Providers) -> bool:
    """Tell whether a dot or hyphen that cannot stand there may be a letter of another domain.

    `.mail.com` is mail.com with a dot too many, or gmail.com with its first letter mistyped.
    """
    if not _STRAY.search(typed):
        return False
    return bool(_find_near(typed, providers.services.union(allowed)) - {meant})


def find_local_part(typed: str, working: Collection[str]) -> str | None:
    """Return the only local part of those that work which is meant by the one typed; total.

    All in lower case. None where the typed one works itself.
    """
    if typed in working or len(typed) < _MIN_LOCAL_CHARS:
        return None
    near = [
        right
        for right in working
        if _is_rearranged(typed, right) or find_edit(typed, right) is not None
    ]
    if len(near) != 1 or len(near[0]) < _MIN_LOCAL_CHARS:
        return None
    right = near[0]
    edit = find_edit(typed, right)
    return right if _is_rearranged(typed, right) or (edit and _is_local_slip(edit)) else None


def readable(domain: str) -> str:
    """Return the comparison form of a domain in its owner's letters; total."""
    if _ACE not in domain:
        return domain
    try:
        shown = domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain
    return shown if domain_key(shown) == domain else domain


def _find_near(typed: str, names: frozenset[str]) -> set[str]:
    seen = readable(typed)
    spelled = spell_out(seen)
    # Few names have umlauts, and there may be thousands: most are compared as they stand.
    foreign = {readable(name): name for name in names if _ACE in name}
    same = {foreign[name] for name in foreign if spell_out(name) == spelled} | (names & {spelled})
    plain = process.extract(seen, list(names), scorer=OSA.distance, score_cutoff=1, limit=None)
    shown = process.extract(seen, list(foreign), scorer=OSA.distance, score_cutoff=1, limit=None)
    return same.union(name for name, *_ in plain).union(foreign[name] for name, *_ in shown)


def _is_slip(typed: str, right: str, providers: Providers) -> bool:
    edit = find_edit(typed, right)
    if edit is None:
        return True  # the same name, umlauts spelled out
    if not providers.can_exist(typed):
        return True
    if edit.at > typed.rfind("."):
        ending = typed.rpartition(".")[2]
        return ending in _CUT_SHORT and right.endswith(".com")
    if edit.characters & _DIGITS and edit.characters not in _ALIKE:
        return False
    return _is_slip_in_name(edit, len(right.rpartition(".")[0]))


def _is_slip_in_name(edit: Edit, name_chars: int) -> bool:
    if edit.swapped:
        return True
    if name_chars <= _SHORT_NAME_CHARS:
        return edit.doubled
    if edit.characters & _SEPARATORS:
        return True
    if edit.at == 0 and name_chars < _LONG_NAME_CHARS:
        return False
    return edit.shortest_part_chars > 1


def _is_rearranged(typed: str, right: str) -> bool:
    """Tell whether only dots and hyphens differ, or first name and last name changed places."""
    if _SEPARATOR.sub("", typed) == _SEPARATOR.sub("", right):
        return True
    parts = _SEPARATOR.split(typed)
    is_exchanged = parts == _SEPARATOR.split(right)[::-1]
    return is_exchanged and can_change_places(parts[0], parts[-1])


def _is_local_slip(edit: Edit) -> bool:
    if edit.characters & _DIGITS or edit.characters & _SEPARATORS:
        return False
    if makes_another_name(edit) or (edit.opens_part and not edit.doubled):
        return False
    if edit.swapped:
        return len(edit.part) >= _MIN_SWAPPED_CHARS
    if edit.doubled or is_umlaut_without_e(edit):
        return len(edit.part) >= _MIN_DOUBLED_CHARS
    return edit.shortest_part_chars >= _LONG_PART_CHARS
