"""What it costs that the readers of a room have several looks: a text is rendered once for each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .client import Member, Sender, Ticket, connect_all, hang_up
from .parts import SETTLE, Row, flooded
from .servers import Chat, Options, Use, database, profiled, seats, sqlite

PEOPLE, WINDOW, LOOKS = 200, 20, 8


async def looks(options: Options) -> list[Row]:
    """v: the room of a, whose members have 8 looks beside one"""
    measured: dict[int, tuple[int, Use]] = {}
    for count in (1, LOOKS):
        with database(options) as path:
            [room] = await seats(sqlite(path), 1, PEOPLE)
            with Chat(options, sqlite(path), app="looks_app:create_app()", env={"LOOKS": str(count)}) as chat:
                measured[count] = await _measured(options, chat, room)
    (one, use_of_one), (many, use) = measured[1], measured[LOOKS]
    name = f"v deliveries per CPU s, 1 room × {PEOPLE}, {LOOKS} looks : 1"
    return [Row(name, many / use.cpu, "", one / use_of_one.cpu, 0.9, remark=use.busy)]


async def _measured(options: Options, chat: Chat, tickets: Sequence[Ticket]) -> tuple[int, Use]:
    sender = Sender(tickets[0])
    members = [sender, *map(Member, tickets[1:])]
    await connect_all(members, chat.port)
    await asyncio.sleep(SETTLE)
    seconds, profile = options.seconds(8), profiled(options, chat, "v")
    result = await flooded(members, [sender], WINDOW, seconds, chat.cpu, profile)
    hang_up(members)
    return result


PARTS = {"v": looks}
