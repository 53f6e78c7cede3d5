"""Fragments that tests can read, in place of what people see."""

from __future__ import annotations

from chat.model.messages import Message
from chat.views.formatter import Formatter
from chat.views.look import LOOK, Look, Render
from chat.views.messages import Shown
from chat.views.trimming import Trim


class Shapes:
    """As a renderer is, with a count of how often each message was rendered."""

    def __init__(self) -> None:
        self.made: list[int] = []  # what is the same for every look
        self.rendered: list[int] = []
        self.messages = self.alerts = self
        self.formatter = Formatter()

    def name(self, message: Message) -> str:
        return str(message.id)

    def message(self, code: str, message: Message) -> Render:
        self.made.append(message.id)

        def render(look: Look) -> str:
            self.rendered.append(message.id)
            return f"+{self.name(message)}={message.body}{_shown(look)} "

        return render

    def amended(self, code: str, message: Message) -> Render:
        return lambda look: f"~{self.name(message)}={message.body}{_shown(look)} "

    def extras(self, code: str, message: Message) -> Render:
        raise AssertionError("texts change here, and nothing else does")

    def heartbeat(self, look: Look) -> str:
        return "beat "

    def outage(self, outage: str, look: Look) -> str:
        return f"trouble {outage} "

    def trimmed(self, code: str, trim: Trim) -> Render:
        return lambda look: ""

    def newest(self, code: str, shown: Shown, look: Look = LOOK) -> str:
        return "".join([f"page{_shown(look)} ", *shown.fragments])


def _shown(look: Look) -> str:
    return "" if look == LOOK else f"({look.language})"
