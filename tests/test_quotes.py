"""Quotes: a page that catches up shows what a new one does, whatever happened to what is quoted."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import calls
import pytest
from dom import parse
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shown import ShownMessages
from test_store import BACKENDS, answer

from chat.features.reactions import react
from chat.live.feed import Feed
from chat.live.framing import Frame, join
from chat.model.changes import Change
from chat.model.graphemes import cut
from chat.model.members import Member
from chat.model.messages import Delete, Edit, Message
from chat.model.meta import NO_META, with_meta
from chat.model.quotes import START, read_reply, start_of
from chat.model.rooms import Position
from chat.store import NotFound, Store
from chat.store.windows import Part
from chat.views.assets import Assets, folder
from chat.views.look import LOOK
from chat.views.messages import RenderedMessages
from chat.views.quotes import HIDDEN, WORDS, first_words
from chat.views.renderer import Renderer

ROOM = "BCDFGHJK"
ANN = Member(ROOM, 1, "ann", "Ann", 1)
EMOJI = "👍🎉"
RENDER = Renderer(folder("templates"), Assets(folder("static")))


class Page:
    """The messages on a page that stays open, and up to where it has every text."""

    def __init__(self, position: Position, html: str = "") -> None:
        self.position, self.texts = position, position.rev
        self.shown = ShownMessages(parse(html))

    def take(self, frame: Frame, is_all: bool) -> None:
        self.shown.take(parse(frame.text))
        self.position = Position(self.position.epoch, frame.rev)
        if is_all:
            self.texts = frame.rev


class Conversation:
    """A room with a live feed, and pages that follow it or come back later."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rendered = RenderedMessages(RENDER.messages)
        self.feed: Feed[Any] = Feed(ROOM, self.rendered, lambda *_: None, self.rendered.forget)
        self.texts = itertools.count()
        self.ids: list[int] = []
        store.listen(self._committed)

    def _committed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.message.rev != change.message.id:
                self.rendered.forget(ROOM, change.message)
            self.feed.apply_next(change.message, change.position)

    async def begin(self) -> None:
        await calls.open_room(self.store, ROOM)
        await calls.take_seat(self.store, ROOM, "ann", "Ann")
        self.feed.start_at((await calls.heads(self.store, [ROOM]))[ROOM])
        self.pages = [Page(self.feed.position)]

    async def do(self, what: str, back: int, how: int) -> None:
        id = self.ids[-1 - back % len(self.ids)] if self.ids else 0
        text = f"text {next(self.texts)} <b>"
        try:
            if what in ("say", "reply"):
                extra = partial(answer, id=id) if what == "reply" else None
                self.ids.append((await self.store.append(ROOM, 1, text, text, extra)).message.id)
            elif what in ("edit", "delete"):
                change = Delete() if what == "delete" else Edit(text)
                await calls.amend(self.store, ROOM, id, change)
            elif what == "react":
                await self.store.write(ROOM, react, ANN, id, EMOJI[how % 2], how < 50)
        except NotFound:
            pass  # it was deleted
        if what == "open":
            self.pages.append(await self.new_page())
        elif what == "follow":
            await self.follow(self.pages[back % len(self.pages)], how)

    async def new_page(self) -> Page:
        history = await calls.history(self.store, ROOM, limit=1000)
        shown = await self.rendered.page(ROOM, history, LOOK)
        return Page(history.position, "".join(shown.fragments))

    async def follow(self, page: Page, window: int) -> None:
        """By the feed, as a page that was never away, or from the log, in parts of some size."""
        if not window and (frame := self.feed.frame(LOOK, page.position.rev, page.texts)):
            page.take(frame, frame.is_all)
            return
        found = await calls.changes(self.store, ROOM, page.position, window or 5)
        part = Part(found.changed, found.created, found.position.rev)
        [joined] = join(self.rendered, ROOM, (LOOK,), part, page.texts)
        page.take(joined, joined.is_all and part.rev == found.head)


steps = st.tuples(
    st.sampled_from(
        ["say", "reply", "reply", "edit", "edit", "react", "react", "delete", "open", "follow", "follow"]
    ),
    st.integers(0, 9),
    st.sampled_from([0, 0, 1, 3, 50]),
)


# While a page catches up, a text that was changed and then reacted to is due with the later of the two.
REACTED = [("say", 0, 0), ("reply", 0, 0), ("open", 0, 0), ("edit", 1, 0), ("react", 1, 0)]


async def _walk(backend: str, walk: Sequence[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = BACKENDS[backend](Path(directory))()
        await store.open()
        try:
            room = Conversation(store)
            await room.begin()
            for step in walk:
                await room.do(*step)
            new = await room.new_page()
            for n, page in enumerate(room.pages):
                while page.position.rev < new.position.rev:
                    await room.follow(page, n % 3)
                assert page.shown.dom == new.shown.dom
        finally:
            await store.close()


@settings(max_examples=60, deadline=None)
@example(REACTED)
@given(st.lists(steps, max_size=40))
def test_a_page_that_catches_up_is_like_a_new_one_on_sqlite(walk: list[tuple[str, int, int]]) -> None:
    asyncio.run(_walk("sqlite", walk))


@settings(max_examples=20, deadline=None)
@example(REACTED)
@given(st.lists(steps, max_size=40))
def test_a_page_that_catches_up_is_like_a_new_one_on_postgresql(walk: list[tuple[str, int, int]]) -> None:
    asyncio.run(_walk("postgres", walk))


def _message(id: int, body: str | None, rev: int, answers: Message | None = None) -> Message:
    quoted = answers.as_quoted if answers else None
    meta = with_meta(NO_META, reply=answers.id) if answers else NO_META
    return Message(id, rev, 1_800_000_000_000, 1, "Ann", 1, body, meta=meta, quoted=quoted)


def test_no_rendered_quote_is_kept_once_its_message_has_changed() -> None:
    rendered = RenderedMessages(RENDER.messages)
    first = _message(1, "a secret", 1)
    old, other = _message(2, "yes", 2, first), _message(3, "no", 3)
    for message in (first, old, other):
        rendered.get(LOOK, "message", ROOM, message)
    rendered.forget(ROOM, deleted := _message(1, None, 4))
    assert [entry.message for entry in rendered._rooms[ROOM].values()] == [other]
    assert "a secret" in rendered.get(LOOK, "message", ROOM, old)  # read before that, and shown after it
    assert [entry.message for entry in rendered._rooms[ROOM].values()] == [other]
    new = _message(2, "yes", 2, deleted)
    assert "Message deleted" in rendered.get(LOOK, "message", ROOM, new)
    assert [entry.message for entry in rendered._rooms[ROOM].values()] == [other, new]
    rendered.drop(ROOM)
    assert rendered.held == 0
    assert not rendered._replies._by_answered


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 3, "abc"),
        ("abe\u0301f", 3, "ab"),
        ("ab👍🏽c", 3, "ab"),
        ("a👨‍👩‍👧!", 4, "a"),
        ("❤️x", 1, "❤"),  # nothing else would be left
        ("a🇩🇪🇫🇷", 4, "a🇩🇪"),
        ("a🇩🇪🇫🇷", 3, "a🇩🇪"),
        ("abक्षc", 4, "ab"),
        ("\u0301" * 9, 4, "\u0301" * 4),
        ("", 4, ""),
    ],
)
def test_a_cut_takes_no_character_apart(text: str, most: int, kept: str) -> None:
    assert cut(text, most) == kept


@given(st.text(max_size=2 * START))
def test_the_first_words_are_one_short_line(text: str) -> None:
    words = first_words(start_of(text) or "")
    assert len(words) <= WORDS + 1
    assert "\n" not in words
    assert not words.startswith(" ")


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("||secret ", HIDDEN),
        ("a ||secret ", f"a {HIDDEN}"),
        ("`a || b` is or. ||secret ", f"a || b is or. {HIDDEN}"),
        ("a || b ||secret ", f"a || b {HIDDEN}"),
        (r"\||a ||secret ", rf"||a {HIDDEN}"),
        ("> ||secret ", HIDDEN),
        ("**bold ||secret ", f"**bold {HIDDEN}"),
        ("||one|| and ||secret ", f"{HIDDEN} and {HIDDEN}"),
    ],
)
def test_a_spoiler_that_goes_on_behind_the_first_words_is_hidden(start: str, words: str) -> None:
    assert first_words(start_of(start + "secret " * START + "||") or "") == f"{words}…"


@pytest.mark.parametrize("cut", range(-2, 3))
def test_a_cut_inside_a_mark_hides_a_spoiler_too(cut: int) -> None:
    text = "||" + "secret" * START
    end = START + cut - 2
    assert "secret" not in first_words(start_of(text[:end] + "|| and more" * START) or "")


@pytest.mark.parametrize(
    ("field", "id"),
    [("", 0), (None, 0), ("7", 7), (7, 7), ("0", -1), (0, -1), (-7, -1), (True, -1), ([], -1), (7.0, -1)],
)
def test_a_reply_is_a_number_or_none_or_nonsense(field: object, id: int) -> None:
    assert read_reply(field) == id
