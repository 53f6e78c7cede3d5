"""What tests ask of a store, each in one transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from chat.model.changes import Change, Page, Window
from chat.model.members import Member
from chat.model.messages import Amendment, Message, Version
from chat.model.meta import NO_META, Meta
from chat.model.rooms import Position, Room
from chat.store import (
    HISTORY,
    NO_ROOM,
    WINDOW,
    NotFound,
    Store,
    log,
    members,
    messages,
    metadata,
    queries,
    rooms,
)
from chat.store.records import message_of
from chat.store.transaction import Transaction
from chat.store.windows import UNBOUNDED

if TYPE_CHECKING:
    import pytest


async def probe(store: Store) -> None:
    await store.write(NO_ROOM, metadata.probe)


async def get_or_set(store: Store, name: str, value: str) -> str:
    return await store.write(NO_ROOM, metadata.get_or_set, name, value)


async def expire(store: Store) -> int:
    return await store.write(None, rooms.expire)


async def no_extra(tx: Transaction) -> Meta:
    """Of a text that is written by itself, and like any other otherwise."""
    return NO_META


async def open_room(store: Store, code: str) -> Room:
    """One whose log tells of everybody who comes and goes."""
    return await store.write(code, rooms.open_room, code, {"comings": "all"})


async def find_room(store: Store, code: str) -> Room | None:
    return await store.read(rooms.find_room, code)


async def take_seat(store: Store, code: str, person: str, name: str) -> Member:
    return await store.write(code, members.take_seat, code, person, name)


async def find_seat(store: Store, code: str, person: str) -> Member | None:
    return await store.read(members.find_seat, code, person)


async def seats_of(store: Store, code: str, person: str) -> list[int]:
    return await store.read(members.seats_of, code, person)


async def rooms_of(store: Store, person: str, limit: int) -> list[str]:
    return await store.read(members.rooms_of, person, limit)


async def end_seat(store: Store, code: str, person: str, successor: str | None = None) -> Change | None:
    return await store.write(code, members.end_seat, code, person, successor)


async def rename_seat(store: Store, code: str, person: str, name: str) -> Change | None:
    return await store.write(code, members.rename_seat, code, person, name)


async def announce(
    store: Store, code: str, verb: Literal["entered", "away"], seats: Iterable[int]
) -> Change | None:
    return await store.write(code, members.announce, code, verb, list(seats))


async def present(store: Store, code: str | None = None) -> list[Member]:
    return await store.read(members.present, code)


async def find_message(tx: Transaction, code: str, id: int) -> Message:
    """The message, of whatever kind. Raises NotFound."""
    rows = await tx.fetch(queries.MESSAGE, (await log.head_of(tx, code)).room, id)
    if not rows:
        raise NotFound(f"There is no message {id}.")
    return message_of(rows[0])


async def amend(store: Store, code: str, id: int, change: Amendment) -> Change:
    return await store.write(code, _amend, code, id, change)


async def _amend(tx: Transaction, code: str, id: int, change: Amendment) -> Change:
    message = await find_message(tx, code, id)
    if message.body is None:
        raise NotFound(f"There is no text {id}.")
    return await log.amend(tx, Member(code, message.author or 0, "", "", 1), message, change)


async def amend_own(store: Store, member: Member, id: int, change: Amendment) -> Change:
    """As people do it: only what they wrote."""
    return await store.write(member.code, _amend_own, member, id, change)


async def _amend_own(tx: Transaction, member: Member, id: int, change: Amendment) -> Change:
    return await log.amend(tx, member, await messages.own_text(tx, member, id), change)


async def earlier_texts(store: Store, code: str, id: int) -> list[Version]:
    return await store.read(messages.earlier_texts, code, id)


async def history(
    store: Store, code: str, before: int | None = None, limit: int = HISTORY, most: int = UNBOUNDED
) -> Page:
    return await store.snapshot(log.history, code, before, limit, most)


async def changes(
    store: Store, code: str, since: Position, window: int = WINDOW, most: int = UNBOUNDED
) -> Window:
    return await store.snapshot(log.changes, code, since, window, most)


async def heads(store: Store, codes: Sequence[str]) -> dict[str, Position]:
    return await store.read(log.heads, codes)


def asked_for(arguments: Sequence[Any]) -> str:
    """The name of the function that `read`, `snapshot` or `write` was called with."""
    return next((given.__name__ for given in arguments[:2] if callable(given)), "")


def intercept(
    patch: pytest.MonkeyPatch, store: Store, work: Callable[..., Any], instead: Callable[..., Any]
) -> None:
    """Have `instead` answer calls of `work`. It gets a call of the original, and the arguments."""
    for kind in ("read", "snapshot", "write"):
        patch.setattr(store, kind, partial(_intercepted, getattr(store, kind), work, instead))


async def _intercepted(
    original: Callable[..., Any], work: Callable[..., Any], instead: Callable[..., Any], *arguments: Any
) -> Any:
    if work not in arguments[:2]:
        return await original(*arguments)
    return await instead(partial(original, *arguments), *arguments[arguments.index(work) + 1 :])
