"""The live page without JavaScript: one that never ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

from quart import make_response, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.hub import POLICY, Farewell, Listener
from chat.live.budget import OverBudget
from chat.rooms import Member
from chat.store import NotFound, Unavailable
from chat.views.messages import Shown
from chat.web.requests import current_chat, pace_reading, pages, require_member


@pages.get("/rooms/<code>/stream")
async def stream(code: str) -> ResponseReturnValue:
    """The conversation as a page that never ends; the room shows it in a frame without JavaScript."""
    chat = current_chat()
    member = await require_member(chat, code)
    if request.method == "HEAD":  # Quart would run the page without end
        return ""
    if chat.hub.sending.full:
        raise Unavailable("Too much waits for slow readers.")  # the answer to that loads itself again
    pace_reading(chat, member.person)
    shown = await chat.hub.page(member.code)
    seats = await chat.store.seats_of(member.code, member.person)
    response = await make_response(_stream(chat, member, seats, shown))
    response.content_type = "text/html; charset=utf-8"
    response.headers["X-Accel-Buffering"] = "no"
    response.timeout = None  # type: ignore[union-attr]
    return response


async def _stream(chat: Context, member: Member, seats: list[int], shown: Shown) -> AsyncIterator[bytes]:
    listener = Listener(member)
    chat.hub.admit(listener)
    chat.presence.arrive(member)
    chat.metrics.streams.inc()
    try:
        yield chat.render.stream_start(member.code, seats, shown).encode()
        await chat.hub.join(listener, shown.page.position)
        while listener.farewell is None:
            await listener.ready()
            if text := await _stream_part(chat, listener):
                with chat.hub.sending.held(text):
                    yield text.encode()
    except (Unavailable, NotFound, OverBudget):
        pass  # a page that ends properly loads itself again
    finally:
        chat.metrics.streams.dec()
        chat.hub.release(listener)
        chat.presence.depart(member)


async def _stream_part(chat: Context, listener: Listener) -> str:
    """What is new; what changed follows the line it replaces, which the stylesheet hides."""
    feed = listener.feed
    if feed is None or listener.cursor is None:
        return ""
    if listener.member.number in feed.ended and await chat.hub.has_left(feed, listener.member):
        chat.presence.forget(listener.member)  # perhaps they left on another node
        listener.dismiss(Farewell(POLICY))
        return ""
    told, listener.trouble = listener.trouble, chat.hub.trouble
    part = feed.part(listener.cursor)
    if part is None:
        listener.dismiss(Farewell(POLICY))  # too far behind: the page reloads itself and starts at the newest
        return ""
    listener.cursor = part.rev
    if part.rev < feed.position.rev:
        listener.wake()  # for the rest, once this is taken
    beat, listener.beat = listener.beat, False
    shape = chat.hub.rendered.message
    parts = [f'<li class="superseded"></li>{shape(m)}\n' for m in part.changed if m.kind == "notice"]
    parts += [f"{shape(m)}\n" for m in part.created]
    if listener.trouble != told:
        parts.append(f"{chat.render.stream_trouble(listener.trouble)}\n")
    return "".join(parts) or ("<!-- -->\n" if beat else "")
