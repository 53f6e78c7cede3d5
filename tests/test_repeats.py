"""Forms without JavaScript: a repeat is stored once, and what a page out of a cache sends is another text."""

from __future__ import annotations

import pytest
from deployments import ONE
from people import Person

from chat.web import repeats


@pytest.fixture
def deployment() -> str:
    return ONE


async def send(person: Person, code: str, key: str, body: str = "ok") -> None:
    assert (
        await person.post(f"/rooms/{code}/messages", {"body": body, "key": key, "acked": "0"})
    ).status == 303


async def test_a_form_sent_again_before_its_answer_was_shown_is_a_repeat(alice: Person, code: str) -> None:
    """A second click, a reload, a browser that comes back after a crash of the server."""
    for _ in range(3):
        await send(alice, code, "page")
    assert await alice.texts(code) == ["ok"]


async def test_a_form_sent_again_after_its_answer_was_shown_is_another_text(
    alice: Person, bob: Person, code: str
) -> None:
    for n in range(1, 5):
        await send(alice, code, "page")
        await send(alice, code, "page")  # and a second click each time
        assert await alice.texts(code) == ["ok"] * n, "this loads the page"
    await send(bob, code, "page")
    assert await bob.texts(code) == ["ok"] * 5, "each browser has its own"


async def test_older_pages_and_other_rooms_show_no_answer(alice: Person, code: str) -> None:
    other = await alice.create()
    await send(alice, code, "page")
    await alice.look(other)
    await alice.get(f"/rooms/{code}/earlier")
    await send(alice, code, "page")
    assert await alice.texts(code) == ["ok"]


async def test_the_cookie_is_of_its_room_and_closed_to_scripts(alice: Person, code: str) -> None:
    reply = await alice.post(f"/rooms/{code}/messages", {"body": "x", "key": "key"})
    (cookie,) = reply.cookies
    assert f"Path=/rooms/{code}" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_the_cookie_does_not_grow() -> None:
    cookie = ""
    for n in range(100):
        cookie = repeats.answered(cookie, f"key {n}")
        cookie = (repeats.shown(cookie) or cookie) if n % 3 == 0 else cookie
        assert len(cookie) <= 2 * 8 * repeats.KEPT + 1


@pytest.mark.parametrize(
    "cookie", ["", "~", "x", "a" * 1000, "~" + "g" * 8, "12345678", "é~", "1234567~", "~~"]
)
def test_a_cookie_that_makes_no_sense_is_none(cookie: str) -> None:
    assert repeats.key_of(cookie, "key") == "key"
    assert repeats.shown(cookie) == ""
    assert repeats.key_of(repeats.shown(repeats.answered(cookie, "key")), "key") != "key"


def test_a_key_is_remembered_as_long_as_it_is_among_the_newest() -> None:
    cookie = repeats.shown(repeats.answered("", "first"))
    keys = {repeats.key_of(cookie, "first")}
    for _ in range(3):
        cookie = repeats.shown(repeats.answered(cookie, "first"))
        keys.add(repeats.key_of(cookie, "first"))
    assert len(keys) == 4
    assert all(len(key) <= 64 for key in keys)
