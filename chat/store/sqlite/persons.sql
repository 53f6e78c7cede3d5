-- Logging out asks for all the seats of a person, in whatever room.

CREATE INDEX seat_of_person ON seat (person);
