"""A text as HTML: its formatting, links and colours; the same for everybody who reads its language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import nh3
from markupsafe import Markup, escape

from chat.model.emoji import is_a_few_emoji
from chat.model.formatting import is_action, is_marked, parse
from chat.model.inline import Token
from chat.model.mentions import Named
from chat.model.messages import CONTROLS
from chat.model.sentences import Sentence
from chat.views.folding import fold, is_long
from chat.views.highlighting import COLOURS, highlighted
from chat.views.language import say
from chat.views.links import LINKS, linked
from chat.views.look import Look
from chat.views.mentions import NOBODY, with_names, with_places, without_places

# Where words go, in the language of the reader. No text has these characters.
SPOILER, MORE = "\x01", "\x02"
OPEN = {
    "strong": "<strong>",
    "em": "<em>",
    "s": "<s>",
    "spoiler": (
        f'<label class="spoiler"><input type="checkbox" autocomplete="off" aria-label="{SPOILER}">'
        "<span hidden>"
    ),
    "quote": "<blockquote>",
    "list": "<ul>",
    "item": "<li>",
    "code": '<code dir="ltr">',
    "fold": f'<details class="fold"><summary>{MORE}</summary>',
}
CLOSE = {
    "strong": "</strong>",
    "em": "</em>",
    "s": "</s>",
    "spoiler": "</span></label>",
    "quote": "</blockquote>",
    "list": "</ul>",
    "item": "</li>",
    "fence": "</code></pre>",
    "piece": "</span>",
    "fold": "</details>",
}
BLOCKS = {"quote", "list", "fence", "fold"}
STYLED = BLOCKS | {"code", "spoiler"}
TAGS = {
    *("strong", "em", "s", "code", "pre", "span", "blockquote", "ul", "li", "a", "bdi"),
    *("label", "input", "details", "summary"),
}
ATTRIBUTES = {
    "a": {"href", "data-host", "dir", "rel", "target"},
    "code": {"dir"},
    "pre": {"data-language", "dir", "tabindex"},
    "input": {"aria-label"},
    "span": {"hidden"},
}
# Without autocomplete=off, Firefox would tick, after a reload, the box that stands where one was ticked.
VALUES = {"input": {"type": {"checkbox"}, "autocomplete": {"off"}}}
CLASSES = {"span": {"big", *(name for _, name in COLOURS)}, "label": {"spoiler"}, "details": {"fold"}}
# One line in which nothing can be a mark, a name, or a link but one that begins with "www.".
_ORDINARY = re.compile(r"[^\x00-\x1f/*`~|>:@-][^\x00-\x1f*`~|>:@-]*")
# A second fence: whatever is wrong above, nothing else than this reaches a page.
_cleaner = nh3.Cleaner(
    tags=TAGS,
    attributes=ATTRIBUTES,
    tag_attribute_values=VALUES,
    allowed_classes=CLASSES,
    url_schemes={"http", "https", "mailto"},
    link_rel=None,
)


class Formatted(NamedTuple):
    """HTML for inside of an element, without the words of a language."""

    html: str
    blocks: bool = False  # that no paragraph can hold
    styled: bool = False  # by static/text.css
    folded: int = 0  # lines
    places: str = ""  # the same HTML, with a mark at each name that it may have

    def __call__(self, look: Look, named: Mapping[str, Named] = NOBODY) -> Markup:
        """`named` is who is mentioned by the names in it."""
        html = with_names(self.places, named) if named and self.places else self.html
        if self.folded:
            html = html.replace(MORE, escape(say(_more(self.folded), look)))
        if SPOILER in html:
            html = html.replace(SPOILER, escape(say(Sentence("Spoiler"), look)))
        return Markup(html)  # noqa: S704


def _more(lines: int) -> Sentence:
    return Sentence("%(n)s more line", "%(n)s more lines", n=lines)


def formatted(body: str) -> Formatted:
    """As people see a text. Most have no marks, and need no parser."""
    if _ORDINARY.fullmatch(body) and "www." not in body.lower() and not is_a_few_emoji(body):
        return Formatted(escape(body))
    if not is_marked(body) and not is_long(body) and not is_action(body):
        return _made(_big(body) if is_a_few_emoji(body) else linked(body, plain=with_places))
    tokens = list(_coloured(parse(CONTROLS.sub("", body))))
    if len(tokens) == 1 and tokens[0].type == "text" and is_a_few_emoji(tokens[0].text):
        return _made(_big(tokens[0].text))
    tokens, folded = fold(tokens) if is_long(body) else (tokens, 0)
    kinds = {token.text if token.type == "open" else token.type for token in tokens}
    html = _cleaner.clean("".join(_html(tokens)))
    return _made(html, bool(kinds & BLOCKS), bool(kinds & STYLED), folded)


def _made(places: str, blocks: bool = False, styled: bool = False, folded: int = 0) -> Formatted:
    html = without_places(places)
    return Formatted(html, blocks, styled, folded, "" if html == places else places)


def _big(text: str) -> str:
    return f'<span class="big">{escape(text)}</span>'


def _coloured(tokens: Iterable[Token]) -> Iterator[Token]:
    """Code in pieces, which may have colours."""
    for token in tokens:
        if token.type != "fence":
            yield token
            continue
        yield Token("open", "fence", token.language)
        for name, text in highlighted(token.text, token.language):
            if name:
                yield Token("open", "piece", name)
            yield Token("source", text)
            if name:
                yield Token("close", "piece")
        yield Token("close", "fence")


def _html(tokens: Sequence[Token]) -> Iterator[str]:
    links, quotes = LINKS, 0
    for place, token in enumerate(tokens):
        match token.type:
            case "open":
                quotes += token.text == "quote"
                yield _opening(token)
            case "close":
                quotes -= token.text == "quote"
                yield CLOSE[token.text]
            case "code":
                yield f"{OPEN['code']}{escape(token.text)}</code>"
            case "source":
                yield escape(token.text)
            case _:
                html = linked(token.text, links, _after(tokens, place), escape if quotes else with_places)
                links -= html.count("<a ")
                yield html


def _opening(token: Token) -> str:
    if token.text == "piece":
        return f'<span class="{token.language}">'
    if token.text == "fence":
        language = f' data-language="{escape(token.language)}"' if token.language else ""
        return f'<pre dir="ltr" tabindex="0"{language}><code>'
    return OPEN[token.text]


def _after(tokens: Sequence[Token], place: int) -> str:
    """What stands behind a text on the same line: an address may go on there, and be another one."""
    for token in tokens[place + 1 : place + 4]:
        if token.type in ("text", "code"):
            return token.text[:1]
    return ""
