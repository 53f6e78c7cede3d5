"""Texts, numbers and dates in the language of a look."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from chat.model.sentences import Sentence
from chat.views.look import Look

ENGLISH = NullTranslations()  # texts are their own keys (docs/decisions/054)
BRITISH = Locale("en", "GB")  # its days are written 27 November, as the rest of the world has them


def load(catalogues: Path) -> Mapping[str, NullTranslations]:
    """The catalogue of each language but English, from its .po file."""
    return {path.stem: _translations(path) for path in sorted(catalogues.glob("*.po"))}


def _translations(path: Path) -> NullTranslations:
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=path.stem))
    compiled.seek(0)
    return GNUTranslations(compiled)


CATALOGUES = load(Path(__file__).parents[1] / "locales")  # by language; what is in none of them stays English


@cache
def locale_of(language: str) -> Locale:
    """How dates and numbers are written in one of our languages."""
    try:
        return BRITISH if language == "en" else Locale(language)
    except UnknownLocaleError:
        return BRITISH


def gettext(language: str, text: str) -> str:
    return CATALOGUES.get(language, ENGLISH).gettext(text) if text else ""


def ngettext(language: str, text: str, plural: str, n: int) -> str:
    return CATALOGUES.get(language, ENGLISH).ngettext(text, plural, n)


def say(sentence: str, look: Look) -> str:
    """A sentence made in Python, as this reader is to see it."""
    if not isinstance(sentence, Sentence):
        return gettext(look.language, sentence)
    if sentence.plural:
        words = ngettext(look.language, sentence.key, sentence.plural, int(sentence.values["n"]))
    else:
        words = gettext(look.language, sentence.key)
    words = words % _shown(sentence.values, look.language) if sentence.values else words
    return " ".join([words, *(say(more, look) for more in sentence.after)])


def _shown(values: Mapping[str, str | int], language: str) -> dict[str, str]:
    locale = locale_of(language)
    return {
        name: format_decimal(value, locale=locale) if isinstance(value, int) else value
        for name, value in values.items()
    }
