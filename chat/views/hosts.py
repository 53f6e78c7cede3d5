"""Hosts of links: may one be linked, and does it look like another one?"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

from chat.model.invisible import INVISIBLE
from chat.model.lookalikes import skeleton

# Thai to Burmese, kana, Chinese, Korean: a word of these follows an address without a space between.
_UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff"
)
_NEXT_WORD = re.compile(rf"(\.[A-Za-z]{{2,}})[{_UNSPACED}][^.]*\Z")
_ASCII_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "LATIN"}


def without_next_word(host: str) -> str:
    """The host without a word that was written right after its Latin top-level domain."""
    found = _NEXT_WORD.search(host)
    return host[: found.end(1)] if found else host


def displayed_host(host: str) -> str:
    """The host as it should be shown: as typed, or in ASCII if it could be read as another host.

    Empty if it should not be linked: no browser opens it, or it says something else than where it leads.
    """
    if host.startswith("["):
        return host if _is_address(host[1:-1], 6) else ""
    labels = host.split(".")
    if len(host) > (253 if host.isascii() else 100) or len(labels) > 20 or not all(map(_is_label, labels)):
        return ""  # far longer than any in use: judging hosts costs time
    if re.fullmatch(r"\d+|0x[0-9a-f]*", labels[-1], re.ASCII | re.IGNORECASE):
        # Browsers read 0x7f.1 and 2130706433 as an address of four numbers.
        return host if _is_address(host, 4) else ""
    if not any(map(_misleads, labels)):
        return host
    return displayed_host(".".join(map(_to_ascii, labels)))


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _is_label(label: str) -> bool:
    """Letters, digits, hyphens and emoji, also after the mapping that a browser applies."""
    if label.isascii():
        return _ASCII_LABEL.fullmatch(label) is not None
    mapped = unicodedata.normalize("NFKC", label)
    return len(label) <= 63 and unicodedata.category(mapped[0])[0] != "M" and all(map(_fits, mapped))


def _fits(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in "-_"
    category = unicodedata.category(character)
    # Emoji, also those younger than this Python.
    emoji = category in {"So", "Sk"} or (category == "Cn" and character > "\U0001f000")
    return (emoji or category[0] in "LMN") and not INVISIBLE.match(character)


def _misleads(label: str) -> bool:
    """Whether a label reads as an ASCII one, or mixes scripts as no language does."""
    label = label.lower().replace("ß", "")  # a letter of its own in hosts, but skeleton() spells it ss
    if label.isascii():
        return False
    names = [unicodedata.name(c, "") for c in label if c.isalpha()]
    scripts = {name.partition(" ")[0] for name in names}
    return (
        skeleton(label).shape.isascii()
        or any("SMALL CAPITAL" in name for name in names)
        or (len(scripts) > 1 and not scripts <= _EAST_ASIAN)
    )


def _to_ascii(label: str) -> str:
    label = unicodedata.normalize("NFKC", label).lower()
    return label if label.isascii() else "xn--" + label.encode("punycode").decode()
