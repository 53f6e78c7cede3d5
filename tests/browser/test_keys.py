"""Keys of one's own, and what a screen reader is told and what not."""

from __future__ import annotations

from typing import Any

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People, Tab

pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SPOKEN = """() => {
  const REGION = "[aria-live], [role=log], [role=status], [role=alert]";
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim();
    const region = walk.currentNode.parentElement.closest(REGION);
    if (text && region && region.ariaLive !== "off") found.push(text);
  }
  return found;
}"""
SETTINGS = {"CHAT_RATE_LIMIT": "off"}


async def press(tab: Tab, letter: str) -> None:
    """Press it together with Alt, as a keyboard does: Playwright leaves out the letter."""
    session = await tab.page.context.new_cdp_session(tab.page)
    key = {"modifiers": 1, "key": letter, "code": f"Key{letter.upper()}", "unmodifiedText": letter}
    for kind in ("keyDown", "keyUp"):
        await session.send("Input.dispatchKeyEvent", {"type": kind, **key})


async def test_letters_send_edit_search_and_go_to_the_newest(people: People) -> None:
    ann = await people.newcomer()
    await ann.open_room("Ann")
    await ann.write_history(60, "old {}")
    await ann.page.reload()
    await ann.live()
    await ann.field.focus()
    await ann.page.keyboard.insert_text("by a key")
    await press(ann, "s")
    await ann.sees("by a key")
    await ann.rest()

    await press(ann, "l")
    form = ann.page.locator("#acting textarea[name=body]")
    await expect(form).to_be_focused()
    await expect(form).to_have_value("by a key")
    await ann.page.keyboard.press("End")
    await ann.page.keyboard.type("s")
    await ann.page.keyboard.press("Tab")
    await ann.page.keyboard.press("Enter")
    await ann.sees("by a keys")
    # The message has the focus back, and is scrolled to for that, when the form closes.
    await expect(form).not_to_be_attached()
    await expect(ann.message("by a keys").get_by_role("radio")).to_be_focused()

    await ann.page.locator("#scroll").evaluate("e => e.scrollTo(0, -e.scrollHeight)")
    await expect(ann.message("by a keys")).not_to_be_in_viewport()
    await press(ann, "n")
    await expect(ann.message("by a keys")).to_be_in_viewport()
    await ann.page.keyboard.press("Tab")
    await expect(ann.field).to_be_focused()

    await press(ann, "k")
    await expect(ann.page.get_by_role("searchbox")).to_be_focused()


async def test_without_javascript_a_link_leads_to_the_last_text(people: People) -> None:
    ann = await people.newcomer(javascript=False)
    await ann.open_room("Ann")
    last = ann.page.get_by_role("link", name="Edit my last message")
    await last.focus()
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.locator("#composer")).to_be_attached()
    await ann.write_history(2, "old {}")
    await ann.page.goto(ann.page.url, wait_until="commit")
    await last.focus()
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.locator("#edit textarea")).to_have_value("old 1")


async def regions(tab: Tab) -> list[tuple[str, str]]:
    """What the accessibility tree says is live, and what of it is spoken."""
    session = await tab.page.context.new_cdp_session(tab.page)
    nodes: list[Any] = (await session.send("Accessibility.getFullAXTree"))["nodes"]
    found = []
    for node in nodes:
        of = {one["name"]: one["value"].get("value") for one in node.get("properties", [])}
        if "live" in of:
            found.append((node["role"]["value"], of["relevant"]))
    return found


async def spoken(tab: Tab) -> list[str]:
    """The texts that are read aloud when they are added: whose nearest region is one that is on."""
    words: list[str] = await tab.page.evaluate(SPOKEN)
    return words


async def test_new_messages_are_spoken_and_nothing_else_of_them(people: People) -> None:
    ann, bob = await people.two()
    await bob.both_entered()
    await ann.say("hello")
    await bob.sees("hello")
    words = await spoken(bob)
    assert words.index("Ann") < words.index("hello"), "author, then text"

    id = await bob.message("hello").get_attribute("id")
    number = str(id).removeprefix("message-")
    url = f"{ann.url}/rooms/{ann.code}/{number}"
    request = ann.page.context.request
    reply = await request.post(f"{url}/reactions", form={"emoji": "👍", "on": "1"}, max_redirects=0)
    assert reply.status == 303
    reply = await request.post(f"{url}/edit", form={"body": "hello there"}, max_redirects=0)
    assert reply.status == 303
    await bob.sees("hello there")
    await expect(bob.page.locator(".reacts button").first).to_be_attached()
    await ann.page.wait_for_timeout(3000)  # a text of hers was just sent
    await ann.type("typing")
    await expect(bob.page.locator("#typing")).to_have_text("Ann is typing…")
    after = await spoken(bob)
    assert [word for word in after if word not in words] == ["hello there"], "what took the place of a text"
    assert ("log", "additions") in await regions(bob), "and that is not spoken, being no addition"
    assert {role for role, _ in await regions(bob)} <= {"log", "status", "alert"}


async def test_help_lists_every_key_and_fits_a_small_phone(people: People) -> None:
    ann = await people.newcomer(width=320, height=568)
    await ann.open_room("Ann")
    keys = await ann.page.locator("[accesskey]").evaluate_all(
        "all => all.map(e => e.accessKey.toUpperCase())"
    )
    await ann.page.goto(f"{ann.url}/help?room={ann.code}")
    listed = await ann.page.locator("kbd").all_inner_texts()
    assert set(keys) <= set(listed), "every key is listed"
    assert {key for key in listed if len(key) == 1} == set(keys), "and no other"
    assert len(set(keys)) == len(keys)
    assert not {"D", "E", "F"}.intersection(keys), "with Alt, these open Chrome's own menus"
    assert await ann.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
