"""Publishes over connections of its own, many publications in one round trip."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence

from redis.asyncio.connection import Connection

from chat.cluster.client import FAILURES, open_connection

Connect = Callable[[Iterable[str]], Awaitable[list[tuple[Connection, list[str]]]]]


class Publisher:
    """Sends SPUBLISH to the server of each channel. `connect` creates the connections, not yet open."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._publishers: dict[str, Connection] = {}  # by channel

    async def publish(self, payloads: Sequence[tuple[str, str]]) -> None:
        """Publish (channel, payload) pairs. One caller at a time."""
        if self._publishers:
            try:
                await self._publish(payloads)
                return
            except FAILURES:  # the connection may have died long ago
                pass
        await self._publish(payloads)

    async def close(self) -> None:
        publishers, self._publishers = set(self._publishers.values()), {}
        for publisher in publishers:
            await publisher.disconnect(nowait=True)

    async def _publish(self, payloads: Sequence[tuple[str, str]]) -> None:
        try:
            if not all(channel in self._publishers for channel, _ in payloads):
                await self._open({channel for channel, _ in payloads} | set(self._publishers))
            commands: dict[Connection, list[tuple[str, str, str]]] = defaultdict(list)
            for channel, payload in payloads:
                commands[self._publishers[channel]].append(("SPUBLISH", channel, payload))
            for publisher, some in commands.items():
                packed = publisher.pack_commands(some)
                await publisher.send_packed_command(packed, check_health=False)
            for publisher, some in commands.items():
                for _ in some:
                    await publisher.read_response(disable_decoding=True)
        except BaseException:  # an unread reply would be taken for that of the next command
            await self.close()
            raise

    async def _open(self, channels: Iterable[str]) -> None:
        await self.close()
        for connection, channels_of_one in await self._connect(channels):
            self._publishers |= dict.fromkeys(channels_of_one, connection)
            await open_connection(connection)
