from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from bounced.values import (
    DkimCname,
    PublicUrl,
    QuietTimes,
    WebAddress,
    parse_dkim_cname,
    parse_quiet_times,
)

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietTimes(time(22), time(6))
NOON = QuietTimes(time(12), time(13, 30))
SUMMER_BEGINS, SUMMER_ENDS = "2026-03-29", "2026-10-25"


def at(local: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=BERLIN, fold=fold)


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        (NIGHT, "2026-11-22T21:59:59", None),
        (NIGHT, "2026-11-22T22:00", "2026-11-23T06:00"),
        (NIGHT, "2026-11-23T00:00", "2026-11-23T06:00"),
        (NIGHT, "2026-11-23T05:59:59", "2026-11-23T06:00"),
        (NIGHT, "2026-11-23T06:00", None),
        (NOON, "2026-11-22T11:59", None),
        (NOON, "2026-11-22T12:00", "2026-11-22T13:30"),
        (NOON, "2026-11-22T13:30", None),
        (NIGHT, "2026-03-28T23:00", f"{SUMMER_BEGINS}T06:00"),
        (NIGHT, "2026-10-24T23:00", f"{SUMMER_ENDS}T06:00"),
        (NIGHT, "2026-12-31T23:00", "2027-01-01T06:00"),
    ],
)
def test_quiet_times_go_by_the_wall_clock(
    hours: QuietTimes, now: str, expected: str | None
) -> None:
    ends = at(expected).astimezone(UTC) if expected else None
    assert hours.find_end(at(now).astimezone(UTC), BERLIN) == ends


def test_the_hour_that_comes_twice_is_quiet_twice() -> None:
    hours = QuietTimes(time(2), time(3))
    first, second = (at(f"{SUMMER_ENDS}T02:30", fold=fold) for fold in (0, 1))
    assert (second.astimezone(UTC) - first.astimezone(UTC)).total_seconds() == 3600
    assert hours.find_end(first, BERLIN) == hours.find_end(second, BERLIN)


def test_quiet_times_are_read_as_they_are_written() -> None:
    assert parse_quiet_times("22:00-06:00") == NIGHT
    assert parse_quiet_times("12:00-13:30") == NOON
    assert parse_quiet_times("") is None


@pytest.mark.parametrize("value", ["22-6", "22:00 - 06:00", "24:00-06:00", "22:60-06:00", 22])
def test_anything_else_are_no_quiet_times(value: object) -> None:
    with pytest.raises(ValueError, match="are no hours"):
        parse_quiet_times(value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bounces.example.com", "https://bounces.example.com"),
        ("https://example.com/bounces/", "https://example.com/bounces"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("", ""),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://bounced_web:8080", "http://bounced_web:8080"),
        ("https://Bounces.Example.com./", "https://Bounces.Example.com."),
    ],
)
def test_a_web_address_loses_its_last_slash(url: str, expected: str) -> None:
    assert TypeAdapter(PublicUrl).validate_python(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "ftp://example.com",
        "https://",
        "https://example.com#top",
        "https://user:secret@example.com",
        "https://example.com/a b",
        'https://example.com/"onload=',
        "https://bücher.example",
        "https://example.com:port",
        "javascript:alert(1)",
        "https://a..example",
        "https://.example",
        "https://-a.example",
        "https://a-.example",
        f"https://{'a' * 64}.example",
        f"https://{'a.' * 127}example",
        "https://%41.example",
        "https://[v1.a]",
        "https://[::1",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="is no web address"):
        TypeAdapter(PublicUrl).validate_python(url)


def test_behind_a_query_no_path_can_stand() -> None:
    url = "https://example.com/hook?site=1"
    assert TypeAdapter(WebAddress).validate_python(url) == url
    with pytest.raises(ValidationError, match="has a query"):
        TypeAdapter(PublicUrl).validate_python(url)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("s1=s1.dkim.example.com", DkimCname("s1", "s1.dkim.example.com")),
        ("S1=S1.dkim.Example.com.", DkimCname("s1", "s1.dkim.example.com")),
        ("a.b=k.{domain}.example.com", DkimCname("a.b", "k.{domain}.example.com")),
    ],
)
def test_a_key_is_a_selector_and_the_host_that_its_cname_leads_to(
    value: str, expected: DkimCname
) -> None:
    assert parse_dkim_cname(value) == expected


@pytest.mark.parametrize("value", ["s1", "=x.example", "s1=", "s1=x", "s1=a..example", 7, "-=x.y"])
def test_what_is_no_key_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is no CNAME of a key"):
        parse_dkim_cname(value)
