//! The users of a pool: where they are kept, by which names they are found, how they change.
//!
//! What does not live here: registration (`sign_up`), signing in (`auth`), the rules of attributes
//! (`attributes`).

use std::collections::BTreeMap;

use accounts::Organization;
use platform::{Fault, Row, Tx, values};
use serde_json::{Value, json};

use crate::{
    Error, Refusal, SessionDenial, UserPools,
    app_clients::ClientConfiguration,
    attributes::{self, Attributes, Contact, PREFERRED_USERNAME, SUB},
    user_pools::{AliasAttribute, UserPool},
};

/// One user.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) user_pool_id: String,
    /// A UUID.
    pub(crate) sub: String,
    /// The internal username: what the user chose, or `sub` in pools with username attributes.
    pub(crate) username: String,
    pub(crate) attributes: Attributes,
    pub(crate) password_hash: Option<String>,
    /// When a temporary password stops working.
    pub(crate) password_expires_at_ms: Option<i64>,
    pub(crate) status: UserStatus,
    pub(crate) is_enabled: bool,
    pub(crate) created_at_ms: i64,
    pub(crate) updated_at_ms: i64,
}

/// Where a user stands (`cognito.md` §15.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserStatus {
    Unconfirmed,
    Confirmed,
    ForceChangePassword,
    ResetRequired,
}

impl UserStatus {
    const ALL: [UserStatus; 4] = [
        UserStatus::Unconfirmed,
        UserStatus::Confirmed,
        UserStatus::ForceChangePassword,
        UserStatus::ResetRequired,
    ];

    /// The name on the wire and in the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            UserStatus::Unconfirmed => "UNCONFIRMED",
            UserStatus::Confirmed => "CONFIRMED",
            UserStatus::ForceChangePassword => "FORCE_CHANGE_PASSWORD",
            UserStatus::ResetRequired => "RESET_REQUIRED",
        }
    }
}

/// What kind of name a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameKind {
    Username,
    Contact(Contact),
    PreferredUsername,
}

impl NameKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            NameKind::Username => "username",
            NameKind::Contact(contact) => contact.attribute(),
            NameKind::PreferredUsername => PREFERRED_USERNAME,
        }
    }

    fn parse(name: &str) -> Option<NameKind> {
        [
            NameKind::Username,
            NameKind::Contact(Contact::Email),
            NameKind::Contact(Contact::PhoneNumber),
            NameKind::PreferredUsername,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

impl User {
    fn from_row(row: &Row) -> Result<User, Fault> {
        let status: String = row.get("status")?;
        Ok(User {
            user_pool_id: row.get("user_pool_id")?,
            sub: row.get("sub")?,
            username: row.get("username")?,
            attributes: serde_json::from_str(&row.get::<String>("attributes")?)
                .map_err(|error| Fault::while_doing("reading a user's attributes", error))?,
            password_hash: row.get("password_hash")?,
            password_expires_at_ms: row.get("password_expires_at_ms")?,
            status: UserStatus::ALL
                .into_iter()
                .find(|known| known.name() == status)
                .ok_or_else(|| Fault::new("a user has an unknown status"))?,
            is_enabled: row.get("is_enabled")?,
            created_at_ms: row.get("created_at_ms")?,
            updated_at_ms: row.get("updated_at_ms")?,
        })
    }

    /// `UserAttributes` of an answer: `sub` first, then what the filter lets through.
    pub(crate) fn attribute_list(&self, may_read: impl Fn(&str) -> bool) -> Value {
        let sub = std::iter::once((SUB, self.sub.as_str()));
        let others = self
            .attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        sub.chain(others.filter(|(name, _)| may_read(name)))
            .map(|(name, value)| json!({ "Name": name, "Value": value }))
            .collect()
    }

    pub(crate) fn is_verified(&self, contact: Contact) -> bool {
        self.attributes
            .get(contact.verified_attribute())
            .is_some_and(|verified| verified == "true")
    }

    /// The body of GetUser: what the client may read.
    pub(crate) fn describe(&self, client: &ClientConfiguration) -> Value {
        json!({
            "Username": self.username,
            "UserAttributes": self.attribute_list(|name| client.may_read(name)),
        })
    }

    /// Every text that names this user in its pool, with its kind. In pools with username
    /// attributes an address names its user at once; an alias only when it is verified
    /// (`cognito.md` §15.2).
    fn names(&self, pool: &UserPool) -> BTreeMap<String, NameKind> {
        let mut names = BTreeMap::new();
        if pool.configuration.has_username_attributes() {
            for &contact in &pool.configuration.username_attributes {
                if let Some(address) = self.attributes.get(contact.attribute()) {
                    names.insert(
                        pool.configuration.name_key(address),
                        NameKind::Contact(contact),
                    );
                }
            }
            return names;
        }
        for (alias, contact) in [
            (AliasAttribute::Email, Contact::Email),
            (AliasAttribute::PhoneNumber, Contact::PhoneNumber),
        ] {
            if pool.configuration.has_alias(alias)
                && self.is_verified(contact)
                && let Some(address) = self.attributes.get(contact.attribute())
            {
                names.insert(
                    pool.configuration.name_key(address),
                    NameKind::Contact(contact),
                );
            }
        }
        if pool
            .configuration
            .has_alias(AliasAttribute::PreferredUsername)
            && self.status != UserStatus::Unconfirmed
            && let Some(name) = self.attributes.get(PREFERRED_USERNAME)
        {
            names.insert(
                pool.configuration.name_key(name),
                NameKind::PreferredUsername,
            );
        }
        names.insert(
            pool.configuration.name_key(&self.username),
            NameKind::Username,
        );
        names
    }

    /// Stores a new user and its names. Each name is taken by one statement: of two users who want
    /// the same, one gets the row.
    pub(crate) async fn insert(&self, tx: &mut Tx, pool: &UserPool) -> Result<(), Error> {
        // A username that is another user's `sub` would stand before it in every search.
        let shadowed = tx
            .row(
                "SELECT sub FROM pools_users WHERE user_pool_id = $1 AND sub = $2",
                values![&self.user_pool_id, &self.username],
            )
            .await?;
        if shadowed.is_some() {
            return Err(Refusal::UsernameExists(None).into());
        }
        for (key, kind) in self.names(pool) {
            if !self.claim_name(tx, &key, kind).await? {
                return Err(Refusal::UsernameExists(match kind {
                    NameKind::Contact(contact) => Some(contact),
                    NameKind::Username | NameKind::PreferredUsername => None,
                })
                .into());
            }
        }
        tx.execute(
            "INSERT INTO pools_users
                (user_pool_id, sub, username, attributes, password_hash, password_expires_at_ms,
                 status, is_enabled, revision, created_at_ms, updated_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10)",
            values![
                &self.user_pool_id,
                &self.sub,
                &self.username,
                self.stored_attributes(),
                &self.password_hash,
                self.password_expires_at_ms,
                self.status.name(),
                self.is_enabled,
                self.created_at_ms,
                self.updated_at_ms,
            ],
        )
        .await?;
        Ok(())
    }

    /// The user for changing: later writers of the same user wait until this transaction ends, so
    /// what is read here is what [`User::save`] changes.
    pub(crate) async fn lock(tx: &mut Tx, pool_id: &str, sub: &str) -> Result<Option<User>, Fault> {
        tx.row(
            "UPDATE pools_users SET revision = revision + 1 WHERE user_pool_id = $1 AND sub = $2
             RETURNING user_pool_id, sub, username, attributes, password_hash, password_expires_at_ms,
                       status, is_enabled, created_at_ms, updated_at_ms",
            values![pool_id, sub],
        )
        .await?
        .as_ref()
        .map(User::from_row)
        .transpose()
    }

    /// Stores a locked user with its changes and brings its names up to date. Refuses an alias
    /// that belongs to another user; with `takes_aliases` the alias moves instead and the other
    /// user's address becomes unverified.
    pub(crate) async fn save(
        &mut self,
        tx: &mut Tx,
        pool: &UserPool,
        now_ms: i64,
        takes_aliases: bool,
    ) -> Result<(), Error> {
        let wanted = self.names(pool);
        let held = tx
            .rows(
                "SELECT name_key FROM pools_sign_in_names WHERE user_pool_id = $1 AND sub = $2",
                values![&self.user_pool_id, &self.sub],
            )
            .await?;
        let mut missing = wanted;
        for row in held {
            let key: String = row.get("name_key")?;
            if missing.remove(&key).is_none() {
                tx.execute(
                    "DELETE FROM pools_sign_in_names
                     WHERE user_pool_id = $1 AND name_key = $2 AND sub = $3",
                    values![&self.user_pool_id, &key, &self.sub],
                )
                .await?;
            }
        }
        for (key, kind) in missing {
            if self.claim_name(tx, &key, kind).await? {
                continue;
            }
            let moved = takes_aliases && self.take_alias(tx, &key, kind, now_ms).await?;
            if !moved {
                return Err(Refusal::AliasExists(kind.name()).into());
            }
        }
        self.updated_at_ms = now_ms;
        tx.execute(
            "UPDATE pools_users
             SET attributes = $3, password_hash = $4, password_expires_at_ms = $5, status = $6,
                 is_enabled = $7, updated_at_ms = $8
             WHERE user_pool_id = $1 AND sub = $2",
            values![
                &self.user_pool_id,
                &self.sub,
                self.stored_attributes(),
                &self.password_hash,
                self.password_expires_at_ms,
                self.status.name(),
                self.is_enabled,
                now_ms,
            ],
        )
        .await?;
        Ok(())
    }

    async fn claim_name(&self, tx: &mut Tx, key: &str, kind: NameKind) -> Result<bool, Fault> {
        let claimed = tx
            .execute(
                "INSERT INTO pools_sign_in_names (user_pool_id, name_key, kind, sub)
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                values![&self.user_pool_id, key, kind.name(), &self.sub],
            )
            .await?;
        Ok(claimed == 1)
    }

    /// Moves an address from whoever has it as an alias. A username never moves.
    async fn take_alias(
        &self,
        tx: &mut Tx,
        key: &str,
        kind: NameKind,
        now_ms: i64,
    ) -> Result<bool, Fault> {
        let NameKind::Contact(contact) = kind else {
            return Ok(false);
        };
        let holder = tx
            .row(
                "SELECT sub FROM pools_sign_in_names
                 WHERE user_pool_id = $1 AND name_key = $2 AND kind = $3",
                values![&self.user_pool_id, key, kind.name()],
            )
            .await?;
        let Some(holder) = holder else {
            return Ok(false);
        };
        let holder: String = holder.get("sub")?;
        let moved = tx
            .execute(
                "UPDATE pools_sign_in_names SET sub = $4
                 WHERE user_pool_id = $1 AND name_key = $2 AND sub = $3",
                values![&self.user_pool_id, key, &holder, &self.sub],
            )
            .await?;
        if moved == 0 {
            return Ok(false);
        }
        if let Some(mut other) = User::lock(tx, &self.user_pool_id, &holder).await? {
            let verified = contact.verified_attribute().to_owned();
            other.attributes.insert(verified, "false".to_owned());
            tx.execute(
                "UPDATE pools_users SET attributes = $3, updated_at_ms = $4
                 WHERE user_pool_id = $1 AND sub = $2",
                values![
                    &other.user_pool_id,
                    &other.sub,
                    other.stored_attributes(),
                    now_ms
                ],
            )
            .await?;
        }
        Ok(true)
    }

    fn stored_attributes(&self) -> String {
        json!(self.attributes).to_string()
    }
}

impl UserPools {
    /// A user by username, `sub` or alias, in this order, and as what the text named it
    /// (nothing: as `sub`).
    pub(crate) async fn find_user(
        &self,
        pool: &UserPool,
        name: &str,
    ) -> Result<Option<(User, Option<NameKind>)>, Fault> {
        // No stored name has this character, and PostgreSQL does not take it.
        if name.contains('\0') {
            return Ok(None);
        }
        let (pool_id, key, sub) = (
            pool.id.clone(),
            pool.configuration.name_key(name),
            name.to_owned(),
        );
        let row = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT u.user_pool_id, u.sub, u.username, u.attributes, u.password_hash,
                            u.password_expires_at_ms, u.status, u.is_enabled, u.created_at_ms,
                            u.updated_at_ms, n.kind AS found_by,
                            CASE WHEN n.kind = 'username' THEN 0 ELSE 2 END AS place
                     FROM pools_sign_in_names n
                     JOIN pools_users u ON u.user_pool_id = n.user_pool_id AND u.sub = n.sub
                     WHERE n.user_pool_id = $1 AND n.name_key = $2
                     UNION ALL
                     SELECT user_pool_id, sub, username, attributes, password_hash,
                            password_expires_at_ms, status, is_enabled, created_at_ms,
                            updated_at_ms, 'sub' AS found_by, 1 AS place
                     FROM pools_users WHERE user_pool_id = $1 AND sub = $3
                     ORDER BY place LIMIT 1",
                    values![&pool_id, &key, &sub],
                )
                .await
            })
            .await?;
        row.map(|row| {
            let kind = NameKind::parse(&row.get::<String>("found_by")?);
            Ok((User::from_row(&row)?, kind))
        })
        .transpose()
    }

    pub(crate) async fn find_user_by_sub(
        &self,
        pool_id: &str,
        sub: &str,
    ) -> Result<Option<User>, Fault> {
        let (pool_id, sub) = (pool_id.to_owned(), sub.to_owned());
        let row = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT user_pool_id, sub, username, attributes, password_hash,
                            password_expires_at_ms, status, is_enabled, created_at_ms, updated_at_ms
                     FROM pools_users WHERE user_pool_id = $1 AND sub = $2",
                    values![&pool_id, &sub],
                )
                .await
            })
            .await?;
        row.as_ref().map(User::from_row).transpose()
    }

    /// The pool and user of a signed call about one user.
    pub(crate) async fn find_owned_user(
        &self,
        organization: &Organization,
        pool_id: &str,
        name: &str,
    ) -> Result<(UserPool, User), Error> {
        let pool = self.find_owned_user_pool(organization, pool_id).await?;
        let (user, _) = self
            .find_user(&pool, name)
            .await?
            .ok_or(Refusal::UserNotFound)?;
        Ok((pool, user))
    }

    pub(crate) async fn count_users(&self, pool: &UserPool) -> Result<i64, Fault> {
        let id = pool.id.clone();
        self.0
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT COUNT(*) AS users FROM pools_users WHERE user_pool_id = $1",
                    values![&id],
                )
                .await?
                .ok_or_else(|| Fault::new("a count gave no row"))?
                .get("users")
            })
            .await
    }

    /// Changes a user's attributes with an administrator's rights (`cognito.md` §5.3).
    pub(crate) async fn update_attributes(
        &self,
        pool: &UserPool,
        sub: &str,
        changes: Attributes,
    ) -> Result<(), Error> {
        pool.configuration.schema().check_update(&changes)?;
        let now_ms = self.0.platform.clock.now_ms();
        let (pool, sub) = (pool.clone(), sub.to_owned());
        self.0
            .platform
            .db
            .write(async move |tx| {
                let mut user = User::lock(tx, &pool.id, &sub)
                    .await?
                    .ok_or(Refusal::UserNotFound)?;
                attributes::apply(&mut user.attributes, &changes);
                for contact in [Contact::Email, Contact::PhoneNumber] {
                    let is_about = changes
                        .get(contact.verified_attribute())
                        .is_some_and(|verified| !verified.is_empty());
                    if is_about && !user.attributes.contains_key(contact.attribute()) {
                        return Err(Refusal::VerificationWithoutAddress(contact).into());
                    }
                }
                user.save(tx, &pool, now_ms, false).await
            })
            .await
    }

    /// Sets a password that passed no trigger: `is_permanent` confirms the user, otherwise it must
    /// be changed at the next sign-in (`cognito.md` §15.1).
    pub(crate) async fn set_password(
        &self,
        pool: &UserPool,
        sub: &str,
        password: &str,
        is_permanent: bool,
    ) -> Result<(), Error> {
        pool.configuration.password_policy().check(password)?;
        let hash = self.hash_password(password).await?;
        let now_ms = self.0.platform.clock.now_ms();
        let days = pool
            .configuration
            .password_policy()
            .temporary_password_validity_days;
        let (pool, sub) = (pool.clone(), sub.to_owned());
        self.0
            .platform
            .db
            .write(async move |tx| {
                let mut user = User::lock(tx, &pool.id, &sub)
                    .await?
                    .ok_or(Refusal::UserNotFound)?;
                user.password_hash = Some(hash.clone());
                (user.status, user.password_expires_at_ms) = if is_permanent {
                    (UserStatus::Confirmed, None)
                } else {
                    // Zero days means the default of seven.
                    let days = if days == 0 { 7 } else { days };
                    let expires_at_ms = now_ms + days * 24 * 60 * 60 * 1000;
                    (UserStatus::ForceChangePassword, Some(expires_at_ms))
                };
                user.save(tx, &pool, now_ms, false).await
            })
            .await
    }

    /// Puts the user's own password in the place of a temporary one, with the attributes that were
    /// missing. Refuses when there is no temporary one any more.
    pub(crate) async fn replace_temporary_password(
        &self,
        pool: &UserPool,
        sub: &str,
        password: &str,
        changes: Attributes,
    ) -> Result<User, Error> {
        let hash = self.hash_password(password).await?;
        let now_ms = self.0.platform.clock.now_ms();
        let (pool, sub) = (pool.clone(), sub.to_owned());
        self.0
            .platform
            .db
            .write(async move |tx| {
                let mut user = User::lock(tx, &pool.id, &sub)
                    .await?
                    .filter(|user| user.status == UserStatus::ForceChangePassword)
                    .ok_or(SessionDenial::Unknown)?;
                attributes::apply(&mut user.attributes, &changes);
                user.password_hash = Some(hash.clone());
                user.password_expires_at_ms = None;
                user.status = UserStatus::Confirmed;
                user.save(tx, &pool, now_ms, false).await?;
                Ok::<_, Error>(user)
            })
            .await
    }

    /// Deletes a user with its names and codes. Its refresh tokens stay as rows that say so.
    pub(crate) async fn delete_user(&self, user: &User) -> Result<(), Fault> {
        let (pool_id, sub) = (user.user_pool_id.clone(), user.sub.clone());
        self.0
            .platform
            .db
            .write(async move |tx| {
                for statement in [
                    "DELETE FROM pools_users WHERE user_pool_id = $1 AND sub = $2",
                    "DELETE FROM pools_sign_in_names WHERE user_pool_id = $1 AND sub = $2",
                    "DELETE FROM pools_codes WHERE user_pool_id = $1 AND sub = $2",
                    "DELETE FROM pools_password_failures WHERE user_pool_id = $1 AND subject = $2",
                ] {
                    tx.execute(statement, values![&pool_id, &sub]).await?;
                }
                Ok(())
            })
            .await
    }
}
