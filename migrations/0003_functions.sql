CREATE TABLE placeholder_0003_functions (id TEXT PRIMARY KEY);
