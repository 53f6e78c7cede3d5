"""Finding messages again: by words, by who wrote them and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from chat import limits
from chat.context import Context
from chat.model.errors import Forbidden, RateLimited
from chat.model.members import Member
from chat.model.messages import Message
from chat.model.rooms import Room
from chat.model.search import Query
from chat.store import NotFound, Store
from chat.store.my_rooms import rooms_by_time
from chat.store.search import FOREVER, Found, Span, search_some, span_of
from chat.turns import Turn
from chat.views.look import Look
from chat.views.search import excerpt
from chat.views.times import start_of

PAGE = 20  # messages
PAGES = 10  # of a search in all rooms, which looks through the earlier ones again
BUDGET = 2.0  # s of one search
EAGER = 0.1  # s in which a search takes what it needs: nearly all are done then
REST = 0.02  # s between the later portions of one
TOO_OFTEN = "You or others in your network searched very often just now."
BUSY = "Many people are searching right now."
REPLACED = "This search ended because you began another one."


class Hit(NamedTuple):
    room: Room
    message: Message
    excerpt: str = ""


class Hits(NamedTuple):
    """A page of them, the newest first. `more` is where the next one begins, 0 if there is none.

    `is_cut` says that time was up before all was looked through that could have been on this page.
    """

    hits: list[Hit]
    more: int = 0
    is_cut: bool = False


def pace_searches(chat: Context, person: str, address: str) -> None:
    """Count a search. Raises RateLimited."""
    if wait := chat.own_limits.take_both((limits.SEARCHES, person), (limits.SEARCHES_OF_ADDRESS, address)):
        chat.metrics.refusals.labels("searches").inc()
        raise RateLimited(TOO_OFTEN, wait, "q")


@asynccontextmanager
async def _turn(chat: Context, person: str) -> AsyncIterator[Turn]:
    """A search is over after a while, however long it waited for others.

    It also is once the person begins another one: they are looking at that. Raises RateLimited.
    """
    if not chat.searching.is_open_for(person):
        chat.metrics.refusals.labels("searches").inc()
        raise RateLimited(BUSY, BUDGET, "q")
    try:
        async with chat.searching.take(person, BUDGET) as turn:
            yield turn
    except TimeoutError:
        raise _replaced() from None


def _replaced() -> RateLimited:
    return RateLimited(REPLACED, 1.0, "q")


async def search_room(
    chat: Context, member: Member, room: Room, query: Query, before: int, look: Look
) -> Hits:
    """What a query finds in a member's room, older than the message `before` if that is not 0.

    Raises RateLimited, NotFound, Forbidden, Unavailable.
    """
    async with _turn(chat, member.person) as turn:
        span = await _span(chat.store, member, query, look)
        span = span._replace(end=min(before or span.end, span.end))
        found = await find(chat.store, member, query, span, PAGE + 1, turn)
        hits = await _shown([Hit(room, message) for message in found.messages[:PAGE]], query)
    if len(found.messages) > PAGE:
        return Hits(hits, hits[-1].message.id)
    return Hits(hits, found.before, is_cut=found.before > 0)


async def search_everywhere(chat: Context, person: str, query: Query, page: int, look: Look) -> Hits:
    """What a query finds in all rooms in which the person has a seat; `page` counts from 1.

    Raises RateLimited, Unavailable.
    """
    async with _turn(chat, person) as turn:
        end = min(max(page, 1), PAGES) * PAGE
        hits: list[Hit] = []
        is_cut = False
        for room, member, newest in await chat.store.read(rooms_by_time, person):
            if not query.may_be_in(room.title, room.code):
                continue
            if len(hits) > end and newest < hits[-1].message.at:
                continue
            if turn.is_late:
                is_cut = True
                break
            try:
                span = await _span(chat.store, member, query, look)
                found = await find(chat.store, member, query, span, end + 1, turn)
            except (Forbidden, NotFound):  # they left it meanwhile, or it is gone
                continue
            is_cut = is_cut or (found.before > 0 and len(found.messages) <= end)
            hits += [Hit(room, message) for message in found.messages]
            hits = sorted(hits, key=lambda hit: hit.message.at, reverse=True)[: end + 1]
        shown = await _shown(hits[end - PAGE : end], query)
    has_more = len(hits) > end and page < PAGES and not is_cut
    return Hits(shown, page + 1 if has_more else 0, is_cut)


async def _shown(hits: Sequence[Hit], query: Query) -> list[Hit]:
    """With their excerpts, which take long if the texts are: in a thread, so that nobody else waits."""
    bodies = [hit.message.body or "" for hit in hits]
    excerpts = await asyncio.to_thread(lambda: [excerpt(body, query) for body in bodies])
    return [hit._replace(excerpt=text) for hit, text in zip(hits, excerpts, strict=True)]


async def _span(store: Store, member: Member, query: Query, look: Look) -> Span:
    since = start_of(query.after, look) if query.after else 0
    return await store.read(span_of, member, since, start_of(query.before, look) if query.before else FOREVER)


async def find(store: Store, member: Member, query: Query, span: Span, limit: int, turn: Turn) -> Found:
    """In portions, so that everybody else is served in between; a search that takes long leaves more time.

    Raises RateLimited once it is replaced.
    """
    messages: list[Message] = []
    eager_until = time.monotonic() + EAGER
    while True:
        some = await store.read(search_some, member, query, span, limit - len(messages))
        if turn.is_replaced:
            raise _replaced()
        messages += some.messages
        if len(messages) >= limit or not some.before or turn.is_late:
            return Found(messages, some.before)
        span = span._replace(end=some.before)
        await asyncio.sleep(0 if time.monotonic() < eager_until else REST)
