"""Replies: to which message, what they show of it, and what happens to that afterwards."""

from __future__ import annotations

import secrets
from functools import partial

import pytest
from dom import Element, parse
from people import Live, Person, Reply, ids
from streams import read_until, streaming


@pytest.fixture
async def id(alice: Person, code: str) -> int:
    """A message of Alice's."""
    await alice.write(code, "before", "Who has the keys?", "after")
    return ids(await alice.look(code))[1]


async def answer(person: Person, code: str, reply: object, body: str = "I do", **form: str) -> Reply:
    sent = {"body": body, "key": secrets.token_hex(8), "reply": str(reply)} | form
    return await person.post(f"/rooms/{code}/messages", sent)


def quotes(page: Element) -> list[tuple[str, str]]:
    """Of the messages on a page, in order: where each quote leads, and what it says."""
    return [(quote["href"], quote.words) for quote in page.all("li a.quote")]


def is_answered(code: str, id: int, words: str) -> tuple[str, str]:
    return f"/rooms/{code}/{id}", f"In reply to: {words}"


async def test_a_reply_by_the_form_quotes_the_message(alice: Person, bob: Person, code: str, id: int) -> None:
    async with alice.in_room(code) as live:
        reply = await answer(bob, code, id)
        assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")
        pushed = await live.until("li", "I do")
    expected = [is_answered(code, id, "Alice Who has the keys?")]
    number = ids(await bob.look(code))[-1]
    for page in (pushed.parent or pushed, await alice.look(code), await bob.look(code)):
        assert quotes(page) == expected
        assert page.one(f"#message-{number} .text").text == "I do"
    assert (await bob.get(f"/rooms/{code}/{id}")).page.has("[aria-current=true]")


async def test_a_message_has_a_form_for_a_reply_on_its_page(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    chosen = await bob.post(f"/rooms/{code}/act", {"act": "reply", "id": str(id)})  # the palette
    assert (chosen.status, chosen.headers["Location"]) == (303, f"/rooms/{code}/{id}#to-reply")
    form = (await bob.get(f"/rooms/{code}/{id}")).page.one("#reply")
    fields = {field["name"]: field.value for field in form.all("[name]")}
    for _ in range(2):  # pressed twice
        assert (await bob.post(form["action"], fields | {"body": "I do"})).status == 303
    assert quotes(await alice.look(code)) == [is_answered(code, id, "Alice Who has the keys?")]


async def chosen(live: Live, id: int) -> Element:
    """What a live page is sent when a message is chosen to be answered."""
    await live.send(act="reply", id=str(id))
    return await live.until("hx-partial .replying")


async def test_a_live_page_chooses_whom_it_replies_to(alice: Person, bob: Person, code: str, id: int) -> None:
    async with bob.in_room(code) as live:
        shown = await chosen(live, id)
        assert shown.one("input[name=reply]").value == str(id)
        assert shown.one(".quote")["href"] == f"#message-{id}"
        assert shown.one("button")["aria-label"] == "Do not reply"
        await live.send(body="I do", reply=str(id), life="", key="page", acked="0")
        await live.send(body="I do", reply=str(id), key="page", acked="0")
        await live.until("li .text", "I do")
    assert quotes(await alice.look(code)) == [is_answered(code, id, "Alice Who has the keys?")]


async def test_each_text_of_a_frame_has_its_own_reply_and_keeps_it_when_it_is_repeated(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    sent = {
        "body": ["one", "two", "three"],
        "reply": ["", str(id), "", str(id + 1)],
        "key": "k",
        "acked": "0",
    }
    async with bob.in_room(code) as live:
        await live.send(**(sent | {"body": ["one", "two"], "reply": ["", str(id), ""]}))
        await live.until("li .text", "two")
    async with bob.in_room(code) as live:
        await live.send(**sent)  # with the next one, whose page has come back
        await live.until("li .text", "three")
    page = await alice.look(code)
    assert quotes(page) == [is_answered(code, id, "Alice Who has the keys?")]
    assert page.one(f"#message-{ids(page)[-2]}").has(".quote")
    assert [text.text for text in page.all("li .text")][-3:] == ["one", "two", "three"]


async def test_a_page_that_comes_back_repeats_the_reply_of_its_text_not_what_is_chosen_now(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    page = await bob.look(code)
    async with bob.live(code) as live:
        # On its way: one text that answers the message; chosen for the next one: another message.
        await live.resume(page, life="key.0", body="late", reply=[str(id), str(id + 1)])
        await live.until("li .text", "late")
    assert quotes(await alice.look(code)) == [is_answered(code, id, "Alice Who has the keys?")]


WRONG = ["0", "-1", "999999", "9" * 15, "1" + "0" * 30, "x", "٧", "1.0", " 2", "\0", "<b>"]


@pytest.mark.parametrize("reply", WRONG)
async def test_a_reply_to_what_is_not_there_is_refused_and_the_text_kept(
    alice: Person, bob: Person, code: str, id: int, reply: str
) -> None:
    refused = await answer(bob, code, reply, "precious")
    assert refused.status == 422
    assert "not there any more" in refused.page.one("#composer [role=alert]").text
    assert refused.page.one("#texts [name=body]").value == "precious"
    assert [field.value for field in refused.page.all("#replies [name=reply]")] == [""]
    async with bob.in_room(code) as live:
        await live.send(body=["precious", "plain"], reply=[reply, ""], key="page", acked="0")
        form = await live.until("form.refused")
        assert (form.one("textarea").value, form.has("[name=reply]")) == ("precious", False)
        assert "not there any more" in form.one("[role=alert]").text
        fields = {field["name"]: field.value for field in form.all("[name]")}
        await live.send(**fields)  # "Send again", as it is
        await live.until("li .text", "precious")
    assert sorted(await alice.texts(code)) == sorted(
        ["before", "Who has the keys?", "after", "plain", "precious"]
    )
    assert not quotes(await alice.look(code))


async def test_nor_is_anything_else_answered_than_a_text_of_the_same_room(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    other = await bob.create("Bob")
    await bob.write(other, *map(str, range(7)))
    assert (await alice.post(f"/rooms/{code}/title", {"title": "Keys"})).status == 303
    notice = (await bob.look(code)).all("li.notice")[-1].id.removeprefix("message-")
    await alice.post(f"/rooms/{code}/{id}/delete")
    foreign = ids(await bob.look(other))[-1]
    assert foreign > ids(await bob.look(code))[-1]
    for reply in (foreign, notice, id):
        assert (await answer(bob, code, reply)).status == 422
        async with bob.in_room(code) as live:
            await live.send(act="reply", id=str(reply))
            await live.until("[role=alert]", "not there any more")
    assert not quotes(await alice.look(code))


@pytest.mark.parametrize("who", ["eve", "left"])
async def test_nobody_answers_in_a_room_where_they_have_no_seat(
    alice: Person, bob: Person, eve: Person, code: str, id: int, who: str
) -> None:
    await bob.post(f"/rooms/{code}/leave")
    person = eve if who == "eve" else bob
    assert (await answer(person, code, id)).status == 403
    assert (await person.post(f"/rooms/{code}/{id}/reply")).status == 403
    assert not quotes(await alice.look(code))


async def test_what_is_too_long_comes_back_with_its_reply(bob: Person, code: str, id: int) -> None:
    refused = await answer(bob, code, id, "x" * 9000)
    assert refused.status == 422
    assert refused.page.one("#replies [name=reply]").value == str(id)
    assert refused.page.one("#replies .quote").words == "In reply to: Alice Who has the keys?"
    async with bob.in_room(code) as live:
        await live.send(body="x" * 9000, reply=str(id), key="page", acked="0")
        form = await live.until("form.refused")
    fields = {field["name"]: field.value for field in form.all("[name]")}
    assert (await bob.post(form["action"], fields | {"body": "short"})).status == 303
    assert quotes(await bob.look(code)) == [is_answered(code, id, "Alice Who has the keys?")]


async def test_the_switch_without_javascript_keeps_whom_one_replies_to(
    bob: Person, code: str, id: int
) -> None:
    page = (
        await bob.post(f"/rooms/{code}/composer", {"lines": "many", "body": "dra", "reply": str(id)})
    ).page
    assert page.one("#texts textarea").value == "dra"
    assert page.one("#replies [name=reply]").value == str(id)


async def test_a_quote_shows_its_message_as_it_is_now(alice: Person, bob: Person, code: str, id: int) -> None:
    await answer(bob, code, id)
    before = await bob.look(code)
    async with bob.in_room(code) as live:
        await alice.post(f"/rooms/{code}/{id}/edit", {"body": "Who has the <b>boat</b>?\nNobody?"})
        await live.until("hx-partial a.quote", "boat")
        words = "Alice Who has the <b>boat</b>? Nobody?"
        assert _replaced(live, id).words == f"In reply to: {words}"
        assert quotes(await bob.look(code)) == [is_answered(code, id, words)]
        await alice.post(f"/rooms/{code}/{id}/delete")
        await live.until("hx-partial a.quote", "Message deleted")
    async with bob.live(code) as late:
        await late.resume(before)
        await late.until("hx-partial a.quote", "Message deleted")
        assert _replaced(late, id).words == "In reply to: Alice Message deleted"
        assert "boat" not in "".join(late.raw)
    page = await bob.look(code)
    assert quotes(page) == [is_answered(code, id, "Alice Message deleted")]
    assert page.all("li .text")[-1].text == "I do", "the reply stays"


def _replaced(live: Live, id: int) -> Element:
    """What takes the place of the quotes of a message on a page."""
    target = f"#messages .quote[href$='/{id}']"
    found = [part for frame in live.frames for part in frame.all("hx-partial") if part["hx-target"] == target]
    return found[-1].one("a")


async def test_a_deleted_reply_quotes_nothing(alice: Person, bob: Person, code: str, id: int) -> None:
    await answer(bob, code, id)
    number = ids(await bob.look(code))[-1]
    assert (await bob.post(f"/rooms/{code}/{number}/edit", {"body": "I did"})).status == 303
    assert quotes(await alice.look(code)) == [is_answered(code, id, "Alice Who has the keys?")]
    assert (await bob.post(f"/rooms/{code}/{number}/delete")).status == 303
    assert not quotes(await alice.look(code))


async def test_a_reply_can_be_answered_and_a_quote_has_no_quote(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    await answer(bob, code, id)
    first = ids(await bob.look(code))[-1]
    await answer(alice, code, first, "Good")
    page = await bob.look(code)
    assert quotes(page)[1] == is_answered(code, first, "Bob I do")
    assert not page.has(".quote .quote")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("one\n\n  two", "one two"),
        ("x" * 101, "x" * 100 + "…"),
        ("x" * 99 + "👨‍👩‍👧‍👦!", "x" * 99 + "…"),
        ("x" * 99 + "e\u0301\u0301", "x" * 99 + "…"),
        (" " + "word " * 1000, "word " * 20 + "…"),
        ("http://example.com/", "http://example.com/"),
    ],
)
async def test_the_first_words_are_a_line_of_plain_text(
    alice: Person, bob: Person, code: str, body: str, words: str
) -> None:
    await alice.write(code, body)
    await answer(bob, code, ids(await alice.look(code))[-1])
    [(_, shown)] = quotes(await bob.look(code))
    assert shown == " ".join(f"In reply to: Alice {words}".replace(" …", "…").split())
    assert not (await bob.look(code)).one(".quote").has("a")


async def test_the_live_page_without_javascript_shows_a_quote_as_it_is_now(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    await answer(bob, code, id)
    number = ids(await bob.look(code))[-1]
    async with streaming(bob, f"/rooms/{code}/stream") as stream:
        read = partial(read_until, stream)
        assert "Who has the keys?" in await read("I do")
        for text in ("Who has the boat?", "Who has it?"):
            await alice.post(f"/rooms/{code}/{id}/edit", {"body": text})
            shown = await read("I do")
            assert f"slot={number}" in shown
            [line] = [line for line in parse(shown).all("li") if line.id == f"message-{number}"]
            assert line.one(".quote").words == f"In reply to: Alice {text}"
        await alice.post(f"/rooms/{code}/{id}/reactions", {"emoji": "👍", "on": "1"})
        await alice.write(code, "the end")
        assert "I do" not in await read("the end"), "what is quoted is the same as before"
