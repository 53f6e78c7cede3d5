"""What people can send to act on a message has bounds: in length, in rate, and in work of the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from calls import asked_for
from deployments import ONE
from people import FORM, ORIGIN, Person, ids, until

from chat import limits
from chat.context import Context
from chat.live import frames
from chat.model.messages import BODY_FIELD, BODY_TYPED
from chat.web.act import call_of

Pairs = Sequence[tuple[str, str]]
EDIT, REACT, DELETE = limits.EDITS.name, limits.REACTIONS.name, limits.DELETIONS.name
FRAME = limits.MESSAGES.name  # the rate of every frame that has none of its own
MANY = "x" * (BODY_TYPED + 1)

# An act (ID is the text), the other fields, the status, and the rate: none if it costs no question.
FORMS: list[tuple[str, Pairs, int, str]] = [
    # Names and numbers
    ("ID/pin", (), 404, ""),
    ("ID/", (), 404, ""),
    ("ID/EDIT", (), 404, ""),
    ("ID/edit/edit", (), 404, ""),
    ("edit", (), 404, ""),
    ("edit", [("id", "0")], 404, ""),
    ("edit", [("id", "-ID")], 404, ""),
    ("edit", [("id", "\u0663")], 404, ""),
    ("edit", [("id", "9" * 16)], 404, ""),
    ("edit", [("id", "9" * 4301)], 404, ""),
    (f"{'9' * 16}/edit", (), 404, ""),
    (f"{'/' * 60}edit", (), 404, ""),
    ("", (), 404, ""),
    (f"ID/edit?{'&' * 200}", (), 422, EDIT),
    ("ID/reactions?a=1&b=2&c=3&d=4&emoji=%F0%9F%91%8D&on=1", (), 422, REACT),  # too many fields: none of them
    # Changed texts
    ("ID/edit", (), 422, EDIT),
    ("ID/edit", [("body", MANY)], 422, EDIT),
    ("ID/edit", [("body", "\u2800" * (BODY_TYPED // 2))], 422, EDIT),
    ("ID/edit", [("body", MANY), ("body", "second")], 422, EDIT),  # the first one counts
    ("ID/edit", [("body[text]", "nested")], 422, EDIT),
    # Reactions
    ("ID/reactions", (), 422, REACT),
    ("ID/reactions", [("emoji", "x"), ("on", "1")], 422, REACT),
    ("ID/reactions", [("emoji", "👍👍"), ("on", "1")], 422, REACT),
    ("ID/reactions", [("emoji", "👍" * 10_000), ("on", "1")], 422, REACT),
    ("ID/reactions", [("emoji", "\u200d" * 64), ("on", "1")], 422, REACT),
    ("ID/reactions", [("emoji", "👍"), ("on", "2")], 422, REACT),
    ("ID/reactions", [("emoji", "👍"), ("on", "1" * 1000)], 422, REACT),
    ("ID/reactions", [("emoji", "x"), ("emoji", "👍"), ("on", "1")], 422, REACT),
    ("ID/reactions?emoji=x", [("emoji", "👍"), ("on", "1")], 422, REACT),  # what the button says counts
]

# The same of a frame, as JSON: what it may be there and not in a form.
FRAMES: list[tuple[str, str]] = [
    ('{"act": null}', FRAME),
    ('{"act": true, "id": "ID"}', FRAME),
    ('{"act": 7, "id": "ID"}', FRAME),
    ('{"act": ["ID/edit"], "body": "x"}', FRAME),
    ('{"act": {"name": "ID/edit"}, "body": "x"}', FRAME),
    ('{"act": ' + "[" * 500 + "]" * 500 + "}", FRAME),
    ('{"act": "edit", "id": ["ID"], "body": "x"}', FRAME),
    ('{"act": "edit", "id": {"ID": 1}, "body": "x"}', FRAME),
    ('{"act": "edit", "id": true, "body": "x"}', FRAME),
    ('{"act": "edit", "id": 1.5, "body": "x"}', FRAME),
    ('{"act": "edit", "id": ' + "9" * 4000 + ', "body": "x"}', FRAME),
    ('{"act": "ID/edit", "act": "ID/pin", "body": "x"}', FRAME),  # the last one counts
    ('{"act": "ID/edit", "body": {"text": "x"}}', EDIT),
    ('{"act": "ID/edit", "body": [["x"]]}', EDIT),
    ('{"act": "ID/edit", "body": [7]}', EDIT),
    ('{"act": "ID/edit", "body": ' + json.dumps(["x"] * 101) + "}", EDIT),
    ('{"act": "ID/edit", "body": ' + json.dumps(["x" * 2000] * 100) + "}", EDIT),
    ('{"act": "ID/edit", "body": "x", "body": ""}', EDIT),
    ('{"act": "ID/reactions", "emoji": ["👍"], "on": "1"}', REACT),
    ('{"act": "ID/reactions", "emoji": {"👍": "👍"}, "on": "1"}', REACT),
    ('{"act": "ID/reactions", "emoji": "👍", "on": 1}', REACT),
    ('{"act": "ID/reactions", "emoji": "👍", "on": true}', REACT),
]
FRAMES += [
    (json.dumps({"act": act, **dict(reversed(pairs))}, ensure_ascii=False), rate or FRAME)
    for act, pairs, _, rate in FORMS
]


@pytest.fixture
async def id(alice: Person, code: str) -> int:
    await alice.write(code, "a text")
    [id] = ids(await alice.look(code))
    return id


class Spent:
    """What was asked of the store, and which rates counted."""

    def __init__(self, chat: Context, patch: pytest.MonkeyPatch) -> None:
        self.questions: list[str] = []
        self.rates: list[str] = []
        for kind in ("read", "snapshot", "write"):
            patch.setattr(chat.store, kind, self._noting(getattr(chat.store, kind)))
        patch.setattr(chat.limits, "take", self._counting(chat.limits.take))

    def _noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def asked(*arguments: Any) -> Any:
            self.questions.append(asked_for(arguments))
            return await original(*arguments)

        return asked

    def _counting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def take(rate: limits.Rate, *arguments: Any) -> float:
            self.rates.append(rate.name)
            return float(await original(rate, *arguments))

        return take


@pytest.fixture
def spent(alice: Person, code: str, id: int, chat: Context, monkeypatch: pytest.MonkeyPatch) -> Spent:
    return Spent(chat, monkeypatch)


def _post(person: Person, path: str, pairs: Pairs) -> Any:
    return person.ask("POST", path, {"Origin": ORIGIN, "Content-Type": FORM}, urlencode(pairs).encode())


@pytest.mark.parametrize("deployment", [ONE])
@pytest.mark.parametrize(("act", "pairs", "status", "rate"), FORMS, ids=lambda value: str(value)[:60])
async def test_a_form_is_refused_before_anything_is_written(
    alice: Person, code: str, id: int, spent: Spent, act: str, pairs: Pairs, status: int, rate: str
) -> None:
    given = [(name, value.replace("ID", str(id))) for name, value in [("act", act), *pairs]]
    reply = await _post(alice, f"/rooms/{code}/act", given)
    assert reply.status == status
    assert spent.rates == ([rate] if rate else [])
    assert spent.questions == (["find_seat", "_read_page"] if rate else []), "its page, with the reason"
    assert await alice.texts(code) == ["a text"]


@pytest.mark.parametrize("deployment", [ONE])
@pytest.mark.parametrize(("frame", "rate"), FRAMES, ids=lambda value: str(value)[:60])
async def test_a_frame_is_refused_before_anything_is_written(
    alice: Person, code: str, id: int, spent: Spent, frame: str, rate: str
) -> None:
    async with alice.in_room(code) as live:
        spent.questions.clear()
        spent.rates.clear()
        await live.send_text(frame.replace("ID", str(id)))
        if rate == FRAME:
            await until(lambda: spent.rates)
        else:
            shown = await live.until("hx-partial")
            assert shown.all("[role=alert]")
            assert len(live.raw[-1]) < 2 * BODY_TYPED, "what was typed comes back, up to a bound"
        await live.send(body="alive", key="k", acked="0")
        await live.until("li .text", "alive")
    assert spent.rates[0] == rate
    assert spent.questions in ([], ["_read_text"]), "its form, with the reason"
    assert await alice.texts(code) == ["a text", "alive"]


@pytest.mark.parametrize("deployment", [ONE])  # several nodes go by the clock of Redis
async def test_over_the_rate_no_form_is_shown(
    alice: Person, code: str, id: int, chat: Context, spent: Spent
) -> None:
    async with alice.in_room(code) as live:
        [connection] = chat.hub.feeds[code].connections
        person = connection.member.person
        while await chat.limits.take(limits.MESSAGES, person, limits.PATIENCE) <= limits.PATIENCE:
            pass
        spent.questions.clear()
        await live.send(act="edit?ask", id=str(id))
        refused = await live.until("hx-partial", "too fast")
        assert refused["hx-target"] == "#notice"
    assert not spent.questions


@pytest.mark.parametrize("deployment", [ONE])
async def test_over_the_rate_of_pages_no_page_about_a_message_is_read(
    alice: Person, code: str, id: int, chat: Context, spent: Spent
) -> None:
    async with alice.in_room(code):
        [connection] = chat.hub.feeds[code].connections
    while not chat.own_limits.take(limits.PAGES, connection.member.person):
        pass
    spent.questions.clear()
    assert (await alice.get(f"/rooms/{code}/{id}")).status == 429
    assert spent.questions == ["find_seat"]
    spent.questions.clear()
    reply = await alice.post(f"/rooms/{code}/{id}/edit", {"body": MANY})
    assert (reply.status, spent.questions) == (422, ["find_seat"]), "the reason alone, and what was typed"
    assert MANY in reply.text


def test_fields_are_cut_to_what_their_rules_look_at() -> None:
    call = call_of("7/edit", 0, {"body": "x", "version": "9", "emoji": "👍", "on": "1", "name": "Ann"})
    assert (call.id, call.name, "name" in call.fields) == (7, "edit", False)
    frame = frames.parse(json.dumps({"act": "a" * 999, "emoji": "👍" * 999, "on": "1" * 999}))
    assert frame is not None
    assert all(len(value) <= frames.TOKEN + 1 for value in frame.values())
    button = call_of(f"7/edit?body={'x' * 2 * BODY_TYPED}&version={'1' * 99}&on={'1' * 99}", 0, {})
    assert {name: len(value) for name, value in button.fields.items()} == {
        "body": BODY_TYPED + 1,
        "version": 16,
        "on": 9,
    }
    assert BODY_FIELD < BODY_TYPED
