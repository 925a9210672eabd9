//! A user's credentials as people know them: where they came from, when they
//! were used.

use platform::{Fault, Row, Tx, values};
use webauthn::{
    Algorithm, Authentication, AuthenticatorAttachment, Credential, CredentialDescriptor,
};

use crate::{
    AppId,
    ids::{DeviceId, UserId},
    stored,
};

/// A stored credential and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) user_id: UserId,
    pub(crate) credential: Credential,
}

/// A device to be stored.
#[derive(Debug)]
pub(crate) struct NewDevice<'a> {
    pub(crate) id: &'a DeviceId,
    pub(crate) user_id: &'a UserId,
    /// The RP ID of the ceremony; a credential is never offered under another one.
    pub(crate) rp_id: &'a str,
    pub(crate) credential: &'a Credential,
    /// The kind of authenticator, as the client said or as the options demanded.
    pub(crate) attachment: Option<AuthenticatorAttachment>,
    /// Of the browser or app, at most [`USER_AGENT_CHARACTERS_MAX`] characters of it.
    pub(crate) user_agent: &'a str,
    pub(crate) now_ms: i64,
}

/// Stores a device. False when the app already has this credential, whoever's
/// it is: the unique key decides, also between two at once (webauthn-checks R43, R44).
pub(crate) async fn insert(
    tx: &mut Tx,
    app_id: &AppId,
    device: &NewDevice<'_>,
) -> Result<bool, Fault> {
    let credential = device.credential;
    let user_agent: String = device
        .user_agent
        .chars()
        .filter(|character| *character != '\0')
        .take(USER_AGENT_CHARACTERS_MAX)
        .collect();
    let inserted = tx
        .execute(
            "INSERT INTO passkeys_devices (
                app_id, id, user_id, rp_id, credential_id, public_key, algorithm, sign_count,
                aaguid, transports, backup_eligible, backed_up, requires_user_verification,
                attachment, user_agent, usage_count, created_at_ms, updated_at_ms,
                last_login_at_ms
             ) VALUES (
                $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, $16, $16, $16
             )
             ON CONFLICT DO NOTHING",
            values![
                app_id,
                device.id,
                device.user_id,
                device.rp_id,
                &credential.id,
                &credential.public_key,
                credential.algorithm.cose_id(),
                credential.sign_count,
                &credential.aaguid[..],
                stored::json(&credential.transports),
                credential.backup_eligible,
                credential.backed_up,
                credential.requires_user_verification,
                device.attachment.map(stored::word),
                user_agent,
                device.now_ms,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// The device of this credential id, among those made under `rp_id`.
pub(crate) async fn find_by_credential_id(
    tx: &mut Tx,
    app_id: &AppId,
    rp_id: &str,
    credential_id: &[u8],
) -> Result<Option<Device>, Fault> {
    tx.row(
        "SELECT id, user_id, credential_id, public_key, algorithm, sign_count, aaguid, transports,
                backup_eligible, backed_up, requires_user_verification
         FROM passkeys_devices
         WHERE app_id = $1 AND credential_id = $2 AND rp_id = $3",
        values![app_id, credential_id, rp_id],
    )
    .await?
    .as_ref()
    .map(Device::from_row)
    .transpose()
}

/// The credentials that a user has under `rp_id`, as options name them, the oldest first.
pub(crate) async fn list_descriptors(
    tx: &mut Tx,
    app_id: &AppId,
    user_id: &UserId,
    rp_id: &str,
) -> Result<Vec<(DeviceId, CredentialDescriptor)>, Fault> {
    tx.rows(
        "SELECT id, credential_id, transports FROM passkeys_devices
         WHERE app_id = $1 AND user_id = $2 AND rp_id = $3
         ORDER BY created_at_ms",
        values![app_id, user_id, rp_id],
    )
    .await?
    .iter()
    .map(|row| {
        let descriptor = CredentialDescriptor {
            id: row.get("credential_id")?,
            transports: stored::json_of(row, "transports")?,
        };
        Ok((row.get("id")?, descriptor))
    })
    .collect()
}

/// Whether a user has a credential under `rp_id`.
pub(crate) async fn exist(
    tx: &mut Tx,
    app_id: &AppId,
    user_id: &UserId,
    rp_id: &str,
) -> Result<bool, Fault> {
    let row = tx
        .row(
            "SELECT id FROM passkeys_devices
             WHERE app_id = $1 AND user_id = $2 AND rp_id = $3 LIMIT 1",
            values![app_id, user_id, rp_id],
        )
        .await?;
    Ok(row.is_some())
}

/// Counts a login and stores what the credential said about itself.
///
/// False when `device` is not as it was read: deleted meanwhile, or its counter
/// moved by another login. So of two logins with the same counter at once one
/// has to look again (webauthn-checks L36), and the counter never goes down (L35).
pub(crate) async fn record_login(
    tx: &mut Tx,
    app_id: &AppId,
    device: &Device,
    facts: &Authentication,
    now_ms: i64,
) -> Result<bool, Fault> {
    let seen = device.credential.sign_count;
    let changed = tx
        .execute(
            "UPDATE passkeys_devices
             SET sign_count = $4, backup_eligible = $5, backed_up = $6,
                 usage_count = usage_count + 1, last_login_at_ms = $7, updated_at_ms = $7
             WHERE app_id = $1 AND id = $2 AND sign_count = $3",
            values![
                app_id,
                &device.id,
                seen,
                seen.max(facts.sign_count),
                facts.backup_eligible,
                facts.backed_up,
                now_ms,
            ],
        )
        .await?;
    Ok(changed == 1)
}

impl Device {
    fn from_row(row: &Row) -> Result<Device, Fault> {
        let damaged = |column: &str| Fault::new(format!("the stored {column} is damaged"));
        Ok(Device {
            id: row.get("id")?,
            user_id: row.get("user_id")?,
            credential: Credential {
                id: row.get("credential_id")?,
                public_key: row.get("public_key")?,
                algorithm: Algorithm::from_cose_id(row.get("algorithm")?)
                    .ok_or_else(|| damaged("algorithm"))?,
                sign_count: row.get("sign_count")?,
                aaguid: row
                    .get::<Vec<u8>>("aaguid")?
                    .try_into()
                    .map_err(|_| damaged("AAGUID"))?,
                transports: stored::json_of(row, "transports")?,
                backup_eligible: row.get("backup_eligible")?,
                backed_up: row.get("backed_up")?,
                requires_user_verification: row.get("requires_user_verification")?,
            },
        })
    }
}

const USER_AGENT_CHARACTERS_MAX: usize = 512;
