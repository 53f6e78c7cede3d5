"""HTML as a small tree that tests can ask questions: what is on the page, not how it is spelled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"base", "br", "hr", "img", "input", "link", "meta", "source", "wbr"}
TOKEN = re.compile(
    r"(?P<tag>^[\w-]+|\*)|#(?P<id>[\w-]+)|\.(?P<cls>[\w-]+)|\[(?P<name>[\w:-]+)(?:=(?P<value>[^\]]*))?\]"
)


@dataclass
class Element:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)
    parent: Element | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def __contains__(self, name: str) -> bool:
        return name in self.attributes

    @property
    def id(self) -> str:
        return self.attributes.get("id", "")

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @property
    def text(self) -> str:
        """Everything written inside, as it stands in the source."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def words(self) -> str:
        """The text as a person reads it: runs of white space are one space."""
        return " ".join(self.text.split())

    @property
    def value(self) -> str:
        """What a form control holds; a browser drops the first line end of a textarea."""
        return self.text.removeprefix("\n") if self.tag == "textarea" else self.attributes.get("value", "")

    def walk(self) -> Iterator[Element]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.walk()

    def all(self, selector: str) -> list[Element]:
        """Elements below this one, in document order.

        A selector has `tag`, `#id`, `.class`, `[name]`, `[name=value]`, and spaces for descent.
        """
        return [element for element in self.walk() if _matches(element, selector.split(), self)]

    def one(self, selector: str) -> Element:
        """The only such element; anything else fails the test."""
        found = self.all(selector)
        assert len(found) == 1, f"{len(found)} elements match {selector!r}"
        return found[0]

    def has(self, selector: str) -> bool:
        return bool(self.all(selector))


def parse(html: str) -> Element:
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.root


def _matches(element: Element, steps: list[str], top: Element) -> bool:
    *outer, last = steps
    if not _is(element, last):
        return False
    ancestor = element.parent
    while outer and ancestor is not None and ancestor is not top:
        if _is(ancestor, outer[-1]):
            outer.pop()
        ancestor = ancestor.parent
    return not outer


def _is(element: Element, simple: str) -> bool:
    position = 0
    for token in TOKEN.finditer(simple):
        assert token.start() == position, f"not a selector: {simple!r}"
        position = token.end()
        if token["tag"] and token["tag"] not in {"*", element.tag}:
            return False
        if token["id"] and element.id != token["id"]:
            return False
        if token["cls"] and token["cls"] not in element.classes:
            return False
        if token["name"] and not _has_attribute(element, token["name"], token["value"]):
            return False
    assert position == len(simple), f"not a selector: {simple!r}"
    return True


def _has_attribute(element: Element, name: str, value: str | None) -> bool:
    return name in element and (value is None or element[name] == value)


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.here = Element("document")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute of <{tag}> is given twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs}, parent=self.here)
        self.here.children.append(element)
        if tag not in VOID:
            self.here = element

    def handle_endtag(self, tag: str) -> None:
        assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        self.here.children.append(data)
