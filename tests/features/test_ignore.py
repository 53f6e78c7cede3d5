"""To ignore a person: what they write is hidden from one member, who can undo it; nobody else is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from dom import Element
from people import Live, Person, ids, texts, until

from chat import limits
from chat.context import Context
from chat.features.ignore import ignore
from chat.model.members import IGNORED
from chat.store.log import heads
from chat.store.members import find_seat, take_seat

ALICE, BOB = 1, 2


async def set_ignored(person: Person, code: str, seat: object, on: str = "1") -> None:
    reply = await person.post(f"/rooms/{code}/ignore", {"seat": str(seat), "on": on})
    assert (reply.status, reply.headers.get("Location")) == (303, f"/rooms/{code}"), reply.text


def hidden(page: Element) -> list[str]:
    """The seats that the page hides, as its stylesheet is called."""
    links = page.all("link[id=ignored]")
    return [link["href"].rpartition("/")[2].removesuffix(".css") for link in links]


async def unread(person: Person) -> str:
    badges = (await person.get("/")).page.one("#rooms li").all(".badge")
    return badges[0].words if badges else ""


@pytest.fixture
async def his(bob: Person, code: str) -> AsyncIterator[Live]:
    async with bob.in_room(code) as live:
        yield live


async def test_one_page_hides_them_and_the_others_do_not(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "hello")
    before = texts(await bob.look(code))
    await set_ignored(bob, code, ALICE)
    page = await bob.look(code)
    assert hidden(page) == ["1"]
    assert texts(page) == before, "the HTML is the same for everybody"
    assert hidden(await alice.look(code)) == []
    style = await bob.get(page.one("link[id=ignored]")["href"])
    assert style.headers["Content-Type"].startswith("text/css")
    assert "immutable" in style.headers["Cache-Control"]
    assert '.m[data-by="1"]' in style.text
    await set_ignored(bob, code, ALICE, "0")
    assert hidden(await bob.look(code)) == []


async def test_what_others_answer_them_does_not_show_what_they_wrote(
    alice: Person, bob: Person, code: str
) -> None:
    await alice.write(code, "rude")
    (id,) = ids(await bob.look(code))[-1:]
    await bob.post(f"/rooms/{code}/messages", {"body": "really?", "key": "k", "reply": str(id)})
    await set_ignored(bob, code, ALICE)
    page = await bob.look(code)
    style = (await bob.get(page.one("link[id=ignored]")["href"])).text
    assert page.one(".quote")["data-of"] == str(ALICE)
    assert f'.quote[data-of="{ALICE}"]>*{{display:none}}' in style


async def test_the_live_page_without_javascript_hides_them_too(bob: Person, code: str) -> None:
    await set_ignored(bob, code, ALICE)
    request = bob.client.request(f"/rooms/{code}/stream")
    async with request as stream:
        await stream.send_complete()
        assert b'<link id="ignored"' in await stream.receive()
        await stream.disconnect()


async def test_a_page_that_is_open_hides_them_too(bob: Person, code: str, his: Live) -> None:
    await set_ignored(bob, code, ALICE)
    link = await his.until("link[id=ignored]")
    assert link["href"].endswith("/1.css")
    await set_ignored(bob, code, ALICE, "0")
    await his.until("hx-partial[hx-target=#ignored]")
    assert not his.frames[-1].all("link")


async def test_so_does_one_on_another_node(bob: Person, alice: Person, code: str) -> None:
    there = bob.at(alice.app)
    async with there.in_room(code) as live:
        await set_ignored(bob, code, ALICE)
        assert (await live.until("link[id=ignored]"))["href"].endswith("/1.css")


async def test_nobody_is_told(alice: Person, bob: Person, code: str, chat: Context) -> None:
    before = (await chat.store.read(heads, [code]))[code]
    async with alice.in_room(code) as hers:
        await set_ignored(bob, code, ALICE)
        assert (await chat.store.read(heads, [code]))[code] == before
        await bob.write(code, "hello")
        await hers.until(".text", "hello")
        assert not any("ignored" in text for text in hers.raw)


async def test_what_they_write_counts_for_nothing(alice: Person, bob: Person, code: str) -> None:
    cid = Person(alice.app, "Cid")
    await cid.join(code)
    await cid.write(code, "from Cid")
    await set_ignored(bob, code, ALICE)
    await alice.write(code, "from Alice")
    assert await unread(bob) == "1 unread"
    assert "from Cid" in (await bob.get("/")).page.one("#rooms .last").words
    await set_ignored(bob, code, ALICE, "0")
    assert await unread(bob) == "2 unread"


async def test_a_room_does_not_open_at_what_they_wrote(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "from Alice")
    assert (await bob.look(code)).all("#new")
    await set_ignored(bob, code, ALICE)
    assert not (await bob.look(code)).all("#new")


async def test_the_title_counts_nothing_of_theirs(
    alice: Person, bob: Person, code: str, chats: list[Context], his: Live
) -> None:
    await set_ignored(bob, code, ALICE)
    await his.until("link[id=ignored]")
    cid = Person(alice.app, "Cid")
    await cid.join(code)
    await alice.write(code, "from Alice")
    await cid.write(code, "from Cid")
    await his.until(".text", "from Cid")
    await chats[-1].unread_titles.tick()
    assert (await his.until("title")).words.startswith("(1) ")


async def test_nobody_sees_them_type(
    alice: Person, bob: Person, code: str, chats: list[Context], his: Live
) -> None:
    await set_ignored(bob, code, ALICE)
    await his.until("link[id=ignored]")
    cid = Person(alice.app, "Cid")
    await cid.join(code)
    async with alice.in_room(code) as hers, cid.in_room(code) as third:
        await hers.send(k="typing")
        await until(lambda: all(code in chat.typing._rooms for chat in chats))
        await third.send(k="typing")
        part = await his.until("hx-partial[hx-target=#typing]")
        assert part.words == "Cid is typing…"


async def test_another_name_does_not_help_them(alice: Person, bob: Person, code: str, his: Live) -> None:
    await set_ignored(bob, code, ALICE)
    await his.until("link[id=ignored]")
    assert (await alice.post(f"/rooms/{code}/name", {"name": "Alicia"})).status == 303
    link = await his.until("link[id=ignored]")
    assert link["href"].endswith("/1.3.css")
    await alice.post(f"/rooms/{code}/leave")
    await alice.join(code, "Mallory")
    assert hidden(await bob.look(code)) == ["1.3.4"]
    await set_ignored(bob, code, 4, "0")
    assert hidden(await bob.look(code)) == []


async def test_one_keeps_it_under_another_name(bob: Person, code: str) -> None:
    await set_ignored(bob, code, ALICE)
    assert (await bob.post(f"/rooms/{code}/name", {"name": "Bobby"})).status == 303
    assert hidden(await bob.look(code)) == ["1"]
    await bob.post(f"/rooms/{code}/leave")
    await bob.join(code, "Robert")
    assert hidden(await bob.look(code)) == ["1"]


async def test_the_people_are_on_a_page_with_a_form_for_each(alice: Person, bob: Person, code: str) -> None:
    links = [link["href"] for link in (await bob.look(code)).all("#roster a")]
    assert links == [f"/rooms/{code}/ignore"]
    (form,) = (await bob.get(f"/rooms/{code}/ignore")).page.all("form")
    assert (form["method"], form["action"]) == ("post", f"/rooms/{code}/ignore")
    assert form.one("bdi").text == "Alice"
    assert form.one("button")["aria-label"] == "Ignore Alice"
    values = {field["name"]: field["value"] for field in form.all("input")}
    assert (await bob.post(form["action"], values)).status == 303
    (form,) = (await bob.get(f"/rooms/{code}/ignore")).page.all("form")
    assert form.one("button")["aria-label"] == "Stop ignoring Alice"
    values = {field["name"]: field["value"] for field in form.all("input")}
    assert (await bob.post(form["action"], values)).status == 303
    assert hidden(await bob.look(code)) == []


async def test_an_author_can_be_ignored_beside_what_they_wrote(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "hello")
    (id,) = ids(await bob.look(code))
    for on, label in (("1", "Ignore Alice"), ("0", "Stop ignoring Alice")):
        page = (await bob.get(f"/rooms/{code}/{id}")).page
        assert hidden(page) == ([] if on == "1" else ["1"])
        form = next(form for form in page.all("form") if form["action"].endswith("/ignore"))
        assert form.one("button")["aria-label"] == label
        assert {field["name"]: field["value"] for field in form.all("input")} == {"seat": "1", "on": on}
        await set_ignored(bob, code, ALICE, on)
    own = (await alice.get(f"/rooms/{code}/{id}")).page
    assert not [form for form in own.all("form") if form["action"].endswith("/ignore")]


async def test_who_has_left_can_still_be_forgiven(alice: Person, bob: Person, code: str) -> None:
    await set_ignored(bob, code, ALICE)
    await alice.post(f"/rooms/{code}/leave")
    (form,) = (await bob.get(f"/rooms/{code}/ignore")).page.all("form")
    assert form.one("button").words == "Stop ignoring"


@pytest.mark.parametrize(
    ("seat", "on"),
    [
        *(("", "1"), ("0", "1"), ("99", "1"), ("-1", "1"), ("1.5", "1"), ("1 or 1", "1"), ("\u0661", "1")),
        *(("9" * 15, "1"), ("9" * 5000, "1"), ("1", ""), ("1", "2"), ("1", "1" * 5000), (str(BOB), "1")),
    ],
)
async def test_what_makes_no_sense_is_refused(bob: Person, code: str, seat: str, on: str) -> None:
    reply = await bob.post(f"/rooms/{code}/ignore", {"seat": seat, "on": on})
    assert reply.status == 422
    assert reply.page.one("[role=alert]").words
    assert hidden(await bob.look(code)) == []


async def test_others_cannot(eve: Person, alice: Person, bob: Person, code: str) -> None:
    assert (await eve.post(f"/rooms/{code}/ignore", {"seat": "1", "on": "1"})).status in (403, 404)
    await bob.post(f"/rooms/{code}/leave")
    assert (await bob.post(f"/rooms/{code}/ignore", {"seat": "1", "on": "1"})).status in (403, 404)


async def test_only_so_many_can_be_ignored(bob: Person, code: str, chats: list[Context]) -> None:
    chat = chats[-1]
    me = chat.identities.person(next(iter(bob.client.cookie_jar or ())).value)
    who = await chat.store.read(find_seat, code, me) if me else None
    assert who
    for number in range(3, 3 + IGNORED):
        await chat.store.write(code, take_seat, code, f"person {number}", f"P{number}")
        if number < 2 + IGNORED:
            await chat.store.write(code, ignore, who, number, True)
    await set_ignored(bob, code, 2 + IGNORED)
    reply = await bob.post(f"/rooms/{code}/ignore", {"seat": str(ALICE), "on": "1"})
    assert reply.status == 422
    assert "100 names" in reply.page.one("[role=alert]").words
    await set_ignored(bob, code, 3)  # one of them already
    style = (await bob.look(code)).one("link[id=ignored]")["href"]
    assert (await bob.get(style)).status == 200


async def test_it_has_a_rate(bob: Person, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = [
        (await bob.post(f"/rooms/{code}/ignore", {"seat": "1", "on": str(n % 2)})).status
        for n in range(limits.REACTIONS.burst + 5)
    ]
    assert statuses[: limits.REACTIONS.burst] == [303] * limits.REACTIONS.burst
    assert statuses[-1] == 429


@pytest.mark.parametrize("numbers", ["", "x", "1..2", "1" * 10, ".".join(["1"] * 101), "1" * 2000, "1;2"])
async def test_a_stylesheet_of_no_seats_is_not_there(bob: Person, numbers: str) -> None:
    assert (await bob.get(f"/seats/x/ignored/{numbers}.css")).status == 404
