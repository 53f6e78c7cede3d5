"""Reactions: given and taken back by a form, a frame or the page; who may, how many, and what is sent."""

from __future__ import annotations

import asyncio

import pytest
from deployments import ONE
from dom import Element
from people import Person, Reply, ids
from quart import Quart

from chat import limits
from chat.context import Context
from chat.features import reactions
from chat.model.changes import Change
from chat.model.emoji import emoji_groups, one_emoji
from chat.model.members import Member
from chat.store.members import seats_numbered
from chat.store.messages import set_meta, text_message
from chat.store.transaction import Transaction
from chat.views import reactions as views
from chat.web import message_details

FAMILY = "👨‍👩‍👧‍👦"
NO_EMOJI = [
    "", "x", "👍👍", "👍 ", "\ufe0f", "\u200d", "5", "#", "❤️❤️", "👍🏽🏽", "🏽", "<b>", "&#128077;", ":+1:",
    "\0", "\ud83d", "e\u0301" * 1000, "👍" * 10_000, "\u0345" * 20_000, "-1", "%00", "👍\n",
]  # fmt: skip


@pytest.fixture
async def id(alice: Person, code: str) -> int:
    await alice.write(code, "a text", "another")
    return ids(await alice.look(code))[0]


async def react(person: Person, code: str, id: int, emoji: str, on: str = "1") -> Reply:
    return await person.post(f"/rooms/{code}/{id}/reactions", {"emoji": emoji, "on": on})


def row(page: Element, id: int) -> dict[str, int]:
    """Emoji and their counts, as everybody sees them."""
    buttons = page.all(f"#reactions-{id} button")
    assert all(button["aria-pressed"] in ("true", "false") for button in buttons)
    return {emoji: int(count) for emoji, count in (button.text.split() for button in buttons)}


async def test_a_reaction_is_given_and_taken_back(alice: Person, bob: Person, code: str, id: int) -> None:
    for _ in range(2):  # to ask again for what is so is harmless
        reply = await react(bob, code, id, "👍")
        assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}/{id}")
    assert (await react(alice, code, id, "👍")).status == 303
    assert (await react(alice, code, id, FAMILY)).status == 303
    for page in (await alice.look(code), await bob.look(code), (await bob.get(f"/rooms/{code}/{id}")).page):
        assert row(page, id) == {"👍": 2, FAMILY: 1}
        assert page.one(f"#message-{id} .text").text == "a text"
    for _ in range(2):
        assert (await react(alice, code, id, "👍", "0")).status == 303
    assert row(await bob.look(code), id) == {"👍": 1, FAMILY: 1}
    await react(bob, code, id, "👍", "0")
    await react(alice, code, id, FAMILY, "0")
    assert not (await bob.look(code)).has(f"#reactions-{id}")


async def test_everybody_sees_it_live_and_only_the_row_is_sent(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    async with bob.in_room(code) as live:
        await react(alice, code, id, "🎉")
        assert row(await live.until("hx-partial"), id) == {"🎉": 1}
        await react(alice, code, id, "🎉", "0")
        gone = await live.until(f"hx-partial[hx-target=#row-{id}]")
        while gone.has("button"):
            gone = await live.until(f"hx-partial[hx-target=#row-{id}]")
        assert gone["hx-swap"] == "delete"
        assert "a text" not in "".join(live.raw)
        assert not live.texts


async def test_a_page_that_comes_back_gets_a_text_that_it_lacks_with_its_reactions(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    before = await bob.look(code)
    await alice.post(f"/rooms/{code}/{id}/edit", {"body": "a better text"})
    await react(alice, code, id, "🎉")
    async with bob.live(code) as live:
        await live.resume(before)
        changed = await live.until(f"hx-partial[hx-target=#message-{id}]")
    assert changed.one(".text").text == "a better text"
    assert row(changed, id) == {"🎉": 1}


async def test_a_live_page_reacts_by_frames(alice: Person, bob: Person, code: str, id: int) -> None:
    async with alice.in_room(code) as live:
        await live.send(act="reactions?emoji=👍&on=1", id=str(id))  # the palette
        button = (await live.until(f"#reactions-{id}")).one("[aria-pressed=true]")
        await live.send(act=f"{id}/reactions", emoji="✅", on="1")  # the form
        await live.until(f"#reactions-{id}", "✅")
        assert row(await bob.look(code), id) == {"👍": 1, "✅": 1}
        assert button["aria-pressed"] == "true"
        await live.send(act=button["value"])  # the button that takes it back
        while "👍" in row(await bob.look(code), id):
            await live.frame()
    assert row(await bob.look(code), id) == {"✅": 1}


async def test_own_reactions_are_told_apart_by_the_stylesheet_alone(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    await react(bob, code, id, "👍")
    pages = [await person.look(code) for person in (alice, bob)]
    assert len({str(page.one(f"#row-{id}")) for page in pages}) == 1
    give, take = pages[0].all(f"#row-{id} button")
    assert (give["aria-pressed"], take["aria-pressed"]) == ("false", "true")
    assert give["data-r"] == take["data-r"] == "2"
    sheet = (await bob.get("/seats/2.css")).text
    for pressed, shown in (("false", "none"), ("true", "inline-block")):
        assert f'[data-r~="2"][aria-pressed={pressed}]{{display:{shown}}}' in sheet


async def test_the_page_of_a_message_says_what_is_one_s_own(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    await react(bob, code, id, "👍")
    for person, pressed in ((alice, "false"), (bob, "true")):
        page = (await person.get(f"/rooms/{code}/{id}")).page
        (button,) = page.all(f"#row-{id} button")
        assert button["aria-pressed"] == pressed
        form = page.one(f"#reactions-{id}")
        assert (await person.post(form["action"], {"act": button["value"]})).status == 303
    assert row(await bob.look(code), id) == {"👍": 1}  # Alice's now
    assert (await alice.look(code)).all(f"#row-{id} button")[0]["data-r"] == "1"


@pytest.mark.parametrize("emoji", NO_EMOJI)
async def test_anything_but_one_emoji_is_refused(alice: Person, code: str, id: int, emoji: str) -> None:
    try:
        reply = await react(alice, code, id, emoji)
    except UnicodeEncodeError:  # cannot be sent
        assert one_emoji(emoji) is None
        return
    assert reply.status == 422
    assert reply.page.one("[role=alert]").text
    assert not (await alice.look(code)).has(f"#reactions-{id}")


@pytest.mark.parametrize("on", ["", "2", "true", "01", "11", "x" * 10_000])
async def test_anything_but_on_and_off_is_refused(alice: Person, code: str, id: int, on: str) -> None:
    assert (await react(alice, code, id, "👍", on)).status == 422
    assert not (await alice.look(code)).has(f"#reactions-{id}")


def test_an_emoji_is_one_however_a_keyboard_writes_it() -> None:
    assert one_emoji("❤") == one_emoji("❤️") == "❤️"
    assert one_emoji("👁‍🗨") == one_emoji("👁️‍🗨️") == "👁️‍🗨️"
    assert one_emoji("👍🏽") == "👍🏽"
    for emoji in ("#️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇪🇺", "👩🏽‍❤️‍💋‍👨🏿", FAMILY):
        assert one_emoji(emoji) == emoji


async def test_a_message_has_bounds(
    app: Quart, alice: Person, bob: Person, code: str, id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "OWN", 2)
    monkeypatch.setattr(reactions, "KINDS", 3)
    monkeypatch.setattr(reactions, "MOST", 4)
    assert [(await react(alice, code, id, emoji)).status for emoji in "👍👎😀"] == [303, 303, 422]
    assert [(await react(bob, code, id, emoji)).status for emoji in "😀😃"] == [303, 422]  # four kinds
    assert (await react(bob, code, id, "👍")).status == 303
    cat = Person(app, "Cat")
    await cat.join(code)
    assert (await react(cat, code, id, "👍")).status == 422  # the fifth
    assert row(await bob.look(code), id) == {"👍": 2, "👎": 1, "😀": 1}


async def test_who_reacted_is_on_the_page_of_the_message(
    alice: Person, bob: Person, code: str, id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person in (alice, bob):
        await react(person, code, id, "👍")
    await react(bob, code, id, "🎉")
    await bob.post(f"/rooms/{code}", {"name": "Bobby", "choice": "rename"})
    await react(bob, code, id, "✅")
    link = (await alice.look(code)).one(f"#row-{id} a")
    assert link.words == "Who?"
    address, _, place = link["href"].partition("#")
    page = (await alice.get(address)).page
    assert page.one(f"#{place} h2").words == "Who reacted"
    assert [item.words for item in page.all("#who .who ul")] == ["Alice Bob", "Bob", "Bobby"]
    assert "Bobby" not in str((await alice.look(code)).one(f"#row-{id}"))  # everybody gets those bytes
    monkeypatch.setattr(message_details, "NAMED", 1)
    monkeypatch.setattr(views, "NAMED", 1)
    page = (await alice.get(f"/rooms/{code}/{id}")).page
    assert page.all("#who .who ul")[0].words == "Alice and 1 more"
    assert (await alice.post(f"/rooms/{code}/{id}/delete")).status == 303
    assert not (await alice.get(f"/rooms/{code}/{id}")).page.has("#who")


def test_the_groups_have_each_emoji_of_the_table_once_but_for_skin_tones() -> None:
    groups = emoji_groups()
    everyone = [emoji for group in groups for emoji in group]
    assert len(groups) == 9
    assert all(one_emoji(emoji) == emoji for emoji in everyone)
    assert len(everyone) == len(set(everyone)) > 1900
    assert "👍" in everyone
    assert "👍🏽" not in everyone
    assert [n for n, group in enumerate(groups) for emoji in ("😀", "👋", "🐵", "🏁") if emoji in group] == [
        0,
        1,
        2,
        8,
    ]


async def test_all_emoji_come_only_when_they_are_asked_for(alice: Person, code: str, id: int) -> None:
    page = await alice.look(code)
    assert not page.has(".emojis")
    async with alice.in_room(code) as live:
        form = await live.ask("reactions", id)
        assert not form.has(".emojis input")
        assert form.parent is not None
        labels, groups = form.parent.all(".groups label"), form.parent.all(".groups input")
        assert form.one("#emojis")["hx-get"] == groups[0]["hx-get"]
        shown = []
        for n, group in enumerate(groups):
            assert group["aria-label"] == labels[n]["title"]
            reply = await alice.get(group["hx-get"])
            assert (reply.status, "immutable" in reply.headers["Cache-Control"]) == (200, True)
            assert len(reply.body) < 40_000
            named = reply.page.all("label")
            emoji = [label.one("input[type=radio][name=emoji]")["value"] for label in named]
            assert labels[n].text in emoji, "it stands for its group"
            assert [label.text for label in named] == emoji
            assert n == 8 or all(label["title"] for label in named)
            shown += emoji
        assert shown == [emoji for group in emoji_groups() for emoji in group]
        await live.send(act=form.one("input[name=act]").value, on="1", emoji=shown[-1])
        await live.until(f"#reactions-{id}", shown[-1])


async def test_without_javascript_all_emoji_are_a_page(
    alice: Person, bob: Person, client: Person, code: str, id: int
) -> None:
    path = f"/rooms/{code}/{id}/reactions"
    assert (await bob.get(f"/rooms/{code}/{id}")).page.has(f"a[href={path}]")
    first = (await bob.get(path)).page
    assert len(first.all(".groups a")) == 9
    page = (await bob.get(path + first.all(".groups a")[1]["href"])).page
    form = page.one("form")
    (button,) = [button for button in form.all("button") if button["value"] == "👋"]
    sent = {"on": form.one("input[name=on]").value, button["name"]: button["value"]}
    assert (await bob.post(form["action"], sent)).status == 303
    assert row(await alice.look(code), id) == {"👋": 1}
    assert (await client.get(path)).status == 403
    other = await bob.create()
    assert (await bob.get(f"/rooms/{other}/{id}/reactions")).status == 404
    for query, status in (("9", 404), ("9" * 400, 200), ("-1", 200), ("x", 200), ("x" * 2000, 200)):
        assert (await bob.get(f"{path}?group={query}")).status == status
    await alice.post(f"/rooms/{code}/{id}/delete")
    assert (await bob.get(path)).status == 404


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("x", {}),
        (7, {}),
        ([1], {}),
        ({"👍": 1}, {}),
        ({"👍": "x"}, {}),
        ({"👍": [None, "1", True, -1, 2**63]}, {}),
        ({"👍": {}}, {}),
        ({"👍": [1, "x", 2], "❤️": 5}, {"👍": 2}),
    ],
)
async def test_what_an_archive_or_a_newer_release_makes_of_reactions_is_none(
    alice: Person, code: str, id: int, chat: Context, given: object, shown: dict[str, int]
) -> None:
    async def forge(tx: Transaction, member: Member) -> Change:
        return await set_meta(tx, code, await text_message(tx, member, id), reactions=given)

    await chat.store.write(code, forge, (await chat.store.read(seats_numbered, code, [1]))[1])
    assert row(await alice.look(code), id) == shown if shown else not (await alice.look(code)).has(".reacts")
    page = (await alice.get(f"/rooms/{code}/{id}")).page
    assert page.has("#who") == bool(shown)
    assert (await react(alice, code, id, "🎉")).status == 303
    assert row(await alice.look(code), id) == {**shown, "🎉": 1}


async def test_another_name_is_the_same_person(alice: Person, bob: Person, code: str, id: int) -> None:
    await react(alice, code, id, "👍")
    await alice.post(f"/rooms/{code}", {"name": "Alicia", "choice": "rename"})
    await react(alice, code, id, "👍")
    assert row(await bob.look(code), id) == {"👍": 1}
    await react(alice, code, id, "👍", "0")
    assert not (await bob.look(code)).has(f"#reactions-{id}")


async def test_all_at_once_each_counts_once(app: Quart, alice: Person, code: str, id: int) -> None:
    people = [Person(app, f"P{n}") for n in range(8)]
    for person in people:
        await person.join(code)
    await asyncio.gather(*(react(person, code, id, "👍") for person in people for _ in range(3)))
    assert row(await alice.look(code), id) == {"👍": 8}


async def test_an_edit_keeps_the_reactions_and_a_deletion_does_not(
    alice: Person, bob: Person, code: str, id: int
) -> None:
    form = (await alice.get(f"/rooms/{code}/{id}")).page.one("#edit")
    await react(bob, code, id, "👍")
    version = form.one("input[name=version]").value
    edit = {"body": "a better text", "version": version}  # of the text, whatever was added to it meanwhile
    assert (await alice.post(f"/rooms/{code}/{id}/edit", edit)).status == 303
    assert row(await alice.look(code), id) == {"👍": 1}
    assert (await alice.post(f"/rooms/{code}/{id}/delete")).status == 303
    assert not (await bob.look(code)).has(f"#reactions-{id}")
    assert (await react(bob, code, id, "👍")).status == 404


async def test_only_members_react_and_only_in_their_room(
    alice: Person, bob: Person, client: Person, code: str, id: int
) -> None:
    assert (await react(client, code, id, "👍")).status == 403
    other = await bob.create()
    assert (await react(bob, other, id, "👍")).status == 404
    assert (await react(bob, code, 10**14, "👍")).status == 404
    async with bob.in_room(code) as live:
        for frame in (
            {"act": f"{id}/reactions?emoji=x&on=1"},
            {"act": f"{id}/reactions", "emoji": ["👍"], "on": "1"},
            {"act": f"{10**6}/reactions?emoji=👍&on=1"},
        ):
            await live.send(**frame)
            await live.until("[role=alert]")
        await live.send(act=["reactions"], id={"a": 1}, emoji=5, on=None)
        await live.send(act="reactions" * 5000, id=id, emoji="👍" * 9000, on="1" * 9000)
        await live.send(body="alive", key="k", acked="0")
        await live.until("li .text", "alive")
    await bob.post(f"/rooms/{code}/leave")
    assert (await react(bob, code, id, "👍")).status == 403
    assert not (await alice.look(code)).has(f"#reactions-{id}")


@pytest.mark.parametrize("deployment", [ONE])  # several nodes go by the clock of Redis
async def test_reacting_has_a_rate(alice: Person, code: str, id: int) -> None:
    burst = limits.REACTIONS.burst
    statuses = [(await react(alice, code, id, "👍", "10"[n % 2])).status for n in range(burst + 1)]
    assert statuses == [303] * burst + [429]
