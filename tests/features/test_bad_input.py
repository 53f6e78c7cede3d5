"""What nobody means, such as a number that is none, is refused with the reason, what was typed is kept, and
nothing is stored: by a form, and by a frame of a live page."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from dom import Element
from people import Live, Person, Reply, ids
from stored import nothing_stored

from chat.context import Context
from chat.features import ACTIONS
from chat.model.messages import BODY_BYTES
from chat.settings import Settings

TEXT = "Alice's own words"
HUGE = ["9" * 15, "9" * 16, str(2**31), str(2**63), str(2**64), "1" * 4301]
NO_NUMBERS = [
    "-ID",
    "+ID",
    " ID",
    "ID ",
    "1e3",
    "IDe0",
    "ID.0",
    "0xID",
    "I_D",
    "1_0",
    "１２",
    "٣",
    "²",
    "𝟗",
    "NaN",
]
NO_NUMBERS += ["-1", "0", "00", "\0", "ID\0", "<b>", "ID;", "ID,ID", "null", "true", "[]"]
NOT_HERE = [*HUGE, *NO_NUMBERS]
FIELDS = {name: {"body": "typed", "emoji": "👍", "on": "1"} for name in ACTIONS}
NO_EMOJI = [
    "",
    " ",
    "x",
    "1",
    "#",
    "👍👍",
    "👍 ",
    "👍x",
    "🏽",
    "\u200d",
    "👍\u200d",
    "🇽🇽",
    "🇩",
    "\ufe0f",
    "☃☃",
    ":thumbsup:",
]
NO_EMOJI += [
    "&#128077;",
    "<b>",
    "\ud83d",
    "1f44d",
    "👨\u200d👨\u200d👨\u200d👨\u200d👨\u200d👨",
    "👍" * 9999,
    "\u200d" * 9999,
]
NO_SWITCH = ["", "2", "-1", "01", " 1", "１", "on", "true", "1e0", "9" * 4301]
BLANK = ["", " ", "\n\r\n", "\u2800", "\u200b\u2060", "\u3164", "\u202e", "\0\x1b", "\u0301" * 9999]
MARKS = ["*", "`", "~~", "||", "> ", "[", "- ", "_*", "<", "a\u0301", "👍🏽", "http://a "]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, rate_limit=False)


@pytest.fixture
async def id(alice: Person, code: str) -> int:
    await alice.write(code, "before", TEXT, "after")
    return ids(await alice.look(code))[1]


@pytest.fixture
async def live(alice: Person, code: str, id: int) -> Any:
    async with alice.in_room(code) as live:
        yield live


def spelled(values: Iterable[str], id: int) -> list[str]:
    """With the number of a message that is there, or nearly."""
    return [value.replace("I_D", f"{id}_0").replace("ID", str(id)) for value in values]


def encodable(value: str) -> str:
    """As a browser has it in a form, which has no halves of characters."""
    return value.encode(errors="replace").decode()


def reason(reply: Reply) -> str:
    return " ".join(alert.words for alert in reply.page.all("[role=alert]"))


def kept(page: Element) -> list[str]:
    return [field.value for field in page.all("textarea") + page.all("input")]


async def is_alive(live: Live) -> None:
    """The page goes on: what came before was handled, and nothing of it was shown."""
    await live.send(act="edit?ask", id="7777")
    await live.until("[role=alert]", "not there any more")
    assert not any(frame.all("form.act") or frame.all("#messages") for frame in live.frames)


# Numbers ------------------------------------------------------------------------------------------------


async def test_no_message_has_such_a_number(
    alice: Person, code: str, id: int, live: Live, chats: list[Context]
) -> None:
    async with nothing_stored(chats):
        for number in spelled(NOT_HERE, id):
            for act, form in FIELDS.items():
                for path, given in [
                    (f"{quote(number, safe='')}/{act}", {}),
                    ("act", {"act": act, "id": number}),
                    ("act", {"act": f"{number[:40]}/{act}"}),
                ]:
                    reply = await alice.post(f"/rooms/{code}/{path}", form | given)
                    assert reply.status == 404, (act, path, number)
                    assert TEXT not in reply.text
                await live.send(act=act, id=number, **form)
                await live.send(act=f"{number[:40]}/{act}", **form)
                if number.isdigit() and number.isascii():
                    await live.send(act=act, id=int(number[:400]), **form)
            assert (await alice.get(f"/rooms/{code}/{quote(number, safe='')}")).status == 404
            await is_alive(live)


async def test_a_field_that_is_no_number_of_anything_here_is_refused(
    alice: Person, code: str, id: int, live: Live, chats: list[Context]
) -> None:
    async with nothing_stored(chats):
        for number in spelled(NOT_HERE, id):
            reply = await alice.post(
                f"/rooms/{code}/messages", {"body": "typed", "key": "k", "reply": number}
            )
            assert (reply.status, "typed" in kept(reply.page)) == (422, True), number
            assert "not there any more" in reason(reply)
            reply = await alice.post(f"/rooms/{code}/{id}/edit", {"body": "typed", "version": number})
            assert (reply.status, "typed" in kept(reply.page)) == (409, True), number
            assert "changed in another window" in reason(reply)
            reply = await alice.post(f"/rooms/{code}/ignore", {"seat": number, "on": "1"})
            assert (reply.status, bool(reason(reply))) == (422, True), number
            if number not in (HUGE[0], HUGE[2]):  # up to there, everything is read
                reply = await alice.post(f"/rooms/{code}/read", {"id": number})
                assert (reply.status, bool(reason(reply))) == (422, True), number
            await live.send(body="typed", reply=number, key=secrets.token_hex(8), acked="0")
            form = await live.until("form.refused")
            assert (form.one("textarea").value, bool(form.one("[role=alert]").words)) == ("typed", True)
            await live.send(act=f"{id}/edit", body="typed", version=number)
            await live.until("hx-partial", "changed in another window")
            assert live.frames[-1].all("textarea")[-1].value == "typed"


async def test_a_link_with_such_a_number_leads_to_a_page(
    alice: Person, code: str, id: int, chats: list[Context]
) -> None:
    places = ["?before", "?after", "/earlier?before", "/later?after", "/search?q=own&before"]
    asked = [*(f"/rooms/{code}{place}=" for place in places), "/search?q=own&page="]
    async with nothing_stored(chats):
        for path, number in product(asked, spelled(NOT_HERE, id)):
            assert (await alice.get(path + quote(number))).status == 200, (path, number)


@pytest.mark.parametrize(
    "day", ["0000-00-00", "2026-02-30", "２０２６-11-22", "2026-1-2", "+026-11-22", "x" * 4301, "\0"]
)
async def test_a_day_that_is_none_is_asked_for_again(alice: Person, code: str, id: int, day: str) -> None:
    for path, status in [(f"/on/{quote(day)}", 404), (f"/on?date={quote(day)}", 422)]:
        reply = await alice.get(f"/rooms/{code}{path}")
        assert (reply.status, bool(reason(reply))) == (status, True)


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "9999-12-31"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_the_first_and_the_last_day_there_are_have_a_page(
    alice: Person, code: str, id: int, day: str, zone: str
) -> None:
    assert (await alice.post("/settings", {"zone": zone})).status == 303
    assert (await alice.get(f"/rooms/{code}/on/{day}")).status == 200
    assert (await alice.get(f"/rooms/{code}/search?q=own+before:{day}+after:{day}")).status == 200


# Reactions ----------------------------------------------------------------------------------------------


async def test_what_is_no_emoji_is_no_reaction(
    alice: Person, code: str, id: int, live: Live, chats: list[Context]
) -> None:
    async with nothing_stored(chats):
        for emoji in NO_EMOJI:
            form = {"emoji": encodable(emoji), "on": "1"}
            reply = await alice.post(f"/rooms/{code}/{id}/reactions", form)
            assert (reply.status, reason(reply)) == (422, "Please choose one emoji."), emoji
            await live.send(act=f"{id}/reactions", emoji=emoji, on="1")
            await live.until("[role=alert]", "choose one emoji")


async def test_a_switch_is_on_or_off(
    alice: Person, code: str, id: int, live: Live, chats: list[Context]
) -> None:
    async with nothing_stored(chats):
        for on in NO_SWITCH:
            for path, form in [
                (f"{id}/reactions", {"emoji": "👍"}),
                ("ignore", {"seat": "2"}),
                ("comings", {}),
            ]:
                reply = await alice.post(f"/rooms/{code}/{path}", form | {"on": on})
                assert (reply.status, bool(reason(reply))) == (422, True), (path, on)
            await live.send(act=f"{id}/reactions", emoji="👍", on=on)
            await live.until("[role=alert]")


# Texts --------------------------------------------------------------------------------------------------


async def test_an_edit_leaves_something_to_see(
    alice: Person, code: str, id: int, live: Live, chats: list[Context]
) -> None:
    async with nothing_stored(chats):
        for text in BLANK:
            reply = await alice.post(f"/rooms/{code}/{id}/edit", {"body": text})
            assert reply.status == 422
            assert "delete it" in reason(reply)
            await live.send(act=f"{id}/edit", body=text, version="")
            await live.until("hx-partial", "delete it")


async def test_ten_thousand_marks_are_refused_and_kept(
    alice: Person, code: str, id: int, live: Live, chats: list[Context]
) -> None:
    for mark in MARKS:
        text = mark * 10_000
        async with nothing_stored(chats):
            for path, given in [
                (f"{id}/edit", {}),
                ("messages", {"key": "k"}),
                ("messages", {"key": "k", "reply": f"{id}"}),
            ]:
                reply = await alice.post(f"/rooms/{code}/{path}", given | {"body": text})
                assert (reply.status, text in kept(reply.page)) == (422, True), path
                assert "too long" in reason(reply)
            await live.send(body=text, key=secrets.token_hex(8), acked="0")
            form = await live.until("form.refused")
            assert form.one("textarea").value == text[: len(form.one("textarea").value)]
            await live.send(act=f"{id}/edit", body=text)
            await live.until("hx-partial", "too long")


@pytest.mark.parametrize("mark", MARKS)
async def test_as_many_marks_as_fit_are_shown_as_they_were_typed(
    alice: Person, code: str, id: int, live: Live, mark: str
) -> None:
    text = "x" + mark * ((BODY_BYTES - 1) // len(mark.encode()))
    assert (await alice.post(f"/rooms/{code}/{id}/edit", {"body": text})).status == 303
    item = await live.until(f"#message-{id}", "x")
    assert item.one(".text").words.startswith("x" + mark.strip())
