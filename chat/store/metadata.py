"""What a store knows of itself: a value for each name."""

from __future__ import annotations

from chat.store import queries
from chat.store.transaction import Transaction

IDENTITY = "identity"  # tells a store from every other
KEY = "key"  # tells by which CHAT_SECRET_KEY its people are known
COPYING = "copying"  # marks an unfinished copy of another store: that one's identity
HISTORY = "history"  # says which history the epochs are of


async def get_or_set(tx: Transaction, name: str, value: str) -> str:
    await tx.fetch(queries.NEW_METADATA, name, value)
    ((agreed,),) = await tx.fetch(queries.METADATA, name)
    return str(agreed)


async def probe(tx: Transaction) -> None:
    await tx.fetch(queries.SET_METADATA, "probed", str(tx.now))
