"""Commands for operators, for while no server runs: `quart --app "chat.app:create_app()" COMMAND`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import click

from chat.settings import Misconfigured
from chat.store import archive
from chat.store.archive.copying import NotCopied
from chat.store.metadata import KEY


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


COMMANDS = (move_store, export_rooms, import_rooms, forget_key)


def _run(command: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(command)
    except (Misconfigured, NotCopied) as error:
        raise click.ClickException(str(error)) from None
