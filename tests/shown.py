"""What a page shows of a room: its messages, changed by frames as htmx does, to be compared as DOM."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dom import Element, parse

WHOLE = re.compile(r"#message-(\d+)")
ROW_IS_MISSING = re.compile(r"#message-(\d+):not\(:has\(#row-\1\)\)")
ROW = re.compile(r"#row-(\d+)")
TOP = re.compile(r"#messages:not\(:has\(#(message-\d+)\)\) #earlier")
QUOTES = re.compile(r"#messages \.quote\[href\$='(/\d+)'\]")
OF_STREAMS = ("role", "slot")  # attributes


class ShownMessages:
    """Those of a page. A frame changes them: all its targets are looked up before anything is."""

    def __init__(self, page: Element) -> None:
        self.items = {item.id: item for item in messages_of(page)}
        self.line = line_of(page)

    def take(self, frame: Element) -> None:
        parts = [part for part in frame.children if isinstance(part, Element)]
        there = list(self.items)
        for part, target in [(part, self._target(part)) for part in parts]:
            if part.tag == "li":
                assert part.id not in self.items, "a message came twice"
                self.items[part.id] = part
            elif quotes := QUOTES.fullmatch(part.attributes.get("hx-target", "")):
                _replace_quotes([self.items[id] for id in there], quotes[1], part.one("a.quote"))
            elif part.attributes.get("hx-target") == "#messages":
                self.items = {item.id: item for item in messages_of(part)}
                self.line = line_of(part)
                there = []
            elif part.attributes.get("hx-target") == "#messages .new":
                self.line = ""
            elif target and part["hx-swap"] == "beforebegin":
                self.line = target.id
            elif (top := TOP.fullmatch(part.attributes.get("hx-target", ""))) and top[1] not in there:
                self.line = there[0]
            elif target:
                _swap(self.items, target, part)

    def _target(self, part: Element) -> Element | None:
        target = part.attributes.get("hx-target", "")
        if found := WHOLE.fullmatch(target):
            return self.items.get(f"message-{found[1]}")
        if found := ROW_IS_MISSING.fullmatch(target):
            item = self.items.get(f"message-{found[1]}")
            return None if item is None or item.has(f"#row-{found[1]}") else item
        if found := ROW.fullmatch(target):
            rows = [row for item in self.items.values() for row in item.all(target)]
            return rows[0] if rows else None
        return None

    @property
    def dom(self) -> list[Any]:
        return [dom_of(item) for item in self.items.values()]


def _swap(items: dict[str, Element], target: Element, part: Element) -> None:
    match part["hx-swap"]:
        case "outerMorph":
            items[target.id] = part.one(f"#{target.id}")
        case "beforeend":
            target.children += part.children
            for child in part.children:
                if isinstance(child, Element):
                    child.parent = target
        case "innerMorph":
            target.children = part.children
        case "delete":
            assert target.parent
            target.parent.children.remove(target)
        case swap:
            raise AssertionError(f"nothing of a message is swapped by {swap}")


def _replace_quotes(items: Iterable[Element], address: str, quote: Element) -> None:
    """In all messages that were there: another part of the frame may have morphed one, not replaced it."""
    for old in [old for item in items for old in item.all(".quote") if old["href"].endswith(address)]:
        old.attributes, old.children = quote.attributes, quote.children


def messages_of(page: Element) -> list[Element]:
    """In the order of the page; an item of a list inside a text is none."""
    return [item for item in page.all("li") if item.id.startswith("message-")]


def line_of(page: Element) -> str:
    """The id of the message after the line of what is new; nothing without one."""
    items = page.all("li")
    places = [place for place, item in enumerate(items) if "new" in item.classes]
    assert len(places) <= 1
    return items[places[0] + 1].id if places else ""


def streamed(html: str) -> list[Any]:
    """What a live page without JavaScript shows: of each message the line that came last."""
    whole = html[html.index("<li role") : html.rindex("</li>") + len("</li>")]
    lines = {item.id: item for item in messages_of(parse(whole))}
    return [dom_of(lines[id]) for id in sorted(lines, key=lambda id: int(id.removeprefix("message-")))]


def dom_of(element: Element) -> Any:
    """Comparable: without what only says where a page or a stream stands."""
    attributes = {name: value for name, value in element.attributes.items() if name not in OF_STREAMS}
    return element.tag, attributes, list(_children(element))


def _children(element: Element) -> Iterable[Any]:
    for child in element.children:
        if isinstance(child, str):
            if child.strip():
                yield child
        elif child.attributes.get("name") != "since" and not child.attributes.get("name", "").startswith(
            "version-"
        ):
            yield dom_of(child)
