"""The chat that every tutorial builds: Starlette on Uvicorn and uvloop, rooms in a dict, nothing kept."""

from __future__ import annotations

import html
import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from .client import HOST

rooms: dict[str, set[WebSocket]] = {}


async def live(socket: WebSocket) -> None:
    await socket.accept()
    members = rooms.setdefault(socket.path_params["code"], set())
    members.add(socket)
    try:
        while True:
            text = html.escape(json.loads(await socket.receive_text())["body"])
            fragment = f'<div hx-swap-oob="beforeend:#messages"><p class=text>{text}</p></div>'
            for member in list(members):
                await member.send_text(fragment)
    except WebSocketDisconnect:
        pass
    finally:
        members.discard(socket)


app = Starlette(routes=[WebSocketRoute("/rooms/{code}/live", live)])

if __name__ == "__main__":
    uvicorn.run(
        app,
        host=HOST,
        port=int(sys.argv[1]),
        loop="uvloop",
        ws="websockets-sansio",
        log_level="error",
        backlog=2048,
    )
