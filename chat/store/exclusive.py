"""A store that nobody else uses, for the commands of operators: nothing is pruned, nobody is notified."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from chat.store import backend_of, sqlite_path
from chat.store.transaction import P, T, Work


class ExclusiveStore(Protocol):
    place: str
    """How messages name it, without its password."""
    refusals: tuple[type[Exception], ...]
    """What `run` raises for rows that cannot be kept beside the others."""

    async def open(self) -> None:
        """Take it for ourselves, check and migrate. Raises Misconfigured."""

    async def close(self) -> None: ...

    async def run(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function returns, once that is committed."""

    async def finish(self) -> None:
        """Make what was copied into it ready for use."""


@asynccontextmanager
async def opened(url: str, *, exists: bool = True) -> AsyncIterator[ExclusiveStore]:
    """The store of a URL, which must exist unless it is one to copy into. Raises Misconfigured."""
    store = _store_for(url, exists)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def _store_for(url: str, exists: bool) -> ExclusiveStore:
    if backend_of(url) == "sqlite":
        from chat.store.sqlite.exclusive import ExclusiveSQLite

        return ExclusiveSQLite(sqlite_path(url), exists)
    from chat.store.postgres.exclusive import ExclusivePostgres

    return ExclusivePostgres(url)
