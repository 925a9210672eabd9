-- What an imported metadata file says about models of authenticators, and the apps that believe it.

-- One row: the file that was imported last.
CREATE TABLE passkeys_metadata (
    id TEXT PRIMARY KEY CHECK (id = 'fido'),
    -- Its serial number; it never falls.
    number BIGINT NOT NULL,
    next_update_ms BIGINT NOT NULL,
    imported_at_ms BIGINT NOT NULL
);

-- The models of that file, and no others.
CREATE TABLE passkeys_metadata_models (
    aaguid BYTEA PRIMARY KEY,
    -- A JSON array of certificates: DER in base64.
    trust_anchors TEXT NOT NULL,
    -- A JSON array of numbers of COSE algorithms; empty: any.
    algorithms TEXT NOT NULL,
    is_compromised BIGINT NOT NULL CHECK (is_compromised IN (0, 1))
);

ALTER TABLE passkeys_apps ADD COLUMN uses_metadata BIGINT NOT NULL DEFAULT 0
    CHECK (uses_metadata IN (0, 1));

-- A JSON array of UUIDs.
ALTER TABLE passkeys_apps ADD COLUMN denied_aaguids TEXT NOT NULL DEFAULT '[]';
