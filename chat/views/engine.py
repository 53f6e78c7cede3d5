"""Templates with what they can call, in every language."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from chat.model.codes import grouped
from chat.model.formatting import is_action
from chat.model.marks import unlabelled
from chat.model.messages import BODY_FIELD, Message
from chat.model.notices import COMINGS
from chat.model.rooms import TITLE_LENGTH, TOPIC_LENGTH
from chat.views.assets import Assets
from chat.views.environment import Compiled, Environment, environment
from chat.views.formatter import Formatter
from chat.views.language import say
from chat.views.look import LOOK, WORDS, Look
from chat.views.mentions import NO_NAME
from chat.views.palette import colour, initials
from chat.views.quotes import first_words
from chat.views.reader import Reader
from chat.views.times import begins_day, begins_run, clock, day, iso, isoday, long_date, when

SPECIAL = re.compile(r"[%#'&\x00-\x1f\x7f]")  # in a data: address between single quotes
INLINE = 8  # fragments of one language that a page has to put in without a server

STYLES = 128  # more than there are ways to choose them


class Engine:
    def __init__(self, folder: Path, assets: Assets, can_edit: bool = True) -> None:
        self._folder = folder
        self._assets = assets
        self._can_edit = can_edit
        self.formatter = Formatter()
        self._compiled = Compiled()
        self._env = lru_cache(WORDS)(self._environment)
        self._shape = lru_cache(WORDS)(self._message_macro)
        self._styles = lru_cache(STYLES)(self._style)
        self._fragment = lru_cache(WORDS * INLINE)(self._inline)
        self._shape(LOOK.language)  # what is wrong with it is known at the start

    def _environment(self, language: str) -> Environment:
        made = environment(self._folder, self._compiled, language)
        made.filters.update(
            grouped=grouped,
            formatted=self.formatter.format,
            is_action=is_action,
            first_words=first_words,
            iso=iso,
            clock=clock,
            day=day,
            isoday=isoday,
            long_date=long_date,
            when=when,
            begins_day=begins_day,
            begins_run=begins_run,
            say=say,
            colour=colour,
            initials=initials,
            unlabelled=unlabelled,
        )
        made.globals.update(
            asset=self._assets.url,
            can_edit=self._can_edit,
            field=BODY_FIELD,
            no_name=NO_NAME,
            inline=self.inline,
            COMINGS=COMINGS,
        )
        made.globals.update(title_length=TITLE_LENGTH, topic_length=TOPIC_LENGTH, shape=self.message)
        return made

    def _message_macro(self, language: str) -> Callable[..., str]:
        """A macro: called once per message, it is twice as fast as an included template."""
        module: Any = self._env(language).get_template("room/_message.html").module
        shape: Callable[..., str] = module.shape
        return shape

    def render(self, template: str, look: Look, **values: object) -> str:
        return self._env(look.language).get_template(template).render(look=look, **values)

    def page(self, template: str, reader: Reader, **values: object) -> str:
        """A whole page, in the colours that its reader has chosen."""
        return self.render(template, reader.look, style=self.style(reader), **values)

    def style(self, reader: Reader) -> Markup:
        """What the reader has chosen about colours and space, for the head of a page."""
        return self._styles(reader.choices.theme or "auto", reader.sheets)

    def _style(self, theme: str, sheets: Sequence[str]) -> Markup:
        return Markup(self.render("_style.html", LOOK, theme=theme, sheets=sheets))  # noqa: S704

    def message(self, code: str, message: Message, look: Look, *more: object) -> Markup:
        """`more` is for a page of its own: whether it is about this message, and the seats of its reader."""
        return Markup(self._shape(look.language)(code, message, look, *more))  # noqa: S704

    def inline(self, template: str, look: Look) -> Markup:
        """A fragment as an address that needs no network; htmx fetches it like any other.

        As the value of an attribute it stands between single quotes.
        """
        return self._fragment(template, look.words)

    def _inline(self, template: str, look: Look) -> Markup:
        """Nearly as the same HTML stands in the page itself, so that the two compress to one."""
        fragment = self.render(template, look, draft=None).strip()
        kept = SPECIAL.sub(lambda found: f"%{ord(found[0]):02X}", fragment)
        return Markup(f"data:text/html;charset=utf-8,{kept}")  # noqa: S704
