-- The highest mark of a look is one look into an index, however many have it. A room that has no text yet
-- expires, in ms since 1970; 0 while what was in it is being removed, null once something was said.

DROP INDEX seat_folded;
DROP INDEX seat_shape;
CREATE INDEX seat_folded ON seat (room, folded, mark, person);
CREATE INDEX seat_shape ON seat (room, shape, mark, person);

ALTER TABLE room ADD COLUMN expires INTEGER;
UPDATE room SET expires = opened + 86400000
  WHERE NOT EXISTS (SELECT 1 FROM message WHERE message.room = room.id AND author IS NOT NULL);
CREATE INDEX room_expires ON room (expires) WHERE expires IS NOT NULL;
