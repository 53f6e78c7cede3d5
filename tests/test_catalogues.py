"""Every text that a person can read is in every catalogue, and fits where it is put."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from catalogues import LOCALES, REPO, everywhere, is_readable, missing, read, translations, update

from chat.languages import LANGUAGES
from chat.model.errors import RateLimited
from chat.model.messages import CUT
from chat.model.sentences import Sentence
from chat.views.assets import Assets, folder
from chat.views.language import locale_of, ngettext, say
from chat.views.look import Look
from chat.views.reader import Reader
from chat.views.renderer import Renderer

OTHERS = [language for language in LANGUAGES if language != "en"]
TEMPLATES = sorted((REPO / "templates").rglob("*.html"))
NAMES = {"Room chat", "WhatsApp", "SMS", "UTC"}  # the same in every language
# Tags, statements, values and comments of a template; what is between them is text.
TOKEN = re.compile(
    r"""(\{\#.*?\#\}|\{%.*?%\}|\{\{.*?\}\}|<[!/]?[A-Za-z](?:"[^"]*"|'[^']*'|\{%.*?%\}|\{\{.*?\}\}|[^>"'])*>)""",
    re.DOTALL,
)
SHOWN = re.compile(r'\b(?:aria-label|title|alt|placeholder|label)="([^"{]*[A-Za-z]{2}[^"{]*)"')
LITERAL = re.compile(r'(?<!_\()"([^"]*)"')
HOLE = re.compile(r"%\(\w+\)s|</?\w[^>]*>")


def outside(template: str) -> Iterator[str]:
    """What a person can read in a template that no catalogue knows of."""
    translated = named = False
    for position, part in enumerate(TOKEN.split(template)):
        if position % 2 == 0:
            if not (translated or named) and re.search(r"[^\W\d_]{2}", NAMELESS.sub("", part)):
                yield part.strip()
        elif part.startswith("{"):
            translated = not part.startswith("{% endtrans") and (translated or part.startswith("{% trans"))
            named = part.startswith("{% block class")
            if not part.startswith("{#"):
                yield from filter(is_readable, LITERAL.findall(part))
        elif not translated:
            yield from (text for text in SHOWN.findall(part) if text not in NAMES)


NAMELESS = re.compile("|".join([*NAMES, r"&\w+;"]))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(REPO).as_posix())
def test_no_text_of_a_template_is_outside_the_catalogues(path: Path) -> None:
    assert not list(outside(path.read_text("utf-8")))


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<p>Hello you</p>", ["Hello you"]),
        ('<p title="Hello">{{ _("Fine") }}</p>', ["Hello"]),
        ('<p>{{ "One way" if x else _("Another way") }}</p>', ["One way"]),
        ("<p>{% trans %}A text{% endtrans %} and more</p>", ["and more"]),
        ('{# A comment #}<a href="x>y" class="two words">{{ name }}</a> · Room chat', []),
    ],
)
def test_a_text_outside_is_found(template: str, found: list[str]) -> None:
    assert list(outside(template)) == found


@pytest.mark.parametrize("language", OTHERS)
def test_no_catalogue_lacks_a_text_or_has_one_that_is_not_used(language: str) -> None:
    """If this fails: python -m tests.catalogues, then translate what it added."""
    catalogue = read(LOCALES / f"{language}.po")
    assert not missing(update(catalogue))
    used = {text.one for text in everywhere()}
    assert {texts[0] for texts, _ in translations(catalogue)} == used


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_values_and_tags_of_its_text_and_nothing_to_escape(language: str) -> None:
    for texts, forms in translations(read(LOCALES / f"{language}.po")):
        wanted = sorted(HOLE.findall(texts[-1]))
        for form in forms:
            holes = sorted(HOLE.findall(form))
            assert holes == wanted or (len(forms) > 1 and sorted([*holes, "%(n)s"]) == wanted), form
            assert not re.search(r"""[<>"&]|%(?!\()""", HOLE.sub("", form)), form


def test_what_python_says_is_escaped_by_the_template_but_may_hold_no_tags() -> None:
    for text in everywhere():
        if text.where.startswith("chat/"):
            assert "<" not in text.one


@pytest.mark.parametrize("language", OTHERS)
def test_texts_have_the_length_that_they_can_have(language: str) -> None:
    """A translation of a sentence is none of a word: lines must not have slipped."""
    for texts, forms in translations(read(LOCALES / f"{language}.po")):
        if len(texts[0]) > 20:
            assert 0.2 < len(forms[-1]) / len(texts[-1]) < 2.2, texts[0]


PEOPLE = "1 person is here", "%(n)s people are here"


def test_arabic_has_its_six_plurals() -> None:
    counts = {0: 0, 1: 1, 2: 2, 3: 3, 10: 3, 11: 4, 99: 4, 100: 5, 103: 3, 111: 4, 200: 5}
    forms = ["لا أحد هنا", "شخص واحد هنا", "شخصان هنا", "%(n)s أشخاص هنا", "%(n)s شخصًا هنا", "%(n)s شخص هنا"]
    assert {n: forms.index(ngettext("ar", *PEOPLE, n)) for n in counts} == counts


@pytest.mark.parametrize(
    ("language", "wait", "said"),
    [
        ("de", 5, "Zu viele falsche Codes. Bitte versuche es in 5 Sekunden noch einmal."),
        ("fr", 0.2, "Trop de codes erronés. Veuillez réessayer dans une seconde."),
        ("ja", 170, "間違ったコードが多すぎます。 3分後にもう一度お試しください。"),
        ("ar", 120, "رموز خاطئة كثيرة جدًا. حاول مرة أخرى بعد دقيقتين."),
    ],
)
def test_sentences_are_said_in_each_language(language: str, wait: float, said: str) -> None:
    assert say(RateLimited("Too many wrong codes.", wait).text, Look(language)) == said


def test_numbers_are_written_as_in_each_language() -> None:
    text = Sentence(CUT, n=25_000)
    assert "25,000" in say(text, Look("en"))
    assert "25.000" in say(text, Look("de"))
    assert "25\u202f000" in say(text, Look("fr"))
    assert "25,000" in say(text, Look("ja"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_in_its_language(language: str) -> None:
    render = Renderer(folder("templates"), Assets(folder("static")))
    page = render.pages.error(404, "Nothing here", "Too many wrong codes.", Reader(Look(language)))
    assert f'<html lang="{language}"' in page
    assert ("Back to the start" in page) == (language == "en")
    assert locale_of(language).language == language
