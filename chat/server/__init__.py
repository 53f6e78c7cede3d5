"""Bounds that Hypercorn does not set itself: what a peer may cost, and how a worker ends (decision 7)."""

from chat.server import accepting, bounds, connections, refusal, requests, websockets, worker
from chat.server.answers import OneTaskRequest
from chat.server.bodies import BoundedRequest
from chat.server.guards import install
from chat.server.queues import BoundedWebsocket
from chat.server.worker import Options

__all__ = [
    "BoundedRequest",
    "BoundedWebsocket",
    "OneTaskRequest",
    "Options",
    "accepting",
    "bounds",
    "connections",
    "install",
    "refusal",
    "requests",
    "websockets",
    "worker",
]
