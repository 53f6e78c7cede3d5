"""The connections of this node: how many each person has, and how they end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence

from chat.live.connection import POLICY, RESTART, Close, Connection
from chat.live.registry import PresenceRegistry
from chat.model.sentences import Sentence

SOCKETS = 10  # connections of one person
AT_ONCE = 500  # connections that are asked to come back before the next ones are

TOO_MANY_TABS = Close(
    POLICY, Sentence("This room is open in more than %(n)s tabs, so this one was closed.", n=SOCKETS)
)


class Connections:
    def __init__(self, registry: PresenceRegistry) -> None:
        self._registry = registry
        self._by_person: dict[str, list[Connection]] = {}  # oldest first
        self._by_id: dict[int, Connection] = {}
        self._ids = itertools.count(1)
        self._terminating = False

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._by_id.values())

    def of(self, person: str) -> Sequence[Connection]:
        """Those of a person on this node."""
        return self._by_person.get(person, ())

    def admit(self, connection: Connection, counts: bool = True) -> None:
        """A connection is open. It counts among the few of its person at once, or when `count` says so."""
        connection.id = next(self._ids)
        self._by_id[connection.id] = connection
        self._by_person.setdefault(connection.member.person, []).append(connection)
        if counts:
            self.count(connection)
        else:
            self._make_room(connection)
        if self._terminating:
            connection.close(Close(RESTART))

    def count(self, connection: Connection) -> None:
        """A page uses this connection."""
        mine = self._by_person[connection.member.person]
        mine.remove(connection)
        mine.append(connection)  # now it is the newest
        connection.counts = True
        self._registry.opened(connection.member.person, connection.id)
        self._make_room(connection)

    def _make_room(self, newest: Connection) -> None:
        """A person has few connections, and as few that do not count yet: the oldest goes for the newest."""
        mine = self._by_person[newest.member.person]
        alike = [connection for connection in mine if connection.counts == newest.counts]
        for oldest in alike[:-SOCKETS]:  # some may have been closed before and have yet to end
            oldest.close(TOO_MANY_TABS)

    def remove(self, connection: Connection) -> None:
        """A connection has ended."""
        del self._by_id[connection.id]
        if connection.counts:
            self._registry.closed(connection.member.person, connection.id)
        mine = self._by_person[connection.member.person]
        mine.remove(connection)
        if not mine:
            del self._by_person[connection.member.person]

    def evict(self, id: int) -> None:
        """Close a connection whose person has opened too many newer ones, perhaps on other nodes."""
        if connection := self._by_id.get(id):
            connection.close(TOO_MANY_TABS)

    def close(self, code: str, person: str, close: Close) -> None:
        """Close every connection that a person has to a room."""
        for connection in self.of(person):
            if connection.member.code == code:
                connection.close(close)

    async def terminate(self) -> None:
        """Tell every connection to come back in a moment, a few hundred at a time."""
        self._terminating = True
        everybody = list(self)
        for start in range(0, len(everybody), AT_ONCE):
            for connection in everybody[start : start + AT_ONCE]:
                connection.close(Close(RESTART))
            await asyncio.sleep(0.02)

    def show(self, person: str, slot: str, fragment: str) -> None:
        """Send every page of a person a fragment soon, whatever room it is in."""
        for connection in self.of(person):
            connection.show(slot, fragment)
