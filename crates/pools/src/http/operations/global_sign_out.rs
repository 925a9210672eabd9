//! GlobalSignOut (`cognito.md` §12).

use aws_protocol::input::Input;
use serde_json::json;

use super::{super::Object, Output};
use crate::{UserPools, auth::attempt::Caller, shapes};

pub(super) async fn run(pools: UserPools, _caller: Caller, input: Object) -> Output {
    let token = Input::read(&input, |input| {
        input.string("AccessToken", &shapes::TOKEN).required()
    })?;
    let authenticated = pools.authenticate(&token).await?;
    pools.sign_out_everywhere(&authenticated.user).await?;
    Ok(Some(json!({})))
}
