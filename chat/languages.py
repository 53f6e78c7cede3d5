"""The languages that pages are in, which of them a browser asks for, and the clock of its region."""

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
_TWELVE_HOURS = (  # by CLDR
    "AE AG AL AS AU BB BD BH BM BN BO BS BT CA CO CR CU CY DJ DM DO DZ EC EG EH ER ET FJ FM GD GH GM GR "
    "GT GU GY HK HN IN IQ JM JO KH KI KN KP KR KW KY LB LC LR LS LY MH MO MP MR MW MX MY NA NI NZ OM PA "
    "PE PG PH PK PR PS PW QA SA SB SD SG SL SO SS SV SY SZ TC TD TN TO TT TW UM US VC VE VG VI VU WS YE"
)
TWELVE_HOURS = frozenset(_TWELVE_HOURS.split())  # regions whose clocks have no more
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


def hours_for(header: str) -> str:
    """Of a clock, in the region of the language that the browser wants most."""
    first = next(iter(accepted(header)), ("", ""))
    return "12" if first[1] in TWELVE_HOURS and first != ("fr", "CA") else "24"


def _number(quality: str | None) -> float:
    try:
        return float(quality) if quality else 1.0
    except ValueError:
        return 0.0
