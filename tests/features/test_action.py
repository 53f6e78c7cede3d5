"""What all actions have in common: how they are asked for, and what is answered when they are not done."""

from __future__ import annotations

from typing import Any

import pytest
from people import Person, Turn, ids

from chat.context import Context
from chat.features import ACTIONS
from chat.features.action import failure_of
from chat.model.errors import Conflict, Forbidden, RateLimited, Refused
from chat.store import NotFound, OutcomeUnknown, Unavailable


@pytest.fixture
async def id(alice: Person, code: str) -> int:
    await alice.write(code, "a text")
    [id] = ids(await alice.look(code))
    return id


def test_everything_that_goes_wrong_has_one_answer() -> None:
    answers: dict[Exception, int] = {
        Refused("no"): 422,
        RateLimited("no", 3.0): 429,
        Conflict("no"): 409,
        Forbidden("no"): 403,
        NotFound("no"): 404,
        Unavailable("no"): 503,
        OutcomeUnknown("no"): 503,
    }
    for error, status in answers.items():
        failure = failure_of(error)
        assert failure.status == status
        assert failure.text


def test_an_action_is_found_under_its_own_name() -> None:
    assert all(action.name == name for name, action in ACTIONS.items())
    assert list(ACTIONS) == ["reactions", "reply", "edit", "unread", "link", "delete"]


async def test_what_was_typed_is_kept_while_the_store_is_away(
    alice: Person, code: str, id: int, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(chat.store, "write", away)
    reply = await alice.post(f"/rooms/{code}/{id}/edit", {"body": "a long text"})
    assert reply.status == 503
    assert reply.page.one("textarea").value.removeprefix("\n") == "a long text"
    assert not reply.page.has("form"), "sent by that, it would be another message"
    chat.hub.health.store_down = True
    reply = await alice.post(f"/rooms/{code}/{id}/edit", {"body": "a long text"})
    chat.hub.health.store_down = False
    assert (reply.status, reply.page.one("textarea").value.removeprefix("\n")) == (503, "a long text")
    async with alice.in_room(code) as live:
        await live.send(act=f"{id}/edit", body="a long text")
        alert = await live.until("hx-partial", "could not be saved")
        assert alert["hx-target"] == "#notice"  # the form stays, with the text in it


async def test_htmx_gets_a_fragment_in_place_of_a_page(alice: Person, code: str, id: int) -> None:
    reply = await alice.post(f"/rooms/{code}/{id}/reactions", {"emoji": "👍", "on": "1"}, HX_Request="true")
    assert reply.status == 200
    assert "<html" not in reply.text
    assert reply.page.has("hx-partial")


@pytest.mark.parametrize("name", list(ACTIONS))
async def test_each_action_has_a_form_for_who_asks_by_a_frame(
    alice: Person, code: str, id: int, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Though no page asks for that of some."""
    async with alice.in_room(code) as live:
        await live.send(act=f"{id}/{name}?ask")
        shown = await live.until("hx-partial")
        assert shown.has("dialog") or shown.has("[role=alert]")
        assert "went wrong" not in shown.text
    assert not [record for record in caplog.records if record.exc_info]


async def test_nobody_is_shown_the_form_of_what_they_may_not_do(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    async with bob.in_room(code) as live:
        for name in ("edit", "delete"):
            await live.send(act=f"{name}?ask", id=str(id))
            shown = await live.until("hx-partial")
            assert shown["hx-target"] == "#notice"
            assert "a text" not in shown.text


async def test_who_closes_the_palette_has_the_message_unchosen_without_a_read(
    alice: Person, code: str, id: int, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice.in_room(code) as live:
        questions: list[Any] = []
        for kind in ("read", "snapshot", "write"):
            monkeypatch.setattr(chat.store, kind, _counted(getattr(chat.store, kind), questions))
        for number in ("", "0", "x", "9" * 60):
            await live.send(act="close", id=number)
        await live.send(act="close", id=str(id))
        radios = (await live.frame()).all("hx-partial input")
        assert [radio["value"] for radio in radios] == [str(id)] * 2, "with the focus, or without"
        assert ["autofocus" in radio for radio in radios] == [True, False]
        assert not questions


async def test_a_button_without_a_script_leads_to_the_page_with_the_form(
    alice: Person, client: Person, code: str, id: int
) -> None:
    reply = await alice.post(f"/rooms/{code}/act", {"act": "edit?ask", "id": str(id)})
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}/{id}#to-edit")
    assert (await client.post(f"/rooms/{code}/act", {"act": "edit?ask", "id": str(id)})).status == 403
    for act in (
        "",
        "nonsense",
        "edit",
        f"{id}/",
        f"x/edit?{'&' * 50}",
        "edit?body=x&version=1&on=1&emoji=1&a=1",
    ):
        assert (await alice.post(f"/rooms/{code}/act", {"act": act})).status == 404, act
    assert (await alice.get(f"/rooms/{code}/{id}/edit")).headers["Location"] == f"/rooms/{code}/{id}#to-edit"
    assert (await alice.get(f"/rooms/nonsense/{id}/edit")).status == 404


@pytest.mark.parametrize("name", list(ACTIONS))
async def test_nothing_is_done_to_a_notice(
    alice: Person, bob: Person, code: str, turn: Turn, name: str
) -> None:
    async with alice.in_room(code) as live:
        await turn()
        await turn(2)
        await live.until("li.notice")
        before = await bob.look(code)
        id = before.one("li.notice")["id"].removeprefix("message-")
        form = {"body": "a text", "version": id, "emoji": "👍", "on": "1"}
        assert (await alice.post(f"/rooms/{code}/{id}/{name}", form)).status == 404
        await live.send(act=f"{id}/{name}", **form)
        await live.until("[role=alert]")
        await live.send(act=f"{name}?ask", id=id)
        await live.until("[role=alert]")
    after = await bob.look(code)
    assert str(after.one("li.notice")) == str(before.one("li.notice"))


async def test_a_page_about_a_message_is_bounded(alice: Person, code: str) -> None:
    await alice.write(code, *(f"{n} " + '"' * 8000 for n in range(8)))
    id = ids(await alice.look(code))[0]
    reply = await alice.get(f"/rooms/{code}/{id}")
    assert reply.status == 200
    assert len(reply.body) < 256 * 1024
    assert reply.page.one("[aria-current=true]")["id"] == f"message-{id}"


@pytest.mark.parametrize("name", list(ACTIONS))
async def test_a_form_without_its_fields_is_refused_and_no_fault(
    alice: Person, bob: Person, code: str, id: int, name: str
) -> None:
    for person in (bob, alice):
        reply = await person.post(f"/rooms/{code}/{id}/{name}")
        assert reply.status in (303, 403, 422)
        if reply.status != 303:
            assert reply.page.one("[role=alert]").text
        async with person.in_room(code) as live:
            await live.send(act=f"{id}/{name}")
            assert (await live.frame()).all("hx-partial")


@pytest.mark.parametrize("name", list(ACTIONS))
async def test_over_its_rate_a_frame_is_refused_without_a_read(
    alice: Person, code: str, id: int, chat: Context, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    questions: list[Any] = []
    fields = {"body": "typed", "version": "1", "emoji": "👍", "on": "1"}
    async with alice.in_room(code) as live:
        await live.send(act=f"{id}/{name}", **fields)
        assert "too fast" not in (await live.until("hx-partial")).text
        [connection] = chat.hub.feeds[code].connections
        rate = ACTIONS[name].rate
        await chat.limits.take(rate, connection.member.person, 3600, 2 * rate.burst)
        for kind in ("read", "snapshot", "write"):
            monkeypatch.setattr(chat.store, kind, _counted(getattr(chat.store, kind), questions))
        await live.send(act=f"{id}/{name}", **fields)
        refused = await live.until("hx-partial", "too fast")
        assert refused["hx-target"] == "#notice", "the form stays, with what was typed in it"
        assert not questions


def _counted(original: Any, calls: list[Any]) -> Any:
    async def work(*args: Any, **more: Any) -> Any:
        calls.append(args)
        return await original(*args, **more)

    return work


HALF = "half \ud83d"  # of an emoji, as a field leaves it that cuts at its length


@pytest.mark.parametrize(
    "frame",
    [
        {"act": "edit", "body": HALF, "version": "99"},
        {"act": "edit", "body": [HALF, "\ude00"], "version": HALF},
        {"act": "edit", "body": "\ud83d"},
        {"act": "delete", "body": HALF},
        {"act": "reactions", "emoji": HALF, "on": HALF},
        {"act": f"reactions?emoji={HALF}&on=1", "emoji": "x"},
        {"act": f"edit?ask&body={HALF}"},
        {"act": HALF, "body": HALF},
    ],
    ids=str,
)
async def test_half_a_character_ends_no_connection(
    alice: Person, code: str, id: int, frame: dict[str, Any]
) -> None:
    async with alice.in_room(code) as live:
        await live.send(**frame, id=str(id))
        await live.send(body="alive", key="k", acked="0")
        await live.until("li .text", "alive")
