-- The texts of a batch: codes $1, authors $2, keys $3, bodies $4 and, if it is given, the time $5 in ms.
--
-- A question of its own: one asked together with the lock would not see what was committed while that waited.
-- All that a message needs is worked out in it, for each answer costs the writer a turn of the event loop.
WITH moment AS (
  SELECT coalesce($5, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS now
),
known AS (
  SELECT asked.*, room.id AS room, room.epoch, room.rev, seat.name, seat.mark, done.message AS repeats,
    last.author AS last_author, last.at AS last_at, moment.now, moment.now AS at
  FROM moment, unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY
    AS asked (code, author, key, body, place)
  LEFT JOIN room ON room.code = asked.code
  LEFT JOIN idempotency_key AS done
    ON done.room = room.id AND done.author = asked.author AND done.key = asked.key
  LEFT JOIN seat ON seat.room = room.id AND seat.number = asked.author AND seat.ended IS NULL
  LEFT JOIN LATERAL (
    SELECT author, at FROM message WHERE message.room = room.id ORDER BY id DESC LIMIT 1
  ) AS last ON true
),
fresh AS (
  SELECT place, room, rev + row_number() OVER turn AS id, at, author, key, body, now,
    CASE row_number() OVER turn WHEN 1 THEN last_author ELSE lag(author) OVER turn END AS before_author,
    CASE row_number() OVER turn WHEN 1 THEN last_at ELSE at END AS before_at
  FROM known
  WHERE repeats IS NULL AND name IS NOT NULL
  WINDOW turn AS (PARTITION BY room ORDER BY place)
),
risen AS (
  UPDATE room SET rev = last.id, expires = NULL
  FROM (SELECT room, max(id) AS id FROM fresh GROUP BY room) AS last
  WHERE room.id = last.room
),
remembered AS (
  INSERT INTO idempotency_key (room, author, key, message, rev, at)
  SELECT room, author, key, id, id, now FROM fresh
),
written AS (
  INSERT INTO message (room, id, rev, at, author, body, before_author, before_at)
  SELECT room, id, id, at, author, body, before_author, before_at FROM fresh
)
SELECT epoch, name, mark, repeats, fresh.id, fresh.at, before_author, before_at
FROM known LEFT JOIN fresh USING (place)
ORDER BY place
