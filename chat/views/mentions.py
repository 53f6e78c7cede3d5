"""Where a text may name somebody, and what names look like.

The HTML of a text depends on the text alone. It has a mark before each "@" that may begin a name: what comes
behind it is looked up when the text is stored, and shown as a name wherever that was somebody's.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from types import MappingProxyType

from markupsafe import Markup, escape

from chat.model.inline import is_joined
from chat.model.mentions import LONGEST, MENTIONS, START, Named

NOBODY: Mapping[str, Named] = MappingProxyType({})
PLACES = 5 * MENTIONS  # of a text that are shown; a name that comes later is plain text
MARK = "\x03"  # no text has this
AT = re.compile(rf"{START}(?=\S)")
# Of a field: what is in it does not end with the beginning of a name, as browsers see it.
NO_NAME = r"(?!.*(?<![\w@\/])@[^\s@]{0,32}$).*"
PLACE = re.compile(rf"{MARK}@((?:&[#\w]+;|[^<{MARK}]){{1,{LONGEST}}})")  # in HTML, as it was escaped


def with_places(text: str) -> Markup:
    """Escaped text with the marks."""
    return escape(AT.sub(f"{MARK}@", text) if "@" in text else text)


def without_places(html: str) -> str:
    return html.replace(MARK, "") if MARK in html else html


def spoken(places: str) -> Sequence[str]:
    """What stands behind the first few "@" that may begin a name."""
    found = islice(PLACE.finditer(places), MENTIONS)
    return list(dict.fromkeys(entities.unescape(place[1]) for place in found))


def with_names(places: str, named: Mapping[str, Named]) -> str:
    """The HTML with each of these names as a mention."""
    known = sorted(named.items(), key=lambda one: -len(one[0]))
    return without_places(PLACE.sub(lambda place: _named(place, known), places, PLACES))


def _named(place: re.Match[str], known: Sequence[tuple[str, Named]]) -> str:
    behind = entities.unescape(place[1])  # there is more than one way to escape a quote
    for typed, who in known:
        if behind.startswith(typed) and not is_joined(typed[-1], behind[len(typed) : len(typed) + 1]):
            return (
                f'<b class="at" data-at="{who.seat:d}">@{escape(who.label)}</b>{escape(behind[len(typed) :])}'
            )
    return place[0]
