"""The promises of the room, kept in Chromium, Firefox and WebKit alike. Each scenario is written once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployments import ONE, deployed
from serving import Server

from browser.conftest import CACHE
from browser.drivers import Scheme
from browser.people import paused
from browser.reading import LIVE_FRAME, SCROLL, at_newest, history, scroll_up, sees_in_frame, still
from browser.visitors import IDS, UNREACHABLE, Visitor, Visitors

# What the browsers differ in has nothing to do with how many nodes there are.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
SCREENS = CACHE / "screens"


@pytest.fixture
def nodes(deployment: str, tmp_path: Path) -> Iterator[list[Server]]:
    """A server of this test's own: some tests kill it."""
    with deployed(deployment, tmp_path, SETTINGS) as nodes:
        yield nodes


async def test_two_people_talk_and_the_console_is_silent(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.type("Hello Bob\n")
    await bob.sees("Hello Bob")
    await bob.type("Hi Ann\nHow are you?\n")
    await ann.sees("How are you?")
    await ann.type("Fine\n")
    for visitor in (ann, bob):
        await visitor.shows(["Hello Bob", "Hi Ann", "How are you?", "Fine"])
        await visitor.rest()
    await ann.window.reload()
    await ann.in_room()
    await ann.shows(["Hello Bob", "Hi Ann", "How are you?", "Fine"])


HEIGHT = "document.querySelector('#foot').getBoundingClientRect().height"
# The time before a text on its way is shown does not end.
MOMENT = """(() => { const sheet = new CSSStyleSheet()
  sheet.replaceSync("#texts > *, #texts::before { animation: none !important }")
  document.adoptedStyleSheets.push(sheet)
  return 0 })()"""


async def test_nothing_moves_while_a_text_is_on_its_way_for_a_moment(
    visitors: Visitors, server: Server
) -> None:
    """The field was eight pixels higher and back again with each text that was sent."""
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.live()
    await ann.window.evaluate(MOMENT)
    before = await ann.window.evaluate(HEIGHT)
    with paused(server):
        for count in (2, 3):
            await ann.say("in flight")
            await ann.window.wait_for(f"document.querySelectorAll('#texts > *').length === {count}")
            assert await ann.window.evaluate(HEIGHT) == before
    await ann.rest()
    assert await ann.window.evaluate(HEIGHT) == before


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
async def test_a_restart_loses_and_doubles_nothing(visitors: Visitors, server: Server, signal: str) -> None:
    ann, bob = await visitors.two()
    for visitor in (ann, bob):
        visitor.expected.append(UNREACHABLE)
    await ann.say("before")
    await bob.shows(["before"])
    await ann.type("half a th")
    await stop(server, signal)
    await asyncio.gather(*(says_reconnecting(visitor) for visitor in (ann, bob)))
    await bob.type("while it was down\n")
    await bob.type("and more\n")
    await asyncio.to_thread(server.start)
    for visitor in (ann, bob):
        await visitor.shows(["before", "while it was down", "and more"])
    await bob.rest()
    await ann.window.type("ought\n")
    for visitor in (ann, bob):
        await visitor.shows(["before", "while it was down", "and more", "half a thought"])


async def says_reconnecting(visitor: Visitor) -> None:
    await visitor.window.wait_for("document.querySelector('#status').textContent.includes('Reconnecting')")


async def stop(server: Server, signal: str) -> None:
    if signal == "SIGTERM":
        server.terminate()
        assert await asyncio.to_thread(server.wait) == 0
    else:
        await asyncio.to_thread(server.kill)


ACT = """fetch(location.pathname + "/" + [...document.querySelectorAll("#messages li[id]")]
  .find(li => li.textContent.includes({text})).id.slice(8) + "/{act}",
  {{method: "POST", body: new URLSearchParams({{body: {body}}})}}).then(reply => reply.status)"""


async def test_the_live_page_without_javascript_shows_changes_in_their_place(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    for text in ("one", "two", "three"):
        await ann.say(text)
    await bob.shows(["one", "two", "three"])
    await bob.window.evaluate(LIVE_FRAME)
    await sees_in_frame(bob, ["one", "two", "three"])
    await ann.say("four")
    await act(ann, "one", "edit", "one again")
    await act(ann, "four", "edit", "four again")
    await act(ann, "two", "delete")
    await act(ann, "one again", "edit", "one at last")
    await ann.say("five")
    wanted = ["one at last", "Message deleted", "three", "four again", "five"]
    await sees_in_frame(bob, wanted)
    await bob.window.evaluate("(document.querySelector('#stream').contentWindow.location.reload(), 0)")
    await ann.say("six")
    await sees_in_frame(bob, [*wanted, "six"])


async def act(visitor: Visitor, text: str, name: str, body: str = "") -> None:
    await visitor.window.wait_for(f"document.querySelector('#messages').textContent.includes({text!r})")
    await visitor.window.evaluate(ACT.format(text=json.dumps(text), act=name, body=json.dumps(body)))


MARKED = """(field => [field.matches(":user-invalid"), getComputedStyle(field).boxShadow])
  (document.querySelector("#texts > :last-child"))"""


async def test_a_name_that_is_chosen_is_in_the_field_and_one_types_on_behind_it(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    for _ in range(2):  # the same again
        await ann.type("tea @b")
        await ann.window.wait_for("document.querySelector('#hint .names button')?.checkVisibility()")
        assert await ann.window.evaluate(MARKED) == [False, "none"]  # though it does not fit its pattern
        await ann.window.click("#hint .names button")
        await ann.window.wait_for("document.querySelector('#texts > :last-child').value === 'tea @Bob '")
        await ann.window.wait_for("document.activeElement === document.querySelector('#texts > :last-child')")
        await ann.window.type("now\n")
        await ann.rest()
    await bob.shows(["tea @Bob now"] * 2)


GONE = """document.querySelector("#messages") === null && !document.body.textContent.includes("between us")
  && !document.body.textContent.includes("Reconnecting") && location.pathname.startsWith("/rooms/")"""


async def test_back_after_leaving_shows_nothing_of_the_room(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("between us")
    await bob.sees("between us")
    await ann.leave()
    await ann.window.wait_for("document.querySelector('#code') !== null")
    for _ in range(3):
        for _ in range(2):  # over the page that asked
            await ann.window.back()
            await ann.window.wait_for(GONE)
        await ann.window.evaluate("setTimeout(() => history.go(2))")
        await ann.window.wait_for("document.querySelector('#code') !== null")


async def test_logging_out_ends_the_identity_and_empties_the_pages_behind(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("between us")
    await bob.sees("between us")
    await ann.window.click("#rail a[href='/']")
    await ann.window.wait_for("document.querySelector('form.aside button') !== null")
    await ann.window.click("form.aside button")
    await ann.window.wait_for("document.querySelector('#code') && !document.querySelector('form.aside')")
    await bob.window.wait_for("document.querySelector('#messages').textContent.includes('Ann left for good')")
    await ann.window.back()
    if (
        await ann.window.evaluate("location.pathname") == "/"
    ):  # twice the same address is one entry in Firefox only
        await ann.window.back()
    await ann.window.wait_for(GONE)


# Older messages that came would move this, if the place were not kept.
TOP = "document.querySelector('#message-{}').getBoundingClientRect().top"  # px, with fractions
PLACE = f"Math.round({TOP})"
IN_SIGHT = """(() => { const r = document.querySelector("#scroll").getBoundingClientRect();
  return [...document.querySelectorAll("#messages li[id]")]
    .find(li => li.getBoundingClientRect().bottom > r.top + r.height / 2).id.slice(8) })()"""


async def test_a_page_at_the_newest_message_follows(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await history(ann, 60)
    await bob.sees("number 59")  # what Bob has not read yet is where his page would open
    await bob.window.reload()
    await bob.in_room()
    await at_newest(bob, "number 59")
    await ann.say("one more")
    await at_newest(bob, "one more")


@pytest.mark.parametrize("engine", ["WebKit"], indirect=True, scope="module")
async def test_a_page_that_stopped_a_pixel_short_of_the_newest_follows(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await history(ann, 60)
    await bob.sees("number 59")
    await bob.window.evaluate(f"({SCROLL}.scrollTop = -1, 0)")
    assert await bob.window.evaluate(f"{SCROLL}.scrollTop") == -1
    for text in ("ok", "A longer text that takes two lines on the page. " * 4):
        await ann.say(text)
        await at_newest(bob, text.strip())


async def test_who_scrolls_up_and_comes_back_is_followed_again(visitors: Visitors) -> None:
    """Three times, because the fractions of the heights differ with each message."""
    ann, bob = await visitors.two()
    await history(ann, 60)
    await bob.sees("number 59")
    newest = "number 59"
    for text in ("ok", "A longer text that takes two lines on the page. " * 4, "well"):
        await scroll_up(bob)
        await bob.window.press("End")
        await at_newest(bob, newest)  # a page that has yet to scroll is still, too
        await still(bob.window)
        await ann.say(text)
        newest = text.strip()
        await at_newest(bob, newest)


# WebKit has no scroll anchoring; the README says so.
@pytest.mark.parametrize("engine", ["Chromium", "Firefox"], indirect=True, scope="module")
async def test_who_reads_further_up_is_not_moved(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await history(ann, 45)
    await bob.sees("number 44")
    await scroll_up(bob)
    place = TOP.format(await bob.window.evaluate(IN_SIGHT))
    before = await bob.window.evaluate(place)
    for n in range(5):
        await ann.say(f"storm {n}")
    await bob.sees("storm 4")
    assert abs(await bob.window.evaluate(place) - before) < 1  # browsers scroll by whole pixels


async def at_the_end_of_many(visitors: Visitors) -> tuple[Visitor, str]:
    """A reader of more messages than a page has, and an expression for where the first one on the page is."""
    ann, bob = await visitors.two()
    await history(ann, 120)
    await bob.sees("number 119")
    await bob.window.reload()
    await bob.in_room()
    await at_newest(bob, "number 119")
    first = await bob.window.evaluate("document.querySelector('#earlier > li').id.slice(8)")
    return bob, PLACE.format(first)


async def test_older_messages_come_without_moving_a_reader_at_the_top(visitors: Visitors) -> None:
    bob, place = await at_the_end_of_many(visitors)
    count = len(await bob.texts())
    before = await bob.window.evaluate(f"({SCROLL}.scrollTop = -1e6, {place})")
    await bob.window.wait_for(f"document.querySelectorAll('#earlier > li').length > {count}")
    assert abs(await bob.window.evaluate(place) - before) <= 1


async def test_older_messages_come_without_throwing_a_reader_who_scrolls(visitors: Visitors) -> None:
    bob, place = await at_the_end_of_many(visitors)
    count = len(await bob.texts())
    await bob.window.focus("#scroll")
    for _ in range(40):
        await bob.window.press("PageUp")
        await still(bob.window)
        if len(await bob.texts()) > count:
            break
    height = await bob.window.evaluate(f"{SCROLL}.clientHeight")
    moved = abs(await bob.window.evaluate(place))
    assert moved < 2 * height, f"{moved / height:.1f} pages from where the older messages were inserted"


async def test_back_leads_to_a_live_page_that_lacks_nothing(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("before")
    await bob.shows(["before"])
    await bob.window.open(bob.url)
    await ann.say("meanwhile")
    await bob.window.back()
    await bob.in_room()
    await bob.shows(["before", "meanwhile"])
    await ann.say("after")
    await bob.shows(["before", "meanwhile", "after"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_nothing_sticks_out(visitors: Visitors, width: int, scheme: Scheme) -> None:
    ann = await visitors.newcomer(width=width, height=700, scheme=scheme)
    await ann.window.open(ann.url)
    assert await ann.window.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    await ann.open_room("Ann")
    await ann.say("A text with one very long word: " + "wide" * 40)
    assert await ann.window.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert await ann.window.evaluate(f"{SCROLL}.scrollWidth - {SCROLL}.clientWidth") <= 0
    dark = await ann.window.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark == (scheme == "dark")
    paper = await ann.window.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper)[:3])) < 80) == dark
    SCREENS.mkdir(parents=True, exist_ok=True)
    await ann.window.screenshot(SCREENS / f"{visitors.engine.name}-{width}-{scheme}.png")


async def test_letters_typed_across_enter_are_neither_lost_nor_doubled(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.type("first message\nsecond one\n3\nthe fourth\nand a draft", pace=0.02)
    texts = ["first message", "second one", "3", "the fourth"]
    await ann.shows(texts)
    await ann.window.type("\n")
    await ann.shows([*texts, "and a draft"])
    await ann.rest()


async def switch(visitor: Visitor, tag: str) -> None:
    await visitor.window.click("#switch")
    await visitor.window.wait_for(f"document.querySelector('#texts > {tag}:last-child:focus') !== null")


async def field_of(visitor: Visitor) -> list[object]:
    """The kind of the field that takes what is typed, its text, and where the caret stands."""
    expression = (
        "(e => [e.tagName, e.value, e.selectionStart])(document.querySelector('#texts > :last-child'))"
    )
    return list(await visitor.window.evaluate(expression))


async def test_writing_goes_on_at_the_end_of_the_draft_after_either_switch(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.type("hello", pace=0)
    await switch(ann, "textarea")
    await ann.window.type("\nworld", pace=0)
    await switch(ann, "input")
    assert await field_of(ann) == ["INPUT", "hello world", 11]
    await ann.window.type("!", pace=0)
    await switch(ann, "textarea")
    assert await field_of(ann) == ["TEXTAREA", "hello world!", 12]
    await ann.window.type("\nagain", pace=0)
    await ann.window.click("button.send")
    await ann.shows(["hello world!\nagain"])
    await ann.rest()
    assert await ann.window.evaluate("document.querySelectorAll('#spare > :disabled').length") == 1


DRAFTS = [
    "",
    " ",
    "two  blanks  ",
    """"quotes' 50% %41 #1 ?a=b&amp;c <b></textarea><hx-partial>""",
    "😀 👩‍👩‍👧‍👦 שלום",
]


async def test_a_draft_stays_exactly_as_it_is_when_the_field_is_switched(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    for draft in [*DRAFTS, "long " * 5000]:
        text = json.dumps(draft)
        await ann.window.evaluate(f"(document.querySelector('#texts > :last-child').value = {text}, 0)")
        length = len(draft.encode("utf-16-le")) // 2
        for tag in ("textarea", "input"):
            await switch(ann, tag)
            assert await field_of(ann) == [tag.upper(), draft, length]


FOCUSED = """(window.focused = [],
  addEventListener("focusin", e => focused.push(e.target.id || e.target.tagName)), 0)"""


async def test_typing_across_the_switch_leaves_the_draft_and_moves_the_focus_once(visitors: Visitors) -> None:
    """Until the answer comes, the button has the focus; from then on every letter goes behind the draft."""
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.type("a draft: ", pace=0)
    await ann.window.evaluate(FOCUSED)
    await ann.window.click("#switch")
    await ann.window.type("abcdefghijklmnopqrst", pace=0.02)
    await ann.window.wait_for("document.querySelector('textarea:focus') !== null")
    await ann.window.type("!")
    _, text, caret = await field_of(ann)
    assert str(text).startswith("a draft: ")
    assert "abcdefghijklmnopqrst!".endswith(str(text).removeprefix("a draft: "))
    assert caret == len(str(text))
    assert [e for e in await ann.window.evaluate("focused") if e != "switch"] == ["TEXTAREA"]
    assert await ann.window.evaluate("focused.at(-1)") == "TEXTAREA"


async def test_the_same_text_after_back_is_another_message(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.say("ok")
    await ann.shows(["ok"])
    for n in (2, 3):
        await ann.window.click("#rail a[href='/']")
        await ann.window.wait_for("document.querySelector('#code') !== null")
        await ann.window.back()
        await ann.in_room()
        await ann.shows(["ok"] * (n - 1))
        await ann.window.wait_for("document.hasFocus() && document.querySelector('#life').value !== ''")
        await ann.say("ok")
        await ann.shows(["ok"] * n)
        await ann.rest()


FRAME = "document.querySelector('iframe').contentDocument.body.textContent"


# WebKitWebDriver cannot be used without JavaScript; Chromium's is in test_without_javascript.py.
@pytest.mark.parametrize("engine", ["Firefox"], indirect=True, scope="module")
@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
async def test_without_javascript_the_live_page_survives_a_slow_restart(
    visitors: Visitors, server: Server, signal: str
) -> None:
    ann = await visitors.newcomer()
    code = await ann.open_room("Ann")
    cat = await visitors.newcomer(javascript=False)
    await cat.join_room(code, "Cat", live=False)
    await ann.say("before")
    await cat.window.wait_for(f"{FRAME}.includes('before')")
    ann.expected.append(UNREACHABLE)
    cat.expected.append(UNREACHABLE)
    await stop(server, signal)
    await asyncio.sleep(2)  # as long as the restart takes
    await asyncio.to_thread(server.start)
    await ann.say("after")
    await cat.window.wait_for(f"{FRAME}.includes('after')", timeout=40)


DRAFT = "[...document.querySelectorAll('#texts > *')].map(control => control.value)"


# Decision 29 says why the other two forget it.
@pytest.mark.parametrize("engine", ["Chromium"], indirect=True, scope="module")
async def test_back_leads_to_what_was_being_written(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.type("half a th", pace=0)
    await ann.window.evaluate("window.kept = true")
    await ann.window.open(ann.url)
    await ann.window.back()
    await ann.window.wait_for("window.kept")
    await ann.window.wait_for(f"{DRAFT}.join() === 'half a th'")
    await ann.type("ought\n", pace=0)
    await ann.shows(["half a thought"])
    await ann.rest()


async def begins_elsewhere(visitor: Visitor, text: str) -> None:
    """Somebody types on another device."""
    form = json.dumps({"key": "phone", "body": text})
    path, headers = "location.pathname + '/draft'", "{'HX-Request': 'true'}"
    await visitor.window.evaluate(
        f"void fetch({path}, {{method: 'POST', headers: {headers}, body: new URLSearchParams({form})}})"
    )


OFFER = "document.querySelector('.drafts blockquote')?.textContent"


async def test_what_was_begun_elsewhere_is_offered_and_the_field_is_not_touched(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.type("at the desk", pace=0)
    await begins_elsewhere(ann, "on the phone")
    await ann.window.wait_for(f"{OFFER} === 'on the phone'", timeout=20)
    await ann.window.type(", still", pace=0)
    await ann.window.wait_for(f"{DRAFT}.join() === 'at the desk, still'")
    await ann.window.click(".drafts button[value^=use]")
    await ann.window.wait_for(f"{OFFER} === 'at the desk, still'")
    await ann.in_room()
    await ann.window.wait_for(f"{DRAFT}.join() === 'on the phone'")
    await ann.type(", and sent\n", pace=0)
    await ann.shows(["on the phone, and sent"])


async def test_what_is_typed_on_the_page_of_a_message_is_there_after_another_page(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.say("Who has the keys?")
    await ann.sees("Who has the keys?")
    (id, *_) = (await ann.window.evaluate(IDS))[::-1]
    path = f"{await ann.window.evaluate('location.href')}/{id}"
    for name, text in (("reply", "I do"), ("edit", " Or Bob?")):
        await ann.window.open(path)
        field = f"document.querySelector('#to-{name}')"
        await ann.window.wait_for(f"{field} !== null && document.readyState === 'complete'")
        await ann.window.focus(f"#to-{name}")
        await ann.window.type(text, pace=0.02)
        await ann.window.open(ann.url)
        await ann.window.wait_for("document.querySelector('#code') !== null")
        await ann.window.open(path)
        await ann.window.wait_for(f"{field}?.value.includes({json.dumps(text)})")
