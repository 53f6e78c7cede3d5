"""Texts: what people write to a room."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from chat.model.changes import Change
from chat.model.errors import Refused
from chat.model.members import Member
from chat.model.messages import clean_body, clean_key
from chat.model.meta import NO_META, Meta, with_meta
from chat.store import NotFound, Store
from chat.store.mentions import mentioned
from chat.store.messages import text_message
from chat.store.transaction import Transaction
from chat.store.writes import PendingWrite
from chat.views.formatter import Formatter

GONE = "The message that you are replying to is not there any more. You can send your text without it."


def asks_for_help(body: str) -> bool:
    """Whether a text is no message but "/help"."""
    return len(body) <= 10 and body.strip().lower() == "/help"


async def format_first(formatter: Formatter, body: str) -> None:
    """Do what takes long about showing a text, before it is stored and shown."""
    if formatter.takes_long(body):
        with suppress(Refused):  # which is said when it is posted
            await formatter.warm((clean_body(body),))


def post_message(
    store: Store, formatter: Formatter, member: Member, key: str, index: int, body: str, reply: int = 0
) -> PendingWrite[Change]:
    """Add a text to the room. Raises Refused, NotFound, Unavailable, OutcomeUnknown.

    `key` is the page's, `index` how many texts it had acknowledged before this one: with the text itself
    they make a one-time key, so a repeat is harmless and another text under the same key is not lost.
    `reply` is the id of the message that it answers, 0 if none.
    """
    body = clean_body(body)
    once = hashlib.sha256(f"{clean_key(key)}\0{index}\0{body}".encode()).hexdigest()[:32]
    spoken = formatter.spoken(body)
    extra = partial(_extra, member=member, reply=reply, spoken=spoken) if reply or spoken else None
    return store.append(member.code, member.number, once, body, extra)


async def _extra(tx: Transaction, member: Member, reply: int, spoken: Sequence[str]) -> Meta:
    """The meta of a text that answers another one, or mentions people. Raises Refused."""
    meta = await _answer(tx, member, reply) if reply else NO_META
    return with_meta(meta, **await mentioned(tx, member, spoken)) if spoken else meta


async def _answer(tx: Transaction, member: Member, id: int) -> Meta:
    """What is answered has to be there. Raises Refused."""
    try:
        await text_message(tx, member, id)
    except NotFound:
        raise Refused(GONE, "reply") from None
    return with_meta(NO_META, reply=id)
