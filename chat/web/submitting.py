"""Texts on their way to the store: handed over in their order, answered once."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

from chat import limits, logs
from chat.context import Context
from chat.features import posting
from chat.live.connection import Connection
from chat.live.frames import AS_TYPED, Texts
from chat.model.changes import Change
from chat.model.drafts import Note
from chat.model.errors import Refused
from chat.model.messages import BODY_FIELD, clean_key
from chat.model.receipts import BODIES, Receipts
from chat.store import NotFound, OutcomeUnknown, Unavailable
from chat.store.writes import PendingWrite
from chat.web.acknowledging import ACKNOWLEDGE, acknowledge
from chat.web.drafting import begun_as, note_sent
from chat.web.pacing import answers_sent, bytes_wait, pace
from chat.web.reports import report
from chat.web.transport import TextReader

FAILED = NotFound, Unavailable, OutcomeUnknown  # the store, not the text

FAULT = "Something went wrong, so this was not sent. Please send it again."


@dataclass(slots=True, eq=False)
class Text:
    """One on its way from its frame to its answer."""

    key: str
    place: int
    body: str
    size: int  # bytes of disk that it takes
    since: float  # when it arrived
    generation: int
    reply: int = 0  # the id of the message that it answers
    blank: bool = False  # an empty control of a page: there is nothing to store
    again: str | None = None  # the form that it was sent again from
    begun: Note | None = None  # what was due of it as a draft
    counted: bool = False  # in the rate of its person
    answered: bool = False
    write: PendingWrite[Change] | None = None

    @property
    def is_done(self) -> bool:
        return self.answered if self.write is None else self.write.done()


class Submitter:
    """Hands the texts of one connection to the store as they come, and answers them in their order.

    There is no task for a text. Only those that have to wait for a rate, or are long and formatted, have
    one, which they share.
    """

    def __init__(self, chat: Context, connection: Connection, reader: TextReader | None) -> None:
        self.receipts = Receipts()
        self._reader = reader  # held by its user while this is full
        self._chat = chat
        self._formatter = chat.render.messages.formatter
        self._connection = connection
        self._pending: list[Text] = []  # few, in their order, until they are answered
        self._length = 0  # characters of them
        self._waiting: list[Text] = []  # those of them that have yet to be handed to the store
        self._pacing: asyncio.Task[None] | None = None
        self._has_place: asyncio.Future[None] | None = None
        self._ended = False
        self.unstored = False  # the page says that something could not be stored

    @property
    def is_full(self) -> bool:
        return len(self._pending) >= BODIES or self._length >= AS_TYPED

    def has_place_for(self, bodies: Texts) -> bool:
        return len(self._pending) + len(bodies) <= BODIES and self._length + bodies.length <= AS_TYPED

    async def add_in_time(self, text: Text) -> None:
        """Add a text, once there is place for it."""
        while self._pending and (self.is_full or self._length + len(text.body) > AS_TYPED):
            self._has_place = asyncio.get_running_loop().create_future()
            await self._has_place
            await answers_sent(self._connection)
        self.add(text)

    def add(self, text: Text) -> None:
        if self._ended:
            return  # the page will say again, in order, what was not answered
        if posting.asks_for_help(text.body):
            text.blank = True
            self._show_help()
        if self._connection.draft is not None:
            text.begun = begun_as(self._chat, self._connection.member, text.key)
        self._pending.append(text)
        self._length += len(text.body)
        if text.again is None:
            self.receipts.write(text.place, text.body)
        if self._waiting or self._formatter.takes_long(text.body) or not self._spend(text):
            self._waiting.append(text)
            self._pacing = self._pacing or asyncio.create_task(self._submit_waiting())
        else:
            self._submit(text)

    def _show_help(self) -> None:
        """When the page has done with what it shows no longer once something is sent."""
        connection = self._connection
        answer = self._chat.render.help.answer(connection.member.code, connection.look)
        asyncio.get_running_loop().call_later(ACKNOWLEDGE, connection.show, "help", answer)

    def _spend(self, text: Text) -> bool:
        """Whether the rates allow a text now; it counts then."""
        person = self._connection.member.person
        text.counted = text.counted or self._chat.limits.take_now(limits.MESSAGES, person)
        return text.counted and not self._bytes_wait(text, 0.0)

    def _bytes_wait(self, text: Text, patience: float) -> float:
        return 0.0 if text.blank else bytes_wait(self._chat, self._connection, text.size, patience)

    async def _submit_waiting(self) -> None:
        """Hand over, one after the other, the texts that wait for a rate or to be formatted."""
        while self._waiting:
            text = self._waiting[0]
            try:
                reason = await self._wait(text)
                if not reason:
                    await posting.format_first(self._formatter, text.body)
            except Exception:
                reason = self._fault()
            if self._ended:  # a cancellation may be swallowed by what was waited for
                return
            del self._waiting[0]
            if reason:
                self._refuse(text, reason)
                self._settle()
            else:
                self._submit(text)
        self._pacing = None

    async def _wait(self, text: Text) -> str:
        """Wait for the rates of a text. Not empty: why it has to be refused."""
        if not text.counted and await pace(self._chat, self._connection, text.since):
            return "Not sent yet: a few too many at once. Send again in a moment."
        wait = self._bytes_wait(text, limits.PATIENCE)
        if wait > limits.PATIENCE:
            return "Not sent yet: a lot of text in one minute. Send again in a moment."
        if wait:
            await asyncio.sleep(wait)
        return ""

    def _submit(self, text: Text) -> None:
        """Hand a text to the store."""
        chat, member = self._chat, self._connection.member
        try:
            if not text.blank:
                chat.quota.take(text.size, "body")
                text.write = posting.post_message(
                    chat.store, self._formatter, member, text.key, text.place, text.body, text.reply
                )
        except Refused as refused:
            self._refuse(text, refused.text)
        except FAILED as error:
            self._fail(error)
        except Exception:
            self._refuse(text, self._fault())
        if text.write is not None:
            text.write.add_done_callback(self._settle)
        else:
            text.answered = True
            self._settle()

    def _settle(self, _: object = None) -> None:
        """Answer what is done, up to the first text that is not."""
        pending = self._pending
        while pending and pending[0].is_done and not self._ended:
            text = pending.pop(0)
            self._length -= len(text.body)
            self._answer(text)
        if not pending:
            self.end_unstored()
        if self._has_place is not None and not self._has_place.done():
            self._has_place.set_result(None)
        if self._reader is not None and not self.is_full:
            self._reader.release()

    def _answer(self, text: Text) -> None:
        error = None if text.write is None else text.write.exception()
        if isinstance(error, FAILED):
            self._fail(error)
            return
        if isinstance(error, Refused):
            if error.field == "reply":
                text.reply = 0  # it comes back as a text of its own
            self._refuse(text, error.text)
        elif error is not None:
            # Whatever our fault is, the text is its writer's: kept for a retry, it would fail for ever.
            self._refuse(text, self._fault(error))
        elif text.write is not None:
            self._chat.metrics.appended(asyncio.get_running_loop().time() - text.since)
            note_sent(self._chat, self._connection, text.key, text.body, text.begun)
        if text.again is not None:
            self._end_refused(text.again)
        elif self.receipts.answer(text.place, text.body, text.generation):
            acknowledge(self._chat, self._connection, self.receipts)

    def end_unstored(self) -> None:
        """If a page says that something could not be stored, say that this is over once all is stored."""
        if self.unstored and not self._pending and not self._ended:
            self.unstored = False
            fragment = self._chat.render.alerts.outage(self._chat.hub.health.outage, self._connection.look)
            self._connection.show("outage", fragment)

    def _end_refused(self, again: str) -> None:
        """The form of a refused text goes; if it was refused again, it has come back already."""
        if again.replace("-", "").replace("_", "").isalnum() and again.isascii():
            fragment = self._chat.render.composer.sent_again(again, self._connection.look)
            self._connection.answer(f"sent again {again}", fragment)

    def _refuse(self, text: Text, reason: str) -> None:
        """A text comes back beside the composer, and counts as dealt with."""
        text.answered = True
        self._chat.metrics.refusals.labels("message").inc()
        id, key, place = secrets.token_urlsafe(6), text.key, text.place
        try:
            clean_key(key)
        except Refused:
            key, place = id, 0
        body = text.body.replace("\r\n", "\n")[:BODY_FIELD]  # no field of a page holds more
        body = body.encode(errors="replace").decode()  # half a character cannot be sent back
        code, look = self._connection.member.code, self._connection.look
        fragment = self._chat.render.composer.refused(
            code, id, key, place, body, reason, look, max(text.reply, 0)
        )
        # Every refused text has a slot of its own: none may take another's place.
        self._connection.answer(f"refused {id}", fragment)

    def _fault(self, error: BaseException | None = None) -> str:
        code = self._chat.codes.logged(self._connection.member.code)
        logs.log.error("post-failed room=%s", code, exc_info=error or True)
        return FAULT

    def _fail(self, error: Exception) -> None:
        """One could not be stored, so none behind it may be: the page sends all of them again."""
        if not self._ended:
            report(self._chat, self._connection, error)
            self.end()

    def end(self) -> None:
        """Take back what is still on its way: the page will say it again, in order."""
        self._ended = True
        if self._pacing is not None:
            self._pacing.cancel()
        for text in self._pending:
            if text.write is not None:
                text.write.cancel()
