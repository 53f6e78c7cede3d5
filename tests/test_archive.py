"""`export` and `import`: everything arrives, the same bytes come back, nothing that was changed is taken."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import calls
import pytest
from copies import CODES, OTHER, ROOM, Place, after, change, contents, empty_places, fill, opened
from faults import Proxy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres import the_server
from test_records import kinds, metas, put, words

from chat.model.drafts import Note
from chat.model.messages import Edit
from chat.model.meta import with_meta
from chat.settings import Misconfigured
from chat.store import NO_ROOM, Store, archive, drafts, store_for
from chat.store.archive import copying
from chat.store.archive.checks import CHUNK_BYTES, LineCheck, Numbers
from chat.store.archive.copying import NotCopied
from chat.store.archive.file import MANIFEST, verified
from chat.store.archive.parts import (
    DRAFTS,
    KEYS,
    MEMBERS,
    MESSAGES,
    PARTS,
    POSITIONS,
    ROOMS,
    TYPES,
    VERSIONS,
    Part,
    dump_row,
)
from chat.store.drafts import KEPT
from chat.store.postgres import exclusive as postgres_exclusive
from chat.store.postgres import hosts
from chat.store.postgres.store import PostgresStore
from chat.store.sqlite.store import SQLiteStore
from chat.store.transaction import Rows, Transaction

REPO = Path(__file__).parents[1]


def quiet(line: str) -> None: ...


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Place]:
    return empty_places(tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, places: dict[str, Place]) -> str:
    return places[request.param]()


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"{tmp_path}/chat.zip"


@pytest.fixture
async def small(places: dict[str, Place], file: str) -> str:
    """An archive of few messages."""
    source = places["sqlite"]()
    await fill(source, messages=3)
    await archive.export(source, file, quiet)
    return file


def elsewhere(work: Coroutine[Any, Any, None]) -> None:
    """Do it in another thread, and wait for it."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def lines(file: str, part: Part) -> list[dict[str, Any]]:
    with zipfile.ZipFile(file) as whole:
        return [json.loads(line) for line in whole.read(part.file).splitlines()]


def manifest(file: str) -> Any:
    with zipfile.ZipFile(file) as whole:
        return json.loads(whole.read(MANIFEST))


def remade(file: str, changes: Mapping[str, Callable[[bytes], bytes]]) -> str:
    """Another archive with some of its files changed, and a manifest that goes with them."""
    with zipfile.ZipFile(file) as whole:
        files = {name: changes.get(name, bytes)(whole.read(name)) for name in whole.namelist()}
    if MANIFEST not in changes:
        told = json.loads(files[MANIFEST])
        for name, known in told["parts"].items():
            known |= {"lines": files[name].count(b"\n"), "sha256": sha256(files[name]).hexdigest()}
        files[MANIFEST] = json.dumps(told).encode()
    other = f"{file}.other.zip"
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as whole:
        for name, data in files.items():
            whole.writestr(name, data)
    return other


# What comes back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_everything_arrives(url: str, kind: str, places: dict[str, Place], file: str) -> None:
    await fill(url)
    before = await contents(url)
    said: list[str] = []
    await archive.export(url, file, said.append)
    assert said[-1].startswith("All is well")
    target = places[kind]()
    await archive.import_archive(file, target, said.append)
    assert "message: 123 verified" in said
    assert "message: 123 checked, of 2 rooms" in said
    assert said[-1].startswith("All is well")
    assert await contents(target) == before == await contents(url)


async def test_life_goes_on_after_it(url: str, places: dict[str, Place], file: str) -> None:
    source = places["sqlite"]()
    await fill(source)
    await archive.export(source, file, quiet)
    await archive.import_archive(file, url, quiet)
    async with opened(url) as store:
        head = (await calls.history(store, ROOM)).position
        done = await store.append(ROOM, 1, "new", "hello")
        assert (done.position.rev, done.duplicate) == (head.rev + 1, False)
        await calls.open_room(store, "NEWRM222")
        assert (await calls.take_seat(store, "NEWRM222", "person-9", "Zoe")).number == 1


said = st.lists(
    st.tuples(kinds, metas, st.none() | words, st.sampled_from([None, 1])).filter(
        lambda said: said[0] != "text" or said[3]  # nobody writes no text
    ),
    max_size=8,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=said, names=st.lists(words.filter(lambda name: "\0" not in name), max_size=4, unique=True))
def test_an_archive_of_an_imported_archive_is_the_same(
    said: list[Any], names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("round")
    asyncio.run(_round_trip(folder, said, names))


async def _round_trip(folder: Path, said: list[Any], names: list[str]) -> None:
    url = f"sqlite:///{folder}/chat.db"
    async with opened(url) as store:
        for code in CODES:
            await calls.open_room(store, code)
            for n, name in enumerate(["Ann", *names]):
                await calls.take_seat(store, code, f"person {n}", name)
        for kind, meta, body, author in said:
            await store.write(ROOM, put, ROOM, kind, meta, body, author)
        edited = (await store.append(OTHER, 1, "a key", "hello")).message.id
        for text in filter(None, (body for _, _, body, _ in said)):
            await calls.amend(store, OTHER, edited, Edit(text))
    back = the_server().database()
    one, other = f"{folder}/one.zip", f"{folder}/other.zip"
    await archive.export(url, one, quiet)
    await archive.import_archive(one, back, quiet)
    await archive.export(back, other, quiet)
    assert Path(one).read_bytes() == Path(other).read_bytes()
    found = lines(one, MESSAGES)[: len(said)]
    assert [(m["kind"], m["body"], m["meta"], m["author"]) for m in found] == [
        (kind, body, meta, author) for kind, meta, body, author in said
    ]


async def test_what_this_release_does_not_know_is_kept(url: str, places: dict[str, Place], file: str) -> None:
    strange = {"poll": {"votes": [1, 2.5, None, "\0"], "b": {"a": True}}, "a": 1}
    async with opened(url) as store:
        await calls.open_room(store, ROOM)
        await calls.take_seat(store, ROOM, "person", "Ann")
        await store.write(ROOM, put, ROOM, "poll", strange, "a\0b\x1a", 1)
    meta = json.dumps(strange).replace("'", "''")
    for table in ("room", "seat"):
        change(url, f"UPDATE {table} SET meta = '{meta}'")
    await archive.export(url, file, quiet)
    assert [lines(file, part)[0]["meta"] for part in (ROOMS, MEMBERS, MESSAGES)] == [strange] * 3
    target = places["postgres"]()
    await archive.import_archive(file, target, quiet)
    async with opened(target) as store:
        message = await store.read(calls.find_message, ROOM, 1)
        room = await calls.find_room(store, ROOM)
    assert (message.kind, message.body, message.meta) == ("poll", "a\0b\x1a", with_meta(strange))
    assert room
    assert room.meta == with_meta(strange)


# One room ----------------------------------------------------------------------------------------------


async def test_a_room_alone(url: str, places: dict[str, Place], file: str) -> None:
    await fill(url, messages=10)
    await archive.export(url, file, quiet, OTHER.lower())
    assert [room["code"] for room in lines(file, ROOMS)] == [OTHER]
    assert {line["room"] for part in PARTS[1:] for line in lines(file, part)} == {2}
    assert lines(file, DRAFTS) == [], "for somebody else, perhaps"
    assert manifest(file)["metadata"] == {}
    target = places["sqlite"]()
    await archive.import_archive(file, target, quiet)
    async with opened(url) as one, opened(target) as other:
        assert await calls.history(other, OTHER) == await calls.history(one, OTHER)
        assert await calls.find_room(other, ROOM) is None


@pytest.mark.parametrize("code", ["44444444", "no code", ""])
async def test_a_room_that_does_not_exist(code: str, url: str, file: str) -> None:
    await fill(url, messages=1)
    with pytest.raises(NotCopied, match="has no room"):
        await archive.export(url, file, quiet, code)
    assert not os.path.exists(file)


# Files -------------------------------------------------------------------------------------------------


async def test_an_archive_is_private_and_alone(small: str) -> None:
    assert stat.S_IMODE(os.stat(small).st_mode) == 0o600
    assert not [name for name in os.listdir(os.path.dirname(small)) if "unfinished" in name]


async def test_an_archive_is_never_overwritten(small: str, places: dict[str, Place]) -> None:
    before = Path(small).read_bytes()
    source = places["sqlite"]()
    await fill(source, messages=1)
    with pytest.raises(NotCopied, match="exists already"):
        await archive.export(source, small, quiet)

    def made(line: str) -> None:
        Path(f"{small}.new").touch()

    with pytest.raises(NotCopied, match="exists already"):
        await archive.export(source, f"{small}.new", made)
    assert Path(small).read_bytes() == before
    assert Path(f"{small}.new").read_bytes() == b""


async def test_two_exports_to_one_file(places: dict[str, Place], file: str) -> None:
    source, other = places["sqlite"](), places["sqlite"]()
    await fill(source, messages=1)
    await fill(other, messages=1)
    refusals: list[str] = []

    def say(line: str) -> None:
        with pytest.raises(NotCopied) as refused:
            elsewhere(archive.export(other, file, quiet))
        refusals.append(str(refused.value))

    await archive.export(source, file, say)
    assert "Another process is writing" in refusals[0]
    assert "exists already" in refusals[-1]
    assert len(lines(file, MESSAGES)) == 5


async def test_an_archive_that_was_finished_but_not_cleaned_up_after_is_left_alone(
    small: str, places: dict[str, Place], file: str
) -> None:
    """By a process that was killed between giving it its name and taking away the other one."""
    before = Path(small).read_bytes()
    other = f"{file}.other"
    os.link(small, f"{other}.unfinished")
    source = places["sqlite"]()
    await fill(source, messages=1)
    await archive.export(source, other, quiet)
    assert Path(small).read_bytes() == before
    assert len(lines(other, MESSAGES)) == 5
    assert not os.path.exists(f"{other}.unfinished")


async def test_an_export_that_was_quicker_is_left_alone(
    small: str, places: dict[str, Place], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets its name, and lets go of the lock, while another one is about to take that."""
    before = Path(small).read_bytes()
    other = f"{file}.other"
    unfinished = f"{other}.unfinished"
    os.link(small, unfinished)
    flock = fcntl.flock

    def is_slow(target: Any, operation: int) -> None:
        if not os.path.exists(other) and os.path.samestat(os.fstat(target), os.stat(unfinished)):
            os.rename(unfinished, other)
        flock(target, operation)

    source = places["sqlite"]()
    await fill(source, messages=1)
    monkeypatch.setattr("chat.store.archive.file.fcntl.flock", is_slow)
    with pytest.raises(NotCopied, match="exists already"):
        await archive.export(source, other, quiet)
    assert Path(small).read_bytes() == Path(other).read_bytes() == before
    assert not os.path.exists(unfinished)


async def test_a_place_that_cannot_be_written_to(places: dict[str, Place], tmp_path: Path) -> None:
    source = places["sqlite"]()
    await fill(source, messages=1)
    with pytest.raises(NotCopied, match="cannot be written: No such file or directory"):
        await archive.export(source, f"{tmp_path}/none/chat.zip", quiet)


@pytest.fixture
async def much(places: dict[str, Place]) -> str:
    """A store of 800 KB."""
    source = places["sqlite"]()
    async with opened(source) as store:
        await calls.open_room(store, ROOM)
        await calls.take_seat(store, ROOM, "person", "Ann")
        for n in range(100):
            await store.append(ROOM, 1, f"{n}", os.urandom(4000).hex())
    return source


async def ran_on_a_small_disk(*words: str) -> subprocess.CompletedProcess[str]:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # an empty store fits

    return await ran(*words, first=limited)


async def test_a_disk_that_is_full_leaves_nothing(much: str, file: str) -> None:
    done = await ran_on_a_small_disk("export", much, file)
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert sorted(os.listdir(os.path.dirname(file))) == ["0.db", "0.db.lock"]


async def test_an_import_goes_on_when_the_disk_has_space_again(
    much: str, file: str, places: dict[str, Place]
) -> None:
    await archive.export(much, file, quiet)
    target = places["sqlite"]()
    done = await ran_on_a_small_disk("import", file, target)
    assert done.returncode == 1
    assert "Interrupted: disk I/O error. Run the same command again" in done.stderr
    await archive.import_archive(file, target, quiet)
    await archive.export(target, f"{file}.again", quiet)
    assert Path(f"{file}.again").read_bytes() == Path(file).read_bytes()


# What is refused ---------------------------------------------------------------------------------------


async def refuses(file: str, places: dict[str, Place], match: str) -> None:
    target = places["sqlite"]()
    with pytest.raises(NotCopied, match=match):
        await archive.import_archive(file, target, quiet)
    assert not os.path.exists(target.removeprefix("sqlite:///"))


async def test_a_truncated_archive(small: str, tmp_path: Path) -> None:
    whole = Path(small).read_bytes()
    short = tmp_path / "short.zip"
    for length in range(len(whole)):
        short.write_bytes(whole[:length])
        with pytest.raises(NotCopied, match="is not an archive"), verified(str(short), quiet):
            pass


async def test_an_altered_archive(small: str, tmp_path: Path) -> None:
    """A byte of each place is changed: what is not refused says the same."""
    whole = Path(small).read_bytes()
    altered = tmp_path / "altered.zip"
    refused = 0
    for place in range(len(whole)):
        altered.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        try:
            with verified(str(altered), quiet):
                assert [lines(str(altered), part) for part in PARTS] == [lines(small, part) for part in PARTS]
        except NotCopied:
            refused += 1
    with zipfile.ZipFile(small) as archived:
        assert refused >= sum(entry.compress_size for entry in archived.infolist())


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x05\x06" + bytes(18)])
async def test_a_file_of_something_else(content: bytes, file: str, places: dict[str, Place]) -> None:
    Path(file).write_bytes(content)
    await refuses(file, places, "is not an archive")


async def test_no_file(file: str, places: dict[str, Place]) -> None:
    await refuses(file, places, "cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (b'"version": 1', b'"version": 2', "is of version 2, and this release reads version 1"),
        (b'"room-chat archive"', b'"mine"', "another program"),
        (b'"key": "fingerprint"', b'"key": 1', "metadata"),
        (b'"key": "fingerprint"', b'"schema": "9"', "metadata"),
        (b'"key": "fingerprint"', b'"key": "\\ud800"', "metadata"),
        (b'"key": "fingerprint"', b'"k\\u0000": ""', "metadata"),
        (b'"lines": 3', b'"lines": 4', "not what the manifest says"),
        (b'"sha256": "', b'"sha256": "0', "not what the manifest says"),
        (b"{", b"[", "is not an archive"),
        (b'"metadata": {', b'"metadata": [{', "is not an archive"),
    ],
)
async def test_another_manifest(
    old: bytes, new: bytes, match: str, small: str, places: dict[str, Place]
) -> None:
    def changed(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    await refuses(remade(small, {MANIFEST: changed}), places, match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda data: data.replace(b'"kind":"text"', b'"kind":null', 1), "line 3: kind is not of type text"),
        (lambda data: data.replace(b'"id":6', b'"id":true', 1), "line 3: id is not of type int"),
        (lambda data: data.replace(b'"id":6', b'"id":9223372036854775808', 1), "id is not of type int"),
        (lambda data: data.replace(b'"at":', b'"when":', 1), "line 1: the fields are not room, id, rev, at"),
        (lambda data: data.replace(b'"id":6', b'"id": 3', 1), "line 3: it is written in another way"),
        (lambda data: data.replace(b'"kind":"text"', b'"kind":"\\ud800"', 1), "line 3: "),
        (lambda data: b"".join(reversed(data.splitlines(keepends=True))), "line 2: it is not in order"),
        (lambda data: data + data.splitlines(keepends=True)[-1], "it is not in order"),
        (lambda data: data + b"[1]\n", "the fields are not"),
        (lambda data: data[:-1], "it is written in another way"),
        (lambda data: data + b'"' + b"x" * 2**21 + b'"\n', "line 10"),
        (lambda data: data + b"[" * 100_000 + b"\n", "is not an archive"),
    ],
)  # fmt: skip
async def test_lines_that_no_export_writes(
    change: Callable[[bytes], bytes], match: str, small: str, places: dict[str, Place]
) -> None:
    await refuses(remade(small, {MESSAGES.file: change}), places, match)


def added(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """With another line at the end: the last one, changed."""
    return lambda data: data + data.splitlines(keepends=True)[-1].replace(old, new)


@pytest.mark.parametrize(
    ("part", "change", "match"),
    [
        (MEMBERS, added(b'"room":2', b'"room":9'), "members.jsonl, line 9: there is no room 9"),
        (MESSAGES, added(b'"room":2', b'"room":9'), "messages.jsonl, line 10: there is no room 9"),
        (KEYS, added(b'"room":2', b'"room":9'), "keys.jsonl, line 7: there is no room 9"),
        (ROOMS, lambda data: data.replace(b'"id":2', b'"id":4').replace(b'"id":3', b'"id":5'),
         "members.jsonl, line 5: there is no room 2"),
        (ROOMS, lambda data: b"", "members.jsonl, line 1: there is no room 1"),
        (MEMBERS, lambda data: data.replace(b'"number":1', b'"number":0', 1),
         "messages.jsonl, line 3: there is no author 1"),
        (MESSAGES, lambda data: data.replace(b'"author":1', b'"author":0', 1),
         "messages.jsonl, line 3: there is no author 0"),
        (MESSAGES, lambda data: data.replace(b'"author":3', b'"author":9223372036854775807'),
         "messages.jsonl, line 5: there is no author 9223372036854775807"),
        (ROOMS, lambda data: data.replace(b'"rev":8', b'"rev":6'),
         "messages.jsonl, line 4: the room has not come to rev 7"),
        (MESSAGES, lambda data: data.replace(b'"author":1', b'"author":null', 1),
         "messages.jsonl, line 3: it is of nobody"),
        (ROOMS, lambda data: data.replace(b'"rev":8', b'"rev":9223372036854775807'),
         "rooms.jsonl, line 1: no room comes to rev 9223372036854775807"),
        (MESSAGES, lambda data: re.sub(rb'"at":\d+', b'"at":253402300800000', data, count=1),
         "messages.jsonl, line 1: it is of no time"),
        (KEYS, lambda data: data.replace(b'"message":8', b'"message":9', 1),
         "keys.jsonl, line 3: there is no message 9"),
        (MESSAGES, lambda data: data.replace(b'"rev":7', b'"rev":3', 1),
         "messages.jsonl, line 4: id is higher than rev 3"),
        (VERSIONS, lambda data: data + b'{"room":1,"message":99,"rev":1,"at":1,"body":"x"}\n',
         "earlier-texts.jsonl, line 1: there is no message 99"),
        (VERSIONS, lambda data: data + b'{"room":1,"message":6,"rev":99,"at":1,"body":"x"}\n',
         "earlier-texts.jsonl, line 1: the room has not come to rev 99"),
        (POSITIONS, added(b'"seat":4', b'"seat":9'), "read-positions.jsonl, line 9: there is no seat 9"),
        (POSITIONS, lambda data: data.replace(b'"rev":', b'"rev":9', 1),
         "read-positions.jsonl, line 1: the room has not come to rev 90"),
        (DRAFTS, added(b'"seat":3', b'"seat":9'), "drafts.jsonl, line 9: there is no seat 9"),
        (DRAFTS, lambda data: data.replace(b"x" * 8192, b"x" * 8193, 1),
         "drafts.jsonl, line 3: its body cannot be kept"),
        (DRAFTS, lambda data: data.replace(b'"hello"', b'""', 1),
         "drafts.jsonl, line 1: its body cannot be kept"),
        (DRAFTS, lambda data: data.replace(b'"page-0"', b'"page 0"', 1),
         "drafts.jsonl, line 1: its page cannot be one"),
        (DRAFTS, lambda data: re.sub(rb'"version":\d+', b'"version":9007199254740993', data, count=1),
         "drafts.jsonl, line 1: its version is none"),
        (DRAFTS, lambda data: b"".join(data.splitlines(keepends=True)[0].replace(b"page-0", b"page-%d" % n)
                                       for n in range(100, 201)),
         "drafts.jsonl, line 101: its seat has too many"),
        (MEMBERS, lambda data: data.replace(b'"name":"Ian"', b'"name":"I\\u0000n"', 1),
         "members.jsonl, line 1: name has a NUL in it"),
        (MESSAGES, lambda data: re.sub(rb'"meta":{', b'"meta":{"mentions":[NaN],', data, count=1),
         "messages.jsonl, line .*: NaN is no JSON"),
    ],
)  # fmt: skip
async def test_lines_that_refer_to_nothing_or_that_a_database_cannot_keep(
    part: Part, change: Callable[[bytes], bytes], match: str, url: str, small: str
) -> None:
    """Not every database looks for all of this itself."""
    with pytest.raises(NotCopied, match=f"{match}. Nothing was imported"):
        await archive.import_archive(remade(small, {part.file: change}), url, quiet)
    await archive.import_archive(small, url, quiet)


async def test_a_seat_with_more_drafts_than_are_kept_is_imported_and_has_fewer_after_the_next(
    url: str, small: str
) -> None:
    """A release that keeps more may have written the archive."""

    def many(data: bytes) -> bytes:
        first = data.splitlines(keepends=True)[0]
        return b"".join(first.replace(b"page-0", b"page-%d" % n) for n in range(10, 40))

    await archive.import_archive(remade(small, {DRAFTS.file: many}), url, quiet)
    async with opened(url) as store:
        assert len((await store.read(drafts.drafts_of, ROOM, 1)).drafts) == 30
        await store.write(NO_ROOM, drafts.save, [Note(ROOM, 1, "another", "begun since")])
        assert len((await store.read(drafts.drafts_of, ROOM, 1)).drafts) == KEPT


@pytest.mark.parametrize(
    ("part", "change", "match"),
    [
        (ROOMS, lambda data: data.replace(b'"22222222"', b'"BCDFGHJK"'), "room, lines 1 to 3: "),
        (MEMBERS, lambda data: data.replace(b'"person-1"', b'"person-0"', 1), "seat, lines 1 to 8: "),
        (MESSAGES, lambda data: data.replace(b'"rev":6', b'"rev":7', 1), "message, lines 1 to 9: "),
    ],
)
async def test_what_may_be_there_only_once(
    part: Part, change: Callable[[bytes], bytes], match: str, url: str, small: str
) -> None:
    """It is found by the database, and to run the command again would be of no use."""
    file = remade(small, {part.file: change})
    for _ in range(2):
        with pytest.raises(NotCopied, match=f"{match}.* cannot keep what .*[uU][nN][iI][qQ].* start again.$"):
            await archive.import_archive(file, url, quiet)


async def test_an_archive_with_another_file(small: str, places: dict[str, Place]) -> None:
    with zipfile.ZipFile(small, "a", zipfile.ZIP_DEFLATED) as whole:
        whole.writestr("more.jsonl", "{}")
    await refuses(small, places, "it has other files")


async def test_a_manifest_that_is_far_longer_than_it_says(small: str) -> None:
    """The directory of a ZIP file may say anything: what is unpacked counts."""
    long = remade(small, {MANIFEST: lambda data: data + b" " * 2**26})
    with zipfile.ZipFile(long) as whole:
        size = whole.getinfo(MANIFEST).file_size.to_bytes(4, "little")
    data = Path(long).read_bytes()
    Path(long).write_bytes(data.replace(size, (100).to_bytes(4, "little")))
    tracemalloc.start()
    with pytest.raises(NotCopied, match="is not an archive"), verified(long, quiet):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_long_lines_are_refused_where_they_would_be_held_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "CHUNK", 3)
    known = {"room": Numbers(iter([(1,)])), "message": Numbers(iter([(1, 1)]))}

    def look_at(*lengths: int) -> None:
        check = LineCheck(KEYS, known, Numbers(iter([(1, 1)])))
        for n, length in enumerate(lengths):
            row = 1, 0, f"{n}" + "x" * (length - len(dump_row(KEYS, (1, 0, "0", 1, 1)))), 1, 1
            check.look(dump_row(KEYS, row))

    look_at(100, 100, CHUNK_BYTES - 200, 100, 100, CHUNK_BYTES - 200)
    with pytest.raises(ValueError, match="it and the 2 lines before it are too long together"):
        look_at(100, 100, 100, 100, 100, CHUNK_BYTES - 199)


async def test_an_archive_that_would_take_much_memory(small: str, places: dict[str, Place]) -> None:
    """Of 70 KB."""

    def longer(data: bytes) -> bytes:
        last = data.splitlines(keepends=True)[-1]
        numbered = (last.replace(b'7,"rev":7', b'%d,"rev":%d' % (n, n)) for n in range(8, 80))
        return data + b"".join(numbered).replace(b'"body":"', b'"body":"' + b"x" * (2**20 - 500))

    def later(data: bytes) -> bytes:
        return data.replace(b'"rev":7', b'"rev":99')

    file = remade(small, {ROOMS.file: later, MESSAGES.file: longer})
    await refuses(file, places, "messages.jsonl, line 7[0-9]: it and the")


async def test_what_is_not_empty_or_in_use_is_left_alone(url: str, small: str) -> None:
    await fill(url, messages=3)
    before = await contents(url)
    with pytest.raises(NotCopied, match="is not empty"):
        await archive.import_archive(small, url, quiet)
    async with opened(url):
        with pytest.raises(Misconfigured, match=r"in use by .* [Ss]top "):
            await archive.import_archive(small, url, quiet)
        with pytest.raises(Misconfigured, match=r"in use by .* [Ss]top "):
            await archive.export(url, f"{small}.new", quiet)
    assert await contents(url) == before
    assert not os.path.exists(f"{small}.new")


async def test_no_server_starts_while_it_is_exported(url: str, file: str) -> None:
    await fill(url)
    refused: list[str] = []

    def say(line: str) -> None:
        if not os.path.exists(file):
            with pytest.raises(Misconfigured, match="process"):
                elsewhere(impatient(url).open())
            refused.append(line)

    await archive.export(url, file, say)
    assert len(refused) == len(PARTS)
    async with opened(url):
        pass


def impatient(url: str) -> Store:
    """The store of a server that does not wait for another process to let go of it."""
    if url.startswith("sqlite"):
        return SQLiteStore(url.removeprefix("sqlite:///"), lock_wait=0)
    return PostgresStore(url, wait=0)


# Interruptions -----------------------------------------------------------------------------------------


async def test_an_interrupted_import_goes_on(
    url: str, places: dict[str, Place], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "CHUNK", 20)
    source = places["sqlite"]()
    await fill(source)
    before = await contents(source)
    await archive.export(source, file, quiet)
    for number in itertools.count(len(PARTS) + 1):
        try:
            await archive.import_archive(file, url, after(number))
            break
        except NotCopied as error:
            reason = str(error)
        assert "Run the same command again" in reason
        with pytest.raises(Misconfigured, match="unfinished copy of another store"):
            await store_for(url).open()
        with pytest.raises(NotCopied, match="unfinished copy itself"):
            await archive.export(url, f"{file}.none", quiet)
    assert number > 10
    assert await contents(url) == before


async def test_an_interruption_without_words_is_named(small: str, places: dict[str, Place]) -> None:
    def say(line: str) -> None:
        if " of " in line:
            raise TimeoutError

    with pytest.raises(NotCopied, match="Interrupted: TimeoutError"):
        await archive.import_archive(small, places["sqlite"](), say)


async def test_a_database_that_is_silent_is_named(
    small: str, places: dict[str, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the file that cannot be written."""
    monkeypatch.setattr(hosts, "STATEMENT", 0.3)
    monkeypatch.setattr(postgres_exclusive, "CLOSE", 0.3)
    url = places["postgres"]()
    await archive.import_archive(small, url, quiet)
    async with Proxy(the_server().port) as proxy:
        with pytest.raises(NotCopied, match=r"Interrupted: the connection to .* was lost: no answer in time"):
            await archive.export(proxy.through(url), f"{small}.new", lambda line: proxy.black_hole())
    assert not os.path.exists(f"{small}.new")


async def test_another_archive_is_not_gone_on_with(url: str, small: str, places: dict[str, Place]) -> None:
    with pytest.raises(NotCopied):
        await archive.import_archive(small, url, after(len(PARTS) + 1))
    other = places["sqlite"]()
    await fill(other, messages=4)
    await archive.export(other, f"{small}.other", quiet)
    with pytest.raises(NotCopied, match="unfinished copy of another store"):
        await archive.import_archive(f"{small}.other", url, quiet)
    await archive.import_archive(small, url, quiet)


ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPO)}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "quart", "--app", "chat.app:create_app()", *words]


async def killed_at(line: bytes, *words: str) -> None:
    def run() -> None:
        with subprocess.Popen(command(*words), env=ENVIRONMENT, stdout=subprocess.PIPE) as child:
            assert child.stdout
            for said in child.stdout:
                if said.startswith(line):
                    child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL

    await asyncio.to_thread(run)


async def ran(*words: str, first: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run, command(*words), env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=first
    )


async def test_the_commands_survive_kill_9(places: dict[str, Place], file: str) -> None:
    source, target = places["sqlite"](), places["postgres"]()
    await fill(source, messages=3000)
    before = await contents(source)

    await killed_at(b"message: 4000", "export", source, file)
    assert not os.path.exists(file)
    again = await ran("export", source, file)
    assert (again.returncode, again.stderr) == (0, "")
    assert not os.path.exists(f"{file}.unfinished")

    await killed_at(b"message: 4000", "import", file, target)
    again = await ran("import", file, target)
    assert (again.returncode, again.stderr) == (0, "")
    assert "Going on with the copy" in again.stdout
    assert "message: 4000" not in again.stdout
    assert await contents(target) == before

    refused = await ran("import", file, target)
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
    assert (await ran("export", target, file, "--room", ROOM)).returncode == 1


# The format --------------------------------------------------------------------------------------------


async def test_memory_is_bounded(
    places: dict[str, Place], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "CHUNK", 100)
    source, target = places["sqlite"](), places["sqlite"]()
    async with opened(source) as store:
        await calls.open_room(store, ROOM)
        await calls.take_seat(store, ROOM, "person", "Ann")
        for start in range(0, 4000, 200):
            await asyncio.gather(*[store.append(ROOM, 1, f"{start + n}", "x" * 5000) for n in range(200)])
    tracemalloc.start()
    await archive.export(source, file, quiet)
    await archive.import_archive(file, target, quiet)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20  # the texts are 20


SQLITE_COLUMNS = (
    "SELECT t.name, columns.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS columns "
    "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
)
POSTGRES_COLUMNS = (
    "SELECT table_name::text, column_name::text FROM information_schema.columns "
    "JOIN information_schema.tables USING (table_schema, table_name) "
    "WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
)


async def test_no_table_and_no_column_is_left_out(url: str) -> None:
    """What a later migration adds has to be added to the parts, too."""

    async def columns(tx: Transaction) -> Rows:
        return await tx.fetch(SQLITE_COLUMNS if url.startswith("sqlite") else POSTGRES_COLUMNS)

    async with opened(url) as store:
        found = {(table, column) for table, column in await store.read(columns)}
    found -= {("metadata", "name"), ("metadata", "value")}  # in the manifest
    found -= {pair for pair in found if pair[0] == "posting"}  # made of the texts again
    found -= {("draft_text", "serial"), ("draft", "serial"), ("draft", "width"), ("draft", "size")}  # a place
    found = {("saved_draft" if table.startswith("draft") else table, column) for table, column in found}
    found -= {("room", "indexed")}
    if url.startswith("sqlite"):  # texts have a table of their own
        found -= {("text", "serial"), ("text", "body"), ("message", "serial")}
        found -= {("message", "text"), ("version", "text")}
        found |= {("message", "body"), ("version", "body")}
    assert found == {(part.table, column) for part in PARTS for column in part.fields}


def test_the_format_is_documented() -> None:
    page = (REPO / "docs/archive.md").read_text("utf-8")
    for part in PARTS:
        section = page.partition(f"## `{part.file}`")[2].partition("\n## ")[0]
        rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
        assert {row[0].strip("| `"): row[1].strip("| ") for row in rows} == part.fields
        assert set(part.fields.values()) <= TYPES.keys()


async def test_an_archive_has_a_manifest(small: str) -> None:
    found = manifest(small)
    assert (found["format"], found["version"]) == ("room-chat archive", 1)
    assert found["metadata"]["key"] == "fingerprint"
    with zipfile.ZipFile(small) as whole:
        assert whole.testzip() is None
        for part in PARTS:
            data = whole.read(part.file)
            assert found["parts"][part.file] == {
                "lines": data.count(b"\n"),
                "sha256": sha256(data).hexdigest(),
            }
