"""The log, which is the truth: what every backend of it promises, and how one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Protocol

from chat.model.changes import Change, Page, Window
from chat.model.members import Member
from chat.model.messages import Amendment
from chat.model.notices import Verb
from chat.model.rooms import Position, Room
from chat.store.transaction import P, T, Work
from chat.store.windows import UNBOUNDED

if TYPE_CHECKING:
    from chat.store.writes import PendingWrite

HISTORY = 50  # messages of a page
WINDOW = 1000  # revs a reader may be behind before the newest page is cheaper


class Resync(Exception):
    """A reader's position cannot be continued from: other epoch, ahead of the head, or trimmed."""


class NotFound(Exception):
    """The room, seat or message does not exist (any more), or is not the caller's to change."""


class AlreadyExists(Exception):
    """A room of this code exists already."""


class OutcomeUnknown(Exception):
    """The outcome of a write is not known: repeat it with the same key."""


class Unavailable(Exception):
    """The store cannot do this now; certainly nothing was written."""


class Store(Protocol):
    """The ordered log of every room.

    A write returns only once it is committed to `durability`. A room's `rev` rises by exactly one per
    accepted write, without holes and in the same order for all readers. The same (room, author, key)
    within 48 hours returns the same message with `duplicate` set, writes nothing and tells nobody.
    """

    durability: Literal["fsync", "replicated", "os", "memory"]
    on_commit: Callable[[Sequence[Change]], None]
    """Called in the event loop with each batch of changes, in commit order, before their writers
    continue. Set it before `open`."""
    on_gap: Callable[[], None]
    """Called when changes may have been committed without a call of `on_commit`."""

    on_unknown: Callable[[], object]
    """Called for each write whose outcome is not known. Set it before `open`."""

    @property
    def waiting(self) -> int:
        """Writes that wait for their turn."""

    async def open(self) -> None:
        """Take the lock, check and migrate. Raises SystemExit-worthy `settings.Misconfigured`."""

    async def close(self) -> None: ...

    async def ping(self) -> None:
        """Return when a read answers. Raises Unavailable."""

    async def read(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function of a transaction finds that only reads; each question may see another moment."""

    async def snapshot(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, but all of its questions see the same moment."""

    async def write(self, code: str | None, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function returns, once that is committed; nobody else writes to the room meanwhile."""

    async def probe(self) -> None:
        """Return when a small write is committed. Raises Unavailable, OutcomeUnknown."""

    async def time(self) -> float:
        """The clock by which it times messages, in seconds since 1970. Raises Unavailable."""

    async def used(self) -> int:
        """Bytes that everything stored takes on disk; what was removed and can be used again is none of it,
        as far as that is known. Raises Unavailable."""

    async def free(self) -> int | None:
        """Bytes left on the disk; None if that is another machine's."""

    async def processes(self) -> int:
        """How many work on it, this one included. Raises Unavailable."""

    async def get_or_set(self, name: str, value: str) -> str:
        """Keep the value if there is none of this name, and return the one that is kept."""

    async def open_room(self, code: str) -> Room:
        """Raises AlreadyExists."""

    async def expire(self) -> int:
        """Remove rooms in which nothing was said for a day, unless somebody is there; a portion at a time.

        Returns how many rows it dealt with: 0 once there is nothing left to remove. Several nodes may do
        it at the same time.
        """

    async def find_room(self, code: str) -> Room | None: ...

    async def take_seat(self, code: str, person: str, name: str) -> Member:
        """The person's seat; the one they hold already, if any, whatever name is asked for.

        A seat that this person left is taken up again if its name is the same. Raises NotFound, and Refused
        for one name too many.
        """

    async def find_seat(self, code: str, person: str) -> Member | None:
        """The seat the person holds now."""

    async def seats_of(self, code: str, person: str) -> list[int]:
        """Numbers of every seat the person ever held in the room: whose messages are theirs."""

    async def rooms_of(self, person: str, limit: int) -> list[str]:
        """Codes of at most `limit` rooms in which the person has a seat, be it one that ended."""

    async def end_seat(self, code: str, person: str, successor: str | None = None) -> Change | None:
        """End the person's stay and tell the room, in one write; None if they hold no seat.

        Every seat that the person ever had in the room passes to `successor`, if one is named: with an id
        that nobody has, the person is a stranger there from now on.
        """

    async def rename_seat(self, code: str, person: str, name: str) -> Change | None:
        """End the person's seat, take one of another name and tell the room, in one write.

        What they wrote keeps its name. None if that is their name already. Raises NotFound.
        """

    async def announce(self, code: str, verb: Verb, seats: Iterable[int]) -> Change | None:
        """Mark seats as here or away and tell the room, in one write.

        Seats already so marked, and ended ones, are passed over; None if none is left.
        """

    async def here(self, code: str | None = None) -> list[Member]:
        """Everybody marked as here, in one room or in all: whom a restart has to account for."""

    def append(self, code: str, author: int, key: str, body: str) -> PendingWrite[Change]:
        """Add a message of a seat, when awaited. Raises NotFound, Unavailable, OutcomeUnknown.

        No coroutine: the write is on its way when this returns, in the order of the calls. Cancelling what
        it returns takes the write back if it has not begun.
        """

    async def amend(self, code: str, id: int, by: int | None, key: str, change: Amendment) -> Change:
        """Edit or delete a text message. `by` None skips the check that it is its author's.

        A deleted text is gone from the store at once. Raises NotFound, Unavailable, OutcomeUnknown.
        """

    async def history(
        self, code: str, before: int | None = None, limit: int = HISTORY, most: int = UNBOUNDED
    ) -> Page:
        """The newest messages, or the newest older than `before`. Raises NotFound.

        As many as `limit`, and as `windows.weight` finds to be at most `most` bytes, but at least one.
        """

    async def changes(
        self, code: str, since: Position, window: int = WINDOW, most: int = UNBOUNDED
    ) -> Window:
        """What changed in revs (since, since + window], at its present state.

        `created` have ids in that range; `changed` are older messages last changed in it. The position
        returned is where to continue; a later window may repeat a change, never a creation. The range ends
        sooner if its messages are more than `most` bytes by `windows.weight`, but not before the first one.
        Raises Resync, NotFound.
        """

    async def heads(self, codes: Sequence[str]) -> dict[str, Position]:
        """The present position of each room that exists."""


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
