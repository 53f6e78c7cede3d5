"""Commands for operators, for while no server runs: `quart --app "chat.app:create_app()" COMMAND`."""

from __future__ import annotations

import asyncio

import click

from chat.settings import Misconfigured
from chat.store.metadata import KEY
from chat.store.move import NotMoved, forget, move


@click.command("move-store")
@click.argument("source", metavar="FROM_URL")
@click.argument("target", metavar="TO_URL")
def move_store(source: str, target: str) -> None:
    """Copy every room from one database to another, which has to be empty.

    The URLs are written as in CHAT_DATABASE_URL. Stop the servers first. If it is interrupted, run it again.
    """
    try:
        asyncio.run(move(source, target, click.echo))
    except (Misconfigured, NotMoved) as error:
        raise click.ClickException(str(error)) from None


@click.command("forget-key")
@click.argument("database", metavar="URL")
def forget_key(database: str) -> None:
    """Let the next CHAT_SECRET_KEY be another one. Everybody will be a stranger then.

    The URL is written as in CHAT_DATABASE_URL. Stop the servers first.
    """
    try:
        asyncio.run(forget(database, KEY))
    except Misconfigured as error:
        raise click.ClickException(str(error)) from None
    click.echo("Forgotten. The first node to start decides on the key.")
