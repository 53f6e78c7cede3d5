"""The way of a message in this tree, in turns with an older one. Both are visited over HTTP and sockets."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from .client import Member, Sender, Ticket, connect_all, hang_up
from .parts import SETTLE, Row
from .servers import Chat, Options, database, sqlite
from .talk import Bot, Side, in_turns
from .visits import Visitor, ticket_of

TURNS = 8  # of each tree
LEAST = 0.9
LOADS = (  # rooms, people in each, and texts that the one who writes has on their way
    ("{} rooms × 5, window 1", 400, 5, 1, Sender),
    ("{} rooms × 5, window 10", 400, 5, 10, Sender),
    ("{} rooms × 5, fresh keys, window 1", 400, 5, 1, Bot),
    ("{} room × 200, a page", 1, 200, 20, Sender),
    ("{} room × 200, a bot", 1, 200, 20, Bot),
)


async def before(options: Options) -> list[Row]:
    """z: deliveries per CPU s in small rooms and in a room of 200; baseline: the tree of --tree"""
    rows = []
    for name, some, people, window, kind in LOADS:
        rooms = options.some(some) or some
        async with AsyncExitStack() as stack:
            trees = [None, options.tree] if options.tree else [None]
            sides = [
                await stack.enter_async_context(_side(options, tree, rooms, people, kind)) for tree in trees
            ]
            await sleep(SETTLE)
            await in_turns(sides, window, options.seconds(2), turns=1)  # until all is compiled and cached
            await in_turns(sides, window, options.seconds(2 * TURNS), TURNS)
            older, least = (sides[1].rate, LEAST) if options.tree else (None, None)
            rows.append(Row(f"z {name.format(rooms)}", sides[0].rate, "", older, least))
    return rows


@asynccontextmanager
async def _side(
    options: Options, tree: Path | None, rooms: int, people: int, kind: type[Sender]
) -> AsyncIterator[Side]:
    with database(options) as path, Chat(options, sqlite(path), tree=tree) as chat:
        full = [_tickets(chat.port, people) for _ in range(rooms)]
        who = [kind(tickets[0]) for tickets in full]
        others = [Member(ticket) for tickets in full for ticket in tickets[1:]]
        members = [*who, *others]
        await connect_all(members, chat.port)
        yield Side(chat.port, chat.cpu, who, members)
        hang_up(members)


def _tickets(port: int, people: int) -> list[Ticket]:
    """Of people who come into a new room."""
    visitors = [Visitor(port) for _ in range(people)]
    host, *guests = visitors
    host.create("Member 0")
    for number, guest in enumerate(guests, 1):
        guest.post("/", name=f"Member {number}", code=host.code)
    tickets = [ticket_of(host.code, visitor) for visitor in visitors]
    for visitor in visitors:
        visitor.close()
    return tickets


PARTS = {"z": before}
