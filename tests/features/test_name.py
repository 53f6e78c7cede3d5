"""Another name: taken by oneself, seen by everybody, and not put under what was written before."""

from __future__ import annotations

import asyncio
from unittest.mock import AsyncMock

import calls
import pytest
from dom import Element
from people import Person, Turn, notices
from quart import Quart

from chat import limits
from chat.context import Context
from chat.live.connection import POLICY
from chat.model.members import NAME_LENGTH
from chat.store import Unavailable
from chat.store.members import NAMES, find_seat, rename_seat


async def rename(person: Person, code: str, name: str) -> None:
    reply = await person.post(f"/rooms/{code}/name", {"name": name})
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")


def authors(page: Element) -> list[str]:
    return [by.words.rpartition(" ")[0] for by in page.all("#earlier .by")]


def roster(page: Element) -> list[str]:
    return [li.words for li in page.all("li") if li["id"].startswith("by-")]


async def test_the_room_links_to_a_form_with_the_present_name(bob: Person, code: str) -> None:
    link = (await bob.look(code)).one(f"#menu a[href=/rooms/{code}/name]")
    assert link.words == "My name"
    reply = await bob.get(link["href"])
    form = reply.page.one("form")
    assert (form["method"], form["action"]) == ("post", f"/rooms/{code}/name")
    assert form.one("input[name=name]").value == "Bob"
    assert f"/rooms/{code}" in [link["href"] for link in form.all("a")]


async def test_it_is_announced_and_old_messages_keep_the_name_they_were_written_under(
    alice: Person, bob: Person, code: str
) -> None:
    await bob.write(code, "as Bob")
    async with alice.in_room(code) as live:
        await rename(bob, code, "Robert")
        await live.until("li.notice", "Bob is now called Robert")
    await bob.write(code, "as Robert")
    page = await bob.look(code)
    assert notices(page) == ["Bob is now called Robert"]
    assert authors(page) == ["Bob", "Robert"]
    own = (await bob.get(page.all("link[rel=stylesheet]")[1]["href"])).text
    assert all(f'data-by="{li["data-by"]}"' in own for li in page.all("#earlier li[data-by]"))


async def test_every_node_shows_the_new_name_among_the_people(
    alice: Person, bob: Person, code: str, apps: list[Quart], turn: Turn
) -> None:
    far = bob.at(apps[0])  # has the room open on the node of Alice, and changes the name on another one
    async with alice.in_room(code) as live, far.in_room(code) as page:
        await turn(2)
        await live.until("hx-partial[hx-target=#roster] li", "Bob")
        await rename(bob, code, "Robert")
        assert await page.ended() == POLICY
        assert "You are Robert in this room now." in page.frames[-1].one("[role=alert]").words
        async with bob.in_room(code):
            await turn(2)
            await turn(2)
            await live.until("hx-partial[hx-target=#roster] li", "Robert")
            people = live.frames[-1].one("hx-partial[hx-target=#roster]")
            assert [li.words for li in people.all("li")] == ["Alice", "Robert"]
    assert notices(await alice.look(code))[-1] == "Bob is now called Robert", "and nothing of leaving"


async def test_a_name_that_looks_like_another_one_is_marked(alice: Person, bob: Person, code: str) -> None:
    await rename(bob, code, "ALICE")
    await bob.write(code, "hello")
    page = await alice.look(code)
    assert page.one("#earlier li[data-by] .by .mark").text == "2"
    assert page.one("#earlier li.notice .mark").text == "2"
    await rename(bob, code, "Bob")
    await bob.write(code, "me again")
    assert [li.has(".mark") for li in (await alice.look(code)).all("#earlier li[data-by]")] == [True, False]


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "  ",
        "x" * (NAME_LENGTH + 1),
        "y" * 100_000,
        "Bob²",
        "Bob ②",
        "Bob (2)",
        "a\u202eb",
        "\u2063",
        "\x07",
    ],
)
async def test_what_cannot_be_a_name_comes_back(alice: Person, bob: Person, code: str, typed: str) -> None:
    reply = await bob.post(f"/rooms/{code}/name", {"name": typed})
    assert reply.status == 422
    field = reply.page.one("input[name=name]")
    assert field["aria-invalid"] == "true"
    assert reply.page.one(f"#{field['aria-describedby']}")["role"] == "alert"
    assert typed.startswith(field.value)
    assert bool(field.value) == bool(typed)
    assert notices(await alice.look(code)) == []


async def test_the_name_that_one_has_already_is_not_announced(alice: Person, bob: Person, code: str) -> None:
    await rename(bob, code, " Bob ")
    assert notices(await alice.look(code)) == []
    async with bob.in_room(code) as live:
        await rename(bob, code, "Bob")
        await live.say("still here")
        assert (await live.until("li .text")).words == "still here"


async def test_only_members_have_a_name(alice: Person, bob: Person, eve: Person, code: str) -> None:
    await bob.post(f"/rooms/{code}/leave")
    for person in (bob, eve):
        assert (await person.get(f"/rooms/{code}/name")).status == 403
        assert (await person.post(f"/rooms/{code}/name", {"name": "Zoe"})).status == 403
    assert "Zoe" not in (await alice.get(f"/rooms/{code}")).text


async def test_it_is_limited_and_what_was_typed_stays(bob: Person, code: str) -> None:
    for number in range(limits.RENAMES.burst):
        await rename(bob, code, f"Bob the {number}th")
    reply = await bob.post(f"/rooms/{code}/name", {"name": "Bob the last"})
    assert reply.status == 429
    assert 0 < int(reply.headers["Retry-After"]) <= 60
    assert reply.page.one("[role=alert]").words
    assert reply.page.one("input[name=name]").value == "Bob the last"


async def test_one_name_too_many_is_refused(bob: Person, code: str) -> None:
    store = bob.app.extensions["chat"].store
    person = bob.app.extensions["chat"].identities.person(next(iter(bob.client.cookie_jar or ())).value)
    for number in range(NAMES - 1):
        await store.write(code, rename_seat, code, person, f"Name {number}")
    reply = await bob.post(f"/rooms/{code}/name", {"name": "One more"})
    assert reply.status == 422
    assert f"{NAMES} names" in reply.page.one("[role=alert]").words
    await rename(bob, code, "Bob")


async def test_without_the_store_what_was_typed_stays(
    bob: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bob.app.extensions["chat"].store
    for work in (find_seat, rename_seat):
        with monkeypatch.context() as broken:
            calls.intercept(broken, store, work, AsyncMock(side_effect=Unavailable("away")))
            reply = await bob.post(f"/rooms/{code}/name", {"name": "Robert"})
        assert reply.status == 503
        assert reply.page.one("input[name=name]").value == "Robert"
        assert reply.page.one("[role=alert]").words


async def test_who_leaves_meanwhile_is_told_so(
    bob: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bob.app.extensions["chat"].store

    async def leaves_first(original: object, *_: object) -> object:
        await bob.post(f"/rooms/{code}/leave")
        return await original()  # type: ignore[operator]

    calls.intercept(monkeypatch, store, rename_seat, leaves_first)
    reply = await bob.post(f"/rooms/{code}/name", {"name": "Robert"})
    assert reply.status == 403
    assert "You are not in this room any more." in reply.page.text


async def test_a_code_typed_loosely_leads_to_the_same_page(bob: Person, code: str) -> None:
    reply = await bob.get(f"/rooms/{code.lower()}/name")
    assert (reply.status, reply.headers["Location"]) == (301, f"/rooms/{code}/name")


async def test_a_name_is_text_wherever_it_is_shown(
    alice: Person, bob: Person, code: str, chat: Context
) -> None:
    markup = '"><b>bold</b>&'
    await rename(bob, code, markup)
    assert (await bob.get(f"/rooms/{code}/name")).page.one("input[name=name]").value == markup
    page = await alice.look(code)
    assert not page.has("b")
    assert notices(page) == [f"Bob is now called {markup}"]


async def test_of_two_names_taken_at_the_same_moment_one_is_among_the_people(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    async with alice.in_room(code), bob.in_room(code):
        await turn(2)
        replies = await asyncio.gather(
            *(bob.post(f"/rooms/{code}/name", {"name": name}) for name in ("Robert", "Bert", "Rob"))
        )
        assert {reply.status for reply in replies} <= {303, 403}
        await turn(2)
        await turn(2)
        page = await alice.look(code)
        here = [li.words for li in page.all("#roster li")]
        last = notices(page)[-1].rpartition(" ")[2]
        assert here == ["Alice", last], notices(page)
        assert [item.words for item in page.all("#roster [role=listitem]")] == []
