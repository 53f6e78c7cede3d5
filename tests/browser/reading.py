"""Reading a conversation in any of the browsers: where it stands, and how to get there."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote_plus

from browser.drivers import Window
from browser.visitors import Visitor

SCROLL = "document.querySelector('#scroll')"
# The keys of WebKit alone stop a pixel short when it has much to do; it follows from there.
AT_END = (
    f"(Math.abs({SCROLL}.scrollTop) < 1 || {SCROLL}.scrollTop === -1"
    " && CSS.supports('selector(:-webkit-autofill-strong-password)'))"
)
# Above it messages are seen; below it is the field.
EDGE = "document.querySelector('#base').getBoundingClientRect().top"

LIVE_FRAME = """(document.body.append(Object.assign(document.createElement("iframe"),
  {src: location.pathname + "/stream", id: "stream", height: 600})), 0)"""
# What is to be seen in the live page without JavaScript, from top to bottom.
SEEN_IN_FRAME = """JSON.stringify(
  [...document.querySelector("#stream").contentDocument.querySelectorAll("li:not(.notice)")]
  .filter(li => li.checkVisibility())
  .map(li => [li.getBoundingClientRect().top, li.querySelector(".text, .gone")])
  .sort((one, other) => one[0] - other[0]).map(line => line[1].textContent))"""


async def at_newest(visitor: Visitor, text: str) -> None:
    """Wait until a text is the last and nothing of it is below the edge."""
    await visitor.window.wait_for(
        f"(([last]) => last?.textContent.includes({text!r}) && last.getBoundingClientRect().bottom"
        f" <= {EDGE} + 1 && {AT_END})"
        "([...document.querySelectorAll('#messages .text')].slice(-1))"
    )


async def scroll_up(visitor: Visitor, pages: int = 1) -> None:
    await visitor.window.focus("#scroll")
    for _ in range(pages):
        await visitor.window.press("PageUp")
    await visitor.window.wait_for(f"{SCROLL}.scrollTop < -200")
    await still(visitor.window)


async def still(window: Window) -> None:
    """Wait until a smooth scroll has ended: four looks in a row see the same."""
    seen = [await window.evaluate(f"{SCROLL}.scrollTop")]
    while len(seen) < 4 or len(set(seen[-4:])) > 1:
        await asyncio.sleep(0.08)
        seen.append(await window.evaluate(f"{SCROLL}.scrollTop"))


async def history(visitor: Visitor, count: int, text: str = "number {}") -> None:
    """Many messages at once, by the form that works without JavaScript."""
    path = f"{visitor.url}/rooms/{await visitor.window.evaluate('location.pathname.split(`/`)[2]')}/messages"
    for start in range(0, count, 50):
        bodies = "".join(f"&body={quote_plus(text.format(n))}" for n in range(start, min(count, start + 50)))
        await visitor.window.evaluate(
            f"(fetch({path!r}, {{method: 'POST', body: new URLSearchParams('key={start}k{bodies}')}}), 0)"
        )
        await visitor.sees(text.format(min(count, start + 50) - 1))


async def sees_in_frame(visitor: Visitor, texts: list[str]) -> None:
    await visitor.window.wait_for(f"{SEEN_IN_FRAME} === JSON.stringify({json.dumps(texts)}) || null")
