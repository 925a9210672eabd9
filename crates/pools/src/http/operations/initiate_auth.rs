//! InitiateAuth (`cognito.md` §5.5, §6).

use aws_protocol::input::Input;

use super::{super::Object, Output, client_metadata, parameters};
use crate::{
    AuthFlow, Refusal, UserPools,
    auth::{attempt::Caller, driver::Initiation},
    shapes,
};

/// Flows by their names. Those for administrators are known and not served here.
const FLOWS: &[(&str, Option<AuthFlow>)] = &[
    ("USER_SRP_AUTH", Some(AuthFlow::UserSrp)),
    ("REFRESH_TOKEN_AUTH", Some(AuthFlow::RefreshToken)),
    ("REFRESH_TOKEN", Some(AuthFlow::RefreshToken)),
    ("CUSTOM_AUTH", Some(AuthFlow::Custom)),
    ("ADMIN_NO_SRP_AUTH", None),
    ("USER_PASSWORD_AUTH", Some(AuthFlow::UserPassword)),
    ("ADMIN_USER_PASSWORD_AUTH", None),
    ("USER_AUTH", Some(AuthFlow::User)),
];

pub(super) async fn run(pools: UserPools, caller: Caller, input: Object) -> Output {
    let (flow, client_id, parameters, client_metadata) = Input::read(&input, |input| {
        (
            input.choice("AuthFlow", FLOWS).required(),
            input.string("ClientId", &shapes::CLIENT_ID).required(),
            parameters(input, "AuthParameters"),
            client_metadata(input),
        )
    })?;
    let initiation = Initiation {
        client_id,
        flow: flow.ok_or(Refusal::AdminFlow)?,
        parameters,
        client_metadata,
    };
    Ok(Some(pools.initiate_auth(&caller, initiation).await?))
}
