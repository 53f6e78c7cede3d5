"""The codes of all rooms, read beside a server that runs."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from chat.settings import Misconfigured
from chat.store import backend_of, sqlite_path

CODES = "SELECT code FROM room"


async def room_codes(url: str) -> list[str]:
    """Nothing is locked, changed or made. Raises Misconfigured."""
    return _of_sqlite(sqlite_path(url)) if backend_of(url) == "sqlite" else await _of_postgres(url)


def _of_sqlite(path: str) -> list[str]:
    from chat.store.sqlite.file import connected

    try:
        with closing(connected(os.path.realpath(path), "ro")) as db:
            return [code for (code,) in db.execute(CODES)]
    except sqlite3.Error as error:
        raise Misconfigured(f"{path} cannot be read: {error}. Is it the file of this chat?") from error


async def _of_postgres(url: str) -> list[str]:
    from chat.store.postgres.errors import FAILURES, describe
    from chat.store.postgres.hosts import NAME
    from chat.store.postgres.server import Server

    server = Server(url, f"{NAME} room")
    try:
        db = await server.reader()
        try:
            return [code for (code,) in await db.fetch(CODES)]
        finally:
            await db.close()
    except FAILURES as error:
        raise server.refused(
            f"cannot be read: {describe(error)}", "Is it the database of this chat?"
        ) from error
