"""What Prometheus is told: every event of the log counted, and how much the ledger holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bounced.logs import Event

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class EventCounter:
    """Counts the lines of the log by event; a processor of structlog that changes nothing."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter({event.value: 0 for event in Event})

    def __call__(
        self, _logger: object, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Count one line."""
        self._counts[line["event"]] += 1
        return line

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how often each event was logged since the start."""
        return dict(self._counts)


def render(events: Mapping[str, int], states: Mapping[str, Mapping[str, int]] | None) -> bytes:
    """Return the page of metrics.

    `states` gives, for reports, cases and notices, how many are in each state; None: the database
    does not answer.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(events, states))
    return generate_latest(registry)


class _Collector(Collector):
    """What is known at one scrape."""

    def __init__(
        self, events: Mapping[str, int], states: Mapping[str, Mapping[str, int]] | None
    ) -> None:
        self._events = events
        self._states = states

    def collect(self) -> Iterator[Metric]:
        counted = CounterMetricFamily(
            "bounced_events", "Lines of the log since the start, by event.", labels=["event"]
        )
        for event, count in sorted(self._events.items()):
            counted.add_metric([event], count)
        yield counted
        yield GaugeMetricFamily(
            "bounced_database_up",
            "Whether the database answers.",
            value=float(self._states is not None),
        )
        for what, counts in (self._states or {}).items():
            gauge = GaugeMetricFamily(
                f"bounced_{what}",
                f"{what.capitalize()} in the ledger, by state.",
                labels=["state"],
            )
            for state, count in sorted(counts.items()):
                gauge.add_metric([state], count)
            yield gauge
