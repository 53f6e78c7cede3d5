"""What people type: values of forms, and the form of an action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from chat.model.drafts import SavedDraft
from chat.model.messages import Message
from chat.model.quotes import Quoted
from chat.views.engine import Engine
from chat.views.look import Look

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed and what is wrong with it, by field."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    first: str = "name"  # where the cursor is if nothing is wrong; empty for nowhere

    @property
    def focus(self) -> str:
        """The field to put the cursor in: the first one at fault."""
        return next(iter(self.errors), self.first)


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wrote and has yet to send: under which key, and how much of that was stored before."""

    code: str  # of the room, empty if it cannot be sent to any
    bodies: Sequence[str] = ("",)
    key: str = ""
    acked: int = 0
    posted: bool = False  # by the ordinary form; it may have been stored
    replies: Sequence[int] = ()  # for each text, the id of the message that it answers, or 0
    quoted: Quoted | None = None  # what the first one answers
    version: int = 0  # of what was kept of it, or 0

    @property
    def text(self) -> str:
        return "\n".join(self.bodies)

    def after(self, count: int) -> Draft:
        """What is left of it once so many of its texts are stored."""
        bodies, replies = self.bodies[count:], self.replies[count:]
        return replace(self, bodies=bodies, replies=replies, acked=self.acked + count)

    def reply(self, place: int) -> int:
        return self.replies[place] if place < len(self.replies) else 0


class ActionForms:
    def __init__(self, engine: Engine) -> None:
        self._render = engine.render

    def show(
        self,
        code: str,
        template: str,
        message: Message,
        failure: object,
        fields: Mapping[str, str],
        look: Look,
        begun: SavedDraft | None = None,
    ) -> str:
        """The form of an action above the composer, perhaps with what was typed and why it was not done.

        `begun` is what was begun there before.
        """
        return self._render(
            "actions/show_form.html",
            look,
            code=code,
            form=template,
            message=message,
            failure=failure,
            fields=fields,
            begun=begun,
            is_unread=False,
            live=True,
        )

    def done(self, id: int, look: Look, stays: bool = True) -> str:
        """The form of an action to this message goes. The message takes the focus if it stays."""
        return self._render("actions/form_done.html", look, id=id, stays=stays)

    def gone(self, id: int, body: str, look: Look) -> str:
        """The form goes with its message; what was typed in it stays to be copied."""
        return self._render("actions/gone.html", look, id=id, body=body)

    def closed(self, id: int, look: Look) -> str:
        """The palette goes, which this message was chosen for."""
        return self._render("actions/_unpick.html", look, id=id, focused=True)
