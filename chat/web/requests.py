"""What the pages ask of a request: who sends it, from where, and whether it comes too soon."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NoReturn

from quart import Blueprint, abort, current_app, has_request_context, request, websocket
from werkzeug.sansio.response import Response as AnyResponse

from chat import limits, logs
from chat.context import Context
from chat.limits import Rate
from chat.model.codes import clean_code, is_code
from chat.model.errors import RateLimited, Refused
from chat.model.members import Member
from chat.model.rooms import Room
from chat.store import Unavailable
from chat.store.log import history
from chat.store.members import find_seat
from chat.store.past import ReadPage
from chat.store.rooms import find_room
from chat.store.visits import Visit, visit
from chat.views import reader
from chat.views.look import Look
from chat.views.messages import PAGE
from chat.views.reader import Reader
from chat.visitors import COOKIE_AGE, ClientInfo, Found, parse_client
from chat.web import fields

NEWEST: ReadPage = partial(history, most=PAGE)
ROOMS_OF_A_LIST = 10  # that take 1 to 6 ms, by what is written in them

pages = Blueprint("pages", __name__)


def current_chat() -> Context:
    context: Context = current_app.extensions["chat"]
    return context


def current_reader() -> Reader:
    """For whom the page is, or the socket."""
    asked = request if has_request_context() else websocket
    choices = reader.load_choices(asked.cookies.get(reader.COOKIE, "")[: reader.COOKIE_LENGTH + 1])
    return reader.reader_for(choices, asked.headers.get("Accept-Language", ""), current_chat().settings)


def current_look() -> Look:
    return current_reader().look


def client_info() -> ClientInfo:
    """Where the request comes from, and which address the browser used for us."""
    known: ClientInfo | None = _noted().get("client")
    if known is None:
        trusted = current_chat().settings.trusted_proxies
        host = request.headers.get("Host", "")
        known = parse_client(request.headers, request.remote_addr or "", request.scheme, host, trusted)
        _noted()["client"] = known
    return known


def link_to(code: str) -> str:
    """The address of a room, by the address that the browser used for us."""
    client = client_info()
    return f"{client.scheme}://{client.host}/rooms/{code}"


def found_identity() -> Found | None:
    if "identity" not in _noted():
        _noted()["identity"] = current_chat().identities.find(request.cookies, client_info().scheme)
    found: Found | None = _noted()["identity"]
    return found


def _noted() -> dict[str, Any]:
    """What has been found out about this request: it is asked for five times."""
    noted: dict[str, Any] = request.scope.setdefault("chat.noted", {})  # type: ignore[typeddict-item]
    return noted


def known_person(chat: Context) -> str | None:
    known = found_identity()
    return known.person if known else None


def require_store(chat: Context) -> None:
    if chat.hub.health.store_down:
        raise Unavailable("The store did not answer just now.")  # nobody need wait for it again


async def find_member(chat: Context, code: str) -> Member | None:
    """Load and authorise in one: a room is found only through the visitor's seat in it."""
    require_store(chat)
    person = known_person(chat)
    code = canonical_code(code)
    return await chat.store.read(find_seat, code, person) if person and code else None


async def require_member(chat: Context, code: str) -> Member:
    member = await find_member(chat, code)
    if member is None:
        abort(403)
    return member


async def room_of(chat: Context, member: Member) -> Room:
    """The room that they are in; 404 if it has gone meanwhile."""
    room = await chat.store.read(find_room, member.code)
    if room is None:
        abort(404)
    return room


def canonical_code(code: str) -> str:
    try:
        code = clean_code(code)
    except Refused:
        return ""
    return code if is_code(code) else ""


def asked_number(name: str) -> int | None:
    """Of the query, such as the message before which a page ends; None if it is missing, or nonsense."""
    if len(request.query_string) > fields.QUERY:
        return None
    text = request.args.get(name)
    return fields.number(text) or (0 if text == "0" else None)


def give_cookie(response: AnyResponse, person: str) -> None:
    chat, scheme = current_chat(), client_info().scheme
    response.set_cookie(
        chat.identities.cookie_name(scheme),
        chat.identities.sign(person),
        max_age=COOKIE_AGE,
        httponly=True,
        samesite="Lax",
        secure=scheme == "https",
    )


def pace_reading(chat: Context, person: str | None, pages: int = 1) -> None:
    """Count what is only looked at, and costs as much as so many pages. Raises RateLimited.

    `person` has a seat in its room.
    """
    if wait := chat.own_limits.take_both(*_reading(person), count=pages):
        _refuse_reading(chat, wait)


def pace_lists(chat: Context, person: str) -> None:
    """Count a list of rooms, which pages ask for by themselves. Raises RateLimited."""
    if wait := chat.own_limits.take_both(
        (limits.LISTS, person), (limits.LISTS_OF_ADDRESS, client_info().address)
    ):
        chat.metrics.refusals.labels("lists").inc()
        raise RateLimited("This list was asked for very often just now.", wait)


def count_rooms(chat: Context, rate: Rate, rooms: int) -> None:
    """What shows many rooms counts as several at its address: how many is known once they are read."""
    more = rooms // ROOMS_OF_A_LIST
    chat.own_limits.take_both((rate, None), (rate, client_info().address), math.inf, more)


def _reading(person: str | None) -> tuple[tuple[Rate, str | None], tuple[Rate, str]]:
    rate = limits.PAGES_OF_ADDRESS if person else limits.PAGES_OF_STRANGERS
    return (limits.PAGES, person), (rate, client_info().address)


def _refuse_reading(chat: Context, wait: float) -> NoReturn:
    chat.metrics.refusals.labels("pages").inc()
    raise RateLimited("You or others in your network opened many pages just now.", wait)


async def find_visit(chat: Context, code: str, read: ReadPage = NEWEST) -> Visit | None:
    """What a member sees of a room, counted as a page; None for anybody else. Raises RateLimited.

    It is counted before the one read, which tells whether this is a member.
    """
    require_store(chat)
    person, code = known_person(chat), canonical_code(code)
    if not (person and code):
        return None
    reading = _reading(person)
    if wait := chat.own_limits.take_both(*reading):
        if await chat.store.read(find_seat, code, person) is None:
            return None
        _refuse_reading(chat, wait)
    found, saves = None, chat.reading.saves
    try:
        found = await chat.store.snapshot(visit, code, person, read)
    finally:
        if found is None:
            chat.own_limits.give_back_both(*reading)
    return found and found._replace(read=chat.reading.known(found.member, found.read, saves))


@asynccontextmanager
async def within_rate(chat: Context, rate: Rate, text: str) -> AsyncIterator[None]:
    """Count what is done, unless it fails. Raises RateLimited."""
    await check_rate(chat, rate, text)
    try:
        yield
    except BaseException:
        await limits.give_back_address(chat.limits, rate, client_info().address)
        raise


async def check_rate(chat: Context, rate: Rate, text: str) -> None:
    if wait := await limits.take_address(chat.limits, rate, client_info().address):
        chat.metrics.refusals.labels(rate.name).inc()
        logs.event("refused", reason=rate.name)
        raise RateLimited(text, wait)
