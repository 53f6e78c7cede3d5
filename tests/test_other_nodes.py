"""What a node keeps of the people on others: entries as they are written, and reads that end halfway."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from chat.cluster.connection import RedisUnavailable
from chat.cluster.other_nodes import OtherNodes
from chat.cluster.own_entries import BATCH, OwnEntries
from chat.model.members import Member
from chat.model.meta import with_meta

ROOM = "BCDFGHJK"


class Registry:
    """The rosters in Redis, which may fail after some calls."""

    def __init__(self, rosters: dict[str, list[bytes]], calls: int = 1000) -> None:
        self.rosters = rosters
        self.calls = calls

    async def run(self, verb: str, codes: Sequence[str]) -> list[tuple[list[bytes], list[bytes]]]:
        assert verb == "rosters"
        if not self.calls:
            raise RedisUnavailable("away")
        self.calls -= 1
        return [(self.rosters.get(code, []), []) for code in codes]


async def _read(others: OtherNodes) -> list[str]:
    return [code async for codes in others.read(add_only=False) for code in codes]


@pytest.mark.parametrize("meta", [{}, {"pronouns": "she/her", "unknown": {"a": [1, None]}}])
async def test_a_member_comes_back_with_their_meta(meta: dict[str, Any]) -> None:
    ann = Member(ROOM, 1, "person-a", "Ann \0 <b>", 2, with_meta({}, **meta))
    own = OwnEntries()
    own.add(ann)
    ((code, number, entry),) = own.dump(next(own.batches()))["seats"]
    others = OtherNodes("here", {ROOM}, Registry({code: [f"{number} there".encode(), entry.encode()]}).run)
    others.changed([ROOM])
    assert await _read(others) == [ROOM]
    (found,) = others.people(ROOM)
    assert (found, found.meta) == (ann, ann.meta)


async def test_an_entry_of_a_newer_release_is_read() -> None:
    entry = json.dumps(["person-a", "Ann", 1, '{"away":true}', "more"]).encode()
    others = OtherNodes("here", {ROOM}, Registry({ROOM: [b"1 there", entry]}).run)
    others.changed([ROOM])
    assert await _read(others) == [ROOM]
    assert [member.meta for member in others.people(ROOM)] == [{"away": True}]


async def test_rooms_that_were_read_before_redis_failed_are_announced_once() -> None:
    codes = [f"{n:08}" for n in range(BATCH + 10)]
    roster = [b"1 there", json.dumps(["person-a", "Ann", 1]).encode()]
    registry = Registry(dict.fromkeys(codes, roster), calls=1)
    others = OtherNodes("here", codes, registry.run)
    others.changed(codes)
    reading = others.read(add_only=False)
    announced = await anext(reading)
    with pytest.raises(RedisUnavailable):
        await anext(reading)
    assert len(announced) == BATCH
    registry.calls = 1000
    assert sorted(announced + await _read(others)) == sorted(codes)


BAD = {
    "no JSON": (b"1 there", b"nonsense"),
    "another shape": (b"1 there", b'{"person": "person-a"}'),
    "too few fields": (b"1 there", b'["person-a", "Ann"]'),
    "no seat": (b"there", b'["person-a", "Ann", 1]'),
    "no UTF-8": (b"1 \xff", b'["person-a", "Ann", 1]'),
    "deep": (b"1 there", b"[" * 100_000),
    "meta that is none": (b"1 there", b'["person-a", "Ann", 1, "[]"]'),
}


@pytest.mark.parametrize("kind", BAD)
async def test_an_entry_that_is_none_keeps_nobody_else_from_the_roster(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = [b"2 there", json.dumps(["person-b", "Bob", 1]).encode()]
    registry = Registry({ROOM: [*BAD[kind], *good], "before": good, "zzz": good})
    others = OtherNodes("here", ["before", ROOM, "zzz"], registry.run)
    others.changed(["before", ROOM, "zzz"])
    assert sorted(await _read(others)) == sorted(["before", ROOM, "zzz"])
    assert [member.name for member in others.people(ROOM)] == ["Bob"]
    assert caplog.text.count("entry-ignored") == 1
