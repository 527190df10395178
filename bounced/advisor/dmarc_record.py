"""What is kept of DMARC records that do not count, in the one that takes their place.

RFC 9989 §4.7 (tags), RFC 7489 §6.3 (`pct`, `ri`, which some receivers still read).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bounced.advisor.taglist import split_tags

POLICIES = ("none", "quarantine", "reject")
"""The mildest first."""
_LONGEST = 255
"""Octets of one string of a TXT record (RFC 1035 §3.3); more take quotes that people forget."""
_POLICY = re.compile("none|quarantine|reject", re.IGNORECASE)
_ALIGNMENT = re.compile("[rs]", re.IGNORECASE)
_KEPT = {
    "p": _POLICY,
    "sp": _POLICY,
    "np": _POLICY,
    "adkim": _ALIGNMENT,
    "aspf": _ALIGNMENT,
    "t": re.compile("[yn]", re.IGNORECASE),
    "psd": re.compile("[ynu]", re.IGNORECASE),
    "fo": re.compile("[01ds](:[01ds])*", re.IGNORECASE),
    "pct": re.compile("100|[0-9]{1,2}"),
    "ri": re.compile("[0-9]{1,10}"),
}
"""Tags in the order in which they are written, and what their values look like."""
_TEETH = frozenset({"sp", "np", "pct", "t"})
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-+\--:<-~]+", re.IGNORECASE)
"""Printable, without what separates: comma and semicolon."""


def keep_policy(texts: Sequence[str], reports_to: str) -> str:
    """Return one record in the place of all `texts`: the mildest, with the reports of each; total.

    One that never counted gets no teeth now: what it would refuse nobody has found out yet.
    `reports_to` is the URI for reports where none of them names one; "" is none.
    """
    records = [_read(text) for text in texts]
    valid = [record for record in records if _is_valid(record)]
    kept = min(map(_clean, valid or records), key=_find_rank, default={"p": POLICIES[0]})
    if len(records) == 1:
        kept = {tag: value for tag, value in kept.items() if tag not in _TEETH} | {"p": "none"}
    record = "; ".join(["v=DMARC1", *(f"{tag}={kept[tag]}" for tag in _KEPT if tag in kept)])
    record = _add_reports(record, "rua", _join(records, "rua") or [reports_to])
    return _add_reports(record, "ruf", _join(records, "ruf"))


def _read(text: str) -> Mapping[str, str]:
    """Return the tags, also of what was put between quotes; the first of each counts."""
    return {name.lower(): value for name, value in reversed(split_tags(text.replace('"', "")))}


def _is_valid(record: Mapping[str, str]) -> bool:
    policies = [record[tag].lower() for tag in ("p", "sp", "np") if tag in record]
    return "p" in record and set(policies) <= set(POLICIES)


def _clean(record: Mapping[str, str]) -> dict[str, str]:
    """Return what can be read of a record; without a policy, one without teeth."""
    kept = {
        tag: record[tag].lower()
        for tag, form in _KEPT.items()
        if tag in record and form.fullmatch(record[tag])
    }
    return {"p": POLICIES[0]} | kept


def _find_rank(kept: Mapping[str, str]) -> tuple[int, int]:
    return POLICIES.index(kept["p"]), POLICIES.index(kept.get("sp", kept["p"]))


def _join(records: Sequence[Mapping[str, str]], tag: str) -> list[str]:
    """Return the addresses of all records for one kind of report, each once."""
    uris = (uri.strip() for record in records for uri in record.get(tag, "").split(","))
    return list(dict.fromkeys(uri for uri in uris if _URI.fullmatch(uri)))


def _add_reports(record: str, tag: str, uris: Sequence[str]) -> str:
    """Return the record with as many addresses as one string has room for."""
    joined = f"{record}; {tag}="
    added = ""
    for uri in filter(None, uris):
        longer = f"{added},{uri}" if added else uri
        if len(joined) + len(longer) <= _LONGEST:
            added = longer
    return f"{joined}{added}" if added else record
