"""Pages that say what did not work, and what to do."""

from __future__ import annotations

from quart import Quart, has_request_context, redirect, request, websocket
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from chat import logs
from chat.model.codes import clean_code
from chat.model.errors import RateLimited, Refused
from chat.store import NoMessage, NotFound, OutcomeUnknown, Unavailable
from chat.views.forms import Draft, Form
from chat.web import fields
from chat.web.home import home_page
from chat.web.requests import canonical_code, current_chat, current_reader, pace_reading, pages

DID_NOT_WORK = "That did not work"
TRY_AGAIN = "Please go back, reload the page and try again."
ERRORS = {
    400: (DID_NOT_WORK, TRY_AGAIN),
    403: ("You are not in this room (any more).", "To read and write here, join it again."),
    404: ("This page or room does not exist.", "Is a letter of the code missing?"),
    405: (DID_NOT_WORK, TRY_AGAIN),
    408: ("That took too long", "What you sent did not arrive in time. Please send it again."),
    413: ("Too long", "This is too much at once. Please send it in parts."),
    415: (DID_NOT_WORK, "Please use the form on the page."),
    429: ("A little slower, please", "Please try again in a moment."),
    500: ("Something went wrong", "It was not your fault. Please try again in a moment."),
    503: ("Not just now", "Nothing can be loaded or saved just now. Please try again in a moment."),
}
AGAIN = "Nothing can be loaded or saved just now. This page tries again by itself."


def handle_errors(app: Quart) -> None:
    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> ResponseReturnValue:
        allowed = getattr(error, "valid_methods", None)
        page = _usual(error.code or 500, getattr(error, "text", ""))
        if wait := getattr(error, "retry_after", None):
            return *page, {"Retry-After": str(wait)}
        return *page, {"Allow": ", ".join(sorted(allowed))} if allowed else {}

    @app.errorhandler(RateLimited)
    async def too_soon(error: RateLimited) -> ResponseReturnValue:
        return *_usual(429, error.text), {"Retry-After": str(round(error.wait) + 1)}

    @app.errorhandler(NoMessage)
    async def no_message(error: NoMessage) -> ResponseReturnValue:
        return error_page(404, "There is no such message.", "Perhaps a part of the link is missing."), 404

    @app.errorhandler(NotFound)
    async def missing(error: NotFound) -> ResponseReturnValue:
        return _usual(404)

    @app.errorhandler(Unavailable)
    @app.errorhandler(OutcomeUnknown)
    async def unavailable(error: Exception) -> ResponseReturnValue:
        logs.event("store-unavailable")
        if has_request_context() and request.method == "GET":
            return *_usual(503, AGAIN), {"Retry-After": "5", "Refresh": "10"}
        return *_usual(503), {"Retry-After": "5"}

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> ResponseReturnValue:
        reached = request if has_request_context() else websocket
        logs.log.exception("request-failed path=%s", reached.endpoint)
        return _usual(500)


def error_page(status: int, title: str, text: str, kept: Draft | None = None) -> str:
    """`kept` is what was typed and could not be taken. A fault of ours is no alert where nothing was sent."""
    code = canonical_code(_code_asked_for()) if status in (403, 404) else ""
    is_alert = status < 500 or (has_request_context() and request.method == "POST")
    render = current_chat().render.pages
    return render.error(status, title, text, current_reader(), kept, code, is_alert=is_alert)


def _usual(status: int, text: str = "") -> tuple[str, int]:
    title, usual = ERRORS.get(status, ERRORS[400 if status < 500 else 500])
    if status != 404:
        return error_page(status, title, text or usual), status
    form = Form({"code": _code_asked_for()})
    return current_chat().render.pages.error(404, title, usual, current_reader(), form=form), 404


def _code_asked_for() -> str:
    """The code in the address, as it was typed."""
    if not has_request_context():
        return ""
    code = fields.cut("code", (request.view_args or {}).get("code", ""))
    return code if code.isprintable() else ""


@pages.get("/join")
async def join_by_code() -> ResponseReturnValue:
    """Where the form of a page that does not exist leads to: the room, or an invitation to it."""
    pace_reading(current_chat(), None)
    typed = fields.text(request.args, "code")
    try:
        return redirect(f"/rooms/{clean_code(typed)}", 303)
    except Refused as refused:
        form = Form({"code": typed}, {refused.field: refused.text})
        return await home_page(current_chat(), form), 422
