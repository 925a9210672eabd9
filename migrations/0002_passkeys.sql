-- The Passkey Flex service.
--
-- No foreign keys: every statement names the app, and what must hold between rows
-- (a device needs its user) is the condition of the statement that writes it.
-- Ids of users and devices are unique within their app only, so that two apps can
-- import the same records.

CREATE TABLE passkeys_apps (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    name TEXT NOT NULL,
    auth_origin TEXT NOT NULL,
    -- A JSON array of texts.
    additional_auth_origins TEXT NOT NULL,
    rp_id TEXT NOT NULL,
    user_verification TEXT NOT NULL CHECK (user_verification IN ('preferred', 'required')),
    counter_policy TEXT NOT NULL CHECK (counter_policy IN ('record', 'refuse')),
    -- A JSON array of COSE numbers, the preferred one first.
    algorithms TEXT NOT NULL,
    transaction_lifetime_ms BIGINT NOT NULL,
    handshake_lifetime_ms BIGINT NOT NULL,
    discoverable_handshake_lifetime_ms BIGINT NOT NULL,
    nonce_lifetime_ms BIGINT NOT NULL,
    timeout_ms BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);

CREATE INDEX passkeys_apps_of_organization ON passkeys_apps (organization_id);

CREATE TABLE passkeys_api_keys (
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL UNIQUE,
    hash BYTEA NOT NULL,
    created_at_ms BIGINT NOT NULL
);

CREATE INDEX passkeys_api_keys_of_app ON passkeys_api_keys (app_id);

CREATE TABLE passkeys_users (
    app_id TEXT NOT NULL,
    id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'inactive')),
    login_count BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    -- The time of creation until the first login.
    last_login_at_ms BIGINT NOT NULL,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, external_id)
);

CREATE TABLE passkeys_devices (
    app_id TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    rp_id TEXT NOT NULL,
    credential_id BYTEA NOT NULL,
    -- COSE_Key in CBOR, as received.
    public_key BYTEA NOT NULL,
    algorithm BIGINT NOT NULL,
    sign_count BIGINT NOT NULL,
    aaguid BYTEA NOT NULL,
    -- A JSON array of texts.
    transports TEXT NOT NULL,
    -- NULL: imported, not known.
    backup_eligible BIGINT CHECK (backup_eligible IN (0, 1)),
    backed_up BIGINT NOT NULL CHECK (backed_up IN (0, 1)),
    requires_user_verification BIGINT NOT NULL CHECK (requires_user_verification IN (0, 1)),
    -- NULL: neither the client nor the options of the registration said.
    attachment TEXT CHECK (attachment IN ('platform', 'cross-platform')),
    -- Of the browser or app at registration.
    user_agent TEXT NOT NULL,
    usage_count BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    -- The time of creation until the first login.
    last_login_at_ms BIGINT NOT NULL,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, credential_id)
);

CREATE INDEX passkeys_devices_of_user ON passkeys_devices (app_id, user_id);

CREATE TABLE passkeys_transactions (
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL,
    ceremony TEXT NOT NULL CHECK (ceremony IN ('register', 'authenticate')),
    external_id TEXT NOT NULL,
    -- NULL for a registration: its user may not exist yet.
    user_id TEXT,
    -- NULL for an authentication.
    passkey_display_name TEXT,
    -- The newest handshake, the only one that can complete the transaction. NULL before the first start.
    handshake_id TEXT,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    completed_at_ms BIGINT
);

CREATE INDEX passkeys_transactions_by_expiry ON passkeys_transactions (expires_at_ms);

CREATE TABLE passkeys_handshakes (
    id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL,
    ceremony TEXT NOT NULL CHECK (ceremony IN ('register', 'authenticate')),
    -- NULL: a discoverable login.
    transaction_id TEXT,
    user_id TEXT,
    challenge BYTEA NOT NULL,
    rp_id TEXT NOT NULL,
    user_verification TEXT NOT NULL CHECK (user_verification IN ('preferred', 'required')),
    -- A JSON array of COSE numbers.
    algorithms TEXT NOT NULL,
    -- What the options of a registration asked for; NULL: any.
    attachment TEXT CHECK (attachment IN ('platform', 'cross-platform')),
    -- A JSON array of the ids of the devices that the options allowed; NULL: any.
    allowed_devices TEXT,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    spent_at_ms BIGINT
);

CREATE INDEX passkeys_handshakes_by_expiry ON passkeys_handshakes (expires_at_ms);

CREATE TABLE passkeys_nonces (
    hash BYTEA PRIMARY KEY,
    app_id TEXT NOT NULL,
    ceremony TEXT NOT NULL CHECK (ceremony IN ('register', 'authenticate')),
    transaction_id TEXT,
    user_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    user_verified BIGINT NOT NULL CHECK (user_verified IN (0, 1)),
    issued_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);

CREATE INDEX passkeys_nonces_by_expiry ON passkeys_nonces (expires_at_ms);
