"""The single slip of the finger that turns one word into another, and where it happened.

One letter too many, too few or wrong, or two neighbours swapped: Damerau-Levenshtein distance 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile

_SEPARATORS = re.compile(r"[.\-_ ]")


@dataclass(frozen=True, slots=True)
class Edit:
    """What stands in `typed` where `right` has something else; found by `find_edit`."""

    typed: str
    right: str
    at: int
    """Index of the first character that differs, in both."""
    wrong: str
    """What was typed there: "", one character, or two that are swapped."""
    meant: str

    @property
    def swapped(self) -> bool:
        """Tell whether two neighbours changed places."""
        return len(self.wrong) == 2  # noqa: PLR2004 - two neighbours

    @property
    def doubled(self) -> bool:
        """Tell whether a letter stands twice that belongs there once."""
        return not self.meant and self.typed[self.at - 1 : self.at] == self.wrong

    @property
    def halved(self) -> bool:
        """Tell whether a letter stands once that belongs there twice."""
        return not self.wrong and self.right[self.at - 1 : self.at] == self.meant

    @property
    def characters(self) -> frozenset[str]:
        """Return what was typed or left out."""
        return frozenset(self.wrong + self.meant)

    @property
    def part(self) -> str:
        """Return the longer of the parts between dots and hyphens that it happened in."""
        return max(_cut_part(self.typed, self.at), _cut_part(self.right, self.at), key=len)

    @property
    def shortest_part_chars(self) -> int:
        """Return the length of the shorter of these parts."""
        return min(len(_cut_part(self.typed, self.at)), len(_cut_part(self.right, self.at)))

    @property
    def opens_part(self) -> bool:
        """Tell whether it happened to the first letter of a part."""
        return self.at == 0 or _SEPARATORS.match(self.right, self.at - 1) is not None

    @property
    def closes_part(self) -> bool:
        """Tell whether it happened to the last letter of a part."""
        return all(
            end >= len(word) or _SEPARATORS.match(word, end) is not None
            for word, end in (
                (self.typed, self.at + len(self.wrong)),
                (self.right, self.at + len(self.meant)),
            )
        )


def find_edit(typed: str, right: str) -> Edit | None:
    """Return the one slip between two words; None where there are none or several."""
    at = _count_shared(typed, right)
    rest, meant = typed[at:], right[at:]
    shared = _count_shared(rest[::-1], meant[::-1])
    wrong, meant = rest[: len(rest) - shared], meant[: len(meant) - shared]
    swapped = len(wrong) == 2 and wrong == meant[::-1]  # noqa: PLR2004 - two neighbours
    if not swapped and max(len(wrong), len(meant)) != 1:
        return None
    return Edit(typed, right, at, wrong, meant)


def _count_shared(one: str, other: str) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


def _cut_part(word: str, at: int) -> str:
    before = _SEPARATORS.split(word[:at])[-1]
    return before + _SEPARATORS.split(word[at:])[0]
