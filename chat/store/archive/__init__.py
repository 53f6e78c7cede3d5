"""Everything that a store holds, in a file or in another store: `export`, `import` and `move-store`.

A store is read as lines of JSON, whatever its database (parts.py). An archive is a file of them with a
manifest (file.py); a copy puts them into an empty store (copying.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chat.model.codes import clean_code
from chat.model.errors import Refused
from chat.settings import Misconfigured
from chat.store import NotFound, log, metadata
from chat.store.archive.copying import NotCopied, Say, StoredRooms, copy, describe, require_finished
from chat.store.archive.file import verified, write
from chat.store.exclusive import ExclusiveStore, opened

SET_UP = (
    "Set CHAT_DATABASE_URL to it on every node. People stay who they are as long as CHAT_SECRET_KEY stays "
    "what it was: if it was not set, it is in the .key file beside the SQLite file."
)


async def move(source_url: str, target_url: str, say: Say) -> None:
    """Copy one store into another and compare them; after an interruption, go on."""
    with _explained("to go on from there"):
        async with opened(source_url) as source, opened(target_url, exists=False) as target:
            await require_finished(source)
            await copy(StoredRooms(source), target, say)
    say(f"All is well: {target.place} holds what {source.place} holds, and that was left as it was. {SET_UP}")


async def import_archive(path: str, url: str, say: Say) -> None:
    """Copy an archive into a store and compare them; after an interruption, go on."""
    with _explained("to go on from there"), verified(path, say) as archive:
        async with opened(url, exists=False) as target:
            await copy(archive, target, say)
    say(f"All is well: {target.place} holds what {path} holds. {SET_UP}")


async def export(url: str, path: str, say: Say, code: str | None = None) -> None:
    """Write everything, or the room of a code alone, to a new archive."""
    with _explained("to begin anew"):
        async with opened(url) as store:
            await require_finished(store)
            await write(path, StoredRooms(store, await _number(store, code)), say)
    say(f"All is well: {path} holds what {store.place} holds.")


async def _number(store: ExclusiveStore, code: str | None) -> int | None:
    try:
        return (await store.run(log.head_of, clean_code(code))).room if code is not None else None
    except (NotFound, Refused) as error:
        raise NotCopied(f"{store.place} has no room {code}. Correct the code.") from error


async def forget(url: str, name: str) -> None:
    """Forget what a store knows of itself under a name. Raises Misconfigured."""
    async with opened(url) as store:
        await store.run(metadata.forget, name)


@contextmanager
def _explained(again: str) -> Iterator[None]:
    """Raises NotCopied, Misconfigured."""
    try:
        yield
    except (NotCopied, Misconfigured):
        raise
    except Exception as error:
        raise NotCopied(f"Interrupted: {describe(error)}. Run the same command again {again}.") from error
