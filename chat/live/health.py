"""Whether the store answers, and what open pages show while it does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from chat.live.connection import Connection
from chat.live.registry import PresenceRegistry
from chat.model.errors import Outage
from chat.store import Store, Unavailable
from chat.views.look import Look, once_a_language

CONTACT = 1.5  # s between looks whether the store answers
ANSWER = 3.0  # s for its answer: with the above, every page knows within 6 s

log = logging.getLogger("chat")


class Alerts(Protocol):
    def outage(self, outage: Outage, look: Look) -> str: ...


class StoreHealth:
    def __init__(
        self,
        store: Store,
        registry: PresenceRegistry,
        connections: Iterable[Connection],
        alerts: Alerts,
        recovered: Callable[[], None],
    ) -> None:
        self.store_down = False
        self._announced: Outage = ""
        self._store = store
        self._registry = registry
        self._connections = connections
        self._alerts = alerts
        self._recovered = recovered

    @property
    def outage(self) -> Outage:
        if not self.store_down:
            return ""
        return "all" if self._registry.frozen else "store"

    def announce(self) -> None:
        """Have every page say so if what cannot be reached has changed."""
        if self._announced == self.outage:
            return
        self._announced = self.outage
        log.warning("outage part=%s", self._announced or "none")
        fragment = once_a_language(partial(self._alerts.outage, self._announced))
        for connection in self._connections:
            connection.show("outage", fragment(connection.look))

    async def run(self) -> None:
        """Look for ever; ends by cancellation."""
        while True:
            self._set_health(down=not await self._answers())
            await asyncio.sleep(CONTACT)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER):
                await self._store.ping()
        except (Unavailable, TimeoutError):
            return False
        return True

    def _set_health(self, down: bool) -> None:
        was_down, self.store_down = self.store_down, down
        self.announce()
        if was_down and not down:
            self._recovered()
