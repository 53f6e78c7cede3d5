"""What an operator can watch, in Prometheus' words."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

disable_created_metrics()  # type: ignore[no-untyped-call]  # a line beside each counter that says when this process was started


class Often(Collector):
    """What is counted for every message, in the event loop alone: plain numbers, where a Counter locks."""

    BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

    def __init__(self) -> None:
        self.messages = self.frames = self.deliveries = 0
        self._appends = [0] * (len(self.BUCKETS) + 1)
        self._append_seconds = 0.0

    def delivered(self, frames: int, changes: int) -> None:
        """So many frames were sent, with so many changes in all of them."""
        self.frames += frames
        self.deliveries += changes

    def appended(self, seconds: float) -> None:
        self._appends[bisect_left(self.BUCKETS, seconds)] += 1
        self._append_seconds += seconds

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily("chat_messages", "Changes accepted into the log.", value=self.messages)
        yield CounterMetricFamily("chat_deliveries", "Changes sent, per receiver.", value=self.deliveries)
        yield CounterMetricFamily("chat_frames", "WebSocket frames sent.", value=self.frames)
        counts = zip([*map(floatToGoString, self.BUCKETS), "+Inf"], accumulate(self._appends), strict=True)
        yield HistogramMetricFamily(
            "chat_append_seconds",
            "From accepting a message to its being on disk.",
            buckets=list(counts),
            sum_value=self._append_seconds,
        )


class Metrics:
    """The figures of one process, in a registry of its own so that two apps never share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        gauge = partial(Gauge, registry=self.registry)
        counter = partial(Counter, registry=self.registry)
        self.connections = gauge("chat_connections", "Open WebSockets.")
        self.streams = gauge("chat_streams", "Open live pages without JavaScript.")
        self.rooms = gauge("chat_rooms_live", "Rooms with somebody here.")
        self.redis_away = gauge("chat_redis_away", "1 while Redis, if there is to be one, cannot be asked.")
        self.store_away = gauge("chat_store_away", "1 while the store cannot be asked.")
        self.store_waiting = gauge("chat_store_waiting", "Writes that wait for their commit.")
        self.check_age = gauge(
            "chat_check_age_seconds", "Since all live rooms were last compared with the log."
        )
        self.nodes = gauge("chat_nodes", "Nodes with a lease in Redis; 0 if that is not known.")
        self.people = gauge("chat_people", "People here on this node, counted in each of their rooms.")
        self.unknown = counter("chat_store_unknown", "Writes whose outcome is unknown.")
        self.repairs = counter("chat_repairs", "Times a live room was read from the log.")
        self.hints = counter("chat_hints", "Changes announced to other nodes over Redis.", ["way"])
        for way in ("published", "received", "dropped"):
            self.hints.labels(way)
        self.interruptions = counter("chat_hints_interrupted", "Times this node stopped receiving hints.")
        self.often = Often()
        self.registry.register(self.often)
        self.refusals = counter("chat_refusals", "Requests refused.", ["reason"])
        self.delivered, self.appended = self.often.delivered, self.often.appended

    def hinted(self, way: str, changes: int) -> None:
        """That many changes were `published` to other nodes, `received` from them, or `dropped`."""
        self.hints.labels(way).inc(changes)

    def text(self) -> bytes:
        return generate_latest(self.registry)
