-- What the function runner keeps.

CREATE TABLE functions_packages (
    sha256 TEXT PRIMARY KEY,
    zip BYTEA NOT NULL,
    size_bytes BIGINT NOT NULL
);

CREATE TABLE functions_functions (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES accounts_organizations (id),
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    runtime TEXT NOT NULL,
    handler TEXT NOT NULL,
    role TEXT NOT NULL,
    timeout_s BIGINT NOT NULL,
    memory_mb BIGINT NOT NULL,
    ephemeral_storage_mb BIGINT NOT NULL,
    architecture TEXT NOT NULL,
    tracing_mode TEXT NOT NULL,
    log_group TEXT NOT NULL,
    tags TEXT NOT NULL,
    environment_sealed BYTEA,
    credentials_sealed BYTEA,
    package_sha256 TEXT NOT NULL REFERENCES functions_packages (sha256),
    package_size_bytes BIGINT NOT NULL,
    revision_id TEXT NOT NULL,
    policy_revision_id TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    UNIQUE (organization_id, name)
);

CREATE INDEX functions_functions_by_package ON functions_functions (package_sha256);

CREATE TABLE functions_permissions (
    function_id TEXT NOT NULL REFERENCES functions_functions (id),
    statement_id TEXT NOT NULL,
    action TEXT NOT NULL,
    principal TEXT NOT NULL,
    source_arn TEXT,
    source_account TEXT,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (function_id, statement_id)
);

-- Asynchronous invocations that were accepted and have not ended.
CREATE TABLE functions_queue (
    id TEXT PRIMARY KEY,
    function_id TEXT NOT NULL REFERENCES functions_functions (id),
    payload BYTEA NOT NULL,
    client_context TEXT,
    tries BIGINT NOT NULL,
    due_at_ms BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL
);

CREATE INDEX functions_queue_by_due ON functions_queue (due_at_ms);
CREATE INDEX functions_queue_by_function ON functions_queue (function_id);

-- What functions print, one row per invocation. No reference to the function:
-- a row may be written just after its function was deleted, and is pruned by age.
CREATE TABLE functions_logs (
    id TEXT PRIMARY KEY,
    function_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    log_stream TEXT NOT NULL,
    is_error BIGINT NOT NULL CHECK (is_error IN (0, 1)),
    text TEXT NOT NULL,
    written_at_ms BIGINT NOT NULL
);

CREATE INDEX functions_logs_by_function ON functions_logs (function_id, written_at_ms, id);
