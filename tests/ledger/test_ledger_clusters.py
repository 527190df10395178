"""Clusters of unknown texts: each found once, counted as long as they are unknown."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bounced.ledger import clusters
from bounced.ledger.engine import Ledger
from bounced.ledger.reports import Finding
from bounced.model import RecipientFacts, Reply
from bounced.parser.cluster import find_cluster
from tests.ledger.office import HOUR, MINUTE, START, USER_UNKNOWN, Office, bounce

TEXTS = [f"550 xyzzy {'plugh ' * number}" for number in range(1, 21)]


def make_unknown(send: str, text: str, minute: int = 0, report: str | None = None) -> Finding:
    finding = bounce(send, at=START + minute * MINUTE, report=report)
    (facts,) = finding.report.recipients
    said = replace(facts, replies=(Reply(text, "part 2"),))
    return replace(
        finding,
        report=replace(finding.report, recipients=(said,)),
        clusters=(find_cluster(RecipientFacts(replies=said.replies)),),
    )


def test_a_cluster_is_found_by_the_first_report_alone(office: Office) -> None:
    first = make_unknown("a", "550 xyzzy", report="1111111111111111")
    again = make_unknown("b", "550 Xyzzy.", report="2222222222222222")
    cluster = first.clusters[0]
    assert cluster is not None
    found = office.receive(first, again)
    assert [outcome.clusters for outcome in found] == [(cluster.cluster,), ()]
    assert [outcome.clusters for outcome in office.receive(first, again)] == [(), ()]


def test_two_daemons_find_each_cluster_once(ledger_url: str) -> None:
    def find_all(node: int) -> list[str]:
        office = Office(Ledger(ledger_url))
        found: list[str] = []
        for number, text in enumerate(TEXTS if node else TEXTS[::-1]):
            report = f"{node:08x}{number:08x}"
            (outcome,) = office.receive(make_unknown(f"{node}{number}", text, report=report))
            found += outcome.clusters
        office.ledger.close()
        return found

    with ThreadPoolExecutor(2) as pool:
        found = [cluster for of_node in pool.map(find_all, range(2)) for cluster in of_node]
    assert len(found) == len(set(found)) == len(TEXTS)


def test_batches_that_meet_the_same_clusters_in_other_orders_do_not_lock_each_other_out(
    ledger_url: str,
) -> None:
    def find_all(node: int) -> list[str]:
        office = Office(Ledger(ledger_url))
        texts = TEXTS if node else TEXTS[::-1]
        batch = [
            replace(make_unknown(f"{node}{number}", text, report=f"{node:08x}{number:08x}"))
            for number, text in enumerate(texts)
        ]
        found = [cluster for outcome in office.receive(*batch) for cluster in outcome.clusters]
        office.ledger.close()
        return found

    with ThreadPoolExecutor(2) as pool:
        found = [cluster for of_node in pool.map(find_all, range(2)) for cluster in of_node]
    assert len(found) == len(set(found)) == len(TEXTS)


def test_a_report_in_quarantine_finds_nothing(office: Office) -> None:
    finding = replace(make_unknown("a", "550 xyzzy"), quarantined=True, why="not-ours")
    (outcome,) = office.receive(finding)
    assert (outcome.clusters, office.dump("text_clusters")) == ((), {"text_clusters": []})


def test_clusters_are_listed_the_most_frequent_first(office: Office) -> None:
    office.receive(
        make_unknown("a", "550 xyzzy", 0, "1111111111111111"),
        make_unknown("b", "550 XYZZY!", 5, "2222222222222222"),
        make_unknown("c", "550 plugh", 9, "3333333333333333"),
    )
    first, second = office.ledger.read(clusters.list_clusters)
    cluster = first.pop("cluster")
    assert first == {
        "text": "xyzzy",
        "count": 2,
        "first_seen_at": START,
        "last_seen_at": START + 5 * MINUTE,
        "report": "2222222222222222",
        "sample": "550 XYZZY!",
    }
    assert (second["text"], second["count"]) == ("plugh", 1)
    late = office.ledger.read(lambda c: clusters.list_clusters(c, since=START + MINUTE))
    assert [(row["text"], row["count"]) for row in late] == [("plugh", 1), ("xyzzy", 1)]
    samples = office.ledger.read(lambda c: clusters.list_samples(c, cluster, limit=1))
    assert [(row["report"], row["text"]) for row in samples] == [
        ("2222222222222222", "550 XYZZY!")
    ]


def test_a_cluster_without_a_failure_is_not_listed(office: Office) -> None:
    finding = make_unknown("a", "550 xyzzy")
    office.receive(finding)
    office.move(HOUR)
    office.receive(replace(finding, clusters=(), verdicts=(USER_UNKNOWN,)))
    assert office.ledger.read(clusters.list_clusters) == []
    assert len(office.dump("text_clusters")["text_clusters"]) == 1
    office.receive(finding)
    (row,) = office.ledger.read(clusters.list_clusters)
    assert row["count"] == 1
