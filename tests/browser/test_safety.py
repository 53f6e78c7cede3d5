"""What people type is text, in the real page; and nothing but our two files ever runs."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import expect

from browser.people import People, Tab

CORPUS = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<svg onload=window.hacked=1>",
    "\"><b onmouseover='window.hacked=1' autofocus onfocus=window.hacked=1 tabindex=0>x</b>",
    "</li></ol></section><h1>outside</h1>",
    "<hx-partial hx-target='#composer' hx-swap='delete'></hx-partial>",
    "<div hx-get='/metrics' hx-trigger='load'>x</div>",
    "<p hx-swap-oob='delete:#composer'>x</p>",
    "<a href='javascript:window.hacked=1'>x</a> javascript:window.hacked=1 https://x/\"onclick=\"window.hacked=1",
    '{{7*7}} {% raw %} ${7*7} {"content": "<b>x</b>", "target": "#composer"}',
    "<!-- --!> --> <style>*{display:none}</style> <base href=//evil> <meta http-equiv=refresh content=0>",
    "&lt;b&gt; &amp;amp; &#60;script&#62;",
    "<title>hacked</title><textarea></template></noscript>",
    "https://example.org/<script>window.hacked=1</script>",
]
NAMES = ["<b>x</b>", '"><img src=x onerror=hacked=1>', "<hx-partial></hx-partial>", "'\"`{{7*7}}&lt;"]
# But for the buttons of ours that choose a message, and those that tell its versions apart.
FOREIGN = (
    ":is(script, img, svg, style, base, meta, form, input:not(.by > [form=pal], li > [hidden]), hx-partial)"
)
INLINE_SCRIPT = """() => { const script = document.createElement("script");
  script.textContent = "window.hacked = 1"; document.body.append(script) }"""


async def unharmed(tab: Tab) -> None:
    assert not await tab.page.evaluate("window.hacked")
    assert re.fullmatch(r"\w{4}(-\w{4})+ · Room chat", await tab.page.title())
    await expect(tab.page.locator("#composer")).to_be_visible()
    await expect(tab.page.get_by_role("heading", level=1)).to_have_count(1)
    await expect(tab.page.locator(f"#messages {FOREIGN}")).to_have_count(0)
    await expect(tab.page.locator("#messages .text :not(a)")).to_have_count(0)


async def test_messages_are_text_whatever_they_look_like(people: People) -> None:
    ann, bob = await people.two()
    for text in CORPUS:
        await ann.say(text)
    await bob.shows(CORPUS)
    await unharmed(bob)
    await unharmed(ann)
    for link in await bob.page.locator("#messages a").all():
        if (await link.get_attribute("class")) is None and await link.get_attribute("target"):
            assert (await link.get_attribute("href") or "").startswith("https://")
            assert await link.get_attribute("rel") == "noopener noreferrer nofollow ugc"
    await bob.page.reload()  # the same from the page as from the socket
    await bob.shows(CORPUS)
    await unharmed(bob)


async def test_names_are_text_whatever_they_look_like(people: People) -> None:
    ann = await people.newcomer()
    code = await ann.open_room("Ann")
    await ann.live()
    for name in NAMES:
        other = await (await people.newcomer()).join_room(code, name)
        await other.live()
        await other.say(f"I am {name}")
        await ann.sees(f"I am {name}")
        await unharmed(other)
    await expect(ann.page.locator("#roster li bdi")).to_have_text(["Ann", *NAMES])
    assert [line.by for line in await ann.lines()] == NAMES
    await unharmed(ann)
    ours = "form[hx-post='/rooms/" + code + "/composer']"
    await expect(ann.page.locator(f"#roster {FOREIGN}:not({ours})")).to_have_count(0)
    await expect(ann.page.locator("#roster form")).to_have_count(1)


async def test_the_live_frame_treats_them_as_text_too(people: People) -> None:
    ann, cat = await people.newcomer(), await people.newcomer(javascript=False)
    await cat.join_room(await ann.open_room(NAMES[1]), "Cat")
    await ann.live()
    for text in CORPUS:
        await ann.say(text)
    frame = cat.page.frame_locator("iframe")
    await expect(frame.locator(".text")).to_have_text(CORPUS)
    await expect(frame.locator(f"main {FOREIGN}")).to_have_count(0)


async def test_an_inline_script_would_not_run_and_would_be_noticed(people: People) -> None:
    ann = await people.newcomer()
    await ann.open_room("Ann")
    with ann.noise_expected("Content Security Policy"):
        await ann.page.evaluate(INLINE_SCRIPT)
        await ann.page.evaluate("""() => { document.body.setAttribute("style", "color: red") }""")
        for _ in range(50):
            if len(ann.noise) > 1:
                break
            await asyncio.sleep(0.1)
        assert len(ann.noise) == 2, ann.noise
    assert not await ann.page.evaluate("window.hacked")


@pytest.mark.parametrize("path", ["/rooms/22222222", "/nothing/here", "/rooms/<script>"])
async def test_error_pages_have_a_way_on(people: People, path: str) -> None:
    ann = await people.newcomer()
    with ann.noise_expected("404"):
        await ann.page.goto(ann.url + path)
    await expect(ann.page.get_by_role("heading", level=1)).to_be_visible()
    await ann.page.get_by_role("link", name="Back to the start").click()
    await expect(ann.page.get_by_label("Your name")).to_be_visible()


async def test_errors_of_the_home_page_stand_beside_the_field_and_have_the_focus(people: People) -> None:
    ann = await people.newcomer()
    await ann.page.goto(ann.url)
    await expect(ann.page.get_by_label("Your name")).to_be_focused()
    for name, code, field, text in (
        ("", "", "Your name", "Please enter a name."),
        ("Ann", "", "Room code", "Please enter a room code."),
        ("Ann", "2222-2222", "Room code", "Room does not exist. Is a letter missing?"),
    ):
        await ann.page.get_by_label("Your name").fill(name)
        await ann.page.get_by_label("Room code").fill(code)
        with ann.noise_expected("422"):
            if name and not code:  # Enter would create a room
                await ann.page.get_by_role("button", name="Join a Room").click()
            else:
                await ann.page.keyboard.press("Enter")
            await expect(ann.page.get_by_role("alert").filter(has_text=text)).to_be_visible()
        faulty = ann.page.get_by_label(field)
        await expect(faulty).to_be_focused()
        await expect(faulty).to_have_attribute("aria-invalid", "true")
        await expect(faulty).to_have_accessible_description(text)
        await expect(ann.page.get_by_label("Your name")).to_have_value(name)
        await expect(ann.page.get_by_label("Room code")).to_have_value(code)
