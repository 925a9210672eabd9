-- Who owns what.

CREATE TABLE accounts_organizations (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);

-- The secret is sealed: checking a signature needs it in clear.
CREATE TABLE accounts_access_keys (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES accounts_organizations (id),
    name TEXT NOT NULL,
    secret_sealed BYTEA NOT NULL,
    created_at_ms BIGINT NOT NULL
);
