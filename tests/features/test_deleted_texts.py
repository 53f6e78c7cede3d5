"""A deleted text is in the memory of no node."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import nullcontext
from types import CoroutineType, FrameType, FunctionType, ModuleType
from typing import Any

import calls
import pytest
from people import Person, ids, until

from chat.context import Context
from chat.views.reader import COOKIE, Choices

SECRET = "a word that nobody shall read"
OF_OTHERS = (type, ModuleType, FrameType, CoroutineType, asyncio.AbstractEventLoop, asyncio.Task)


@pytest.mark.parametrize("was_edited", [True, False])
@pytest.mark.parametrize("bob_is_here", [True, False])
async def test_nothing_that_a_node_keeps_has_a_deleted_text(
    chats: list[Context], alice: Person, bob: Person, code: str, bob_is_here: bool, was_edited: bool
) -> None:
    """Whatever keeps texts in memory, now or later: everything is looked at that a node has of its own."""
    async with alice.in_room(code) as hers, bob.in_room(code) as his:
        await alice.write(code, "before", SECRET, "after")
        for live in (hers, his):
            await live.until("li .text", "after")
        id = ids(await alice.look(code))[1]
        await bob.post(f"/rooms/{code}/messages", {"body": "a reply", "key": "k", "reply": str(id)})
        for live in (hers, his):
            await live.until("li .text", "a reply")
        await bob.post(f"/rooms/{code}/{id}/reactions", {"emoji": "👍", "on": "1"})
        assert all(map(_holds_the_secret, chats))
    async with bob.in_room(code) if bob_is_here else nullcontext():
        for clock in ("24", "12"):
            for person in (alice, bob):
                person.client.set_cookie("localhost", COOKIE, Choices(clock=clock).cookie)
                page = await person.look(code)
                for path in ("?before=9", "/earlier?before=9", f"/{id}"):
                    assert SECRET in (await person.get(f"/rooms/{code}{path}")).text
                async with person.live(code) as live:
                    await live.resume(page, since=0)
                    await live.until("li .text", SECRET)
        for text in (f"{SECRET} twice", "nothing") if was_edited else ():
            await alice.post(f"/rooms/{code}/{id}/edit", {"body": text})
            assert SECRET in (await bob.get(f"/rooms/{code}/{id}")).text
        await alice.post(f"/rooms/{code}/{id}/delete")
        head = (await calls.heads(chats[0].store, [code]))[code]
        await until(
            lambda: all(chat.hub.feeds[code].position == head for chat in chats if code in chat.hub.feeds)
        )
        assert not any(map(_holds_the_secret, chats))


def _holds_the_secret(chat: Context) -> bool:
    return any(SECRET in text for text in _texts_of(chat))


def _texts_of(root: object) -> Iterator[str]:
    """Every text that can be reached from there, but not through what runs just now."""
    seen: set[int] = set()
    waiting: list[Any] = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, OF_OTHERS):
            continue
        seen.add(id(one))
        if isinstance(one, str):
            yield one
        elif isinstance(one, bytes | bytearray):
            yield one.decode(errors="replace")
        else:
            waiting += (one.__closure__ or ()) if isinstance(one, FunctionType) else gc.get_referents(one)
