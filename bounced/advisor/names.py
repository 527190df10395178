"""Which slips make another person's name of one: what two colleagues may be called is no slip.

German names above all. Families write one sound in many ways (Hoffmann and Hofmann, Schmid and
Schmidt, Bernhard and Bernhardt), and first names differ in a vowel (Christiane and Christine).
"""

from __future__ import annotations

from bounced.advisor.edit import Edit

_VOWELS = frozenset("aeiouy")
_NEVER_DOUBLED = frozenset("hijquvwxy")
_SILENT = "h"
_ONE_SOUND = frozenset({"ck", "cz", "dt", "pf", "sz", "tz"})
"""Where families leave one of the two letters out: Brandtner and Brandner."""
_FIRST_OR_LAST = frozenset(
    {"adam", "albert", "albrecht", "alexander", "andreas", "anton", "arnold", "benedikt"}
    | {"bernhard", "berthold", "christian", "claus", "conrad", "daniel", "david", "dietrich"}
    | {"eberhard", "eckhard", "erhard", "ernst", "erwin", "fabian", "felix", "frank", "franz"}
    | {"friedrich", "fritz", "gabriel", "georg", "gerhard", "gregor", "guenther", "gunther"}
    | {"hans", "harald", "hartmut", "heinrich", "heinz", "helmut", "henning", "herbert"}
    | {"hermann", "hubert", "jacob", "jahn", "jakob", "jan", "joachim", "johannes", "jonas"}
    | {"josef", "joseph", "julius", "karl", "kaspar", "kilian", "klaus", "konrad", "kurt"}
    | {"leo", "leonhard", "lorenz", "ludwig", "lukas", "lutz", "marin", "martin", "marx"}
    | {"matthias", "max", "maximilian", "merten", "michael", "moritz", "niklas", "nikolaus"}
    | {"oskar", "oswald", "otto", "paul", "peter", "philipp", "raimund", "reinhard", "richard"}
    | {"robert", "roland", "rudolf", "rupprecht", "sebastian", "siegfried", "simon", "stefan"}
    | {"stephan", "theodor", "thomas", "till", "ulrich", "urban", "valentin", "veit", "victor"}
    | {"viktor", "vincent", "volker", "walter", "werner", "wilhelm", "winfried", "wolf"}
    | {"wolfgang", "wolfram"}
)
"""First names that families have too: Werner Otto and Otto Werner are two people."""


def can_change_places(first: str, last: str) -> bool:
    """Tell whether only one of two parts can be a first name, so that their order is a slip."""
    return not {first, last} <= _FIRST_OR_LAST


def makes_another_name(edit: Edit) -> bool:
    """Tell whether a slip inside a part, of letters alone, may have made another name; total."""
    if edit.swapped:
        return _is_swapped_sound(edit)
    if edit.wrong and edit.meant:  # Schreiner and Schreiber
        return True
    if edit.doubled and _is_never_doubled(edit):
        return False
    if edit.doubled or edit.halved:
        return True
    if is_umlaut_without_e(edit):
        return False
    letter = edit.wrong or edit.meant
    return edit.closes_part or letter in _VOWELS or letter == _SILENT or _is_one_sound(edit)


def is_umlaut_without_e(edit: Edit) -> bool:
    """Tell whether the e was left out that an umlaut is spelled with; Kruger may be a Kruger."""
    return edit.meant == "e" and not edit.wrong and edit.right[edit.at - 1] in "aou"


def _is_swapped_sound(edit: Edit) -> bool:
    if edit.opens_part:  # Ina and Nia
        return True
    if edit.closes_part:  # Christian and Christina, Marlene and Marleen
        return "a" in edit.characters or edit.characters == {"e", "n"}
    next_is_vowel = edit.right[edit.at + 2 : edit.at + 3] in _VOWELS
    if "r" in edit.characters and edit.characters & _VOWELS:  # Kirsten and Kristen
        return not next_is_vowel
    # Weimann and Wiemann, Wagner and Wanger
    return edit.characters in ({"e", "i"}, {"g", "n"})


def _is_never_doubled(edit: Edit) -> bool:
    """Tell whether nobody's name has the letter twice, or three times, as it was typed."""
    return edit.wrong in _NEVER_DOUBLED or edit.wrong * 3 in edit.typed


def _is_one_sound(edit: Edit) -> bool:
    longer = edit.typed if edit.wrong else edit.right
    return any(longer[at : at + 2] in _ONE_SOUND for at in (edit.at - 1, edit.at))
