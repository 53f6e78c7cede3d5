"""The tables of a PostgreSQL database: whose they are, of which release, and their migration."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import asyncpg

from chat.model.rooms import new_epoch
from chat.store import queries
from chat.store.metadata import COPYING, HISTORY
from chat.store.migrate import UNFINISHED_COPY, from_newer_release, migrations_in, pending
from chat.store.postgres.hosts import NAME, Connection, Hosts

OLDEST_SERVER = 14
MIGRATING = 3600.0  # s
PROGRAM = 0x63686174  # "chat": the lock under which a schema is changed
MIGRATIONS = migrations_in(Path(__file__).with_name("migrations"))
SCHEMA, OLDEST = "schema", "oldest"  # metadata: what the database was brought to, and who can work with it

OUR_TABLES = ["metadata", "room", "seat", "read_position", "message", "posting", "version", "idempotency_key"]
# to_regclass would go on saying that there is none, if another node makes them while we wait for the lock.
TABLES = "SELECT count(*) FROM pg_class WHERE relname = ANY($1::text[]) AND pg_table_is_visible(oid)"
TIMELINE = (  # of this database: a dump is restored into a new one
    "SELECT system_identifier || '.' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '.' || oid "
    "FROM pg_control_system(), pg_database WHERE datname = current_database()"
)
NEW_EPOCHS = "UPDATE room SET epoch = substr(md5(id || $1), 1, 8)"
END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND usename = current_user AND application_name = current_setting('application_name') "
    "AND pid <> pg_backend_pid()"
)


class Known(NamedTuple):
    """What a database says of itself."""

    schema: int
    oldest: int
    history: str


async def check_server(hosts: Hosts, db: Connection) -> None:
    """Raises Misconfigured."""
    version = await db.fetchval("SELECT current_setting('server_version_num')::int / 10000")
    if version < OLDEST_SERVER:
        raise hosts.refused(f"is version {version}", f"Use {OLDEST_SERVER} or newer")
    encoding = await db.fetchval("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise hosts.refused(
            f"keeps this database in {encoding}", "Create one with: createdb -T template0 -E UTF8 NAME"
        )


async def migrate(hosts: Hosts, db: Connection, wait: float) -> None:
    """Bring the schema up to date; of nodes that come together, one does and the others wait.

    If there is nothing to do, nobody is waited for: a session that a dead node left may have the lock.
    """
    history = await _history(db)
    known = await check_tables(hosts, db)
    if known.history == history and not pending(MIGRATIONS, known.schema):
        return
    await db.execute("BEGIN; SET LOCAL lock_timeout = 0")
    await db.fetch("SELECT pg_advisory_xact_lock($1)", PROGRAM, timeout=wait)
    known = await check_tables(hosts, db)
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


async def check_tables(hosts: Hosts, db: Connection) -> Known:
    """What the database says of itself. Raises Misconfigured if it is not for this program to use."""
    tables = await db.fetchval(TABLES, OUR_TABLES)
    if not tables:
        return Known(0, 0, "")
    try:
        metadata = dict(await db.fetch(queries.ALL_METADATA))
        schema, oldest = int(metadata[SCHEMA]), int(metadata[OLDEST])
    except asyncpg.InsufficientPrivilegeError:
        raise
    except (asyncpg.SyntaxOrAccessError, KeyError, ValueError) as error:
        raise hosts.refused(
            "holds tables of another program", "Name another database; this one was left as it was"
        ) from error
    if oldest > len(MIGRATIONS):
        raise hosts.refused(*from_newer_release(MIGRATIONS, schema))
    if COPYING in metadata and hosts.name == NAME:
        raise hosts.refused(*UNFINISHED_COPY)
    return Known(schema, oldest, metadata.get(HISTORY, ""))


async def _history(db: Connection) -> str:
    """Which history the server continues: another one after a fail-over or from a back-up, where the last
    writes may be missing and others have taken their revs."""
    try:
        return str(await db.fetchval(TIMELINE))
    except asyncpg.PostgresError:  # some that are hosted do not tell
        return "unknown"
