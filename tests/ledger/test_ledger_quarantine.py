"""The quarantine: measured, chosen from, released, purged; a flood takes nothing of others."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from bounced.ledger import quarantine, reports
from bounced.ledger.engine import Ledger
from bounced.ledger.quarantine import (
    ROW_BYTES,
    STEP,
    STEP_BYTES,
    Chosen,
    Envelope,
    Holding,
    Purged,
    find_network,
    share_out,
)
from bounced.ledger.schema import failures, report_contents
from bounced.model import TokenType
from bounced.origin.token import Token
from tests.ledger.office import DAY, HOUR, MINUTE, START, Office, bounce
from tests.ledger.strangers import FLOOD, HONEST, THIRD, WEIGHT, list_held, put


def purge(ledger: Ledger, excess: int) -> Purged:
    """Purge by shares, step by step, to the end."""
    weights = ledger.read(quarantine.weigh_networks)
    step = ledger.write(lambda c: quarantine.purge_shares(c, share_out(weights, excess)))
    purged = step.purged
    while step.after is not None:
        step = ledger.write(
            lambda c, last=step: quarantine.purge_shares(c, last.shares, last.after)  # type: ignore[misc] # a lambda has no annotations
        )
        purged += step.purged
    return purged


def test_what_lies_there_is_measured(ledger: Ledger) -> None:
    assert ledger.read(quarantine.measure) == Holding(0, 0, None)
    put(ledger, FLOOD, 2, at=START + HOUR)
    put(ledger, HONEST, 1, at=START, why="unsigned")
    assert ledger.read(quarantine.measure) == Holding(3, 3 * WEIGHT, START)
    assert ledger.read(quarantine.count_whys) == {"client-not-own-relay": 2, "unsigned": 1}
    for since, received in ((START, 3), (START + MINUTE, 2), (START + DAY, 0)):
        found = ledger.read(lambda c, at=since: quarantine.count_received(c, at))  # type: ignore[misc] # a lambda has no annotations
        assert found == received


def test_what_counts_or_waits_is_not_in_it(office: Office) -> None:
    office.receive(bounce("a"))
    office.ledger.write(lambda c: reports.append(c, [replace(bounce("b").arrival)]))
    assert office.ledger.read(quarantine.measure) == Holding(0, 0, None)
    assert office.ledger.write(lambda c: quarantine.purge_older(c, START + 900 * DAY)) == Purged()
    assert purge(office.ledger, 10**9) == Purged()
    assert office.find_case()["strikes"] == 1


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Chosen(), [THIRD, HONEST, FLOOD]),
        (Chosen(client=ipaddress.ip_network(FLOOD)), [FLOOD]),
        (Chosen(client=ipaddress.ip_network("192.0.2.0/24")), [FLOOD]),
        (Chosen(client=ipaddress.ip_network("2001:db8::/32")), [THIRD]),
        (Chosen(client="local"), []),
        (Chosen(why="unsigned"), [HONEST]),
        (Chosen(since=START + MINUTE), [THIRD, HONEST]),
        (Chosen(why="unsigned", client=ipaddress.ip_network(FLOOD)), []),
    ],
)
def test_reports_are_chosen_newest_first(
    ledger: Ledger, chosen: Chosen, expected: list[str]
) -> None:
    ids = {
        put(ledger, FLOOD)[0]: FLOOD,
        put(ledger, HONEST, at=START + HOUR, why="unsigned")[0]: HONEST,
        put(ledger, THIRD, at=START + DAY)[0]: THIRD,
    }
    assert [ids[report] for report in list_held(ledger, chosen)] == expected


def test_a_limit_is_one_of_what_fits(ledger: Ledger) -> None:
    put(ledger, FLOOD, 5, at=START + DAY)
    ids = put(ledger, HONEST, 3)
    chosen = Chosen(client=ipaddress.ip_network(HONEST))
    assert list_held(ledger, chosen, 2) == [ids[2], ids[1]]


def test_a_client_without_an_address_is_chosen_by_its_name(ledger: Ledger) -> None:
    local, file = put(ledger, "local"), put(ledger, None)
    assert list_held(ledger, Chosen(client="local")) == local
    assert list_held(ledger, Chosen(client=ipaddress.ip_network("0.0.0.0/0"))) == []
    assert set(list_held(ledger)) == {*local, *file}


def test_a_release_vouches_once_and_keeps_how_it_came(ledger: Ledger) -> None:
    (report,) = put(ledger, FLOOD)
    assert ledger.read(lambda c: quarantine.read_envelopes(c, [report, "0"])) == [
        Envelope(report, START, "bounces@bounce.example.com", "", None)
    ]
    assert ledger.write(lambda c: quarantine.release(c, report))
    assert not ledger.write(lambda c: quarantine.release(c, report))
    (stored,) = ledger.read(lambda c: reports.read_stored(c, [report]))
    assert (stored.arrival.vouched, stored.arrival.door, stored.arrival.token_type) == (
        True,
        "mailbox",
        None,
    )
    assert ledger.read(lambda c: quarantine.read_envelopes(c, [report])) == []


def test_a_release_with_a_token_is_its_sends(ledger: Ledger) -> None:
    (report,) = put(ledger, FLOOD)
    token = Token(TokenType.SEND, "b", bytes(range(8)), 20_000)
    assert ledger.write(lambda c: quarantine.release(c, report, token))
    (stored,) = ledger.read(lambda c: reports.read_stored(c, [report]))
    arrival = stored.arrival
    assert (arrival.door, arrival.token_type, arrival.token_id, arrival.token_day) == (
        "token",
        TokenType.SEND,
        "0001020304050607",
        20_000,
    )


def test_only_what_is_in_quarantine_is_dropped(office: Office) -> None:
    office.receive(bounce("a"))
    (held,) = put(office.ledger, FLOOD)
    counted = bounce("a").arrival.report
    done = [
        office.ledger.write(lambda c, r=r: quarantine.drop(c, r))  # type: ignore[misc] # a lambda has no annotations
        for r in (held, held, counted)
    ]
    assert done == [True, False, False]


def test_what_is_too_old_goes_with_its_message_and_its_recipients(office: Office) -> None:
    old = replace(bounce("a", at=START - DAY), quarantined=True, why="unsigned")
    new = replace(bounce("b"), quarantined=True, why="unsigned")
    office.receive(old, new)
    purged = office.ledger.write(lambda c: quarantine.purge_older(c, START))
    assert purged == Purged(1, len(old.arrival.raw) + ROW_BYTES)
    assert office.ledger.write(lambda c: quarantine.purge_older(c, START)) == Purged()
    assert list_held(office.ledger) == [new.arrival.report]
    for table in (report_contents, failures):
        left = office.ledger.read(lambda c, t=table: c.execute(select(t.c.report)).scalars().all())  # type: ignore[misc] # a lambda has no annotations
        assert left == [new.arrival.report]


def test_a_flood_pushes_out_itself_its_oldest_first(ledger: Ledger) -> None:
    flood = put(ledger, FLOOD, STEP + 100)
    honest = put(ledger, HONEST, 3, at=START - DAY)
    third = put(ledger, THIRD, 2)
    assert purge(ledger, (STEP + 50) * WEIGHT) == Purged(STEP + 50, (STEP + 50) * WEIGHT)
    assert set(list_held(ledger)) == {*flood[STEP + 50 :], *honest, *third}


def test_a_flood_from_one_ipv6_network_is_one_flood(ledger: Ledger) -> None:
    flood = [
        put(ledger, f"2001:db8::{number}", at=START + number * MINUTE)[0] for number in range(6)
    ]
    honest = put(ledger, HONEST, 3)
    purge(ledger, 3 * WEIGHT)
    assert set(list_held(ledger)) == {*flood[3:], *honest}


@pytest.mark.parametrize("excess", [1, 3, 4, 5])
def test_what_is_signed_goes_last_of_a_host(ledger: Ledger, excess: int) -> None:
    signed = put(ledger, FLOOD, 2, at=START, token_type=TokenType.SEND)
    unsigned = put(ledger, FLOOD, 3, at=START + HOUR)
    assert purge(ledger, excess * WEIGHT) == Purged(excess, excess * WEIGHT)
    assert set(list_held(ledger)) == set([*unsigned, *signed][excess:])


def test_one_transaction_deletes_only_so_much(ledger: Ledger) -> None:
    ids = put(ledger, FLOOD, 4, size=STEP_BYTES // 3)
    step = ledger.write(lambda c: quarantine.purge_shares(c, {FLOOD: 10**9}))
    assert step.purged.reports == 2
    assert step.after == (False, START + MINUTE / 60, ids[1])
    rest = ledger.write(lambda c: quarantine.purge_shares(c, step.shares, step.after))
    assert list_held(ledger) == []
    assert rest.shares == {FLOOD: 10**9 - 4 * (STEP_BYTES // 3 + ROW_BYTES)}


def test_one_node_purges_at_a_time(postgres_url: str) -> None:
    one, other = Ledger(postgres_url), Ledger(postgres_url)
    put(one, FLOOD, 3)
    with one.engine.begin() as connection:
        assert quarantine.purge_shares(connection, {FLOOD: WEIGHT}).purged == Purged(1, WEIGHT)
        step = other.write(lambda c: quarantine.purge_shares(c, {FLOOD: WEIGHT}))
        assert (step.purged, step.after) == (Purged(), None)
        assert other.write(lambda c: quarantine.purge_older(c, START + DAY)) == Purged()
    assert other.write(lambda c: quarantine.purge_older(c, START + DAY)).reports == 2
    one.close()
    other.close()


def test_pages_that_a_purge_gives_back_count_as_free(sqlite_url: str) -> None:
    ledger = Ledger(sqlite_url)
    put(ledger, FLOOD, 10, size=100_000)
    before = ledger.read(quarantine.count_free_bytes)
    purged = purge(ledger, 10**9)
    freed = ledger.read(quarantine.count_free_bytes) - before
    assert purged.reports == 10
    assert freed >= 10 * 100_000
    pages = ledger.read(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
    put(ledger, FLOOD, 9, size=100_000)
    assert ledger.read(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one()) == pages
    ledger.close()


def test_the_size_tells_about_what_the_database_takes(sqlite_url: str) -> None:
    office = Office(Ledger(sqlite_url))

    def count_bytes() -> int:
        query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return int(office.ledger.read(lambda c: c.exec_driver_sql(query).scalar_one()))

    before = count_bytes()
    found = [
        replace(bounce(f"{number}", f"{number}@kunde.example"), quarantined=True, why="unsigned")
        for number in range(1000)
    ]
    office.receive(*found)
    told = office.ledger.read(quarantine.measure).bytes
    assert 0.8 < told / (count_bytes() - before) < 1.5
    office.ledger.close()


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("2001:DB8:0:0:ffff::", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
        (None, ""),
        ("\ud800 no address", "\ud800 no address"),
    ],
)
def test_a_host_is_an_address_or_a_64_network(client: str | None, network: str) -> None:
    assert find_network(client) == network


@pytest.mark.parametrize(
    ("weights", "excess", "shares"),
    [
        ({}, 5, {}),
        ({"a": 100, "b": 10}, 50, {"a": 50}),
        ({"a": 100, "b": 90, "c": 10}, 50, {"a": 30, "b": 20}),
        ({"a": 100, "b": 100}, 1, {"a": 1, "b": 1}),
        ({"a": 100, "b": 10}, 110, {"a": 100, "b": 10}),
        ({"a": 100, "b": 10}, 500, {"a": 100, "b": 10}),
    ],
)
def test_the_heaviest_loses_first(
    weights: Mapping[str, int], excess: int, shares: Mapping[str, int]
) -> None:
    assert share_out(weights, excess) == shares


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 10**6), max_size=20),
    st.integers(1, 10**7),
)
def test_shares_are_enough_and_no_heavier_network_keeps_more_than_a_lighter_lost(
    weights: dict[str, int], excess: int
) -> None:
    shares = share_out(weights, excess)
    left = {name: weight - shares.get(name, 0) for name, weight in weights.items()}
    assert sum(shares.values()) >= min(excess, sum(weights.values()))
    assert sum(shares.values()) < excess + len(weights) or sum(left.values()) == 0
    assert len({left[name] for name in shares}) <= 1
    assert all(
        left[name] <= min(left[each] for each in shares)
        for name in left
        if shares and name not in shares
    )
