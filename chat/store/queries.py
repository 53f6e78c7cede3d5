"""The SQL that every database understands, its parameters written $1, $2, …

What a database has to say in its own way stands in its own module, under the same name.
"""

from __future__ import annotations

SHARDS = 32  # of the words of a segment, in the index
LARGEST = 2**63 - 1  # that an integer column holds

METADATA = "SELECT value FROM metadata WHERE name = $1"
ALL_METADATA = "SELECT name, value FROM metadata"
NEW_METADATA = "INSERT INTO metadata (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING"
SET_METADATA = (
    "INSERT INTO metadata (name, value) VALUES ($1, $2) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
FORGET_METADATA = "DELETE FROM metadata WHERE name = $1"

NEW_ROOM = (
    "INSERT INTO room (code, epoch, opened, expires, meta) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT DO NOTHING RETURNING code"
)
ROOM = "SELECT code, epoch, opened, meta FROM room WHERE code = $1"
SET_ROOM_META = "UPDATE room SET meta = $1 WHERE code = $2"
ANY_ROOM = "SELECT id FROM room LIMIT 1"
HEAD = "SELECT id, epoch, rev FROM room WHERE code = $1"
RISE = "UPDATE room SET rev = rev + 1 WHERE id = $1 RETURNING id, epoch, rev"
RISE_BY_TEXT = "UPDATE room SET rev = rev + 1, expires = NULL WHERE id = $1 RETURNING id, epoch, rev"

# A room in which nothing was said yet.
PROLONG = "UPDATE room SET expires = $1 WHERE id = $2 AND expires < $1"
EXPIRED = "SELECT id FROM room WHERE expires > 0 AND expires <= $1 ORDER BY expires LIMIT $2"
SPOKEN_IN = "SELECT 1 FROM message WHERE room = $1 AND author IS NOT NULL LIMIT 1"
KEEP_ROOM = "UPDATE room SET expires = NULL WHERE id = $1"
HAS_PRESENT = "SELECT 1 FROM seat WHERE room = $1 AND present = 1 LIMIT 1"
CLOSE_ROOM = "UPDATE room SET expires = 0, code = $1 WHERE id = $2"
CLOSED = "SELECT id FROM room WHERE expires = 0 ORDER BY id LIMIT 1"
EMPTY = (  # of room $1, at most $2 rows of each
    "DELETE FROM message WHERE room = $1 "
    "AND id IN (SELECT id FROM message WHERE room = $1 ORDER BY id LIMIT $2) RETURNING 1",
    "DELETE FROM posting WHERE room = $1 "
    "AND serial IN (SELECT serial FROM posting WHERE room = $1 ORDER BY shard, segment LIMIT $2) RETURNING 1",
    "DELETE FROM read_position WHERE room = $1 "
    "AND seat IN (SELECT seat FROM read_position WHERE room = $1 ORDER BY seat LIMIT $2) RETURNING 1",
    "DELETE FROM seat WHERE room = $1 "
    "AND number IN (SELECT number FROM seat WHERE room = $1 ORDER BY number LIMIT $2) RETURNING 1",
)
REMOVE_ROOM = "DELETE FROM room WHERE id = $1"

# What `records.load_member` takes.
SEATS = "SELECT code, number, person, name, mark, seat.meta FROM seat JOIN room ON room.id = seat.room WHERE "
HELD_SEAT = SEATS + "code = $1 AND person = $2 AND ended IS NULL"
LAST_NAME = (
    "SELECT name FROM seat JOIN room ON room.id = seat.room WHERE code = $1 AND person = $2 "
    "ORDER BY ended DESC, number DESC LIMIT 1"
)
SEATS_OF = (
    "SELECT number FROM seat JOIN room ON room.id = seat.room WHERE code = $1 AND person = $2 ORDER BY number"
)
SEATS_LIKE = (
    "SELECT number FROM seat WHERE room = $1 "
    "AND person = (SELECT person FROM seat WHERE room = $1 AND number = $2) ORDER BY number"
)
SEATS_BEFORE = (  # and that one first
    SEATS + "seat.room = $1 AND person = $2 ORDER BY number <> $3, ended DESC"
)
IGNORING = SEATS + "seat.room = $1 AND seat.meta LIKE '%\"ignored\":%'"
SET_SEAT_META = "UPDATE seat SET meta = $1 WHERE room = $2 AND number = $3"
# The room by a question of its own, so that both databases take the first few from the index.
SEATS_IN_ROOM = SEATS + "seat.room = (SELECT id FROM room WHERE code = $1) AND "  # noqa: S608
MEMBERS_OF = SEATS_IN_ROOM + "announced = 1 ORDER BY folded, number LIMIT $2"
SEATED = SEATS_IN_ROOM + "ended IS NULL ORDER BY folded, number LIMIT $2"
COUNT_SEATED = "SELECT count(*) FROM seat JOIN room ON room.id = seat.room WHERE code = $1 AND ended IS NULL"
COUNT_MEMBERS = "SELECT count(*) FROM seat JOIN room ON room.id = seat.room WHERE code = $1 AND announced = 1"
ROOMS_OF = (
    "SELECT DISTINCT code FROM seat JOIN room ON room.id = seat.room WHERE person = $1 ORDER BY code LIMIT $2"
)
HAND_OVER_SEATS = "UPDATE seat SET person = $1 WHERE room = $2 AND person = $3"
PEOPLE_OF = "SELECT count(DISTINCT person), count(*) FROM seat WHERE room = $1 AND number IN ($2, $3)"
PRESENT = SEATS + "present = 1 AND code = coalesce($1, code) ORDER BY room.id, number"
FORMER_SEAT = (
    "UPDATE seat SET ended = NULL WHERE room = $1 AND person = $2 AND name = $3 RETURNING number, mark, meta"
)
HELD_ROOM = (  # of seat $2, whose number is null unless person $3 holds it
    "SELECT room.id, rev, indexed, seat.number FROM room LEFT JOIN seat ON seat.room = room.id "
    "AND seat.number = $2 AND person = $3 AND ended IS NULL WHERE code = $1"
)
HAS_NAME = "SELECT 1 FROM seat WHERE room = $1 AND person = $2 AND name = $3"
NAMES_OF = "SELECT count(*) FROM seat WHERE room = $1 AND person = $2"
MARK = (  # one look into each index, past the few seats of the person
    "SELECT 1 + coalesce(max(mark), 0) FROM (SELECT * FROM (SELECT mark FROM seat "
    "WHERE room = $1 AND folded = $3 AND person <> $2 ORDER BY mark DESC LIMIT 1) AS alike "
    "UNION ALL SELECT * FROM (SELECT mark FROM seat "
    "WHERE room = $1 AND shape = $4 AND person <> $2 ORDER BY mark DESC LIMIT 1) AS shaped) AS highest"
)
NEW_SEAT = (
    "INSERT INTO seat (room, number, person, name, mark, folded, shape, taken) "
    "VALUES ($1, (SELECT 1 + coalesce(max(number), 0) FROM seat WHERE room = $1), $2, $3, $4, $5, $6, $7) "
    "RETURNING number, mark, meta"
)
END_SEAT = "UPDATE seat SET ended = $1, present = 0, announced = 2 WHERE room = $2 AND number = $3"
COUNT_HELD = (  # up to $2
    "SELECT count(*) FROM (SELECT 1 FROM seat WHERE room = $1 AND ended IS NULL LIMIT $2) AS held"
)
IS_PRESENT = "SELECT present FROM seat WHERE room = $1 AND number = $2"

RISE_TO = " ON CONFLICT (room, seat) DO UPDATE SET rev = excluded.rev WHERE read_position.rev < excluded.rev"
READ = (
    "INSERT INTO read_position (room, seat, rev) SELECT id, number, CASE WHEN $3 < rev THEN $3 ELSE rev END "
    "FROM room JOIN seat ON seat.room = room.id WHERE code = $1 AND number = $2" + RISE_TO
)
SET_BACK = (
    "UPDATE read_position SET rev = $3 WHERE rev > $3 AND seat = $2 "
    "AND room = (SELECT id FROM room WHERE code = $1)"
)
READ_UP_TO = (
    "SELECT read_position.rev FROM read_position JOIN room ON room.id = room WHERE code = $1 AND seat = $2"
)
READERS = (  # a seat, up to where its person has read, and one of that person's seats
    "SELECT seat.number, coalesce(read_position.rev, 0), own.number FROM room "
    "JOIN seat ON seat.room = room.id JOIN seat AS own ON own.room = seat.room AND own.person = seat.person "
    "LEFT JOIN read_position ON read_position.room = seat.room AND read_position.seat = seat.number "
    "WHERE code = $1 AND seat.number "
)
START_READING = (
    "INSERT INTO read_position (room, seat, rev) SELECT id, $2, rev FROM room WHERE id = $1" + RISE_TO  # noqa: S608
)
CARRY_POSITION = (
    "INSERT INTO read_position (room, seat, rev) SELECT room, $3, rev FROM read_position "  # noqa: S608
    "WHERE room = $1 AND seat = $2" + RISE_TO
)

# The columns by name: a newer release may have added some while this one still works on the same database.
ENTRY = (
    *("id", "rev", "at", "author", "name", "mark", "body", "kind", "meta", "before_author", "before_at"),
    *("reply", "quoted_rev", "quoted_author", "quoted_name", "quoted_mark", "quoted_body"),
)
ENTRIES = f"SELECT {', '.join(ENTRY)} FROM entry WHERE room = $1 "  # noqa: S608
NEWEST = ENTRIES + "ORDER BY id DESC LIMIT 1"
MESSAGE = ENTRIES + "AND id = $2"
OLDER = ENTRIES + "AND id < $2 ORDER BY id DESC LIMIT $3"
CREATED = ENTRIES + "AND id > $2 AND id <= $3 ORDER BY id LIMIT $4"
# Times need not rise, but whatever begins a day begins a quarter of an hour: an index has those alone.
FIRST_SINCE = (
    "SELECT id FROM message WHERE room = $1 AND at >= $2 "
    "AND (before_at IS NULL OR at / 900000 <> before_at / 900000) ORDER BY at, id LIMIT 1"
)
MENTIONING = "CASE WHEN meta LIKE '%\"mentions\":%' THEN meta END"
NEWEST_TEXTS = (  # at most $4 of them, among the $3 newest messages after $2
    f"SELECT id, author, {MENTIONING} FROM (SELECT id, author, kind, has_text, meta FROM entry "  # noqa: S608
    "WHERE room = (SELECT id FROM room WHERE code = $1) AND id > $2 ORDER BY id DESC LIMIT $3) AS seen "
    "WHERE kind = 'text' AND has_text ORDER BY id DESC LIMIT $4"
)
CHANGED = ENTRIES + "AND rev > $2 AND rev <= $3 AND id <= $4 ORDER BY rev LIMIT $5"
REPLIES = ENTRIES + "AND reply = $2 AND id >= $3 ORDER BY id LIMIT $4"
OWN_NEWEST = ENTRIES + (  # noqa: S608
    "AND id > (SELECT room.rev FROM room WHERE room.id = $1) - $3 AND kind = 'text' AND has_text "
    "AND author IN (SELECT number FROM seat WHERE seat.room = $1 AND person = $2) ORDER BY id DESC LIMIT 1"
)
SET_META = "UPDATE message SET rev = $1, meta = $2 WHERE room = $3 AND id = $4"

# Where a text of seat $2 with the key $3 comes, in one question instead of four.
PLACE = (
    "SELECT room.id, done.message, seat.name, seat.mark, last.author, last.at FROM room "
    "LEFT JOIN idempotency_key AS done ON done.room = room.id AND done.author = $2 AND done.key = $3 "
    "LEFT JOIN seat ON seat.room = room.id AND seat.number = $2 AND seat.ended IS NULL "
    "LEFT JOIN message AS last ON last.room = room.id "
    "AND last.id = (SELECT max(id) FROM message WHERE message.room = room.id) WHERE room.code = $1"
)

VERSIONS = "SELECT rev, at, body FROM earlier_text WHERE room = $1 AND message = $2 ORDER BY rev"
FORGET_VERSIONS = "DELETE FROM version WHERE room = $1 AND message = $2 AND rev <= $3"

PLACES = (
    "SELECT draft.serial, width, version, size, body, reply, edited, text_rev, page "
    "FROM draft JOIN draft_text ON draft_text.serial = draft.serial "
)
DRAFTS = PLACES + "WHERE room = $1 AND seat = $2 ORDER BY version DESC"
ROOM_OF_SEAT = (  # the room by a question of its own, so that a lock is one of the seat alone
    "SELECT room FROM seat "
    "WHERE room = (SELECT id FROM room WHERE code = $1) AND number = $2 AND ended IS NULL"
)
HAS_MESSAGE = "SELECT 1 FROM message WHERE room = $1 AND id = $2"
LATELY = 200  # revs
OWN_LATELY = (
    "SELECT at, body FROM entry WHERE room = $1 AND author = $2 AND has_text "
    "AND id > (SELECT rev FROM room WHERE id = $1) - $3"
)
NEW_DRAFT_TEXT = "INSERT INTO draft_text (body) VALUES ($1) RETURNING serial"
NEW_DRAFT = "INSERT INTO draft (serial, width) VALUES ($1, $2)"
SET_DRAFT_TEXT = "UPDATE draft_text SET body = $1 WHERE serial = $2"
SET_DRAFT = (
    "UPDATE draft SET room = $1, seat = $2, page = $3, edited = $4, reply = $5, text_rev = $6, version = $7, "
    "size = $8 WHERE serial = $9"
)
FREE_PLACE = "SELECT serial FROM draft WHERE room IS NULL AND width = $1 LIMIT 1"
FREE_DRAFT = (
    "UPDATE draft SET room = NULL, seat = NULL, page = NULL, edited = NULL, reply = NULL, version = NULL "
    "WHERE serial = $1"
)
RAISE_DRAFT = "UPDATE draft SET version = $1 WHERE serial = $2"
CARRY_DRAFTS = "UPDATE draft SET seat = $3 WHERE room = $1 AND seat = $2"
DRAFTS_OF_SEAT = "SELECT serial FROM draft WHERE room = $1 AND seat = $2 ORDER BY version DESC"
NEW_TEXTS = "SELECT count(*) FROM draft WHERE room = $1 AND seat = $2 AND edited = 0"
DRAFTS_ABOUT = PLACES + (  # message $2, and all of seat $3
    "WHERE (room = $1 AND edited = $2 AND edited <> 0) OR (room = $1 AND reply = $2 AND reply <> 0) "
    "OR (room = $1 AND seat = $3) ORDER BY seat, version DESC"
)
DRAFTS_OF_EDIT = (
    "SELECT serial FROM draft WHERE room = $1 AND seat = $2 AND edited = $3 ORDER BY version DESC"
)
DRAFTS_OF_ROOM = "SELECT serial FROM draft WHERE room = $1 LIMIT $2"
OLD_DRAFTS = "SELECT serial FROM draft WHERE version < $1 ORDER BY version LIMIT $2"

REPEATED = (
    "SELECT room.id, epoch, done.message FROM room "
    "JOIN idempotency_key AS done ON done.room = room.id WHERE code = $1 AND done.author = $2 AND key = $3"
)
REMEMBER = "INSERT INTO idempotency_key (room, author, key, message, at) VALUES ($1, $2, $3, $4, $5)"

# Of the index of words.
UNINDEXED = (
    "SELECT id, code, rev, indexed FROM room "
    "WHERE id > $1 AND rev + 1 >= (indexed + 1) * $2 AND coalesce(expires, 1) > 0 ORDER BY id LIMIT $3"
)
TO_INDEX = "SELECT indexed FROM room WHERE id = $1 AND coalesce(expires, 1) > 0"
INDEXED = "SELECT indexed FROM room WHERE id = $1"
SET_INDEXED = "UPDATE room SET indexed = $1 WHERE id = $2"
TEXTS = (
    "SELECT id, name, body FROM entry "
    "WHERE room = $1 AND id >= $2 AND id < $3 AND kind = 'text' AND has_text ORDER BY id"
)
NEWEST_REV = "SELECT max(rev) FROM message WHERE room = $1 AND id >= $2 AND id < $3"
PARTS_OF_SEGMENT = (
    f"SELECT serial, pairs FROM posting WHERE room = $1 AND segment = $2 "  # noqa: S608
    f"AND shard IN ({', '.join(map(str, range(SHARDS)))})"
)
PLACES_TO_READ = f"SELECT serial, pairs FROM posting WHERE room = $1 AND segment = $2 AND shard = {SHARDS}"  # noqa: S608
SET_PART = "UPDATE posting SET pairs = $1 WHERE serial = $2"
NEW_PART = "INSERT INTO posting (room, shard, segment, pairs) VALUES ($1, $2, $3, $4)"
PARTS_OF_SHARDS = (
    "SELECT shard, segment, pairs FROM posting "
    "WHERE room = $1 AND shard IN ($2, $3) AND segment >= $4 AND segment < $5"
)
MENTIONING_BETWEEN = (  # some: the newest of them
    "SELECT id, at, meta FROM message WHERE room = $1 AND id >= $2 AND id < $3 "
    "AND meta LIKE '%\"mentions\":%' ORDER BY id DESC LIMIT $4"
)
OWN_SEATS = "SELECT number, name, taken FROM seat WHERE room = $1 AND person = $2"
NAMES_FOLDED = "SELECT name FROM seat WHERE room = $1 AND folded = $2 ORDER BY mark LIMIT $3"
BETWEEN = ENTRIES + "AND id >= $2 AND id < $3 ORDER BY id DESC"
