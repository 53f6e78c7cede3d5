"""Taking back a text: gone from the log and every page, by a form or a frame, for its author only."""

from __future__ import annotations

import pytest
from people import FakeClock, Person, ids

SECRET = "a word that nobody shall read"


@pytest.fixture
async def id(alice: Person, code: str) -> int:
    await alice.write(code, "before", SECRET, "after")
    return ids(await alice.look(code))[1]


async def test_an_author_deletes_a_text_by_the_form(alice: Person, bob: Person, code: str, id: int) -> None:
    form = (await alice.get(f"/rooms/{code}/{id}")).page.one("#delete")
    async with bob.in_room(code) as live:
        reply = await alice.post(form["action"])
        assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}/{id}")
        changed = await live.until(f"hx-partial[hx-target=#message-{id}]")
    assert changed.has(".gone")
    for path in (f"/rooms/{code}", f"/rooms/{code}/{id}"):
        shown = await bob.get(path)
        assert shown.page.one(f"#message-{id}").has(".gone")
        assert SECRET not in shown.text
    assert not (await alice.get(f"/rooms/{code}/{id}")).page.has("form")


async def test_an_author_deletes_a_text_over_the_socket(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    async with alice.in_room(code) as live:
        form = await live.ask("delete", id)
        assert SECRET in (await bob.texts(code))  # not before it is confirmed
        await live.send(act=form.one("input[name=act]").value)
        await live.until(f"#message-{id} .gone")
    assert SECRET not in (await bob.get(f"/rooms/{code}")).text


async def test_who_wrote_the_rest_of_a_run_stays_readable(
    alice: Person, bob: Person, code: str, clock: FakeClock
) -> None:
    clock.pass_by(3600)
    await alice.write(code, "first", "second")
    first, second = ids(await alice.look(code))[-2:]
    await bob.post(f"/rooms/{code}/{second}/reactions", {"emoji": "👍", "on": "1"})
    assert (await alice.post(f"/rooms/{code}/{first}/delete")).status == 303
    page = await bob.look(code)
    stub, rest = page.one(f"#message-{first}"), page.one(f"#message-{second}")
    assert ("on" in stub.classes, "on" in rest.classes) == (False, True)  # the stub still begins the run
    assert (stub.one(".by bdi").text, stub.one(".b")["data-i"]) == ("Alice", "A")
    assert stub.one(".by time")["datetime"] == rest.one(".by time")["datetime"]
    assert rest.has(f"#reactions-{second} button")


async def test_deleting_twice_is_deleting(alice: Person, bob: Person, code: str, id: int) -> None:
    """A second click on a slow line was answered by an error, though all was done."""
    assert (await alice.post(f"/rooms/{code}/{id}/delete")).status == 303
    page = await alice.look(code)
    assert (await alice.post(f"/rooms/{code}/{id}/delete")).status == 303
    assert (await bob.post(f"/rooms/{code}/{id}/delete")).status == 403
    assert (await alice.look(code)).one("#messages").text == page.one("#messages").text
    async with alice.in_room(code) as live:
        await live.send(act=f"{id}/delete")
        assert (await live.until("p.vh")).text == "Message deleted"
    assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": "back"})).status == 404


async def test_nobody_else_deletes_a_text(
    alice: Person, bob: Person, client: Person, code: str, id: int
) -> None:
    assert (await bob.post(f"/rooms/{code}/{id}/delete")).status == 403
    assert (await client.post(f"/rooms/{code}/{id}/delete")).status == 403
    async with bob.in_room(code) as live:
        await live.send(act=f"{id}/delete")
        await live.until("[role=alert]")
        await live.send(act="delete", id=str(id))
        await live.until("[role=alert]")
    other = await bob.create()
    assert (await bob.post(f"/rooms/{other}/{id}/delete")).status == 404
    assert SECRET in await alice.texts(code)


async def test_no_quota_keeps_a_text(alice: Person, code: str, id: int, chats: list) -> None:  # type: ignore[type-arg]
    for chat in chats:
        chat.quota._limit, chat.quota.used = 1, 2
    assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": "longer"})).status == 422
    assert (await alice.post(f"/rooms/{code}/{id}/delete")).status == 303
