"""Pages of the past, and of a day in it that somebody goes to."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from chat.model.rooms import Room
from chat.views.engine import Engine
from chat.views.forms import Form
from chat.views.reader import Reader
from chat.views.rooms import name_of


class Day(NamedTuple):
    """`found` is the day with which the page begins: there may be nothing of the one asked for.

    It is None if there is nothing later either, so the page has the newest messages.
    """

    asked: date
    found: date | None


class Past(NamedTuple):
    """A page of the past, seen from its start or from its end, perhaps of a day that was asked for."""

    from_start: bool = False
    day: Day | None = None


class Days:
    def __init__(self, engine: Engine) -> None:
        self._page = engine.page

    def form(self, room: Room, form: Form, reader: Reader) -> str:
        """Which day shall it be?"""
        return self._page("day/page.html", reader, room=room, name=name_of(room), form=form)
