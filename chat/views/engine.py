"""The templates, compiled once. Nothing else knows their engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from chat.model.codes import grouped
from chat.model.marks import unlabelled
from chat.model.messages import BODY_FIELD, Message
from chat.model.notices import COMINGS
from chat.model.rooms import TITLE_LENGTH, TOPIC_LENGTH
from chat.views.assets import Assets
from chat.views.language import say
from chat.views.links import linked
from chat.views.look import LOOK, WORDS, Look
from chat.views.palette import colour
from chat.views.reader import Reader
from chat.views.times import begins_day, begins_run, clock, day, iso, isoday

INLINE = 8  # fragments of one language that a page has to put in without a server

STYLES = 16  # more than there are ways to choose them


class Engine:
    def __init__(self, folder: Path, assets: Assets) -> None:
        self._env = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._env.filters.update(
            grouped=grouped,
            linked=linked,
            iso=iso,
            clock=clock,
            day=day,
            isoday=isoday,
            begins_day=begins_day,
            begins_run=begins_run,
            say=say,
            colour=colour,
            unlabelled=unlabelled,
        )
        self._env.globals.update(COMINGS=COMINGS)
        # A macro: called once per message, it is twice as fast as an included template.
        self._shape = self._env.get_template("room/_message.html").module.shape  # type: ignore[attr-defined]
        self._styles = lru_cache(STYLES)(self._style)
        self._fragment = lru_cache(WORDS * INLINE)(self._inline)
        self._env.globals.update(asset=assets.url, shape=self._shape, field=BODY_FIELD, inline=self.inline)
        self._env.globals.update(title_length=TITLE_LENGTH, topic_length=TOPIC_LENGTH)

    def render(self, template: str, look: Look, **values: object) -> str:
        return self._env.get_template(template).render(look=look, **values)

    def page(self, template: str, reader: Reader, **values: object) -> str:
        """A whole page, in the colours that its reader has chosen."""
        return self.render(template, reader.look, style=self.style(reader), **values)

    def style(self, reader: Reader) -> Markup:
        """What the reader has chosen about colours and space, for the head of a page."""
        return self._styles(reader.choices.theme or "auto", reader.sheets)

    def _style(self, theme: str, sheets: Sequence[str]) -> Markup:
        return Markup(self.render("_style.html", LOOK, theme=theme, sheets=sheets))  # noqa: S704

    def message(self, code: str, message: Message, look: Look) -> str:
        return str(self._shape(code, message, look))

    def inline(self, template: str, look: Look) -> str:
        """A fragment as an address that needs no network; htmx fetches it like any other."""
        return self._fragment(template, look.words)

    def _inline(self, template: str, look: Look) -> str:
        fragment = self.render(template, look, draft=None).strip()
        return "data:text/html;charset=utf-8," + quote(fragment, safe=" =/:;,.-_()!*")
