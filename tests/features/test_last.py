"""The newest text of a member, to be changed by a key."""

from __future__ import annotations

import pytest
from people import Person, ids

from chat.context import Context


async def test_it_leads_to_the_newest_own_text(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "one", "two")
    await bob.write(code, "three")
    newest = ids(await alice.look(code))[1]
    reply = await alice.get(f"/rooms/{code}/last")
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}/{newest}")
    form = (await alice.get(f"/rooms/{code}/last", hx_request="true")).page.all("form")[-1]
    assert (form["action"], form.one("textarea").value) == (f"/rooms/{code}/{newest}/edit", "two")


async def test_a_deleted_text_is_not_the_newest_and_one_of_another_name_is(alice: Person, code: str) -> None:
    await alice.write(code, "one", "two")
    first, second = ids(await alice.look(code))
    assert (await alice.post(f"/rooms/{code}/{second}/delete")).status == 303
    assert (await alice.post(f"/rooms/{code}/name", {"name": "Alicia"})).status == 303
    assert (await alice.get(f"/rooms/{code}/last")).headers["Location"] == f"/rooms/{code}/{first}"


async def test_who_has_written_nothing_is_told_so(alice: Person, bob: Person, code: str) -> None:
    await bob.write(code, "mine")
    reply = await alice.get(f"/rooms/{code}/last")
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")
    shown = (await alice.get(f"/rooms/{code}/last", hx_request="true")).page
    assert shown.one("[role=alert]").words
    assert not shown.all("form")


async def test_an_old_text_is_not_looked_for(
    alice: Person, bob: Person, code: str, monkeypatch: pytest.MonkeyPatch, chat: Context
) -> None:
    monkeypatch.setattr("chat.store.messages.LOOKED_BACK", 3)
    await alice.write(code, "old")
    for n in range(3):
        await bob.write(code, f"text {n}")
    assert (await alice.get(f"/rooms/{code}/last")).headers["Location"] == f"/rooms/{code}"


async def test_strangers_have_none(eve: Person, code: str) -> None:
    assert (await eve.get(f"/rooms/{code}/last")).status == 403
