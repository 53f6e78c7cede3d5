"""Sentences in the language of a look."""

from __future__ import annotations

from collections.abc import Mapping
from gettext import NullTranslations

from chat.model.sentences import Sentence, shown
from chat.views.look import Look

ENGLISH = NullTranslations()
CATALOGUES: Mapping[str, NullTranslations] = {}  # by language; what is in none of them stays English


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
