//! GetUser (`cognito.md` §15.3).

use aws_protocol::input::Input;

use super::{super::Object, Output};
use crate::{UserPools, auth::attempt::Caller, shapes};

pub(super) async fn run(pools: UserPools, _caller: Caller, input: Object) -> Output {
    let token = Input::read(&input, |input| {
        input.string("AccessToken", &shapes::TOKEN).required()
    })?;
    let authenticated = pools.authenticate(&token).await?;
    Ok(Some(
        authenticated
            .user
            .describe(&authenticated.client.configuration),
    ))
}
