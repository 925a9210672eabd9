//! RespondToAuthChallenge (`cognito.md` §5.6, §6).

use aws_protocol::input::{Input, Text};

use super::{super::Object, Output, client_metadata, parameters};
use crate::{
    UserPools,
    auth::{attempt::Caller, driver::Response},
    shapes,
};

const CHALLENGE_NAMES: Text = Text::ANY.one_of(&[
    "SMS_MFA",
    "EMAIL_OTP",
    "SOFTWARE_TOKEN_MFA",
    "SELECT_MFA_TYPE",
    "MFA_SETUP",
    "PASSWORD_VERIFIER",
    "CUSTOM_CHALLENGE",
    "SELECT_CHALLENGE",
    "DEVICE_SRP_AUTH",
    "DEVICE_PASSWORD_VERIFIER",
    "ADMIN_NO_SRP_AUTH",
    "NEW_PASSWORD_REQUIRED",
    "SMS_OTP",
    "PASSWORD",
    "WEB_AUTHN",
    "PASSWORD_SRP",
]);

pub(super) async fn run(pools: UserPools, caller: Caller, input: Object) -> Output {
    let response = Input::read(&input, |input| Response {
        client_id: input.string("ClientId", &shapes::CLIENT_ID).required(),
        challenge_name: input.string("ChallengeName", &CHALLENGE_NAMES).required(),
        session: input.string("Session", &shapes::SESSION).optional(),
        responses: parameters(input, "ChallengeResponses"),
        client_metadata: client_metadata(input),
    })?;
    Ok(Some(
        pools.respond_to_auth_challenge(&caller, response).await?,
    ))
}
