"""The SQLite file: whose it is, whether it is sound, and its schema."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Literal

from chat.logs import waiting
from chat.model.lookalikes import skeleton
from chat.private import require_private
from chat.settings import Misconfigured
from chat.store import queries
from chat.store.metadata import COPYING
from chat.store.migrate import UNFINISHED_COPY, from_newer_release, migrations_in, pending
from chat.store.sqlite.transaction import execute

MIGRATIONS = migrations_in(Path(__file__).with_name("migrations"))
CHECK_SIZE = 256 * 2**20  # bytes: a larger file takes too long to check at every start
PROGRAM = 0x63686174  # as in 001.sql
PRAGMAS = (
    "busy_timeout = 5000",
    "journal_mode = WAL",
    "synchronous = FULL",  # a commit is on the disk before anybody hears of it
    "foreign_keys = ON",
    "secure_delete = ON",  # deleted text is overwritten, not only unlinked
    "cache_size = -65536",
    "wal_autocheckpoint = 1000",
    "journal_size_limit = 67108864",
)


def require_place(path: str) -> None:
    if sqlite3.sqlite_version_info < (3, 40):
        raise Misconfigured(f"SQLite {sqlite3.sqlite_version} is too old: use a Python with 3.40 or newer.")
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        raise Misconfigured(
            f"CHAT_DATABASE_URL: the directory {parent} does not exist. Make it, or name another place."
        )
    if os.path.isdir(path):
        raise Misconfigured(f"CHAT_DATABASE_URL: {path} is a directory. Name a file in it.")


async def take_lock(path: str, wait: float) -> int:
    """The lock that says whose file this is; the kernel lets go of it even after kill -9."""
    lock = _opened_lock(path)
    deadline = time.monotonic() + wait
    try:
        with waiting(f"another server process to let go of {path}", wait):
            while not _locked(lock, path):
                if time.monotonic() >= deadline:
                    raise Misconfigured(
                        f"CHAT_DATABASE_URL: {path} is in use by another server process. One SQLite file "
                        "serves one process: stop the other, set workers = 0 in hypercorn.toml, or give this "
                        "one a database of its own."
                    )
                await asyncio.sleep(0.05)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _opened_lock(path: str) -> int:
    try:
        return os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error


def _locked(lock: int, path: str) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _unusable(path, error) from error
    return True


def _unusable(path: str, error: Exception) -> Misconfigured:
    return Misconfigured(
        f"CHAT_DATABASE_URL: {path} cannot be used: {error}. Check that the file and its directory belong "
        "to the server's user and that the disk is a local one with space left."
    )


def opened(path: str, copying: bool = False) -> sqlite3.Connection:
    """The writer's connection to a file that is checked and up to date."""
    try:
        for file in (path, f"{path}-wal", f"{path}-shm"):
            require_private(file, "CHAT_DATABASE_URL")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        # Only read until it is known to be sound and ours: closing a writing connection changes the file.
        with closing(connected(path, "ro")) as db:
            _check(db, path)
        db = _prepared(connected(path, "rw"))
        if not copying and execute(db, queries.METADATA, COPYING).fetchone():
            db.close()
            raise Misconfigured("CHAT_DATABASE_URL: {} {}. {}.".format(path, *UNFINISHED_COPY))
        return db
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error


def pages_used(db: sqlite3.Connection) -> int:
    """Bytes of the pages that hold something."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def connected(path: str, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{Path(path).as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,  # each is used by one thread, and closed by another
        timeout=5.0,
    )
    db.execute("PRAGMA temp_store = MEMORY")
    if mode == "ro":
        db.execute("PRAGMA query_only = ON")
    return db


def _check(db: sqlite3.Connection, path: str) -> None:
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (program,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        small = os.path.getsize(path) <= CHECK_SIZE
        sound = not small or db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise _refused(path, "is not a SQLite database. Name another file") from error
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        sound, version, program, tables = False, 0, PROGRAM, 0
    if not sound:
        raise _refused(path, "is damaged. Restore a back-up, or name another file to begin anew")
    if version > len(MIGRATIONS):
        raise _refused(path, "{}. {}".format(*from_newer_release(MIGRATIONS, version)))
    if tables and program != PROGRAM:
        raise _refused(path, "belongs to another program. Name another file")


def _refused(path: str, why: str) -> Misconfigured:
    return Misconfigured(f"CHAT_DATABASE_URL: {path} {why}; this one was left as it was.")


def _prepared(db: sqlite3.Connection) -> sqlite3.Connection:
    try:
        for setting in PRAGMAS:
            db.execute(f"PRAGMA {setting}").fetchall()
        if db.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            raise sqlite3.OperationalError("this file system cannot hold a write-ahead log")
        _migrate(db)
        skeleton("")  # reads the table of look-alikes now rather than while others wait
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for schema, migration in pending(MIGRATIONS, version):
        db.executescript(f"BEGIN IMMEDIATE;\n{migration.script}\nPRAGMA user_version = {schema};\nCOMMIT;")
