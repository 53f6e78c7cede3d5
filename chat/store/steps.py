"""What a store does, step by step, whatever the database: only the append, which has to be fast, is not here.

Each function yields its questions as (SQL, value, …) and is sent the rows that answer them, so that one text
serves a driver that waits in a thread and one that awaits in the event loop. All run in one transaction;
those that write run while nobody else writes to the room.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from chat.names import looks
from chat.rooms import (
    Amendment,
    Done,
    Edit,
    Member,
    Message,
    Notice,
    Page,
    Position,
    Refused,
    Room,
    Verb,
    Window,
    folded,
    new_epoch,
    renamed,
)
from chat.store import Missing, Resync, Taken, queries
from chat.store.queries import LARGEST
from chat.store.rows import Head, before_of, kept, message_of, packed
from chat.store.windows import first_part, newest, until, weight

PORTION, LARGEST_PORTION = 16, 128  # messages that are asked for at once where bytes are counted
UNUSED = 24 * 3600 * 1000  # ms that a room is kept in which nothing was said
IN_USE = 3600 * 1000  # ms that it is kept at least once somebody came
NAMES = 64  # of one person in one room: each is a seat that is never given to anybody else
REMOVED = 500  # rows of an expired room that are removed at a time

NOBODY = 0  # as the author of a key; seats count from 1

T = TypeVar("T")
Rows = Sequence[Sequence[Any]]
Steps = Generator[tuple[Any, ...], Rows, T]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the databases say differently. Lists are given as one parameter."""

    heads: str  # of the rooms with the codes $1: code, epoch, rev
    asked_seats: str  # of room code $1 that are marked other than $2, of the numbers $3, in that order
    mark_seats: str  # as $1, of room $2, the numbers $3
    insert: str  # room, id, rev, at, author, body, notice, before_author, before_at
    new_text: (
        str  # if texts have a table of their own: puts body $1 there and returns what `insert` refers to
    )
    erase: str  # overwrites the text of room $1, message $2 by $3; empty where `rewrite` does
    expired: str  # rooms that expire by $1, at most $2, and locked; by no other node meanwhile
    closed: str  # a room that is to be removed, likewise
    rewrite: str  # rev $1, body (or what refers to it) $2 and edited $3 of room $4, message $5


def agree(name: str, value: str) -> Steps[str]:
    yield queries.NEW_FACT, name, value
    ((agreed,),) = yield queries.FACT, name
    return str(agreed)


def probe(now: int) -> Steps[None]:
    yield queries.PROBE, str(now)


def open_room(now: int, code: str) -> Steps[Room]:
    room = Room(code, new_epoch(), now)
    if not (yield queries.NEW_ROOM, code, room.epoch, now, now + UNUSED):
        raise Taken(code)
    return room


def expire(words: Dialect, now: int) -> Steps[int]:
    """Close rooms that have expired, and remove some of what is in one; the number of rows it was."""
    expired = yield words.expired, now, REMOVED
    for (room,) in expired:
        if (yield queries.SPOKEN_IN, room):  # by a node of a former release, which takes nothing off the list
            yield queries.KEEP_ROOM, room
        elif (yield queries.OCCUPIED, room):
            yield queries.PROLONG, now + IN_USE, room
        else:
            yield queries.CLOSE_ROOM, f"expired {room}", room
    closed = yield (words.closed,)
    return len(expired) + ((yield from _remove(closed[0][0])) if closed else 0)


def _remove(room: int) -> Steps[int]:
    removed = 0
    for delete in queries.EMPTY:
        removed += len((yield delete, room, REMOVED - removed))
        if removed == REMOVED:
            return removed
    yield queries.REMOVE_ROOM, room
    return removed + 1


def find_room(code: str) -> Steps[Room | None]:
    rows = yield queries.ROOM, code
    return Room(*rows[0]) if rows else None


def head_of(code: str) -> Steps[Head]:
    rows = yield queries.HEAD, code
    if not rows:
        raise Missing(f"There is no room {code}.")
    return Head(*rows[0])


def rise(room: int) -> Steps[Head]:
    (row,) = yield queries.RISE, room
    return Head(*row)


def take_seat(now: int, code: str, person: str, name: str) -> Steps[Member]:
    room = (yield from head_of(code)).room
    if held := (yield from held_seat(code, person)):
        return held
    return (yield from _seat_named(now, room, code, person, name))


def _seat_named(now: int, room: int, code: str, person: str, name: str) -> Steps[Member]:
    """The seat that this person had under this name, or a new one."""
    rows = yield queries.FORMER_SEAT, room, person, name
    number, mark = rows[0] if rows else (yield from _new_seat(now, room, person, name))
    yield queries.PROLONG, now + IN_USE, room
    return Member(code, number, person, name, mark)


def _check_names(room: int, person: str) -> Steps[None]:
    ((names,),) = yield queries.NAMES_OF, room, person
    if names >= NAMES:
        raise Refused(f"You have had {NAMES} names in this room. Please use one of them again.", "name")


def _new_seat(now: int, room: int, person: str, name: str) -> Steps[Sequence[int]]:
    yield from _check_names(room, person)
    ((mark,),) = yield queries.MARK, room, person, *looks(name)
    (row,) = yield queries.NEW_SEAT, room, person, name, mark, *looks(name), now
    return row


def held_seat(code: str, person: str) -> Steps[Member | None]:
    rows = yield queries.HELD_SEAT, code, person
    return Member(*rows[0]) if rows else None


def seats_of(code: str, person: str) -> Steps[list[int]]:
    rows = yield queries.SEATS_OF, code, person
    return [number for (number,) in rows]


def here(code: str | None) -> Steps[list[Member]]:
    rows = yield queries.HERE, code
    return [Member(*row) for row in rows]


def rooms_of(person: str, limit: int) -> Steps[list[str]]:
    rows = yield queries.ROOMS_OF, person, limit
    return [code for (code,) in rows]


def end_seat(words: Dialect, now: int, code: str, person: str, successor: str | None) -> Steps[Done | None]:
    member = yield from held_seat(code, person)
    if member is None and successor is None:
        return None
    room = (yield from head_of(code)).room
    done = None
    if member is not None:
        yield queries.END_SEAT, now, room, member.number
        done = yield from _notify(words, now, code, "left", [member], ended=True)
    if successor is not None:
        yield queries.HAND_OVER_SEATS, successor, room, person
    return done


def rename_seat(words: Dialect, now: int, code: str, person: str, name: str) -> Steps[Done | None]:
    old = yield from held_seat(code, person)
    if old is None:
        raise Missing("This person holds no seat in the room.")
    if old.name == name:
        return None
    room = (yield from head_of(code)).room
    if not (yield queries.HAS_NAME, room, person, name):
        yield from _check_names(room, person)  # before anything is written: what is refused is not taken back
    ((here,),) = yield queries.IS_HERE, room, old.number
    yield queries.END_SEAT, now, room, old.number
    new = yield from _seat_named(now, room, code, person, name)
    yield words.mark_seats, here, room, [new.number]
    return (yield from _write_notice(words, now, code, lambda last, at: (renamed(old, new), False)))


def announce(words: Dialect, now: int, code: str, verb: Verb, numbers: Sequence[int]) -> Steps[Done | None]:
    here = int(verb == "entered")
    numbers = [n for n in numbers if _storable(n)]
    rows = yield words.asked_seats, code, 1 - here, numbers
    members = [Member(*row) for row in rows]
    if not members:
        return None
    room = (yield from head_of(code)).room
    yield words.mark_seats, here, room, [m.number for m in members]
    return (yield from _notify(words, now, code, verb, members, ended=False))


def _notify(
    words: Dialect, now: int, code: str, verb: Verb, members: Sequence[Member], ended: bool
) -> Steps[Done]:
    return (
        yield from _write_notice(words, now, code, lambda last, at: folded(last, verb, members, at, ended))
    )


def _write_notice(
    words: Dialect, now: int, code: str, notice_after: Callable[[Message | None, int], tuple[Notice, bool]]
) -> Steps[Done]:
    """Tell the room in a new notice or, where that is its newest message, in the last one."""
    head = yield from rise((yield from head_of(code)).room)
    rows = yield queries.NEWEST, head.room
    last = message_of(rows[0]) if rows else None
    notice, replaces = notice_after(last, now)
    if last and replaces:
        message = replace(last, rev=head.rev, notice=notice)
        yield queries.RENOTICE, head.rev, packed(notice), head.room, last.id
    else:
        before = before_of(last.author, last.at) if last else None
        message = Message(
            head.rev, head.rev, now, None, "", 1, "", kind="notice", notice=notice, before=before
        )
        yield words.insert, *columns(head.room, message, None)
    return Done(code, message, head.position)


def columns(room: int, message: Message, body: Any) -> tuple[Any, ...]:
    """What `Dialect.insert` wants: `body` is the text, or what refers to it."""
    return (
        room,
        message.id,
        message.rev,
        message.at,
        message.author,
        body,
        packed(message.notice),
        *(message.before or (None, None)),
    )


def amend(
    words: Dialect, now: int, code: str, id: int, by: int | None, key: str, change: Amendment
) -> Steps[Done]:
    if not _storable(id, by or NOBODY):
        raise Missing("There is no such number.")
    room = (yield from head_of(code)).room
    author = by or NOBODY
    if repeats := (yield from repeated(code, author, key)):
        return repeats
    old = yield from _changeable(room, id, by)
    body, edited = (change.body, now) if isinstance(change, Edit) else (None, None)
    head = yield from rise(room)
    yield from _rewrite(words, room, old, head.rev, body, edited)
    yield queries.REMEMBER, room, author, key, id, head.rev, now
    return Done(code, replace(old, rev=head.rev, body=body, edited=edited), head.position)


def _rewrite(
    words: Dialect, room: int, old: Message, rev: int, body: str | None, edited: int | None
) -> Steps[None]:
    text: Any = None if body is None else kept(body)
    if words.erase:
        yield words.erase, room, old.id, " " * len(kept(old.body or "").encode())
    if words.new_text and text is not None:
        ((text,),) = yield words.new_text, text
    yield words.rewrite, rev, text, edited, room, old.id


def repeated(code: str, author: int, key: str) -> Steps[Done | None]:
    """What this key did before, with the message as it is now: its former text may be deleted."""
    rows = yield queries.REPEATED, code, author, key
    if not rows:
        return None
    epoch, rev, *entry = rows[0]
    return Done(code, message_of(entry), Position(epoch, rev), duplicate=True)


def _changeable(room: int, id: int, by: int | None) -> Steps[Message]:
    """The text message that seat `by`, or if None anybody, may change."""
    rows = yield queries.MESSAGE, room, id
    message = message_of(rows[0]) if rows else None
    if message is None or message.kind != "text" or message.body is None:
        raise Missing(f"There is no text message {id}.")
    if by is not None and not (yield from _same_person(room, by, message.author)):
        raise Missing(f"Message {id} is not theirs.")
    return message


def _same_person(room: int, one: int, other: int | None) -> Steps[bool]:
    ((people, seats),) = yield queries.PEOPLE_OF, room, one, other
    return one == other or (people, seats) == (1, 2)


def history(code: str, before: int | None, limit: int, most: int) -> Steps[Page]:
    head = yield from head_of(code)
    end = LARGEST if before is None else max(0, min(before, LARGEST))
    limit = max(0, min(limit, LARGEST - 1))
    rows = yield queries.OLDER, head.room, end, limit + 1
    found = [message_of(row) for row in reversed(rows[:limit])]
    messages = list(newest(found, most))
    return Page(messages, head.position, more=len(rows) > len(messages))


def changes(code: str, since: Position, window: int, most: int) -> Steps[Window]:
    head = yield from head_of(code)
    if since.epoch != head.epoch or not 0 <= since.rev <= head.rev:
        raise Resync
    end = min(head.rev, since.rev + max(window, 0))
    created, known = yield from _in_portions(queries.CREATED, head.room, since.rev, end, most)
    changed, known = yield from _in_portions(queries.CHANGED, head.room, since.rev, known, most, since.rev)
    part = first_part(*until(changed, created, known), most)
    return Window(part.created, part.changed, Position(head.epoch, part.rev), head.rev)


def _in_portions(
    sql: str, room: int, since: int, end: int, most: int, *more: int
) -> Steps[tuple[list[Message], int]]:
    """The messages due in (since, end], and up to where those are all: perhaps it is enough before the end.

    How long they are is known only afterwards, so the portions grow while they turn out to be short.
    """
    found: list[Message] = []
    total, portion = 0, PORTION
    while True:
        rows = yield sql, room, since, end, *more, portion
        messages = [message_of(row) for row in rows]
        found += messages
        total += sum(map(weight, messages))
        if len(rows) < portion:
            return found, end
        since = messages[-1].rev if more else messages[-1].id
        if total >= most:
            return found, since
        if total < most // 4:
            portion = min(2 * portion, LARGEST_PORTION)


def heads(words: Dialect, codes: Sequence[str]) -> Steps[dict[str, Position]]:
    rows = yield words.heads, list(codes)
    return {code: Position(epoch, rev) for code, epoch, rev in rows}


def _storable(*numbers: int) -> bool:
    return all(abs(n) <= LARGEST for n in numbers)
