-- What all who use this database have to agree on, such as the fingerprint of their key.

CREATE TABLE fact (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
