"""The live page without JavaScript: one that never ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from itertools import chain

from quart import abort, make_response, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.live.budget import OverBudget
from chat.live.connection import POLICY, Close, Connection
from chat.model.changes import Page
from chat.model.members import Member
from chat.model.messages import Message
from chat.store import NotFound, Unavailable
from chat.store.members import seats_of
from chat.store.messages import replies_to
from chat.store.windows import Part, weight
from chat.views.messages import PAGE, Shown
from chat.views.reader import Reader
from chat.views.stream_lines import StreamLines
from chat.views.unread import NewLine
from chat.web.reading import is_gone_to, line_on, read_by
from chat.web.requests import asked_number, current_chat, current_reader, pace_reading, pages, require_member
from chat.web.sending import has_left

ANSWERS = 50  # that are written again because what they answer has changed, in one go


@pages.get("/rooms/<code>/stream")
async def stream(code: str) -> ResponseReturnValue:
    """The conversation as a page that never ends; the room shows it in a frame without JavaScript."""
    chat = current_chat()
    member = await require_member(chat, code)
    if request.method == "HEAD":  # Quart would run the page without end
        return ""
    if not is_gone_to():
        abort(403)
    if chat.hub.sending.full:
        raise Unavailable("Too much waits for slow readers.")  # the answer to that loads itself again
    pace_reading(chat, member.person)
    reader = current_reader()
    shown = await chat.hub.page(member.code, None, reader.look)
    seats = await chat.store.read(seats_of, member.code, member.person)
    new = await _line(chat, member, seats, shown.page)
    response = await make_response(_stream(chat, member, reader, seats, shown, new))
    response.content_type = "text/html; charset=utf-8"
    response.headers["X-Accel-Buffering"] = "no"
    response.timeout = None  # type: ignore[union-attr]
    return response


async def _line(chat: Context, member: Member, seats: list[int], page: Page) -> NewLine | None:
    """Before what was new when the room was opened. Unless that begins before the page, it is read by now."""
    new = await line_on(chat, member, seats, page, await read_by(chat, member))
    if new and new.is_beyond:
        return new
    chat.reading.note(member.code, member.number, page.position.rev)
    read = asked_number("read")
    return None if read is None else await line_on(chat, member, seats, page, read)


async def _stream(
    chat: Context, member: Member, reader: Reader, seats: list[int], shown: Shown, new: NewLine | None
) -> AsyncIterator[bytes]:
    connection = Connection(member, reader.look)
    chat.hub.connections.admit(connection)
    chat.presence.arrive(member)
    chat.metrics.streams.inc()
    try:
        lines = StreamLines(shown.page.messages, shown.page.position.rev)
        yield chat.render.pages.stream_start(member, seats, shown, lines, reader, new).encode()
        await chat.hub.join(connection, shown.page.position)
        if chat.hub.health.outage:
            connection.show("outage", "")  # what is said of it here has another shape
        while connection.closing is None:
            await connection.ready()
            if text := await _stream_part(chat, connection, lines):
                with chat.hub.sending.held(text):
                    yield text.encode()
    except (Unavailable, NotFound, OverBudget):
        pass  # a page that ends properly loads itself again
    finally:
        chat.metrics.streams.dec()
        chat.hub.release(connection)
        chat.presence.depart(member)


async def _stream_part(chat: Context, connection: Connection, lines: StreamLines) -> str:
    """What is new or has changed."""
    feed = connection.feed
    if feed is None or connection.cursor is None:
        return ""
    if await has_left(chat, connection, feed):
        return ""
    part = feed.part(connection.look, connection.cursor)
    if part is None:
        connection.close(Close(POLICY))  # too far behind: the page reloads itself and starts at the newest
        return ""
    texts = connection.has_texts
    connection.move_to(part.rev, is_all=part.rev == feed.position.rev)
    if part.rev < feed.position.rev:
        connection.wake()  # for the rest, once this is taken
    slots = connection.take_slots()
    parts = await _lines(chat, connection, lines, part, texts)
    if "outage" in slots:
        parts.append(lines.aside(chat.render.alerts.stream_outage(chat.hub.health.outage, connection.look)))
    return "".join(parts) or ("<!-- -->\n" if slots else "")


async def _lines(
    chat: Context, connection: Connection, lines: StreamLines, part: Part, since: int
) -> list[str]:
    """Messages that are new or have changed, and those that show what has changed about another one."""
    html = chat.hub.rendered.of(connection.member.code, connection.look).message
    answers = await _answers(chat, connection, lines, part.changed, since)
    shown = {m.id: m for m in chain(answers, part.changed, part.created)}
    return list(lines.of((message, html(message)) for message in shown.values()))


async def _answers(
    chat: Context, connection: Connection, lines: StreamLines, changed: Iterable[Message], since: int
) -> list[Message]:
    """Those on the page that show the first words of messages whose texts have changed."""
    ids = [message.id for message in changed if message.text_rev > since and lines.answers(message)]
    if not ids:
        return []
    code = connection.member.code
    answers = await chat.store.snapshot(replies_to, code, ids, lines.first, ANSWERS + 1)
    if len(answers) > ANSWERS or sum(map(weight, answers)) > PAGE:
        connection.close(Close(POLICY))  # the page reloads itself, which is less
        return []
    return answers
