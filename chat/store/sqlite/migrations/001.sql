-- oldest: 1
-- Rooms, their seats and their log. All times are in ms since 1970, UTC. What is asked for or bounded is a
-- column; everything else is in `meta`, a JSON object, or null if there is nothing.

PRAGMA application_id = 0x63686174; -- "chat": tells our files from those of other programs

-- What all who use this database have to agree on, such as the fingerprint of their key.
CREATE TABLE metadata (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE room (
  id INTEGER PRIMARY KEY,
  code TEXT NOT NULL UNIQUE,
  epoch TEXT NOT NULL,
  opened INTEGER NOT NULL,
  rev INTEGER NOT NULL DEFAULT 0,
  indexed INTEGER NOT NULL DEFAULT 0, -- segments whose words are in the index
  expires INTEGER, -- 0 while what is in the room is being removed, null once something was said
  meta TEXT
) STRICT;

CREATE INDEX room_expires ON room (expires) WHERE expires IS NOT NULL;

-- A seat lasts as long as its room: its number and mark must not pass to somebody else.
CREATE TABLE seat (
  room INTEGER NOT NULL REFERENCES room,
  number INTEGER NOT NULL,
  person TEXT NOT NULL,
  name TEXT NOT NULL,
  mark INTEGER NOT NULL,
  folded TEXT NOT NULL, -- chat.model.lookalikes.skeleton(name)
  shape TEXT NOT NULL,
  present INTEGER NOT NULL DEFAULT 0, -- 0 or 1
  announced INTEGER NOT NULL DEFAULT 0, -- 0: the room has not read yet that they are here; 1: it has; 2: that they left
  taken INTEGER NOT NULL,
  ended INTEGER,
  meta TEXT,
  PRIMARY KEY (room, number)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX seat_held ON seat (room, person) WHERE ended IS NULL;
CREATE UNIQUE INDEX seat_person ON seat (room, person, name);
CREATE INDEX seat_of_person ON seat (person); -- for logging out of every room
CREATE INDEX seat_of_home ON seat (person, taken) WHERE ended IS NULL; -- for the newest of many
-- The highest mark of a look is one look into an index, however many have it.
CREATE INDEX seat_folded ON seat (room, folded, mark, person);
CREATE INDEX seat_shape ON seat (room, shape, mark, person);
CREATE INDEX seat_named ON seat (room, folded, mark) WHERE ended IS NULL; -- whom a text may mention
CREATE INDEX seat_announced ON seat (room, folded, number) WHERE announced = 1; -- the people of a room, by name
CREATE INDEX seat_present ON seat (room, number) WHERE present = 1;

-- Up to which change of the room the person of a seat has read. A table of its own: it is written while nobody
-- holds the lock of the room.
CREATE TABLE read_position (
  room INTEGER NOT NULL REFERENCES room,
  seat INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  PRIMARY KEY (room, seat),
  FOREIGN KEY (room, seat) REFERENCES seat (room, number)
) STRICT, WITHOUT ROWID;

-- The text of a message, apart from everything that changes about it. A text is never moved or removed: it
-- is overwritten in place by as many spaces. When a row changes its size, SQLite may shift its neighbours
-- and leave copies of them behind, which no later deletion reaches, not even with secure_delete.
CREATE TABLE text (
  serial INTEGER PRIMARY KEY,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE message (
  serial INTEGER PRIMARY KEY,
  room INTEGER NOT NULL REFERENCES room,
  id INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  at INTEGER NOT NULL,
  author INTEGER,
  kind TEXT NOT NULL DEFAULT 'text',
  text INTEGER REFERENCES text, -- null when deleted, and in notices
  before_author INTEGER,
  before_at INTEGER,
  meta TEXT,
  reply INTEGER, -- the id of the message that this one answers, as in its meta
  FOREIGN KEY (room, author) REFERENCES seat (room, number)
) STRICT;

CREATE UNIQUE INDEX message_id ON message (room, id);
CREATE UNIQUE INDEX message_rev ON message (room, rev);
-- Those that begin a quarter of an hour. Of them are those that begin a day, in whatever zone, and they are few.
CREATE INDEX message_quarter ON message (room, at, id) WHERE before_at IS NULL OR at / 900000 <> before_at / 900000;
CREATE INDEX message_reply ON message (room, reply, id) WHERE reply IS NOT NULL;
CREATE INDEX message_mentions ON message (room, id) WHERE meta LIKE '%"mentions":%';

-- The texts that messages had before, each since a rev; bounded by chat/store/versions.py.
CREATE TABLE version (
  room INTEGER NOT NULL REFERENCES room,
  message INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  at INTEGER NOT NULL,
  text INTEGER NOT NULL REFERENCES text,
  PRIMARY KEY (room, message, rev)
) STRICT, WITHOUT ROWID;

-- Where the words of a room are, by numbers: chat/store/postings.py. A row is never moved or resized either:
-- what must go is overwritten in place.
CREATE TABLE posting (
  serial INTEGER PRIMARY KEY,
  room INTEGER NOT NULL REFERENCES room,
  shard INTEGER NOT NULL,
  segment INTEGER NOT NULL,
  pairs BLOB NOT NULL
) STRICT;

CREATE INDEX posting_place ON posting (room, shard, segment);

-- What people are writing and have yet to send. Its text is in a place of one of a few widths, filled up with
-- zeros: chat/store/draft_places.py. A place is never moved, resized or removed: it is emptied and used again.
CREATE TABLE draft_text (
  serial INTEGER PRIMARY KEY,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE draft (
  serial INTEGER PRIMARY KEY REFERENCES draft_text,
  width INTEGER NOT NULL,
  room INTEGER REFERENCES room, -- null if the place is free
  seat INTEGER,
  page TEXT, -- on which it is written
  edited INTEGER, -- the id of the message whose text it is to replace, or 0
  reply INTEGER, -- the id of the message that it answers, or 0
  text_rev INTEGER, -- at which that had the text that was changed
  version INTEGER, -- when it was saved
  size INTEGER -- bytes of its text
) STRICT;

CREATE UNIQUE INDEX draft_page ON draft (room, seat, edited, page);
CREATE INDEX draft_edited ON draft (room, edited) WHERE edited <> 0; -- for those that are about a message
CREATE INDEX draft_reply ON draft (room, reply) WHERE reply <> 0;
CREATE INDEX draft_free ON draft (width) WHERE room IS NULL;
CREATE INDEX draft_version ON draft (version) WHERE version IS NOT NULL; -- for those that are old

-- Which message the text with each one-time key became.
CREATE TABLE idempotency_key (
  room INTEGER NOT NULL REFERENCES room,
  author INTEGER NOT NULL,
  key TEXT NOT NULL,
  message INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (room, author, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_key_at ON idempotency_key (at);

CREATE VIEW earlier_text AS
SELECT version.room, version.message, version.rev, version.at, text.body
FROM version LEFT JOIN text ON text.serial = version.text;

CREATE VIEW entry AS
SELECT message.room, message.id, message.rev, message.at, message.author, seat.name, seat.mark,
  text.body, message.text IS NOT NULL AS has_text, message.kind, message.meta, message.before_author, message.before_at,
  message.reply, original.rev AS quoted_rev, original.author AS quoted_author, quoted.name AS quoted_name,
  quoted.mark AS quoted_mark, substr(answered.body, 1, 802) AS quoted_body
FROM message
LEFT JOIN seat ON seat.room = message.room AND seat.number = message.author
LEFT JOIN text ON text.serial = message.text
LEFT JOIN message AS original ON original.room = message.room AND original.id = message.reply
LEFT JOIN seat AS quoted ON quoted.room = message.room AND quoted.number = original.author
LEFT JOIN text AS answered ON answered.serial = original.text;

CREATE VIEW saved_draft AS
SELECT room, seat, edited, page, reply, text_rev, version,
  (SELECT CAST(substr(body, 1, draft.size) AS TEXT) FROM draft_text WHERE draft_text.serial = draft.serial) AS body
FROM draft WHERE room IS NOT NULL;
