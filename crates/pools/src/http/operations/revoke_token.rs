//! RevokeToken (`cognito.md` §12).

use aws_protocol::input::Input;
use serde_json::json;

use super::{super::Object, Output};
use crate::{Refusal, UserPools, auth::attempt::Caller, shapes};

pub(super) async fn run(pools: UserPools, _caller: Caller, input: Object) -> Output {
    let (token, client_id, secret) = Input::read(&input, |input| {
        (
            input.string("Token", &shapes::TOKEN).required(),
            input.string("ClientId", &shapes::CLIENT_ID).required(),
            input
                .string("ClientSecret", &shapes::CLIENT_SECRET)
                .optional(),
        )
    })?;
    let (client, _) = pools.find_client_and_pool(&client_id).await?;
    if !client.check_secret(secret.as_deref()) {
        return Err(Refusal::Unauthorized.into());
    }
    pools.revoke_token(&client, &token).await?;
    Ok(Some(json!({})))
}
