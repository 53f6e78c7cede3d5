"""Formatted texts in a room: the same HTML on every way to a page, made once and off the event loop."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from dom import parse
from people import Person, ids, texts
from shown import dom_of

from chat.context import Context
from chat.views.formatted import formatted
from chat.views.reader import COOKIE, Choices

CODE = "```python\nprint('x') # one\n```"
LONG = "**a** ||b|| " * 100
TEXTS = ["**bold** words", CODE, "> quoted\nreply", "/me waves", LONG, "x\n" * 40, "plain"]


async def test_a_text_looks_the_same_on_a_page_pushed_and_after_a_gap(
    alice: Person, bob: Person, code: str
) -> None:
    before = await bob.look(code)
    async with bob.in_room(code) as live:
        for text in TEXTS:
            await alice.write(code, text)
        await live.until("li .text", "plain")
        pushed = {item["id"]: dom_of(item) for frame in live.frames for item in frame.all(".m[data-by]")}
    async with bob.live(code) as live:
        await live.resume(before)
        await live.until("li .text", "plain")
        caught_up = {item["id"]: dom_of(item) for frame in live.frames for item in frame.all(".m[data-by]")}
    shown = {item["id"]: dom_of(item) for item in (await bob.look(code)).all(".m[data-by]")}
    assert len(shown) == len(TEXTS)
    assert shown == pushed == caught_up


async def test_long_texts_and_code_are_never_formatted_in_the_event_loop(
    alice: Person, bob: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, str]] = []

    def noted(body: str) -> Any:
        made.append((threading.current_thread().name.partition("_")[0], body))
        return formatted(body)

    monkeypatch.setattr("chat.views.formatter.formatted", noted)
    for chat in chats:
        chat.render.messages.formatter.forget()  # of other tests
    async with alice.in_room(code) as hers, bob.in_room(code) as his:
        await hers.say(CODE, LONG)
        await alice.write(code, CODE + "\n")
        for live in (hers, his):
            while len(live.texts) < 3:
                await live.frame()
        id = ids(await alice.look(code))[0]
        await hers.send(act=f"{id}/edit", body=CODE.replace("one", "two"))
        for live in (hers, his):
            await live.until("li .text", "# two")
    assert {thread for thread, body in made} == {"chat-formatter"}
    assert {body for _, body in made} == {CODE, LONG.rstrip(), CODE.replace("one", "two")}


async def test_texts_keep_their_order_though_some_take_longer(alice: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        await live.say("first", CODE, "second", LONG, "**third**")
        while len(live.texts) < 5:
            await live.frame()
    assert [text[:6] for text in await alice.texts(code)] == ["first", "print(", "second", "a b a ", "third"]


async def test_a_spoiler_s_label_and_the_fold_are_in_the_reader_s_language(
    alice: Person, bob: Person, code: str
) -> None:
    bob.client.set_cookie("localhost", COOKIE, Choices(language="ja").cookie)
    await alice.write(code, "||x||", "x\n" * 40)
    hers, his = await alice.look(code), await bob.look(code)
    assert hers.one("li .spoiler input")["aria-label"] == "Spoiler"
    assert his.one("li .spoiler input")["aria-label"] == "ネタバレ"
    assert (hers.one("summary").text, his.one("summary").text) == ("25 more lines", "あと25行")


async def test_only_a_text_that_needs_the_stylesheet_brings_it(alice: Person, code: str) -> None:
    await alice.write(code, "**bold** *italic* ~~gone~~ https://a.example", "/me waves", "`code`")
    *without, styled = (await alice.look(code)).all(".m[data-by]")
    assert not any(item.has("link") for item in without)
    sheet = await alice.get(styled.one("link[rel=stylesheet]")["href"])
    assert ".text pre" in sheet.text


async def test_what_one_does_is_a_sentence_with_one_s_name(alice: Person, code: str) -> None:
    await alice.write(code, "/me waves *wildly*")
    text = (await alice.look(code)).one("li .text")
    assert text.text == "Alice waves wildly"
    assert text.one("em bdi").text == "Alice"


async def test_the_form_that_changes_a_text_has_it_as_it_was_typed(alice: Person, code: str) -> None:
    await alice.write(code, "/me **waves** `x`")
    id = ids(await alice.look(code))[0]
    page = (await alice.get(f"/rooms/{code}/{id}")).page
    assert page.one("#edit textarea").value == "/me **waves** `x`"


async def test_home_shows_the_last_line_without_marks_and_keeps_a_spoiler(alice: Person, code: str) -> None:
    await alice.write(code, "it **was**\n- `the` ||butler||")
    assert (await alice.get("/")).page.one("#rooms .last").words.endswith(": it was • the ▒▒▒")
    await alice.write(code, "x" * 390 + " ||butler " + "y" * 20 + "||")
    assert "butler" not in (await alice.get("/")).page.one("#rooms .last").text


async def test_a_text_of_more_than_8_kib_comes_back(alice: Person, code: str) -> None:
    text = "**a** " * 1400
    reply = await alice.post(f"/rooms/{code}/messages", {"body": text, "key": "k"})
    assert reply.status == 422
    assert reply.page.one("#texts [name=body]").value == text


async def test_whoever_asks_for_help_gets_a_page_and_says_nothing(
    alice: Person, bob: Person, code: str
) -> None:
    reply = await alice.post(f"/rooms/{code}/messages", {"body": " /Help ", "key": "k"})
    assert (reply.status, reply.headers["Location"]) == (303, f"/help?room={code}")
    page = (await alice.get(f"/help?room={code}")).page
    assert page.one("td strong").text == "bold"
    assert page.one("td blockquote").text == "what somebody else wrote"
    assert page.one("a.button")["href"] == f"/rooms/{code}"
    async with alice.in_room(code) as live:
        await live.say("/help")
        assert (await live.until("hx-partial a"))["href"] == f"/help?room={code}"
        await live.say("a text", acked=1)
        await live.until("li .text", "a text")
    assert await bob.texts(code) == ["a text"]


@pytest.mark.parametrize("query", ["", "?room=", "?room=nonsense", "?room=<b>", "?room=" + "x" * 5000])
async def test_help_needs_no_room(alice: Person, query: str) -> None:
    reply = await alice.get(f"/help{query}")
    assert reply.status == 200
    assert reply.page.one("a.button")["href"] == "/"


async def test_a_message_with_more_marks_than_are_looked_at_is_shown_as_typed(
    alice: Person, code: str
) -> None:
    text = "*a* " * 2000
    await alice.write(code, text)
    assert texts(await alice.look(code)) == [text.rstrip()]
    assert parse(formatted(text).html).text == text
