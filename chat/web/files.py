"""Static files, and the stylesheet by which members know their own messages."""

from __future__ import annotations

from quart import Response, abort, redirect, request
from quart.typing import ResponseReturnValue

from chat.views.renderer import SEATS
from chat.web import fields
from chat.web.requests import current_chat, pages

FOREVER = "public, max-age=31536000, immutable"


@pages.get("/static/<path:path>")
async def static(path: str) -> ResponseReturnValue:
    chat = current_chat()
    asset = chat.assets.find(path)
    if asset is None:
        abort(404)
    zipped = asset.compressed is not None and request.accept_encodings.quality("gzip") > 0
    response = Response(asset.compressed if zipped else asset.body, content_type=asset.type)
    response.headers["Cache-Control"] = FOREVER if asset.url.endswith(path) else "no-cache"
    if asset.compressed is not None:
        response.headers["Vary"] = "Accept-Encoding"
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    return response


@pages.get("/seats/<numbers>.css")
async def own_style(numbers: str) -> ResponseReturnValue:
    if len(numbers) > fields.SEAT_LIST:
        abort(404)
    seats = numbers.split(".")
    if len(seats) > SEATS or not all(seat.isascii() and seat.isdigit() and len(seat) < 10 for seat in seats):
        abort(404)
    style = current_chat().render.own_style(map(int, seats))
    return Response(style, content_type="text/css; charset=utf-8", headers={"Cache-Control": FOREVER})


@pages.get("/favicon.ico")
async def favicon() -> ResponseReturnValue:
    return redirect(current_chat().assets.url("icon.svg"), 301)
