"""A write on its way: awaited, called back, given up; and an author's in their order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chat.model.changes import Change
from chat.model.messages import Message
from chat.model.rooms import Position
from chat.store import NotFound, OutcomeUnknown, Unavailable
from chat.store.writes import AuthorOrder, Listeners, PendingWrite

ALICE = "BCDFGHJK", 1


def _write() -> PendingWrite[Any]:
    return PendingWrite()


def _change(rev: int, duplicate: bool = False) -> Change:
    return Change("BCDFGHJK", Message(rev, rev, 1, 1, "Ann", 1, "hello"), Position("e", rev), duplicate)


async def test_whoever_awaits_gets_the_result_whenever_they_begin() -> None:
    write = _write()
    early = [asyncio.create_task(_awaited(write)) for _ in range(2)]
    await asyncio.sleep(0)
    write.succeed("done")
    write.resolve()
    assert await asyncio.gather(*early, _awaited(write)) == ["done"] * 3


async def _awaited(write: PendingWrite[Any]) -> Any:
    return await write


async def test_or_its_error() -> None:
    write = _write()
    early = asyncio.create_task(_awaited(write))
    await asyncio.sleep(0)
    write.fail(NotFound("gone"))
    write.resolve()
    for awaited in (early, write):
        with pytest.raises(NotFound, match="gone"):
            await awaited


async def test_a_callback_is_called_at_once_and_once() -> None:
    called: list[object] = []
    write = _write()
    write.add_done_callback(called.append)
    write.succeed("done")
    assert (called, write.done()) == ([], False)
    write.resolve()
    write.resolve()
    assert (called, write.done(), write.exception()) == ([write], True, None)


async def test_nobody_hears_of_a_write_that_was_given_up() -> None:
    called: list[object] = []
    write = _write()
    write.add_done_callback(called.append)
    write.cancel()
    write.succeed("done")
    write.resolve()
    assert (called, write.is_settled) == ([], True)


async def test_an_awaiting_task_that_is_cancelled_gives_its_write_up() -> None:
    write = _write()
    task = asyncio.create_task(_awaited(write))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert write.is_settled


@pytest.mark.parametrize("error", [Unavailable("full"), OutcomeUnknown("lost")])
async def test_what_an_author_wrote_behind_a_failure_fails_too(error: Exception) -> None:
    order, writes = AuthorOrder(), [_write() for _ in range(3)]
    for write in writes[:2]:
        order.append(ALICE, write)
    other = _write()
    order.append(("BCDFGHJK", 2), other)
    writes[0].fail(error)
    assert [write.must_fail for write in (*writes, other)] == [False, True, False, False]
    for write in writes[:2]:
        write.fail(error)
        write.resolve()
    order.append(ALICE, writes[2])  # said again
    assert not writes[2].must_fail


async def test_one_that_was_given_up_fails_with_the_one_before_it_all_the_same() -> None:
    """A caller that hears of the first failure gives the others up, before the store has come to them."""
    order, writes = AuthorOrder(), [_write() for _ in range(3)]
    for write in writes:
        order.append(ALICE, write)
    for write in writes[1:]:
        write.cancel()
    writes[0].fail(Unavailable("full"))
    assert writes[1].must_fail
    writes[1].fail(Unavailable("the text before it"))
    assert writes[2].must_fail
    for write in writes:
        write.resolve()
    assert (order._last, [write.after for write in writes]) == ({}, [None] * 3)


async def test_what_comes_after_a_failure_fails_too_while_an_earlier_text_is_open() -> None:
    """The sender hears of their texts in order: of the failure only once the first is done."""
    order, (first, second, third, again) = AuthorOrder(), [_write() for _ in range(4)]
    order.append(ALICE, first)
    order.append(ALICE, second)
    second.fail(Unavailable("it waited too long"))
    second.resolve()
    order.append(ALICE, third)
    assert third.must_fail
    third.fail(Unavailable("the text before it"))
    first.resolve()
    third.resolve()
    order.append(ALICE, again)
    assert not again.must_fail


async def test_a_refusal_takes_nobody_along_and_nothing_is_kept() -> None:
    order, first, second = AuthorOrder(), _write(), _write()
    order.append(ALICE, first)
    order.append(ALICE, second)
    first.fail(NotFound("no such seat"))
    assert not second.must_fail
    first.resolve()
    assert order._last == {ALICE: second}
    second.cancel()
    assert (order._last, order._open) == ({}, {})


async def test_all_are_notified_in_their_order_whatever_one_of_them_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[Any] = []
    writes = [_write() for _ in range(5)]
    one, two = _change(1), _change(2)
    for write, result, changes in zip(
        writes, (one, _change(1, True), "no change", two), ((one,), (), (), (two,)), strict=False
    ):
        write.succeed(result, changes)
    writes[4].fail(OutcomeUnknown("lost"))
    for write in writes:
        write.add_done_callback(heard.append)

    def fails(_: object) -> None:
        raise RuntimeError("oops")

    writes[1].add_done_callback(fails)
    Listeners(heard.append, on_unknown=lambda: heard.append("unknown")).notify(writes)
    assert heard == [[one, two], writes[0], writes[2], writes[3], "unknown", writes[4]]
    assert "oops" in caplog.text
