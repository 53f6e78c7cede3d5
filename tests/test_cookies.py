"""The cookie that says who somebody is: its name, its former names, browsers without it, and its end."""

from __future__ import annotations

import logging
import re

import pytest
from deployments import ON_BOTH
from people import FORM, Person, notices
from quart import Quart
from werkzeug.datastructures import MultiDict

from chat import limits
from chat.context import Context
from chat.live.connection import POLICY
from chat.visitors import COOKIES, FORMER_COOKIE, SECURE_COOKIE, Found, Identities

SECRET = "a secret of sixteen or more"


@pytest.fixture
def identities() -> Identities:
    return Identities(SECRET)


def _value(person: Person) -> str:
    (cookie,) = [c.value for c in person.client.cookie_jar or () if c.name.startswith("chat-")]
    assert cookie
    return cookie


# Names ------------------------------------------------------------------------------------------------


def test_two_installations_on_one_host_do_not_replace_each_other_s_cookie(identities: Identities) -> None:
    name = identities.cookie_name("http")
    assert re.fullmatch(r"chat-[0-9a-f]{8}", name)
    assert Identities(SECRET).cookie_name("http") == name
    assert Identities("another secret, as long").cookie_name("http") != name
    assert identities.cookie_name("https") == "__Host-chat"


async def test_over_https_the_cookie_is_bound_to_its_host(client: Person) -> None:
    sent = {"Origin": "https://localhost", "Content-Type": FORM}
    reply = await client.ask("POST", "/", sent, b"name=Ann&create=1", scheme="https")
    (line,) = reply.cookies
    assert line.startswith("__Host-chat=")
    parts = {part.strip().lower() for part in line.split(";")[1:]}
    assert {"secure", "path=/", "httponly", "samesite=lax"} <= parts
    assert not [part for part in parts if part.startswith("domain")]


def test_of_several_cookies_the_one_that_is_ours_counts(identities: Identities) -> None:
    name, ours = identities.cookie_name("http"), identities.sign("person-a")
    theirs = Identities("another secret, as long").sign("person-b")
    for values in ([theirs, ours], [ours, theirs], ["", "x" * 10_000, ours], ["é"] * (COOKIES - 1) + [ours]):
        assert identities.find(MultiDict([(name, value) for value in values]), "http") == ("person-a", False)
    many = MultiDict([(name, theirs)] * COOKIES + [(name, ours)])
    assert identities.find(many, "http") is None


def test_a_cookie_of_a_former_name_is_known_and_to_be_renewed(identities: Identities) -> None:
    old, present = identities.sign("person-a"), identities.sign("person-b")
    assert identities.find(MultiDict({FORMER_COOKIE: old}), "http") == Found("person-a", renew=True)
    both = MultiDict({FORMER_COOKIE: old, identities.cookie_name("http"): present})
    assert identities.find(both, "http") == Found("person-b", renew=False)


def test_over_https_no_cookie_counts_that_another_host_may_have_set(identities: Identities) -> None:
    """evil.example.com could else give the people of chat.example.com an identity that it knows."""
    planted = identities.sign("mallory")
    for name in (FORMER_COOKIE, identities.cookie_name("http")):
        assert identities.find(MultiDict({name: planted}), "https") is None
    assert identities.find(MultiDict({SECURE_COOKIE: planted}), "https") == Found("mallory", renew=False)


async def test_nobody_loses_their_seat_by_the_upgrade(app: Quart, alice: Person, code: str) -> None:
    await alice.write(code, "mine")
    former = Person(app, "Alice")
    former.client = app.test_client(use_cookies=False)
    old = f"{FORMER_COOKIE}={_value(alice)}"
    reply = await former.get(f"/rooms/{code}", cookie=old)
    assert reply.page.has("#composer")
    (line,) = reply.cookies
    assert line.startswith(f"{_name(app)}={_value(alice)};")
    renewed = await former.get(f"/rooms/{code}", cookie=f"{old}; {line.partition(';')[0]}")
    assert renewed.page.has("#composer")
    assert renewed.cookies == []
    async with former.live(code, cookie=old) as live:
        assert live.connection.accepted


def _name(app: Quart) -> str:
    chat: Context = app.extensions["chat"]
    return chat.identities.cookie_name("http")


# Browsers without cookies -----------------------------------------------------------------------------


def _form(**fields: str) -> dict[str, str]:
    return {"name": "Ann", "browser": "1"} | fields


async def test_a_browser_gets_its_cookie_before_its_seat(client: Person, alice: Person, code: str) -> None:
    for path, form in (("/", _form(create="1")), ("/", _form(code=code)), (f"/rooms/{code}", _form())):
        newcomer = Person(client.app, "Ann")
        asked = await newcomer.post(path, form)
        assert asked.status == 307
        assert asked.headers["Location"] == f"{path}?cookie=sent"
        assert len(asked.cookies) == 1
        entered = await newcomer.post(asked.headers["Location"], form)
        assert entered.status == 303
        assert (await newcomer.get(entered.headers["Location"])).page.has("#composer")


async def test_a_browser_that_keeps_no_cookie_is_told_so_and_takes_no_seat(
    app: Quart, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chat")
    blocked = Person(app, "Ann")
    blocked.client = app.test_client(use_cookies=False)
    for path, form in (
        ("/", _form(create="1", code="")),
        ("/", _form(code=code)),
        (f"/rooms/{code}", _form()),
    ):
        asked = await blocked.post(path, form)
        refused = await blocked.post(asked.headers["Location"], form)
        assert refused.status == 422
        assert "did not keep the cookie" in refused.page.one("[role=alert]").text
        assert refused.page.one("[name=name]")["value"] == "Ann"
        assert refused.cookies == []
    assert not [line for line in caplog.messages if line.startswith(("seat-taken", "room-opened"))]


async def test_a_program_that_is_no_browser_needs_no_round_trip(client: Person) -> None:
    assert (await client.post("/", {"name": "Ann", "create": "1"})).status == 303


async def test_who_has_a_cookie_is_not_asked_again(alice: Person) -> None:
    await alice.create()
    assert (await alice.post("/", _form(create="1"))).status == 303


async def test_every_form_that_takes_a_seat_says_that_it_comes_from_a_browser(
    client: Person, alice: Person, code: str
) -> None:
    for path in ("/", f"/rooms/{code}"):
        assert (await client.get(path)).page.one("form [name=browser]")["type"] == "hidden"


# Logging out ------------------------------------------------------------------------------------------


@ON_BOTH
async def test_logging_out_ends_the_identity_everywhere(alice: Person, bob: Person, app: Quart) -> None:
    code, other = await alice.create(), await alice.create()
    await bob.join(code)
    await alice.write(code, "mine")
    stolen = f"{_name(app)}={_value(alice)}"
    async with alice.in_room(code) as live, alice.in_room(other) as second:
        page = (await alice.get("/")).page
        assert page.one("form[action=/logout] button").text == "Log out of this browser"
        reply = await alice.post("/logout")
        assert (reply.status, reply.headers["Location"]) == (303, "/")
        assert await live.ended() == POLICY
        assert await second.ended() == POLICY
    assert not (await alice.get("/")).page.has("form[action=/logout]")
    assert notices(await bob.look(code))[-1] == "Alice left for good"
    thief = Person(app, "Alice")
    thief.client = app.test_client(use_cookies=False)
    for room in (code, other):
        assert not (await thief.get(f"/rooms/{room}", cookie=stolen)).page.has("#composer")
        async with thief.live(room, cookie=stolen) as refused:
            assert await refused.ended() == POLICY
    await thief.post(f"/rooms/{code}", {"name": "Alice"}, cookie=stolen)
    page = (await thief.get(f"/rooms/{code}", cookie=stolen)).page
    styles = [link["href"].split("/") for link in page.all("link[rel=stylesheet]")]
    own = [path[-1] for path in styles if path[1] == "seats"]
    assert own == ["3.css"], "a stranger, though with the name and the cookie"


async def test_logging_out_removes_every_cookie_of_ours(alice: Person) -> None:
    await alice.create()
    reply = await alice.post("/logout")
    names = {line.partition("=")[0] for line in reply.cookies}
    assert names == {SECURE_COOKIE, FORMER_COOKIE, _name(alice.app)}
    assert all("Max-Age=0" in line for line in reply.cookies)
    assert list(alice.client.cookie_jar or ()) == []


async def test_a_stranger_has_nothing_to_log_out_of(client: Person, chat: Context) -> None:
    assert not (await client.get("/")).page.has("form[action=/logout]")
    assert (await client.post("/logout")).status == 303


async def test_no_other_site_can_log_somebody_out(alice: Person, code: str) -> None:
    assert (await alice.post("/logout", origin="http://evil.example")).status == 403
    assert (await alice.get(f"/rooms/{code}")).page.has("#composer")


async def test_a_log_out_of_nothing_does_not_use_up_those_of_the_neighbours(
    alice: Person, client: Person, chat: Context
) -> None:
    await client.post("/", _form(create="1"))  # a cookie, and no seat yet
    await alice.create()
    for _ in range(2 * limits.LOGOUTS.burst):
        assert (await client.post("/logout")).status == 303
    assert (await alice.post("/logout")).status == 303


async def test_logging_out_again_and_again_is_slowed(alice: Person, chat: Context) -> None:
    await alice.create()
    while not await chat.limits.take(limits.LOGOUTS, "192.0.2.1"):
        pass
    assert (await alice.post("/logout")).status == 429


async def test_somebody_in_very_many_rooms_is_told_to_log_out_once_more(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.web.leaving.LOGGED_OUT", 2)
    for _ in range(3):
        await alice.create()
    reply = await alice.post("/logout")
    assert reply.status == 503
    assert "once more" in reply.page.one("[role=alert]").text
    assert (await alice.post("/logout")).status == 303
