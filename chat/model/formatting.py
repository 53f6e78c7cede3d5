"""Formatting of a text: what its marks mean, and the text without them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from chat.model.inline import Token, inline, merged

MARKS = 1_000  # marks inside the lines of a text, at most; one with more is shown as it was typed
DEPTH = 4  # quotes and lists inside each other
BLOCKS = {"quote", "list", "item"}

_ACTION = re.compile(r"/me[ \t]+(?P<does>\S.*)")
_POSSIBLE = re.compile(r"[*`~|>:-]")
_MARKED = re.compile(
    r"[*`]|~~|\|\||^[ ]{0,12}(?:>|- )|(?<![^\s(*~|]):[a-z0-9+-]", re.IGNORECASE | re.MULTILINE
)
_MARK = re.compile(r"[*`]|~~|\|\||:[a-z0-9+-]", re.IGNORECASE)
# Possessive: else many blanks would take time in the square of their number.
_FENCE = re.compile(r" {0,3}(?P<ticks>`{3,}+)[ \t]*+(?P<info>[^`]*+)")
_LANGUAGE = re.compile(r"[A-Za-z][\w+#.-]{0,19}")
# Not ">_<", ">:(", "> 50 %" without its space, nor the prompt ">>>".
_QUOTE = re.compile(r" {0,3}>(?!>>)(?: |$|(?=>(?: |[^\W\d_]))|(?=[^\W\d_](?![<>])))")
_BULLET = re.compile(r"( *)[-*] ++(?=.*[^\s*-])")


def is_marked(body: str) -> bool:
    """Whether there may be something to format. Most texts have nothing, and this takes little time."""
    return _POSSIBLE.search(body) is not None and _MARKED.search(body) is not None


def is_action(body: str) -> bool:
    """Whether it says in one line what its author does: "/me waves"."""
    return body.startswith("/me") and _ACTION.fullmatch(body) is not None


def parse(body: str) -> list[Token]:
    """What a text is made of; one that says what its author does is parsed without its "/me"."""
    action = _ACTION.fullmatch(body)
    body = action["does"] if action else body
    if not is_marked(body) or len(_MARK.findall(body)) > MARKS:
        return [Token("text", body)]
    return inline(body) if action else list(merged(_blocks(body.split("\n"), 0)))


def plain_text(body: str, hidden: str = "") -> str:
    """The text without its marks, as quotes, excerpts and last lines show it.

    `hidden` is what stands for a spoiler, if what is in it is not to be seen.
    """
    if not is_marked(body) and not is_action(body):
        return body
    parts: list[str] = []
    tokens = parse(body)
    for token in _without_spoilers(tokens, hidden) if hidden else tokens:
        is_block = token.type == "fence" or (token.text in BLOCKS and token.type in ("open", "close"))
        if is_block and parts and not parts[-1].endswith("\n"):
            parts.append("\n")
        if token.type not in ("open", "close"):
            parts.append(token.text)
        elif token == ("open", "item", ""):
            parts.append("• ")
        if token.type == "fence":
            parts.append("\n")
    return "".join(parts).strip("\n")


def _without_spoilers(tokens: Iterable[Token], hidden: str) -> Iterator[Token]:
    depth = 0
    for token in tokens:
        if token.text == "spoiler" and token.type in ("open", "close"):
            depth += 1 if token.type == "open" else -1
            if depth == 0:
                yield Token("text", hidden)
        elif not depth:
            yield token


def _blocks(lines: Sequence[str], depth: int) -> Iterator[Token]:
    """Code, quotes and lists, and the lines between them."""
    flow: list[str] = []
    at = 0
    while at < len(lines):
        end, tokens = _block(lines, at, depth)
        if tokens is None:
            flow += lines[at:end]
        else:
            if flow:
                yield from inline("\n".join(flow))
                flow.clear()
            yield from tokens
        at = end
    if flow:
        yield from inline("\n".join(flow))


def _block(lines: Sequence[str], at: int, depth: int) -> tuple[int, Iterator[Token] | None]:
    """Up to where lines belong together, and the block that they are, if they are one.

    What was looked at is not looked at again: lines that begin no block are passed over together.
    """
    line = lines[at]
    if "`" in line and (fence := _FENCE.fullmatch(line)):
        return _fence(lines, at, fence)
    if depth < DEPTH and _QUOTE.match(line):
        return _quote(lines, at, depth)
    if depth < DEPTH and (bullet := _BULLET.match(line)):
        return _list(lines, at, depth, len(bullet[1]))
    return at + 1, None


def _fence(lines: Sequence[str], at: int, fence: re.Match[str]) -> tuple[int, Iterator[Token] | None]:
    """Up to as many backticks, at the end of a line too; else all that follows."""
    ticks, info = fence["ticks"], fence["info"].strip()
    language = info if _LANGUAGE.fullmatch(info) else ""
    code = [] if language or not info else [info]
    for end in range(at + 1, len(lines)):
        line = lines[end].rstrip()
        if line.endswith(ticks):
            if rest := line.rstrip("`"):
                code.append(rest) if rest.strip() else None
            break
        code.append(lines[end])
    else:
        end = len(lines) - 1
    if not any(map(str.strip, code)):
        return at + 1, None
    return end + 1, iter([Token("fence", "\n".join(code), language)])


def _quote(lines: Sequence[str], at: int, depth: int) -> tuple[int, Iterator[Token] | None]:
    inner: list[str] = []
    end = at
    while end < len(lines) and (found := _QUOTE.match(lines[end])):
        inner.append(lines[end][found.end() :])
        end += 1
    if not any(map(str.strip, inner)):
        return end, None
    return end, _inside("quote", inner, depth)


def _inside(kind: str, lines: Sequence[str], depth: int) -> Iterator[Token]:
    yield Token("open", kind)
    yield from _blocks(lines, depth + 1)
    yield Token("close", kind)


def _list(lines: Sequence[str], at: int, depth: int, indent: int) -> tuple[int, Iterator[Token] | None]:
    """Items with the same indent, give or take a space; lines further in belong to the item before."""
    items: list[list[str]] = []
    end = at
    while end < len(lines):
        bullet = _BULLET.match(lines[end])
        if bullet and indent <= len(bullet[1]) <= indent + 1:
            items.append([lines[end][bullet.end() :]])
        elif _is_further_in(lines, end, indent + 2):
            items[-1].append(lines[end][indent + 2 :])
        else:
            break
        end += 1
    return end, _items(items, depth)


def _is_further_in(lines: Sequence[str], at: int, indent: int) -> bool:
    """A blank line counts as the one behind it."""
    line = lines[at] if lines[at].strip() or at + 1 == len(lines) else lines[at + 1]
    return line.startswith(" " * indent) and bool(line.strip())


def _items(items: Sequence[Sequence[str]], depth: int) -> Iterator[Token]:
    yield Token("open", "list")
    for item in items:
        yield from _inside("item", item, depth)
    yield Token("close", "list")
