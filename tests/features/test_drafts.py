"""Drafts: what somebody has begun to write is there on their other devices, and nowhere else."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from dom import Element
from people import Live, Person, Reply, ids, until

from chat import limits
from chat.context import Context
from chat.live.drafts import MOST_CHARACTERS, PORTION, Drafts
from chat.model.drafts import Note
from chat.model.members import Member
from chat.model.messages import BODY_BYTES
from chat.store import Unavailable, drafts

FIELD = "#texts [name=body]"
BASE = "#composer [name=draft]"
FILLED = "hx-partial[hx-target=#texts:has(>:only-child:placeholder-shown)]"


async def types(live: Live, page: str, body: str, chats: list[Context], **more: Any) -> None:
    """Say what is in the field, and have it taken."""
    await live.send(k="draft", life=f"{page}.0", body=body, **({"reply": ""} | more))
    await until(lambda: any(note.body == body for chat in chats for note in chat.drafts._due.values()))


async def begins_edit(live: Live, page: str, id: int, body: str, chats: list[Context]) -> str:
    """Say how a text is being changed, and have it taken; the version that this began with."""
    version = (await live.ask("edit", id)).one("[name=version]").value
    await types(live, page, body, chats, act=f"{id}/edit", version=version)
    return version


async def stored(chats: list[Context]) -> None:
    for chat in chats:
        await chat.drafts.save()


async def field(person: Person, code: str) -> str:
    """What the field of a page holds that is opened now."""
    return (await person.look(code)).one(FIELD).value


def others(page: Element) -> list[Element]:
    """The drafts that may be chosen instead."""
    return page.all(".drafts .buttons")


async def choose(person: Person, code: str, choice: str, body: str | None = None, **more: str) -> Reply:
    """Press a button below the field, beside the newest of the other drafts."""
    shown = await person.look(code)
    form = {one["name"]: one.value for one in shown.all("#composer input[name]")}
    button = next(one for one in others(shown)[0].all("button") if one.value.startswith(choice))
    assert button["form"] == "composer"
    typed = {} if body is None else {"body": body}
    return await person.post(button["formaction"], {**form, **typed, "choice": button.value}, **more)


async def test_what_is_typed_is_there_when_the_room_is_opened_again(
    alice: Person, bob: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "hel", chats)
        await types(live, page, "hello", chats)
        assert await field(alice, code) == "hello", "though it is yet to be stored"
        await stored(chats)
        assert await field(alice, code) == "hello"
        assert await field(bob, code) == ""


async def test_several_lines_open_as_several_lines(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "one\ntwo", chats)
        shown = (await alice.look(code)).one(FIELD)
        assert (shown.tag, shown.value) == ("textarea", "one\ntwo")


async def test_another_node_has_it_once_it_is_stored(
    alice: Person, bob: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
        await stored(chats)
        assert await field(alice.at(bob.app), code) == "hello"


async def test_a_page_that_has_gone_is_stored_at_once(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    for chat in chats:
        chat.drafts._every = 3600
        chat.drafts._hurried.set()  # else it would still wait for the usual time
    await until(lambda: not any(chat.drafts._hurried.is_set() for chat in chats))
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
    async with asyncio.timeout(5):
        while not (await chats[-1].store.read(drafts.drafts_of, code, 1)).drafts:
            await asyncio.sleep(0.01)


async def test_it_is_said_to_nobody_and_is_no_change(
    alice: Person, bob: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as hers, bob.in_room(code) as his:
        await types(hers, page, "canary", chats)
        await stored(chats)
        await alice.write(code, "that was all")
        await his.until(".text", "that was all")
        assert "canary" not in "".join(his.raw)
        assert "typing" not in "".join(his.raw)
    assert "canary" not in (await bob.get(f"/rooms/{code}")).text
    for person in (alice, bob):
        assert "Nothing found" in (await person.get(f"/rooms/{code}/search?q=canary")).text


async def test_a_sent_text_is_no_draft(
    alice: Person, bob: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
        await stored(chats)
        await live.send(body="hello there", life=f"{page}.0", reply="")
        await live.until(".text", "hello there")
        assert await field(alice, code) == ""
        assert await field(alice.at(bob.app), code) == "", "where that is yet to be heard of"
        await stored(chats)
        assert await field(alice.at(bob.app), code) == ""
        assert await chats[0].store.read(drafts.drafts_of, code, 1) == ([], ())


async def test_what_is_begun_after_a_text_is_kept(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
        await live.send(body="hello", life=f"{page}.0", reply="")
        await live.until(".text", "hello")
        await types(live, page, "next", chats)
        await stored(chats)
        assert await field(alice, code) == "next"


@pytest.mark.parametrize(("first", "sent"), [("teh", "the cat"), ("k", "こんにちは")])
async def test_what_was_put_right_before_it_was_sent_does_not_come_back(
    alice: Person, code: str, chats: list[Context], page: str, first: str, sent: str
) -> None:
    """A page says the first letter at once, and the rest three seconds later."""
    async with alice.in_room(code) as live:
        await types(live, page, first, chats)
        await live.send(body=sent, life=f"{page}.0", reply="")
        await live.until(".text", sent)
        await live.send(k="draft", life=f"{page}.1", body="", reply="")
        await stored(chats)
        assert await field(alice, code) == ""


async def test_what_is_begun_while_a_text_is_on_its_way_is_kept(
    alice: Person, code: str, chats: list[Context], page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MESSAGES", limits.Rate("slow", 1.0, 1))
    async with alice.in_room(code) as live:
        await live.send(body="the first", life=f"{page}.0", reply="")
        await types(live, page, "teh", chats)
        await live.send(body=["the first", "the cat"], life=f"{page}.0", reply=["", ""])
        await types(live, page, "next", chats)
        await live.until(".text", "the cat")
        await stored(chats)
        assert await field(alice, code) == "next"


async def test_what_was_put_right_on_the_page_of_a_message_does_not_come_back(
    alice: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Drafts, "hurry", lambda *_: None)  # as if it came between two saves
    await alice.write(code, "Who has the keys?")
    id = ids(await alice.look(code))[0]
    form = (await alice.get(f"/rooms/{code}/{id}")).page.one("#reply")
    await alice.post(f"/rooms/{code}/draft", typed_into(form, "teh"), hx_request="true")
    assert (await alice.post(form["action"], typed_into(form, "the cat has"))).status == 303
    await stored(chats)
    assert await field(alice, code) == ""


async def test_a_text_by_the_form_clears_the_draft_that_it_began_with(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
        form = (await alice.look(code)).one("#composer")
    fields = {one["name"]: one.value for one in form.all("input[name]")}
    assert fields["body"] == "hello"
    reply = await alice.post(f"/rooms/{code}/messages", fields | {"body": "good morning"})
    assert reply.status == 303
    assert await field(alice, code) == ""


@pytest.mark.parametrize("is_full", [False, True], ids=["with room", "though nothing new is taken"])
async def test_an_emptied_field_has_no_draft(
    alice: Person, code: str, chats: list[Context], page: str, is_full: bool
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
        await stored(chats)
        for chat in chats if is_full else ():
            chat.quota._limit, chat.quota.used = 1, 2
            chat.own_limits.take(limits.DRAFT_BYTES_OF_ADDRESS, "192.0.2.1", math.inf, 10_000_000)
        await types(live, page, "", chats)
        assert await field(alice, code) == ""


async def test_a_page_goes_on_with_what_it_began_with(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
    shown = await alice.look(code)
    async with alice.in_room(code) as live:
        await types(live, "another", "hello there", chats, draft=shown.one(BASE).value)
        again = await alice.look(code)
    assert again.one(FIELD).value == "hello there"
    assert not others(again)


async def test_of_two_that_were_written_at_once_both_are_shown_and_one_is_chosen(
    alice: Person, code: str, chats: list[Context]
) -> None:
    async with alice.in_room(code) as live:
        await types(live, "phone", "from the phone", chats)
        await stored(chats)
        await types(live, "desk", "from the desk", chats)
    shown = await alice.look(code)
    assert shown.one(FIELD).value == "from the desk"
    assert [one.text for one in shown.all(".drafts blockquote")] == ["from the phone"]
    used = await choose(alice, code, "use")
    assert (used.status, used.headers["Location"]) == (303, f"/rooms/{code}")
    shown = await alice.look(code)
    assert shown.one(FIELD).value == "from the phone"
    assert [one.text for one in shown.all(".drafts blockquote")] == ["from the desk"]
    assert (await choose(alice, code, "drop")).status == 303
    shown = await alice.look(code)
    assert shown.one(FIELD).value == "from the phone"
    assert not others(shown)
    assert (await alice.post(f"/rooms/{code}/draft", {"choice": "else"})).status == 422


@pytest.mark.parametrize("more", [{}, {"hx_request": "true"}], ids=["by the form", "on a live page"])
async def test_what_is_in_the_field_is_kept_where_another_draft_is_chosen(
    alice: Person, code: str, chats: list[Context], more: dict[str, str]
) -> None:
    async with alice.in_room(code) as live:
        await types(live, "phone", "from the phone", chats)
        await stored(chats)
        await types(live, "desk", "from the desk", chats)
    chosen = await choose(alice, code, "use", "from the desk, and on", **more)
    assert (chosen.status, chosen.headers.get("HX-Refresh")) == ((204, "true") if more else (303, None))
    shown = await alice.look(code)
    assert shown.one(FIELD).value == "from the phone"
    assert [one.text for one in shown.all(".drafts blockquote")] == ["from the desk, and on"]
    await choose(alice, code, "drop", "", **more)
    shown = await alice.look(code)
    assert (shown.one(FIELD).value, others(shown)) == ("", []), "one was emptied, one thrown away"


async def test_what_was_typed_just_before_the_page_went_is_kept_beside_what_went_on_elsewhere(
    alice: Person, code: str, chats: list[Context]
) -> None:
    async with alice.in_room(code) as live:
        await types(live, "phone", "begun", chats)
        base = (await alice.look(code)).one(BASE).value
        await types(live, "phone", "begun, and on", chats)
        await stored(chats)
        await types(live, "desk", "quite another text", chats, draft=base)
        await live.send(k="draft", life="desk.0", body="quite another text", reply="", draft=base, again="1")
        await alice.write(code, "that was all")
        await live.until(".text", "that was all")
        shown = await alice.look(code)
        assert shown.one(FIELD).value == "quite another text"
        assert [one.text for one in shown.all(".drafts blockquote")] == ["begun, and on"]


@pytest.mark.parametrize("said", [False, True], ids=["the page never said it", "the page said it just now"])
async def test_what_is_in_the_field_is_kept_where_a_longer_one_is_thrown_away(
    alice: Person, code: str, chats: list[Context], said: bool
) -> None:
    await alice.write(code, "hello everybody")
    async with alice.in_room(code) as live:
        await types(live, "phone", "hello world", chats)
        await stored(chats)
        await types(live, "desk", "something else", chats)
        await stored(chats)
        button = next(one for one in (await alice.look(code)).all("button") if one.value.startswith("drop/"))
        if said:
            await types(live, "key", "hello", chats)
        form = {"body": "hello", "key": "key", "choice": button.value}
        await alice.post(f"/rooms/{code}/draft", form)
    assert await field(alice, code) == "hello"


@pytest.mark.parametrize("more", [{}, {"hx_request": "true"}], ids=["by the form", "on a live page"])
@pytest.mark.parametrize("why", ["it is too long", "there is no space", "too much is written"])
async def test_nothing_is_chosen_where_what_is_in_the_field_cannot_be_kept(
    alice: Person, code: str, chats: list[Context], why: str, more: dict[str, str]
) -> None:
    async with alice.in_room(code) as live:
        await types(live, "phone", "from the phone", chats)
        await stored(chats)
        await types(live, "desk", "from the desk", chats)
        await stored(chats)
    typed = "x" * (BODY_BYTES + 1) if why == "it is too long" else "just typed"
    for chat in chats:
        if why == "there is no space":
            chat.quota._limit, chat.quota.used = 1, 2
        if why == "too much is written":
            chat.own_limits.take(limits.DRAFT_BYTES_OF_ADDRESS, "192.0.2.1", math.inf, 10_000_000)
    refused = await choose(alice, code, "use", typed, **more)
    if more:
        assert (refused.status, refused.headers.get("HX-Refresh")) == (200, None)
        assert refused.page.one("[hx-target=#notice]").words
    else:
        assert refused.status in (422, 429)
        assert refused.page.one(FIELD).value == typed
        assert refused.page.one("[role=alert]").words
    shown = await alice.look(code)
    assert shown.one(FIELD).value == "from the desk"
    assert [one.text for one in shown.all(".drafts blockquote")] == ["from the phone"]


async def test_a_live_page_says_why_nothing_was_chosen(
    alice: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice.in_room(code) as live:
        await types(live, "phone", "from the phone", chats)
        await stored(chats)
        await types(live, "desk", "from the desk", chats)
    monkeypatch.setattr(limits, "DRAFTS", limits.Rate("few drafts", 60.0, 1))
    await alice.post(f"/rooms/{code}/draft", {"body": "from the desk"})
    refused = await choose(alice, code, "use", hx_request="true")
    assert refused.status == 200
    assert refused.page.one("[hx-target=#notice]").words
    assert (await choose(alice, code, "use")).status == 429
    assert (await alice.look(code)).one(FIELD).value == "from the desk"


async def test_a_reply_opens_with_what_it_answers(
    alice: Person, bob: Person, code: str, chats: list[Context], page: str
) -> None:
    await alice.write(code, "Who has the keys?")
    id = ids(await alice.look(code))[0]
    async with bob.in_room(code) as live:
        await types(live, page, "I do, but", chats, reply=str(id))
        await stored(chats)
        shown = await bob.look(code)
        assert shown.one(FIELD).value == "I do, but"
        assert shown.one("#replies .quote").words == "In reply to: Alice Who has the keys?"
        form = (await bob.get(f"/rooms/{code}/{id}")).page.one("#reply")
        assert form.one("textarea").value == "I do, but"
        await types(live, "other", "something else", chats)
        assert (await bob.look(code)).one(FIELD).value == "something else"
        await live.send(act="reply", id=str(id))
        await live.until(FILLED)
        assert live.frames[-1].all(FILLED)[-1].one("[name=body]").value == "I do, but"


async def test_a_reply_by_its_form_clears_its_draft(
    alice: Person, bob: Person, code: str, chats: list[Context], page: str
) -> None:
    await alice.write(code, "Who has the keys?")
    id = ids(await alice.look(code))[0]
    async with bob.in_room(code) as live:
        await types(live, page, "I do, but", chats, reply=str(id))
    form = (await bob.get(f"/rooms/{code}/{id}")).page.one("#reply")
    fields = {one["name"]: one.value for one in form.all("[name]")}
    assert (await bob.post(form["action"], fields | {"body": "me"})).status == 303
    assert await field(bob, code) == ""


async def test_a_reply_that_is_begun_elsewhere_is_there_before_it_is_stored(
    alice: Person, bob: Person, code: str, chats: list[Context], page: str
) -> None:
    await alice.write(code, "Who has the keys?")
    id = ids(await alice.look(code))[0]
    async with bob.in_room(code) as live:
        await types(live, page, "I do, but", chats, reply=str(id))
    async with bob.in_room(code) as live:
        await types(live, "another", "I do, but not here", chats, reply=str(id))
        await live.send(act=f"{id}/reply")
        await live.until(FILLED)
        assert live.frames[-1].all("[name=body]")[-1].value == "I do, but not here"


async def test_an_edit_has_a_draft_of_its_own(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    await alice.write(code, "a mesage")
    id = ids(await alice.look(code))[0]
    async with alice.in_room(code) as live:
        version = await begins_edit(live, page, id, "a message", chats)
        await types(live, page, "something new", chats)
        form = await live.ask("edit", id)
        assert (form.one("textarea").value, form.one("[name=version]").value) == ("a message", version)
        assert (await alice.get(f"/rooms/{code}/{id}")).page.one("#edit textarea").value == "a message"
        assert await field(alice, code) == "something new"
        last = await alice.get(f"/rooms/{code}/last", hx_request="true")
        assert last.page.all("#edit textarea")[-1].value == "a message"
        await live.send(act=f"{id}/edit", version=version, body="a message, at last")
        await live.until("li .text", "a message, at last")
        form = await live.ask("edit", id)
        assert form.one("textarea").value == "a message, at last"


async def test_a_deleted_text_is_in_no_draft(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    await alice.write(code, "canary")
    id = ids(await alice.look(code))[0]
    async with alice.in_room(code) as live:
        await begins_edit(live, page, id, "canary two", chats)
        await alice.post(f"/rooms/{code}/{id}/delete")
        await until(
            lambda: not any("canary" in note.body for chat in chats for note in chat.drafts._due.values())
        )
        await stored(chats)
        assert await chats[-1].store.read(drafts.drafts_of, code, 1) == ([], ())


async def test_who_left_finds_no_draft_when_they_come_back(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
        await alice.post(f"/rooms/{code}/leave")
        await alice.join(code)
        assert await field(alice, code) == ""


async def test_a_page_that_comes_back_says_what_it_holds(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    shown = await alice.look(code)
    async with alice.live(code) as live:
        await live.resume(shown, life=f"{page}.0")
        asked = await live.until("#pending")
        assert asked["hx-vals"] == '{"k":"draft","again":"1"}'
        await types(live, page, "typed while nobody listened", chats, again="1")
        assert await field(alice, code) == "typed while nobody listened"


async def test_an_old_page_out_of_a_cache_is_given_the_draft(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    old = await alice.look(code)
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
    async with alice.live(code) as live:
        await live.resume(old, life="")
        await live.send(k="draft", again="1", life="", body="", reply="")
        await live.until(FILLED)
        assert live.frames[-1].all(FILLED)[-1].one("[name=body]").value == "hello"
    fresh = await alice.get(f"/rooms/{code}")
    assert fresh.headers["Cache-Control"] == "no-store", "for it may be sent before Back shows it"
    async with alice.live(code) as live:
        await live.resume(fresh.page, life="")
        await live.send(
            k="draft", again="1", life="", body="hello", reply="", draft=fresh.page.one(BASE).value
        )
        await alice.write(code, "that was all")
        await live.until(".text", "that was all")
        assert not any(frame.all(FILLED) for frame in live.frames)


def typed_into(form: Element, body: str) -> dict[str, str]:
    """What the page of a message says of one of its forms while somebody types there."""
    return {one["name"]: one.value for one in form.all("[name]")} | {"body": body}


async def test_the_page_of_a_message_says_what_is_typed_there(
    alice: Person, bob: Person, code: str, chats: list[Context]
) -> None:
    await alice.write(code, "Who has the keys?")
    id = ids(await alice.look(code))[0]
    path = f"/rooms/{code}/{id}"
    shown = (await alice.get(path)).page
    for form in (shown.one("#reply"), shown.one("#edit")):
        says = form.one("[hx-post]")
        assert says["hx-post"] == f"/rooms/{code}/draft"
        for body in ("I", f"I do, in #{form.id}"):
            noted = await alice.post(says["hx-post"], typed_into(form, body), hx_request="true")
            assert (noted.status, noted.text) == (204, "")
    again = await alice.get(path)
    assert again.headers["Cache-Control"] == "no-store"
    assert [again.page.one(f"#{name} textarea").value for name in ("reply", "edit")] == [
        "I do, in #reply",
        "I do, in #edit",
    ]
    await stored(chats)
    assert (await alice.at(bob.app).get(path)).page.one("#reply textarea").value == "I do, in #reply"
    assert await field(alice, code) == "I do, in #reply"
    assert (await bob.get(path)).page.one("#reply textarea").value == ""
    form = again.page.one("#reply")
    await alice.post(f"/rooms/{code}/draft", typed_into(form, ""), hx_request="true")
    assert (await alice.get(path)).page.one("#reply textarea").value == ""


async def test_what_a_page_says_late_of_a_text_that_was_sent_is_too_late(
    alice: Person, code: str, chats: list[Context]
) -> None:
    await alice.write(code, "Who has the keys?")
    id = ids(await alice.look(code))[0]
    form = (await alice.get(f"/rooms/{code}/{id}")).page.one("#reply")
    fields = typed_into(form, "I do")
    await alice.post(f"/rooms/{code}/draft", fields, hx_request="true")
    assert (await alice.post(form["action"], fields)).status == 303
    for _ in range(2):
        await alice.post(f"/rooms/{code}/draft", fields, hx_request="true")
        await stored(chats)
        assert await chats[0].store.read(drafts.drafts_of, code, 1) == ([], ())
    form = (await alice.get(f"/rooms/{code}/{id}")).page.one("#edit")
    fields = typed_into(form, "Who has got the keys?")
    await alice.post(f"/rooms/{code}/draft", fields, hx_request="true")
    assert (await alice.post(form["action"], fields)).status == 303
    await alice.post(f"/rooms/{code}/draft", fields, hx_request="true")
    await stored(chats)
    assert await chats[0].store.read(drafts.drafts_of, code, 1) == ([], ())


async def test_a_page_of_a_message_says_no_more_than_others(alice: Person, code: str) -> None:
    long = {"body": "x" * (BODY_BYTES + 1), "key": "one"}
    assert (await alice.post(f"/rooms/{code}/draft", long, hx_request="true")).status == 204
    assert await field(alice, code) == ""
    statuses = [
        (await alice.post(f"/rooms/{code}/draft", {"body": "x", "key": "one"}, hx_request="true")).status
        for _ in range(limits.DRAFTS.burst + 1)
    ]
    assert (statuses[0], statuses[-1]) == (204, 429)
    assert (await alice.post(f"/rooms/{code}/draft", {"body": "x"}, hx_request="true")).status in (204, 429)


async def test_without_javascript_it_is_kept_by_a_button(alice: Person, code: str) -> None:
    buttons = (await alice.look(code)).all("#foot noscript button[form=composer]")
    assert buttons[0]["formaction"] == f"/rooms/{code}/draft"
    kept = await alice.post(f"/rooms/{code}/draft", {"body": "hello", "key": "key"})
    assert (kept.status, kept.headers["Location"]) == (303, f"/rooms/{code}?saved")
    shown = (await alice.get(kept.headers["Location"])).page
    assert (shown.one(FIELD).value, shown.one("#notice").words) == ("hello", "Saved.")
    assert not (await alice.look(code)).one("#notice").words
    base = shown.one(BASE).value
    await alice.post(f"/rooms/{code}/draft", {"body": "hello\r\nthere", "key": "other", "draft": base})
    assert await field(alice, code) == "hello\nthere"
    base = (await alice.look(code)).one(BASE).value
    await alice.post(f"/rooms/{code}/draft", {"body": " ", "key": "third", "draft": base})
    assert await field(alice, code) == ""


async def test_new_people_at_an_address_write_no_more_drafts(
    alice: Person, bob: Person, code: str, chats: list[Context], page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DRAFT_BYTES_OF_ADDRESS", limits.Rate("draft-bytes-of-address", 60.0, 10))
    for chat in chats:
        chat.own_limits.take(limits.DRAFT_BYTES_OF_ADDRESS, "192.0.2.1", count=10)
    async with bob.in_room(code) as live:
        await live.send(k="draft", life=f"{page}.0", body="too much", reply="")
        await live.say("Next")
        await live.until("li.m", "Next")
    assert not any("too much" in note.body for chat in chats for note in chat.drafts._due.values())
    refused = await alice.post(f"/rooms/{code}/draft", {"body": "too much", "key": "one"})
    assert refused.status == 429
    assert refused.page.one(FIELD).value == "too much"


async def test_a_draft_that_is_too_long_comes_back(alice: Person, code: str) -> None:
    long = "x" * (BODY_BYTES + 1)
    reply = await alice.post(f"/rooms/{code}/draft", {"body": long})
    assert reply.status == 422
    assert (
        reply.page.one("[role=alert]").text
        == "This draft is too long to be kept. Shorten it, or send part of it."
    )
    assert reply.page.one(FIELD).value == long
    assert await field(alice, code) == ""


@pytest.mark.parametrize(
    "frame",
    [
        {"body": "x" * (BODY_BYTES + 1)},
        {"body": ["a", "b"]},
        {"body": []},
        {"body": 7},
        {},
        {"body": "x", "life": 7},
        {"body": "\0\ud800"},
        {"body": "x", "act": "seven/edit", "version": "-1"},
    ],
)
async def test_what_no_page_says_is_passed_over(
    alice: Person, code: str, chats: list[Context], page: str, frame: dict[str, Any]
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
        await live.send(**({"k": "draft", "life": f"{page}.0"} | frame))
        await live.send(body="a text", life=f"{page}.0", reply="")
        await live.until(".text", "a text")
        assert await alice.texts(code) == ["a text"]


# What is held


async def test_what_was_sent_is_dropped_whatever_is_written_next(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as live:
        await types(live, "phone", "hello", chats)
        await stored(chats)
        await types(live, page, "hello there", chats)
        await live.send(body="hello there", life=f"{page}.0", reply="")
        await live.until(".text", "hello there")
        await types(live, page, "next", chats)
        await stored(chats)
        kept = await chats[0].store.read(drafts.drafts_of, code, 1)
        assert [one.body for one in kept.drafts] == ["next"]


class Away:
    """A store that does not answer."""

    async def write(self, *_: Any) -> None:
        raise Unavailable("away")


async def test_what_is_held_is_bounded_and_waits_for_the_store() -> None:
    held = Drafts(Away(), None)  # type: ignore[arg-type]
    text = "x" * BODY_BYTES
    for n in range(1000):
        held.note(Note("CODE", n, "page", text))
    await held.save()
    assert held._characters == sum(len(note.body) for note in held._due.values()) <= MOST_CHARACTERS
    assert held.has_due("CODE", 0)
    assert not held.has_due("CODE", 999)
    for n in range(1000):
        held.forget("CODE", n)
    assert (held._due, held._seats, held._characters) == ({}, {}, 0)


class Gated:
    """A store that takes what it is given once it is told to, and never what has a fault."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.gate = asyncio.Event()
        self.fault: Exception | None = None

    async def write(self, _: str, work: Any, notes: Sequence[Note]) -> dict[Any, int]:
        self.asked.append([note.body for note in notes])
        await self.gate.wait()
        if self.fault and any(note.body == "fault" for note in notes):
            raise self.fault
        return {}


def holding(store: Any, *bodies: str) -> Drafts:
    """Each on the page of another person."""
    held = Drafts(store, SimpleNamespace(tell=lambda _: None))  # type: ignore[arg-type]
    for n, body in enumerate(bodies):
        held.note(Note("CODE", n, "page", body))
    return held


def due(held: Drafts) -> list[str]:
    return [note.body for note in held._due.values()]


async def test_who_waits_for_a_save_that_fails_waits_for_no_other() -> None:
    store = Gated()
    store.fault = Unavailable("away")
    held = holding(store, *["fault"] * 20)
    waiting = [asyncio.create_task(held.save_of(Member("CODE", n, "", "", 1))) for n in range(20)]
    await until(lambda: bool(store.asked))
    store.gate.set()
    await asyncio.gather(*waiting)
    assert store.asked == [["fault"]]
    assert len(due(held)) == 20
    store.fault = None
    await held.save()
    assert due(held) == []


async def test_who_opens_a_page_waits_for_no_more_than_the_write_that_has_begun() -> None:
    store = Gated()
    texts = [f"text {n}" for n in range(3 * PORTION)]
    held = holding(store, *texts)
    saving = asyncio.create_task(held.save())
    await until(lambda: bool(store.asked))
    opened = asyncio.create_task(held.save_of(Member("CODE", len(texts) - 1, "", "", 1)))
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(saving, opened)
    assert store.asked[1] == [texts[-1]]
    assert [body for portion in store.asked for body in portion if body != texts[-1]] == texts[:-1]


@pytest.mark.parametrize("fault", [Unavailable("away"), RuntimeError("ours")])
async def test_one_that_is_never_taken_stops_no_others(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    store = Gated()
    store.gate.set()
    store.fault = fault
    texts = [f"text {n}" for n in range(3 * PORTION)]
    held = holding(store, "fault", *texts)
    for _ in range(2):
        await held.save()
    if isinstance(fault, Unavailable):
        assert len(due(held)) <= PORTION + 1, "it and those that go with it"
    else:
        assert (due(held), caplog.text.count("drafts-failed")) == ([], 1)


@pytest.mark.parametrize("turns", range(6))
async def test_a_node_can_end_just_when_somebody_leaves(turns: int) -> None:
    held = Drafts(Away(), None, every=3600.0)  # type: ignore[arg-type]
    held.note(Note("CODE", 1, "page", "begun"))
    work = asyncio.create_task(held.run())
    await asyncio.sleep(0)
    held.hurry("CODE", 1)
    for _ in range(turns):
        await asyncio.sleep(0)
    work.cancel()
    done, _ = await asyncio.wait([work], timeout=5)
    assert done, "the work goes on"
