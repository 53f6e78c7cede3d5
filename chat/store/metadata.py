"""What a store knows of itself: a value for each name."""

from __future__ import annotations

from chat.store import queries
from chat.store.transaction import Transaction


async def get_or_set(tx: Transaction, name: str, value: str) -> str:
    await tx.fetch(queries.NEW_FACT, name, value)
    ((agreed,),) = await tx.fetch(queries.FACT, name)
    return str(agreed)


async def probe(tx: Transaction) -> None:
    await tx.fetch(queries.PROBE, str(tx.now))
