"""The composer: fields that are done with, and texts that come back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from chat.model.drafts import SavedDraft
from chat.model.members import Member
from chat.model.quotes import Quoted
from chat.views.engine import Engine
from chat.views.look import WORDS, Look
from chat.views.stencils import Stencil, Values

WIDE = re.compile("[\U00010000-\U0010ffff]")
ACKNOWLEDGED = {"controls": 10**9 + 1, "acked": 10**9 + 2}
TAKEN = {"life": "\ufdd0", "count": 10**9 + 1, "acked": 10**9 + 2, "rest": 10**9 + 3, "next": 10**9 + 4}


class Composer:
    def __init__(self, engine: Engine) -> None:
        self._render = engine.render
        self._acknowledged = lru_cache(WORDS)(lambda look: self._cut("acknowledge", look, ACKNOWLEDGED))
        self._taken = lru_cache(WORDS)(lambda look: self._cut("take_controls", look, TAKEN))

    def _cut(self, name: str, look: Look, values: Values) -> Stencil:
        return Stencil(self._render(f"room/{name}.html", look, **values), values)

    def acknowledged(self, controls: int, acked: int, look: Look) -> str:
        """Remove that many sent controls; `acked` are done since the page was loaded."""
        return self._acknowledged(look.words).fill({"controls": controls, "acked": acked})

    def taken(self, life: str, counts: Sequence[int], acked: int, look: Look) -> str:
        """The same for a page that is at one of `counts`, once it has a control besides those."""
        fill = self._taken(look.words).fill
        return "".join(
            fill({"life": life, "count": n, "rest": acked - n, "next": acked - n + 1, "acked": acked})
            for n in counts
        )

    def life(self, key: str, look: Look) -> str:
        """For a page that has none yet."""
        return self._render("room/begin_life.html", look, key=key)

    def send_pending(self, look: Look) -> str:
        return self._render("room/send_pending.html", look)

    def ask_for_draft(self, look: Look, shown_again: bool) -> str:
        """Have a page that comes back say what its field holds, if anything; or one that is `shown_again`."""
        return self._render("draft/ask.html", look, shown_again=shown_again)

    def fill(self, code: str, draft: SavedDraft, quoted: Quoted | None, look: Look) -> str:
        """Put a draft into the field of a page, if that is empty."""
        many_lines = "\n" in draft.body
        values = {
            "draft": draft.body,
            "saved": draft.version,
            "quoted": quoted,
            "many_lines": many_lines,
            "code": code,
        }
        return self._render("draft/fill.html", look, **values)

    def others(self, code: str, others: Sequence[SavedDraft], look: Look) -> str:
        """Below the field, what else was begun; in place of what is said of that there."""
        return self._render("draft/offer.html", look, code=code, others=others)

    def replying(self, quoted: Quoted, look: Look) -> str:
        """Above the field, the message that the text in it answers."""
        return self._render("reply/choose.html", look, quoted=quoted)

    def names(self, code: str, names: Sequence[Member], look: Look) -> str:
        """Above the field, the people who may be meant by what is typed at its end."""
        return self._render("mention/names.html", look, code=code, names=names)

    def completed(self, draft: str, many_lines: bool, look: Look) -> str:
        """What is in the field, with a name that was chosen."""
        return self._render("mention/complete.html", look, draft=draft, many_lines=many_lines)

    def refused(
        self, code: str, id: str, key: str, place: int, body: str, reason: str, look: Look, reply: int = 0
    ) -> str:
        """A text that comes back; unchanged it is the same one, for the first may be stored after all."""
        values = {"code": code, "id": id, "key": key, "place": place, "body": body, "reason": reason}
        html = self._render("room/append_refused.html", look, reply=reply, **values)
        # One emoji would make each character of it four bytes for as long as it waits.
        return WIDE.sub(lambda match: f"&#{ord(match[0])};", html)

    def sent_again(self, id: str, look: Look) -> str:
        return self._render("room/delete_refused.html", look, id=id)

    def switched(self, draft: str, many_lines: bool, code: str, spare: int, look: Look) -> str:
        """A field of the other kind; `spare` is the number of the one that the page has ready."""
        # The field takes the focus before the button, which has it, is replaced: it moves only once.
        placements = ("fill_spare", "switch_text", "replace_spare")
        values = {"draft": draft, "many_lines": many_lines, "code": code, "spare": spare}
        return "".join(self._render(f"room/{name}.html", look, **values) for name in placements)
