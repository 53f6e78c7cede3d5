"""Links in a text: linkify-it says how far an address reaches, this module what may be one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from linkify_it import LinkifyIt
from markupsafe import Markup, escape

from chat.model.invisible import INVISIBLE
from chat.views.hosts import displayed_host, without_next_word

LINKS = 50  # of one text; further addresses are shown as text
CANDIDATES = 200  # of one text: what looks like the start of an address and may turn out to be none
URL_LENGTH = 2048  # characters; a longer address is shown as text

# Punctuation of other scripts, which linkify-it takes for letters: Terminal_Punctuation, quotation marks and
# brackets (Pi, Pf, Ps, Pe) of Unicode 17 beyond ASCII, and the dashes U+2014 and U+2015.
_PUNCTUATION = (
    "\u00ab\u00bb\u037e\u0387\u0589\u05c3\u060c\u061b\u061d-\u061f\u06d4\u0700-\u070a\u070c\u07f8\u07f9"
    "\u0830-\u0835\u0837-\u083e\u085e\u0964\u0965\u0e5a\u0e5b\u0f08\u0f0d-\u0f12\u0f3a-\u0f3d\u104a\u104b"
    "\u1361-\u1368\u166e\u169b\u169c\u16eb-\u16ed\u1735\u1736\u17d4-\u17d6\u17da\u1802-\u1805\u1808\u1809"
    "\u1944\u1945\u1aa8-\u1aab\u1b4e\u1b4f\u1b5a\u1b5b\u1b5d-\u1b5f\u1b7d-\u1b7f\u1c3b-\u1c3f\u1c7e\u1c7f"
    "\u2014\u2015\u2018-\u201f\u2024\u2039\u203a\u203c\u203d\u2045-\u2049\u207d\u207e\u208d\u208e"
    "\u2308-\u230b\u2329\u232a\u2768-\u2775\u27c5\u27c6\u27e6-\u27ef\u2983-\u2998\u29d8-\u29db"
    "\u29fc\u29fd\u2cf9-\u2cfb\u2e02-\u2e05\u2e09\u2e0a\u2e0c\u2e0d\u2e1c\u2e1d\u2e20-\u2e29\u2e2e\u2e3c"
    "\u2e41\u2e42\u2e4c\u2e4e\u2e4f\u2e53-\u2e5c\u2e60-\u2e63\u3001\u3002\u3008-\u3011\u3014-\u301b"
    "\u301d-\u301f\ua4fe\ua4ff\ua60d-\ua60f\ua6f3-\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c7-\ua9c9"
    "\uaa5d-\uaa5f\uaadf\uaaf0\uaaf1\uabeb\ufd3e\ufd3f\ufe12\ufe15-\ufe18\ufe35-\ufe44\ufe47\ufe48"
    "\ufe50-\ufe52\ufe54-\ufe57\ufe59-\ufe5e\uff01\uff08\uff09\uff0c\uff0e\uff1a\uff1b\uff1f\uff3b\uff3d"
    "\uff5b\uff5d\uff5f-\uff64\U0001039f\U000103d0\U00010857\U0001091f\U00010a56\U00010a57"
    "\U00010af0-\U00010af5\U00010b3a-\U00010b3f\U00010b99-\U00010b9c\U00010f55-\U00010f59"
    "\U00010f86-\U00010f89\U00011047-\U0001104d\U000110be-\U000110c1\U00011141-\U00011143"
    "\U000111c5\U000111c6\U000111cd\U000111de\U000111df\U00011238-\U0001123c\U000112a9"
    "\U000113d4\U000113d5\U0001144b-\U0001144d\U0001145a\U0001145b\U000115c2-\U000115c5"
    "\U000115c9-\U000115d7\U00011641\U00011642\U0001173c-\U0001173e\U00011944\U00011946"
    "\U00011a42\U00011a43\U00011a9b\U00011a9c\U00011aa1\U00011aa2\U00011c41-\U00011c43\U00011c71"
    "\U00011ef7\U00011ef8\U00011f43\U00011f44\U00012470-\U00012474\U00016a6e\U00016a6f\U00016af5"
    "\U00016b37-\U00016b39\U00016b44\U00016d6e\U00016d6f\U00016e97\U00016e98\U0001bc9f"
    "\U0001da87-\U0001da8a"
)
_START = re.compile(
    r"(?<![A-Za-z0-9])(?:https?://(?=[\w\[]|[^\x00-\x7f])|mailto:(?=\w))"
    r"|(?<![\w@/.\-])www\.(?=\w|[^\x00-\x7f])",
    re.ASCII | re.IGNORECASE,
)
# An address ends before any of these. Joiners and the emoji selector are part of words in some scripts.
_STOP = re.compile(rf'[\s<>"`\\{_PUNCTUATION}{INVISIBLE.pattern[1:-1]}](?<![\u200c\u200d\ufe0f])')
_TRAILING = ":|….,;!?\u200c\u200d\ufe0f"  # an address does not end with these
_EMPHASIS = "*_~"  # nor with these, if it is between two of them
_AUTHORITY = re.compile(
    r"(?:https?://|mailto:[^@]*@|(?=www\.))(?P<host>\[[^\]]*\]|[^/?#:@]*)(?P<port>[^/?#]*)", re.IGNORECASE
)
_PORT = re.compile(r"(:[0-9]*)?")
_GOES_ON = "@%·・･‧•"  # after a host, they make it the start of something else
_IPV6 = re.compile(r"(https?://)(\[[0-9a-f:.]{2,45}\])", re.IGNORECASE)
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]"
)

_linkify = LinkifyIt({"ftp:": None, "//": None}, {"fuzzy_link": False, "fuzzy_email": False})


class Link(NamedTuple):
    """An address from `start` to `end` of a text.

    `host` is set if the host as typed could be read as another one: the one in `href`, to be shown, too.
    """

    start: int
    end: int
    href: str
    host: str = ""


def linked(text: str, most: int = LINKS, after: str = "", plain: Callable[[str], Markup] = escape) -> Markup:
    """Text in which addresses are links; `after` is the character behind it.

    `plain` makes HTML of the rest.
    """
    links = find_links(text, most, after)
    if not links:
        return plain(text)
    parts: list[Markup] = []
    end = 0
    for link in links:
        parts += plain(text[end : link.start]), _anchor(link, text[link.start : link.end])
        end = link.end
    return Markup("").join([*parts, plain(text[end:])])


def find_links(text: str, most: int = LINKS, after: str = "") -> list[Link]:
    """The first addresses in a text, at most so many; `after` is the character behind it.

    Takes time in the length of the text: whatever is looked at from a start to the next stop is looked at
    once for all starts between them, and linkify-it gets URL_LENGTH characters at most.
    """
    links: list[Link] = []
    if "://" not in text and "www." not in (lower := text.lower()) and "mailto:" not in lower:
        return links  # as most texts: ten times as fast
    position = origin = stop = 0
    run = ""
    for _ in range(CANDIDATES):
        start = _START.search(text, position)
        if not start or len(links) >= most:
            break
        first, position = start.span()
        if stop < position:
            found = _STOP.search(text, position)
            origin, stop = first, found.start() if found else len(text)
            run = _without_nesting(text[origin:stop])
        piece = run[first - origin : first - origin + URL_LENGTH + 1]
        length = _length(piece, start.group().lower(), text[first - 1 : first])
        if stop - first > URL_LENGTH and not piece[length:].strip(_TRAILING):
            position = stop  # too long, or cut
        elif length:
            position = first + length
            link = _link(first, text[first:position], text[position : position + 1] or after)
            if link:
                links.append(link)
    return links


def _length(piece: str, prefix: str, before: str) -> int:
    """How many characters from the start of the piece are an address, by the rules of linkify-it."""
    if before and before in _EMPHASIS:
        end = piece.rfind(before)
        if not piece[end + 1 :].strip(_TRAILING + _EMPHASIS + ")"):
            piece = piece[:end].rstrip(before)
    if prefix == "www.":
        length = _linkify.test_schema_at("//" + piece, "https:", 0) - 2
    else:
        scheme = prefix.rstrip("/")
        if host := _IPV6.match(piece):  # linkify-it has no such hosts: a name of the same length stands in
            piece = host[1] + "a" * len(host[2]) + piece[host.end() :]
        length = _linkify.test_schema_at(piece, scheme, len(scheme))
        length += len(scheme) if length else 0
    return len(piece[: max(length, 0)].rstrip(_TRAILING))


def _without_nesting(run: str) -> str:
    """The run with a letter for each bracket of a pair inside another pair, and a space for an unclosed one.

    linkify-it ends a pair at the first closing bracket, and looks for it as far as there is text.
    """
    if run.count("(") + run.count("[") + run.count("{") < 2:
        return run
    characters = list(run)
    opened: list[int] = []
    for index, character in enumerate(run):
        if character in "([{":
            opened.append(index)
        elif character in ")]}" and opened:
            start = opened.pop()
            if opened and run[start] + character in ("()", "[]", "{}"):
                characters[start] = characters[index] = "a"
    for index in opened:
        characters[index] = " "
    return "".join(characters)


def _link(start: int, url: str, after: str) -> Link | None:
    """A link to an address, or None if it would mislead."""
    added = "https://" if url[:4].lower() == "www." else ""
    href = added + url
    found = _AUTHORITY.match(href)
    if not found or (after and after in _GOES_ON and found.end() == len(href)):
        return None
    host = found["host"]
    typed = without_next_word(host)
    shown = displayed_host(typed)
    if not shown or not _PORT.fullmatch(found["port"]) or (added and typed.count(".") < 2):
        return None  # what stands before an @ reads as the host and is not
    rest = href[found.end("host") :] if typed == host else ""
    return Link(
        start,
        start + found.start("host") + len(typed + rest) - len(added),
        href[: found.start("host")] + shown + rest,
        shown if shown != typed else "",
    )


def _anchor(link: Link, url: str) -> Markup:
    # Isolated from the text around it, and left to right: no character before an address turns it round.
    return Markup(
        '<a href="{}"{} dir="ltr" rel="noopener noreferrer nofollow ugc" target="_blank">{}</a>'
    ).format(link.href, Markup(' data-host="{}"').format(link.host) if link.host else "", _shown(url))


def _shown(url: str) -> Markup:
    """The address, in which no part of a host changes places with another or with the path."""
    found = _AUTHORITY.match(url)
    if not found or not _RIGHT_TO_LEFT.search(url):
        return escape(url)
    host = escape(found["host"]).replace(".", Markup("</bdi>.<bdi>"))
    return Markup("{}<bdi>{}</bdi>{}").format(url[: found.start("host")], host, url[found.end("host") :])
