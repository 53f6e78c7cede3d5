"""An archive: a ZIP file of a manifest and, for each part of a store, a file of JSON lines."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from itertools import dropwhile, islice
from operator import itemgetter
from typing import IO, Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from chat.private import require_private
from chat.store.archive import copying
from chat.store.archive.checks import LineCheck, Numbers
from chat.store.archive.copying import OWN, NotCopied, Say, Source, describe
from chat.store.archive.parts import PARTS, ROOMS, Key, Line, Part

FORMAT = "room-chat archive"
VERSION = 1
MANIFEST = "manifest.json"
LONGEST_LINE = 2**20  # bytes; a text of 8 KiB takes at most 48 as JSON
LONGEST_MANIFEST = 2**20

DAMAGE = (BadZipFile, zlib.error, EOFError, RuntimeError, AttributeError, KeyError, TypeError, ValueError)


async def write(path: str, source: Source, say: Say) -> None:
    """Write an archive to a file that does not exist yet. Raises NotCopied."""
    try:
        with _new_file(path) as file, ZipFile(file, "w") as archive:
            await _write(archive, source, say)
    except FileExistsError as error:
        raise NotCopied(f"{path} exists already. Name another file; this one was left as it was.") from error
    except BlockingIOError as error:
        raise NotCopied(f"Another process is writing {path}. Wait for it, or name another file.") from error
    except OSError as error:
        raise NotCopied(
            f"{path} cannot be written: {describe(error)}. Name a place that this user may write to, "
            "with space left."
        ) from error


async def _write(archive: ZipFile, source: Source, say: Say) -> None:
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "metadata": await source.metadata(),
        "parts": {part.file: await _write_part(archive, part, source, say) for part in PARTS},
    }
    with archive.open(_entry(MANIFEST), "w") as member:
        member.write(json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n")


async def _write_part(archive: ZipFile, part: Part, source: Source, say: Say) -> dict[str, Any]:
    """What the manifest says of it."""
    total, lines, digest = await source.count(part), 0, hashlib.sha256()
    with archive.open(_entry(part.file), "w", force_zip64=True) as member:
        async for chunk in source.chunks(part):
            data = b"".join(chunk)
            digest.update(data)
            member.write(data)
            lines += len(chunk)
            say(f"{part.table}: {lines} of {total}")
    return {"lines": lines, "sha256": digest.hexdigest()}


def _entry(name: str) -> ZipInfo:
    """A file in the archive. It has no time: the same rooms make the same archive."""
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry


@contextmanager
def _new_file(path: str) -> Iterator[IO[bytes]]:
    """A private file that gets its name only once it is whole and on the disk."""
    if os.path.lexists(path):
        raise FileExistsError
    unfinished = f"{path}.unfinished"
    with open(_locked(unfinished), "r+b") as file:
        try:
            require_private(unfinished, "export")
            file.truncate()
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.link(unfinished, path)  # unlike a rename, it replaces nothing
        finally:
            os.unlink(unfinished)
    _sync_directory(path)


def _locked(path: str) -> int:
    """A file that is known by this name alone, new or left by a process that was killed."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(file)
            is_named = os.path.lexists(path) and os.path.samestat(found, os.lstat(path))
            if is_named and found.st_nlink == 1:
                return file
            if is_named:  # also by the name of a finished archive
                os.unlink(path)
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _sync_directory(path: str) -> None:
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _is_storable(value: Any) -> bool:
    """Whether it is a text that every database takes."""
    return isinstance(value, str) and "\0" not in value and value.encode(errors="replace").decode() == value


@contextmanager
def verified(path: str, say: Say) -> Iterator[Archive]:
    """The archive in a file: all of it was read and found to be whole. Raises NotCopied."""
    with ExitStack() as stack:
        try:
            archive = Archive(path, stack.enter_context(ZipFile(path)))
            archive.verify(say)
        except OSError as error:
            raise NotCopied(f"{path} cannot be read: {describe(error)}.") from error
        except DAMAGE as error:
            raise NotCopied(
                f"{path} is not an archive that `export` wrote, or it was changed since: {error}. "
                "Nothing was imported."
            ) from error
        yield archive


class Archive:
    """The parts of a store as an archive holds them."""

    def __init__(self, path: str, file: ZipFile) -> None:
        self.place = path
        self._file = file
        if any(entry.compress_type != ZIP_DEFLATED for entry in file.infolist()):
            raise ValueError("it is packed in another way")
        with file.open(MANIFEST) as member:
            manifest = member.read(LONGEST_MANIFEST + 1)
        if len(manifest) > LONGEST_MANIFEST:
            raise ValueError("its manifest is too long")
        self._identity = hashlib.sha256(manifest).hexdigest()
        self._manifest = json.loads(manifest)

    async def identity(self) -> str:
        return self._identity

    async def metadata(self) -> dict[str, str]:
        return dict(self._manifest["metadata"])

    async def count(self, part: Part) -> int:
        return int(self._manifest["parts"][part.file]["lines"])

    async def chunks(self, part: Part, after: Key | None = None) -> AsyncIterator[list[Line]]:
        lines = self._lines(part)
        if after is not None:
            lines = islice(dropwhile(lambda line: part.key_of(line) != after, lines), 1, None)
        while chunk := list(islice(lines, copying.CHUNK)):
            yield chunk

    def verify(self, say: Say) -> None:
        """Raises one of DAMAGE, and NotCopied."""
        self._check_manifest()
        for part in PARTS:
            found = self._measure(part)
            if found != self._manifest["parts"][part.file]:
                raise ValueError(f"{part.file} is not what the manifest says")
            say(f"{part.table}: {found['lines']} verified")

    def _check_manifest(self) -> None:
        if self._manifest["format"] != FORMAT:
            raise ValueError("its manifest is of another program")
        if self._manifest["version"] != VERSION:
            raise NotCopied(
                f"{self.place} is of version {self._manifest['version']}, and this release reads version "
                f"{VERSION}. Use the release that wrote it."
            )
        if sorted(self._file.namelist()) != sorted([MANIFEST, *(part.file for part in PARTS)]):
            raise ValueError("it has other files")
        metadata = self._manifest["metadata"]
        if OWN & metadata.keys() or not all(map(_is_storable, [*metadata, *metadata.values()])):
            raise ValueError("its metadata cannot be copied")

    def _measure(self, part: Part) -> dict[str, Any]:
        """What the manifest should say of a part, whose lines are looked at."""
        number, digest = 0, hashlib.sha256()
        known = {name: Numbers(map(other.key_of, self._lines(other))) for name, other in part.refers.items()}
        revs = Numbers(map(itemgetter("id", "rev"), map(json.loads, self._lines(ROOMS))))
        check = LineCheck(part, known, revs)
        for number, line in enumerate(self._lines(part), 1):
            digest.update(line)
            try:
                check.look(line)
            except ValueError as error:
                raise ValueError(f"{part.file}, line {number}: {error}") from error
        return {"lines": number, "sha256": digest.hexdigest()}

    def _lines(self, part: Part) -> Iterator[Line]:
        with self._file.open(part.file) as member:
            yield from iter(lambda: member.readline(LONGEST_LINE), b"")
