"""What a store knows of itself: a value for each name."""

from __future__ import annotations

import secrets

from chat.store import queries
from chat.store.transaction import Transaction

IDENTITY = "identity"  # tells a store from every other
KEY = "key"  # tells by which CHAT_SECRET_KEY its people are known
COPYING = "copying"  # marks an unfinished copy of another store: that one's identity
HISTORY = "history"  # says which history the epochs are of


async def get_or_set(tx: Transaction, name: str, value: str) -> str:
    """Keep the value if there is none of this name, and return the one that is kept."""
    await tx.fetch(queries.NEW_METADATA, name, value)
    ((agreed,),) = await tx.fetch(queries.METADATA, name)
    return str(agreed)


async def identity(tx: Transaction) -> str:
    return await get_or_set(tx, IDENTITY, secrets.token_hex(16))


async def all_metadata(tx: Transaction) -> dict[str, str]:
    rows = await tx.fetch(queries.ALL_METADATA)
    return dict(map(tuple, rows))


async def keep(tx: Transaction, name: str, value: str) -> None:
    await tx.fetch(queries.SET_METADATA, name, value)


async def forget(tx: Transaction, name: str) -> None:
    await tx.fetch(queries.FORGET_METADATA, name)


async def probe(tx: Transaction) -> None:
    """A small write, to see whether any gets through."""
    await keep(tx, "probed", str(tx.now))
