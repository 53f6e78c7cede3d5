"""What goes wrong between this program and PostgreSQL, in words and in kinds."""

from __future__ import annotations

import asyncpg

CONNECTION_ERRORS = (
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
"""After one of these the connection is of no more use; the statement itself need not be wrong."""

NOT_DONE = (asyncpg.InterfaceError, asyncpg.OperatorInterventionError, asyncpg.ReadOnlySQLTransactionError)
"""Of these, those after which the statement was not carried out: not sent, or the server says so."""

RETRYABLE = (asyncpg.TransactionRollbackError, asyncpg.LockNotAvailableError)

FAILURES = (*CONNECTION_ERRORS, asyncpg.PostgresError)


def is_lost(error: Exception) -> bool:
    """Whether the connection is of no more use; a value that cannot be sent is none of these."""
    return isinstance(error, CONNECTION_ERRORS)


def describe(error: BaseException) -> str:
    """An error in a few words, even if it has none of its own."""
    return str(error).strip().split("\n")[0] or (
        "no answer in time" if isinstance(error, TimeoutError) else "lost"
    )


def explain(error: Exception) -> str:
    """What to do about a server that does not let us work."""
    match error:
        case asyncpg.InvalidCatalogNameError():
            return "Create the database (createdb), or name another"
        case asyncpg.InvalidAuthorizationSpecificationError():
            return "Check user and password, and the server's pg_hba.conf"
        case asyncpg.InsufficientPrivilegeError():
            return "Make the user the owner of the database, or grant it CREATE on the schema"
    return "Fix that, or name another database"
