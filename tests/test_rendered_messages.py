"""Rendered messages are kept for pages, pushes and catching up: how many, and who waits for them."""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import calls
import pytest
from people import Person, ids, texts
from quart import Quart

from chat.context import Context
from chat.live.framing import LIKELY, join
from chat.model.changes import Page
from chat.model.messages import Message
from chat.model.rooms import Position
from chat.store import log
from chat.store.windows import Part
from chat.views.formatted import Formatted, formatted
from chat.views.formatter import Formatter
from chat.views.look import LOOK, Look, Render
from chat.views.messages import RenderedMessages, Shown
from chat.views.trimming import Trim

FRAME = 256 * 1024
WORST = {
    "quotes": '"' * 8192,
    "ampersands": "&" * 8192,
    "addresses": "http://a.de/ " * 630,
    "addresses with ampersands": "http://a.de/" + "&" * 8180,
    "brackets": "http://a" + ")" * 8184,
    "addresses without a scheme": "www.a.de " * 910,
    "mail": "a@b.de " * 1170,
    "encoded": "http://a.de/" + "ж" * 4090,
    "emoji": "\U0001f600" * 2048,
}

ROOM = "BCDFGHJK"


def _message(id: int, body: str = "text") -> Message:
    return Message(id, id, 1_800_000_000_000, 1, "Ann", 1, body)


class Shapes:
    """Counts what is rendered, and may take its time."""

    def __init__(self, took: Callable[[], None] = lambda: None) -> None:
        self.took = took
        self.rendered: list[int] = []
        self.formatter = Formatter()

    def message(self, code: str, message: Message) -> Render:
        return partial(self._rendered, message.id, f"+{message.body}")

    def amended(self, code: str, message: Message) -> Render:
        return partial(self._rendered, -message.id, f"~{message.body}")

    def extras(self, code: str, message: Message) -> Render:
        raise AssertionError("texts change here, and nothing else does")

    def trimmed(self, code: str, trim: Trim) -> Render:
        return lambda look: ""

    def newest(self, code: str, shown: Shown, look: Look = LOOK) -> str:
        return "".join(shown.fragments)

    def _rendered(self, id: int, html: str, look: Look) -> str:
        self.took()
        self.rendered.append(id)
        return html


class Shared:
    """What all looks of a message have in common."""

    def __call__(self, look: Look) -> str:
        return look.clock


async def test_what_looks_have_in_common_is_made_once_and_not_kept() -> None:
    made: list[weakref.ref[Shared]] = []

    class SharingShapes(Shapes):
        def message(self, code: str, message: Message) -> Render:
            shared = Shared()
            made.append(weakref.ref(shared))
            return shared

    rendered = RenderedMessages(SharingShapes())
    assert rendered.messages([LOOK, Look(clock="12")], ROOM, _message(1)) == ["24", "12"]
    [shared] = made
    assert shared() is None
    assert rendered.messages([Look(clock="12"), LOOK], ROOM, _message(1)) == ["12", "24"]
    assert len(made) == 1


def kept_messages(rendered: RenderedMessages) -> list[tuple[Message, str]]:
    entries = [entry for room in rendered._rooms.values() for entry in room.values()]
    return [(entry.message, html) for entry in entries for html in entry.fragments.values()]


def test_each_shape_of_a_message_is_rendered_once() -> None:
    shapes = Shapes()
    rendered = RenderedMessages(shapes)
    for _ in range(3):
        assert rendered.of(ROOM, LOOK).message(_message(1)) == "+text"
        assert rendered.of(ROOM, LOOK).change(_message(1), 0) == "~text"
    assert shapes.rendered == [1, -1]


@pytest.mark.parametrize(
    "change", [{"body": "new"}, {"rev": 9}, {"name": "Bob"}, {"mark": 2}, {"at": 5}, {"body": None}]
)
def test_whatever_changes_about_a_message_is_rendered_afresh(change: dict[str, object]) -> None:
    shapes = Shapes()
    rendered = RenderedMessages(shapes)
    rendered.of(ROOM, LOOK).message(_message(1))
    changed = replace(_message(1), **change)  # type: ignore[arg-type]
    assert rendered.of(ROOM, LOOK).message(changed) == f"+{changed.body}"
    assert shapes.rendered == [1, 1]


@pytest.mark.parametrize("text", ["x" * 1000, "\U0001f600" * 250])
def test_what_is_kept_is_bounded_in_bytes_and_the_least_recently_used_goes_first(text: str) -> None:
    shapes = Shapes()
    rendered = RenderedMessages(shapes, most=100_000)
    for id in range(1, 1000):
        rendered.of(ROOM, LOOK).message(_message(id, text))
        rendered.of(ROOM, LOOK).message(_message(1, text))
        assert rendered.held <= 100_000
    assert shapes.rendered == list(range(1, 1000))
    rendered.of(ROOM, LOOK).message(_message(2, text))
    assert shapes.rendered[-1] == 2


def test_a_forgotten_message_takes_nothing() -> None:
    rendered = RenderedMessages(Shapes())
    rendered.of(ROOM, LOOK).message(_message(1))
    rendered.of(ROOM, LOOK).change(_message(1), 0)
    rendered.of(ROOM, Look(clock="12")).message(_message(1))
    rendered.forget(ROOM, _message(2))
    rendered.forget("another", _message(1))
    assert rendered.held
    rendered.forget(ROOM, _message(1))
    assert rendered.held == 0


def test_a_room_that_is_dropped_takes_nothing() -> None:
    rendered = RenderedMessages(Shapes())
    rendered.of("another", LOOK).message(_message(1))
    held = rendered.held
    for id in range(1, 9):
        rendered.of(ROOM, LOOK).message(_message(id))
        rendered.of(ROOM, Look(clock="12")).change(_message(id), 0)
    rendered.forget(ROOM, replace(_message(8), rev=9))
    rendered.drop(ROOM)
    rendered.drop(ROOM)
    assert rendered.held == held
    assert list(rendered.rooms) == ["another"]


def test_of_a_room_whose_changes_are_not_heard_of_nothing_is_kept() -> None:
    rendered = RenderedMessages(Shapes(), hears=lambda code: code != ROOM)
    assert rendered.of(ROOM, LOOK).message(_message(1)) == "+text"
    assert rendered.held == 0
    rendered.of("another", LOOK).message(_message(1))
    assert rendered.held


def test_a_message_is_kept_as_it_is_and_not_as_it_was_besides() -> None:
    rendered = RenderedMessages(Shapes())
    rendered.of(ROOM, LOOK).message(_message(1, "a secret"))
    rendered.of(ROOM, LOOK).message(replace(_message(1), body=None))
    assert [message.body for message, _ in kept_messages(rendered)] == [None]


async def test_a_text_that_readers_have_is_not_rendered_for_them_again() -> None:
    class OnlyExtras(Shapes):
        def amended(self, code: str, message: Message) -> Render:
            raise AssertionError("nobody is sent this")

        def extras(self, code: str, message: Message) -> Render:
            return lambda look: f"row of {message.id} "

    rendered = RenderedMessages(OnlyExtras())
    reacted = [replace(_message(id), rev=9, meta={"reactions": {"+": (1,)}}) for id in (1, 2)]
    await rendered.prepare(ROOM, [], reacted, 5, LOOK)
    long = Part([replace(message, body="x" * LIKELY) for message in reacted], [], 9)
    for window in (Part(reacted, [], 9), long):
        assert join(rendered, ROOM, (LOOK,), window, 5)[0].text == "row of 1 row of 2 "


def test_another_look_of_what_has_changed_goes_with_it() -> None:
    rendered = RenderedMessages(Shapes())
    rendered.of(ROOM, Look(clock="12")).message(_message(1, "a secret"))
    rendered.of(ROOM, LOOK).change(_message(1, "a secret"), 0)
    rendered.of(ROOM, LOOK).message(replace(_message(1), body=None, rev=2))
    assert [message.body for message, _ in kept_messages(rendered)] == [None]
    held = rendered.held
    rendered.of(ROOM, Look(clock="12")).message(_message(1, "a secret"))  # read before the change
    assert [message.body for message, _ in kept_messages(rendered)] == [None]
    assert rendered.held == held


def test_what_was_read_before_a_change_is_rendered_and_not_kept() -> None:
    rendered = RenderedMessages(Shapes())
    rendered.forget(ROOM, replace(_message(1), body=None, rev=2))
    assert rendered.of(ROOM, LOOK).message(_message(1, "a secret")) == "+a secret"
    assert rendered.held == 0
    rendered.of(ROOM, LOOK).message(replace(_message(1), body=None, rev=2))
    held = rendered.held
    assert held
    rendered.forget(ROOM, replace(_message(1), body=None, rev=2))  # heard of again
    rendered.of(ROOM, LOOK).message(_message(1, "a secret"))
    assert rendered.held == held


def test_few_changes_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.views.messages.CHANGES", 3)
    rendered = RenderedMessages(Shapes())
    for id in range(1, 10):
        rendered.forget(ROOM, replace(_message(id), rev=id + 1))
    assert len(rendered._changed) == 3
    rendered.of(ROOM, LOOK).message(_message(9))
    assert rendered.held == 0


async def test_a_page_read_before_a_deletion_keeps_nothing_of_the_text(
    chat: Context, alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.write(code, "a secret")
    [id] = ids(await alice.look(code))
    was_read, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(history: Any, *asked: Any) -> Any:
        page = await history()
        was_read.set()
        await go_on.wait()
        return page

    with monkeypatch.context() as patched:
        calls.intercept(patched, chat.store, log.history, slowly)
        reading = asyncio.create_task(chat.hub.page(code, None, LOOK))
        await was_read.wait()
    assert (await alice.post(f"/rooms/{code}/{id}/delete")).status == 303
    go_on.set()
    await reading
    kept = kept_messages(chat.hub.rendered)
    assert not [html for message, html in kept if "a secret" in f"{message.body} {html}"]


@pytest.mark.parametrize("somebody_is_here", [True, False])
async def test_a_deleted_text_is_in_no_memory_that_a_page_has_filled(
    chat: Context, alice: Person, code: str, somebody_is_here: bool
) -> None:
    await alice.write(code, "a secret")
    [id] = ids(await alice.look(code))
    async with alice.in_room(code) if somebody_is_here else nullcontext():
        assert (await alice.post(f"/rooms/{code}/{id}/delete")).status == 303
        kept = kept_messages(chat.hub.rendered)
        assert not [html for message, html in kept if "a secret" in f"{message.body} {html}"]


async def test_others_have_their_turn_while_much_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def took_ten_ms() -> None:
        nonlocal now
        now += 0.01

    monkeypatch.setattr("chat.views.messages.time.perf_counter", lambda: now)
    shapes = Shapes(took_ten_ms)
    rendered = RenderedMessages(shapes)
    turns: list[int] = []

    async def somebody_else() -> None:
        while True:
            turns.append(len(shapes.rendered))
            await asyncio.sleep(0)

    other = asyncio.create_task(somebody_else())
    messages = [_message(id) for id in range(1, 51)]
    page = Page(messages, Position("e", 50), more=False)
    await asyncio.gather(
        rendered.page(ROOM, page, LOOK),
        rendered.prepare(ROOM, messages, [], 0, LOOK),
        rendered.page(ROOM, page, LOOK),
    )
    other.cancel()
    assert sorted(shapes.rendered) == list(range(1, 51))
    assert max(later - earlier for earlier, later in itertools.pairwise(turns)) == 1


@pytest.mark.parametrize("body", WORST.values(), ids=list(WORST))
async def test_no_text_makes_more_html_than_fits_in_a_frame(chat: Context, body: str) -> None:
    message = _message(1, body)
    assert len(chat.render.messages.message(ROOM, message)(LOOK).encode()) < FRAME - 64 * 1024
    assert len(chat.render.messages.amended(ROOM, message)(LOOK).encode()) < FRAME - 64 * 1024


async def test_a_page_whose_messages_are_in_memory_renders_none_of_them(
    app: Quart, chat: Context, alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice.in_room(code) as live:
        await alice.write(code, *(f"text {n}" for n in range(9)))
        while len(live.texts) < 9:
            await live.frame()
        pushed = live.texts

    def never(message: Message) -> str:
        raise AssertionError("rendered again")

    await alice.look(code)  # notices of who came are rendered now
    monkeypatch.setattr(chat.render.messages, "message", never)
    for query in ("", "?before=99"):
        assert texts(await alice.look(code, query)) == pushed
    assert texts((await alice.get(f"/rooms/{code}/earlier?before=99")).page) == pushed
    page = await alice.look(code)
    async with alice.live(code) as live:
        await live.resume(page, since=0)
        await live.until("li .text", "text 8")
        assert live.texts == pushed


async def test_what_takes_long_about_a_page_is_done_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[str, str] = {}

    class Formatting(Shapes):
        def message(self, code: str, message: Message) -> Render:
            text = self.formatter.format(message.body or "")
            return lambda look: text.html

        amended = message

    def noted(body: str) -> Formatted:
        threads[body] = threading.current_thread().name.partition("_")[0]
        return formatted(body)

    monkeypatch.setattr("chat.views.formatter.formatted", noted)
    rendered = RenderedMessages(Formatting())
    bodies = {id: f"```\n{id}\n```" for id in range(1, 6)} | {6: "**short**"}
    page, first, changed, another, around, short = (_message(id, body) for id, body in bodies.items())
    await rendered.page(ROOM, Page([page, short], Position("", 9), more=False), LOOK)
    await rendered.prepare(ROOM, [first], [replace(changed, rev=9)], 0, LOOK)
    assert [html async for html in rendered.each(ROOM, [another, around], LOOK)]
    assert threads.pop(bodies[6]) != "chat-formatter"
    assert set(threads) == {bodies[id] for id in range(1, 6)}
    assert set(threads.values()) == {"chat-formatter"}


async def test_a_reaction_leaves_what_was_made_of_texts_and_of_answers() -> None:
    rendered = RenderedMessages(Shapes())
    code = _message(1, "```\nx\n```")
    answer = replace(_message(2), quoted=code.as_quoted)
    await rendered.formatter.warm([code.body])
    rendered.get(LOOK, "message", ROOM, code)
    rendered.get(LOOK, "message", ROOM, answer)
    rendered.forget(ROOM, replace(code, rev=3))
    assert [message.id for message, _ in kept_messages(rendered)] == [2]
    assert not rendered.formatter.takes_long(code.body)
    rendered.forget(ROOM, replace(code, rev=4, meta={"text_rev": 4}, body="another"))
    assert not kept_messages(rendered)
    assert rendered.formatter.takes_long(code.body)
