-- Whether a registration was started with conditional mediation: only then may it
-- come without user presence.
ALTER TABLE passkeys_handshakes
    ADD COLUMN is_conditional BIGINT NOT NULL DEFAULT 0 CHECK (is_conditional IN (0, 1));
