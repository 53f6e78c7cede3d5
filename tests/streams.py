"""The page that never ends, as it arrives over Quart's test client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from people import PATIENCE, Person


async def read_until(connection: Any, text: str) -> str:
    """What arrives, up to and with this text."""
    arrived = ""
    async with asyncio.timeout(PATIENCE):
        while text not in arrived:
            arrived += (await connection.receive()).decode()
    return arrived


@asynccontextmanager
async def streaming(
    person: Person, address: str, gate: asyncio.Event | None = None, /, **headers: str
) -> AsyncIterator[Any]:
    """The connection of a page, which is left at the end. It takes nothing more while its gate is shut."""
    connection: Any = person.client.request(address, headers=headers)

    async def send(message: Any) -> None:
        if gate:
            await gate.wait()
        await connection._asgi_send(message)

    page = asyncio.ensure_future(person.app(connection.scope, connection._asgi_receive, send))
    await connection.send_complete()
    try:
        yield connection
    finally:
        await connection.disconnect()
        async with asyncio.timeout(PATIENCE):
            await page
