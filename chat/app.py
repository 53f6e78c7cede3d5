"""create_app(): wires the rooms of the house together."""

from __future__ import annotations

import asyncio
import gzip
import secrets
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import click
from quart import Quart, Response, abort, has_request_context, request, websocket
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import BadHost, HTTPException

from chat import guards, logs
from chat.assets import Assets, folder
from chat.bus import bus_for
from chat.census import census_for
from chat.context import Context
from chat.hub import SOCKETS, Hub
from chat.limits import limits_for
from chat.metrics import Metrics
from chat.pages import TooSoon, here, pages, reached
from chat.presence import Presence
from chat.render import Render
from chat.settings import Misconfigured, Settings
from chat.sockets import sockets
from chat.store import Missing, Store, Unavailable, Unknown, store_for
from chat.store.move import IDENTITY, KEY, NotMoved, forget, move
from chat.visitors import Identities, fingerprint, same_origin, secret_for

if TYPE_CHECKING:
    from chat.nodes import Redis

FORM_BYTES = 256 * 1024  # of a whole request, so that a text too long comes back instead of being lost
WORTH_COMPRESSING = 500  # bytes
COUNT = 30.0  # s between counts of the nodes

POLICY = {
    "default-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-src": "'self'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ERRORS = {
    400: ("That did not work", "The server did not understand this request."),
    403: ("Not for you", "You are not in this room, or the request came from another site."),
    404: ("Nothing here", "There is no such room or page. Is the code right?"),
    405: ("That did not work", "This address does not take such requests."),
    413: ("Too long", "That is more than the server takes at once."),
    429: ("A little slower, please", "Too many requests."),
    500: ("Something went wrong", "The fault is ours. It has been noted; please try again."),
    503: ("Not just now", "The server cannot reach its store. Please try again in a moment."),
}


class Chat(Quart):
    def create_url_adapter(self, request: Any) -> Any:
        """Route by path alone if the Host is none: Quart would fail before it could show an error page."""
        try:
            return super().create_url_adapter(request)
        except BadHost:
            return self.url_map.bind(
                "invalid", url_scheme=request.scheme, default_method=request.method, path_info=request.path
            )


def create_app(settings: Settings | None = None) -> Quart:
    """The application, not yet running: nothing is opened before it serves."""
    logs.configure()
    guards.install()
    try:
        settings = settings or Settings.from_env()
    except Misconfigured as error:
        raise SystemExit(f"chat: {error}") from None
    app = Chat(__name__, static_folder=None, template_folder=None)
    app.asgi_websocket_class = guards.BoundedWebsocket
    app.config["MAX_CONTENT_LENGTH"] = FORM_BYTES
    app.register_blueprint(pages)
    app.register_blueprint(sockets)
    app.before_request(_check_origin)
    app.after_request(_finish)
    _handle_errors(app)
    _run_while_serving(app, settings)
    app.cli.command("move-store")(move_store)
    app.cli.command("forget-key")(forget_key)
    return app


@click.argument("source", metavar="FROM_URL")
@click.argument("target", metavar="TO_URL")
def move_store(source: str, target: str) -> None:
    """Copy every room from one database to another, which has to be empty.

    The URLs are written as in CHAT_DATABASE_URL. Stop the servers first. If it is interrupted, run it again.
    """
    try:
        asyncio.run(move(source, target, click.echo))
    except (Misconfigured, NotMoved) as error:
        raise click.ClickException(str(error)) from None


@click.argument("database", metavar="URL")
def forget_key(database: str) -> None:
    """Let the next CHAT_SECRET_KEY be another one. Everybody will be a stranger then.

    The URL is written as in CHAT_DATABASE_URL. Stop the servers first.
    """
    try:
        asyncio.run(forget(database, KEY))
    except Misconfigured as error:
        raise click.ClickException(str(error)) from None
    click.echo("Forgotten. The first node to start decides on the key.")


def _run_while_serving(app: Quart, settings: Settings) -> None:
    tasks: list[asyncio.Task[None]] = []

    @app.before_serving
    async def start() -> None:
        try:
            chat = await _open(settings)
        except Misconfigured as error:
            raise SystemExit(f"chat: {error}") from None
        app.extensions["chat"] = chat
        app.extensions["terminating"] = chat.hub.terminate
        hub = chat.hub
        for work in (hub.run_checks(), hub.run_contact(), hub.run_beats(), chat.presence.run(), _count(chat)):
            tasks.append(_lasting(work))
        logs.event("started", store=chat.store.durability, nodes="many" if settings.redis_url else "one")

    @app.after_serving
    async def stop() -> None:
        chat: Context = app.extensions["chat"]
        await chat.hub.terminate()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await chat.hub.census.close()
        await chat.hub.bus.close()
        if chat.redis is not None:
            await chat.redis.close()
        await chat.store.close()
        logs.event("stopped")


async def _open(settings: Settings) -> Context:
    """Everything a handler works with, opened. Raises Misconfigured."""
    _refuse_redis_with_sqlite(settings)
    secret = secret_for(settings)
    store = store_for(settings.database_url, alone=not settings.redis_url)
    await store.open()
    try:
        await _agree_on_the_key(store, secret)
        redis = await _redis(settings, store)
        return await _opened(settings, secret, store, redis)
    except BaseException:
        await store.close()
        raise


def _refuse_redis_with_sqlite(settings: Settings) -> None:
    if settings.redis_url and settings.database_url.startswith("sqlite:"):
        raise Misconfigured(
            "CHAT_REDIS_URL is for several processes, which one SQLite file cannot serve: "
            "set CHAT_DATABASE_URL to a PostgreSQL database, or leave CHAT_REDIS_URL out."
        )


async def _agree_on_the_key(store: Store, secret: str) -> None:
    """With another key everybody would be a stranger, on this node or on the others."""
    ours = fingerprint(secret)
    if (first := await store.agree(KEY, ours)) != ours:
        raise Misconfigured(
            f"CHAT_SECRET_KEY (fingerprint {ours}) is not the one that this database knows ({first}). "
            "Set the same on every node, or the former one again. A new one makes everybody a stranger; "
            "if that is meant, stop every node and run the command forget-key first."
        )


async def _redis(settings: Settings, store: Store) -> Redis | None:
    """What the nodes share, if there are to be several. Raises Misconfigured."""
    if not settings.redis_url:
        return None
    try:
        from chat.nodes import Redis
    except ModuleNotFoundError:
        raise Misconfigured('CHAT_REDIS_URL needs more packages: pip install "room-chat[cluster]".') from None
    # Nodes of another database may use the same Redis: theirs is another chat.
    redis = Redis(settings.redis_url, name=await store.agree(IDENTITY, secrets.token_hex(16)))
    await redis.open()
    return redis


async def _opened(settings: Settings, secret: str, store: Store, redis: Redis | None) -> Context:
    assets, metrics = Assets(folder("static")), Metrics()
    render = Render(folder("templates"), assets)
    bus, census = bus_for(redis, metrics.hinted, metrics.interruptions.inc), census_for(redis, SOCKETS)
    hub = Hub(store, bus, render, delivered=metrics.delivered, census=census, repaired=metrics.repairs.inc)

    def committed(changes: Any) -> None:
        metrics.messages.inc(len(changes))
        bus.announce(changes)

    store.committed, store.missed, store.doubted = committed, hub.check_soon, metrics.unknown.inc
    await bus.open()
    presence = Presence(store, hub, render.roster, census=census)
    await census.open()
    await presence.restore()
    return Context(
        settings=settings,
        identities=Identities(secret),
        store=store,
        hub=hub,
        presence=presence,
        limits=limits_for(redis, settings.rate_limit),
        metrics=metrics,
        render=render,
        assets=assets,
        redis=redis,
    )


async def _count(chat: Context) -> None:
    """Say so, for as long as it is so, if Redis knows fewer nodes than the database does."""
    apart = 0
    while True:
        await asyncio.sleep(COUNT)
        try:
            processes, nodes = await chat.store.processes(), chat.hub.census.nodes
        except Unavailable:
            continue
        apart = apart + 1 if 0 < nodes < processes else 0
        if apart > 1:  # not only while one of them starts or ends
            logs.log.warning(
                "nodes-apart database=%d redis=%d: is CHAT_REDIS_URL the same on each node?", processes, nodes
            )


def _lasting(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that must never end by itself: if it does, the log says so."""
    task = asyncio.create_task(work)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            logs.log.critical("background-work-ended", exc_info=error)

    task.add_done_callback(ended)
    return task


async def _check_origin() -> None:
    if request.method not in {"GET", "HEAD", "OPTIONS"} and not same_origin(request.headers, reached().host):
        here().metrics.refusals.labels("origin").inc()
        abort(403)


async def _finish(response: Response) -> Response:
    """The headers of every answer, and compression of pages."""
    policy = dict(POLICY)
    live = request.endpoint == "pages.stream"
    if live:
        policy["frame-ancestors"] = "'self'"
    response.headers["Content-Security-Policy"] = "; ".join(f"{k} {v}" for k, v in policy.items())
    response.headers.update(HEADERS)
    if response.mimetype == "text/html" and request.endpoint != "pages.static":
        response.headers["Cache-Control"] = "private, no-cache"
        response.vary.update(["Cookie", "Accept-Encoding"])
        if not live and request.accept_encodings.quality("gzip") > 0:
            await _compress(response)
    return response


async def _compress(response: Response) -> None:
    body = await response.get_data(as_text=False)
    if len(body) >= WORTH_COMPRESSING:
        response.set_data(gzip.compress(body, 6, mtime=0))
        response.headers["Content-Encoding"] = "gzip"


def _handle_errors(app: Quart) -> None:
    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> ResponseReturnValue:
        allowed = getattr(error, "valid_methods", None)
        return *_error(error.code or 500), {"Allow": ", ".join(sorted(allowed))} if allowed else {}

    @app.errorhandler(TooSoon)
    async def too_soon(error: TooSoon) -> ResponseReturnValue:
        return *_error(429, error.text), {"Retry-After": str(round(error.wait) + 1)}

    @app.errorhandler(Missing)
    async def missing(error: Missing) -> ResponseReturnValue:
        return _error(404)

    @app.errorhandler(Unavailable)
    @app.errorhandler(Unknown)
    async def unavailable(error: Exception) -> ResponseReturnValue:
        logs.event("store-unavailable")
        again = {"Refresh": "10"} if has_request_context() and request.method == "GET" else {}
        return *_error(503), {"Retry-After": "5"} | again

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> ResponseReturnValue:
        reached = request if has_request_context() else websocket
        logs.log.exception("request-failed path=%s", reached.endpoint)
        return _error(500)


def _error(status: int, text: str = "") -> tuple[str, int]:
    title, usual = ERRORS.get(status, ERRORS[400 if status < 500 else 500])
    return here().render.error(status, title, text or usual), status
