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


KEYS = (
    (Sentence("Enter"), Sentence("Send what is in the field")),
    (
        Sentence("Shift and Tab"),
        Sentence(
            "From the field to the newest message. In Firefox to the oldest on the page; Arrow up leads on "
            "from there to the newest."
        ),
    ),
    (Sentence("Arrows"), Sentence("Choose another message")),
    (Sentence("Tab"), Sentence("From a message to what you can do with it")),
    (Sentence("Escape"), Sentence("Close what is open")),
    (Sentence("Page Up, Page Down"), Sentence("Scroll, also while you write")),
    ("S", Sentence("Send")),
    ("L", Sentence("Edit my last message")),
    ("K", Sentence("Search this room")),
    ("N", Sentence("To the newest")),
)
WAYS = (
    (
        Sentence("React, edit or delete"),
        Sentence("Choose a message by the dots beside it. What you can do with it appears there."),
    ),
    (
        Sentence("Mention somebody"),
        Sentence(
            "Type @ and their name, or choose them in the list of people. They see it marked and counted "
            "apart. @all mentions everybody."
        ),
    ),
    (
        Sentence("Come back to what you began"),
        Sentence(
            "What you begin to write is kept for 30 days. It is there when you open the room again, on your "
            "other devices too, and nobody else can see it."
        ),
    ),
    (
        Sentence("Link to a message"),
        Sentence("Its time leads to the page of the message, and so does “Link”."),
    ),
    (
        Sentence("Invite somebody"),
        Sentence("Send the link of the room, or say its code. “Invite” shows both."),
    ),
    (
        Sentence("Read something later"),
        Sentence("Choose a message, then “Mark unread”. It is new to you again, on all of your devices."),
    ),
    (
        Sentence("Not read somebody any more"),
        Sentence("“Ignore somebody” is below the list of people. Nobody is told."),
    ),
    (
        Sentence("Set the time, the language or the colours"),
        Sentence("All of that is in the settings, for this browser."),
    ),
    (
        Sentence("Leave for good"),
        Sentence("The menu of the room has it. Closing the page is not leaving."),
    ),
    (
        Sentence("Do without JavaScript"),
        Sentence("Everything works by plain pages. Only who is typing is not shown there."),
    ),
)


class Help:
    def __init__(self, engine: Engine) -> None:
        self._page = engine.page
        self._render = engine.render

    def page(self, room: str, reader: Reader) -> str:
        """`room` is the code of the one to go back to, if any."""
        look = reader.look
        samples = [typed.format(*(say(word, look) for word in words)) for typed, *words in SAMPLES]
        return self._page("help/page.html", reader, room=room, samples=samples, keys=KEYS, ways=WAYS)

    def answer(self, code: str, look: Look) -> str:
        """What who typed "/help" on a live page sees."""
        return self._render("help/answer.html", look, code=code)
