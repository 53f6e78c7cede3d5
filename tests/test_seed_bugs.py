"""Every known bug of the chat that this one replaces, one test each: here they cannot happen."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from people import FakeClock, Person, notices, texts
from quart import Quart

from chat.app import create_app
from chat.context import Context
from chat.live.presence import GRACE
from chat.model.codes import CODE_ALPHABET
from chat.settings import Settings

FULL = "<img src=x onerror=alert(1)>"


async def test_a_lone_reload_keeps_the_room_and_its_history(
    alice: Person, chat: Context, clock: FakeClock
) -> None:
    code = await alice.create()
    async with alice.in_room(code) as live:
        await live.say("remember me")
        await live.until("li", "remember me")
        await chat.presence.tick()
    clock.pass_by(GRACE + 3600)  # not a reload but an hour alone
    await chat.presence.tick()
    assert await alice.texts(code) == ["remember me"]
    async with alice.in_room(code) as live:
        await live.say("and on")
        await live.until("li", "and on")


async def test_a_room_outlives_the_server(settings: Settings) -> None:
    first = create_app(settings)
    async with first.test_app():
        alice = Person(first, "Alice")
        code = await alice.create()
        await alice.write(code, "remember me")
    second = create_app(settings)
    async with second.test_app():
        alice.client.app = alice.app = second
        assert await alice.texts(code) == ["remember me"]


async def test_a_message_is_text_and_never_a_script(alice: Person, bob: Person, code: str) -> None:
    async with bob.in_room(code) as live:
        await alice.write(code, FULL)
        pushed = await live.until("li .text")
    assert pushed.text == FULL
    assert not live.frames[-1].has("[onerror]")
    page = await bob.look(code)
    assert texts(page) == [FULL]
    assert not page.has("[onerror]")


async def test_a_name_is_text_and_never_a_script(app: Quart, bob: Person, code: str, chat: Context) -> None:
    villain = Person(app, FULL)
    await villain.join(code)
    async with bob.in_room(code) as live, villain.in_room(code):
        await chat.presence.tick()
        await villain.write(code, "hello")
        await live.until("li", "hello")
        page = await bob.look(code)
    assert FULL in [label.text for label in page.all("#roster bdi")]
    assert not any(frame.has("[onerror]") for frame in [*live.frames, page])


async def test_a_message_keeps_the_time_at_which_it_was_written(
    alice: Person, code: str, clock: FakeClock
) -> None:
    await alice.write(code, "early")
    written = (await alice.look(code)).one("li .by time")["datetime"]
    clock.pass_by(3600)
    assert (await alice.look(code)).one("li .by time")["datetime"] == written
    assert written == "2027-01-15T08:16:40Z"


async def test_enter_sends_because_the_composer_is_a_form(alice: Person, code: str) -> None:
    form = (await alice.look(code)).one("form#composer")
    assert form.one("#texts input")["enterkeyhint"] == "send"
    buttons = [button for button in form.all("button") if button.attributes.get("type", "submit") == "submit"]
    assert buttons[0].words == "Send", "Enter presses the first button"
    fields = {control["name"]: control.value for control in form.all("input")}
    assert (await alice.post(form["action"], fields | {"body": "sent by Enter"})).status == 303
    assert await alice.texts(code) == ["sent by Enter"]


async def test_two_tabs_are_one_person(alice: Person, bob: Person, code: str, chat: Context) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(alice.in_room(code))
        await chat.presence.tick()
        page = await bob.look(code)
        assert [label.text for label in page.all("#roster bdi")] == ["Alice", "Bob"]
        assert page.one("#roster .count").text == "2"
        assert notices(page) == ["Alice is here for the first time"]


async def test_opening_home_in_another_tab_leaves_the_room_as_it_is(
    alice: Person, bob: Person, code: str
) -> None:
    async with alice.in_room(code) as live:
        assert (await alice.get("/")).cookies == []
        await live.say("still me")
        await live.until("li", "still me")
    assert (await alice.look(code)).has("#composer")
    assert (await bob.look(code)).one("li.m .by bdi").text == "Alice"


async def test_a_code_may_be_typed_in_small_letters(alice: Person, bob: Person) -> None:
    code = await alice.create()
    reply = await bob.post("/", {"name": "Bob", "code": code.lower(), "join": "1"})
    assert reply.headers["Location"] == f"/rooms/{code}"


async def test_a_code_cannot_be_guessed(alice: Person, client: Person) -> None:
    code = await alice.create()
    assert len(CODE_ALPHABET) ** len(code) > 10**17
    tries = [(await client.get(f"/rooms/{wrong}")).status for wrong in ["BBBBBBBB"] * 25]
    assert tries == [404] * 20 + [429] * 5


def test_codes_are_not_from_the_predictable_source() -> None:
    source = (Path(__file__).parents[1] / "chat/model/codes.py").read_text()
    assert "import secrets" in source
    assert "import random" not in source


async def test_names_and_texts_have_a_longest_length(alice: Person, code: str) -> None:
    assert (await alice.post("/", {"name": "x" * 33, "create": "1"})).status == 422
    assert (await alice.post(f"/rooms/{code}/messages", {"body": "x" * 8193})).status == 422
    assert await alice.texts(code) == []


async def test_nobody_can_flood_a_room(alice: Person, code: str) -> None:
    statuses = [(await alice.post(f"/rooms/{code}/messages", {"body": f"m{n}"})).status for n in range(15)]
    assert statuses == [303] * 10 + [429] * 5


async def test_who_came_and_went_stays_in_the_history(
    alice: Person, bob: Person, code: str, chat: Context, clock: FakeClock
) -> None:
    await alice.have_told(code)
    async with bob.in_room(code):
        await chat.presence.tick()
    clock.pass_by(GRACE + 1)
    await chat.presence.tick()
    told = "Bob is here for the first time · Bob went away"
    assert notices(await alice.look(code))[1:] == [told]
    assert notices(await alice.look(code))[1:] == [told]


async def test_the_secret_is_made_for_each_installation_and_is_not_in_the_source(tmp_path: Path) -> None:
    secrets = []
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        app = create_app(Settings(database_url=f"sqlite:///{tmp_path}/{folder}/chat.db"))
        async with app.test_app():
            pass
        secrets.append((tmp_path / folder / "chat.key").read_text())
    assert secrets[0] != secrets[1]


def test_nothing_runs_in_debug_mode(settings: Settings) -> None:
    app = create_app(settings)
    assert not app.debug
    assert not app.testing


async def test_a_fault_shows_no_traceback(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("our insides")

    monkeypatch.setattr(chat.store, "snapshot", fail)
    reply = await alice.get(f"/rooms/{code}")
    assert reply.status == 500
    assert "insides" not in reply.text
    assert "Traceback" not in reply.text


async def test_every_script_comes_from_this_server(alice: Person, code: str) -> None:
    page = await alice.look(code)
    sources = [script["src"] for script in page.all("script")]
    assert len(sources) == 2
    for source in sources:
        assert source.startswith("/static/")
        assert (await alice.get(source)).status == 200


async def test_every_page_fits_a_phone(alice: Person, client: Person, code: str) -> None:
    for page in (
        await client.get("/"),
        await client.get(f"/rooms/{code}"),
        await alice.get(f"/rooms/{code}"),
    ):
        content = page.page.one("meta[name=viewport]")["content"]
        assert "width=device-width" in content
        assert "user-scalable" not in content
        assert "maximum-scale" not in content


async def test_every_control_has_a_label_that_is_tied_to_it(alice: Person, client: Person, code: str) -> None:
    for reply in (
        await client.get("/"),
        await client.get(f"/rooms/{code}"),
        await alice.get(f"/rooms/{code}"),
    ):
        page = reply.page
        for control in page.all("input") + page.all("textarea"):
            if control.attributes.get("type") != "hidden":
                tied = [label for label in page.all("label") if label["for"] == control.id]
                assert tied or control.attributes.get("aria-label"), control
        for label in page.all("label"):
            assert page.has(f"#{label['for']}")
