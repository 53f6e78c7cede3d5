"""The log, which is the truth: what every backend of it promises, and how one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Protocol

from chat.model.changes import Change
from chat.store.transaction import P, T, Work

if TYPE_CHECKING:
    from chat.store.appending import Extra
    from chat.store.writes import PendingWrite

HISTORY = 50  # messages of a page
NO_ROOM = ""  # as the code of a write that is about no room at all
WINDOW = 1000  # revs a reader may be behind before the newest page is cheaper


class Resync(Exception):
    """A reader's position cannot be continued from: other epoch, ahead of the head, or trimmed."""


class NotFound(Exception):
    """The room, seat or message does not exist (any more), or is not the caller's to change."""


class NoMessage(NotFound):
    """The room is there, and the caller may read it."""


class AlreadyExists(Exception):
    """A room of this code exists already."""


class OutcomeUnknown(Exception):
    """The outcome of a write is not known: repeat it with the same key."""


class Unavailable(Exception):
    """The store cannot do this now; certainly nothing was written."""


Durability = Literal["fsync", "replicated", "os", "memory"]


class Store(Protocol):
    """The ordered log of every room, and how it is asked: by functions of a transaction.

    `read`, `snapshot` and `write` run those of the modules `rooms`, `members`, `log`, `messages` and
    `metadata` in this package, and those of the features.

    A write returns only once it is committed to `durability`. A room's `rev` rises by exactly one per
    accepted write, without holes and in the same order for all readers. The same (room, author, key)
    within 48 hours returns the same message with `duplicate` set and writes nothing. It is announced only
    if the store could not know that it had been.
    """

    durability: Durability

    def listen(
        self,
        on_commit: Callable[[Sequence[Change]], None],
        on_gap: Callable[[], None] = ...,
        on_unknown: Callable[[], object] = ...,
    ) -> None:
        """From now on call these, all in the event loop; they take the place of those before.

        `on_commit` with each batch of changes, in commit order, before their writers continue; `on_gap` when
        changes may have been committed without that; `on_unknown` for each write whose outcome is not known.
        """

    @property
    def waiting(self) -> int:
        """Writes that wait for their turn."""

    async def open(self) -> None:
        """Take the lock, check and migrate. Raises Misconfigured."""

    async def close(self) -> None: ...

    async def ping(self) -> None:
        """Return when a read answers. Raises Unavailable."""

    async def read(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function of a transaction finds that only reads; each question may see another moment.

        Raises what it raises, and Unavailable.
        """

    async def snapshot(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, but all of its questions see the same moment."""

    async def write(self, code: str | None, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function returns, once that is committed; nobody else writes to the room meanwhile.

        `code` None says that it may be about any rooms: it has to lock them itself.

        It may be run more than once, but only one run counts. If it raises, nothing of it is kept. Raises
        also OutcomeUnknown and Unavailable.
        """

    def append(
        self, code: str, author: int, key: str, body: str, extra: Extra | None = None
    ) -> PendingWrite[Change]:
        """Add a message of a seat, when awaited. Raises NotFound, Unavailable, OutcomeUnknown.

        No coroutine: the write is on its way when this returns, in the order of the calls. Cancelling what
        it returns takes the write back if it has not begun.

        `extra` returns the meta of the message, or raises what this is to raise, such as Refused. It is run
        where the text has its turn, perhaps more than once, and not if its key was used before. A text with
        it is not written together with others.
        """

    async def time(self) -> float:
        """The clock by which it times messages, in seconds since 1970. Raises Unavailable."""

    async def used(self) -> int:
        """Bytes that everything stored takes on disk; what was removed and can be used again is none of it,
        as far as that is known. Raises Unavailable."""

    async def free(self) -> int | None:
        """Bytes left on the disk; None if that is another machine's."""

    async def processes(self) -> int:
        """How many work on it, this one included. Raises Unavailable."""


def split_scheme(url: str) -> tuple[str, str]:
    """The scheme of a URL and what follows; no scheme where none is meant, as that may be a password."""
    scheme, colon, rest = url.partition("://")
    return (scheme, rest) if colon else ("", url)


def backend_of(url: str) -> Literal["sqlite", "postgres"]:
    """Which backend a CHAT_DATABASE_URL names. Raises Misconfigured, also if its driver is missing."""
    from chat.settings import Misconfigured

    scheme, _ = split_scheme(url)
    if scheme == "sqlite":
        return "sqlite"
    if scheme not in {"postgresql", "postgres"}:
        raise Misconfigured(
            f"CHAT_DATABASE_URL: unknown kind of database {scheme!r}. "
            "Use sqlite:///chat.db or postgresql://user:password@host/database"
        )
    if find_spec("asyncpg") is None:
        raise Misconfigured(
            "CHAT_DATABASE_URL names a PostgreSQL database, which needs asyncpg. "
            "Install it: pip install '.[cluster]'"
        )
    return "postgres"


def sqlite_path(url: str) -> str:
    return split_scheme(url)[1].removeprefix("/")


def store_for(url: str, exclusive: bool = False) -> Store:
    """The store that a CHAT_DATABASE_URL names; opened by its `open`. Raises Misconfigured.

    `exclusive` says that no other process may use it at the same time: nothing would tell them of each other.
    """
    if backend_of(url) == "sqlite":
        from chat.store.sqlite.store import SQLiteStore

        return SQLiteStore(sqlite_path(url))
    from chat.store.postgres.store import PostgresStore

    return PostgresStore(url, exclusive=exclusive)
