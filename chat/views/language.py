"""Sentences in the language of a look."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from gettext import NullTranslations

from babel import Locale

from chat.model.sentences import Sentence, shown
from chat.views.look import Look

ENGLISH = NullTranslations()
CATALOGUES: Mapping[str, NullTranslations] = {}  # by language; what is in none of them stays English
BRITISH = Locale("en", "GB")  # its days are written 27 November, as the rest of the world has them


@cache
def locale_of(language: str) -> Locale:
    """How dates and numbers are written in one of our languages."""
    return BRITISH if language == "en" else Locale(language)


def say(sentence: str, look: Look) -> str:
    """A sentence made in Python, as this reader is to see it."""
    if not sentence:
        return ""  # gettext keeps what is known of a catalogue under it
    catalogue = CATALOGUES.get(look.language, ENGLISH)
    if not isinstance(sentence, Sentence):
        return catalogue.gettext(sentence)
    if sentence.plural:
        words = catalogue.ngettext(sentence.key, sentence.plural, int(sentence.values["n"]))
    else:
        words = catalogue.gettext(sentence.key)
    words = words % shown(sentence.values) if sentence.values else words
    return " ".join([words, *(say(more, look) for more in sentence.after)])
