-- User pools, their app clients and users, and what signs users in.

CREATE TABLE pools_user_pools (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    configuration TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);

CREATE INDEX pools_user_pools_by_organization ON pools_user_pools (organization_id, created_at_ms, id);

-- Keys outlive nothing but their pool. The private half is sealed.
CREATE TABLE pools_signing_keys (
    id TEXT PRIMARY KEY,
    user_pool_id TEXT NOT NULL,
    token_use TEXT NOT NULL CHECK (token_use IN ('id', 'access')),
    private_key_sealed BYTEA NOT NULL,
    modulus TEXT NOT NULL,
    exponent TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    UNIQUE (user_pool_id, token_use)
);

CREATE TABLE pools_app_clients (
    id TEXT PRIMARY KEY,
    user_pool_id TEXT NOT NULL,
    secret_sealed BYTEA,
    configuration TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);

CREATE INDEX pools_app_clients_by_pool ON pools_app_clients (user_pool_id, created_at_ms, id);

-- `revision` is raised by every writer before it reads, which makes writers of one user queue up.
CREATE TABLE pools_users (
    user_pool_id TEXT NOT NULL,
    sub TEXT NOT NULL,
    username TEXT NOT NULL,
    attributes TEXT NOT NULL,
    password_hash TEXT,
    password_expires_at_ms BIGINT,
    status TEXT NOT NULL CHECK (status IN ('UNCONFIRMED', 'CONFIRMED', 'FORCE_CHANGE_PASSWORD', 'RESET_REQUIRED')),
    is_enabled BIGINT NOT NULL CHECK (is_enabled IN (0, 1)),
    revision BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (user_pool_id, sub)
);

-- Every text that names a user, folded when the pool ignores case: a text names one user at most,
-- be it as username or as alias.
CREATE TABLE pools_sign_in_names (
    user_pool_id TEXT NOT NULL,
    name_key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('username', 'email', 'phone_number', 'preferred_username')),
    sub TEXT NOT NULL,
    PRIMARY KEY (user_pool_id, name_key)
);

CREATE INDEX pools_sign_in_names_by_user ON pools_sign_in_names (user_pool_id, sub);

-- Wrong passwords in a row. `subject` is a user's sub, or a pseudonym of a name nobody has.
CREATE TABLE pools_password_failures (
    user_pool_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    failures BIGINT NOT NULL,
    last_at_ms BIGINT NOT NULL,
    PRIMARY KEY (user_pool_id, subject)
);

CREATE INDEX pools_password_failures_by_time ON pools_password_failures (last_at_ms);

CREATE TABLE pools_codes (
    user_pool_id TEXT NOT NULL,
    sub TEXT NOT NULL,
    purpose TEXT NOT NULL,
    code_hash BYTEA NOT NULL,
    attribute TEXT NOT NULL,
    tries_left BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (user_pool_id, sub, purpose)
);

CREATE INDEX pools_codes_by_expiry ON pools_codes (expires_at_ms);

-- A taken row stays until it expires, so that a second use can be told from a made-up session.
CREATE TABLE pools_auth_sessions (
    handle_hash BYTEA PRIMARY KEY,
    client_id TEXT NOT NULL,
    state_sealed BYTEA NOT NULL,
    is_taken BIGINT NOT NULL CHECK (is_taken IN (0, 1)),
    expires_at_ms BIGINT NOT NULL
);

CREATE INDEX pools_auth_sessions_by_expiry ON pools_auth_sessions (expires_at_ms);

-- One row per sign-in: the refresh token, and the identity that its access tokens carry.
CREATE TABLE pools_refresh_tokens (
    token_hash BYTEA PRIMARY KEY,
    origin_jti TEXT NOT NULL UNIQUE,
    user_pool_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    sub TEXT NOT NULL,
    is_revoked BIGINT NOT NULL CHECK (is_revoked IN (0, 1)),
    authenticated_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);

CREATE INDEX pools_refresh_tokens_by_user ON pools_refresh_tokens (user_pool_id, sub);

CREATE INDEX pools_refresh_tokens_by_expiry ON pools_refresh_tokens (expires_at_ms);
