//! A user's credentials as people know them: where they came from, when they
//! were used.

use platform::{Fault, Row, Tx, values};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use webauthn::{
    Algorithm, Authentication, AuthenticatorAttachment, Credential, CredentialDescriptor,
    user_handle_matches,
};

use crate::{
    AppId, DeviceId, EventId, EventType, Failure, Passkeys, Refusal, UserId,
    authenticators::Authenticators,
    caller::browser_on_system,
    events::{self, Change},
    imported::Imported,
    stored, users,
};

/// A stored credential: whose it is, where it came from, when it was used.
#[derive(Clone, Debug)]
pub struct Device {
    /// Identifies it; distinct from the credential id.
    pub id: DeviceId,
    /// Whose it is.
    pub user_id: UserId,
    /// The RP ID that it was made under and is offered under.
    pub rp_id: String,
    /// What authentications are verified with.
    pub credential: Credential,
    /// The kind of authenticator, as the client or the options of its registration said.
    pub attachment: Option<AuthenticatorAttachment>,
    /// Of the browser or app that registered it.
    pub user_agent: String,
    /// How many authentications verified with it.
    pub usage_count: i64,
    /// When it was registered.
    pub created_at_ms: i64,
    /// When anything of this record last changed.
    pub updated_at_ms: i64,
    /// When it was last used; until then the time of creation.
    pub last_login_at_ms: i64,
    /// What the import said that brought it; nothing: it was registered here.
    pub imported: Option<Imported>,
}

/// What people call the kind of a device (passkey-flex section b.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceType {
    /// Synced between devices of its user.
    Passkey,
    /// Bound to one authenticator that goes from machine to machine.
    SecurityKey,
    /// Bound to one machine.
    Platform,
}

impl Device {
    /// What to call it: as the import did, else the passkey provider or model by its
    /// AAGUID, else the browser and system that it was registered from, else
    /// `Passkey`. A hint for people; the client could have claimed any of it.
    pub(crate) fn friendly_name(&self, authenticators: &Authenticators) -> String {
        self.imported
            .as_ref()
            .and_then(|imported| imported.friendly_name.clone())
            .or_else(|| {
                let name = authenticators.name(&self.credential.aaguid);
                name.map(str::to_owned)
            })
            .or_else(|| browser_on_system(&self.user_agent))
            .unwrap_or_else(|| "Passkey".into())
    }

    /// Its kind, by what its authenticator said, or the import in its stead.
    pub fn device_type(&self) -> DeviceType {
        let imported = self.imported.as_ref();
        if let (None, Some(imported)) = (
            self.credential.backup_eligible,
            imported.and_then(|imported| imported.device_type),
        ) {
            return imported;
        }
        if self.credential.backup_eligible == Some(true) {
            DeviceType::Passkey
        } else if self.attachment == Some(AuthenticatorAttachment::CrossPlatform) {
            DeviceType::SecurityKey
        } else {
            DeviceType::Platform
        }
    }

    /// Whether a login with it may come with the user handle `sent`.
    pub(crate) fn accepts_user_handle(&self, sent: &str) -> bool {
        match &self.imported {
            None => user_handle_matches(self.user_id.as_str(), sent),
            Some(imported) => imported.accepts_user_handle(&self.user_id, sent),
        }
    }

    /// Whether a login without a transaction may come without a user handle: only
    /// with a credential that was imported without one.
    pub(crate) fn may_lack_user_handle(&self) -> bool {
        self.imported
            .as_ref()
            .is_some_and(|imported| imported.user_handle.is_none())
    }
}

impl Passkeys {
    /// The devices of a user, the oldest first.
    pub async fn list_devices(
        &self,
        app_id: &AppId,
        user_id: &UserId,
    ) -> Result<Vec<Device>, Failure> {
        let (app_id, user_id) = (app_id.clone(), user_id.clone());
        self.platform
            .db
            .read(async move |tx| {
                if users::find(tx, &app_id, &user_id).await?.is_none() {
                    return Err(Refusal::UserNotFound.into());
                }
                Ok(list(tx, &app_id, &user_id).await?)
            })
            .await
    }

    /// Deletes a device of a user: from now on no ceremony knows its credential,
    /// and nonces it earned verify no more. The user stays, even without devices.
    pub async fn revoke_device(
        &self,
        app_id: &AppId,
        user_id: &UserId,
        id: &DeviceId,
    ) -> Result<(), Failure> {
        let (app_id, user_id, id) = (app_id.clone(), user_id.clone(), id.clone());
        let now_ms = self.platform.clock.now_ms();
        let event_id = EventId::random_at(&self.platform.entropy, now_ms);
        let queued = self
            .platform
            .db
            .write(async move |tx| {
                let deleted = tx
                    .execute(
                        "DELETE FROM passkeys_devices
                         WHERE app_id = $1 AND user_id = $2 AND id = $3",
                        values![&app_id, &user_id, &id],
                    )
                    .await?;
                let user = users::find(tx, &app_id, &user_id)
                    .await?
                    .ok_or_else(|| Failure::from(Refusal::UserNotFound))?;
                if deleted == 0 {
                    return Err(Failure::from(Refusal::DeviceNotFound));
                }
                let change = Change {
                    id: &event_id,
                    event_type: EventType::DeviceRevoked,
                    user_id: &user_id,
                    external_id: &user.external_id,
                    device_id: Some(&id),
                    now_ms,
                };
                Ok(events::change(tx, &app_id, &change).await?)
            })
            .await?;
        self.wake_for(queued);
        Ok(())
    }
}

macro_rules! select_devices {
    ($where:literal) => {
        concat!(
            "SELECT id, user_id, rp_id, credential_id, public_key, algorithm, sign_count, aaguid,
                    transports, backup_eligible, backed_up, requires_user_verification, attachment,
                    user_agent, usage_count, created_at_ms, updated_at_ms, last_login_at_ms,
                    imported
             FROM passkeys_devices WHERE ",
            $where
        )
    };
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
    /// Of the browser or app.
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
                device.user_agent,
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
        select_devices!("app_id = $1 AND credential_id = $2 AND rp_id = $3"),
        values![app_id, credential_id, rp_id],
    )
    .await?
    .as_ref()
    .map(Device::from_row)
    .transpose()
}

/// The devices of a user under any RP ID, the oldest first.
pub(crate) async fn list(
    tx: &mut Tx,
    app_id: &AppId,
    user_id: &UserId,
) -> Result<Vec<Device>, Fault> {
    tx.rows(
        select_devices!("app_id = $1 AND user_id = $2 ORDER BY created_at_ms, LOWER(id), id"),
        values![app_id, user_id],
    )
    .await?
    .iter()
    .map(Device::from_row)
    .collect()
}

pub(crate) async fn delete_of_user(
    tx: &mut Tx,
    app_id: &AppId,
    user_id: &UserId,
) -> Result<u64, Fault> {
    tx.execute(
        "DELETE FROM passkeys_devices WHERE app_id = $1 AND user_id = $2",
        values![app_id, user_id],
    )
    .await
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
    pub(crate) fn from_row(row: &Row) -> Result<Device, Fault> {
        let damaged = |column: &str| Fault::new(format!("the stored {column} is damaged"));
        Ok(Device {
            id: row.get("id")?,
            user_id: row.get("user_id")?,
            rp_id: row.get("rp_id")?,
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
            attachment: stored::optional_word_of(row, "attachment")?,
            user_agent: row.get("user_agent")?,
            usage_count: row.get("usage_count")?,
            created_at_ms: row.get("created_at_ms")?,
            updated_at_ms: row.get("updated_at_ms")?,
            last_login_at_ms: row.get("last_login_at_ms")?,
            imported: stored::optional_json_of(row, "imported")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(change: impl FnOnce(&mut Device)) -> Device {
        let entropy = platform::Entropy::seeded(1);
        let mut device = Device {
            id: DeviceId::random_at(&entropy, 0),
            user_id: UserId::random_at(&entropy, 0),
            rp_id: "example.com".into(),
            credential: Credential {
                id: vec![1],
                public_key: vec![],
                algorithm: Algorithm::Es256,
                sign_count: 0,
                aaguid: [0; 16],
                transports: vec![],
                backup_eligible: None,
                backed_up: false,
                requires_user_verification: false,
            },
            attachment: None,
            user_agent: String::new(),
            usage_count: 0,
            created_at_ms: 0,
            updated_at_ms: 0,
            last_login_at_ms: 0,
            imported: None,
        };
        change(&mut device);
        device
    }

    #[test]
    fn a_device_is_called_by_its_provider_or_its_browser_or_passkey() {
        let bitwarden = 0xd548_826e_79b4_db40_a3d8_1111_6f7e_8349_u128.to_be_bytes();
        let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";
        for (aaguid, user_agent, name) in [
            (bitwarden, browser, "Bitwarden"),
            ([0; 16], browser, "Firefox on Linux"),
            ([9; 16], browser, "Firefox on Linux"),
            ([0; 16], "Firefox", "Passkey"),
            ([0; 16], "", "Passkey"),
        ] {
            let device = device(|device| {
                device.credential.aaguid = aaguid;
                device.user_agent = user_agent.into();
            });
            assert_eq!(device.friendly_name(&Authenticators::default()), name);
        }
    }

    #[test]
    fn the_type_of_a_device_is_what_its_authenticator_said() {
        use AuthenticatorAttachment::{CrossPlatform, Platform};
        for (backup_eligible, attachment, expected) in [
            (Some(true), Some(CrossPlatform), DeviceType::Passkey),
            (Some(true), None, DeviceType::Passkey),
            (Some(false), Some(CrossPlatform), DeviceType::SecurityKey),
            (None, Some(CrossPlatform), DeviceType::SecurityKey),
            (Some(false), Some(Platform), DeviceType::Platform),
            (Some(false), None, DeviceType::Platform),
        ] {
            let device = device(|device| {
                device.credential.backup_eligible = backup_eligible;
                device.attachment = attachment;
            });
            assert_eq!(device.device_type(), expected);
        }
    }
}
