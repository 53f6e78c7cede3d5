"""The rooms in which a person has a seat: what was said last in each, what is unread, and what is begun.

All of that is one question, whose cost is bounded: home and the list beside each room ask it again and again.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from chat.model.members import Member
from chat.model.mentions import EVERYBODY
from chat.model.messages import Message
from chat.model.rooms import Room
from chat.store.records import load_member, load_room, message_of
from chat.store.transaction import Dialect, Transaction

SHOWN = 50  # rooms of one person, those in which something was said last
CONSIDERED = 200  # rooms that are looked at for that, those into which they came last
COUNTED = 100  # unread messages of a room that are counted
LOOKED_AT = 1000  # messages that are looked at for that: notices, own and deleted ones do not count
LOOKED_BACK = 200  # revs before the newest in which the last text is looked for

# SQLite looks into `entry` with an index only where it stands alone in a question.
MY_ROOMS = """
WITH mine AS (
  SELECT room, number, person, name, mark, meta FROM seat WHERE person = $1 AND ended IS NULL
  ORDER BY taken DESC LIMIT $2
), newest AS (
  SELECT mine.*, code, epoch, opened, room.meta AS room_meta, message.id, message.rev, at, author, kind,
    message.meta AS message_meta, before_author, before_at, coalesce(at, opened) AS newest_at
  FROM mine JOIN room ON room.id = mine.room
  LEFT JOIN message ON message.room = room.id AND message.id = coalesce(
    (SELECT id FROM entry WHERE entry.room = room.id AND entry.id > room.rev - $3
      AND kind = 'text' AND has_text AND NOT MINE_IGNORES ORDER BY id DESC LIMIT 1),
    (SELECT max(id) FROM message WHERE message.room = room.id))
  WHERE coalesce(expires, 1) > 0
  ORDER BY newest_at DESC, mine.room DESC LIMIT $4
)
SELECT
  (SELECT count(*) FROM (
    SELECT 1 FROM (
      SELECT author, kind, has_text FROM entry
      WHERE entry.room = newest.room AND entry.id > coalesce(read_position.rev, 0) ORDER BY id LIMIT $5
    ) AS seen
    WHERE kind = 'text' AND has_text AND NOT NEWEST_IGNORES AND NOT EXISTS (
      SELECT 1 FROM seat WHERE seat.room = newest.room AND seat.number = author AND seat.person = $1
    )
    LIMIT $6
  ) AS unread),
  (SELECT count(*) FROM (
    SELECT 1 FROM (
      SELECT author, meta FROM message AS said
      WHERE said.room = newest.room AND id > coalesce(read_position.rev, 0) AND meta LIKE '%"mentions":%'
      ORDER BY id LIMIT $5
    ) AS seen
    WHERE NOT NEWEST_IGNORES AND NOT EXISTS (
      SELECT 1 FROM seat WHERE seat.room = newest.room AND seat.number = author AND seat.person = $1
    ) AND (NAMES_ALL OR EXISTS (
      SELECT 1 FROM seat WHERE seat.room = newest.room AND seat.person = $1 AND NAMES_SEAT
    ))
    LIMIT $6
  ) AS mentioned),
  coalesce(read_position.rev, 0),
  EXISTS (SELECT 1 FROM seat WHERE seat.room = newest.room AND present = 1 AND seat.number <> newest.number),
  EXISTS (SELECT 1 FROM draft WHERE draft.room = newest.room AND draft.seat = newest.number AND edited = 0),
  code, epoch, opened, room_meta,
  code, number, person, name, mark, meta,
  id, newest.rev, at, author,
  (SELECT name FROM seat WHERE seat.room = newest.room AND seat.number = author),
  (SELECT mark FROM seat WHERE seat.room = newest.room AND seat.number = author),
  (SELECT body FROM entry WHERE entry.room = newest.room AND entry.id = newest.id),
  kind, message_meta, before_author, before_at
FROM newest LEFT JOIN read_position ON read_position.room = newest.room AND read_position.seat = newest.number
ORDER BY newest_at DESC, newest.room DESC
"""
LAST_NAME = "SELECT name FROM seat WHERE person = $1 ORDER BY taken DESC LIMIT 1"


NEWEST_FIRST = """
SELECT code, epoch, opened, room.meta, code, number, person, name, mark, seat.meta,
  coalesce(
    (SELECT at FROM message WHERE message.room = room.id ORDER BY id DESC LIMIT 1), opened
  ) AS newest_at
FROM seat JOIN room ON room.id = seat.room
WHERE person = $1 AND ended IS NULL AND coalesce(expires, 1) > 0
ORDER BY newest_at DESC LIMIT $2
"""


class MyRoom(NamedTuple):
    """`last` is the newest text, or what else happened last; `read` is up to where they have read."""

    room: Room
    member: Member
    last: Message | None
    unread: int  # COUNTED stands for that many or more
    mentions: int  # of them that mention the person, likewise
    read: int
    is_lively: bool  # somebody else is there, on whatever node, as the log knows
    has_draft: bool = False  # of a new text, which they have begun and not sent


class Home(NamedTuple):
    """What a person sees who comes back."""

    name: str  # that they go by; empty if they never had one
    rooms: list[MyRoom]


@cache
def _question(dialect: Dialect) -> str:
    """What is said by those whom the person ignores counts for nothing."""
    of_mine, of_newest = (dialect.ignores.replace("META", f"{rooms}.meta") for rooms in ("mine", "newest"))
    names = dialect.names.replace("META", "seen.meta")
    all, seat = names.replace("NUMBER", str(EVERYBODY)), names.replace("NUMBER", "seat.number")
    question = MY_ROOMS.replace("MINE_IGNORES", of_mine).replace("NEWEST_IGNORES", of_newest)
    return question.replace("NAMES_ALL", all).replace("NAMES_SEAT", seat)


async def my_rooms(tx: Transaction, person: str) -> list[MyRoom]:
    """The room in which something was said last comes first."""
    rows = await tx.fetch(_question(tx.dialect), person, CONSIDERED, LOOKED_BACK, SHOWN, LOOKED_AT, COUNTED)
    return [
        MyRoom(
            room=load_room(row[5:9]),
            member=load_member(row[9:15]),
            last=None if row[15] is None else message_of(row[15:]),
            unread=row[0],
            mentions=row[1],
            read=row[2],
            is_lively=bool(row[3]),
            has_draft=bool(row[4]),
        )
        for row in rows
    ]


async def rooms_by_time(tx: Transaction, person: str) -> list[tuple[Room, Member, int]]:
    """Each with the time of what happened last, ordered by that; at most CONSIDERED."""
    rows = await tx.fetch(NEWEST_FIRST, person, CONSIDERED)
    return [(load_room(row[:4]), load_member(row[4:10]), row[10]) for row in rows]


async def home_of(tx: Transaction, person: str) -> Home:
    rooms = await my_rooms(tx, person)
    if rooms:
        return Home(rooms[0].member.name, rooms)
    rows = await tx.fetch(LAST_NAME, person)
    return Home(rows[0][0] if rows else "", [])
