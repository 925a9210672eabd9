//! An organization owns apps, user pools and functions.

use platform::{Fault, Row, values};

use crate::Accounts;

/// An owner of things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Opaque and stable.
    pub id: String,
    /// 12 digits, unique: what stands for an AWS account in ARNs.
    pub account_id: String,
    /// As people call it.
    pub name: String,
    /// When it was created, in milliseconds since the epoch.
    pub created_at_ms: i64,
}

impl Accounts {
    /// Creates an organization with an account id of its own.
    pub async fn create_organization(&self, name: &str) -> Result<Organization, Fault> {
        let organization = Organization {
            id: self.platform.entropy.alphanumeric(24),
            account_id: self.platform.entropy.digits(12),
            name: name.to_owned(),
            created_at_ms: self.platform.clock.now_ms(),
        };
        let row = organization.clone();
        self.platform
            .db
            .write(async move |tx| {
                tx.execute(
                    "INSERT INTO accounts_organizations (id, account_id, name, created_at_ms)
                     VALUES ($1, $2, $3, $4)",
                    values![&row.id, &row.account_id, &row.name, row.created_at_ms],
                )
                .await
            })
            .await?;
        Ok(organization)
    }

    /// The oldest organization: whom the sub-commands and `dev` act for.
    pub async fn find_first_organization(&self) -> Result<Option<Organization>, Fault> {
        self.platform
            .db
            .read(async |tx| {
                tx.row(
                    "SELECT id, account_id, name, created_at_ms FROM accounts_organizations
                     ORDER BY created_at_ms, id LIMIT 1",
                    values![],
                )
                .await?
                .map(|row| from_row(&row))
                .transpose()
            })
            .await
    }
}

pub(crate) fn from_row(row: &Row) -> Result<Organization, Fault> {
    Ok(Organization {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        name: row.get("name")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}
