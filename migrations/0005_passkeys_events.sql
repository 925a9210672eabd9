-- What happened to whom, and what lists of users need.

ALTER TABLE passkeys_apps ADD COLUMN event_retention_ms BIGINT NOT NULL DEFAULT 7776000000;

CREATE INDEX passkeys_users_by_creation ON passkeys_users (app_id, created_at_ms);

CREATE TABLE passkeys_events (
    -- That of the handshake whose start made the event.
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL,
    type TEXT NOT NULL CHECK (
        type IN ('passkey_register', 'passkey_login', 'passkey_login_discoverable')
    ),
    -- The user as far as known: NULL until a discoverable login has verified.
    external_id TEXT,
    user_id TEXT,
    -- NULL until the ceremony is complete, or was refused after its signature verified.
    device_id TEXT,
    -- NULL: a discoverable login.
    transaction_id TEXT,
    -- Of the browser or app that started; empty: not known.
    ip_addr TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    counter_not_increased BIGINT NOT NULL CHECK (counter_not_increased IN (0, 1)),
    -- The reason of the denial; NULL: none.
    failure_code TEXT,
    created_at_ms BIGINT NOT NULL,
    -- NULL: incomplete.
    completed_at_ms BIGINT
);

-- Before the next one: of two indexes that look equally good, SQLite takes the older.
CREATE INDEX passkeys_events_of_user ON passkeys_events (app_id, user_id, created_at_ms)
    WHERE user_id IS NOT NULL;

CREATE INDEX passkeys_events_by_creation ON passkeys_events (app_id, created_at_ms);
