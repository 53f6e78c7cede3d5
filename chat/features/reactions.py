"""Reactions: a few emoji under a message, each with those who gave it."""

from __future__ import annotations

from chat import limits
from chat.features.action import Action, Answer, Asked, is_on, no_text
from chat.model.changes import Change
from chat.model.emoji import one_emoji
from chat.model.errors import Refused
from chat.model.members import Member
from chat.model.messages import Reactions
from chat.model.sentences import Sentence
from chat.store.members import seats_of
from chat.store.messages import set_meta, text_message
from chat.store.transaction import Transaction

KINDS = 20  # emoji of one message
OWN = 5  # of one person at one message
MOST = 1000  # of one message altogether
TOO_MANY = "You have given this message %(n)s reactions. Take one of them back first."
BYTES = 200  # of disk that one may take, more or less


async def run(asked: Asked) -> Answer:
    """Give a reaction, or take it back; to ask for what is so already is harmless."""
    emoji = one_emoji(asked.fields.get("emoji", ""))
    if emoji is None:
        raise Refused("Please choose one emoji.", "emoji")
    on = is_on(asked.fields, "Please say whether the reaction is on (1) or not (0).")
    await asked.chat.store.write(asked.member.code, react, asked.member, asked.id, emoji, on)
    return Answer(f"/{asked.id}", asked.chat.render.forms.done(asked.id, asked.look))


async def react(tx: Transaction, member: Member, id: int, emoji: str, on: bool) -> Change | None:
    """None if it is so already. Raises NotFound, Forbidden, Refused."""
    message = await text_message(tx, member, id)
    own = set(await seats_of(tx, member.code, member.person))  # under whatever name
    given = dict(message.reactions)
    if own.isdisjoint(given.get(emoji, ())) != on:
        return None
    if on:
        _check_bounds(given, own, emoji)
        given[emoji] = (*given.get(emoji, ()), member.number)
    else:
        given[emoji] = tuple(seat for seat in given[emoji] if seat not in own)
    kept = {kind: seats for kind, seats in given.items() if seats}
    return await set_meta(tx, member.code, message, reactions=kept or None)


def _check_bounds(given: Reactions, own: set[int], emoji: str) -> None:
    if sum(not own.isdisjoint(seats) for seats in given.values()) >= OWN:
        raise Refused(Sentence(TOO_MANY, n=OWN), "emoji")
    if (emoji not in given and len(given) >= KINDS) or sum(map(len, given.values())) >= MOST:
        raise Refused("This message has all the reactions that it can have.", "emoji")


REACTIONS = Action(
    "reactions",
    run,
    limits.REACTIONS,
    size=lambda fields: BYTES,
    form="reactions/form.html",
    denied=no_text,
)
