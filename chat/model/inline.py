"""The marks inside a line of text: bold, italic, struck out, code, spoilers, and names of emoji."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from chat.model.emoji import emoji_named

STYLES = {"**": "strong", "*": "em", "~~": "s", "||": "spoiler"}

POSSIBLE = re.compile(r"[*`~|:\\]")  # what any mark has a character of
# What is a mark, or holds characters that are none. An address ends before a double mark, for it may be in a
# spoiler; a path keeps its backslashes and its asterisk.
SYNTAX = re.compile(
    r"""
      (?P<code>`+)
    | (?P<verbatim>
        (?<![a-z0-9]) (?:https?://|www\.|mailto:) (?:(?!\*\*|~~|\|\|)[^\s<>"`])+
        | (?: (?<!\w)[a-z]:\\ [\w\\.$-]* | \\[\w\\.$-]+ ) (?: (?<=\\)\*[\w.*]* )?
      )
    | (?P<escape>\\[*~`|])
    | (?P<mark>\*+ | ~~+ | \|\|+)
    | (?P<emoji>(?<![^\s(*~|]) (?: :[a-z0-9+-][\w+-]*: )+ (?!\w))
    | (?P<paragraph>\n[^\S\n]*\n)
    """,
    re.VERBOSE | re.IGNORECASE,
)
AFTER_ADDRESS = "*~|.,:;!?'\")]}…"  # may end what looks like an address, and is none of it
SHOWS = re.compile("[^\\W_]|[\u2600-\u27bf\U0001f000-\U0001ffff]")  # worth a style: "*_*" is a face

# A mark begins a style after one of these, or after one of the categories, and not before the others: so
# "5*3*2", "src/*.py" and "f(*a, **b)" stay what they are.
BEFORE = "\"'*~|:,;!?¿¡"
BEFORE_CATEGORIES = {"Zs", "Cc", "Ps", "Pi", "Pd", "So", "Sk", "Cf"}
NOT_INSIDE_START = ".,;!?)]}/\\%="
NOT_INSIDE_END = "([{/\\=<"
NOT_AFTER = "/\\$"
# Scripts that put no spaces between words, so that a word's edge is nowhere to be seen.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
    "\U00020000-\U0003ffff]"
)


class Token(NamedTuple):
    """A piece of a text: of what type, and what is shown or which style begins or ends.

    "text" and "code" are shown, the latter as it was typed; "fence" is a block of code, perhaps in a
    `language`; "open" and "close" are about a style, a "quote", a "list" or an "item".
    """

    type: str
    text: str
    language: str = ""


class Run:
    """Marks of one kind beside each other, and what they came to begin and to end."""

    __slots__ = ("begins", "closes", "end", "ends", "left", "mark", "opens", "start")

    def __init__(self, text: str, start: int, end: int) -> None:
        self.start, self.end, self.mark = start, end, text[start]
        self.left = end - start  # characters that are no mark, so far
        double = self.mark == "*" or self.left == 2
        fits = double and self.left <= 3
        before, after = text[start - 1 : start], text[end : end + 1]
        self.opens = fits and _may_begin(before, after, self.mark)
        self.closes = fits and _may_end(before, after, self.mark, single=self.left == 1)
        self.begins: list[str] = []  # styles, the inner ones first
        self.ends: list[str] = []

    def tokens(self) -> Iterator[Token]:
        rest = [Token("text", self.mark * self.left)] if self.left else []
        closing = [Token("close", style) for style in self.ends]
        opening = [Token("open", style) for style in reversed(self.begins)]
        return iter([*closing, *rest, *opening])


def _may_begin(before: str, after: str, mark: str) -> bool:
    if not after or after.isspace() or after in NOT_INSIDE_START:
        return False
    if not before or before in BEFORE or unicodedata.category(before) in BEFORE_CATEGORIES:
        return True
    return mark != "~" and UNSPACED.match(before) is not None


def _may_end(before: str, after: str, mark: str, single: bool) -> bool:
    if not before or before.isspace() or before in NOT_INSIDE_END or (after and after in NOT_AFTER):
        return False
    within = not single and (_is_word(before) or UNSPACED.match(before))
    return bool(within) or not _is_word(after)


def _is_word(character: str) -> bool:
    if not character or UNSPACED.match(character):
        return False
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def is_joined(before: str, after: str) -> bool:
    """Whether two neighbours are of one word, as far as their script shows where words end."""
    return _is_word(before) and _is_word(after)


def inline(text: str) -> list[Token]:
    """What a text is made of. It takes time in its length; it must have few marks (see MARKS)."""
    if not POSSIBLE.search(text):
        return [Token("text", text)] if text else []
    parts = list(_scan(text))
    _pair(text, parts)
    return list(merged(chain.from_iterable(map(_tokens, parts))))


def _tokens(part: Token | Run) -> Iterable[Token]:
    return part.tokens() if isinstance(part, Run) else (part,)


def merged(tokens: Iterable[Token]) -> Iterator[Token]:
    """The same, with neighbouring texts in one."""
    texts: list[str] = []
    for token in tokens:
        if token.type in ("text", "gap"):
            texts.append(token.text)
            continue
        if texts:
            yield Token("text", "".join(texts))
            texts.clear()
        yield token
    if texts:
        yield Token("text", "".join(texts))


def _scan(text: str) -> Iterator[Token | Run]:
    """Code, what stays as it is, and the runs of marks between."""
    position, spans = 0, _code_spans(text)
    while found := SYNTAX.search(text, position):
        start, end = found.span()
        yield Token("text", text[position:start])
        position = end
        match found.lastgroup:
            case "code" if start in spans:
                position = spans[start]
                yield Token("code", _code(text[start:position], end - start))
            case "verbatim":
                position = start + len(found[0].rstrip(AFTER_ADDRESS))
                yield Token("text", text[start:position])
            case "escape":
                yield Token("text", found[0][1:])
            case "mark":
                yield Run(text, start, end)
            case "emoji":
                yield Token("text", _emoji(found[0]))
            case "paragraph":
                yield Token("gap", found[0])
            case _:
                yield Token("text", found[0])
    yield Token("text", text[position:])


def _code_spans(text: str) -> dict[int, int]:
    """Where code begins and ends: at runs of as many backticks, in one paragraph unless they are three."""
    spans: dict[int, int] = {}
    next_run: dict[int, tuple[int, int]] = {}
    for found in reversed(list(re.finditer("`+", text))):
        length = len(found[0])
        if length in next_run:
            start, end = next_run[length]
            code = text[found.end() : start]
            if code.strip() and (length > 2 or "\n\n" not in code):
                spans[found.start()] = end
        next_run[length] = found.span()
    return spans


def _code(span: str, ticks: int) -> str:
    code = span[ticks:-ticks]
    return code[1:-1] if code[:1] == code[-1:] == " " and code.strip() else code


def _emoji(names: str) -> str:
    found = (emoji_named(name) or f":{name}:" for name in names[1:-1].split("::"))
    return "".join(found)


def _pair(text: str, parts: list[Token | Run]) -> None:
    """Have each run that may end a style end the nearest one that began with the same mark."""
    waiting: list[Run] = []
    kinds: dict[str, int] = {}
    for part in parts:
        if isinstance(part, Token):
            if part.type == "gap":
                waiting.clear()
                kinds.clear()
            continue
        if part.closes:
            _close(text, part, waiting, kinds)
        if part.opens and part.left:
            waiting.append(part)
            kinds[part.mark] = kinds.get(part.mark, 0) + 1


def _close(text: str, run: Run, waiting: list[Run], kinds: dict[str, int]) -> None:
    while run.left and kinds.get(run.mark):
        place = len(waiting) - 1
        while waiting[place].mark != run.mark:
            place -= 1
        opener = waiting[place]
        if not _style(text, opener, run):
            return
        for other in waiting[place + (opener.left > 0) :]:
            kinds[other.mark] -= 1
        del waiting[place + (opener.left > 0) :]


def _style(text: str, opener: Run, run: Run) -> bool:
    """Let two runs begin and end what they can."""
    if not SHOWS.search(text, opener.end, run.start):
        return False
    if {opener.left, run.left} == {1, 2}:
        return False  # "**" is bold, and never italic twice
    counts = (2, 1) if opener.left == run.left == 3 else (min(opener.left, run.left),)
    for count in counts:
        style = STYLES[run.mark * count]
        opener.begins.append(style)
        run.ends.append(style)
        opener.left -= count
        run.left -= count
    return True
