"""What a newer release writes passes through an older one: kinds of messages and names in a meta."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import calls
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_store import BACKENDS

from chat.cluster.publications import dump_publications, load_changes, split_publication
from chat.model.changes import Change
from chat.model.messages import Delete, Edit, Message, Previous
from chat.model.meta import with_meta
from chat.model.notices import Notice, dump_notice
from chat.model.rooms import Position
from chat.store import Store, log
from chat.store.migrate import migrations_in, pending
from chat.store.records import columns, dump_change, encode_text, load_change
from chat.store.transaction import Transaction
from chat.views.assets import Assets, folder
from chat.views.look import LOOK
from chat.views.renderer import Renderer

ROOM = "BCDFGHJK"
RENDER = Renderer(folder("templates"), Assets(folder("static")))

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-(2**53), 2**53)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
metas = st.dictionaries(words | st.sampled_from(["edited", "notice", "text_rev"]), values, max_size=4)
kinds = st.sampled_from(["text", "notice", "poll", "", "\ufdd0"]) | words.filter(str.isprintable)


async def put(
    tx: Transaction, code: str, kind: str, meta: Any, body: str | None, author: int | None
) -> Change:
    """What a newer release might do: a message of any kind, with anything in its meta."""
    head = await log.rise(tx, (await log.head_of(tx, code)).room)
    name = "Ann" if author else ""
    message = Message(
        head.rev, head.rev, tx.now, author, name, 1, body, kind, with_meta(meta), Previous(None, 1)
    )
    text: Any = None if body is None else encode_text(body)
    if text is not None and tx.dialect.new_text:
        ((text,),) = await tx.fetch(tx.dialect.new_text, text)
    await tx.fetch(tx.dialect.insert, *columns(head.room, message, text))
    return Change(code, message, head.position)


def over_the_bus(change: Change) -> Change:
    (payload,) = dump_publications("one", [change])
    codes, changes = split_publication(payload.encode(), "two")
    assert codes == [change.code]
    (heard,) = load_changes(changes)
    return heard


def plain(value: Any) -> Any:
    """As json.loads would have it, with the types that tell 1 from 1.0 and True."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else (type(value), value)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("other", BACKENDS)
async def test_whatever_is_in_a_meta_survives_store_bus_and_store(
    backend: str, other: str, tmp_path: Path
) -> None:
    one, two = BACKENDS[backend](tmp_path)(), BACKENDS[other](_folder(tmp_path / "two"))()
    for store in (one, two):
        await store.open()
        await calls.open_room(store, ROOM)
        await calls.take_seat(store, ROOM, "ann", "Ann")
    written: list[Change] = []

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(kinds, metas, st.none() | words, st.none() | st.just(1))
    def generate(kind: str, meta: Any, body: str | None, author: int | None) -> None:
        cases.append((kind, meta, body, author))

    cases: list[tuple[str, Any, str | None, int | None]] = []
    generate()
    for kind, meta, body, author in cases:
        change = await one.write(ROOM, put, ROOM, kind, meta, body, author)
        heard = over_the_bus(change)
        assert heard == change
        assert plain(heard.message.meta) == plain(meta)
        message = heard.message
        written.append(
            await two.write(ROOM, put, ROOM, message.kind, message.meta, message.body, message.author)
        )
    stored = (await calls.history(two, ROOM, limit=1000)).messages
    assert stored == [change.message for change in written]
    for (kind, meta, body, author), message in zip(cases, stored, strict=True):
        assert (message.kind, message.body, message.author) == (kind, body, author)
        assert plain(message.meta) == plain(meta)
    for store in (one, two):
        await store.close()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@given(kinds, metas, st.none() | words, st.none() | st.just(1))
@settings(deadline=None)
def test_a_message_of_any_kind_and_meta_is_shown_somehow(
    kind: str, meta: Any, body: str | None, author: int | None
) -> None:
    author = author or (1 if kind == "text" else None)
    name = "Ann" if author else ""
    message = Message(7, 9, 1_800_000_000_000, author, name, 1, body, kind, with_meta(meta))
    html = RENDER.messages.message(ROOM, message)(LOOK)
    assert html.startswith('<li id="message-7"')
    assert 'value="9"></data></li>' in html


@pytest.mark.parametrize(
    ("kind", "meta"),
    [
        ("poll", {"question": "Tea?"}),
        ("notice", {}),
        ("notice", {"notice": {"verb": "knocked", "names": ["Ann"], "count": 1, "ended": []}}),
        ("notice", {"notice": {"verb": "left", "names": [], "count": 0, "ended": []}}),
    ],
)
def test_what_is_not_known_is_a_neutral_line(kind: str, meta: Any) -> None:
    html = RENDER.messages.message(
        ROOM, Message(7, 9, 1_800_000_000_000, None, "", 1, None, kind, with_meta(meta))
    )(LOOK)
    assert 'class="m notice"' in html
    assert "newer version" in html
    assert "Tea" not in html


@pytest.fixture(params=BACKENDS)
async def room(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = BACKENDS[request.param](tmp_path)()
    await store.open()
    await calls.open_room(store, ROOM)
    await calls.take_seat(store, ROOM, "ann", "Ann")
    yield store
    await store.close()


async def set_meta(tx: Transaction, code: str, id: int, meta: Any) -> Change:
    message = await calls.find_message(tx, code, id)
    return await log.change_message(tx, code, message, meta=with_meta(message.meta, **meta))


async def test_an_edit_keeps_what_features_keep_and_a_deletion_nothing(room: Store) -> None:
    await room.append(ROOM, 1, "key", "hello")
    await room.write(ROOM, set_meta, ROOM, 1, {"reactions": {"+": [1]}})
    edited = await calls.amend(room, ROOM, 1, Edit("bye"))
    assert edited.message.meta["reactions"] == {"+": (1,)}
    assert (edited.message.edited is not None, edited.message.text_rev) == (True, 3)
    again = await room.write(ROOM, set_meta, ROOM, 1, {"reactions": None})
    assert (again.message.rev, again.message.text_rev, again.message.body) == (4, 3, "bye")
    assert "reactions" not in again.message.meta
    assert (await calls.history(room, ROOM)).messages == [again.message]
    deleted = await calls.amend(room, ROOM, 1, Delete())
    assert (deleted.message.body, dict(deleted.message.meta)) == (None, {})
    assert (await calls.history(room, ROOM)).messages == [deleted.message]


async def test_a_notice_that_grows_keeps_what_a_newer_release_added_to_it(room: Store) -> None:
    told = await calls.announce(room, ROOM, "entered", [1])
    assert told
    assert told.message.notice == Notice("arrived", ("Ann",), 1)
    notice = {**told.message.meta["notice"], "reason": "knocked"}
    await room.write(ROOM, set_meta, ROOM, told.message.id, {"notice": notice, "seen": [1]})
    await calls.take_seat(room, ROOM, "bob", "Bob")
    grown = await calls.announce(room, ROOM, "entered", [2])
    assert grown
    assert grown.message.notice == Notice("arrived", ("Ann", "Bob"), 2)
    assert grown.message.meta["notice"]["reason"] == "knocked"
    assert grown.message.meta["seen"] == (1,)


async def test_seats_and_rooms_keep_a_meta_too(room: Store) -> None:
    async def mark(tx: Transaction) -> None:
        await tx.fetch("UPDATE room SET meta = $1 WHERE code = $2", '{"topic":"Tea"}', ROOM)
        await tx.fetch("UPDATE seat SET meta = $1", '{"away":true}')

    await room.write(ROOM, mark)
    found = await calls.find_room(room, ROOM)
    assert found
    assert dict(found.meta) == {"topic": "Tea"}
    ann = await calls.find_seat(room, ROOM, "ann")
    assert ann
    assert dict(ann.meta) == {"away": True}
    await calls.end_seat(room, ROOM, "ann")
    assert (await calls.take_seat(room, ROOM, "ann", "Ann")).meta == {"away": True}
    assert ann == await calls.take_seat(room, ROOM, "ann", "Ann"), (
        "a seat is the same whatever is kept with it"
    )


def test_a_meta_is_nobody_s_to_change() -> None:
    meta: Any = with_meta({"reactions": {"+": [1]}}, more=[[2]])
    for part in (meta, meta["reactions"]):
        with pytest.raises(TypeError, match="does not support item assignment"):
            part["+"] = 1
    for part in (meta["reactions"]["+"], meta["more"], meta["more"][0]):
        assert isinstance(part, tuple)


CHANGE = Change(ROOM, Message(1, 1, 1, 1, "Ann", 1, "hello"), Position("e", 1))


def test_a_field_more_at_the_end_is_passed_over() -> None:
    assert load_change([*json.loads(dump_change(CHANGE)), "new"]) == CHANGE


@pytest.mark.parametrize(
    "spoil",
    [
        lambda fields: fields[:-1],
        lambda fields: [*fields[:3], True, *fields[4:]],
        lambda fields: [*fields[:2], "1", *fields[3:]],
        lambda fields: [*fields[:11], "[1]", *fields[12:]],
        lambda fields: [*fields[:11], "{", *fields[12:]],
        lambda fields: dict(enumerate(fields)),
        lambda fields: 7,
    ],
)
def test_what_is_no_change_is_refused(spoil: Callable[[Any], Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        load_change(spoil(json.loads(dump_change(CHANGE))))


def test_migrations_are_numbered_and_say_who_can_work_with_them(tmp_path: Path) -> None:
    (tmp_path / "001.sql").write_text("-- oldest: 1\nONE")
    (tmp_path / "002.sql").write_text("-- oldest: 2\nTWO")
    found = migrations_in(tmp_path)
    assert [(number, m.oldest, m.script[-3:]) for number, m in pending(found, 0)] == [
        (1, 1, "ONE"),
        (2, 2, "TWO"),
    ]
    assert [number for number, _ in pending(found, 1)] == [2]
    assert pending(found, 2) == pending(found, 9) == []
    (tmp_path / "004.sql").write_text("-- oldest: 1\n")
    with pytest.raises(ValueError, match="numbered one by one"):
        migrations_in(tmp_path)
    (tmp_path / "004.sql").rename(tmp_path / "003.sql").write_text("CREATE TABLE t (id)")
    with pytest.raises(ValueError, match="does not say which programs"):
        migrations_in(tmp_path)


def test_notices_of_every_shape_are_read_or_passed_over() -> None:
    notice = Notice("left", ("Ann", "Bob"), 2, (1,))
    message = Message(1, 1, 1, None, "", 1, None, "notice", with_meta({"notice": dump_notice(notice)}))
    assert message.notice == notice
    assert Message(1, 1, 1, None, "", 1, None, "notice", with_meta({"notice": 7})).notice is None
