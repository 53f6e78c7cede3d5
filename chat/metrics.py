"""What an operator can watch, in Prometheus' words."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """The figures of one process, in a registry of its own so that two apps never share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connections = Gauge("chat_connections", "Open WebSockets.", registry=self.registry)
        self.streams = Gauge("chat_streams", "Open live pages without JavaScript.", registry=self.registry)
        self.rooms = Gauge("chat_rooms_live", "Rooms with somebody here.", registry=self.registry)
        self.redis_away = Gauge(
            "chat_redis_away",
            "1 while Redis, if there is to be one, cannot be asked.",
            registry=self.registry,
        )
        self.messages = Counter("chat_messages", "Changes accepted into the log.", registry=self.registry)
        self.deliveries = Counter("chat_deliveries", "Changes sent, per receiver.", registry=self.registry)
        self.frames = Counter("chat_frames", "WebSocket frames sent.", registry=self.registry)
        self.refusals = Counter("chat_refusals", "Requests refused.", ["reason"], registry=self.registry)
        self.append = Histogram(
            "chat_append_seconds",
            "From accepting a message to its being on disk.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=self.registry,
        )

    def delivered(self, changes: int) -> None:
        """One frame was sent, with that many changes."""
        self.frames.inc()
        self.deliveries.inc(changes)

    def text(self) -> bytes:
        return generate_latest(self.registry)
