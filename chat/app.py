"""create_app(): wires the rooms of the house together."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Coroutine
from typing import Any

from quart import Quart, Response, abort, request
from quart.sessions import NullSession, SessionInterface
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import BadHost

from chat import logs, server
from chat.cli import COMMANDS
from chat.cluster.tasks import end
from chat.context import Context
from chat.origins import is_used_elsewhere, same_origin
from chat.settings import Misconfigured, Settings
from chat.startup import close_context, open_context
from chat.store import OutcomeUnknown, Unavailable
from chat.upkeep import work_of
from chat.web import pages, sockets
from chat.web.admission import Refusal, refuse_host, refuse_origin
from chat.web.errors import handle_errors
from chat.web.headers import FRAMED_POLICY, HEADERS, HSTS, USUAL_POLICY
from chat.web.requests import client_info, current_chat, current_reader, found_identity, give_cookie
from chat.web.static_files import PREFIX, StaticFiles

FORM_BYTES = 256 * 1024  # of a whole request, so that a text too long comes back instead of being lost
WORTH_COMPRESSING = 500  # bytes
EFFORT = 5  # of nine: 1.5 % fewer bytes than with 4, for 0.05 ms a page; 6 takes more time than it saves
TOO_MUCH_TO_COMPRESS = 300_000  # bytes: such a page is mostly what its reader just sent, and takes 30 ms

ANY_HOST = {"pages.static", "pages.healthz", "pages.metrics"}  # probes ask by address


class NoSessions(SessionInterface):
    """Quart would make an empty one for each request and each open socket."""

    _none = NullSession()

    async def open_session(self, *_: Any) -> NullSession:
        return self._none

    def is_null_session(self, _: object) -> bool:
        return True


class Chat(Quart):
    session_interface = NoSessions()  # type: ignore[assignment]

    async def asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            files: StaticFiles | None = self.extensions.get("files")
            if files is not None and await files.serve(scope, send):
                return
        await super().asgi_app(scope, receive, send)

    def create_url_adapter(self, request: Any) -> Any:
        """Route by path alone if the Host is none: Quart would fail before it could show an error page."""
        try:
            return super().create_url_adapter(request)
        except BadHost:
            return self.url_map.bind(
                "invalid", url_scheme=request.scheme, default_method=request.method, path_info=request.path
            )

    def log_exception(self, exception_info: Any) -> None:
        """A refusal to start is one line, which chat.server.refusal prints."""
        if server.refusal.KEY not in self.extensions:
            super().log_exception(exception_info)


def create_app(settings: Settings | None = None) -> Quart:
    """The application, not yet running: no setting is read and nothing is opened before it serves."""
    logs.configure()
    server.install()
    app = Chat(__name__, static_folder=None, template_folder=None)
    app.request_class = server.BoundedRequest
    app.asgi_http_class = server.OneTaskRequest
    app.asgi_websocket_class = server.BoundedWebsocket
    app.config["MAX_CONTENT_LENGTH"] = FORM_BYTES
    app.config["BODY_TIMEOUT"] = server.bounds.BODY_TIMEOUT
    app.register_blueprint(pages)
    app.register_blueprint(sockets)
    app.before_request(_check_host)
    app.before_request(_check_origin)
    app.before_request(_check_type)
    app.after_request(_finish)
    handle_errors(app)
    _run_while_serving(app, settings)
    for command in COMMANDS:
        app.cli.add_command(command)
    return app


def _run_while_serving(app: Quart, given: Settings | None) -> None:
    tasks: list[asyncio.Task[None]] = []

    @app.before_serving
    async def start() -> None:
        try:
            settings = given or Settings.from_env()
            app.extensions["server"] = server.Options(settings.rate_limit, settings.trusted_proxies)
            chat = await open_context(settings)
        except (Misconfigured, Unavailable, OutcomeUnknown) as error:
            app.extensions[server.refusal.KEY] = " ".join(str(error).split())
            raise
        app.extensions["chat"] = chat
        app.extensions["files"] = StaticFiles(chat.assets, settings.trusted_proxies)
        app.extensions["terminating"] = chat.hub.connections.terminate
        tasks.extend(map(_lasting, work_of(chat)))
        logs.event("started", store=chat.store.durability, nodes="many" if settings.redis_url else "one")

    @app.after_serving
    async def stop() -> None:
        chat: Context = app.extensions["chat"]
        await chat.hub.connections.terminate()
        await end(*tasks)
        await close_context(chat)
        logs.event("stopped")


def _lasting(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that must never end by itself: if it does, the log says so."""
    task = asyncio.create_task(work)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            logs.log.critical("background-work-ended", exc_info=error)

    task.add_done_callback(ended)
    return task


async def _check_host() -> ResponseReturnValue | None:
    if request.endpoint in ANY_HOST:
        return None
    refusal = refuse_host(client_info(), current_chat().settings.hosts, current_chat().repeats)
    return _refused("host", refusal) if refusal else None


async def _check_origin() -> ResponseReturnValue | None:
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        if is_used_elsewhere(request.headers) and request.endpoint != "pages.static":
            # It would count as read, and against its reader's rates.
            current_chat().metrics.refusals.labels("origin").inc()
            abort(403)
        return None
    client = client_info()
    if same_origin(request.headers, client.scheme, client.host):
        return None
    return _refused("origin", refuse_origin(request.headers, client, current_chat().repeats))


def _refused(reason: str, refusal: Refusal) -> ResponseReturnValue:
    current_chat().metrics.refusals.labels(reason).inc()
    return current_chat().render.pages.error(*refusal, current_reader()), refusal.status


async def _check_type() -> None:
    if isinstance(request, server.BoundedRequest) and request.has_other_body():
        abort(415)


async def _finish(response: Response) -> Response:
    """The headers of every answer, and compression of pages."""
    live = request.endpoint == "pages.stream"
    response.headers["Content-Security-Policy"] = FRAMED_POLICY if live else USUAL_POLICY
    response.headers.update(HEADERS)
    if client_info().scheme == "https":
        response.headers["Strict-Transport-Security"] = HSTS
    if response.mimetype == "text/html" and request.endpoint != "pages.static":
        # What answers a form holds its key, and must not come out of a cache beside a page that uses it.
        kept = "no-store" if request.method == "POST" else "private, no-cache"
        response.headers.setdefault("Cache-Control", kept)
        response.vary.update(["Cookie", "Accept-Encoding", "Accept-Language", "HX-Request"])
        if request.method == "GET" and (known := found_identity()) and known.renew:
            give_cookie(response, known.person)
    is_text = response.mimetype in ("text/html", "text/css") and request.endpoint != "pages.static"
    if is_text and not live and request.accept_encodings.quality("gzip") > 0:
        await _compress(response)
    return response


async def _compress(response: Response) -> None:
    body = await response.get_data(as_text=False)
    if WORTH_COMPRESSING <= len(body) <= TOO_MUCH_TO_COMPRESS:
        response.set_data(gzip.compress(body, EFFORT, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
