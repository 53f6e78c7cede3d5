"""Sentences made in Python: English by themselves, another language where the reader's look says so."""

from __future__ import annotations

from gettext import NullTranslations
from types import SimpleNamespace

import pytest

from chat.features.action import Failure
from chat.model.errors import RateLimited, Refused
from chat.model.members import clean_name
from chat.model.messages import BODY_FIELD, clean_body
from chat.model.rooms import Room
from chat.model.sentences import Sentence
from chat.store.my_rooms import Home
from chat.views import language
from chat.views.assets import Assets, folder
from chat.views.forms import Draft, Form
from chat.views.language import say
from chat.views.look import LOOK
from chat.views.reader import Reader
from chat.views.renderer import Renderer

OTHER = LOOK._replace(language="xx")
READER = Reader(OTHER)
ROOM = Room("BCDFGHJK", "epoch", 0)


class Brackets(NullTranslations):
    """A language that writes its words in brackets, and has its own idea of plurals."""

    def gettext(self, message: str) -> str:
        return f"[{message}]"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"[{msgid2 if n % 10 else msgid1}]"


@pytest.fixture(autouse=True)
def brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "CATALOGUES", {"xx": Brackets()})


@pytest.fixture(scope="module")
def render() -> Renderer:
    return Renderer(folder("templates"), Assets(folder("static")))


def refusal(text: str) -> Refused:
    with pytest.raises(Refused) as caught:
        clean_body(text)
    return caught.value


@pytest.mark.parametrize(
    ("sentence", "english", "other"),
    [
        ("Please enter a name.", "Please enter a name.", "[Please enter a name.]"),
        (Sentence("Only %(n)s.", n=1234), "Only 1,234.", "[Only 1,234.]"),
        (Sentence("One.", "%(n)s of them.", n=1), "One.", "[1 of them.]"),
        (Sentence("One.", "%(n)s of them.", n=20), "20 of them.", "[One.]"),
        (Sentence("You are %(name)s.", name="100 %(n)s"), "You are 100 %(n)s.", "[You are 100 %(n)s.]"),
        (
            Sentence("No.", after=("Go.", Sentence("%(n)s left.", n=2))),
            "No. Go. 2 left.",
            "[No.] [Go.] [2 left.]",
        ),
        ("", "", ""),
    ],
)
def test_a_sentence_is_said_in_the_language_of_the_look(sentence: str, english: str, other: str) -> None:
    assert sentence == say(sentence, LOOK) == english
    assert say(sentence, OTHER) == other


@pytest.mark.parametrize(
    ("wait", "english"),
    [
        (0.2, "Slow down. Please try again in a second."),
        (1.5, "Slow down. Please try again in 2 seconds."),
        (89, "Slow down. Please try again in 89 seconds."),
        (90, "Slow down. Please try again in 2 minutes."),
    ],
)
def test_who_is_too_fast_learns_how_long_to_wait(wait: float, english: str) -> None:
    assert RateLimited("Slow down.", wait).text == english


def test_a_text_that_is_too_long_is_refused_in_words_that_can_be_translated() -> None:
    one, many = refusal("é" * 4096 + "a").text, refusal("é" * 4098).text
    assert one == "Not sent: 1 character too long. Shorten it or send it in two parts."
    assert many == "Not sent: 2 characters too long. Shorten it or send it in two parts."
    assert isinstance(many, Sentence)
    assert many.values == {"n": 2}
    cut = refusal("é" * (BODY_FIELD - 1)).text
    assert cut.endswith("The field takes 25,000 characters, so the end of what you pasted may be missing.")
    assert say(cut, OTHER).count("[") == 3


def test_every_place_that_shows_a_reason_says_it_in_the_language_of_the_look(render: Renderer) -> None:
    with pytest.raises(Refused) as caught:
        clean_name("x" * 99)
    reason = caught.value.text
    failure = Failure(422, reason, "body")
    message = SimpleNamespace(id=7, body="text", text_rev=7, meta={}, reactions={})
    alerts, pages, forms = render.alerts, render.pages, render.forms
    shown = [
        alerts.notice(reason, OTHER),
        alerts.farewell("CODE", reason, OTHER),
        render.composer.refused("CODE", "id", "key", 0, "text", reason, OTHER),
        render.home.page(Form({}, {"name": reason}), Home("", []), 0, READER),
        render.home.page(Form({}, {"": reason}), Home("", []), 0, READER),
        pages.invitation(ROOM, 0, Form({}, {"name": reason}), READER),
        pages.invitation(ROOM, 0, Form({}, {"": reason}), READER),
        pages.error(422, "Not sent", reason, READER, Draft("")),
        *(
            forms.show("CODE", f"{name}/form.html", message, failure, {}, OTHER)  # type: ignore[arg-type]
            for name in ("edit", "delete", "reactions")
        ),
        *(
            render.rooms.form(ROOM, f"{name}/form.html", READER, {}, failure, live=live)
            for name in ("title", "name")
            for live in (True, False)
        ),
    ]
    for html in shown:
        assert f"[{reason}]" in html
