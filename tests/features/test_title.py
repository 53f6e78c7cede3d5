"""Title and topic: at creation, changed by any member, seen by everybody at once."""

from __future__ import annotations

from unittest.mock import AsyncMock

import calls
import pytest
from dom import Element
from people import Person, notices, until, window_titles

from chat import limits
from chat.context import Context
from chat.features.title import describe as describe_room
from chat.model.rooms import TITLE_LENGTH, TOPIC_LENGTH
from chat.store import Unavailable
from chat.store.members import find_seat
from chat.store.rooms import find_room

TITLE = "Saturday regatta"
TOPIC = "28 Nov · harbour radio 72"


async def describe(person: Person, code: str, title: str = TITLE, topic: str = "") -> None:
    reply = await person.post(f"/rooms/{code}/title", {"title": title, "topic": topic})
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}"), reply.text


def heading(page: Element) -> tuple[str, str]:
    """What a page of the room says it is about, and what the window says."""
    return page.one("#title").words, page.one("title").words


async def test_a_room_is_made_with_a_title(alice: Person, bob: Person) -> None:
    form = {"name": "Alice", "title": f"  {TITLE} ", "create": "1"}
    reply = await alice.post("/", form)
    code = reply.headers["Location"].removeprefix("/rooms/")
    assert heading(await alice.look(code)) == (TITLE, f"{TITLE} · Room chat")
    invitation = (await bob.get(f"/rooms/{code}")).page
    assert TITLE in invitation.one(".lead").text
    assert invitation.one("title").words == f"Join {TITLE} · Room chat"


async def test_without_a_title_a_room_is_called_by_its_code(alice: Person, bob: Person, code: str) -> None:
    name = f"{code[:4]}-{code[4:8]}-{code[8:]}"
    assert heading(await alice.look(code)) == (f"Room {name}", f"{name} · Room chat")


async def test_the_field_for_the_title_keeps_what_was_typed(alice: Person) -> None:
    for title in ("x" * (TITLE_LENGTH + 1), "a\u202eb", "\u200d\u200d"):
        reply = await alice.post("/", {"name": "Alice", "title": title, "create": "1"})
        assert reply.status == 422
        assert reply.page.one("input[name=title]").value == title
        assert reply.page.one("#title-error")["role"] == "alert"
    reply = await alice.post("/", {"name": "", "title": TITLE, "create": "1"})
    assert reply.page.one("input[name=title]").value == TITLE


async def test_any_member_changes_it_and_everybody_sees_that_at_once(
    alice: Person, bob: Person, code: str
) -> None:
    async with alice.in_room(code) as hers, bob.in_room(code) as his:
        await describe(bob, code, TITLE, TOPIC)
        for live in (hers, his):
            panel = await live.until("hx-partial[hx-target=#title]")
            assert panel.words == f"{TITLE} {TOPIC}"
            titles = [title for frame in live.frames for title in window_titles(frame)]
            assert titles == [f"{TITLE} · Room chat"]
            said = [text for frame in live.frames for text in notices(frame)]
            assert f"Bob changed the title to “{TITLE}”" in said
    page = await alice.look(code)
    assert heading(page) == (f"{TITLE} {TOPIC}", f"{TITLE} · Room chat")
    assert notices(page)[-1] == f"Bob changed the title to “{TITLE}”"
    await describe(alice, code, TITLE, "another")
    await describe(alice, code, "", "")
    assert notices(await bob.look(code))[-2:] == [
        "Alice changed the topic to “another”",
        "Alice removed the title",
    ]


async def test_what_is_so_already_is_not_announced(alice: Person, code: str) -> None:
    await describe(alice, code)
    before = notices(await alice.look(code))
    await describe(alice, code)
    assert notices(await alice.look(code)) == before


async def test_it_is_changed_by_a_plain_form(alice: Person, code: str) -> None:
    await describe(alice, code, TITLE, TOPIC)
    link = (await alice.look(code)).one("#retitle")
    page = (await alice.get(link["href"])).page
    form = page.one("#describe")
    assert (form["method"], form["action"]) == ("post", f"/rooms/{code}/title")
    assert {field["name"]: field.value for field in form.all("input")} == {
        "title": TITLE,
        "topic": TOPIC,
        "former_title": TITLE,
        "former_topic": TOPIC,
    }


async def test_of_two_forms_open_at_once_each_changes_only_what_was_changed_in_it(
    alice: Person, bob: Person, code: str
) -> None:
    await describe(alice, code, "games", "at seven")
    first, second = [
        {field["name"]: field.value for field in (await person.get(f"/rooms/{code}/title")).page.all("input")}
        for person in (alice, bob)
    ]
    assert (await alice.post(f"/rooms/{code}/title", first | {"topic": "at eight"})).status == 303
    assert (await bob.post(f"/rooms/{code}/title", second | {"title": "board games"})).status == 303
    assert heading(await alice.look(code))[0] == "board games at eight"


async def test_a_form_that_comes_back_still_has_what_it_was_opened_with(alice: Person, code: str) -> None:
    await describe(alice, code)
    typed = {"title": "x" * 99, "topic": TOPIC, "former_title": TITLE, "former_topic": ""}
    reply = await alice.post(f"/rooms/{code}/title", typed)
    assert reply.status == 422
    assert {field["name"]: field.value for field in reply.page.all("input")} == typed


async def test_what_a_form_does_not_have_stays_as_it_is(alice: Person, code: str) -> None:
    await describe(alice, code, "games", "at seven")
    assert (await alice.post(f"/rooms/{code}/title", {"topic": "at eight"})).status == 303
    assert heading(await alice.look(code))[0] == "games at eight"
    assert (await alice.post(f"/rooms/{code}/title", {"title": ""})).status == 303
    assert heading(await alice.look(code))[0].endswith("at eight")


async def test_on_a_live_page_the_form_comes_and_goes_in_place(alice: Person, code: str) -> None:
    url = f"/rooms/{code}/title"
    form = (await alice.get(url, hx_request="true")).page
    assert not form.has("html")
    assert form.all("#describe")[-1]["hx-post"] == url
    refused = await alice.post(url, {"title": "x" * 99, "topic": TOPIC}, hx_request="true")
    assert (refused.status, refused.page.has("html")) == (422, False)
    *_, shown = refused.page.all("#describe")  # the others are steps towards it
    assert shown.one("[role=alert]").words
    assert shown.one("input[name=title]").value == "x" * 99
    assert shown.one("input[name=topic]").value == TOPIC
    done = await alice.post(url, {"title": TITLE, "topic": TOPIC}, hx_request="true")
    assert (done.status, done.page.has("form")) == (200, False)


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("title", "x" * (TITLE_LENGTH + 1)),
        ("title", "y" * 100_000),
        ("title", "two\nlines"),
        ("title", "a\u202eb"),
        ("title", "\u2063"),
        ("topic", "x" * (TOPIC_LENGTH + 1)),
        ("topic", "\x07"),
    ],
)
async def test_what_cannot_be_a_title_comes_back(alice: Person, code: str, field: str, typed: str) -> None:
    reply = await alice.post(f"/rooms/{code}/title", {"title": TITLE, "topic": TOPIC} | {field: typed})
    assert reply.status == 422
    at_fault = reply.page.one(f"input[name={field}]")
    assert at_fault["aria-invalid"] == "true"
    assert reply.page.one(f"#{at_fault['aria-describedby']}")["role"] == "alert"
    assert typed.startswith(at_fault.value)
    assert len(at_fault.value) > 0
    assert not (await alice.look(code)).has(".topic")


async def test_only_members_change_it(alice: Person, bob: Person, eve: Person, code: str) -> None:
    await bob.post(f"/rooms/{code}/leave")
    for person in (bob, eve):
        assert (await person.get(f"/rooms/{code}/title")).status == 403
        assert (await person.post(f"/rooms/{code}/title", {"title": TITLE})).status == 403
    assert TITLE not in (await alice.look(code)).one("#title").text


async def test_who_has_left_reads_why_in_place(bob: Person, code: str) -> None:
    await bob.post(f"/rooms/{code}/leave")
    reply = await bob.post(f"/rooms/{code}/title", {"title": TITLE}, hx_request="true")
    assert (reply.status, reply.page.has("html")) == (403, False)
    assert reply.page.one("[role=alert]").words == "You are not in this room any more."


@pytest.mark.parametrize("asked", [{}, {"hx_request": "true"}], ids=["page", "fragment"])
async def test_without_the_store_what_was_typed_stays(
    alice: Person, code: str, chat: Context, asked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for work in (find_seat, describe_room):
        with monkeypatch.context() as broken:
            calls.intercept(broken, chat.store, work, AsyncMock(side_effect=Unavailable("away")))
            typed = {"title": TITLE, "topic": TOPIC}
            reply = await alice.post(f"/rooms/{code}/title", typed, **asked)
        assert reply.status == 503
        *_, form = reply.page.all("#describe")
        assert {name: form.one(f"input[name={name}]").value for name in typed} == typed
        assert form.one("[role=alert]").words


async def test_a_title_that_could_not_be_read_is_shown_when_the_store_is_back(
    alice: Person, bob: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice.in_room(code) as live:
        with monkeypatch.context() as broken:
            calls.intercept(broken, chat.store, find_room, AsyncMock(side_effect=Unavailable("away")))
            await describe(bob, code)
            await until(lambda: code in chat.hub.titles.due)
        chat.hub.titles.retry()
        assert (await live.until("hx-partial[hx-target=#title]")).words == TITLE
        assert sum(frame.has("hx-partial[hx-target=#title]") for frame in live.frames) == 1


async def test_a_title_that_could_not_be_read_once_is_shown_with_the_next_check(
    alice: Person, bob: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One read may fail though the store was never away."""
    async with alice.in_room(code) as live:
        with monkeypatch.context() as broken:
            calls.intercept(broken, chat.store, find_room, AsyncMock(side_effect=Unavailable("away")))
            await describe(bob, code)
            await until(lambda: code in chat.hub.titles.due)
        chat.hub.repairs.check_soon()
        assert (await live.until("hx-partial[hx-target=#title]")).words == TITLE


async def test_the_members_of_a_room_share_its_rate(alice: Person, bob: Person, code: str) -> None:
    for number in range(limits.TITLES.burst):
        await describe((alice, bob)[number % 2], code, f"Title {number}")
    for person in (alice, bob):
        reply = await person.post(f"/rooms/{code}/title", {"title": "one more"})
        assert reply.status == 429
        assert 0 < int(reply.headers["Retry-After"]) <= 60
        assert reply.page.one("input[name=title]").value == "one more"


async def test_what_changes_nothing_counts_for_its_sender_and_not_for_the_room(
    alice: Person, bob: Person, code: str
) -> None:
    """Else one member could keep all others from changing a title, and nobody would know who."""
    await describe(alice, code, "Title")
    replies = [
        await bob.post(f"/rooms/{code}/{action}", form)
        for action, form in (
            ("title", {"title": "Title"}),
            ("title", {"title": "x" * 99}),
            ("comings", {"on": "0"}),
            ("comings", {"on": "nonsense"}),
        )
        for _ in range(limits.TITLES.burst)
    ]
    assert {reply.status for reply in replies} == {303, 422}
    for number in range(limits.TITLES.burst - 1):
        await describe(alice, code, f"Title {number}")
    others = [
        await bob.post(f"/rooms/{code}/title", {"title": "x" * 99}) for _ in range(limits.ATTEMPTS.burst)
    ]
    assert others[-1].status == 429
    assert others[-1].page.one("input[name=title]").value == "x" * 99


async def test_a_page_that_was_away_learns_the_title(
    alice: Person, bob: Person, code: str, chats: list[Context]
) -> None:
    """However long that was: the feed of the room has forgotten the notice, or is a new one."""
    page = await alice.look(code)
    await describe(bob, code)
    await until(lambda: not any(code in chat.hub.feeds for chat in chats))
    async with alice.live(code) as live:
        await live.resume(page)
        assert (await live.until("hx-partial[hx-target=#title]")).words == TITLE


async def test_a_title_is_text_wherever_it_is_shown(alice: Person, bob: Person, code: str) -> None:
    markup = "</title><script>alert(1)</script>"
    await describe(alice, code, markup, "<img src=x>")
    for reply in (await alice.get(f"/rooms/{code}"), await bob.get(f"/rooms/{code}/title")):
        assert "<script>alert" not in reply.text
        assert "<img src=x>" not in reply.text
        assert markup in reply.page.one("title").text
