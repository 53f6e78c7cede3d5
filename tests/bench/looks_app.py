"""The chat whose pages have looks of their own, dealt in turn to as many as LOOKS says."""

from __future__ import annotations

import itertools
import os

from quart import Quart

from chat import app
from chat.views.look import Look
from chat.web import socket

ZONES = "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata"
LOOKS = [Look(language, zone) for zone in ZONES for language in ("en", "de")]


def create_app() -> Quart:
    looks = itertools.cycle(LOOKS[: int(os.environ["LOOKS"])])
    setattr(socket, "current_look", lambda: next(looks))  # noqa: B010
    return app.create_app()
