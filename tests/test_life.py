"""Texts of a page's life: every document that begins to live writes under a key of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from deployments import ONE
from dom import Element
from people import Live, Person

from chat.model import receipts
from chat.model.receipts import Receipts
from chat.web import acknowledging


@pytest.fixture
def deployment() -> str:
    """Both keep texts by the same key; what this module asks is the page's side."""
    return ONE


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledging, "ACKNOWLEDGE", 0.0)
    monkeypatch.setattr(acknowledging, "AGAIN", 0.02)


@asynccontextmanager
async def opened(person: Person, code: str, **fields: object) -> AsyncIterator[Live]:
    """A page out of any HTML there is of this room: its first resume has no life."""
    page = await person.look(code)
    assert page.one("#composer #life").value == ""
    async with person.live(code) as live:
        await live.resume(page, life="", **fields)
        yield live


async def life_of(live: Live) -> str:
    while True:
        for part in (await live.frame()).all("hx-partial"):
            if part["hx-target"] == '#life[value=""]':
                return part.one("data[name=life]").value


async def test_a_page_without_a_life_is_dealt_one_and_two_pages_never_share_it(
    alice: Person, code: str
) -> None:
    async with opened(alice, code) as first, opened(alice, code) as second:
        lives = [await life_of(first), await life_of(second)]
    assert len(set(lives)) == 2
    assert all(receipts.read_life(life)[1] == 0 for life in lives)


async def test_the_same_text_written_in_two_lives_of_one_document_is_two_messages(
    alice: Person, bob: Person, code: str
) -> None:
    """Back, a restored session, a discarded or duplicated tab: the same HTML, another life."""
    key = (await alice.look(code)).one("#composer [name=key]").value
    for _ in range(3):
        async with opened(alice, code) as live:
            life = await life_of(live)
            await live.send(body="ok", key=key, acked="0", life=life)
            await live.until("li .text", "ok")
    assert await bob.texts(code) == ["ok"] * 3


async def test_a_text_without_a_life_waits_until_its_page_has_one(
    alice: Person, bob: Person, code: str
) -> None:
    async with opened(alice, code, body=["one", "two"]) as live:
        life = await life_of(live)
        again = live.frames[-1].one("hx-partial[hx-target=#pending] i")
        assert (again["hx-trigger"], again["hx-include"]) == (
            "load",
            "#life, #texts>:not(:last-child), #replies",
        )
        assert await bob.texts(code) == []
        await live.send(k="pending", life=life, body=["one", "two"])
        await live.until("li .text", "two")
    assert await bob.texts(code) == ["one", "two"]


async def test_a_text_sent_before_the_life_came_is_asked_for_again(
    alice: Person, bob: Person, code: str
) -> None:
    async with opened(alice, code) as live:
        life = await life_of(live)
        await live.send(body="early", life="", key="page", acked="0")
        await live.until("hx-partial[hx-target=#pending] i")
        assert await bob.texts(code) == []
        await live.send(k="pending", life=life, body="early")
        await live.until("li .text", "early")
        await live.send(k="pending", life=life, body="early")
        await live.send(k="pending", life=life)
        await live.send(body=["early", "next"], life=life)
        await live.until("li .text", "next")
    assert await bob.texts(code) == ["early", "next"]


async def test_a_life_goes_on_over_connections_and_stores_its_texts_once(
    alice: Person, bob: Person, code: str
) -> None:
    async with opened(alice, code) as live:
        life = await life_of(live)
        await live.send(body="in flight", life=life)
        await live.until("li .text", "in flight")
    page = await alice.look(code)
    for _ in range(2):
        async with alice.live(code) as live:
            await live.resume(page, life=life, body=["in flight", "and this"])
            await live.until("hx-partial #life")
    assert await bob.texts(code) == ["in flight", "and this"]


async def test_a_life_that_makes_no_sense_stores_nothing_and_is_replaced_by_nothing(
    alice: Person, bob: Person, code: str
) -> None:
    senseless = ["x", "x.", ".1", 'a"].1', "é.1", "a.1.1", "a" * 41 + ".0", "a.-1", "a." + "1" * 16]
    async with opened(alice, code) as live:
        await life_of(live)
        for life in senseless:
            await live.send(body="text", life=life)
        await live.until("hx-partial[hx-target=#pending] i")
        for part in (part for frame in live.frames for part in frame.all("hx-partial")):
            assert part["hx-target"] in {'#life[value=""]', "#pending", "#roster"}
    assert await bob.texts(code) == []


# Acknowledgements ---------------------------------------------------------------------------------------


def taken(frame: Element) -> list[tuple[str, str]]:
    """For each count that a page may have: the controls that go, and its new life."""
    parts = [part for part in frame.all("hx-partial") if "#texts" in part["hx-target"]]
    return [
        (one["hx-target"], two.one("data").value) for one, two in zip(parts[::2], parts[1::2], strict=True)
    ]


async def test_a_control_goes_only_once_and_only_when_there_is_another(alice: Person, code: str) -> None:
    async with opened(alice, code) as live:
        life = await life_of(live)
        key = receipts.read_life(life)[0]
        await live.send(body="one", life=life)
        await live.until("hx-partial #life")
        assert taken(live.frames[-1]) == [
            (
                f'#composer:has(#life[value="{key}.0"]) '
                ":is(#texts,#replies):has(>:nth-child(2))>:nth-child(-n+1)",
                f"{key}.1",
            )
        ]
        await live.until("hx-partial #life")  # once more, for a page whose next control was slow
        assert taken(live.frames[-1])[0][1] == f"{key}.1"
        await live.send(body="two", life=f"{key}.1")
        await live.until("hx-partial #life", "")
        assert f'[value="{key}.1"]' in taken(live.frames[-1])[0][0]


async def test_a_page_whose_control_did_not_go_is_told_with_the_next_one(alice: Person, code: str) -> None:
    async with opened(alice, code) as live:
        life = await life_of(live)
        key = receipts.read_life(life)[0]
        await live.send(body="one", life=life)
        await live.until("hx-partial #life")
        await live.send(body=["one", "two"], life=life)
        while taken(live.frames[-1])[-1][1] != f"{key}.2":
            await live.until("hx-partial #life")
        targets = [target for target, _ in taken(live.frames[-1])]
        assert [f"{key}.{n}" in target for n, target in enumerate(targets)] == [True] * len(targets)
        assert "nth-child(3)" in targets[0]
        assert "nth-child(-n+2)" in targets[0]
    assert await alice.texts(code) == ["one", "two"]


# Letters that land in a control after it was sent -------------------------------------------------------

FRAMES: list[tuple[str, list[tuple[str | None, list[str]]], list[str]]] = [
    ("no stray", [(None, ["a"]), (None, ["a", "b"])], ["a", "b"]),
    ("in the next text", [(None, ["one"]), (None, ["one tw", "o"])], ["one", " two"]),
    ("again in the same control", [(None, ["one"]), (None, ["onetwo"])], ["one", "two"]),
    ("the same text again", [(None, ["ok"]), (None, ["okok"]), (None, ["okokok"])], ["ok"] * 3),
    ("reported", [(None, ["one"]), ("late", ["onet"]), (None, ["onetw", "o"])], ["one", "two"]),
    ("both", [(None, ["a"]), (None, ["ab"]), (None, ["abc", "d"])], ["a", "b", "cd"]),
    ("repeated frames", [(None, ["a"]), (None, ["a"]), ("pending", ["a"])], ["a"]),
    ("only reported", [("late", ["draft"])], []),
    ("enter in an empty control", [(None, ["a"]), (None, ["ab", ""]), (None, ["ab", "", ""])], ["a", "b"]),
    ("changed", [(None, ["one"]), (None, ["two", "x"])], ["one", "two", "x"]),
]  # fmt: skip


@pytest.mark.parametrize(("frames", "texts"), [row[1:] for row in FRAMES], ids=[row[0] for row in FRAMES])
async def test_letters_typed_after_enter_begin_the_next_text(
    alice: Person, bob: Person, code: str, frames: list[tuple[str | None, list[str]]], texts: list[str]
) -> None:
    async with opened(alice, code) as live:
        life = await life_of(live)
        for kind, body in frames:
            await live.send(**({"k": kind} if kind else {}), body=body, life=life)
        await live.send(body="end", key="other")
        await live.until("li .text", "end")
    assert [text.strip() for text in await bob.texts(code)] == [*(text.strip() for text in texts), "end"]


# What was replaced before its page had a key is nowhere any more.
EARLY = [row if row[0] != "changed" else (*row[:2], ["two", "x"]) for row in FRAMES if row[1][0][0] is None]


@pytest.mark.parametrize(("frames", "texts"), [row[1:] for row in EARLY], ids=[row[0] for row in EARLY])
async def test_letters_typed_after_enter_begin_the_next_text_before_the_life_came_too(
    alice: Person, bob: Person, code: str, frames: list[tuple[str | None, list[str]]], texts: list[str]
) -> None:
    async with opened(alice, code) as live:
        life = await life_of(live)
        for kind, body in frames:
            await live.send(**({"k": kind} if kind else {}), body=body, life="")
        await live.until("hx-partial[hx-target=#pending] i")
        for _ in range(2):
            await live.send(k="pending", body=frames[-1][1], life=life)
        await live.send(body="end", key="other")
        await live.until("li .text", "end")
    assert [text.strip() for text in await bob.texts(code)] == [*(text.strip() for text in texts), "end"]


async def test_a_letter_reported_before_its_control_went_is_not_lost(
    alice: Person, bob: Person, code: str
) -> None:
    async with opened(alice, code) as live:
        key = receipts.read_life(await life_of(live))[0]
        await live.send(body="first", life=f"{key}.0")
        await live.send(k="late", body="firstse", life=f"{key}.0")
        await live.until("hx-partial #life")
        await live.send(body="cond", life=f"{key}.1")
        await live.until("li .text", "second")
    assert await bob.texts(code) == ["first", "second"]


def test_what_a_page_types_ahead_is_not_kept_text_by_text() -> None:
    """However many frames come, what is kept is one entry per control still on the page."""
    sent: Any = Receipts()
    for n in range(1000):
        sent.start("life", n, counted=True)
        list(sent.new_texts(n, ["x" * 100, "y"], entered=True, report=False))
    assert len(sent._sent) == 2
    list(sent.new_texts(n, ["x" * 100] + ["a"] * 90, entered=True, report=False))
    for place in range(90):
        grown = ["x" * 100] + ["a"] * 90
        grown[place] += "y" * 100_000
        list(sent.new_texts(n, grown, entered=False, report=True))
    assert len(sent._typed) <= receipts.TYPED_AHEAD
    assert len(sent.counts) <= receipts.COUNTS


@pytest.mark.parametrize("lag", [0, 1, 7, 60])
def test_a_page_whose_frames_lay_in_its_socket_is_told_how_far_it_has_come(lag: int) -> None:
    """Such a frame says less than the page was told since: it may be at any count of those."""
    sent, page, reported = Receipts(), 0, []
    for n in range(200):
        reported.append(page)
        sent.start("life", reported[max(0, n - lag)], counted=True)
        sent.answer(n, "text")
        if page in sent.tell():
            page = sent.acked
        assert page == n + 1
    assert len(sent.counts) <= receipts.COUNTS


async def test_a_key_dealt_is_the_same_until_the_connection_ends(alice: Person, code: str) -> None:
    async with opened(alice, code) as live:
        life = await life_of(live)
        await live.resume(None, life="")
        assert await life_of(live) == life
