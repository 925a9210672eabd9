//! Who else may invoke a function: the statements of its policy (lambda.md §5.2, §11).

use platform::{Fault, Row, Tx, values};
use serde::Serialize;

use crate::{
    Error, Functions, Refusal,
    functions::{self, Function},
    names,
};

const POLICY_BYTES_MAX: usize = 20 * 1024;

/// A permission to be added to a function's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Unique in the policy; `[a-zA-Z0-9-_]+`, at most 100 characters.
    pub statement_id: String,
    /// Such as `lambda:InvokeFunction`.
    pub action: String,
    /// A service such as `cognito-idp.amazonaws.com`, an account number, an ARN, or `*`.
    pub principal: String,
    /// Which resource of the service may, such as the ARN of a user pool; `*` and `?` are wild.
    pub source_arn: Option<String>,
    /// Which account's resources of the service may.
    pub source_account: Option<String>,
}

/// A statement as it stands in a policy. The order of the fields is the real service's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    sid: String,
    effect: &'static str,
    principal: Principal,
    action: String,
    resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum Principal {
    Service(String),
    #[serde(rename = "AWS")]
    Aws(String),
    #[serde(untagged)]
    Anybody(&'static str),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_equals: Option<SourceAccount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn_like: Option<SourceArn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct SourceAccount {
    #[serde(rename = "AWS:SourceAccount")]
    source_account: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct SourceArn {
    #[serde(rename = "AWS:SourceArn")]
    source_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    version: &'static str,
    id: &'static str,
    statement: Vec<Statement>,
}

impl Permission {
    fn statement(&self, function_arn: &str) -> Statement {
        let is_account =
            self.principal.len() == 12 && self.principal.bytes().all(|byte| byte.is_ascii_digit());
        let condition = Condition {
            string_equals: self
                .source_account
                .clone()
                .map(|source_account| SourceAccount { source_account }),
            arn_like: self
                .source_arn
                .clone()
                .map(|source_arn| SourceArn { source_arn }),
        };
        Statement {
            sid: self.statement_id.clone(),
            effect: "Allow",
            principal: match self.principal.as_str() {
                "*" => Principal::Anybody("*"),
                account if is_account => Principal::Aws(format!("arn:aws:iam::{account}:root")),
                arn if arn.starts_with("arn:") => Principal::Aws(arn.to_owned()),
                service => Principal::Service(service.to_owned()),
            },
            action: self.action.clone(),
            resource: function_arn.to_owned(),
            condition: (condition != Condition::default()).then_some(condition),
        }
    }

    /// Whether the permission lets `service` invoke the function for the resource `source_arn`.
    fn allows(&self, service: &str, source_arn: &str) -> bool {
        let is_action = matches!(
            self.action.as_str(),
            "lambda:InvokeFunction" | "lambda:*" | "*"
        );
        let is_principal = self.principal == "*" || self.principal == service;
        let is_source = self
            .source_arn
            .as_ref()
            .is_none_or(|pattern| names::is_arn_like(pattern, source_arn));
        let is_account = self
            .source_account
            .as_ref()
            .is_none_or(|account| source_arn.split(':').nth(4) == Some(account.as_str()));
        is_action && is_principal && is_source && is_account
    }
}

/// A function's policy as text, and the revision of the policy.
pub(crate) struct PolicyText {
    pub(crate) json: String,
    pub(crate) revision_id: String,
}

impl Functions {
    /// Adds a permission to a function's policy and gives the statement as JSON text.
    pub async fn add_permission(
        &self,
        organization_id: &str,
        function: &str,
        permission: Permission,
        revision_id: Option<String>,
    ) -> Result<String, Error> {
        let function = self.policy_owner(organization_id, function).await?;
        let arn = self.arn(&function);
        let statement = permission.statement(&arn);
        let now_ms = self.inner.platform.clock.now_ms();
        let new_revision_id = self.inner.platform.entropy.uuid().to_string();
        self.inner
            .platform
            .db
            .write(async move |tx| {
                begin_policy_change(tx, &function, revision_id.as_deref(), &new_revision_id)
                    .await?;
                let mut statements = statements(tx, &function.id, &arn).await?;
                statements.push(permission.statement(&arn));
                if policy_text(statements)?.len() > POLICY_BYTES_MAX {
                    return Err(Error::from(Refusal::PolicyTooLong));
                }
                let added = tx
                    .execute(
                        "INSERT INTO functions_permissions (
                            function_id, statement_id, action, principal, source_arn,
                            source_account, created_at_ms
                         ) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                        values![
                            &function.id,
                            &permission.statement_id,
                            &permission.action,
                            &permission.principal,
                            &permission.source_arn,
                            &permission.source_account,
                            now_ms
                        ],
                    )
                    .await?;
                if added == 0 {
                    return Err(Refusal::StatementExists {
                        statement_id: permission.statement_id.clone(),
                    }
                    .into());
                }
                Ok(())
            })
            .await?;
        Ok(to_json(&statement)?)
    }

    /// A function's policy. Refuses when it has no statement.
    pub(crate) async fn policy(
        &self,
        organization_id: &str,
        function: &str,
    ) -> Result<PolicyText, Error> {
        let function = self.policy_owner(organization_id, function).await?;
        let arn = self.arn(&function);
        let id = function.id;
        let statements = self
            .inner
            .platform
            .db
            .read(async move |tx| statements(tx, &id, &arn).await)
            .await?;
        if statements.is_empty() {
            return Err(Refusal::PolicyNotFound.into());
        }
        Ok(PolicyText {
            json: policy_text(statements)?,
            revision_id: function.policy_revision_id,
        })
    }

    /// Takes a statement out of a function's policy.
    pub async fn remove_permission(
        &self,
        organization_id: &str,
        function: &str,
        statement_id: &str,
        revision_id: Option<String>,
    ) -> Result<(), Error> {
        let function = self.policy_owner(organization_id, function).await?;
        let statement_id = statement_id.to_owned();
        let new_revision_id = self.inner.platform.entropy.uuid().to_string();
        self.inner
            .platform
            .db
            .write(async move |tx| {
                begin_policy_change(tx, &function, revision_id.as_deref(), &new_revision_id)
                    .await?;
                let removed = tx
                    .execute(
                        "DELETE FROM functions_permissions
                         WHERE function_id = $1 AND statement_id = $2",
                        values![&function.id, &statement_id],
                    )
                    .await?;
                if removed == 0 {
                    return Err(Error::from(Refusal::StatementNotFound {
                        statement_id: statement_id.clone(),
                    }));
                }
                Ok(())
            })
            .await
    }

    /// Whether the function's policy lets a service (`cognito-idp.amazonaws.com`) invoke it for a
    /// resource of that service (a user pool's ARN). No for a function that does not exist.
    pub async fn permits(
        &self,
        organization_id: &str,
        function: &str,
        principal_service: &str,
        source_arn: &str,
    ) -> Result<bool, Fault> {
        let Some(function) = self.find_function(organization_id, function).await? else {
            return Ok(false);
        };
        let permissions = self
            .inner
            .platform
            .db
            .read(async move |tx| permissions(tx, &function.id).await)
            .await?;
        Ok(permissions
            .iter()
            .any(|permission| permission.allows(principal_service, source_arn)))
    }

    async fn policy_owner(&self, organization_id: &str, name: &str) -> Result<Function, Error> {
        let reference = functions::parse(name)?;
        if reference.qualifier.as_deref() == Some(names::LATEST) {
            return Err(Refusal::InvalidParameter(
                "We currently do not support adding policies for $LATEST.".into(),
            )
            .into());
        }
        self.resolve(organization_id, &reference).await
    }
}

/// Takes the policy's revision: of two changes that name the same revision one is refused.
async fn begin_policy_change(
    tx: &mut Tx,
    function: &Function,
    expected_revision_id: Option<&str>,
    new_revision_id: &str,
) -> Result<(), Error> {
    let expected = expected_revision_id.unwrap_or_default();
    let is_changed = tx
        .execute(
            "UPDATE functions_functions SET policy_revision_id = $2
             WHERE id = $1 AND (policy_revision_id = $3 OR CAST($3 AS TEXT) = '')",
            values![&function.id, new_revision_id, expected],
        )
        .await?
        == 1;
    match (is_changed, expected_revision_id) {
        (true, _) => Ok(()),
        (false, Some(_)) => Err(Refusal::RevisionMismatch.into()),
        (false, None) => Err(Refusal::FunctionNotFound {
            function: function.name.clone(),
        }
        .into()),
    }
}

async fn permissions(tx: &mut Tx, function_id: &str) -> Result<Vec<Permission>, Fault> {
    tx.rows(
        "SELECT statement_id, action, principal, source_arn, source_account
         FROM functions_permissions WHERE function_id = $1 ORDER BY created_at_ms, statement_id",
        values![function_id],
    )
    .await?
    .iter()
    .map(from_row)
    .collect()
}

async fn statements(
    tx: &mut Tx,
    function_id: &str,
    function_arn: &str,
) -> Result<Vec<Statement>, Fault> {
    let permissions = permissions(tx, function_id).await?;
    Ok(permissions
        .iter()
        .map(|permission| permission.statement(function_arn))
        .collect())
}

fn from_row(row: &Row) -> Result<Permission, Fault> {
    Ok(Permission {
        statement_id: row.get("statement_id")?,
        action: row.get("action")?,
        principal: row.get("principal")?,
        source_arn: row.get("source_arn")?,
        source_account: row.get("source_account")?,
    })
}

fn policy_text(statement: Vec<Statement>) -> Result<String, Fault> {
    to_json(&Policy {
        version: "2012-10-17",
        id: "default",
        statement,
    })
}

fn to_json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::while_doing("writing a policy", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbC";
    const SERVICE: &str = "cognito-idp.amazonaws.com";

    fn permission() -> Permission {
        Permission {
            statement_id: "pool".into(),
            action: "lambda:InvokeFunction".into(),
            principal: SERVICE.into(),
            source_arn: Some(POOL.into()),
            source_account: Some("123456789012".into()),
        }
    }

    fn written(permission: &Permission) -> String {
        to_json(&permission.statement("arn:fn")).unwrap()
    }

    #[test]
    fn a_statement_is_written_with_its_keys_in_the_contracts_order() {
        assert_eq!(
            written(&permission()),
            format!(
                r#"{{"Sid":"pool","Effect":"Allow","Principal":{{"Service":"{SERVICE}"}},"Action":"lambda:InvokeFunction","Resource":"arn:fn","Condition":{{"StringEquals":{{"AWS:SourceAccount":"123456789012"}},"ArnLike":{{"AWS:SourceArn":"{POOL}"}}}}}}"#
            )
        );
        let anybody = Permission {
            principal: "*".into(),
            source_arn: None,
            source_account: None,
            ..permission()
        };
        assert_eq!(
            written(&anybody),
            r#"{"Sid":"pool","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"arn:fn"}"#
        );
        let account = Permission {
            principal: "210987654321".into(),
            ..anybody
        };
        assert!(
            written(&account).contains(r#""Principal":{"AWS":"arn:aws:iam::210987654321:root"}"#)
        );
    }

    #[test]
    fn a_permission_allows_what_it_names_and_nothing_near_it() {
        assert!(permission().allows(SERVICE, POOL));
        let other_pool = POOL.replace("AbC", "XyZ");
        let other_account = POOL.replace("123456789012", "000000000000");
        assert!(!permission().allows(SERVICE, &other_pool));
        assert!(!permission().allows("s3.amazonaws.com", POOL));
        let of_account = Permission {
            source_arn: None,
            ..permission()
        };
        assert!(of_account.allows(SERVICE, &other_pool));
        assert!(!of_account.allows(SERVICE, &other_account));
        let other_action = Permission {
            action: "lambda:GetFunction".into(),
            ..permission()
        };
        assert!(!other_action.allows(SERVICE, POOL));
    }
}
