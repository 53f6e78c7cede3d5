"""What somebody reads where a page, a room or their seat is missing, and where they can go from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import AsyncMock

import calls
import pytest
from dom import Element
from people import Person, ids

from chat.context import Context
from chat.model.codes import grouped
from chat.store import Unavailable
from chat.store.members import find_seat, seated, seats_numbered
from chat.store.messages import text_message
from chat.store.visits import visit

UNKNOWN = "2222-2222-2222"


@pytest.mark.parametrize("path", [f"/rooms/{UNKNOWN}", "/nowhere", f"/rooms/{UNKNOWN}?before=7"])
async def test_an_unknown_page_asks_for_a_code(client: Person, path: str) -> None:
    reply = await client.get(path)
    form = reply.page.one("form")
    assert reply.status == 404
    assert reply.page.one("h1").words == "This page or room does not exist."
    assert (form["action"], form["method"], form["target"]) == ("/join", "get", "_top")
    assert form.one("[name=code]").value == (UNKNOWN if UNKNOWN in path else "")
    assert form.one("button").words == "Join"


async def test_the_code_leads_to_the_invitation_or_into_the_room(alice: Person, client: Person) -> None:
    code = await alice.create()
    for person, words in ((alice, "Leave"), (client, "You are invited")):
        reply = await person.get(f"/join?code={grouped(code).lower()}.")
        assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")
        assert words in (await person.get(reply.headers["Location"])).text


@pytest.mark.parametrize(
    ("typed", "reason"),
    [("", "Please enter a room code."), ("%20", "Please enter a room code."), ("x" * 600, "too long")],
)
async def test_no_code_is_asked_for_again(client: Person, typed: str, reason: str) -> None:
    reply = await client.get(f"/join?code={typed}")
    assert reply.status == 422
    assert reason in reply.page.one("#code-error").words


async def test_who_has_no_seat_can_join_again(alice: Person, client: Person) -> None:
    code = await alice.create()
    for reply in (
        await client.get(f"/rooms/{code}/stream"),
        await client.post(f"/rooms/{code}/messages", {"body": "precious", "key": "k"}),
        await client.post(f"/rooms/{code}/act", {"act": "1/delete"}),
    ):
        again = reply.page.one(f"main a[href=/rooms/{code}]")
        assert (reply.status, again.words, again["target"]) == (403, "Join again", "_top")
        assert "You are not in this room" in reply.text
    assert (await client.get(f"/rooms/{code}/stream")).page.one("h1").words == (
        "You are not in this room (any more)."
    )


NOT_THERE = [
    *((f"{id}/edit", {}) for id in ("0", "-1", "abc", "1e3", "1.5", "+1", "9" * 30, "99")),
    ("act", {"act": "99/edit"}),
    ("act", {"act": "1/nothing"}),
    ("1/nothing", {}),
]


@pytest.mark.parametrize(
    ("path", "form"), [*NOT_THERE, ("messages", {}), ("draft", {}), ("composer", {}), ("1/edit", {})]
)
async def test_a_stranger_is_given_back_what_they_typed(
    alice: Person, client: Person, path: str, form: dict[str, str]
) -> None:
    code = await alice.create()
    await is_given_back(client, f"/rooms/{code}/{path}", {**form, "body": "precious"})


@pytest.mark.parametrize(("path", "form"), NOT_THERE)
async def test_a_member_is_given_back_what_is_for_no_message(
    alice: Person, path: str, form: dict[str, str]
) -> None:
    code = await alice.create()
    await is_given_back(alice, f"/rooms/{code}/{path}", {**form, "body": "precious"})


@pytest.mark.parametrize(("path", "field"), [("title", "title"), ("title", "topic"), ("name", "name")])
async def test_a_stranger_is_given_back_what_a_room_was_to_be_called(
    alice: Person, client: Person, path: str, field: str
) -> None:
    code = await alice.create()
    await is_given_back(client, f"/rooms/{code}/{path}", {field: "precious"})


BY_FIELD = [
    *(("composer", form) for form in ({}, {"lines": "many"}, {"names": ""}, {"at": "2"})),
    ("draft", {}),
]


@pytest.mark.parametrize(("path", "form"), [*BY_FIELD, ("draft", {"choice": "use/1"})])
async def test_what_was_typed_is_given_back_while_nothing_can_be_read(
    alice: Person, bob: Person, code: str, chat: Context, path: str, form: dict[str, str]
) -> None:
    chat.hub.health.store_down = True
    await is_given_back(alice, f"/rooms/{code}/{path}", {**form, "body": "precious"}, (503,))


@pytest.mark.parametrize("nothing", [find_seat, visit, seated, seats_numbered, text_message])
async def test_what_is_typed_is_given_back_whatever_cannot_be_read(
    alice: Person,
    bob: Person,
    code: str,
    chat: Context,
    monkeypatch: pytest.MonkeyPatch,
    nothing: Callable[..., Any],
) -> None:
    """It answers something, and somebody is to be named."""
    await bob.write(code, "tea?")
    reply = str(ids(await alice.look(code))[-1])
    calls.intercept(monkeypatch, chat.store, nothing, AsyncMock(side_effect=Unavailable("away")))
    form = {"body": "precious", "names": "", "at": "2", "reply": reply}
    page = await is_given_back(alice, f"/rooms/{code}/composer", form, (503,))
    assert page.one("main [name=reply]").value == reply


@pytest.mark.parametrize("seat", ["1", "99"])
async def test_what_was_typed_is_given_back_if_nobody_can_be_named_so(
    alice: Person, bob: Person, code: str, seat: str
) -> None:
    await is_given_back(alice, f"/rooms/{code}/composer", {"body": "precious", "at": seat})


async def test_a_changed_text_is_given_back_if_its_message_cannot_be_read_after_it_was_refused(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.write(code, "one")
    id = ids(await alice.look(code))[-1]
    monkeypatch.setattr(chat.store, "snapshot", AsyncMock(side_effect=Unavailable("away")))
    await is_given_back(
        alice, f"/rooms/{code}/{id}/edit", {"body": "precious" + "!" * 9000, "version": "0"}, (422,)
    )


async def is_given_back(
    person: Person, path: str, form: dict[str, str], statuses: Sequence[int] = (403, 404)
) -> Element:
    reply = await person.post(path, form)
    assert reply.status in statuses
    assert reply.page.one("[role=alert]").words
    assert form.get("body", "precious") in [field.value for field in reply.page.all("textarea")]
    return reply.page


@pytest.mark.parametrize(
    ("path", "form"), [("read", {"id": "1"}), ("1/delete", {}), ("act", {"act": "1/reactions"})]
)
async def test_a_refused_form_without_a_text_says_why(
    alice: Person, client: Person, chat: Context, path: str, form: dict[str, str]
) -> None:
    code = await alice.create()
    reply = await client.post(f"/rooms/{code}/{path}", form)
    assert (reply.status, reply.page.one("[role=alert]").words > "") == (403, True)
    chat.hub.health.store_down = True
    reply = await alice.post(f"/rooms/{code}/{path}", form)
    assert (reply.status, reply.page.one("[role=alert]").words > "") == (503, True)


async def test_a_page_that_tries_again_by_itself_is_not_spoken_each_time(
    alice: Person, code: str, chat: Context
) -> None:
    chat.hub.health.store_down = True
    reply = await alice.get(f"/rooms/{code}")
    assert (reply.status, reply.page.has("[role=alert]")) == (503, False)


async def test_from_a_message_that_is_gone_a_link_leads_back_to_the_room(alice: Person) -> None:
    code = await alice.create()
    reply = await alice.post(f"/rooms/{code}/act", {"act": "99/edit", "body": "changed"})
    assert reply.status == 404
    assert reply.page.one(f"main a[href=/rooms/{code}]").words == "Back to the room"


@pytest.mark.parametrize("path", ["99", "99/reactions", "999999999999999", "99?ask=delete"])
async def test_a_link_to_no_message_says_so_and_leads_back_to_the_room(alice: Person, path: str) -> None:
    """A member asks, so the code was right."""
    code = await alice.create()
    reply = await alice.get(f"/rooms/{code}/{path}")
    assert (reply.status, reply.page.one("h1").words) == (404, "There is no such message.")
    assert reply.page.one(f"main a[href=/rooms/{code}]").words == "Back to the room"


async def test_nobody_else_is_told_which_messages_there_are(alice: Person, client: Person) -> None:
    code = await alice.create()
    await alice.post(f"/rooms/{code}/messages", {"body": "hello", "key": "k"})
    there, not_there = [await client.get(f"/rooms/{code}/{id}") for id in (1, 99)]
    assert (there.status, there.text.replace(f"{code}/1", "")) == (
        not_there.status,
        not_there.text.replace(f"{code}/99", ""),
    )
