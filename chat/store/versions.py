"""The earlier texts of a message: kept when it is edited, as far as they fit, and gone when it is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from chat.model.messages import Message, Version
from chat.store import queries
from chat.store.queries import LARGEST
from chat.store.records import decode_text
from chat.store.transaction import Transaction

KEPT = 10  # of one message
KEPT_BYTES = 32 * 1024  # of all of them, in UTF-8: four of the longest


async def keep(tx: Transaction, room: int, old: Message) -> None:
    """The text that is about to be replaced. The oldest ones go if there are too many."""
    await tx.fetch(tx.dialect.keep_version, room, old.id, old.text_rev, old.edited or old.at)
    if surplus := _surplus(await earlier(tx, room, old.id)):
        await erase(tx, room, old.id, surplus[-1].rev)


def _surplus(versions: Sequence[Version]) -> Sequence[Version]:
    """Those, the oldest first, for which there is no room; there is for the newest."""
    sizes = accumulate(len(version.body.encode()) for version in reversed(versions))
    fitting = sum(size <= KEPT_BYTES for size in sizes)
    return versions[: max(0, len(versions) - min(fitting, KEPT))]


async def erase(tx: Transaction, room: int, id: int, until: int = LARGEST) -> None:
    """The versions of a message up to a rev, in every byte."""
    if tx.dialect.erase_versions:
        await tx.fetch(tx.dialect.erase_versions, room, id, until)
    await tx.fetch(queries.FORGET_VERSIONS, room, id, until)


async def earlier(tx: Transaction, room: int, id: int) -> list[Version]:
    """The oldest first, without the present one."""
    rows = await tx.fetch(queries.VERSIONS, room, id)
    return [Version(rev, at, decode_text(body) or "") for rev, at, body in rows]
