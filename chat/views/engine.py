"""The templates, compiled once. Nothing else knows their engine."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chat.model.codes import grouped
from chat.model.marks import unlabelled
from chat.model.messages import BODY_FIELD, Message
from chat.model.rooms import TITLE_LENGTH, TOPIC_LENGTH
from chat.views.assets import Assets
from chat.views.language import say
from chat.views.links import linked
from chat.views.look import LOOKS, Look
from chat.views.palette import colour
from chat.views.times import clock, day, iso, isoday

INLINE = 8  # fragments of one look that a page has to put in without a server


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
            say=say,
            colour=colour,
            unlabelled=unlabelled,
        )
        # A macro: called once per message, it is twice as fast as an included template.
        self._shape = self._env.get_template("room/_message.html").module.shape  # type: ignore[attr-defined]
        inline = lru_cache(LOOKS * INLINE)(self._inline)
        self._env.globals.update(asset=assets.url, shape=self._shape, field=BODY_FIELD, inline=inline)
        self._env.globals.update(title_length=TITLE_LENGTH, topic_length=TOPIC_LENGTH)

    def render(self, template: str, look: Look, **values: object) -> str:
        return self._env.get_template(template).render(look=look, **values)

    def message(self, code: str, message: Message, look: Look) -> str:
        return str(self._shape(code, message, look))

    def _inline(self, template: str, look: Look) -> str:
        """A fragment as an address that needs no network; htmx fetches it like any other."""
        fragment = self.render(template, look, draft=None).strip()
        return "data:text/html;charset=utf-8," + quote(fragment, safe=" =/:;,.-_()!*")
