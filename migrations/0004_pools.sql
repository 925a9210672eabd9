CREATE TABLE placeholder_0004_pools (id TEXT PRIMARY KEY);
