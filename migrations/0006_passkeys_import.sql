-- What came from another system, and what cannot be used without its public key.

-- A JSON object: what was said about the credential beside what verifies it.
-- NULL: registered here.
ALTER TABLE passkeys_devices ADD COLUMN imported TEXT;

-- Credentials whose public key is not known. No ceremony looks here.
CREATE TABLE passkeys_keyless_devices (
    app_id TEXT NOT NULL,
    credential_id BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    rp_id TEXT NOT NULL,
    -- The line of the import without whose it is, as a JSON object.
    facts TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (app_id, credential_id)
);

CREATE INDEX passkeys_keyless_devices_of_user ON passkeys_keyless_devices (app_id, user_id);
