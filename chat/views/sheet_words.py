"""The few texts that stylesheets show, in every language but the one that the sheets themselves are in."""

from __future__ import annotations

from chat.languages import LANGUAGES
from chat.model.sentences import Sentence
from chat.views.language import say
from chat.views.look import LOOK, Look

WORDS = {
    "you": Sentence(" (you)"),
    "sending": Sentence("Sending…"),
    "hidden": Sentence("Hidden message"),
    "ignored": Sentence(" (ignored)"),
}


def sheets_of_words() -> dict[str, bytes]:
    """A stylesheet for each language, by name."""
    others = (language for language in LANGUAGES if language != LOOK.language)
    return {f"{language}.css": _sheet(Look(language)) for language in others}


def _sheet(look: Look) -> bytes:
    words = "".join(f'--{name}:"{say(text, look)}";' for name, text in WORDS.items())
    return f":root{{{words}}}".encode()
