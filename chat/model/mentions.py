"""Names in texts: "@Ann" means somebody who is in the room, "@all" everybody."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from chat.model.inline import UNSPACED, is_joined
from chat.model.members import NAME_LENGTH
from chat.model.meta import Meta

EVERYBODY = 0  # in place of the number of a seat
ALL, CERTAINLY_ALL = "all", "@all"  # behind the "@"
CROWD = 20  # people whom one may call without being asked back
LOOKED_AT = 256  # possible names in one text: each takes some 10 µs, and a script without spaces has many
MENTIONS = 20  # of one text; other people it names are not told
LONGEST = NAME_LENGTH + 6  # characters of a name with the number that tells look-alikes apart

ASK = (
    "This calls everybody in a room of more than %(n)s people. If you mean to, write @@all in place of @all."
)
TOO_SOON = "Everybody was called less than a minute ago."


# Not in the middle of a word, as in an e-mail address; some scripts have nothing between words.
START = rf"(?:(?<![\w@/])|(?<={UNSPACED.pattern}))@"
BEGUN = re.compile(rf"{START}([^\s@]*)\Z")


class Named(NamedTuple):
    """Who a name in a text is; `label` is the name as it is shown."""

    seat: int
    label: str


def beginnings(text: str) -> Iterator[str]:
    """What may be the name at the start of a text, the longest first: it ends where a word may end."""
    line = text.split("\n", 1)[0]
    for end in range(min(len(line), LONGEST), 0, -1):
        if not line[end - 1].isspace() and not is_joined(line[end - 1], line[end : end + 1]):
            yield line[:end]


def possible(spoken: Iterable[str]) -> list[list[str]]:
    """The names that may stand at the start of each of these, the longest first."""
    left = iter(range(LOOKED_AT))
    return [[name for name, _ in zip(beginnings(text), left, strict=False)] for text in spoken]


def begun(text: str) -> str | None:
    """What of a name is there at the end of a text, which may be nothing yet; None if none is begun."""
    found = BEGUN.search(text[-LONGEST:])
    return found[1] if found else None


def same(name: str) -> str:
    """Equal for two spellings of one name; names that only look alike differ."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def named_in(meta: Meta) -> Mapping[str, Named]:
    """Who each name in a text is, as it stands there."""
    named = meta.get("named")
    if not isinstance(named, Mapping):
        return {}
    some = islice(named.items(), MENTIONS)  # an archive may say anything
    return {typed: Named(*who) for typed, who in some if typed and _is_named(who)}


def _is_named(value: object) -> bool:
    return isinstance(value, tuple) and [type(part) for part in value] == [int, str]
