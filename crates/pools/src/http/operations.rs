//! The table of operations: a name on the wire, who may call it, and the file that reads its input.

mod admin_confirm_sign_up;
mod admin_delete_user;
mod admin_get_user;
mod admin_set_user_password;
mod admin_update_user_attributes;
mod confirm_sign_up;
mod create_user_pool;
mod create_user_pool_client;
mod delete_user_pool;
mod delete_user_pool_client;
mod describe_user_pool;
mod describe_user_pool_client;
mod get_user;
mod global_sign_out;
mod initiate_auth;
mod list_user_pool_clients;
mod list_user_pools;
mod respond_to_auth_challenge;
mod revoke_token;
mod sign_up;
mod update_user_pool;
mod update_user_pool_client;

use std::pin::Pin;

use accounts::Organization;
use aws_protocol::input::{Input, Size};
use serde_json::Value;

use super::Object;
use crate::{
    Error, UserPools,
    attributes::Attributes,
    auth::{driver::Caller, triggers::ClientMetadata},
    shapes,
};

/// One operation.
pub(super) struct Operation {
    name: &'static str,
    pub(super) handler: Handler,
}

/// The output, or nothing where the operation has no output shape.
type Output = Result<Option<Value>, Error>;
type Running = Pin<Box<dyn Future<Output = Output> + Send>>;

/// Who may call an operation, as what its handler is given.
pub(super) enum Handler {
    /// An organization, by a signature.
    Signed(fn(UserPools, Organization, Caller, Object) -> Running),
    /// Anyone: the proof, if any, is in the input.
    Open(fn(UserPools, Caller, Object) -> Running),
}

const OPERATIONS: &[Operation] = &[
    // Signed by an access key.
    Operation {
        name: "AdminConfirmSignUp",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(admin_confirm_sign_up::run(
                pools,
                organization,
                caller,
                input,
            ))
        }),
    },
    Operation {
        name: "AdminDeleteUser",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(admin_delete_user::run(pools, organization, caller, input))
        }),
    },
    Operation {
        name: "AdminGetUser",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(admin_get_user::run(pools, organization, caller, input))
        }),
    },
    Operation {
        name: "AdminSetUserPassword",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(admin_set_user_password::run(
                pools,
                organization,
                caller,
                input,
            ))
        }),
    },
    Operation {
        name: "AdminUpdateUserAttributes",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(admin_update_user_attributes::run(
                pools,
                organization,
                caller,
                input,
            ))
        }),
    },
    Operation {
        name: "CreateUserPool",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(create_user_pool::run(pools, organization, caller, input))
        }),
    },
    Operation {
        name: "CreateUserPoolClient",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(create_user_pool_client::run(
                pools,
                organization,
                caller,
                input,
            ))
        }),
    },
    Operation {
        name: "DeleteUserPool",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(delete_user_pool::run(pools, organization, caller, input))
        }),
    },
    Operation {
        name: "DeleteUserPoolClient",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(delete_user_pool_client::run(
                pools,
                organization,
                caller,
                input,
            ))
        }),
    },
    Operation {
        name: "DescribeUserPool",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(describe_user_pool::run(pools, organization, caller, input))
        }),
    },
    Operation {
        name: "DescribeUserPoolClient",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(describe_user_pool_client::run(
                pools,
                organization,
                caller,
                input,
            ))
        }),
    },
    Operation {
        name: "ListUserPoolClients",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(list_user_pool_clients::run(
                pools,
                organization,
                caller,
                input,
            ))
        }),
    },
    Operation {
        name: "ListUserPools",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(list_user_pools::run(pools, organization, caller, input))
        }),
    },
    Operation {
        name: "UpdateUserPool",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(update_user_pool::run(pools, organization, caller, input))
        }),
    },
    Operation {
        name: "UpdateUserPoolClient",
        handler: Handler::Signed(|pools, organization, caller, input| {
            Box::pin(update_user_pool_client::run(
                pools,
                organization,
                caller,
                input,
            ))
        }),
    },
    // Public: a client id is enough.
    Operation {
        name: "ConfirmSignUp",
        handler: Handler::Open(|pools, caller, input| {
            Box::pin(confirm_sign_up::run(pools, caller, input))
        }),
    },
    Operation {
        name: "InitiateAuth",
        handler: Handler::Open(|pools, caller, input| {
            Box::pin(initiate_auth::run(pools, caller, input))
        }),
    },
    Operation {
        name: "RespondToAuthChallenge",
        handler: Handler::Open(|pools, caller, input| {
            Box::pin(respond_to_auth_challenge::run(pools, caller, input))
        }),
    },
    Operation {
        name: "RevokeToken",
        handler: Handler::Open(|pools, caller, input| {
            Box::pin(revoke_token::run(pools, caller, input))
        }),
    },
    Operation {
        name: "SignUp",
        handler: Handler::Open(|pools, caller, input| Box::pin(sign_up::run(pools, caller, input))),
    },
    // With the user's access token.
    Operation {
        name: "GetUser",
        handler: Handler::Open(|pools, caller, input| {
            Box::pin(get_user::run(pools, caller, input))
        }),
    },
    Operation {
        name: "GlobalSignOut",
        handler: Handler::Open(|pools, caller, input| {
            Box::pin(global_sign_out::run(pools, caller, input))
        }),
    },
];

/// Operations of the real service that are not done here. They fail loudly, never with a success
/// that has no effect.
const NOT_DONE: &[&str] = &[
    "AddCustomAttributes",
    "AddUserPoolClientSecret",
    "AdminAddUserToGroup",
    "AdminCreateUser",
    "AdminDeleteSoftwareToken",
    "AdminDeleteUserAttributes",
    "AdminDisableProviderForUser",
    "AdminDisableUser",
    "AdminEnableUser",
    "AdminForgetDevice",
    "AdminGetDevice",
    "AdminGetUserAuthFactors",
    "AdminInitiateAuth",
    "AdminLinkProviderForUser",
    "AdminListDevices",
    "AdminListGroupsForUser",
    "AdminListUserAuthEvents",
    "AdminListUserSessions",
    "AdminRemoveUserFromGroup",
    "AdminResetUserPassword",
    "AdminRespondToAuthChallenge",
    "AdminRevokeUserSession",
    "AdminSetUserMFAPreference",
    "AdminSetUserSettings",
    "AdminUpdateAuthEventFeedback",
    "AdminUpdateDeviceStatus",
    "AdminUserGlobalSignOut",
    "AssociateSoftwareToken",
    "ChangePassword",
    "CompleteWebAuthnRegistration",
    "ConfirmDevice",
    "ConfirmForgotPassword",
    "CreateGroup",
    "CreateIdentityProvider",
    "CreateManagedLoginBranding",
    "CreateResourceServer",
    "CreateTerms",
    "CreateUserImportJob",
    "CreateUserPoolDomain",
    "CreateUserPoolReplica",
    "DeleteGroup",
    "DeleteIdentityProvider",
    "DeleteManagedLoginBranding",
    "DeleteResourceServer",
    "DeleteTerms",
    "DeleteUser",
    "DeleteUserAttributes",
    "DeleteUserPoolClientSecret",
    "DeleteUserPoolDomain",
    "DeleteUserPoolReplica",
    "DeleteWebAuthnCredential",
    "DescribeIdentityProvider",
    "DescribeManagedLoginBranding",
    "DescribeManagedLoginBrandingByClient",
    "DescribeResourceServer",
    "DescribeRiskConfiguration",
    "DescribeTerms",
    "DescribeTermsByClient",
    "DescribeUserImportJob",
    "DescribeUserPoolDomain",
    "ForgetDevice",
    "ForgotPassword",
    "GetCSVHeader",
    "GetClientToken",
    "GetDerivedToken",
    "GetDevice",
    "GetGroup",
    "GetIdentityProviderByIdentifier",
    "GetLogDeliveryConfiguration",
    "GetProvisionedLimit",
    "GetSigningCertificate",
    "GetTokensFromRefreshToken",
    "GetUICustomization",
    "GetUserAttributeVerificationCode",
    "GetUserAuthFactors",
    "GetUserPoolClientSessionConfiguration",
    "GetUserPoolMfaConfig",
    "GetUserPoolSessionConfiguration",
    "ListDevices",
    "ListGroups",
    "ListIdentityProviders",
    "ListResourceServers",
    "ListTagsForResource",
    "ListTerms",
    "ListUserImportJobs",
    "ListUserPoolClientSecrets",
    "ListUserPoolReplicas",
    "ListUserSessions",
    "ListUsers",
    "ListUsersInGroup",
    "ListWebAuthnCredentials",
    "ResendConfirmationCode",
    "RevokeUserSession",
    "SetLogDeliveryConfiguration",
    "SetRiskConfiguration",
    "SetUICustomization",
    "SetUserMFAPreference",
    "SetUserPoolClientSessionConfiguration",
    "SetUserPoolMfaConfig",
    "SetUserPoolSessionConfiguration",
    "SetUserSettings",
    "StartUserImportJob",
    "StartWebAuthnRegistration",
    "StopUserImportJob",
    "TagResource",
    "UntagResource",
    "UpdateAuthEventFeedback",
    "UpdateDeviceStatus",
    "UpdateGroup",
    "UpdateIdentityProvider",
    "UpdateManagedLoginBranding",
    "UpdateProvisionedLimit",
    "UpdateResourceServer",
    "UpdateTerms",
    "UpdateUserAttributes",
    "UpdateUserPoolDomain",
    "UpdateUserPoolReplica",
    "VerifySoftwareToken",
    "VerifyUserAttribute",
];

pub(super) fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

/// Whether this is an operation of the real service.
pub(super) fn is_known(name: &str) -> bool {
    find(name).is_some() || NOT_DONE.contains(&name)
}

/// A list of `{"Name", "Value"}`. Of two with the same name the later counts.
fn name_values(input: &mut Input<'_>, member: &str) -> Attributes {
    let pairs = input.objects(member, &Size::ANY, name_value).or_default();
    pairs.into_iter().collect()
}

fn required_name_values(input: &mut Input<'_>, member: &str) -> Attributes {
    let pairs = input.objects(member, &Size::ANY, name_value).required();
    pairs.into_iter().collect()
}

fn name_value(input: &mut Input<'_>) -> (String, String) {
    (
        input.string("Name", &shapes::ATTRIBUTE_NAME).required(),
        input.string("Value", &shapes::ATTRIBUTE_VALUE).or_default(),
    )
}

/// `ClientMetadata`.
fn client_metadata(input: &mut Input<'_>) -> ClientMetadata {
    input
        .string_map(
            "ClientMetadata",
            &shapes::MAP_SIZE,
            &shapes::MAP_TEXT,
            &shapes::MAP_TEXT,
        )
        .optional()
}

/// Parameters and answers of sign-in flows, which hold secrets.
fn parameters(input: &mut Input<'_>, member: &str) -> std::collections::BTreeMap<String, String> {
    input
        .string_map(
            member,
            &shapes::MAP_SIZE,
            &shapes::MAP_TEXT,
            &shapes::SECRET_MAP_TEXT,
        )
        .or_default()
}

/// Where a page ended, as an opaque text and back.
mod page {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL};

    use crate::Refusal;

    pub(super) fn token((created_at_ms, id): (i64, String)) -> String {
        BASE64_URL.encode(format!("{created_at_ms} {id}"))
    }

    pub(super) fn read(token: Option<String>) -> Result<Option<(i64, String)>, Refusal> {
        let Some(token) = token else {
            return Ok(None);
        };
        let text = BASE64_URL
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        text.as_deref()
            .and_then(|text| text.split_once(' '))
            .filter(|(_, id)| !id.contains('\0'))
            .and_then(|(time, id)| Some((time.parse().ok()?, id.to_owned())))
            .map(Some)
            .ok_or(Refusal::PaginationToken)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_page_token_leads_back_and_others_are_refused() {
            let place = (1_700_000_000_000, "us-east-1_EXAMPLE00".to_owned());
            assert_eq!(read(Some(token(place.clone()))), Ok(Some(place)));
            assert_eq!(read(None), Ok(None));
            let nul = BASE64_URL.encode("1 a\0");
            for bad in ["", "x", "!!!", "MSAt", "YQ", nul.as_str()] {
                let is_good = bad == "MSAt";
                assert_eq!(read(Some(bad.to_owned())).is_ok(), is_good, "{bad}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_of_the_service_is_done_or_refused_by_name_once() {
        let mut names: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        names.extend(NOT_DONE);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), count), (141, 141));
    }
}
