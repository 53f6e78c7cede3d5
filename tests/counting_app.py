"""The chat, saying in its log when somebody asks, when it begins to work on that and when it is done."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from quart import Quart, Response, request, websocket

from chat import app
from chat.features import posting
from chat.server import bounds
from chat.server.turns import Places
from chat.web.static_files import StaticFiles

bounds.WAITING_PER_ADDRESS = int(os.environ.get("WAITING", bounds.WAITING_PER_ADDRESS))
bounds.PLACE_PATIENCE = float(os.environ.get("PATIENCE", bounds.PLACE_PATIENCE))
bounds.BODY_TIMEOUT = float(os.environ.get("BODY_TIMEOUT", bounds.BODY_TIMEOUT))


_take = Places.take


async def _take_and_tell(self: Places, address: str, peer: Any, times: int = 1) -> bool:
    print("asked", address, flush=True)
    return await _take(self, address, peer, times)


Places.take = _take_and_tell  # type: ignore[method-assign]


def create_app() -> Quart:
    counted = app.create_app()
    over = asyncio.Event()
    post_message = posting.post_message

    def post(*args: Any, **kwargs: Any) -> Any:
        print("writing", flush=True)
        return post_message(*args, **kwargs)

    posting.post_message = post

    @counted.before_request
    async def begin() -> None:
        print("began", _peer(request.scope), flush=True)

    @counted.before_websocket
    async def begin_opening() -> None:
        print("began", _peer(websocket.scope), flush=True)

    @counted.after_request
    async def done(response: Response) -> Response:
        print("answered", _peer(request.scope), flush=True)
        return response

    serve = StaticFiles.serve

    async def serve_and_tell(files: StaticFiles, scope: Any, send: Any) -> bool:
        print("began", _peer(scope), flush=True)
        done = await serve(files, scope, send)
        print("answered", _peer(scope), flush=True)
        return done

    StaticFiles.serve = serve_and_tell  # type: ignore[method-assign,assignment]

    @counted.get("/held")
    async def held() -> str:
        """Works until it is told to end."""
        await over.wait()
        return "over"

    @counted.get("/end")
    async def end() -> str:
        over.set()
        return ""

    @counted.get("/tasks")
    async def tasks() -> str:
        return str(len(asyncio.all_tasks()))

    return counted


def _peer(scope: Any) -> str:
    return " ".join(map(str, scope["client"]))
