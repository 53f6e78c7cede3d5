"""The PostgreSQL server: how it is reached, what it has to be, and its schema."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import parse_qs

import asyncpg

from chat.logs import waiting
from chat.model.lookalikes import skeleton
from chat.model.rooms import new_epoch
from chat.settings import Misconfigured
from chat.store import queries
from chat.store.metadata import COPYING, HISTORY
from chat.store.migrate import UNFINISHED_COPY, from_newer_release, migrations_in, pending

CONNECT = 5.0  # s, for each host
STATEMENT = 10.0  # s
LOCK_WAIT = 4.0  # s, for the row of a room
STALLED = 5.0  # s: a node that stops amid a write gives back its rooms
MIGRATING = 3600.0  # s
RECONNECT = 60.0  # s
OLDEST_SERVER = 14
PROGRAM = 0x63686174  # "chat": the lock under which a schema is changed
NAME = "room-chat"  # by which our nodes' sessions are known in pg_stat_activity
PLACE = 0x73656174  # "seat": the lock that a process holds as long as it works on a schema

SESSION = {
    "application_name": NAME,
    "lock_timeout": f"{LOCK_WAIT:.0f}s",
    "idle_in_transaction_session_timeout": f"{STALLED:.0f}s",
    # Cut short, a commit that waits for its standby reports success: only the client's own time-out counts.
    "statement_timeout": "0",
    # No firewall forgets a writer that was idle for long, and no dead node keeps its connections.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "jit": "off",
    # Every question has its index. A plan made while a table was small must not read it all when it is large.
    "enable_seqscan": "off",
}

Durability = Literal["fsync", "replicated", "os", "memory"]


MIGRATIONS = migrations_in(Path(__file__).with_name("migrations"))
SCHEMA, OLDEST = "schema", "oldest"  # metadata: what the database was brought to, and who can work with it


class Known(NamedTuple):
    schema: int
    oldest: int
    history: str


LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # no longer the primary
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
)
"""What says that this connection is of no more use, rather than that the question was wrong."""

log = logging.getLogger(__name__)
T = TypeVar("T")
Connection = Any


class Occupied(Misconfigured):
    """Another process works on the database, and the two would not hear of each other."""


class Server:
    """The server, or the several of which one is the primary, that a URL names.

    `alone` says that no other process may work on the database, as they would hear nothing of this one;
    None leaves it to others to make sure.
    """

    def __init__(self, url: str, name: str = NAME, alone: bool | None = None) -> None:
        self.place = f"PostgreSQL at {_place(url)}"
        self._session = SESSION | {"application_name": name}
        self._hosts = _hosts(url)
        self._alone = alone
        self._last: tuple[Any, ...] = (0, None)  # the session that had our place: pid, when it began

    async def connect(self, **options: Any) -> Connection:
        """A connection to the primary. Raises one of LOST, what the server said, or Misconfigured."""
        if missing := _missing_file(self._hosts[0]):
            raise Misconfigured(
                f"CHAT_DATABASE_URL names a file that does not exist: {missing}. Correct its path."
            )
        errors: list[Exception] = []
        for url in list(self._hosts):
            self._hosts.remove(url)
            self._hosts.append(url)  # whoever gives up on it begins with another the next time
            try:
                db = await asyncpg.connect(
                    url,
                    timeout=CONNECT,
                    command_timeout=STATEMENT,
                    target_session_attrs="primary",
                    server_settings=self._session,
                    **options,
                )
            except ssl.SSLCertVerificationError as error:
                raise self.refused(
                    f"is not trusted ({error.verify_message})",
                    "Name the certificate that vouches for it: "
                    "?sslmode=verify-full&sslrootcert=/PATH/TO/CA.pem",
                ) from error
            except ValueError as error:  # asyncpg.ClientConfigurationError is one, too
                raise Misconfigured(
                    "CHAT_DATABASE_URL cannot be understood. Write it as "
                    "postgresql://user:password@host:5432/database; special characters in the password "
                    "as in other URLs (%40 for @, %2F for /)."
                ) from error
            except (*LOST, asyncpg.PostgresError) as error:
                errors.append(error)
            else:
                self._hosts.remove(url)
                self._hosts.insert(0, url)
                return db
        raise errors[0]

    async def reader(self, **options: Any) -> Connection:
        """A connection that only reads, from a database that we know. Raises what `connect` does."""
        db = await self.connect(**options)
        try:
            await self._known(db)
        except BaseException:
            db.terminate()
            raise
        return db

    async def first(self, wait: float) -> Connection:
        """A connection to a server that suits us, its schema up to date. Raises Misconfigured."""
        with waiting(f"{self.place}, or for another process to let go of it", wait):
            return await self._first(time.monotonic() + wait)

    async def _first(self, deadline: float) -> Connection:
        while True:
            try:
                db = await self.prepared(MIGRATING)
                skeleton("")  # reads the table of look-alikes now rather than while others wait
                return db
            except Occupied:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(0.2)
            except LOST as error:
                if time.monotonic() >= deadline:
                    raise self.refused(
                        f"does not answer: {said(error)}", "Start it, or correct the address"
                    ) from error
                await asyncio.sleep(0.2)
            except asyncpg.PostgresError as error:
                raise self.refused(f"refuses us: {said(error)}", _mend(error)) from error

    async def prepared(self, wait: float = RECONNECT) -> Connection:
        """A connection that may write: it waits for nodes that prepare the database at the same time.

        Raises what `connect` does.
        """
        db = await self.connect()
        try:
            await self._check(db)
            async with asyncio.timeout(wait):
                await self._migrate(db, wait)
            await self._take_place(db)
        except BaseException:
            db.terminate()
            raise
        return db

    async def _take_place(self, db: Connection) -> None:
        """Hold, with this session, the lock that those who work alone have alone. Raises Occupied."""
        if self._alone is None:
            return
        if self._alone:  # our last session, if the server has not missed it yet
            await db.fetch(END_SESSION, *self._last)
        if not await db.fetchval(ALONE if self._alone else TOGETHER, PLACE):
            raise self._occupied()
        self._last = tuple(await db.fetchrow(THIS_SESSION))

    def _occupied(self) -> Occupied:
        if self._alone:
            return Occupied(
                f"CHAT_REDIS_URL is not set, and {self.place} is in use by another process. Several hear of "
                "each other over Redis: set CHAT_REDIS_URL to the same on each, or run one process only "
                "(workers = 0 in hypercorn.toml)."
            )
        return Occupied(
            f"CHAT_REDIS_URL is set here, but a process without it is using {self.place}. Set "
            "CHAT_REDIS_URL to the same on each, or stop that process."
        )

    async def _check(self, db: Connection) -> None:
        version = await db.fetchval("SELECT current_setting('server_version_num')::int / 10000")
        if version < OLDEST_SERVER:
            raise self.refused(f"is version {version}", f"Use {OLDEST_SERVER} or newer")
        encoding = await db.fetchval("SELECT current_setting('server_encoding')")
        if encoding != "UTF8":
            raise self.refused(
                f"keeps this database in {encoding}", "Create one with: createdb -T template0 -E UTF8 NAME"
            )

    async def _migrate(self, db: Connection, wait: float) -> None:
        """Bring the schema up to date; of nodes that come together, one does and the others wait."""
        history = await _history(db)
        await db.execute("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = 0")
        await db.fetch("SELECT pg_advisory_xact_lock($1)", PROGRAM, timeout=wait)
        known = await self._known(db)
        for schema, migration in pending(MIGRATIONS, known.schema):
            await db.execute(migration.script, timeout=wait)
            await db.execute(queries.SET_METADATA, SCHEMA, str(schema))
            await db.execute(queries.SET_METADATA, OLDEST, str(migration.oldest))
        if known.history != history:
            await db.execute(NEW_EPOCHS, new_epoch(), timeout=wait)
            await db.execute(queries.SET_METADATA, HISTORY, history)
        await db.execute("COMMIT")
        if known.schema and known.oldest < MIGRATIONS[-1].oldest:
            await db.execute(END_OTHERS)  # older programs, which will be refused

    async def _known(self, db: Connection) -> Known:
        """What the database says of itself. Raises Misconfigured."""
        tables = await db.fetchval(TABLES, OUR_TABLES)
        if not tables:
            return Known(0, 0, "")
        try:
            metadata = dict(await db.fetch(queries.ALL_METADATA))
            schema, oldest = int(metadata[SCHEMA]), int(metadata[OLDEST])
        except asyncpg.InsufficientPrivilegeError:
            raise
        except (asyncpg.SyntaxOrAccessError, KeyError, ValueError) as error:
            raise self.refused(
                "holds tables of another program", "Name another database; this one was left as it was"
            ) from error
        if oldest > len(MIGRATIONS):
            raise self.refused(*from_newer_release(MIGRATIONS, schema))
        if COPYING in metadata and self._session["application_name"] == NAME:
            raise self.refused(*UNFINISHED_COPY)
        return Known(schema, oldest, metadata.get(HISTORY, ""))

    async def durability(self, db: Connection) -> Durability:
        """What a commit of this session stands for; at least the disk, if the server's disk writes count."""
        names = ("fsync", "synchronous_commit", "synchronous_standby_names")
        fsync, commit, standbys = [await db.fetchval("SELECT current_setting($1)", name) for name in names]
        if commit == "off":
            await db.execute("SET synchronous_commit = on")
        if fsync != "on":
            log.warning("%s runs with fsync = off: a power failure may lose or destroy all", self.place)
            return "os"
        return "replicated" if standbys and commit in {"off", "on", "remote_apply"} else "fsync"

    def refused(self, why: str, mend: str) -> Misconfigured:
        return Misconfigured(f"CHAT_DATABASE_URL: {self.place} {why}. {mend}.")


async def _history(db: Connection) -> str:
    """Which history the server continues: another one after a fail-over or from a back-up, where the last
    writes may be missing and others have taken their revs."""
    try:
        return str(await db.fetchval(TIMELINE))
    except asyncpg.PostgresError:  # some that are hosted do not tell
        return "unknown"


TIMELINE = (  # of this database: a dump is restored into a new one
    "SELECT system_identifier || '.' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '.' || oid "
    "FROM pg_control_system(), pg_database WHERE datname = current_database()"
)
NEW_EPOCHS = "UPDATE room SET epoch = substr(md5(id || $1), 1, 8)"
OUR_TABLES = ["metadata", "room", "seat", "message", "idempotency_key"]
TABLES = "SELECT count(*) FROM unnest($1::text[]) AS known (name) WHERE to_regclass(name) IS NOT NULL"
# A lock of each schema, for the schemas of one database are different stores.
ALONE = "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))"
TOGETHER = "SELECT pg_try_advisory_lock_shared($1, hashtext(current_schema()))"
PROCESSES = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND granted AND classid = $1::bigint "
    "AND objid = hashtext(current_schema())::bigint & 4294967295"
)
THIS_SESSION = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
END_SESSION = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2"
END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND usename = current_user AND application_name = current_setting('application_name') "
    "AND pid <> pg_backend_pid()"
)


def _mend(error: Exception) -> str:
    match error:
        case asyncpg.InvalidCatalogNameError():
            return "Create the database (createdb), or name another"
        case asyncpg.InvalidAuthorizationSpecificationError():
            return "Check user and password, and the server's pg_hba.conf"
        case asyncpg.InsufficientPrivilegeError():
            return "Make the user the owner of the database, or grant it CREATE on the schema"
    return "Mend that, or name another database"


def said(error: BaseException) -> str:
    """An error in a few words, even if it has none of its own."""
    return str(error).strip().split("\n")[0] or (
        "no answer in time" if isinstance(error, TimeoutError) else "lost"
    )


def _place(url: str) -> str:
    """What may be shown of a URL: no user, no password."""
    address = url.partition("://")[2].partition("?")[0].rpartition("@")[2]
    return address if address and not address.startswith("/") else f"its socket{address}"


def _missing_file(url: str) -> str:
    """The first file of a certificate or a key that a URL names in vain."""
    asked = parse_qs(url.partition("?")[2])
    named = [path for name in ("sslrootcert", "sslcert", "sslkey") for path in asked.get(name, [])]
    return next((path for path in named if not Path(path).exists()), "")


def _hosts(url: str) -> list[str]:
    """The URL, once for each host: a dead first one must not use up the time of the others."""
    scheme, _, rest = url.partition("://")
    address, slash, path = rest.partition("/")
    user, at, hosts = address.rpartition("@")
    return [f"{scheme}://{user}{at}{host}{slash}{path}" for host in hosts.split(",")]
