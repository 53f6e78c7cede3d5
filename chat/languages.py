"""The languages that pages are in, and which of them a browser asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

LANGUAGES: Mapping[str, str] = {  # each by its own name
    "en": "English",
    "de": "Deutsch",
    "es": "Español",
    "fr": "Français",
    "ar": "العربية",
    "ja": "日本語",
}
RIGHT_TO_LEFT = frozenset({"ar"})
HEADER_LENGTH = 200  # characters of Accept-Language that are looked at
WANTED = re.compile(r"([a-z]{2,3})(?:-[a-z]{4})?(?:-([a-z]{2}))?[^,;]*(?:;\s*q\s*=\s*([0-9.]{1,5}))?", re.I)


@lru_cache(1024)
def accepted(header: str) -> tuple[tuple[str, str], ...]:
    """Languages and regions that Accept-Language names, such as ("de", "AT"), the most wanted first."""
    wanted: list[tuple[float, str, str]] = []
    for part in header[:HEADER_LENGTH].split(","):
        if found := WANTED.fullmatch(part.strip()):
            language, region, quality = found.groups()
            wanted.append((_number(quality), language.lower(), (region or "").upper()))
    ordered = sorted((one for one in wanted if one[0] > 0), key=lambda one: -one[0])
    return tuple((language, region) for _, language, region in ordered)


def language_for(header: str, usual: str) -> str:
    """The first of ours that the browser asks for, else the usual one."""
    ours = (language for language, _ in accepted(header) if language in LANGUAGES)
    return next(ours, usual)


def _number(quality: str | None) -> float:
    try:
        return float(quality) if quality else 1.0
    except ValueError:
        return 0.0
