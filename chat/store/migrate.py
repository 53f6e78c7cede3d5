"""The scripts by which a database of either kind comes to the schema of this release."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

OLDEST = re.compile(r"-- oldest: (\d+)\n")


class Migration(NamedTuple):
    """The n-th leads to schema n.

    Programs that know only schemas before `oldest` cannot work with it: from then on they refuse.
    """

    script: str
    oldest: int


class Refusal(NamedTuple):
    """What is wrong with a database, and what to do about it."""

    why: str
    what_to_do: str


UNFINISHED_COPY = Refusal(
    "holds an unfinished copy of another store",
    "Run the same move-store or import again until it says that all is well",
)


def migrations_in(folder: Path) -> tuple[Migration, ...]:
    """Those of the files 001.sql, 002.sql and so on, each of which begins with a line "-- oldest: N"."""
    files = sorted(folder.glob("*.sql"))
    if [file.stem for file in files] != [f"{number:03}" for number in range(1, len(files) + 1)]:
        raise ValueError(f"The migrations in {folder} are not numbered one by one.")
    return tuple(_migration(file.read_text("utf-8")) for file in files)


def _migration(script: str) -> Migration:
    oldest = OLDEST.match(script)
    if oldest is None:
        raise ValueError(f"This migration does not say which programs can work with it: {script[:60]}")
    return Migration(script, int(oldest[1]))


def pending(migrations: Sequence[Migration], schema: int) -> list[tuple[int, Migration]]:
    """What a database of this schema lacks, with the schema that each leads to."""
    return list(enumerate(migrations[schema:], schema + 1))


def from_newer_release(migrations: Sequence[Migration], schema: int) -> Refusal:
    """Of a database that this release cannot work with: it would spoil what it does not know."""
    return Refusal(
        f"was brought to schema {schema} by a newer release (this one knows {len(migrations)})",
        "Install that release again, or restore a back-up",
    )
