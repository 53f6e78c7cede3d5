"""Every field is measured before anything else: no length of it costs the server time."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from people import FORM, ORIGIN, Person

from chat.live import frames
from chat.model.messages import BODY_TYPED
from chat.views.reader import Choices
from chat.web import fields

LONG = {
    "marks in two orders": "a" + "\u0301" * 60_000 + "\u0316" * 60_000,
    "marks alone": "\u0316\u0301" * 50_000,
    "spaces": " " * 200_000,
    "dashes": "-" * 200_000,
    "digits": "9" * 200_000,
    "Arabic digits": "\u0663" * 100_000,
    "ligatures of eighteen letters": "\ufdfa" * 60_000,
    "invisible characters": "\u200b" * 80_000,
    "slashes": "/" * 200_000,
    "letters": "B" * 200_000,
}
NORMALISED = 2_000  # characters that may be normalised at once: a bound of ours, with room for expansions
SECONDS = 2.0  # of the processor, for a request that takes some ms; the first of these texts once took 29.5

POSTED = [
    ("/", "name", {"create": "1"}),
    ("/", "name", {"join": "1", "code": "ZZZZ2222"}),
    ("/", "code", {"join": "1", "name": "Ann"}),
    ("/", "create", {"name": ""}),
    ("/rooms/CODE", "name", {}),
    ("/rooms/CODE/messages", "body", {"key": "k", "acked": "0"}),
    ("/rooms/CODE/messages", "key", {"body": "hello", "acked": "0"}),
    ("/rooms/CODE/messages", "acked", {"body": "hello", "key": "k"}),
    ("/rooms/CODE/messages", "again", {"body": "hello", "key": "k"}),
    ("/rooms/CODE/composer", "body", {"lines": "many"}),
    ("/rooms/CODE/composer", "lines", {"body": "hello"}),
    ("/rooms/CODE/composer", "spare", {"body": "hello", "lines": "many"}),
    ("/rooms/CODE/leave", "anything", {}),
    ("/rooms/CODE/name", "name", {}),
    *(
        ("/rooms/CODE/title", field, {"title": "Regatta"})
        for field in ("title", "topic", "former_title", "former_topic")
    ),
    ("/rooms/CODE/comings", "on", {}),
    ("/rooms/CODE/read", "id", {}),
    *(("/settings", field, {"clock": "12"}) for field in (*Choices._fields, "room")),
    ("/", "title", {"name": "Ann", "create": "1"}),
    ("/", "title", {"name": "Ann", "go": "1"}),
    *(("/rooms/CODE/act", field, {"act": "2/edit", "body": "hello"}) for field in ("act", "id", "body")),
    *(("/rooms/CODE/2/edit", field, {"body": "hello"}) for field in ("body", "version", "emoji")),
    *(("/rooms/CODE/2/reactions", field, {"emoji": "👍", "on": "1"}) for field in ("emoji", "on")),
    ("/rooms/CODE/2/delete", "body", {}),
]
ASKED = [
    "/rooms/LONG",
    "/rooms/LONG/earlier",
    "/rooms/LONG/stream",
    "/rooms/LONG/later",
    "/rooms/LONG/on",
    "/rooms/CODE/on/LONG",
    "/rooms/CODE/on?date=LONG",
    "/rooms/CODE?after=LONG",
    "/rooms/CODE/later?after=LONG",
    "/rooms/CODE?before=LONG",
    "/rooms/CODE/earlier?before=LONG",
    "/rooms/CODE?LONG=1",
    "/settings?room=LONG",
    "/settings?offset=LONG",
    "/settings?LONG",
    "/rooms/CODE/LONG",
    "/rooms/CODE/2/LONG",
    "/rooms/LONG/2/edit",
    "/rooms/CODE/LONG/edit",
    "/seats/LONG.css",
    "/seats/LONG/1.css",
    "/static/LONG",
    "/LONG",
]
FRAMES: list[dict[str, Any]] = [
    {"k": "LONG"},
    {"k": "resume", "epoch": "LONG"},
    {"k": "resume", "since": "LONG"},
    {"k": "resume", "outage": "LONG"},
    {"body": "LONG", "key": "k", "acked": "0"},
    {"body": ["LONG", "LONG"], "key": "k", "acked": "0"},
    {"body": "hello", "key": "LONG"},
    {"body": "hello", "key": "k", "acked": "LONG"},
    {"body": "hello", "key": "k", "again": "LONG"},
    {"LONG": "hello"},
    {"act": "LONG", "id": "2"},
    {"act": "2/edit?body=LONG"},
    {"act": "edit", "id": "LONG", "body": "hello"},
    {"act": "2/edit", "body": "LONG"},
    {"act": "2/edit", "body": "hello", "version": "LONG"},
    {"act": "2/reactions", "emoji": "LONG", "on": "LONG"},
]


@pytest.fixture(params=list(LONG.values()), ids=list(LONG))
def long(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test in which a long text is normalised, or the processor is busy for long."""
    normalised = [0]

    def normalize(form: Any, text: str, original: Any = unicodedata.normalize) -> str:
        normalised.append(len(text))
        return str(original(form, text[: NORMALISED + 1]))

    monkeypatch.setattr(unicodedata, "normalize", normalize)
    began = time.process_time()
    yield
    assert max(normalised) <= NORMALISED
    assert time.process_time() - began < SECONDS


def _encoded(form: dict[str, str]) -> bytes:
    """As a program would send it that wants to send much: only what has to be is escaped."""
    return "&".join(
        f"{name}={value}" if len(value) > 100 else f"{name}={quote(value)}" for name, value in form.items()
    ).encode()


@pytest.fixture
async def room(alice: Person) -> str:
    """One with a text in it, which has the number 2."""
    code = await alice.create()
    await alice.write(code, "hello")
    return code


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(("path", "field", "form"), POSTED)
async def test_no_posted_field_costs_time_however_long_it_is(
    alice: Person, client: Person, room: str, path: str, field: str, form: dict[str, str], long: str
) -> None:
    person = client if path == "/rooms/CODE" else alice
    reply = await person.ask(
        "POST",
        path.replace("CODE", room),
        {"Origin": ORIGIN, "Content-Type": FORM},
        _encoded(form | {field: long}),
    )
    assert reply.status in {200, 303, 400, 404, 409, 413, 422}
    if field in {"name", "code"}:
        assert reply.status == 422
        control = reply.page.one(f"[name={field}]")
        assert control["aria-invalid"] == "true"
        assert reply.page.one(f"#{control['aria-describedby']}").words
        assert control.value == long[: fields.LIMITS[field] + 1]  # what was typed is kept, up to a bound


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("path", ASKED)
async def test_no_address_costs_time_however_long_it_is(
    alice: Person, room: str, path: str, long: str
) -> None:
    reply = await alice.get(path.replace("CODE", room).replace("LONG", quote(long)))
    refused = {422} if "date=" in path else set()  # the only one that is of a form
    assert reply.status in {200, 301, 308, 400, 403, 404} | refused


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("path", ["/rooms?rail=LONG", "/rooms?beside=LONG", "/rooms?LONG", "/join?code=LONG"])
async def test_no_query_beside_a_room_costs_time_however_long_it_is(
    alice: Person, room: str, path: str, long: str
) -> None:
    reply = await alice.get(path.replace("LONG", quote(long)), hx_request="true")
    assert reply.status in {200, 303, 422}
    assert len(reply.body) < 20_000


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("frame", FRAMES, ids=str)
async def test_no_field_of_a_frame_costs_time_however_long_it_is(
    alice: Person, room: str, frame: dict[str, Any], long: str
) -> None:
    async with alice.live(room) as live:
        text = json.dumps(frame, ensure_ascii=False)
        await live.send_text(text.replace("LONG", long))
        await live.send(body="the connection is well", key="other", acked="0")
        await live.resume(epoch="", since="0")
        await live.until("li .text", "the connection is well")


async def test_a_number_too_long_is_none_and_fails_nothing(alice: Person, room: str) -> None:
    """4,300 nines are a number to Python, and one more is an error."""
    for acked in ("9" * 4300, "-1", "\u0663", "1e3", "", "9" * 15):
        reply = await alice.post(f"/rooms/{room}/messages", {"body": f"after {acked[:3]}", "acked": acked})
        assert reply.status == 303


async def test_a_text_too_long_comes_back_whole(alice: Person, room: str) -> None:
    text = "\u0316\u0301" * 40_000
    reply = await alice.ask(
        "POST",
        f"/rooms/{room}/messages",
        {"Origin": ORIGIN, "Content-Type": FORM},
        _encoded({"body": text}),
    )
    assert reply.status == 422
    assert reply.page.one("#texts [name=body]").value == text


# Frames -----------------------------------------------------------------------------------------------


def test_of_a_frame_only_what_is_known_is_kept_and_cut() -> None:
    frame = {"k": "resume", "key": "k" * 1000, "since": 7, "acked": [{}] * 1000, "z": "x" * 1000}
    kept = frames.parse(json.dumps(frame).encode())
    assert kept == {"k": "resume", "key": "k" * 65, "since": 7, "acked": None}


@pytest.mark.parametrize("raw", [None, b"", b"[]", b"7", b"{", b"\xff{}", b"[" * 200_000])
def test_what_is_no_object_is_no_frame(raw: bytes | None) -> None:
    assert frames.parse(raw) is None


TEXTS = {
    "one": ("x", ["x"]),
    "several": (["x", ""], ["x", ""]),
    "long": (["🩷" * 20_000, "\ud83e"], ["🩷" * 20_000, "\ud83e"]),
    "longer than any field": ("x" * 50_000, ["x" * (BODY_TYPED + 1)]),
    "a number": (7, None),
    "a list with a number": (["x", 7], None),
    "more than a page keeps": (["x"] * 101, None),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_of_a_frame_come_as_they_were_sent(kind: str) -> None:
    body, texts = TEXTS[kind]
    frame = frames.parse(json.dumps({"body": body}).encode())
    assert frame is not None
    assert (frame["body"] and list(frame["body"])) == texts
