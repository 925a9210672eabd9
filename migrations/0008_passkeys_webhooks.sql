-- Webhooks, and events of what happens outside ceremonies.

-- The table is made anew because SQLite changes no CHECK. The words of `type` are
-- those of the program's enum; new ones come too often to be listed here.
CREATE TABLE passkeys_events_new (
    -- That of the handshake whose start made the event, or one of its own.
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL,
    type TEXT NOT NULL,
    -- The user as far as known: NULL until a discoverable login has verified.
    external_id TEXT,
    user_id TEXT,
    -- NULL until the ceremony is complete, or was refused after its signature verified.
    device_id TEXT,
    -- NULL: a discoverable login, or no ceremony.
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

INSERT INTO passkeys_events_new (
    id, app_id, type, external_id, user_id, device_id, transaction_id, ip_addr, user_agent,
    counter_not_increased, failure_code, created_at_ms, completed_at_ms
)
SELECT id, app_id, type, external_id, user_id, device_id, transaction_id, ip_addr, user_agent,
       counter_not_increased, failure_code, created_at_ms, completed_at_ms
FROM passkeys_events;

DROP TABLE passkeys_events;

ALTER TABLE passkeys_events_new RENAME TO passkeys_events;

-- Before the next one: of two indexes that look equally good, SQLite takes the older.
CREATE INDEX passkeys_events_of_user ON passkeys_events (app_id, user_id, created_at_ms)
    WHERE user_id IS NOT NULL;

CREATE INDEX passkeys_events_by_creation ON passkeys_events (app_id, created_at_ms);

CREATE TABLE passkeys_webhooks (
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL,
    url TEXT NOT NULL,
    -- A JSON array of texts; empty: every type.
    event_types TEXT NOT NULL,
    is_enabled BIGINT NOT NULL CHECK (is_enabled IN (0, 1)),
    -- Sealed.
    secret BYTEA NOT NULL,
    -- Sealed; signs as well until it expires. NULL: there was none.
    previous_secret BYTEA,
    previous_secret_expires_at_ms BIGINT,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);

-- What every finished ceremony looks at.
CREATE INDEX passkeys_webhooks_of_app ON passkeys_webhooks (app_id);

-- The queue, and the record of what left it.
CREATE TABLE passkeys_deliveries (
    webhook_id TEXT NOT NULL,
    -- That of the event: an event goes to a webhook once.
    id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    -- The body of the request.
    payload TEXT NOT NULL,
    -- Counts up in the order in which a webhook's deliveries came to be.
    sequence BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    -- All there ever were. Also tells the attempt under way from an earlier one whose
    -- lease ran out.
    attempts BIGINT NOT NULL,
    -- Attempts that failed since it was queued or redelivered: its place in the schedule.
    failures BIGINT NOT NULL,
    -- Of a pending one; while an attempt is under way, when its lease runs out.
    next_attempt_at_ms BIGINT NOT NULL,
    -- 0: no attempt is under way.
    leased_until_ms BIGINT NOT NULL,
    -- NULL: there was none yet.
    last_attempt_at_ms BIGINT,
    -- NULL: no response came.
    last_status BIGINT,
    -- NULL: the last attempt did not fail, or there was none.
    last_error TEXT,
    created_at_ms BIGINT NOT NULL,
    delivered_at_ms BIGINT,
    PRIMARY KEY (webhook_id, id)
);

CREATE INDEX passkeys_deliveries_of_webhook ON passkeys_deliveries (webhook_id, sequence);

CREATE INDEX passkeys_deliveries_due
    ON passkeys_deliveries (webhook_id, next_attempt_at_ms, sequence)
    WHERE state = 'pending';

CREATE INDEX passkeys_deliveries_delivered ON passkeys_deliveries (delivered_at_ms)
    WHERE state = 'delivered';

CREATE INDEX passkeys_deliveries_by_creation ON passkeys_deliveries (app_id, created_at_ms);
