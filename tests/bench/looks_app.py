"""The chat whose pages have looks of their own, dealt in turn to as many as LOOKS says."""

from __future__ import annotations

import itertools
import os

from quart import Quart

from chat import app
from chat.views.look import Look
from chat.web import socket


def create_app() -> Quart:
    looks = itertools.cycle([Look(language=f"look-{n}") for n in range(int(os.environ["LOOKS"]))])
    setattr(socket, "current_look", lambda: next(looks))  # noqa: B010
    return app.create_app()
