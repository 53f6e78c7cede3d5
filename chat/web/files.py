"""Static files, and the stylesheet by which members know their own messages."""

from __future__ import annotations

from quart import Response, abort, redirect
from quart.typing import ResponseReturnValue

from chat.model.digits import to_number
from chat.model.members import SEAT_DIGITS
from chat.views import ignored, people
from chat.web import fields
from chat.web.headers import FOREVER
from chat.web.requests import current_chat, pages


@pages.get("/static/<path:path>")
async def static(path: str) -> ResponseReturnValue:
    """Files that there are were answered before: chat/web/static_files.py."""
    abort(404)


@pages.get("/seats/<numbers>.css")
@pages.get("/seats/<version>/<numbers>.css")
async def own_style(numbers: str, version: str = "") -> ResponseReturnValue:
    """Kept for ever under the version of its content; a page of another release may name another."""
    return _style(people.own_style(_seats(numbers)), version == people.OWN_VERSION)


@pages.get("/seats/<version>/ignored/<numbers>.css")
async def ignored_style(numbers: str, version: str) -> ResponseReturnValue:
    return _style(ignored.ignored_style(_seats(numbers)), version == ignored.VERSION)


def _seats(numbers: str) -> list[int]:
    if len(numbers) > fields.SEAT_LIST:
        abort(404)
    seats = [to_number(seat, SEAT_DIGITS) for seat in numbers.split(".")]
    known = [seat for seat in seats if seat is not None]
    if len(seats) > people.SEATS or len(known) < len(seats):
        abort(404)
    return known


def _style(style: str, is_current: bool) -> Response:
    kept = FOREVER if is_current else "no-cache"
    return Response(style, content_type="text/css; charset=utf-8", headers={"Cache-Control": kept})


@pages.get("/favicon.ico")
async def favicon() -> ResponseReturnValue:
    return redirect(current_chat().assets.url("icon.svg"), 301)
