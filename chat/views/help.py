"""What can be typed: a page about it, and the way there."""

from __future__ import annotations

from chat.model.sentences import Sentence
from chat.views.engine import Engine
from chat.views.language import say
from chat.views.look import Look
from chat.views.reader import Reader

SAMPLES = (
    ("**{}**", Sentence("bold")),
    ("*{}*", Sentence("italic")),
    ("~~{}~~", Sentence("struck out")),
    ("||{}||", Sentence("hidden until it is chosen")),
    ("`{}`", Sentence("code")),
    ("> {}", Sentence("what somebody else wrote")),
    ("- {}\n- {}", Sentence("milk"), Sentence("bread")),
    ('```python\nprint("{}")\n```', Sentence("bread")),
    (":tada: :thumbs_up:",),
    (r"\*{}\*", Sentence("with its stars")),
)


class Help:
    def __init__(self, engine: Engine) -> None:
        self._page = engine.page
        self._render = engine.render

    def page(self, room: str, reader: Reader) -> str:
        """`room` is the code of the one to go back to, if any."""
        look = reader.look
        samples = [typed.format(*(say(word, look) for word in words)) for typed, *words in SAMPLES]
        return self._page("help/page.html", reader, room=room, samples=samples)

    def answer(self, code: str, look: Look) -> str:
        """What who typed "/help" on a live page sees."""
        return self._render("help/answer.html", look, code=code)
