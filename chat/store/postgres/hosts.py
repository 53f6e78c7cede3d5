"""The hosts that a URL names, and a connection to the one that is the primary."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import asyncpg

from chat.settings import Misconfigured
from chat.store.postgres.errors import FAILURES

CONNECT = 5.0  # s, for each host
STATEMENT = 10.0  # s
LOCK_WAIT = 4.0  # s, for the row of a room
STALLED = 5.0  # s: a node that stops amid a write gives back its rooms
NAME = "room-chat"  # by which our nodes' sessions are known in pg_stat_activity

SESSION = {
    "application_name": NAME,
    # A statement sees what was committed while the one before it waited for a lock.
    "default_transaction_isolation": "read committed",
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

Connection = Any


class Hosts:
    """The server, or the several of which one is the primary, that a URL names."""

    def __init__(self, url: str, name: str = NAME) -> None:
        self.place = f"PostgreSQL at {_place(url)}"
        self.name = name
        self.urls = _urls(url)

    async def connect(self, **options: Any) -> Connection:
        """A connection to the primary. Raises one of FAILURES, or Misconfigured."""
        if missing := _missing_file(self.urls[0]):
            raise Misconfigured(
                f"CHAT_DATABASE_URL names a file that does not exist: {missing}. Correct its path."
            )
        errors: list[Exception] = []
        for url in list(self.urls):
            self.urls.remove(url)
            self.urls.append(url)  # if the caller gives up on it, the next call begins with another
            try:
                db = await self._connect(url, **options)
            except FAILURES as error:
                errors.append(error)
            else:
                self.urls.remove(url)
                self.urls.insert(0, url)
                return db
        raise errors[0]

    async def _connect(self, url: str, **options: Any) -> Connection:
        try:
            return await asyncpg.connect(
                url,
                timeout=CONNECT,
                command_timeout=STATEMENT,
                max_cached_statement_lifetime=0,
                target_session_attrs="primary",
                server_settings=SESSION | {"application_name": self.name},
                **options,
            )
        except ssl.SSLCertVerificationError as error:
            raise self.refused(
                f"is not trusted ({error.verify_message})",
                "Name the certificate that vouches for it: ?sslmode=verify-full&sslrootcert=/PATH/TO/CA.pem",
            ) from error
        except ValueError as error:  # asyncpg.ClientConfigurationError is one, too
            raise Misconfigured(
                "CHAT_DATABASE_URL cannot be understood. Write it as "
                "postgresql://user:password@host:5432/database; special characters in the password "
                "as in other URLs (%40 for @, %2F for /)."
            ) from error

    def refused(self, why: str, what_to_do: str) -> Misconfigured:
        return Misconfigured(f"CHAT_DATABASE_URL: {self.place} {why}. {what_to_do}.")


def _place(url: str) -> str:
    """What may be shown of a URL: no user, no password."""
    address = url.partition("://")[2].partition("?")[0].rpartition("@")[2]
    return address if address and not address.startswith("/") else f"its socket{address}"


def _missing_file(url: str) -> str:
    """The first file of a certificate or a key that a URL names in vain."""
    asked = parse_qs(url.partition("?")[2])
    named = [path for name in ("sslrootcert", "sslcert", "sslkey") for path in asked.get(name, [])]
    return next((path for path in named if not Path(path).exists()), "")


def _urls(url: str) -> list[str]:
    """The URL, once for each host: a dead first one must not use up the time of the others."""
    scheme, _, rest = url.partition("://")
    address, slash, path = rest.partition("/")
    user, at, hosts = address.rpartition("@")
    return [f"{scheme}://{user}{at}{host}{slash}{path}" for host in hosts.split(",")]
