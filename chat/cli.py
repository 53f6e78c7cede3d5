"""Commands for operators: `quart --app "chat.app:create_app()" COMMAND`.

`room` may run beside a server. For the others, stop the servers first.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import click

from chat.model.codes import CODE_LENGTH, Codes, grouped, is_code
from chat.settings import Misconfigured, Settings
from chat.store import archive
from chat.store.archive.copying import NotCopied
from chat.store.metadata import KEY
from chat.store.room_codes import room_codes
from chat.visitors import kept_secret

LOG_ID = re.compile(r"[0-9a-f]{12}")


@click.command("move-store")
@click.argument("source", metavar="FROM_URL")
@click.argument("target", metavar="TO_URL")
def move_store(source: str, target: str) -> None:
    """Copy every room from one database to another, which has to be empty.

    The URLs are written as in CHAT_DATABASE_URL. Stop the servers first. If it is interrupted, run it again.
    """
    _run(archive.move(source, target, click.echo))


@click.command("export")
@click.argument("database", metavar="URL")
@click.argument("file", metavar="FILE")
@click.option("--room", metavar="CODE", help="Export this room alone.")
def export_rooms(database: str, file: str, room: str | None) -> None:
    """Write every room of a database to a new archive, which `import` reads.

    The URL is written as in CHAT_DATABASE_URL. Stop the servers first.
    """
    _run(archive.export(database, file, click.echo, room))


@click.command("import")
@click.argument("file", metavar="FILE")
@click.argument("database", metavar="URL")
def import_rooms(file: str, database: str) -> None:
    """Copy every room of an archive to a database, which has to be empty.

    The URL is written as in CHAT_DATABASE_URL. Stop the servers first. If it is interrupted, run it again.
    """
    _run(archive.import_archive(file, database, click.echo))


@click.command("forget-key")
@click.argument("database", metavar="URL")
def forget_key(database: str) -> None:
    """Let the next CHAT_SECRET_KEY be another one. Everybody will be a stranger then.

    The URL is written as in CHAT_DATABASE_URL. Stop the servers first.
    """
    _run(archive.forget(database, KEY))
    click.echo("Forgotten. The first node to start decides on the key.")


@click.command("room")
@click.argument("room", metavar="CODE_OR_ID")
@click.option("--database", metavar="URL", help="As in CHAT_DATABASE_URL, which it is by default.")
def find_room(room: str, database: str | None) -> None:
    """Print the id by which the log calls a room, and its code.

    Either may be given. It needs the server's CHAT_SECRET_KEY or key file, and may run beside the server.
    """
    _run(_find_room(room, database))


async def _find_room(room: str, database: str | None) -> None:
    settings = Settings.from_env()
    if database:
        settings = replace(settings, database_url=database)
    codes = Codes(kept_secret(settings))
    code = "".join(room.upper().split("-"))
    if not codes.vouches_for(code) and LOG_ID.fullmatch(room):
        code = next((c for c in await room_codes(settings.database_url) if codes.logged(c) == room), "")
        if not code:
            raise Misconfigured(f"No room has the id {room}. Rooms in which nothing is said are removed.")
    elif not is_code(code) or (len(code) == CODE_LENGTH and not codes.vouches_for(code)):
        raise Misconfigured(f"{room} is no code of this chat. Is a letter missing, or is the key another?")
    click.echo(f"{codes.logged(code)} {grouped(code)}")


COMMANDS = (move_store, export_rooms, import_rooms, forget_key, find_room)


def _run(command: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(command)
    except (Misconfigured, NotCopied) as error:
        raise click.ClickException(str(error)) from None
