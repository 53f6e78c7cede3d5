-- Rooms, their seats and their log. All times are in ms since 1970, UTC.

PRAGMA application_id = 0x63686174; -- "chat": tells our files from those of other programs

CREATE TABLE room (
  id INTEGER PRIMARY KEY,
  code TEXT NOT NULL UNIQUE,
  epoch TEXT NOT NULL,
  opened INTEGER NOT NULL,
  rev INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A seat lasts as long as its room: its number and mark must not pass to somebody else.
CREATE TABLE seat (
  room INTEGER NOT NULL REFERENCES room,
  number INTEGER NOT NULL,
  person TEXT NOT NULL,
  name TEXT NOT NULL,
  mark INTEGER NOT NULL,
  folded TEXT NOT NULL, -- chat.model.lookalikes.looks(name)
  shape TEXT NOT NULL,
  here INTEGER NOT NULL DEFAULT 0,
  taken INTEGER NOT NULL,
  ended INTEGER,
  PRIMARY KEY (room, number)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX seat_held ON seat (room, person) WHERE ended IS NULL;
CREATE UNIQUE INDEX seat_person ON seat (room, person, name);
CREATE INDEX seat_folded ON seat (room, folded);
CREATE INDEX seat_shape ON seat (room, shape);
CREATE INDEX seat_here ON seat (room, number) WHERE here = 1;

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
  text INTEGER REFERENCES text, -- null when deleted, and in notices
  edited INTEGER,
  notice TEXT, -- JSON: [verb, [name, ...], count, [ended seat, ...]]
  before_author INTEGER,
  before_at INTEGER,
  FOREIGN KEY (room, author) REFERENCES seat (room, number)
) STRICT;

CREATE UNIQUE INDEX message_id ON message (room, id);
CREATE UNIQUE INDEX message_rev ON message (room, rev);

-- What each one-time key did. Author 0 stands for changes made by nobody's seat.
CREATE TABLE once (
  room INTEGER NOT NULL REFERENCES room,
  author INTEGER NOT NULL,
  key TEXT NOT NULL,
  message INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (room, author, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX once_at ON once (at);

CREATE VIEW entry AS
SELECT message.room, message.id, message.rev, message.at, message.author, seat.name, seat.mark,
  text.body, message.edited, message.notice, message.before_author, message.before_at
FROM message
LEFT JOIN seat ON seat.room = message.room AND seat.number = message.author
LEFT JOIN text ON text.serial = message.text;
