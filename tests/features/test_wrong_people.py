"""Nobody does anything to a message that is not theirs to do it to, by any way in, on any node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import product
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from deployments import context
from people import FORM, ORIGIN, Live, Person
from quart import Quart
from quart.testing.connections import WebsocketDisconnectError
from stored import nothing_stored, stored

from chat.features import ACTIONS, ROOM_ACTIONS
from chat.features.action import Action
from chat.features.link import LINK
from chat.features.reactions import REACTIONS
from chat.features.reply import REPLY
from chat.features.unread import UNREAD
from chat.visitors import Identities

TEXT = "Alice's own words"
FIELDS = {
    "body": "not hers",
    "emoji": "👍",
    "on": "1",
    "version": "",
    "title": "taken",
    "topic": "taken",
    "name": "Taken",
    "key": "key",
    "before": "99",
}  # whatever an action asks for
MORE = "?emoji=👍&on=1&body=not+hers"
FORGED = {"room": "BCDFGHJK", "member": "1", "author": "1", "person": "x", "seat": "1"}  # which no frame has
REFUSED = {403, 404}
EACH = pytest.mark.parametrize("action", ACTIONS.values(), ids=list(ACTIONS))
OF_AUTHORS = [action for action in ACTIONS.values() if action not in (REACTIONS, REPLY, UNREAD, LINK)]


class Target(NamedTuple):
    """A text of Alice's, with a reaction of her own."""

    code: str
    id: int


@pytest.fixture
async def target(alice: Person, bob: Person, code: str) -> Target:
    await alice.write(code, "before", TEXT)
    page = await bob.look(code)
    [id] = [int(li["id"].removeprefix("message-")) for li in page.all("#messages li") if TEXT in li.text]
    await alice.post(f"/rooms/{code}/{id}/reactions", {"emoji": "🎉", "on": "1"})
    return Target(code, id)


async def seen(alice: Person, target: Target) -> str:
    """Everything of the message that its page shows."""
    reply = await alice.get(f"/rooms/{target.code}/{target.id}")
    assert reply.status == 200, reply.text
    return reply.page.one(f"#message-{target.id}").text + str(reply.page.one(f"#reactions-{target.id}").text)


@asynccontextmanager
async def nothing_done(alice: Person, apps: list[Quart], target: Target) -> AsyncIterator[None]:
    """Her text is as it was at the end, on every node, and so is everything that is stored."""
    html = await seen(alice, target)
    async with nothing_stored(context(app) for app in apps):
        yield
        for app in apps:
            assert await seen(alice.at(app), target) == html


def forms(code: str, id: int, action: Action) -> list[tuple[str, Mapping[str, str]]]:
    """Every form that could stand for an action."""
    at = f"/rooms/{code}"
    return [
        (f"{at}/{id}/{action.name}", FIELDS),
        (f"{at}/00{id}/{action.name}", FIELDS),
        (f"{at}/act", FIELDS | {"act": f"{id}/{action.name}{MORE}"}),
        (f"{at}/act", FIELDS | {"act": action.name + MORE, "id": str(id)}),
        (f"{at.lower()}/act", FIELDS | {"act": f"{id}/{action.name}", "id": "1"}),
    ]


async def refused(person: Person, code: str, id: int, action: Action) -> None:
    for path, form in forms(code, id, action):
        reply = await person.post(path, form)
        assert reply.status in REFUSED, (path, form, reply.status)
        assert TEXT not in reply.text


# People without a seat -----------------------------------------------------------------------------------


@EACH
async def test_a_stranger_a_former_member_and_a_forger_are_refused(
    apps: list[Quart], alice: Person, bob: Person, target: Target, action: Action
) -> None:
    code = target.code
    stranger, neighbour, forger = (Person(apps[-1], name) for name in ("Nobody", "Alice", "Alice"))
    await neighbour.create()
    await bob.post(f"/rooms/{code}/leave")
    forged = Identities("another secret, as long")
    for name in forged.cookie_names():
        forger.client.set_cookie("localhost", name, forged.sign("A" * 16))
    async with nothing_done(alice, apps, target):
        for person in (stranger, neighbour, forger):
            await refused(person, code, target.id, action)
        for path, form in forms(code, target.id, action):
            assert (await bob.post(path, form)).status == 403


@EACH
async def test_who_logged_out_is_refused_with_their_former_cookie(
    apps: list[Quart], alice: Person, bob: Person, target: Target, action: Action
) -> None:
    former = Person(apps[0], "Bob")
    for cookie in bob.client.cookie_jar or ():
        former.client.set_cookie("localhost", cookie.name, cookie.value or "")
    await bob.post("/logout")
    async with nothing_done(alice, apps, target):
        for person in (former, bob):
            await refused(person, target.code, target.id, action)


def _everything_in(app: Quart, target: Target) -> list[tuple[str, str]]:
    """Every method and address below a room, but the one by which one joins it."""
    rules = [rule for rule in app.url_map.iter_rules() if str(rule).startswith("/rooms/<code>")]
    names = {"<code>": target.code, "<id>": str(target.id)}
    found = []
    for rule in rules:
        for name in [*ACTIONS, *ROOM_ACTIONS] if "<name>" in str(rule) else [""]:
            path = str(rule).replace("<name>", name)
            for hole, value in names.items():
                path = path.replace(hole, value)
            methods = set() if rule.websocket else (rule.methods or set()) - {"OPTIONS"}
            found += [(method, path) for method in sorted(methods)]
    return [one for one in found if one != ("POST", f"/rooms/{target.code}")]


async def test_no_address_of_a_room_says_or_does_anything_for_those_without_a_seat(
    apps: list[Quart], alice: Person, bob: Person, target: Target
) -> None:
    """Whatever is added to a room; what an invitation says is all."""
    await bob.post(f"/rooms/{target.code}/leave")
    neighbour = Person(apps[-1], "Nemo")
    await neighbour.create()
    everything = _everything_in(apps[0], target)
    form = FIELDS | {"id": str(target.id), "reply": str(target.id), "seat": "1", "act": f"{target.id}/delete"}
    assert len(everything) > 25
    async with nothing_done(alice, apps, target):
        for person, (method, path) in product((Person(apps[-1], "Nobody"), neighbour, bob), everything):
            for asked in ({}, {"HX-Request": "true"}):
                headers = {"Origin": ORIGIN, "Content-Type": FORM, "Sec-Fetch-Mode": "navigate"} | asked
                reply = await person.ask(method, path, headers, urlencode(form).encode() * (method == "POST"))
                assert reply.status in {200, 301, 303, 403, 404}, (method, path)
                assert (reply.status == 200) <= (path == f"/rooms/{target.code}"), (method, path)
                assert not any(word in reply.text for word in (TEXT, "before", "Alice", "Bob")), (
                    method,
                    path,
                )


# People with a seat --------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", OF_AUTHORS, ids=lambda action: action.name)
async def test_a_member_of_the_same_name_is_not_the_author(
    apps: list[Quart], alice: Person, bob: Person, target: Target, action: Action
) -> None:
    namesake = Person(apps[-1], "Alice")
    await namesake.join(target.code)
    assert (await bob.post(f"/rooms/{target.code}", {"name": "Alice", "choice": "rename"})).status == 303
    async with nothing_done(alice, apps, target):
        for person in (namesake, bob):
            for path, form in forms(target.code, target.id, action):
                assert (await person.post(path, form)).status == 403
            async with person.in_room(target.code) as live:
                await frames_refused(live, target.id, action)


async def frames_refused(live: Live, id: int, action: Action, **more: object) -> None:
    for frame in (
        {"act": f"{id}/{action.name}", **FIELDS},
        {"act": f"{id}/{action.name}{MORE}"},
        {"act": action.name + MORE, "id": str(id)},
        {"act": f"{action.name}?ask", "id": id},
    ):
        await live.send(**frame, **more)
        await live.until("[role=alert]")
        assert not any(frame.all("form.act") for frame in live.frames)


@EACH
async def test_a_room_s_numbers_mean_nothing_in_another(
    apps: list[Quart], alice: Person, bob: Person, target: Target, action: Action
) -> None:
    """Neither in an address nor in a frame does a code count that is not the one of the seat."""
    other = await bob.create()
    await bob.post(f"/rooms/{target.code}/leave")
    async with nothing_done(alice, apps, target):
        await refused(bob, other, target.id, action)
        async with bob.in_room(other) as live:
            await frames_refused(live, target.id, action, **FORGED | {"code": target.code})


async def test_what_somebody_reads_and_whom_they_ignore_is_their_own(
    apps: list[Quart], alice: Person, bob: Person, target: Target
) -> None:
    """Whatever else a form or a frame says about whose it is."""
    await bob.write(target.code, "Bob has read this")
    for app in apps:
        await context(app).reading.save()
    before = await stored(context(apps[0]).store)
    forged = {**FORGED, "code": target.code, "number": "1"}
    for path, form in [("read", {"id": "99"}), ("ignore", {"seat": "1", "on": "1"})]:
        assert (await bob.post(f"/rooms/{target.code}/{path}", forged | form)).status == 303
    async with bob.in_room(target.code) as live:
        await live.send(**(forged | {"k": "focus"}))
        await live.send(**(forged | {"k": "typing"}))
        await live.send(body="still Bob", key="key", acked="0", **forged)
        assert (await live.until("li", "still Bob"))["data-by"] == "2"
    after = await stored(context(apps[0]).store)
    for table, whose in [("seat", 1), ("read_position", 1)]:
        others = [[row for row in rows[table] if row[whose] != 2] for rows in (before, after)]
        assert others[0] == others[1] != []


# Sockets that outlive their seat -------------------------------------------------------------------------


@pytest.fixture
async def live(bob: Person, code: str) -> AsyncIterator[Live]:
    """A page of Bob's that confirms no farewell, and so keeps its socket as long as it may."""
    async with AsyncExitStack() as stack:
        live = await stack.enter_async_context(bob.in_room(code))
        live.confirms = False
        yield live


@EACH
@pytest.mark.parametrize("way", ["leave", "log out", "rename"])
async def test_a_socket_that_outlives_its_seat_does_nothing(
    apps: list[Quart], alice: Person, bob: Person, live: Live, target: Target, action: Action, way: str
) -> None:
    addresses = {
        "leave": f"/rooms/{target.code}/leave",
        "log out": "/logout",
        "rename": f"/rooms/{target.code}",
    }
    form = {"name": "Robert", "choice": "rename"} if way == "rename" else {}
    assert (await bob.post(addresses[way], form)).status == 303
    async with nothing_done(alice, apps, target):
        with suppress(WebsocketDisconnectError):
            for _ in range(3):
                await live.send(act=f"{target.id}/{action.name}", **FIELDS)
                await live.send(act=action.name + MORE, id=target.id)
                await live.send(body="from beyond", key="key", acked="0", reply=str(target.id))
                await live.send(k="focus")
                await live.send(k="typing")
                await live.frame()
