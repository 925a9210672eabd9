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
    auth::{attempt::Caller, machine::Parameters, triggers::ClientMetadata},
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

macro_rules! signed {
    ($name:literal, $file:ident) => {
        Operation {
            name: $name,
            handler: Handler::Signed(|pools, organization, caller, input| {
                Box::pin($file::run(pools, organization, caller, input))
            }),
        }
    };
}

macro_rules! open {
    ($name:literal, $file:ident) => {
        Operation {
            name: $name,
            handler: Handler::Open(|pools, caller, input| {
                Box::pin($file::run(pools, caller, input))
            }),
        }
    };
}

const OPERATIONS: &[Operation] = &[
    // Signed by an access key.
    signed!("AdminConfirmSignUp", admin_confirm_sign_up),
    signed!("AdminDeleteUser", admin_delete_user),
    signed!("AdminGetUser", admin_get_user),
    signed!("AdminSetUserPassword", admin_set_user_password),
    signed!("AdminUpdateUserAttributes", admin_update_user_attributes),
    signed!("CreateUserPool", create_user_pool),
    signed!("CreateUserPoolClient", create_user_pool_client),
    signed!("DeleteUserPool", delete_user_pool),
    signed!("DeleteUserPoolClient", delete_user_pool_client),
    signed!("DescribeUserPool", describe_user_pool),
    signed!("DescribeUserPoolClient", describe_user_pool_client),
    signed!("ListUserPoolClients", list_user_pool_clients),
    signed!("ListUserPools", list_user_pools),
    signed!("UpdateUserPool", update_user_pool),
    signed!("UpdateUserPoolClient", update_user_pool_client),
    // Public: a client id is enough.
    open!("ConfirmSignUp", confirm_sign_up),
    open!("InitiateAuth", initiate_auth),
    open!("RespondToAuthChallenge", respond_to_auth_challenge),
    open!("RevokeToken", revoke_token),
    open!("SignUp", sign_up),
    // With the user's access token.
    open!("GetUser", get_user),
    open!("GlobalSignOut", global_sign_out),
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
fn parameters(input: &mut Input<'_>, member: &str) -> Parameters {
    input
        .string_map(
            member,
            &shapes::MAP_SIZE,
            &shapes::MAP_TEXT,
            &shapes::SECRET_MAP_TEXT,
        )
        .or_default()
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
