"""The chat, saying in its log when it begins to work on what somebody asked, and when that is done."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from quart import Quart, Response, request, websocket

from chat import actions, app
from chat.server import bounds

bounds.WAITING_PER_ADDRESS = int(os.environ.get("WAITING", bounds.WAITING_PER_ADDRESS))
bounds.PLACE_PATIENCE = float(os.environ.get("PATIENCE", bounds.PLACE_PATIENCE))


def create_app() -> Quart:
    counted = app.create_app()
    over = asyncio.Event()
    post_message = actions.post_message

    async def post(*args: Any, **kwargs: Any) -> Any:
        print("writing", flush=True)
        return await post_message(*args, **kwargs)

    actions.post_message = post

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

    @counted.get("/held")
    async def held() -> str:
        """Works until it is told to end."""
        await over.wait()
        return "over"

    @counted.get("/end")
    async def end() -> str:
        over.set()
        return ""

    return counted


def _peer(scope: Any) -> str:
    return " ".join(map(str, scope["client"]))
