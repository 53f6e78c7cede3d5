"""Mentions: who is meant by a name in a text, how it is shown, and who is told of it."""

from __future__ import annotations

import html
import time
from collections.abc import Mapping
from unittest.mock import AsyncMock

import calls
import pytest
from dom import Element, parse
from hypothesis import given
from hypothesis import strategies as st
from people import FakeClock, Live, Person, Turn, ids, until
from quart import Quart

from chat.context import Context
from chat.model.codes import grouped
from chat.model.mentions import CROWD, LOOKED_AT, MENTIONS, Named, possible
from chat.model.messages import Message
from chat.model.meta import with_meta
from chat.store import log
from chat.store.members import seated
from chat.store.mentions import APART
from chat.views.formatted import formatted
from chat.views.look import LOOK
from chat.views.mentions import spoken

ALICE, BOB = 1, 2
NAMES_SHOWN = "hx-partial[hx-target=#hint:not(:has(:focus))]"


async def join(app: Quart, code: str, *names: str) -> list[Person]:
    """They take the seats 3, 4, …"""
    people = [Person(app, name) for name in names]
    for one in people:
        await one.join(code)
    return people


def mentions(page: Element) -> list[tuple[str, str]]:
    """On a page or in a frame: whose seat each mention is of, and what it says."""
    return [(one["data-at"], one.text) for one in page.all(".text b.at")]


async def shown(writer: Person, code: str, text: str) -> list[tuple[str, str]]:
    """The mentions in a text, which is the same but for them."""
    await writer.write(code, text)
    page = await writer.look(code)
    return mentions(page.one(f"#message-{ids(page)[-1]}"))


async def test_a_name_in_a_text_is_a_mention_live_and_on_the_page(
    alice: Person, bob: Person, code: str
) -> None:
    async with bob.in_room(code) as live:
        await alice.write(code, "Hello @Bob, tea?")
        frame = await live.until("li")
        assert mentions(frame) == [("2", "@Bob")]
        assert frame.one(".text").text == "Hello @Bob, tea?"
        await live.say("Yes @Alice")
        assert mentions(await live.until("li", "Yes")) == [("1", "@Alice")]
    assert '<b class="at" data-at="2">@Bob</b>' in (await alice.get(f"/rooms/{code}")).text
    assert mentions(await alice.look(code)) == [("2", "@Bob"), ("1", "@Alice")]


PEOPLE = ["Ann", "Ann Lee", "Ann-Marie", "李", "李雷", "محمد", "Zoë", "O'Hara & <b>", "J.", "Ann"]
NAMES: Mapping[str, list[tuple[str, str]]] = {
    "@Ann": [("3", "@Ann")],
    "@ann: @ANN": [("3", "@Ann"), ("3", "@Ann")],
    "(@Ann) @Ann's": [("3", "@Ann"), ("3", "@Ann")],
    "@Ann Lee @Ann  Lee": [("4", "@Ann Lee"), ("3", "@Ann")],
    "@Ann-Marie, @Ann-Maria": [("5", "@Ann-Marie"), ("3", "@Ann")],
    "@Annie @Annabel @An": [],
    "@Ann\nLee": [("3", "@Ann")],
    "你好@李雷早上好@李在吗": [("7", "@李雷"), ("6", "@李")],
    "@محمد صباح الخير": [("8", "@محمد")],
    "@Zoe\u0308 @zoë @Zoe": [("9", "@Zoë"), ("9", "@Zoë")],
    "@O'Hara & <b> it is": [("10", "@O'Hara & <b>")],
    "**hi** @O'Hara & <b> it is": [("10", "@O'Hara & <b>")],
    "@J. K.": [("11", "@J.")],
    "@Ann (2) and @Ann (3)": [("12", "@Ann (2)"), ("3", "@Ann")],
    "ann@example.org a@Ann.example @@Ann /@Ann x_@Ann": [],
    "mailto:x@Ann.example https://example.org/@Ann https://example.org/?q=@Ann": [],
    "`@Ann` and\n```\n@Ann\n```\n> @Ann said": [],
    "**@Ann** ~~@Ann Lee~~ ||@Zoë||": [("3", "@Ann"), ("4", "@Ann Lee"), ("9", "@Zoë")],
    "- @Ann\n- @Zoë": [("3", "@Ann"), ("9", "@Zoë")],
    "/me waves at @Ann": [("3", "@Ann")],
    "@Аnn @Αnn": [],
    "@": [],
    "@ Ann": [],
}


async def test_who_is_meant_by_a_name(app: Quart, alice: Person, bob: Person, code: str) -> None:
    people = [alice, bob, *await join(app, code, *PEOPLE)]
    for place, (text, expected) in enumerate(NAMES.items()):
        assert await shown(people[place % len(people)], code, text) == expected, text
    page = html.unescape((await alice.get(f"/rooms/{code}")).text)
    assert "\x03" not in page
    assert "ann@example.org a@Ann.example @@Ann /@Ann x_@Ann" in page


async def test_who_has_left_or_has_another_name_is_not_meant(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "@Bob one")
    assert (await bob.post(f"/rooms/{code}/name", {"name": "Robert"})).status == 303
    await alice.write(code, "@Bob two @Robert three")
    assert (await bob.post(f"/rooms/{code}/leave")).status == 303
    await alice.write(code, "@Robert four")
    assert mentions(await alice.look(code)) == [("2", "@Bob"), ("3", "@Robert")]


@pytest.mark.parametrize(
    "text", ["@a" * 4096, " @a" * 2730, "@李" * 2000, "@" * 8192, "@a @'&\"<" * 900, "@x " + "y " * 4000]
)
async def test_a_text_of_nothing_but_at_signs_takes_no_longer(alice: Person, code: str, text: str) -> None:
    start = time.process_time()  # others may be at work on the machine
    await alice.write(code, text[:8192].encode()[:8192].decode(errors="ignore"))
    assert time.process_time() - start < 0.5


async def test_no_more_than_so_many_are_mentioned_by_one_text(app: Quart, alice: Person, code: str) -> None:
    names = [f"P{n}" for n in range(25)]
    for n in range(25):
        await Person(app, names[n], f"192.0.3.{n}").join(code)
    found = await shown(alice, code, " ".join(f"@{name}" for name in names))
    assert [name for _, name in found] == [f"@P{n}" for n in range(20)]


# Everybody


async def fill(app: Quart, code: str) -> None:
    """More people than one may call without being asked back."""
    for n in range(CROWD - 1):
        await Person(app, f"P{n}", f"192.0.3.{n}").join(code)


async def test_everybody_of_a_few_is_called_by_one_word(alice: Person, code: str) -> None:
    assert await shown(alice, code, "Tea, @all?") == [("0", "@all")]
    assert await shown(alice, code, "Tea, @All!") == [("0", "@all")]
    assert await shown(alice, code, "@allow all@all") == []


async def test_everybody_of_many_is_called_only_by_who_means_it_and_once_a_minute(
    app: Quart, alice: Person, bob: Person, code: str, clock: FakeClock
) -> None:
    await fill(app, code)
    url = f"/rooms/{code}/messages"
    asked = await alice.post(url, {"body": "Tea, @all?", "key": "one"})
    assert asked.status == 422
    assert "write @@all in place of @all" in asked.page.one("#composer [role=alert]").text
    assert asked.page.one("#texts [name=body]").value == "Tea, @all?"
    async with bob.in_room(code) as live:
        await live.say("Me too, @all")
        form = await live.until("form.refused")
        assert form.one("textarea").value == "Me too, @all"
        assert "more than 20 people" in form.one("[role=alert]").text
    assert await shown(alice, code, "Tea, @@all?") == [("0", "@all")]
    again = await bob.post(url, {"body": "@@all Cake!", "key": "two"})
    assert again.status == 429
    assert "less than a minute ago" in again.page.one("#composer [role=alert]").text
    clock.pass_by(APART / 1000 + 1)
    assert await shown(bob, code, "@@all Cake!") == [("0", "@all")]


async def test_many_are_called_no_sooner_because_the_text_that_did_is_changed_or_gone(
    app: Quart, alice: Person, bob: Person, code: str, clock: FakeClock
) -> None:
    await fill(app, code)
    url = f"/rooms/{code}/messages"
    await alice.write(code, "An old one")
    old = ids(await alice.look(code))[-1]
    for deed, form in (("edit", {"body": "Tea?"}), ("delete", {})):
        clock.pass_by(APART / 1000 + 1)
        await alice.write(code, "Tea, @@all?")
        id = ids(await alice.look(code))[-1]
        assert (await alice.post(f"/rooms/{code}/{id}/{deed}", form)).status == 303
        again = await bob.post(url, {"body": "@@all Cake!", "key": f"after {deed}"})
        assert again.status == 429, deed
    clock.pass_by(APART / 1000 + 1)
    called = await alice.post(f"/rooms/{code}/{old}/edit", {"body": "@@all An old one"})
    assert called.status == 303
    assert (await bob.post(url, {"body": "@@all Cake!", "key": "after an edit"})).status == 429


# Who is told


async def listed(person: Person, code: str) -> str:
    """What the list of rooms says of the room."""
    page = (await person.get("/")).page
    [row] = [row for row in page.all("#rooms li") if row.one("a")["href"] == f"/rooms/{code}"]
    return " | ".join(badge.words for badge in row.all(".badge"))


async def test_home_counts_mentions_apart(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "one", "@Bob two", "@Alice three", "@Bob four @Bob", "@all five")
    assert await listed(bob, code) == "@3 3 texts mention you, 5 unread | 5"
    badge = await bob.get("/rooms?badge=", hx_request="true")
    assert badge.page.one(".badge").words == "@3 3 texts mention you, 5 unread"
    assert await listed(alice, code) == ""
    await bob.get(f"/rooms/{code}", sec_fetch_mode="navigate")
    assert await listed(bob, code) == ""


async def test_a_mention_that_is_deleted_or_ignored_or_changed_is_none(
    alice: Person, bob: Person, code: str
) -> None:
    await alice.write(code, "@Bob one", "@Bob two", "three")
    one, two, three = ids(await alice.look(code))
    await alice.post(f"/rooms/{code}/{one}/delete")
    assert await listed(bob, code) == "@1 1 text mentions you, 2 unread | 2"
    await alice.post(f"/rooms/{code}/{two}/edit", {"body": "nobody"})
    assert await listed(bob, code) == "2 unread"
    await alice.post(f"/rooms/{code}/{three}/edit", {"body": "@Bob three"})
    assert await listed(bob, code) == "@1 1 text mentions you, 2 unread | 2"
    await bob.post(f"/rooms/{code}/ignore", {"seat": "1", "on": "1"})
    assert await listed(bob, code) == ""


async def test_a_mention_under_the_name_before_counts(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "@Bob one")
    await bob.post(f"/rooms/{code}/name", {"name": "Robert"})
    await alice.write(code, "@Robert two")
    assert (await listed(bob, code)).startswith("@2 ")


async def title(live: Live, chat: Context) -> str:
    before = len(live.frames)
    await chat.unread_titles.tick()
    while not (titles := [title for frame in live.frames[before:] for title in frame.all("title")]):
        await live.frame()
    return titles[-1].words


async def test_the_title_counts_mentions_apart(
    alice: Person, bob: Person, code: str, chats: list[Context]
) -> None:
    name = grouped(code)
    async with bob.in_room(code) as live:
        await live.send(k="blur")
        await alice.write(code, "one")
        assert (await title(live, chats[-1])).startswith(f"(1) {name}")
        await alice.write(code, "@Bob two", "@all three", "@Bob four")
        await live.until("li", "four")
        assert (await title(live, chats[-1])).startswith(f"(@3) (4) {name}")
        await alice.post(f"/rooms/{code}/{ids(await alice.look(code))[-1]}/edit", {"body": "four"})
        await live.until("hx-partial .edited")
        assert (await title(live, chats[-1])).startswith(f"(@2) (4) {name}")
        await live.send(k="focus")
        assert (await live.until("title")).words.startswith(name)


async def test_a_mention_is_heard_once_also_one_that_was_added_later(
    alice: Person, bob: Person, code: str, chats: list[Context], clock: FakeClock
) -> None:
    assert (await bob.post("/settings", {"sound": "on"})).status == 303
    chats[-1].sounds._now = clock
    async with bob.in_room(code) as live:

        async def heard(text: str, id: int = 0) -> bool:
            clock.pass_by(60)
            before = len(live.frames)
            if id:
                await alice.post(f"/rooms/{code}/{id}/edit", {"body": text})
            else:
                await alice.write(code, text)
            await alice.write(code, "marker")
            await live.until("li", "marker")
            await until(lambda: not any("sound" in one.slots for one in chats[-1].hub.connections))
            while not live.quiet:
                await live.frame()
            return any(frame.has("audio") for frame in live.frames[before:])

        assert await heard("@Bob one")
        assert not await heard("nobody")
        assert await heard("@all two")
        id = ids(await alice.look(code))[2]
        assert await heard("@Bob nobody", id)
        assert not await heard("@Bob again", id)
        assert not await heard("nobody again", id)
        assert not await heard("@Bob again and again", id)


# What else there is to it


async def test_each_member_has_their_own_mentions_marked_by_their_stylesheet(
    alice: Person, bob: Person, code: str
) -> None:
    await alice.write(code, "@Bob one")
    for person, seat, other in [(bob, BOB, ALICE), (alice, ALICE, BOB)]:
        [sheet] = [
            link["href"] for link in (await person.look(code)).all("link") if "/seats/" in link["href"]
        ]
        style = (await person.get(sheet)).text
        assert f'.at[data-at="{seat}"]' in style
        assert f'"{other}"' not in style


async def test_a_name_is_found_with_and_without_its_sign(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "tea @Bob", "cake")
    for query in ("Bob", "%40Bob", "bob"):
        hits = (await bob.get(f"/rooms/{code}/search?q={query}")).page.all("#hits li")
        assert len(hits) == 1


async def test_a_deleted_text_keeps_no_name(alice: Person, bob: Person, code: str, chat: Context) -> None:
    await alice.write(code, "@Bob")
    assert (await chat.store.read(log.history, code)).messages[-1].meta
    [id] = ids(await alice.look(code))
    await alice.post(f"/rooms/{code}/{id}/delete")
    assert not (await chat.store.read(log.history, code)).messages[-1].meta


async def test_a_reply_mentions_too(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "tea?")
    [id] = ids(await alice.look(code))
    await bob.post(f"/rooms/{code}/messages", {"body": "@Alice yes", "key": "k", "reply": str(id)})
    page = await alice.look(code)
    assert mentions(page) == [("1", "@Alice")]
    assert page.has("a.quote")


# Names while one is typed


async def offered(live: Live, text: object) -> list[str]:
    """The names above the field, once it says what it holds."""
    before = len(live.frames)
    await live.send(k="names", body=text)
    while not any(frame.has(NAMES_SHOWN) for frame in live.frames[before:]):
        await live.frame()
    return [button.text for button in live.frames[-1].all("#hint button") or live.frames[-1].all("button")]


async def test_names_are_offered_while_one_is_typed(
    app: Quart, alice: Person, bob: Person, code: str
) -> None:
    await join(app, code, "Ann", "ann lee", "李雷", "Ann", "Annika", "Antje", "Anton", "Anouk")
    async with alice.in_room(code) as live:
        assert await offered(live, "Hello @an") == [
            *("@Ann", "@Ann (2)", "@ann lee", "@Annika", "@Anouk", "@Antje"),
        ]
        assert await offered(live, "@BO") == ["@Bob"]
        assert await offered(live, "你好@李") == ["@李雷"]
        assert await offered(live, ["first", "@anto"]) == ["@Anton"]
        assert await offered(live, "@nobody") == []
        assert await offered(live, "@alice") == []  # oneself
        assert await offered(live, "@a") == [
            *("@Ann", "@Ann (2)", "@ann lee", "@Annika", "@Anouk", "@Antje"),
            "@all",
        ]
        assert await offered(live, "@aL") == await offered(live, "@all") == ["@all"]  # everybody
        for nothing in ("Hello", "@Bob ", "a@bo", "", None, 7, [], ["@bo", "x"], "@" * 9999):
            assert await offered(live, nothing) == []
        await live.say("marker")
        await live.until("li", "marker")
    assert await alice.texts(code) == ["marker"]  # what was asked about was not sent


async def test_a_name_that_is_chosen_is_completed_in_the_field(
    app: Quart, alice: Person, bob: Person, code: str
) -> None:
    await join(app, code, "Ann", "Ann")
    url = f"/rooms/{code}/composer"
    for typed, seat, completed in [
        ("Hello @bo", "2", "Hello @Bob "),
        ("Hello @", "4", "Hello @Ann (2) "),
        ("nobody here", "2", "nobody here @Bob "),
        ("Hello @an", "2", "Hello @an @Bob "),
        ("Hello ", "4", "Hello @Ann (2) "),
        ("", "2", "@Bob "),
        ("Hello @a", "all", "Hello @all "),
        ("Hello", "all", "Hello @all "),
    ]:
        for lines, kind in (("many", "input"), ("one", "textarea")):  # the kind that it is not
            form = {"body": typed, "at": seat, "lines": lines}
            reply = await alice.post(url, form, hx_request="true")
            assert reply.status == 200
            assert reply.page.all(f"{kind}[name=body]")[-1].value == completed
        field = (await alice.post(url, {"body": f"one\n{typed}", "at": seat})).page.one("#texts [name=body]")
        assert (field.tag, field.value) == ("textarea", f"one\n{completed}".replace("\n ", "\n"))
    for wrong in ("1", "9", "-1", "x", "9" * 30, "", "0", "ALL"):
        reply = await alice.post(url, {"body": "@bo", "at": wrong}, hx_request="true")
        assert reply.status == 404, wrong


async def test_a_draft_of_several_lines_is_answered_with_the_names_at_its_end(
    alice: Person, bob: Person, code: str
) -> None:
    async with alice.in_room(code) as live:
        for body, more in [
            ("one\n@bo", {}),  # a field of one line asks by itself
            ("one\ntwo", {"lines": "one"}),
            ("@bo\ntwo", {"lines": "one"}),
            ("one\n@nobody", {"lines": "one"}),
        ]:
            await live.send(k="draft", life="a.0", body=body, reply="", **more)
        await live.say("marker")
        await live.until("li", "marker")
        assert not any(frame.has(NAMES_SHOWN) for frame in live.frames)
        await live.send(k="draft", life="a.0", body="one\n@bo", reply="", lines="one")
        frame = await live.until(NAMES_SHOWN)
        assert [button.text for button in frame.all("button")] == ["@Bob"]
    assert await alice.texts(code) == ["marker"]


async def test_everybody_on_a_live_page_may_be_chosen_by_their_name_in_the_list_of_people(
    app: Quart, alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    await join(app, code, "Alice")
    async with alice.in_room(code) as live, bob.in_room(code):
        await turn(2)
        await live.until("hx-partial[hx-target=#roster] button", "Bob")
        form = live.frames[-1].one("hx-partial[hx-target=#roster] form")
        assert form["hx-post"] == f"/rooms/{code}/composer"
        assert [(one["name"], one.attributes.get("value"), one.text) for one in form.all("button")] == [
            *(("at", "1", "Alice"), ("at", "2", "Bob"), ("names", None, "Mention somebody")),
        ]
        assert not (await bob.look(code)).has("#roster button"), "without a script it would do nothing"


async def test_a_name_is_begun_behind_the_text_and_names_are_offered(
    alice: Person, bob: Person, code: str
) -> None:
    for typed, begun, offers in [
        *(("", "@", ["@Bob"]), ("Tea", "Tea @", ["@Bob"]), ("Tea ", "Tea @", ["@Bob"])),
        *(("Tea @b", "Tea @b", ["@Bob"]), ("@x", "@x", [])),
    ]:
        form = {"body": typed, "names": "", "lines": "many"}
        page = (await alice.post(f"/rooms/{code}/composer", form, hx_request="true")).page
        assert page.all("input[name=body]")[-1].value == begun
        assert [one.text for one in page.one(NAMES_SHOWN).all("button")] == offers


async def test_without_a_script_somebody_is_chosen_and_nothing_typed_is_lost(
    app: Quart, alice: Person, bob: Person, code: str
) -> None:
    await join(app, code, "Ann", "Ann")
    await bob.write(code, "tea?")
    typed = {"body": "Hello", "reply": str(ids(await alice.look(code))[-1]), "key": "k"}
    url = f"/rooms/{code}/composer"
    asked = (await alice.post(url, typed | {"names": ""})).page
    buttons = asked.all("#foot section button")
    assert [(one["name"], one["value"], one.text) for one in buttons] == [
        *(("at", "3", "@Ann"), ("at", "4", "@Ann (2)"), ("at", "2", "@Bob"), ("at", "all", "@all")),
    ]
    assert {(one["form"], one["formaction"]) for one in buttons} == {("composer", url)}
    chosen = (await alice.post(url, typed | {"at": "4"})).page
    assert not chosen.has("#foot section")
    for page, text in ((asked, "Hello"), (chosen, "Hello @Ann (2) ")):
        assert page.one("#texts [name=body]").value == text
        assert page.one("#composer [name=reply]").value == typed["reply"]


async def test_without_a_script_the_first_few_are_to_be_chosen_and_the_others_counted(
    app: Quart, alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.features.mention.OFFERED", 3)
    await join(app, code, "Cat", "Dan", "Zoe")
    zoe = Person(app, "Zora")
    await zoe.join(code)

    async def offered(person: Person) -> tuple[list[str], str]:
        url = f"/rooms/{code}/composer"
        page = (await person.post(url, {"body": "Hello", "names": ""})).page.one("#foot section")
        return [one.text for one in page.all("button")], " ".join(one.words for one in page.all(".more"))

    assert await offered(alice) == (["@Bob", "@Cat", "@Dan", "@all"], "and 2 more")
    assert await offered(zoe) == (["@Alice", "@Bob", "@Cat", "@all"], "and 2 more")
    monkeypatch.setattr("chat.features.mention.OFFERED", 5)
    assert [len((await offered(one))[0]) for one in (alice, zoe)] == [6, 6]
    assert [(await offered(one))[1] for one in (alice, zoe)] == ["", ""]


async def test_whom_to_mention_is_looked_up_for_no_page_over_the_rate(
    alice: Person, bob: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat.own_limits, "take_both", lambda *_, **__: 5.0)
    asked = AsyncMock()
    calls.intercept(monkeypatch, chat.store, seated, asked)
    reply = await alice.post(f"/rooms/{code}/composer", {"body": "precious", "names": ""})
    assert (reply.status, reply.headers["Retry-After"]) == (429, "5")
    assert "precious" in reply.page.one("textarea").value
    assert not asked.called


async def test_there_is_nobody_to_be_chosen_where_one_is_alone(app: Quart) -> None:
    zoe = Person(app, "Zoe")
    code = await zoe.create()
    asked = (await zoe.post(f"/rooms/{code}/composer", {"body": "Hello", "names": ""})).page
    assert asked.one("#foot section").words == "Nobody else is in this room."


async def test_names_are_offered_at_a_bounded_rate_and_to_members_only(
    app: Quart, alice: Person, bob: Person, code: str, chats: list[Context]
) -> None:
    async with alice.in_room(code) as live:
        for _ in range(60):
            await live.send(k="names", body="@bo")
        await live.say("marker")
        await live.until("li", "marker")
        while not live.quiet:
            await live.frame()
        assert sum(frame.has(NAMES_SHOWN) for frame in live.frames) <= 25
    eve = Person(app, "Eve")
    reply = await eve.post(f"/rooms/{code}/composer", {"body": "@bo", "at": "2"}, hx_request="true")
    assert "Bob" not in reply.text


@pytest.mark.parametrize("half", ["@\ud800", "@An\udfff", "@\0"])
async def test_half_a_character_is_no_beginning_of_a_name(
    alice: Person, code: str, half: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with alice.in_room(code) as live:
        await live.send(k="names", body=half)
        await live.say("Next")
        await live.until("li.m", "Next")
    assert "frame-failed" not in caplog.text


def test_of_what_an_archive_says_of_names_no_more_is_looked_at_than_texts_have() -> None:
    meta = with_meta({}, named={f"P{n}": [n, f"P{n}"] for n in range(40_000)})
    text = Message(1, 1, 0, 1, "Alice", 1, "@P1 @P19 @P20 " * 500, meta=meta)
    assert len(text.named) == MENTIONS
    shown = parse(formatted(text.body or "")(LOOK, text.named))
    assert {one.text for one in shown.all("b.at")} == {"@P1", "@P19"}


def test_no_text_has_many_possible_names() -> None:
    assert sum(map(len, possible(["李" * 38] * 20))) == LOOKED_AT
    assert possible(["Ann Lee, hi", "Bob"]) == [["Ann Lee, hi", "Ann Lee,", "Ann Lee", "Ann"], ["Bob"]]


PIECES = [
    "@",
    "@@all",
    "Ann",
    " ",
    "Lee",
    "&",
    "<b>",
    '"',
    "'",
    "**",
    "`",
    "||",
    "李",
    "\n",
    "> ",
    "https://a.example/",
    "\x03",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.data())
def test_mentions_change_nothing_of_a_text_but_how_it_looks(pieces: list[str], data: st.DataObject) -> None:
    body = "".join(pieces)
    text = formatted(body)
    possible_names = [name for names in possible(spoken(text.places)) for name in names]
    names = data.draw(st.lists(st.sampled_from(possible_names), max_size=5)) if possible_names else []
    named = {name: Named(number, name) for number, name in enumerate(names)}
    plain, shown = parse(text(LOOK)), parse(text(LOOK, named))
    assert shown.text == plain.text
    assert "\x03" not in shown.text
    found = [one for one in shown.walk() if "data-at" in one]
    assert all(
        (one.tag, one["class"], list(one.attributes)) == ("b", "at", ["class", "data-at"]) for one in found
    )
    assert {one.text for one in found} <= {f"@{name}" for name in names}
    assert len(list(shown.walk())) == len(list(plain.walk())) + len(found)
