//! AdminSetUserPassword (`cognito.md` §15.3).

use accounts::Organization;
use aws_protocol::input::Input;
use serde_json::json;

use super::{super::Object, Output};
use crate::{UserPools, auth::attempt::Caller, shapes};

pub(super) async fn run(
    pools: UserPools,
    organization: Organization,
    _caller: Caller,
    input: Object,
) -> Output {
    let (pool_id, username, password, is_permanent) = Input::read(&input, |input| {
        (
            input.string("UserPoolId", &shapes::USER_POOL_ID).required(),
            input.string("Username", &shapes::USERNAME).required(),
            input.string("Password", &shapes::PASSWORD).required(),
            input.boolean("Permanent").or(false),
        )
    })?;
    let (pool, user) = pools
        .find_owned_user(&organization, &pool_id, &username)
        .await?;
    pools
        .set_password(&pool, &user.sub, &password, is_permanent)
        .await?;
    Ok(Some(json!({})))
}
