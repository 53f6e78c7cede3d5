"""Texts in the frames of a WebSocket: which are new, and what else the page needs to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from chat import limits
from chat.context import Context
from chat.live import frames
from chat.live.connection import Connection
from chat.model.errors import Refused
from chat.model.messages import BODY_TYPED
from chat.model.receipts import read_life
from chat.store import quota
from chat.web import fields
from chat.web.acknowledging import acknowledge, ask_for_life
from chat.web.pacing import pace
from chat.web.submitting import Submitter, Text
from chat.web.transport import TextReader


class Intake:
    """Takes the texts of one connection out of its frames."""

    def __init__(self, chat: Context, connection: Connection, reader: TextReader | None) -> None:
        self._chat = chat
        self._connection = connection
        self.submitter = Submitter(chat, connection, reader)
        self.receipts = self.submitter.receipts

    def take(self, frame: dict[str, Any]) -> bool:
        """Take a frame at once if it is nothing but texts. False: `post` has to take it, or somebody else."""
        connection = self._connection
        if frame.get("k") is not None or "again" in frame or "act" in frame:
            return False
        bodies, life = frame.get("body"), frame.get("life")
        if not isinstance(bodies, frames.Texts) or not self.submitter.has_place_for(bodies):
            return False
        if connection.unanswered or connection.closing or not connection.counts:
            return False
        if isinstance(life, str):
            return self._take_in_life(life, bodies)
        key, start = frame.get("key"), fields.number(frame.get("acked"))
        if not isinstance(key, str):
            return False
        for text in self._new_texts(key, start, bodies):
            self.submitter.add(text)
        return True

    def _take_in_life(self, life: str, bodies: frames.Texts) -> bool:
        key, start = read_life(life)
        if not key:
            return False
        is_new = False
        for text in self._new_in_life(key, start, bodies, None):
            is_new = True
            self.submitter.add(text)
        if not is_new and not self._chat.limits.take_now(limits.MESSAGES, self._connection.member.person):
            return False
        self._tell_again(start)
        return True

    async def post(self, frame: dict[str, Any]) -> None:
        """Take any frame with texts; returns when all of them are on their way. Raises Refused."""
        chat, connection, bodies = self._chat, self._connection, frame["body"]
        life, again = frame.get("life"), fields.token(frame, "again")
        key = "" if isinstance(life, str) else fields.token(frame, "key")
        if key is None or bodies is None:
            await pace(chat, connection)
            raise Refused("Something went wrong. Please reload the page.")
        if isinstance(life, str):
            await self._post_in_life(frame, life, bodies)
        elif again is not None:
            body, place = "\n".join(bodies)[: BODY_TYPED + 1], fields.number(frame.get("acked"))
            await self.submitter.add_in_time(self._text(key, place, body, again=again, reply=bodies.reply(0)))
        else:
            for text in self._new_texts(key, fields.number(frame.get("acked")), bodies):
                await self.submitter.add_in_time(text)

    async def _post_in_life(self, frame: dict[str, Any], life: str, bodies: frames.Texts) -> None:
        """The texts of a page, under the key of its life; one that has none yet keeps them until it has."""
        key, start = read_life(life)
        if not key:
            if frame.get("k") is None:
                self.receipts.enter_early(bodies)
                await pace(self._chat, self._connection)
                ask_for_life(self._chat, self._connection, self.receipts)
            return
        is_new = False
        for text in self._new_in_life(key, start, bodies, frame.get("k")):
            is_new = True
            await self.submitter.add_in_time(text)
        if not is_new:
            await pace(self._chat, self._connection)
        self._tell_again(start)

    def _new_texts(self, key: str, start: int, bodies: frames.Texts) -> Iterator[Text]:
        """Those of a frame that were not taken before, one by one; `start` went before them."""
        sent = self.receipts
        sent.start(key, start)
        now = asyncio.get_running_loop().time()
        for place, body in enumerate(bodies, start):
            if not sent.repeats(place, body):
                reply = bodies.reply(place - start)
                yield Text(key, place, body, quota.cost(body), now, sent.generation, reply)

    def _new_in_life(self, key: str, start: int, bodies: frames.Texts, kind: object) -> Iterator[Text]:
        """The same of a page, which repeats all that was not acknowledged; `kind` is the frame's."""
        sent = self.receipts
        sent.start(key, start, counted=True)
        for place, offset, body in sent.new_texts(start, bodies, entered=kind is None, report=kind == "late"):
            # Enter in an empty control: what was typed before may have landed in the one before it.
            reply = 0 if offset else bodies.reply(place - start)
            yield self._text(f"{key}+{offset}" if offset else key, place, body, blank=not body, reply=reply)

    def _text(self, key: str, place: int, body: str, **more: Any) -> Text:
        size, now = quota.cost(body), asyncio.get_running_loop().time()
        return Text(key, place, body, size, now, self.receipts.generation, **more)

    def _tell_again(self, start: int) -> None:
        """A page that is behind has not applied the last count."""
        if start < self.receipts.acked:
            acknowledge(self._chat, self._connection, self.receipts)
