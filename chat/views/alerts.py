"""What is out of order, and how a page learns that it is over."""

from __future__ import annotations

from chat.model.errors import Outage
from chat.views.engine import Engine
from chat.views.look import Look


class Alerts:
    def __init__(self, engine: Engine) -> None:
        self._render = engine.render

    def outage(self, outage: Outage, look: Look) -> str:
        """What is out of order, beside the composer until it is said to be over."""
        return self._render("room/replace_outage.html", look, outage=outage)

    def stream_outage(self, outage: Outage, look: Look) -> str:
        """The same as a line of the live page without JavaScript, which nothing can take away."""
        return self._render("room/_outage_line.html", look, outage=outage)

    def notice(self, text: str, look: Look) -> str:
        """Why something was not done."""
        return self._render("room/replace_notice.html", look, text=text)

    def farewell(self, code: str, reason: str, look: Look, over: bool = False) -> str:
        """`over` says that the seat ended: nothing of the conversation stays on the page."""
        return self._render("room/farewell.html", look, code=code, reason=reason, over=over)

    def mention(self, look: Look) -> str:
        """A sound, in place of the one before."""
        return self._render("sound/play.html", look)

    def heartbeat(self, look: Look) -> str:
        return self._render("room/replace_beat.html", look)
