CREATE TABLE placeholder_0002_passkeys (id TEXT PRIMARY KEY);
