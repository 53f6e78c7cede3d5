"""The SQL that every database understands, its parameters written $1, $2, …

What a database has to say in its own way stands in its own module, under the same name.
"""

from __future__ import annotations

LARGEST = 2**63 - 1  # that an integer column holds

COPYING = "copying"  # the fact that marks an unfinished copy of another store: that one's identity
UNFINISHED = (
    "holds an unfinished copy of another store",
    "Run the same move-store again until it says that all is well",
)

FACT = "SELECT value FROM fact WHERE name = $1"
NEW_FACT = "INSERT INTO fact (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING"

NEW_ROOM = "INSERT INTO room (code, epoch, opened) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING code"
ROOM = "SELECT code, epoch, opened FROM room WHERE code = $1"
ANY_ROOM = "SELECT id FROM room LIMIT 1"
HEAD = "SELECT id, epoch, rev FROM room WHERE code = $1"
RISE = "UPDATE room SET rev = rev + 1 WHERE id = $1 RETURNING id, epoch, rev"

HELD_SEAT = (
    "SELECT code, number, person, name, mark FROM seat JOIN room ON room.id = seat.room "
    "WHERE code = $1 AND person = $2 AND ended IS NULL"
)
SEATS_OF = (
    "SELECT number FROM seat JOIN room ON room.id = seat.room WHERE code = $1 AND person = $2 ORDER BY number"
)
PEOPLE_OF = "SELECT count(DISTINCT person), count(*) FROM seat WHERE room = $1 AND number IN ($2, $3)"
HERE = (
    "SELECT code, number, person, name, mark FROM seat JOIN room ON room.id = seat.room "
    "WHERE here = 1 AND code = coalesce($1, code) ORDER BY room.id, number"
)
FORMER_SEAT = (
    "UPDATE seat SET ended = NULL WHERE room = $1 AND person = $2 AND name = $3 RETURNING number, mark"
)
MARK = (
    "SELECT 1 + coalesce(max(mark), 0) FROM seat "
    "WHERE room = $1 AND person <> $2 AND (folded = $3 OR shape = $4)"
)
NEW_SEAT = (
    "INSERT INTO seat (room, number, person, name, mark, folded, shape, taken) "
    "VALUES ($1, (SELECT 1 + coalesce(max(number), 0) FROM seat WHERE room = $1), $2, $3, $4, $5, $6, $7) "
    "RETURNING number, mark"
)
END_SEAT = "UPDATE seat SET ended = $1, here = 0 WHERE room = $2 AND number = $3"

NEWEST = "SELECT * FROM entry WHERE room = $1 ORDER BY id DESC LIMIT 1"
MESSAGE = "SELECT * FROM entry WHERE room = $1 AND id = $2"
OLDER = "SELECT * FROM entry WHERE room = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
CREATED = "SELECT * FROM entry WHERE room = $1 AND id > $2 AND id <= $3 ORDER BY id LIMIT $4"
CHANGED = "SELECT * FROM entry WHERE room = $1 AND rev > $2 AND rev <= $3 AND id <= $4 ORDER BY rev LIMIT $5"
RENOTICE = "UPDATE message SET rev = $1, notice = $2 WHERE room = $3 AND id = $4"

REPEATED = (
    "SELECT epoch, once.rev, entry.* FROM room JOIN once ON once.room = room.id "
    "JOIN entry ON entry.room = room.id AND entry.id = once.message "
    "WHERE code = $1 AND once.author = $2 AND key = $3"
)
REMEMBER = "INSERT INTO once (room, author, key, message, rev, at) VALUES ($1, $2, $3, $4, $5, $6)"
