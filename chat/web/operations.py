"""For operators: health and metrics."""

from __future__ import annotations

from quart import Response
from quart.typing import ResponseReturnValue

from chat.store import Unavailable
from chat.web.requests import current_chat, pages


@pages.get("/healthz")
async def healthz() -> ResponseReturnValue:
    """Whether to send people here: without Redis they can talk, without the store they cannot."""
    chat = current_chat()
    try:
        await chat.store.ping()
        store, problem = str(chat.store.durability), await chat.write_probe.problem()
    except Unavailable:
        store, problem = "away", "away"
    full = chat.quota.full
    if full == "disk":
        problem = problem or "full"
    well = not problem
    parts = ["ok" if well else "unwell", f"store={store}"]
    if problem not in {"", "away"}:
        parts.append(f"writes={problem}")
    if full == "cap":
        parts.append("space=CHAT_MAX_BYTES")
    if jumped := chat.clock.jumped:
        parts.append(f"clock={jumped}")
    if chat.redis:
        parts.append(f"redis={'away' if chat.redis.away else 'ok'}")
    return Response(
        " ".join(parts) + "\n",
        200 if well else 503,
        content_type="text/plain; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )


@pages.get("/metrics")
async def metrics() -> ResponseReturnValue:
    chat = current_chat()
    chat.metrics.rooms.set(len(chat.hub.feeds))
    chat.metrics.people.set(chat.presence.count())
    chat.metrics.nodes.set(chat.hub.registry.nodes)
    chat.metrics.redis_away.set(bool(chat.redis and chat.redis.away))
    chat.metrics.store_away.set(chat.hub.health.store_down)
    chat.metrics.store_waiting.set(chat.store.waiting)
    chat.metrics.check_age.set(chat.hub.repairs.unchecked)
    return Response(chat.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")
