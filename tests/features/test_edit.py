"""Changing a text that was sent: by a form, by a frame, and who may."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from unittest.mock import AsyncMock

import pytest
from deployments import ONE, within
from dom import Element
from people import FakeClock, Person, ids

from chat import limits
from chat.context import Context
from chat.model.invisible import is_blank
from chat.model.messages import BODY_TYPED
from chat.settings import Settings


@pytest.fixture
async def id(alice: Person, code: str) -> int:
    """A message of Alice's."""
    await alice.write(code, "before", "frist", "after")
    return ids(await alice.look(code))[1]


async def _page(person: Person, code: str, id: int) -> Element:
    reply = await person.get(f"/rooms/{code}/{id}")
    assert reply.status == 200, reply.text
    return reply.page


async def test_the_time_of_a_message_leads_to_its_page(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    for person in (alice, bob):
        link = (await person.look(code)).one(f"#message-{id} .by a")
        assert link["href"] == f"/rooms/{code}/{id}"
        page = await _page(person, code, id)
        assert page.one("[aria-current=true]")["id"] == f"message-{id}"
        assert [text.text for text in page.all("li .text")] == ["before", "frist", "after"]
        assert page.has("#edit") == (person is alice)  # a personal page: only its author is offered that


async def test_the_store_is_asked_for_the_time_only_for_its_author(
    alice: Person, bob: Person, code: str, id: int, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [AsyncMock(wraps=chat.store.time) for chat in chats]
    for chat, time in zip(chats, asked, strict=True):
        monkeypatch.setattr(chat.store, "time", time)
    assert not (await _page(bob, code, id)).has("#edit")
    assert sum(time.await_count for time in asked) == 0
    assert (await _page(alice, code, id)).has("#edit")
    assert sum(time.await_count for time in asked) == 1


async def test_an_author_changes_a_text_by_the_form(alice: Person, bob: Person, code: str, id: int) -> None:
    form = (await _page(alice, code, id)).one("#edit")
    async with bob.in_room(code) as live:
        version = form.one("input[name=version]").value
        reply = await alice.post(form["action"], {"body": "first", "version": version})
        assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}/{id}")
        changed = await live.until(f"hx-partial[hx-target=#message-{id}]")
    assert changed.one(".text").text == "first"
    assert changed.has(".edited")
    for page in (await bob.look(code), await _page(alice, code, id)):
        assert page.one(f"#message-{id} .text").text == "first"
        assert page.one(f"#message-{id}").has(".edited")


async def test_an_author_changes_a_text_over_the_socket(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    async with alice.in_room(code) as live:
        form = await live.ask("edit", id)
        assert form.one("textarea").value.lstrip("\n") == "frist"
        version = form.one("input[name=version]").value
        await live.send(act=f"{id}/edit", body="first", version=version)
        await live.until(f"#message-{id} .text", "first")
        await live.send(body="x", key="still alive", acked="0")
        await live.until("li .text", "x")
    assert (await bob.texts(code))[1] == "first"


async def test_nothing_changes_if_the_text_is_the_same(alice: Person, code: str, id: int) -> None:
    assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": "frist"})).status == 303
    assert not (await alice.look(code)).one(f"#message-{id}").has(".edited")


@pytest.mark.parametrize(("body", "status"), [("", 422), (" \n", 422), ("x" * 9000, 422), ("\u2800", 422)])
async def test_what_cannot_be_a_text_comes_back(
    alice: Person, code: str, id: int, body: str, status: int
) -> None:
    reply = await alice.post(f"/rooms/{code}/{id}/edit", {"body": body})
    assert reply.status == status
    form = reply.page.one("#edit")
    assert form.one("[role=alert]").text
    assert form.one("textarea").value.removeprefix("\n") == body
    assert (await alice.texts(code))[1] == "frist"


async def test_a_text_is_measured_before_it_is_searched(
    alice: Person, code: str, id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []

    def blank(text: str) -> bool:
        searched.append(len(text))
        return is_blank(text)

    monkeypatch.setattr("chat.features.edit.is_blank", blank)
    reply = await alice.post(f"/rooms/{code}/{id}/edit", {"body": " " * 100_000})
    assert reply.status == 422
    reason = reply.page.one("#edit [role=alert]").text
    assert reason.startswith("Not saved: about ")
    assert "Shorten it, or send parts of it as new messages." in reason
    async with alice.in_room(code) as live:
        await live.send(act=f"{id}/edit", body=["\u00ad" * 5000] * 20)
        await live.until("[role=alert]", "too long")
    assert max(searched, default=0) <= BODY_TYPED


async def test_what_a_message_said_before_is_on_its_page_for_every_member(
    alice: Person, bob: Person, client: Person, code: str, id: int, clock: FakeClock
) -> None:
    for text in ("<b>second", "third\n  line"):
        clock.pass_by(60)
        assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": text})).status == 303
    for person in (alice, bob):
        mark = (await person.look(code)).one(f"#message-{id} .edited a")
        page, _, place = mark["href"].partition("#")
        assert page == f"/rooms/{code}/{id}"
        details = (await _page(person, code, id)).one("details.edited")
        assert details.has(f"ol#{place}")  # a browser opens it for what is inside
        assert "2 earlier versions" in details.one("summary").words
        assert [text.text for text in details.all(".was")] == ["<b>second", "frist"]
        assert details.one("summary time")["datetime"][11:19] == "08:18:40"
        assert [time["datetime"][11:19] for time in details.all("li time")] == ["08:17:40", "08:16:40"]
    assert (await client.get(f"/rooms/{code}/{id}")).status == 403
    assert "frist" not in (await bob.get(f"/rooms/{code}")).text


async def test_what_a_message_said_before_is_formatted_so_that_no_spoiler_is_shown(
    alice: Person, code: str, id: int
) -> None:
    for text in ("the killer is ||the *butler*||", "/me knows `who`", "known"):
        assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": text})).status == 303
    done, spoiler, _ = (await _page(alice, code, id)).all(".was")
    assert done.one(".me").text == "Alice knows who"
    assert spoiler.one(".spoiler span[hidden] em").text == "butler"


async def test_what_a_deleted_message_said_before_is_nowhere(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": "second"})).status == 303
    assert (await alice.post(f"/rooms/{code}/{id}/delete")).status == 303
    for person in (alice, bob):
        reply = await person.get(f"/rooms/{code}/{id}")
        assert not reply.page.has(".edited")
        assert "frist" not in reply.text
        assert "second" not in reply.text


async def test_a_text_can_be_changed_for_a_day(alice: Person, code: str, id: int, clock: FakeClock) -> None:
    path = f"/rooms/{code}/{id}/edit"
    clock.pass_by(24 * 3600)
    assert (await alice.post(path, {"body": "first"})).status == 303
    clock.pass_by(1)
    reply = await alice.post(path, {"body": "too late"})
    assert reply.status == 403
    assert reply.page.one("[role=alert]").text == "A message can be changed for 24 hours after it was sent."
    assert reply.page.one("#kept").value == "too late"
    assert not (await _page(alice, code, id)).has("#edit")
    assert (await alice.texts(code))[1] == "first"
    async with alice.in_room(code) as live:
        await live.send(act="edit?ask", id=str(id))
        await live.until("[role=alert]", "for 24 hours")
        await live.send(act=f"{id}/edit", body="too late")
        await live.until("[role=alert]", "for 24 hours")
    assert (await alice.post(f"/rooms/{code}/{id}/delete")).status == 303  # at any time


async def test_a_chat_may_be_set_so_that_no_text_is_changed(settings: Settings) -> None:
    async with within(replace(settings, edit_hours=0)) as (app,):
        alice = Person(app, "Alice")
        code = await alice.create()
        await alice.write(code, "said")
        page = await alice.look(code)
        (id,) = ids(page)
        assert not page.has("#pal [value=edit?ask]")
        assert page.has("#pal [value=delete?ask]")
        assert not (await _page(alice, code, id)).has("#edit")
        reply = await alice.post(f"/rooms/{code}/{id}/edit", {"body": "unsaid"})
        assert reply.status == 403
        assert reply.page.one("[role=alert]").text == "A message cannot be changed here once it is sent."
        assert await alice.texts(code) == ["said"]


async def test_a_text_that_was_emptied_may_be_deleted_instead(alice: Person, code: str, id: int) -> None:
    async with alice.in_room(code) as live:
        await live.send(act=f"{id}/edit", body="", version=str(id))
        form = await live.until("hx-partial[hx-swap=innerMorph]", "cannot be saved")
        assert "required" not in form.one("textarea")  # nor does a browser refuse it with another reason
        button = form.one("button.bad")
        assert button.words == "Delete the message"
        await live.send(act=button["value"])
        confirmed = await live.until("hx-partial[hx-swap=innerMorph] form#delete")
        await live.send(act=confirmed.one("input[name=act]").value)
        await live.until(f"#message-{id} .gone")


async def test_two_windows_of_one_author_keep_both_texts(alice: Person, code: str, id: int) -> None:
    first = (await _page(alice, code, id)).one("#edit input[name=version]").value
    assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": "one", "version": first})).status == 303
    reply = await alice.post(f"/rooms/{code}/{id}/edit", {"body": "two", "version": first})
    assert reply.status == 409
    form = reply.page.one("#edit")
    assert "one" in form.one(".now").text
    assert form.one("textarea").value.removeprefix("\n") == "two"
    again = await alice.post(
        f"/rooms/{code}/{id}/edit",
        {"body": "two", "version": form.one("input[name=version]").value},
    )
    assert again.status == 303
    assert (await alice.texts(code))[1] == "two"


async def test_of_two_that_come_at_once_one_loses(alice: Person, code: str, id: int) -> None:
    version = (await _page(alice, code, id)).one("#edit input[name=version]").value
    replies = await asyncio.gather(
        *(alice.post(f"/rooms/{code}/{id}/edit", {"body": text, "version": version}) for text in "abcd")
    )
    assert sorted(reply.status for reply in replies) == [303, 409, 409, 409]


async def test_nobody_else_changes_a_text(
    alice: Person, bob: Person, code: str, id: int, client: Person
) -> None:
    reply = await bob.post(f"/rooms/{code}/{id}/edit", {"body": "mine"})
    assert reply.status == 403
    assert reply.page.one("[role=alert]").text
    assert (await client.post(f"/rooms/{code}/{id}/edit", {"body": "mine"})).status == 403
    async with bob.in_room(code) as live:
        await live.send(act=f"{id}/edit", body="mine")
        await live.until("[role=alert]")
    other = await bob.create()
    assert (await bob.get(f"/rooms/{other}/{id}")).status == 404
    assert (await bob.post(f"/rooms/{other}/{id}/edit", {"body": "mine"})).status == 404
    assert (await alice.post(f"/rooms/{code}/leave")).status == 303
    assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": "back"})).status == 403
    assert (await alice.get(f"/rooms/{code}/{id}")).status == 403
    assert (await bob.texts(code))[1] == "frist"


async def test_a_renamed_author_is_still_the_author(alice: Person, code: str, id: int) -> None:
    reply = await alice.post(f"/rooms/{code}", {"name": "Alicia", "choice": "rename"})
    assert reply.status == 303
    assert (await _page(alice, code, id)).has("#edit")
    assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": "first"})).status == 303
    assert (await alice.texts(code))[1] == "first"


@pytest.mark.parametrize("id", ["0", "-1", "x", "9" * 15, "9" * 400, "1.5", "%00", "edit"])
async def test_there_is_no_such_message(alice: Person, code: str, id: str) -> None:
    assert (await alice.get(f"/rooms/{code}/{id}")).status == 404
    assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": "x"})).status == 404
    assert (await alice.post(f"/rooms/{code}/{id}/nonsense", {"body": "x"})).status == 404
    async with alice.in_room(code) as live:
        for act in (f"{id[:40]}/edit", f"{id[:40]}/nonsense", "edit", "?", "", "/" * 60, "edit?" + "&" * 60):
            await live.send(act=act, body="x", id=id)
        await live.send(body="alive", key="k", acked="0")
        await live.until("li .text", "alive")


@pytest.mark.parametrize("deployment", [ONE])  # several nodes go by the clock of Redis
async def test_changing_has_a_rate(alice: Person, code: str, id: int) -> None:
    statuses = []
    for n in range(limits.EDITS.burst + 1):
        reply = await alice.post(f"/rooms/{code}/{id}/edit", {"body": f"text {n}"})
        statuses.append(reply.status)
    assert statuses == [303] * limits.EDITS.burst + [429]
    assert int(reply.headers["Retry-After"]) >= 1
    assert reply.page.one("#edit textarea").value.removeprefix("\n") == f"text {limits.EDITS.burst}"
