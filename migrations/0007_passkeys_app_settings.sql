-- What else a customer may set about an app, and the native apps that belong to it.

ALTER TABLE passkeys_apps ADD COLUMN public_signup BIGINT NOT NULL DEFAULT 1
    CHECK (public_signup IN (0, 1));

ALTER TABLE passkeys_apps ADD COLUMN allows_synced_passkeys BIGINT NOT NULL DEFAULT 1
    CHECK (allows_synced_passkeys IN (0, 1));

-- A JSON array of texts; empty: nobody may embed.
ALTER TABLE passkeys_apps ADD COLUMN embedding_origins TEXT NOT NULL DEFAULT '[]';

ALTER TABLE passkeys_apps ADD COLUMN attestation TEXT NOT NULL DEFAULT 'none'
    CHECK (attestation IN ('none', 'direct'));

-- A JSON array of certificates: DER in base64.
ALTER TABLE passkeys_apps ADD COLUMN trust_anchors TEXT NOT NULL DEFAULT '[]';

-- A JSON array of UUIDs; empty: any model.
ALTER TABLE passkeys_apps ADD COLUMN allowed_aaguids TEXT NOT NULL DEFAULT '[]';

-- A JSON array of objects. Here and not in a table of their own, because every
-- ceremony needs their origins with the app.
ALTER TABLE passkeys_apps ADD COLUMN native_clients TEXT NOT NULL DEFAULT '[]';

-- Grows with each change, so that of two changes at once neither undoes the other.
ALTER TABLE passkeys_apps ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;

CREATE INDEX passkeys_apps_by_rp_id ON passkeys_apps (rp_id);
