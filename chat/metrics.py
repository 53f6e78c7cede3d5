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
        self.store_away = Gauge(
            "chat_store_away", "1 while the store cannot be asked.", registry=self.registry
        )
        self.store_waiting = Gauge(
            "chat_store_waiting", "Writes that wait for their commit.", registry=self.registry
        )
        self.check_age = Gauge(
            "chat_check_age_seconds",
            "Since all live rooms were last compared with the log.",
            registry=self.registry,
        )
        self.nodes = Gauge(
            "chat_nodes", "Nodes with a lease in Redis; 0 if that is not known.", registry=self.registry
        )
        self.people = Gauge(
            "chat_people", "People here on this node, counted in each of their rooms.", registry=self.registry
        )
        self.unknown = Counter(
            "chat_store_unknown", "Writes whose outcome the store did not tell.", registry=self.registry
        )
        self.repairs = Counter(
            "chat_repairs", "Times a live room was read from the log.", registry=self.registry
        )
        self.hints = Counter("chat_hints", "Changes told over Redis.", ["way"], registry=self.registry)
        for way in ("published", "received", "dropped"):
            self.hints.labels(way)
        self.interruptions = Counter(
            "chat_hints_interrupted", "Times this node stopped hearing hints.", registry=self.registry
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

    def hinted(self, way: str, changes: int) -> None:
        """That many changes were `published` to other nodes, `received` from them, or `dropped`."""
        self.hints.labels(way).inc(changes)

    def text(self) -> bytes:
        return generate_latest(self.registry)
