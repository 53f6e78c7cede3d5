"""A page that is open for long keeps about 300 messages, whatever else takes their numbers."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from shapes import Shapes

from chat.live.connection import Connection
from chat.live.feed import Feed
from chat.model.messages import Message
from chat.model.rooms import Position
from chat.views.look import LOOK, Render
from chat.views.messages import RenderedMessages
from chat.views.trimming import EVERY, KEPT, Trim

REVS = 6000


class Trimming(Shapes):
    def trimmed(self, code: str, trim: Trim) -> Render:
        return lambda look: f"trim {trim.first} "


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize(
    "is_text",
    [
        lambda rev: True,
        lambda rev: rev % EVERY != 0,  # somebody lies in wait for the numbers at which pages are trimmed
        lambda rev: rev % EVERY != 1,
        lambda rev: random.Random(rev).random() < 0.3,  # for each text two or three reactions
    ],
    ids=["texts", "before", "after", "reactions"],
)
async def test_a_page_keeps_about_300_messages(is_text: Callable[[int], bool], step: int) -> None:
    rendered = RenderedMessages(Trimming())
    feed: Feed[Connection] = Feed("BCDFGHJK", rendered, lambda frames, changes: None, rendered.forget)
    page, last, seen, lengths = [0], 0, 0, []
    for rev in range(1, REVS):
        last = rev if is_text(rev) or not last else last
        meta = {} if last == rev else {"edited": 1, "text_rev": rev}
        feed.apply_next(Message(last, rev, 1, 1, "Ann", 1, "text", meta=meta), Position("", rev))
        if rev % step:
            continue
        frame = feed.frame(LOOK, seen)
        assert frame is not None
        seen = frame.rev
        texts, *trims = frame.text.split("trim ")
        page += [int(text[1:].partition("=")[0]) for text in texts.split() if text.startswith("+")]
        for first in map(int, trims):
            page = page[page.index(first) :] if first in page else page
        lengths.append(len(page))
    assert max(lengths) <= KEPT + 2 * EVERY
    assert min(lengths[lengths.index(max(lengths)) :]) >= KEPT - step
