"""HTTP: home, join, room, older messages, posting, leaving, and the live page without JavaScript."""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

from quart import Blueprint, Response, abort, current_app, make_response, redirect, request
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from werkzeug.sansio.response import Response as AnyResponse
from werkzeug.wrappers import Response as WerkzeugResponse

from chat import actions, fields, limits, logs, repeats, storage
from chat.codes import clean_code, is_code
from chat.context import Context
from chat.hub import POLICY, Farewell, Listener
from chat.limits import Rate
from chat.live.budget import OverBudget
from chat.render import SEATS, Draft, Form
from chat.rooms import Member, Refused, clean_name
from chat.store import NotFound, OutcomeUnknown, Unavailable
from chat.views.messages import Shown
from chat.visitors import COOKIE_AGE, Arrival, Found, arrival

FOREVER = "public, max-age=31536000, immutable"
NOT_NOW = "The server cannot reach its database just now. Please try again in a moment."
NO_COOKIE = (
    "Your browser did not keep the cookie of this chat, so nobody would know you again in the room, and you "
    "were not let in. Allow cookies for this site, then try again."
)
STILL_LOGGED_IN = "You are still in many other rooms. Please log out once more."
LOGGED_OUT = 200  # rooms that are left at once
NOT_STORED = "The server could not store this just now. Please send it again."

pages = Blueprint("pages", __name__)


class TooSoon(Refused):
    """A rate limit was met; `wait` is in seconds."""

    def __init__(self, text: str, wait: float, field: str = "") -> None:
        super().__init__(f"{text} Please try again in {_duration(wait)}.", field)
        self.wait = wait


def _duration(seconds: float) -> str:
    whole = max(1, math.ceil(seconds))
    return (
        "a second" if whole == 1 else f"{whole} seconds" if whole < 90 else f"{math.ceil(whole / 60)} minutes"
    )


def here() -> Context:
    context: Context = current_app.extensions["chat"]
    return context


def reached() -> Arrival:
    """Where the request comes from, and which address the browser used for us."""
    trusted = here().settings.trusted_proxies
    host = request.headers.get("Host", "")
    return arrival(request.headers, request.remote_addr or "", request.scheme, host, trusted)


# Getting in -------------------------------------------------------------------------------------------


@pages.get("/")
async def home() -> str:
    _pace_reading(here(), None)
    return _home(here(), Form())


def _home(chat: Context, form: Form) -> str:
    return chat.render.home(form, known=_person(chat) is not None)


@pages.post("/")
async def enter() -> ResponseReturnValue:
    """Create a room or join one, whichever button was pressed."""
    chat, form = here(), await request.form
    typed = {field: fields.text(form, field) for field in ("name", "code")}
    errors: dict[str, str] = {}
    status = 422
    try:
        clean_name(typed["name"])
    except Refused as refused:
        errors["name"] = refused.text
    try:
        if "create" in form:
            if not errors:
                return _asked_for_cookie(chat, form, "/") or await _create(chat, typed["name"])
        else:
            member = await _member(chat, typed["code"])
            code = member.code if member else await _existing(chat, clean_code(typed["code"]))
            if not errors:
                if member is None and (asked := _asked_for_cookie(chat, form, "/")):
                    return asked
                return await _come_in(chat, code, member, typed["name"])
    except Refused as refused:
        errors[refused.field] = refused.text
        status = 429 if isinstance(refused, TooSoon) else 422
    except (Unavailable, OutcomeUnknown):
        errors["name"], status = NOT_NOW, 503
    return _home(chat, Form(typed, errors)), status


@pages.post("/rooms/<code>")
async def join(code: str) -> ResponseReturnValue:
    """Accept an invitation: only a name is needed."""
    chat, form = here(), await request.form
    name, choice = fields.text(form, "name"), fields.text(form, "choice")
    try:
        member = await _member(chat, code)
        code = member.code if member else await _existing(chat, clean_code(code))
    except TooSoon:
        raise
    except Refused:
        abort(404)
    try:
        clean_name(name)
        if member is None and (asked := _asked_for_cookie(chat, form, f"/rooms/{code}")):
            return asked
        return await _come_in(chat, code, member, name, choice)
    except Refused as refused:
        status = 429 if isinstance(refused, TooSoon) else 422
        return chat.render.invitation(code, Form({"name": name}, {refused.field: refused.text})), status
    except (Unavailable, OutcomeUnknown):
        return chat.render.invitation(code, Form({"name": name}, {"name": NOT_NOW})), 503


async def _create(chat: Context, name: str) -> ResponseReturnValue:
    async with _held(chat, limits.ROOMS, "Many rooms were made from your network just now."):
        chat.storage.take(storage.MESSAGE, "name")
        member = await actions.open_room(chat.store, chat.codes, _person(chat) or chat.identities.new(), name)
    logs.event("room-opened", room=chat.codes.logged(member.code))
    return _seated(chat, member)


async def _come_in(
    chat: Context, code: str, member: Member | None, name: str, choice: str = ""
) -> ResponseReturnValue:
    """Take a seat. Who has one already under another name decides what is meant. Raises Refused."""
    if member is None:
        return await _join(chat, code, name, _person(chat) or chat.identities.new())
    if choice == "somebody-else":
        return await _join(chat, code, name, chat.identities.new())
    if clean_name(name) != member.name:
        if choice != "rename":
            return chat.render.already_here(member, clean_name(name)), 422
        await _rename(chat, member, name)
    return redirect(f"/rooms/{code}", 303)


async def _join(chat: Context, code: str, name: str, person: str) -> ResponseReturnValue:
    async with _held(chat, limits.JOINS, "Many people are joining from your network just now."):
        chat.storage.take(storage.MESSAGE, "name")
        member = await actions.join_room(chat.store, code, person, name)
    logs.event("seat-taken", room=chat.codes.logged(code), seat=member.number)
    return _seated(chat, member)


async def _rename(chat: Context, member: Member, name: str) -> None:
    if wait := await chat.limits.take(limits.RENAMES, member.person):
        chat.metrics.refusals.labels("renames").inc()
        raise TooSoon("You have changed your name often just now.", wait, "name")
    renamed = await actions.rename(chat.store, member, name)
    chat.presence.forget(member)
    chat.hub.dismiss(member.code, member.person, Farewell(POLICY, actions.why_ended(renamed)))
    chat.presence.arrive(renamed)  # their page is about to open; if it does not, they have left
    chat.presence.depart(renamed)
    logs.event("seat-renamed", room=chat.codes.logged(member.code), seat=renamed.number)


def _seated(chat: Context, member: Member) -> ResponseReturnValue:
    response = redirect(f"/rooms/{member.code}", 303)
    give_cookie(response, member.person)
    return response


def give_cookie(response: AnyResponse, person: str) -> None:
    chat, scheme = here(), reached().scheme
    response.set_cookie(
        chat.identities.cookie_name(scheme),
        chat.identities.sign(person),
        max_age=COOKIE_AGE,
        httponly=True,
        samesite="Lax",
        secure=scheme == "https",
    )


def _asked_for_cookie(chat: Context, form: MultiDict[str, str], path: str) -> ResponseReturnValue | None:
    """Have a browser without a cookie send its form again with one, before it takes a seat. Raises Refused.

    A seat that nobody can be recognised in would be lost at once, and its owner invited again and again.
    Our forms say that they come from a browser; programs that do not are taken at their word.
    """
    if "browser" not in form or _person(chat) is not None:
        return None
    if "cookie" in request.args:
        raise Refused(NO_COOKIE, "")
    response = redirect(f"{path}?cookie=sent", 307)
    give_cookie(response, chat.identities.new())
    return response


async def _existing(chat: Context, code: str) -> str:
    """The code of an existing room, if the person who asks knows it. Raises Refused or TooSoon.

    A code that is vouched for is no guess. Any other one counts as a wrong code before it is looked up, so
    that no more are looked up than the rate allows, however many come at once.
    """
    guess = not chat.codes.vouches_for(code)
    if guess:
        await _count_guess(chat)
    wrong = False
    try:
        wrong = not is_code(code) or await chat.store.find_room(code) is None
    finally:
        if guess and not wrong:
            for rate, doer in _guesses():
                await limits.give_back_address(chat.limits, rate, doer)
    if wrong:
        raise Refused(actions.NO_ROOM, "code")
    return code


async def _count_guess(chat: Context) -> None:
    """Raises TooSoon, having counted nothing."""
    taken: list[tuple[Rate, str]] = []
    for rate, doer in _guesses():
        if wait := await limits.take_address(chat.limits, rate, doer):
            chat.metrics.refusals.labels(rate.name).inc()
            for earlier in taken:
                await limits.give_back_address(chat.limits, *earlier)
            raise TooSoon("Too many wrong codes.", wait, "code")
        taken.append((rate, doer))


def _guesses() -> list[tuple[Rate, str]]:
    return [(limits.WRONG_CODES, reached().address), (limits.ALL_WRONG_CODES, "everybody")]


def _pace_reading(chat: Context, person: str | None) -> None:
    """Count a page that is only looked at; `person` has a seat in its room. Raises TooSoon."""
    rate = limits.PAGES_OF_ADDRESS if person else limits.PAGES_OF_STRANGERS
    wait = chat.own_limits.take_both((limits.PAGES, person), (rate, reached().address))
    if wait:
        chat.metrics.refusals.labels("pages").inc()
        raise TooSoon("You, or many people in your network, opened many pages just now.", wait)


@asynccontextmanager
async def _held(chat: Context, rate: Rate, text: str) -> AsyncIterator[None]:
    """Count what is done, unless it fails. Raises TooSoon."""
    await _hold(chat, rate, text)
    try:
        yield
    except BaseException:
        await limits.give_back_address(chat.limits, rate, reached().address)
        raise


async def _hold(chat: Context, rate: Rate, text: str) -> None:
    if wait := await limits.take_address(chat.limits, rate, reached().address):
        chat.metrics.refusals.labels(rate.name).inc()
        logs.event("refused", reason=rate.name)
        raise TooSoon(text, wait)


# Inside -----------------------------------------------------------------------------------------------


@pages.get("/rooms/<code>")
async def room(code: str) -> ResponseReturnValue:
    """The room for a member, an invitation for anyone else."""
    chat = here()
    member = await _member(chat, code)
    if member is None:
        _pace_reading(chat, None)
        try:
            existing = await _existing(chat, clean_code(code))
        except TooSoon:
            raise
        except Refused:
            abort(404)
        if existing != code:
            return redirect(f"/rooms/{existing}", 301)
        return chat.render.invitation(code, Form())
    if member.code != code:
        return redirect(f"/rooms/{member.code}", 301)
    response = await make_response(await _room_page(chat, member, before=_before()))
    if forms := repeats.shown(request.cookies.get(repeats.COOKIE, "")):
        _remember_forms(response, member.code, forms)
    return response


def _remember_forms(response: Response | WerkzeugResponse, code: str, forms: str) -> None:
    secure = reached().scheme == "https"
    path = f"/rooms/{code}"
    response.set_cookie(repeats.COOKIE, forms, path=path, httponly=True, samesite="Lax", secure=secure)


async def _room_page(
    chat: Context,
    member: Member,
    *,
    before: int | None = None,
    draft: Draft | None = None,
    many_lines: bool = False,
    error: str = "",
) -> str:
    _pace_reading(chat, member.person)
    address = reached()
    draft = draft or Draft(member.code, key=secrets.token_urlsafe(9))
    return chat.render.room(
        member,
        await chat.store.seats_of(member.code, member.person),
        await chat.hub.page(member.code, before),
        await chat.presence.everybody(member.code),
        f"{address.scheme}://{address.host}/rooms/{member.code}",
        draft,
        many_lines=many_lines,
        error=error,
        older=before is not None,
        frozen=chat.presence.frozen,
    )


@pages.get("/rooms/<code>/earlier")
async def earlier(code: str) -> ResponseReturnValue:
    """Older messages, for a page that has scrolled to its oldest one."""
    chat = here()
    member = await _seat(chat, code)
    _pace_reading(chat, member.person)
    return chat.render.earlier(member.code, await chat.hub.page(member.code, _before()))


@pages.get("/rooms/<code>/messages")
@pages.get("/rooms/<code>/composer")
@pages.get("/rooms/<code>/leave")
async def form_address(code: str) -> ResponseReturnValue:
    """WebKit reloads the error page of a form as if it had been a link."""
    return redirect(f"/rooms/{quote(code, safe='')}", 303)


@pages.post("/rooms/<code>/messages")
async def post(code: str) -> ResponseReturnValue:
    """Post by an ordinary form: without JavaScript, from curl, or when scripts are blocked."""
    chat, form = here(), await request.form
    acked, bodies = fields.number(form.get("acked")), form.getlist("body") or [""]
    form_key, forms = fields.text(form, "key"), request.cookies.get(repeats.COOKIE, "")
    key = repeats.key_of(forms, form_key) if form_key else secrets.token_urlsafe(9)
    try:
        member = await _member(chat, code)
    except Unavailable:
        return _kept(chat, NOT_STORED, Draft(_canonical(code), bodies, key, acked, posted=True))
    if member is None:
        return _kept(chat, "You are not in this room any more.", Draft("", bodies), 403)
    for index, body in enumerate(bodies):
        try:
            if wait := await chat.limits.take(limits.MESSAGES, member.person):
                chat.metrics.refusals.labels("messages").inc()
                raise TooSoon("You are writing very fast.", wait)
            _hold_bytes(chat, member, body)
            await actions.post_message(chat.store, member, key, acked + index, body)
        except (Refused, Unavailable, OutcomeUnknown) as reason:
            return await _not_sent(
                chat, member, Draft(member.code, bodies[index:], key, acked + index, posted=True), reason
            )
    response = redirect(f"/rooms/{member.code}", 303)
    _remember_forms(response, member.code, repeats.answered(forms, form_key))
    return response


def _hold_bytes(chat: Context, member: Member, body: str) -> None:
    """Count the disk that a text takes. Raises Refused."""
    size = storage.cost(body)
    if wait := chat.own_limits.take_both(
        (limits.BYTES, member.person),
        (limits.BYTES_OF_ADDRESS, reached().address),
        count=size,
    ):
        chat.metrics.refusals.labels("messages").inc()
        raise TooSoon("That is very much text in a minute.", wait)
    chat.storage.take(size, "body")


async def _not_sent(chat: Context, member: Member, draft: Draft, reason: Exception) -> ResponseReturnValue:
    """The text comes back with the reason, in the room if that can be shown.

    It keeps its key: sent again after an unknown outcome, it must not be stored twice.
    """
    if not isinstance(reason, Refused) and len(draft.bodies) > 1:
        return _kept(chat, NOT_STORED, draft)  # joined in the room's one field, they would be another text
    text, status = NOT_STORED, 503
    if isinstance(reason, Refused):
        text, status = reason.text, 429 if isinstance(reason, TooSoon) else 422
    try:
        wait = {"Retry-After": str(math.ceil(reason.wait))} if isinstance(reason, TooSoon) else {}
        return await _room_page(chat, member, draft=draft, error=text), status, wait
    except (Unavailable, NotFound, TooSoon):
        return _kept(chat, text, draft, status)


def _kept(chat: Context, reason: str, draft: Draft, status: int = 503) -> ResponseReturnValue:
    """A page with nothing but what was written, to be sent again if its room is known."""
    return chat.render.error(status, "Not sent", reason, draft), status


@pages.post("/rooms/<code>/composer")
async def composer(code: str) -> ResponseReturnValue:
    """Switch between one line and many, keeping the draft."""
    chat = here()
    member = await _seat(chat, code)
    form = await request.form
    text, many_lines = (form.getlist("body") or [""])[-1], fields.text(form, "lines") == "many"
    if "HX-Request" in request.headers:
        spare = fields.number(form.get("spare"))
        return chat.render.composer_text(text, many_lines, member.code, spare)
    draft = Draft(member.code, [text], secrets.token_urlsafe(9))
    try:
        return await _room_page(chat, member, draft=draft, many_lines=many_lines)
    except TooSoon as refused:
        return _kept(chat, refused.text, draft, 429)


@pages.post("/rooms/<code>/leave")
async def leave(code: str) -> ResponseReturnValue:
    chat = here()
    member = await _member(chat, code)
    if member is not None:
        await actions.leave_room(chat.store, member)
        _dismiss(chat, member, actions.why_ended(None))
    return _forgotten(redirect("/", 303))


@pages.post("/logout")
async def log_out() -> ResponseReturnValue:
    """End the identity of this browser: its seats pass to an id that nobody has."""
    chat, person = here(), _person(here())
    if person is not None and await chat.store.rooms_of(person, 1):
        await _hold(chat, limits.LOGOUTS, "Many people are logging out from your network just now.")
        successor = chat.identities.new()
        for code in await chat.store.rooms_of(person, LOGGED_OUT):
            member = await chat.store.find_seat(code, person)
            with suppress(NotFound):  # the room expired meanwhile
                await chat.store.end_seat(code, person, successor)
            if member is not None:
                _dismiss(chat, member, "You logged out of this browser.")
        if await chat.store.rooms_of(person, 1):
            return _home(chat, Form({}, {"": STILL_LOGGED_IN})), 503
        logs.event("logged-out")
    response = redirect("/", 303)
    for name in chat.identities.cookie_names():
        response.delete_cookie(name, secure=reached().scheme == "https", httponly=True, samesite="Lax")
    return _forgotten(response)


def _forgotten(response: WerkzeugResponse) -> WerkzeugResponse:
    """Have the browser drop the pages it keeps, so that Back does not show what was left.

    It obeys over https and on its own machine only. Elsewhere the page is emptied when its socket is back.
    """
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _dismiss(chat: Context, member: Member, reason: str) -> None:
    chat.presence.forget(member)
    chat.hub.dismiss(member.code, member.person, Farewell(POLICY, reason, over=True))
    logs.event("seat-ended", room=chat.codes.logged(member.code), seat=member.number)


def found() -> Found | None:
    return here().identities.find(request.cookies, reached().scheme)


def _person(chat: Context) -> str | None:
    known = found()
    return known.person if known else None


async def _member(chat: Context, code: str) -> Member | None:
    """Load and authorise in one: a room is found only through the visitor's seat in it."""
    if chat.hub.away:
        raise Unavailable("The store did not answer just now.")  # nobody need wait for it again
    person = _person(chat)
    code = _canonical(code)
    return await chat.store.find_seat(code, person) if person and code else None


async def _seat(chat: Context, code: str) -> Member:
    member = await _member(chat, code)
    if member is None:
        abort(403)
    return member


def _canonical(code: str) -> str:
    try:
        code = clean_code(code)
    except Refused:
        return ""
    return code if is_code(code) else ""


def _before() -> int | None:
    if len(request.query_string) > fields.QUERY:
        return None
    return fields.number(request.args.get("before")) or None


# Live without JavaScript ------------------------------------------------------------------------------


@pages.get("/rooms/<code>/stream")
async def stream(code: str) -> ResponseReturnValue:
    """The conversation as a page that never ends; the room shows it in a frame without JavaScript."""
    chat = here()
    member = await _seat(chat, code)
    if request.method == "HEAD":  # Quart would run the page without end
        return ""
    if chat.hub.sending.full:
        raise Unavailable("Too much waits for slow readers.")  # the answer to that loads itself again
    _pace_reading(chat, member.person)
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


# Files and figures ------------------------------------------------------------------------------------


@pages.get("/static/<path:path>")
async def static(path: str) -> ResponseReturnValue:
    chat = here()
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
    style = here().render.own_style(map(int, seats))
    return Response(style, content_type="text/css; charset=utf-8", headers={"Cache-Control": FOREVER})


@pages.get("/favicon.ico")
async def favicon() -> ResponseReturnValue:
    return redirect(here().assets.url("icon.svg"), 301)


@pages.get("/healthz")
async def healthz() -> ResponseReturnValue:
    """Whether to send people here: without Redis they can talk, without the store they cannot."""
    chat = here()
    try:
        await chat.store.ping()
        store, problem = str(chat.store.durability), await chat.write_probe.problem()
    except Unavailable:
        store, problem = "away", "away"
    full = chat.storage.full
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
    chat = here()
    chat.metrics.rooms.set(len(chat.hub.feeds))
    chat.metrics.people.set(chat.presence.count())
    chat.metrics.nodes.set(chat.hub.census.nodes)
    chat.metrics.redis_away.set(bool(chat.redis and chat.redis.away))
    chat.metrics.store_away.set(chat.hub.away)
    chat.metrics.store_waiting.set(chat.store.waiting)
    chat.metrics.check_age.set(chat.hub.unchecked)
    return Response(chat.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")
