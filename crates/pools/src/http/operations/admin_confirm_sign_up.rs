//! AdminConfirmSignUp (`cognito.md` §5.2).

use accounts::Organization;
use aws_protocol::input::Input;
use serde_json::json;

use super::{super::Object, Output, client_metadata};
use crate::{UserPools, auth::attempt::Caller, shapes};

pub(super) async fn run(
    pools: UserPools,
    organization: Organization,
    caller: Caller,
    input: Object,
) -> Output {
    let (pool_id, username, metadata) = Input::read(&input, |input| {
        (
            input.string("UserPoolId", &shapes::USER_POOL_ID).required(),
            input.string("Username", &shapes::USERNAME).required(),
            client_metadata(input),
        )
    })?;
    let (pool, user) = pools
        .find_owned_user(&organization, &pool_id, &username)
        .await?;
    pools
        .admin_confirm_sign_up(&caller, &pool, &user, &metadata)
        .await?;
    Ok(Some(json!({})))
}
