"""Texts and names made to be drawn over others, to widen the page, or to lie about where a link leads."""

from __future__ import annotations

from itertools import pairwise

import pytest
from deployments import ONE
from playwright.async_api import FloatRect, Locator, expect

from browser.people import People, Tab
from browser.pictures import look_the_same, picture

SETTINGS = {"CHAT_RATE_LIMIT": "off"}
# The same code writes the same HTML on both deployments.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
PILE = "\u0301" * 3000
WIDEST = "W" * 32
# The left and right edge of each character of the last link, in the order in which they are written.
EDGES = """() => {
  const link = [...document.querySelectorAll("#messages .text a")].at(-1);
  const edges = [], range = document.createRange();
  const walker = document.createTreeWalker(link, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) for (let i = 0; i < walker.currentNode.length; i++) {
    range.setStart(walker.currentNode, i); range.setEnd(walker.currentNode, i + 1);
    const box = range.getBoundingClientRect(); edges.push([box.left, box.right]);
  }
  return edges }"""
HOSTS = """() => [...document.querySelectorAll("#messages .text a")].map(a => [a.hostname,
  a.dataset.host || a.textContent.replace(/^https?:../i, "").match(/^[^/:?#]*/)[0].toLowerCase()])"""
WIDER = """() => [document.documentElement.scrollWidth, document.querySelector("#scroll").scrollWidth,
  ...[...document.querySelectorAll(".by, .by *, .text, .notice :is(p, bdi), #roster, :is(header, #foot) *")]
    .filter(e => getComputedStyle(e).clipPath === "none").map(e => e.getBoundingClientRect().right)]
  .filter(x => x > innerWidth + 1)"""


async def drawn_outside(tab: Tab, text: str, part: str) -> bool:
    """Whether a part of the message with this text changes the picture of the conversation around it."""
    message = tab.message(text).last
    box = await message.bounding_box()
    assert box
    around = FloatRect(x=0, y=0, width=390, height=box["y"])
    assert around["height"] > 100, "there is something above to draw over"
    seen = await picture(tab.page, around)
    await message.locator(part).evaluate("e => { e.style.visibility = 'hidden' }")
    return not await look_the_same(tab.page, await picture(tab.page, around), seen)


async def test_marks_piled_on_a_letter_are_drawn_over_their_own_message_only(people: People) -> None:
    ann = await people.newcomer(width=390, height=844, reduced_motion="reduce")
    code = await ann.open_room("Ann")
    await ann.live()
    await ann.told_of("Ann")
    for n in range(12):
        await ann.say(f"line {n}")
    await ann.say(f"pile {PILE}")
    await ann.rest()
    assert not await drawn_outside(ann, "pile", ".text")
    name = "\u0179" + "\u0301" * 31  # as composed
    other = await (await people.newcomer()).join_room(code, name)
    await other.live()
    await ann.told_of(name)
    await expect(ann.page.locator("#count")).to_contain_text("2")  # or the header changes yet
    await other.say("under a piled name")
    await ann.sees("under a piled name")
    await ann.rest()
    assert not await drawn_outside(ann, "under a piled name", ".by")


async def test_marks_piled_on_a_title_are_drawn_over_nothing_above_it(people: People) -> None:
    ann, eve = [await people.newcomer(width=390, height=844, reduced_motion="reduce") for _ in range(2)]
    room = f"{ann.url}/rooms/{await ann.open_room('Ann')}"
    form: dict[str, str | float | bool] = {"title": "Z" + "\u0301" * 59, "topic": "Z" + "\u0316\u0301" * 90}
    await ann.page.request.post(f"{room}/title", form=form)
    for tab, path, parts in (
        (eve, "", (".lead", "p[dir]")),
        (ann, "", ("#older", "#title h1", "#title .topic")),
        (ann, "/leave", ("h1",)),
        (ann, "/name", (".lead",)),
        (ann, "/comings", (".lead",)),
    ):
        await tab.page.goto(room + path)
        for part in parts:
            assert not await draws_above(tab, tab.page.locator(part).first), (path, part)
    await ann.page.goto(f"{room}/leave")
    await ann.page.locator("button.bad").click()
    assert not await draws_above(ann, ann.page.locator(".left p"))


async def draws_above(tab: Tab, part: Locator) -> bool:
    """Whether hiding a part of the page changes the picture of what is above it."""
    box = await part.bounding_box()
    assert box
    above = FloatRect(x=0, y=0, width=390, height=box["y"])
    seen = await picture(tab.page, above)
    await part.evaluate("e => { e.style.visibility = 'hidden' }")
    return not await look_the_same(tab.page, await picture(tab.page, above), seen)


async def test_a_text_is_not_drawn_over_its_author_s_name(people: People) -> None:
    ann = await people.newcomer(reduced_motion="reduce")
    code = await ann.open_room("Ann")
    await ann.live()
    bob = await (await people.newcomer()).join_room(code, "Bob")
    await bob.live()
    await ann.told_of("Bob")  # or the notice moves what is looked at
    await bob.say(f"pile {PILE}")
    await ann.sees("pile")
    by = ann.message("pile").last.locator(".by")
    await expect(by).to_be_visible()
    box = await by.bounding_box()
    assert box
    box["height"] -= 2  # the edge of the text begins within the last pixel
    seen = await picture(ann.page, box)
    await ann.message("pile").last.locator(".text").evaluate("e => { e.style.visibility = 'hidden' }")
    assert await look_the_same(ann.page, await picture(ann.page, box), seen)


async def test_letters_with_the_marks_of_their_language_are_drawn_whole(people: People) -> None:
    ann = await people.newcomer(reduced_motion="reduce")
    await ann.open_room("Ann")
    await ann.live()
    await ann.told_of("Ann")  # or the notice moves what is looked at
    for text in ("Ǖ̂ Ậ Ể ḗ̃", "ที่ปั้น กิ๊ฟ", "بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ", "हिन्दी क्ष्म्य", "བསྒྲུབས"):
        await ann.say(text)
        await ann.rest()
        shown = ann.message(text).last.locator(".text")
        await shown.evaluate("e => { e.style.overflow = e.closest('li').style.overflow = 'visible' }")
        box = await shown.bounding_box()
        assert box
        for y in (box["y"] - 10, box["y"] + box["height"]):
            # Within the padding: the round corners are not drawn alike each time, by a 255th.
            strip = FloatRect(x=box["x"] + 14, y=y, width=box["width"] - 28, height=10)
            seen = await picture(ann.page, strip)
            await shown.evaluate("e => { e.style.color = 'transparent' }")
            unseen = await picture(ann.page, strip)
            await shown.evaluate("e => { e.style.color = '' }")
            assert seen == unseen, f"{text} reaches out of its bubble and is cut"


@pytest.mark.parametrize("javascript", [True, False])
async def test_the_widest_name_does_not_widen_a_narrow_page(people: People, javascript: bool) -> None:
    ann = await people.newcomer(width=320, height=568)
    code = await ann.open_room(WIDEST)
    await ann.live()
    other = await (await people.newcomer()).join_room(code, WIDEST)
    await other.live()
    await other.say(WIDEST * 4)
    await ann.sees(WIDEST * 4)
    await ann.told_of(WIDEST)
    if not javascript:
        ann = await people.newcomer(width=320, height=568, javascript=False)
        await ann.page.goto(f"{ann.url}/rooms/{code}")
        await ann.page.get_by_label("Your name").fill(WIDEST)
        await ann.page.get_by_role("button", name="Join").click()
    assert await ann.page.evaluate(WIDER) == []


async def test_the_number_of_a_look_alike_is_seen_behind_the_widest_name(people: People) -> None:
    ann = await people.newcomer(width=320, height=568)
    code = await ann.open_room(WIDEST)
    await ann.live()
    other = await (await people.newcomer()).join_room(code, WIDEST)
    await other.live()
    for width in (320, 1280):
        await ann.page.set_viewport_size({"width": width, "height": 568})
        item = ann.page.locator("#roster li", has=ann.page.locator(".mark"))
        mark = item.locator(".mark")
        if width == 320:
            await ann.page.get_by_role("button", name="2 here").click()
        await item.scroll_into_view_if_needed()
        shown, frame = await mark.bounding_box(), await item.bounding_box()
        assert shown
        assert frame
        assert shown["x"] + shown["width"] <= frame["x"] + frame["width"] + 1
        assert shown["x"] + shown["width"] <= width + 1  # scrolled by fractions of a pixel


@pytest.mark.parametrize(
    "text",
    [
        "\u202ehttps://evil.example/moc.elgoog.www//:sptth",
        "\u2067\u202e\u202ehttps://evil.example/moc.elgoog.www",
        "שלום https://evil.example/moc.elgoog.www//:sptth",
        "\u202bwww.evil.example/moc.elgoog.www",
    ],
)
async def test_no_direction_around_a_link_turns_it_round(people: People, text: str) -> None:
    ann = await people.newcomer()
    await ann.open_room("Ann")
    await ann.live()
    await ann.say(text)
    await ann.sees("evil.example")
    edges = await ann.page.evaluate(EDGES)
    assert len(edges) > 20
    assert all(one[0] < other[0] and one[1] < other[1] for one, other in pairwise(edges))


async def test_labels_of_a_right_to_left_host_keep_their_places(people: People) -> None:
    ann = await people.newcomer()
    await ann.open_room("Ann")
    await ann.live()
    await ann.say("https://אבג.דהו/זחט")
    await ann.sees("https")
    edges = await ann.page.evaluate(EDGES)
    first, second, path = edges[8:11], edges[12:15], edges[16:19]
    for left, right in ((edges[0:8], first), (first, second), (second, path)):
        assert max(edge[1] for edge in left) <= min(edge[0] for edge in right) + 1


async def test_the_browser_goes_to_the_host_that_is_shown(people: People) -> None:
    ann = await people.newcomer()
    await ann.open_room("Ann")
    await ann.live()
    await ann.say(
        "https://Example.com/a http://127.0.0.1:80/b www.example.org https://аpple.com/c https://ｇoogle.com "
        "https://googıe.com https://ᴀpple.com https://google.comノevil.example/ https://xn--mnchen-3ya.de"
    )
    await ann.sees("Example.com")
    hosts = await ann.page.evaluate(HOSTS)
    assert len(hosts) >= 9
    assert [goes for goes, _ in hosts] == [shown for _, shown in hosts]
    flagged = ann.page.locator("#messages a[data-host='xn--pple-43d.com']")
    assert await flagged.evaluate("e => getComputedStyle(e, '::after').content") == '" (xn--pple-43d.com)"'
