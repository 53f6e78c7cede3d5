"""What a room is about: its title and topic, which any member may change."""

from __future__ import annotations

from collections.abc import Callable

from chat import limits
from chat.features.action import Action, Answer, Asked, Fields
from chat.model.changes import Change
from chat.model.members import Member
from chat.model.notices import Notice
from chat.model.rooms import Room, clean_title, clean_topic
from chat.store import quota
from chat.store.log import add_notice
from chat.store.members import own_room
from chat.store.rooms import set_meta
from chat.store.transaction import Transaction


async def run(asked: Asked) -> Answer:
    """Each field as it shall be; to ask for what is so already is harmless."""
    title, topic = _changed(asked.fields, "title", clean_title), _changed(asked.fields, "topic", clean_topic)
    change = await asked.chat.store.write(asked.member.code, describe, asked.member, title, topic)
    return Answer("", asked.chat.render.rooms.form_done(asked.look), changed=change is not None)


def _changed(fields: Fields, name: str, clean: Callable[[str], str]) -> str | None:
    """What the form makes of a field. None if it does not have it, or had it so when it was opened.

    Somebody else may have changed that field meanwhile.
    """
    if name not in fields:
        return None
    text = clean(fields[name])
    return None if text == fields.get(f"former_{name}") else text


async def describe(tx: Transaction, member: Member, title: str | None, topic: str | None) -> Change | None:
    """A field that is None stays as it is; the result is None if nothing changes.

    Raises NotFound, or Forbidden if they have left.
    """
    room = await own_room(tx, member)
    title, topic = room.title if title is None else title, room.topic if topic is None else topic
    notice = _notice(member, room, title, topic)
    if notice is None:
        return None
    await set_meta(tx, room, title=title, topic=topic)
    return await add_notice(tx, member.code, notice)


def _notice(member: Member, room: Room, title: str, topic: str) -> Notice | None:
    """A new title is worth more than a new topic, which stands below it on every page."""
    if title != room.title:
        return Notice("titled", (member.label, title), 1)
    return Notice("described", (member.label, topic), 1) if topic != room.topic else None


def _size(fields: Fields) -> int:
    return quota.cost(fields.get("title", "")) + 2 * quota.cost(fields.get("topic", ""))


def _filled(room: Room, member: Member) -> Fields:
    return {
        "title": room.title,
        "topic": room.topic,
        "former_title": room.title,
        "former_topic": room.topic,
    }


TITLE = Action("title", run, limits.TITLES, size=_size, form="title/form.html", filled=_filled, shared=True)
